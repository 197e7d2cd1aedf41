"""A project in which stage `explain` can run: a dataset, a tiny network and what training and `evaluate` left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pipeline.engine.local import LocalEngine
from pipeline.engine.worker import Engine
from pipeline.explanation.params import ExplainParams
from pipeline.explanation.preparation import probabilities, sample_of
from pipeline.frame.params import section
from pipeline.frame.stage import BaseParams, Context, Paths
from pipeline.media import audio
from pipeline.networks.decoding import read_image
from tests.builders_nets import tiny_net
from tests.builders_sier import LABELS, SIER, sier_row, write_folder
from tests.damage import note_digests

TEST_ROWS = 6
SMALL = {"name": "test_resnet", "pretrained": False, "weights": None}
MODEL = {
    "rows": "sier", "modalities": "both", "fusion": 3, "fusion_op": "multiply", "image_backbone": SMALL,
    "speech_backbone": {**SMALL, "name": "test_efficientnet"}, "freeze_backbone": False, "n1_channels": [4, 6],
    "code_size": 8, "head_size": 10,
}  # fmt: skip
SECTIONS: dict[str, Any] = {
    "base": {"seed": 7, "labels": list(LABELS)},
    "train": {
        "inputs": {"image_size_px": 32, "n_mels": 32, "n_frames": 64, "duration_seconds": 1.0},
        "folds": [0], "epochs": 1, "batch_size": 2, "learning_rate": 0.1, "focal_weight": 0.5, "focal_gamma": 2.0,
        "early_stopping_patience": 5, "plateau_patience": 2, "plateau_factor": 0.1, "balance": "none",
        "mixed_precision": None,
    },
    "models": {
        "parallelnet": MODEL, "early": {**MODEL, "fusion": 2}, "ier_only": {**MODEL, "modalities": "image"},
        "ser_only": {**MODEL, "modalities": "speech"},
        "words": {**MODEL, "speech_backbone": {**SMALL, "name": "whisper-tiny.en", "pretrained": True}},
        "sentiment": {**MODEL, "rows": "clean"},
    },
    "explain": {
        "model": "parallelnet", "figures": 2, "figure_method": "exact", "corpus_rows": 4, "method": "level",
        "target": "predicted", "times": 2,
        "grid": None, "segments": None, "segmentation": "time", "output": "logit", "image_baselines": ["zero", "blur"],
        "speech_baselines": ["silence", "mean"], "percentile": 30.0, "max_evals": None, "permutations": 2,
        "deletion_steps": 3, "batch_size": 8,
    },
}  # fmt: skip


def params(**changes: Any) -> ExplainParams:
    return section({"explain": {**SECTIONS["explain"], **changes}}, "explain", ExplainParams)


def context(root: Path, engine: Engine | None = None) -> Context:
    base = section(SECTIONS, "base", BaseParams)
    return Context(base, Paths(root), engine or LocalEngine(workers=1), sections=SECTIONS)


def write_project(root: Path, *models: str, silent: int | None = None) -> list[dict[str, Any]]:
    """Test rows of data/sier, written with the networks; the row number `silent` has no sound."""
    rows = [{**sier_row(number, None), "text": f"text {number} 😀 & more"} for number in range(TEST_ROWS)]
    if silent is not None:
        rows[silent]["audio"]["bytes"] = audio.encode_flac(np.zeros(16_000, dtype=np.float32), audio.SAMPLING_RATE_HZ)
    train = pa.Table.from_pylist([sier_row(99, 0)], schema=SIER)
    parts = [pa.Table.from_pylist(part, schema=SIER) for part in (rows[:4], rows[4:])]
    names = ["train-00000-of-00001", "test-00000-of-00002", "test-00001-of-00002"]
    write_folder(root, "sier", [train, *parts], [f"data/{name}.parquet" for name in names])
    for name in models or ("parallelnet",):
        write_network(root, name, rows)
    return rows


def write_network(root: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """Its checkpoint, and predictions that are its own."""
    model = SECTIONS["models"][name]
    shape = {key: model[key] for key in ("modalities", "fusion")}
    net = tiny_net(
        seed=5, duration_seconds=1.0, id2label=dict(enumerate(LABELS)),
        label2id={label: place for place, label in enumerate(LABELS)}, **shape,
    )  # fmt: skip
    with torch.no_grad():  # its random logits are about 100, where float32 is too coarse for sums of small effects
        for part in (part for part in net.children() if isinstance(part, torch.nn.Sequential)):
            [layer for layer in part.modules() if isinstance(layer, torch.nn.Linear)][-1].weight.mul_(0.02)
    folder = root / "data" / "checkpoints" / name
    net.save_pretrained(folder)
    columns = {f"p_{label}": np.full(1, 0.25, dtype=np.float32) for label in LABELS}
    held_out = pa.table({"id": ["9-0"], "seed": [0], "fold": [0], "label": [LABELS[0]], **columns})
    pq.write_table(held_out, folder / "out_of_fold.parquet")
    training = {"rows": "sier", "labels": list(LABELS), "parameters": 1}
    training |= {"runs": [{"seed": 0, "fold": 0, "validation_rows": 1}]}
    (folder / "training.json").write_text(json.dumps(training))
    note_digests(folder)
    said = []
    for row in rows:
        waveform = audio.decode(row["audio"]["bytes"])
        if not waveform.any():  # no sample for the explanation, but a row for `evaluate`
            said.append(np.eye(len(LABELS))[0])
            continue
        with torch.inference_mode():
            said.append(probabilities(net, sample_of(read_image(row["image"]["bytes"]), waveform, net.config)).numpy())
    found = np.stack(said).astype(np.float32)
    table = pa.table(
        {
            "id": [row["id"] for row in rows], "label": [LABELS[row["label"]] for row in rows],
            **{f"p_{label}": found[:, place] for place, label in enumerate(LABELS)},
        }
    )  # fmt: skip
    (root / "data" / "predictions").mkdir(exist_ok=True)
    pq.write_table(table, root / "data" / "predictions" / f"{name}.parquet")
