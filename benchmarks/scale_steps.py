"""One step of `benchmarks.scale`, in a process of its own so that its memory can be told from that of others.

    python -m benchmarks.scale_steps STEP FOLDER ROWS

Prints one line of JSON: wall and CPU seconds of the step's function without the reading of its input, and of its parts.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import synthetic
from pipeline.dataset import leakage, splits
from pipeline.engine import shards
from pipeline.engine.fingerprint import PROJECT
from pipeline.frame.params import PARAMS_FILE, read_params, section
from pipeline.tweets import duplicates, groups
from pipeline.tweets.text import comparison_text

EXAMINED, DECISIONS = "examined.parquet", "decisions.parquet"
SEED = 7
SALT = "sier 7"


def make(folder: Path, rows: int) -> dict[str, Any]:
    """The input of grouping."""
    pq.write_table(synthetic.rows(rows), folder / EXAMINED)
    return {}


def grouping(folder: Path, _: int) -> dict[str, Any]:
    """What stage clean does between its passes, with the seconds of its parts."""
    rows = pq.read_table(folder / EXAMINED)
    parts: dict[str, float] = {}
    watched = {"near_hashes": (groups, "near_pairs"), "similar_texts": (groups, "similar_text_pairs")}
    for name, (module, function) in watched.items():
        setattr(module, function, _watched(getattr(module, function), parts, name))
    decided, figures = _timed(duplicates.decide, rows, _duplicates(), SEED)
    pq.write_table(decided, folder / DECISIONS)
    parts["texts_and_rest"] = figures["seconds"] - sum(parts.values())
    return {**figures, "parts": parts, "groups": len(set(decided["group_id"].to_pylist()))}


def project(folder: Path, _: int) -> dict[str, Any]:
    """A project folder for the stages after it."""
    examined, decided = pq.read_table(folder / EXAMINED), pq.read_table(folder / DECISIONS)
    kept = synthetic.make_project(folder / "project", PROJECT / PARAMS_FILE, examined, decided, _duplicates())
    return {"kept_by_clean": kept}


def split(folder: Path, _: int) -> dict[str, Any]:
    """Train, test and folds of the rows that label keeps."""
    rows = _labelled(folder)
    names, labels = rows["group_id"].to_pylist(), rows["label"].to_pylist()

    def both() -> None:
        splits.split_groups(names, labels, SALT, train_fraction=0.7)
        splits.fold_groups(names, labels, SALT, folds=5)

    return {**_timed(both)[1], "rows_kept_by_label": len(names)}


def leak_check(folder: Path, _: int) -> dict[str, Any]:
    """The check of all test rows against all of train."""
    rows = _labelled(folder)
    in_train = splits.split_groups(rows["group_id"].to_pylist(), rows["label"].to_pylist(), SALT, train_fraction=0.7)
    sides = []
    for side in (rows.filter(pa.array(in_train)), rows.filter(pa.array(~in_train))):
        texts = [comparison_text(text) for text in side["text"].to_pylist()]
        hashes = duplicates.hash_matrix(side["image_phash"].to_pylist())
        sides.append(leakage.Side(side["id"].to_pylist(), hashes, texts, side["tweet_id"].to_pylist()))
    check, figures = _timed(
        leakage.find_leaks, *sides, max_distance_bits=_duplicates().group_max_bits,
        min_jaccard=_duplicates().text_similarity,
    )  # fmt: skip
    return {**figures, "leaks": len(check.leaks), "compared": check.compared}


def _labelled(folder: Path) -> pa.Table:
    data = folder / "project" / "data"
    columns = ["id", "tweet_id", "text", "group_id", "image_phash"]
    clean = [
        shards.read_part(data / "clean", part, columns=columns) for part in shards.read_manifest(data / "clean", "")
    ]
    labels = pq.read_table(data / "labels" / "part-00000.parquet", columns=["id", "label", "kept"])
    both = pa.concat_tables(clean).join(labels.filter(labels["kept"]), "id", join_type="inner")
    return both.sort_by("id").combine_chunks()


def _duplicates() -> duplicates.DuplicateParams:
    values = read_params(PROJECT / PARAMS_FILE)["clean"]
    return section(values, "duplicates", duplicates.DuplicateParams)


def _timed(function: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[Any, dict[str, Any]]:
    begin, cpu = time.perf_counter(), time.process_time()
    found = function(*arguments, **named)
    return found, {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - cpu}


def _watched(function: Callable[..., Any], parts: dict[str, float], name: str) -> Callable[..., Any]:
    def timed(*arguments: Any, **named: Any) -> Any:
        found, figures = _timed(function, *arguments, **named)
        parts[name] = figures["seconds"]
        return found

    return timed


STEPS = {"make": make, "grouping": grouping, "project": project, "split": split, "leak_check": leak_check}

if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))))
