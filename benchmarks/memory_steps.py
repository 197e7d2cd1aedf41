"""Made-up projects for `benchmarks.memory`, each made in a process of its own.

    python -m benchmarks.memory_steps PROJECT FOLDER ROWS

Pictures and recordings are real ones, small, from the builders of the tests.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from benchmarks import synthetic
from pipeline.corpora.b_t4sa import SPLITS
from pipeline.engine import shards
from pipeline.engine.fingerprint import PROJECT
from pipeline.frame import tables
from pipeline.frame.audit_table import AUDIT, AUDIT_FILE
from pipeline.frame.params import PARAMS_FILE
from tests import builders_report
from tests.builders_b_t4sa import SENTIMENTS, Tweet, build_b_t4sa
from tests.builders_fi import FI_EMOTIONS, Picture, build_fi
from tests.builders_pictures import jpeg
from tests.builders_sier import LABELS

MEDIA = 64  # different pictures and recordings in the dataset; the page shows some of them
TEST_SHARE = 0.3
EXPLAINED_SHARE = 0.01
REJECTED_SHARE = 0.1


def corpora(folder: Path, rows: int) -> None:
    """A B-T4SA of `rows` pictures, an FI of which the class map keeps as many, and parameters that name them."""
    made = synthetic.rows(rows).select(["tweet_id", "text"]).to_pylist()
    tweets, seed = [], 0
    for number, (name, group) in enumerate(groupby(made, key=lambda row: row["tweet_id"])):
        texts = [row["text"] for row in group]
        pictures = [jpeg(seed + place) for place in range(len(texts))]
        split = SPLITS[number % len(SPLITS)]
        tweets.append(Tweet(name, texts[0], pictures, SENTIMENTS[number % len(SENTIMENTS)], split))
        seed += len(texts)
    build_b_t4sa(folder / "b_t4sa", tweets)
    emotions = [FI_EMOTIONS[number % len(FI_EMOTIONS)] for number in range(2 * rows)]
    pictures_ = [Picture(name, f"{number:07d}.jpg", jpeg(seed + number)) for number, name in enumerate(emotions)]
    build_fi(folder / "fi", pictures_)
    params = yaml.safe_load((PROJECT / PARAMS_FILE).read_text(encoding="utf-8"))
    for corpus in ("b_t4sa", "fi"):
        params["acquire"][corpus]["path"] = str((folder / corpus).resolve())
    params["clean"]["shard_rows"] = synthetic.SHARD_ROWS
    params["train_teacher"]["image"]["regularisation"] = [0.001]  # more values take time, and no more memory
    _write_params(folder, params)


def dataset(folder: Path, rows: int) -> None:
    """All that `report` reads: the reports that are in git, and data of `rows` rows."""
    folder.mkdir(parents=True)
    builders_report.write_project(folder)
    data, test = folder / "data", round(TEST_SHARE * rows)
    ids = [f"{758_000_000_000_000_000 + number}-1" for number in range(rows)]
    _sier(folder, ids, rows - test)
    rule = (data / "labels" / tables.RULE_FILE).read_bytes()
    said = {
        "speech_label": "anger",
        "image_label": "sadness",
        "decided_by": "speech",
        "source_label": "anger",
    } | dict.fromkeys(("speech_max", "image_max", "confidence"), 0.5)
    labelled = {"id": ids, "kept": [bool(number % 3) for number in range(rows)]} | {
        name: [said.get(name, "below_threshold")] * rows for name in tables.LABELS.names if name not in {"id", "kept"}
    }
    _publish(folder, "labels", [pa.table(labelled, schema=tables.LABELS)])
    (data / "labels" / tables.RULE_FILE).write_bytes(rule)
    rejects = [(f"{number}-9", "image_unreadable", "made up") for number in range(round(REJECTED_SHARE * rows))]
    _publish(folder, "clean", [pa.table({"id": ids[:1]})], rejects)
    even = {f"{tables.PROBABILITY_PREFIX}{name}": np.full(test, 1 / len(LABELS), np.float32) for name in LABELS}
    answers = pa.table({"id": ids[-test:], "label": [LABELS[0]] * test, **even})
    pq.write_table(answers, data / "predictions" / "parallelnet.parquet")
    doubt = {"label": "anger", "suggested_label": "sad", "label_quality": 0.05, "is_issue": True}
    audited = [{"id": name, "fold": place % 5, **doubt} for place, name in enumerate(ids[:-test])]
    pq.write_table(pa.Table.from_pylist(audited, schema=AUDIT), data / "audit" / AUDIT_FILE)
    explained = ids[-max(1, round(EXPLAINED_SHARE * rows)) :]
    values = [builders_report.explanation(name, words=not place) for place, name in enumerate(explained)]
    pq.write_table(pa.Table.from_pylist(values), data / "explanations" / "explanations.parquet")
    _write_params(folder, builders_report.sections())


def _sier(folder: Path, ids: Sequence[str], train: int) -> None:
    """data/sier: the first `train` ids in folds, the others in the test split."""
    media = [builders_report.row(number, None) for number in range(MEDIA)]
    parts, names = [], []
    for split, chosen in (("train", ids[:train]), ("test", ids[train:])):
        starts = range(0, len(chosen), synthetic.SHARD_ROWS)
        for number, start in enumerate(starts):
            rows = [
                {**media[place % MEDIA], "id": name, "fold": place % 5 if split == "train" else None}
                for place, name in enumerate(chosen[start : start + synthetic.SHARD_ROWS])
            ]
            parts.append(rows)
            names.append(f"data/{split}-{number:05d}-of-{len(starts):05d}.parquet")
    _publish(folder, "sier", (pa.Table.from_pylist(rows, schema=builders_report.ROW) for rows in parts), names=names)


def _publish(
    folder: Path,
    name: str,
    parts: Iterable[pa.Table],
    rejects: Sequence[tuple[str, str, str]] = (),
    names: Sequence[str] | None = None,
) -> None:
    """data/<name> anew; `rejects` are those of the only part."""
    work = folder / "made up" / name
    markers = [
        shards.commit(work, shards.Task(index, len(part) + len(rejects), None), shards.Output(part, rejects), "f")
        for index, part in enumerate(parts)
    ]
    shards.publish(work, markers, folder / "data" / name, names=names)


def _write_params(folder: Path, params: Mapping[str, Any]) -> None:
    (folder / PARAMS_FILE).write_text(yaml.safe_dump(dict(params), sort_keys=False), encoding="utf-8")


PROJECTS = {"corpora": corpora, "dataset": dataset}

if __name__ == "__main__":
    PROJECTS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
