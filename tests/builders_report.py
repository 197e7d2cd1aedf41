"""A project in which stage `report` can run: the reports that are in git, and small data with hostile texts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pipeline.engine import shards
from pipeline.engine.local import LocalEngine
from pipeline.engine.rejects import rejects_table
from pipeline.frame import tables
from pipeline.frame.audit_table import AUDIT, AUDIT_FILE
from pipeline.frame.metrics_files import write_plot
from pipeline.frame.params import section
from pipeline.frame.stage import BaseParams, Context, Paths
from tests.builders_sier import LABELS, SIER, sier_row, write_folder

ROOT = Path(__file__).resolve().parents[1]
CLASSES = ("anger", "disgust", "excitement", "sadness")
SCRIPT_TEXT = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\"> & 'x' 😀"
TRAIN_ROWS, TEST_ROWS = 8, 6
EXPLAINED = ("893-0", "891-0")
CELLS, SEGMENTS, SIDE_PX, FRAMES = 4, 4, 8, 20
REJECTED = "<b>&lt;hostile</b>"

_PROBABILITIES = [f"p_{modality}_{name}" for modality in ("speech", "image") for name in CLASSES]
ROW = pa.schema(
    [
        *SIER, *((name, pa.float32()) for name in _PROBABILITIES), ("sentiment", pa.string()), ("voice", pa.string()),
        ("word_error_rate", pa.float32()),
    ]
)  # fmt: skip


def row(number: int, fold: int | None) -> dict[str, Any]:
    """A row of data/sier; speech says 0.1, ..., 0.4 of the classes, pictures the same turned by its number."""
    by_speech, by_image = np.array([0.1, 0.2, 0.3, 0.4]), np.roll([0.1, 0.2, 0.3, 0.4], number)
    return {
        **sier_row(number, fold), "text": SCRIPT_TEXT if number == 0 else f"text {number}", "sentiment": "neutral",
        "voice": "a_voice", "word_error_rate": None if number % 2 else 0.25,
        **dict(zip(_PROBABILITIES, [*by_speech, *by_image], strict=True)),
    }  # fmt: skip


def explanation(identity: str, *, words: bool) -> dict[str, Any]:
    """A row of data/explanations: the first cell and the last segment count most."""
    return {
        "id": identity, "method": "exact" if words else "level", "image_baseline": "zero", "speech_baseline": "silence",
        "label": "happy", "predicted": "sad", "explained": "sad", "score": 0.5, "output": "logit", "image_value": 0.75,
        "speech_value": -0.5, "synergy": 0.125, "image_values": [0.75, 0.0, 0.0, 0.0],
        "speech_values": [0.0, 0.25, 0.25, -1.0],
        "image_map": np.repeat([0.02, 0.0], SIDE_PX * SIDE_PX // 2).astype(np.float32),
        "speech_players": np.repeat(np.arange(SEGMENTS), FRAMES // SEGMENTS).astype(np.int16),
        "speech_bands": 1,
        "words": [{"text": "a<b", "start_seconds": 0.0, "end_seconds": 0.2, "value": -1.0}] if words else [],
        "text": "a text",
    }  # fmt: skip


def write_project(root: Path) -> None:
    """All that the stage reads, below `root`."""
    shutil.copytree(ROOT / "reports", root / "reports", ignore=shutil.ignore_patterns("index.html"))
    _write_splits(root / "reports")
    data = root / "data"
    train = [row(number, number % 5) for number in range(TRAIN_ROWS)]
    test = [row(number, None) for number in range(TRAIN_ROWS, TRAIN_ROWS + TEST_ROWS)]
    parts = [pa.Table.from_pylist(part, schema=ROW) for part in (train[:5], train[5:], test)]
    names = ["train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"]
    write_folder(root, "sier", parts, [f"data/{name}.parquet" for name in names])
    _write_rejects(root)
    for name, table in _tables([one["id"] for one in train], test).items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, data / name)
    rule = {
        "rule": "max_probability", "threshold": 0.5, "remap": dict(zip(CLASSES, LABELS, strict=True)),
        "temperatures": {"speech": 1.0, "image": 1.0},
    }  # fmt: skip
    (data / "labels" / tables.RULE_FILE).write_text(json.dumps(rule))
    for corpus in ("b_t4sa", "iemocap", "fi"):
        folder = data / "corpora" / corpus
        folder.mkdir(parents=True)
        listed = [{"name": "a.tar", "bytes": 3, "sha256": "0" * 64}]
        (folder / "manifest.json").write_text(json.dumps({"corpus": corpus, "origin": "sample", "files": listed}))
    for checkpoint in tables.CHECKPOINTS.values():
        (data / "checkpoints" / checkpoint).mkdir(parents=True)
        text = "id,status,reason\n" + ("a/b.jpg,image_truncated,torn\n" if checkpoint == "ier" else "")
        (data / "checkpoints" / checkpoint / "rejects.csv").write_text(text)


def _write_splits(reports: Path) -> None:
    """What stage assemble says of the splits of the rows here: a text and a picture are alike."""
    said = json.loads((reports / "assemble.json").read_bytes())
    compared = {
        "rows": {"train": TRAIN_ROWS, "test": TEST_ROWS},
        "tweets": {"pairs": 48, "found": 0},
        "images": {"pairs": 48, "at_most_bits": 46, "nearest_bits": 71, "found": 0},
        "texts": {"pairs": 42, "candidates": 5, "at_least_jaccard": 0.8, "found": 0},
    }
    near = {
        kind: {"measure": f"cosine of {kind}s", "compared": compared["rows"], "highest": 0.9, "median_of_nearest": 0.25}
        for kind in ("text", "image")
    }
    said |= {"leaks": {"found": 0, "compared": compared}, "closest": near}
    (reports / "assemble.json").write_text(json.dumps(said), encoding="utf-8")
    rows = [("text", "900-0", "892-0", 0.9876), ("image", "893-0", "887-0", 0.8765)]
    write_plot(reports / "closest_pairs.csv", ("kind", "train_id", "test_id", "similarity"), rows)


def _write_rejects(root: Path) -> None:
    """data/clean with three rejects, data/labels with a dropped row, other stages with none."""
    rejects = {"clean": [("1-0", "text_empty", REJECTED), ("2-0", "image_bomb", "big"), ("3-0", "text_empty", "none")]}
    labelled = dict.fromkeys(tables.LABELS.names, "") | {"id": "4-0", "kept": False, "reason": "below_threshold"}
    labelled |= {
        "speech_label": "anger",
        "speech_max": 0.4,
        "image_label": "sadness",
        "image_max": 0.3,
        "confidence": 0.4,
        "source_label": "anger",
        "label": "anger",
        "decided_by": "speech",
    }
    rows = {
        "labels": pa.Table.from_pylist([labelled], schema=tables.LABELS),
        "clean": pa.table({"id": ["4-0"], "sentiment": ["neutral"]}),
    }
    for name in ("clean", "speech", "scores/speech", "scores/image", "labels"):
        _write_part(root, name, rows.get(name, pa.table({"id": ["5-0"]})), rejects.get(name, []))


def write_whole(root: Path, name: str) -> None:
    """data/<name> without a row that was left out."""
    kept = dict.fromkeys(tables.LABELS.names, "") | {"id": "4-0", "kept": True, "speech_max": 0.4, "image_max": 0.9}
    kept |= {"confidence": 0.9, "label": "sad", "decided_by": "image"}
    rule = root / "data" / "labels" / tables.RULE_FILE
    said = rule.read_text()
    labels = pa.Table.from_pylist([kept], schema=tables.LABELS)
    _write_part(root, name, labels if name == "labels" else pa.table({"id": ["4-0"], "sentiment": ["neutral"]}), [])
    rule.write_text(said)


def _write_part(root: Path, name: str, part: pa.Table, rejects: list[tuple[str, str, str]]) -> None:
    work = root / "made" / name
    task = shards.Task(0, part.num_rows + len(rejects), None)
    marker = shards.commit(work, task, shards.Output(part, rejects), "f")
    shards.publish(work, [marker], root / "data" / name)


def _tables(trained: list[str], test: list[dict[str, Any]]) -> dict[str, pa.Table]:
    explained = [explanation(identity, words=identity == EXPLAINED[0]) for identity in EXPLAINED]
    certain = {f"p_{name}": [1.0 if name == "happy" else 0.0 for _ in test] for name in LABELS}
    audited = {
        "id": trained[0], "fold": 0, "label": "anger", "suggested_label": "sad", "label_quality": 0.05,
        "is_issue": True,
    }  # fmt: skip
    answers = pa.table({"id": [one["id"] for one in test], "label": [LABELS[one["label"]] for one in test], **certain})
    return {
        "predictions/parallelnet.parquet": answers,
        f"audit/{AUDIT_FILE}": pa.Table.from_pylist([audited], schema=AUDIT),
        "explanations/explanations.parquet": pa.Table.from_pylist(explained),
        "explanations/rejects.parquet": rejects_table([]),
    }


def sections() -> dict[str, Any]:
    """params.yaml with inputs of the size of the explanations here."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    found["train"]["inputs"] |= {"n_frames": FRAMES, "duration_seconds": 1.0}
    return found


def context(root: Path, **changes: Any) -> Context:
    values = {**sections(), **changes}
    return Context(section(values, "base", BaseParams), Paths(root), LocalEngine(workers=1), sections=values)
