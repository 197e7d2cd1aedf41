"""assemble: the kept rows as a complete Hugging Face dataset folder.

In   data/clean (picture, text, group), data/speech (recording, voice), data/scores/{speech,image}, data/labels
Out  data/sier/data/{train,test}-*.parquet with the columns of `features`, data/sier/README.md (the dataset card)
     reports/assemble.json, reports/plots/splits.csv

Groups of near-duplicate rows are never torn apart by the split or by the folds (see `pipeline.dataset.splits`); a check that
shares no code with the grouping looks for pairs that were torn apart all the same, and stops the stage if it finds one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.dataset import card, leakage, splits
from pipeline.dataset.assembler import Assembler
from pipeline.dataset.features import features
from pipeline.dataset.rows import gather_rows
from pipeline.engine import files, shards
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.errors import UserError
from pipeline.frame import acquired, tables
from pipeline.frame.metrics_files import write_metrics, write_plot
from pipeline.frame.params import STRICT
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.tweets.duplicates import GROUPING_FILE, hash_matrix, read_grouping
from pipeline.tweets.text import comparison_text

if TYPE_CHECKING:
    pass

LIBRARIES = ("datasets", "pyarrow")
SPLITS = ("train", "test")
CARD_COLUMNS = ("label", "decided_by", "confidence", "agreement", "voice", "word_error_rate")


@dataclass(frozen=True, config=STRICT)
class AssembleParams:
    """Section `assemble`.

    Attributes:
        shard_rows: rows per Parquet file.
        test_share: of the rows of each label.
        folds: cross-validation folds within train.
        leakage_sample_rows: test rows compared with all of train where both hold 20,000 rows or more together.
    """

    shard_rows: Annotated[int, Field(ge=1)]
    test_share: Annotated[float, Field(gt=0, lt=1)]
    folds: Annotated[int, Field(ge=2, le=100)]
    leakage_sample_rows: Annotated[int, Field(ge=1)]


def run(params: AssembleParams, context: Context) -> Report:
    """See the module's docstring.

    Raises:
        UserError: an input is missing, a split would be empty, or rows leak between train and test.
    """
    data = context.paths.data
    rows, classes = gather_rows(context)
    salt = f"sier {context.base.seed}"
    groups, labels = rows["group_id"].tolist(), rows["label"].tolist()
    train = splits.split_groups(groups, labels, salt, train_fraction=1 - params.test_share)
    rows["split"] = np.where(train, "train", "test")
    if rows["split"].nunique() < len(SPLITS):
        raise UserError(f"{len(rows)} kept rows cannot be split by group; lower label.threshold or add rows")
    rows["fold"] = pd.array([None] * len(rows), dtype="Int8")
    folds = splits.fold_groups(
        rows.loc[train, "group_id"].tolist(), rows.loc[train, "label"].tolist(), salt, folds=params.folds
    )
    rows.loc[train, "fold"] = folds.astype(np.int8)
    pa.default_memory_pool().release_unused()  # what the joins have taken
    _check_leakage(rows, data, params, context.base.seed)

    inputs = [data / "clean", data / "speech", data / "labels", *(data / "scores" / name for name in tables.MODALITIES)]
    mark = fingerprint(
        params=params, base=context.base, code=code_version(__file__), libraries=library_versions(LIBRARIES),
        inputs=[files.sha256_of(folder / shards.MANIFEST) for folder in inputs],
    )  # fmt: skip
    work = work_folder(context.paths.work, "assemble", mark)
    stored = work_folder(context.paths.shards, "assemble", mark) / "shards"
    tasks, names = _plan(rows, context.base.labels, work / "plan.parquet", params.shard_rows)
    # The plan holds the rest, and the memory is wanted by workers.
    rows = rows[[*CARD_COLUMNS, "group_id", "split", "fold"]].copy()
    pa.default_memory_pool().release_unused()
    kinds = features(context.base.labels, *classes)
    assembler = partial(Assembler, work / "plan.parquet", data, kinds.arrow_schema)
    markers = run_shards(context.engine, Work("assemble", stored, mark, assembler, tasks))

    metrics = _metrics(rows, context)
    origin = acquired.read_manifest(data / "corpora" / "b_t4sa")["origin"]
    normalised = (data / "scores" / "speech" / tables.VOICE_STATISTICS_FILE).is_file()
    rule = json.loads((data / "labels" / tables.RULE_FILE).read_bytes())
    text = card.render(kinds, markers, names, metrics, rows, rule, origin, normalised)
    shards.publish(stored, markers, data / "sier", {"README.md": text.encode()}, names)
    finish(work, stored.parent)
    write_metrics(context.paths.reports / "assemble.json", metrics)
    table = rows.groupby(["split", "label"], sort=True).size().reset_index().itertuples(index=False)
    write_plot(context.paths.reports / "plots" / "splits.csv", ("series", "label", "rows"), table)
    notes = tuple(f"{name}: {metrics['splits'][name]}" for name in SPLITS)
    return Report(len(rows), len(rows), notes=(*notes, "no leaks between train and test"))


def _check_leakage(rows: pd.DataFrame, data: Path, params: AssembleParams, seed: int) -> None:
    """Look for pairs that the grouping promised to keep together but that lie on two sides.

    Raises:
        UserError: there is one.
    """
    grouping = read_grouping(data / "clean" / GROUPING_FILE)
    sides = {
        name: leakage.Side(
            ids=side["id"].tolist(),
            tweet_ids=side["tweet_id"].tolist(),
            texts=[comparison_text(text) for text in side["text"]],
            phashes=hash_matrix(side["image_phash"].tolist()),
        )
        for name, side in rows.groupby("split")
    }
    leaks = leakage.find_leaks(
        sides["train"], sides["test"], max_distance_bits=grouping.group_max_bits,
        min_jaccard=grouping.text_similarity, sample_rows=params.leakage_sample_rows, seed=seed,
    )  # fmt: skip
    if leaks:
        first = leaks[0]
        raise UserError(
            f"{len(leaks)} pairs leak between train and test, first: {first.train_id} and {first.test_id} "
            f"({first.kind}); the grouping of stage clean is at fault, nothing was written"
        )


def _plan(
    rows: pd.DataFrame, labels: Sequence[str], target: Path, shard_rows: int
) -> tuple[list[shards.Task], list[str]]:
    """Write which row goes where; returns the tasks and the file names of their shards."""
    tasks: list[shards.Task] = []
    names: list[str] = []
    shard_of = pd.Series(-1, index=rows.index)
    for split in SPLITS:
        members = rows.index[rows["split"] == split]
        chunks = [members[start : start + shard_rows] for start in range(0, len(members), shard_rows)]
        for number, chunk in enumerate(chunks):
            shard_of[chunk] = len(tasks)
            tasks.append(shards.Task(len(tasks), len(chunk), None))
            names.append(f"data/{split}-{number:05d}-of-{len(chunks):05d}.parquet")
    class_ids = rows["label"].map({name: place for place, name in enumerate(labels)})
    planned = rows.assign(shard=shard_of, label=class_ids)
    planned = planned.sort_values("shard", kind="stable")  # or each task would have to read all of it
    plan = pa.Table.from_pandas(planned, preserve_index=False)
    files.write_atomically(target, lambda temporary: pq.write_table(plan, temporary, row_group_size=10_000))
    return tasks, names


def _metrics(rows: pd.DataFrame, context: Context) -> dict[str, Any]:
    def per_label(chosen: pd.DataFrame) -> dict[str, int]:
        return {name: int((chosen["label"] == name).sum()) for name in context.base.labels}

    by_speech = int((rows["decided_by"] == "speech").sum())
    return {
        "rows": len(rows),
        "groups": int(rows["group_id"].nunique()),
        "labels": per_label(rows),
        "decided_by": {"speech": by_speech, "image": len(rows) - by_speech},
        "splits": {
            name: {"rows": int((rows["split"] == name).sum()), **per_label(rows[rows["split"] == name])}
            for name in SPLITS
        },
        "test_share": (rows["split"] == "test").mean(),
        "fold_rows": rows["fold"].value_counts().sort_index().tolist(),
        "leaks": 0,  # or the stage would have failed
    }


if __name__ == "__main__":
    raise SystemExit(stage_main("assemble", AssembleParams, run, sharded=True))
