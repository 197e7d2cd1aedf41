"""Small `data/sier`, `data/clean` and `data/speech`: shards by the engine's own code, of real JPEG and FLAC bytes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.engine import shards
from pipeline.engine.local import LocalEngine
from pipeline.engine.worker import Engine
from pipeline.frame import tables
from pipeline.frame.stage import BaseParams, Context, Paths
from pipeline.media import audio
from pipeline.networks.params import InputParams
from tests.builders_pictures import jpeg

INPUTS = InputParams(image_size_px=32, n_mels=24, n_frames=20, duration_seconds=1.0)
LABELS = ("anger", "happy", "hate", "sad")
ROWS_PER_PART = 3
TRAIN_PARTS = 4

MEDIUM = pa.struct({"bytes": pa.binary(), "path": pa.string()})
SIER = pa.schema(
    {
        "id": pa.string(), "audio": MEDIUM, "image": MEDIUM, "text": pa.string(), "label": pa.int64(),
        "decided_by": pa.string(), "confidence": pa.float32(), "agreement": pa.bool_(), "fold": pa.int8(),
        "group_id": pa.string(),
    }
)  # fmt: skip


def flac(seed: int) -> bytes:
    """Noise that swells, of 0.3 to 1.5 s."""
    generator = np.random.default_rng(seed)
    samples = int(generator.integers(4_800, 24_000))
    waveform = generator.uniform(-0.5, 0.5, samples) * np.linspace(0.01, 1.0, samples)
    return audio.encode_flac(waveform.astype(np.float32), audio.SAMPLING_RATE_HZ)


def write_folder(root: Path, name: str, parts: Sequence[pa.Table], names: Sequence[str] | None = None) -> None:
    """A finished folder of shards `root/data/<name>`."""
    work = root / "made" / name
    markers = [
        shards.commit(work, shards.Task(index, part.num_rows, None), shards.Output(part), "f")
        for index, part in enumerate(parts)
    ]
    shards.publish(work, markers, root / "data" / name, names=names)


def sier_row(number: int, fold: int | None) -> dict[str, Any]:
    return {
        "id": f"{900 - number}-0", "text": "a text", "label": number % len(LABELS), "fold": fold,
        "image": {"bytes": jpeg(number, 60 + number, 40), "path": "a.jpg"},
        "audio": {"bytes": flac(number), "path": "a.flac"}, "decided_by": "speech" if number % 3 else "image",
        "confidence": 0.5 + number / 100, "agreement": number % 2 == 0,
        "group_id": f"g{number}",
    }  # fmt: skip


def write_sier(root: Path, seed: int = 0) -> list[dict[str, Any]]:
    """`data/sier` of 12 train rows in 4 parts and 2 test rows in one; returns them in the dataset's order."""
    train = TRAIN_PARTS * ROWS_PER_PART
    rows = [sier_row(number + seed, number % 5 if number < train else None) for number in range(train + 2)]
    bounds = [*range(0, train + 1, ROWS_PER_PART), train + 2]
    parts = [pa.Table.from_pylist(rows[start:end], schema=SIER) for start, end in pairwise(bounds)]
    names = [f"data/train-{index:05d}-of-{TRAIN_PARTS:05d}.parquet" for index in range(TRAIN_PARTS)]
    write_folder(root, "sier", parts, [*names, "data/test-00000-of-00001.parquet"])
    return rows


def write_clean(root: Path, *, unspoken: Sequence[int] = (), unknown: Sequence[str] = ()) -> list[dict[str, Any]]:
    """`data/clean` of 8 rows in 2 parts; `data/speech` of all but `unspoken`, cut and ordered in another way."""
    rows = []
    for number in range(8):
        row = dict.fromkeys(tables.CLEAN.names, "")
        sentiment = tables.SENTIMENTS[number % 3]
        split = ("train", "val", "test")[number % 3]
        picture = jpeg(number, 50, 50 + number)
        rows.append({
            **row, "id": f"{100 + number}-0", "image": picture, "sentiment": sentiment, "source_split": split,
            "image_index": 0, "width_px": 50, "height_px": 50 + number, "audio": flac(number),
        })  # fmt: skip
    clean = [{name: row[name] for name in tables.CLEAN.names} for row in rows]
    write_folder(root, "clean", [pa.Table.from_pylist(part, schema=tables.CLEAN) for part in (clean[:5], clean[5:])])
    speech = [
        {
            "id": row["id"], "audio": row["audio"], "sampling_rate_hz": 16_000, "duration_seconds": 1.0,
            "word_error_rate": None, "voice": "v", "voice_digest": "d", "rate": 1.0, "energy_db": 0.0, "pitch": 1.0,
            "pitch_range": 1.0,
        }
        for number, row in enumerate(rows)
        if number not in unspoken
    ]  # fmt: skip
    speech += [{**speech[0], "id": identity} for identity in unknown]
    speech.reverse()
    parts = [speech[:2], speech[2:3], speech[3:]]
    write_folder(root, "speech", [pa.Table.from_pylist(part, schema=tables.SPEECH) for part in parts])
    return [row for number, row in enumerate(rows) if number not in unspoken]


def context_at(root: Path, engine: Engine | None = None) -> Context:
    return Context(BaseParams(seed=1, labels=LABELS), Paths(root), engine or LocalEngine(workers=1))
