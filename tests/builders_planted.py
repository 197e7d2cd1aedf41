"""A small data/sier whose labels are planted in the picture's colour and in the speech's pitch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from pipeline.engine import shards
from pipeline.media import audio, images
from tests.builders import tone

LABELS = ("anger", "happy", "sad")
COLOURS = ((200, 40, 40), (230, 220, 60), (40, 60, 160))
PITCHES_HZ = (300, 900, 2700)
SHARD_ROWS = 16

TEST_NET = {"name": "test_efficientnet", "pretrained": False, "weights": None}  # timm's smallest
TINY_MODEL: dict[str, Any] = {
    "rows": "sier", "modalities": "both", "fusion": 3, "fusion_op": "multiply", "image_backbone": TEST_NET,
    "speech_backbone": TEST_NET, "freeze_backbone": False, "n1_channels": [4], "code_size": 16, "head_size": 16,
}  # fmt: skip
TINY_TRAIN: dict[str, Any] = {
    "inputs": {"image_size_px": 32, "n_mels": 32, "n_frames": 32, "duration_seconds": 0.5},
    "folds": [0], "epochs": 3, "batch_size": 8, "learning_rate": 0.003, "focal_weight": 0.5, "focal_gamma": 2.0,
    "early_stopping_patience": 5, "plateau_patience": 2, "plateau_factor": 0.1, "balance": "none",
    "mixed_precision": None,
}  # fmt: skip


def planted_row(place: int, label: int, fold: int | None) -> dict[str, Any]:
    """One row of data/sier with the columns that training reads; noise in both media depends on `place`."""
    rng = np.random.default_rng(place)
    pixels = np.clip(np.array(COLOURS[label]) + rng.normal(0, 25, (40, 40, 3)), 0, 255).astype(np.uint8)
    wave = tone(PITCHES_HZ[label], 0.5) + rng.normal(0, 0.01, audio.SAMPLING_RATE_HZ // 2).astype(np.float32)
    picture = images.encode_jpeg(Image.fromarray(pixels), max_side_px=None, quality=90)
    return {
        "id": f"{1000 + place}-1",
        "audio": {"bytes": audio.encode_flac(wave, audio.SAMPLING_RATE_HZ), "path": "a.flac"},
        "image": {"bytes": picture, "path": "a.jpg"},
        "label": label,
        "decided_by": "speech",
        "confidence": np.float32(0.6),
        "agreement": True,
        "fold": fold,
        **{f"p_speech_{name}": np.float32(0.6 if other == label else 0.2) for other, name in enumerate(LABELS)},
        **{f"p_image_{name}": np.float32(0.5 if other == label else 0.25) for other, name in enumerate(LABELS)},
    }


def write_planted(root: Path, rows: int = 40, folds: int = 5, *, wrong_in_fold_0: bool = False) -> None:
    """`root`/data/sier: `rows` train rows, folds in turn; no test rows, which training never reads.

    Args:
        root: of a project.
        rows: how many.
        folds: how many.
        wrong_in_fold_0: give the rows of fold 0 the next label, so that learning makes their loss rise.
    """
    table = []
    for place in range(rows):
        row = planted_row(place, place % len(LABELS), place % folds)
        if wrong_in_fold_0 and row["fold"] == 0:
            row["label"] = (row["label"] + 1) % len(LABELS)
        table.append(row)
    chunks = [table[start : start + SHARD_ROWS] for start in range(0, rows, SHARD_ROWS)]
    work = root / "sier.work"
    markers = [
        shards.commit(work, shards.Task(index, len(chunk), None), shards.Output(pa.Table.from_pylist(chunk)), "")
        for index, chunk in enumerate(chunks)
    ]
    names = [f"data/train-{index:05d}-of-{len(chunks):05d}.parquet" for index in range(len(chunks))]
    shards.publish(work, markers, root / "data" / "sier", names=names)
    rule = {"rule": "max_probability", "threshold": 0.5, "remap": {name: name for name in LABELS}, "temperatures": {}}
    (root / "data" / "labels").mkdir()
    (root / "data" / "labels" / "rule.json").write_text(json.dumps(rule))
