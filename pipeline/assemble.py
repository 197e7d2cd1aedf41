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
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.dataset import card, leakage, splits
from pipeline.engine import files, shards
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.errors import UserError
from pipeline.frame import acquired, tables
from pipeline.frame.metrics_files import write_metrics, write_plot
from pipeline.frame.params import STRICT
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.media.audio import SAMPLING_RATE_HZ
from pipeline.tweets.duplicates import GROUPING_FILE, hash_matrix, read_grouping
from pipeline.tweets.text import comparison_text

if TYPE_CHECKING:
    from datasets import Features

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


def features(labels: Sequence[str], speech_classes: Sequence[str], image_classes: Sequence[str]) -> Features:
    """The dataset's columns as Hugging Face features; `fold` is null in test, `word_error_rate` where not measured."""
    from datasets import Audio, ClassLabel, Features, Image, Value  # noqa: PLC0415 - half a second, once

    columns: dict[str, Any] = {
        "id": Value("string"),
        "audio": Audio(sampling_rate=SAMPLING_RATE_HZ),
        "image": Image(),
        "text": Value("string"),
        "label": ClassLabel(names=list(labels)),
        "decided_by": Value("string"),
        "confidence": Value("float32"),
        "agreement": Value("bool"),
    }
    columns |= {f"p_speech_{name}": Value("float32") for name in speech_classes}
    columns |= {f"p_image_{name}": Value("float32") for name in image_classes}
    columns |= {
        "sentiment": Value("string"),
        "group_id": Value("string"),
        "voice": Value("string"),
        "word_error_rate": Value("float32"),
        "fold": Value("int8"),
    }
    return Features(columns)


class Assembler:
    """Worker: joins the media of the rows that the plan gives to a shard."""

    def __init__(self, plan: Path, data: Path, schema: pa.Schema) -> None:
        self.plan = plan
        self.data = data
        self.schema = schema
        self.clean = shards.read_manifest(data / "clean", "clean")
        self.speech = shards.read_manifest(data / "speech", "synthesize")

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of the dataset, in the plan's order."""
        rows = pq.read_table(self.plan, filters=pc.field("shard") == task.index, partitioning=None).to_pylist()
        images = self._media("clean", self.clean, rows, "clean_shard", ["image"])
        recordings = self._media("speech", self.speech, rows, "speech_shard", ["audio"])
        for row in rows:
            identity = row["id"]
            row["image"] = {"bytes": images[identity]["image"], "path": f"{identity}.jpg"}
            row["audio"] = {"bytes": recordings[identity]["audio"], "path": f"{identity}.flac"}
        return shards.Output(pa.Table.from_pylist(rows, schema=self.schema))

    def _media(
        self, folder: str, markers: list[shards.Marker], rows: list[dict[str, Any]], key: str, columns: list[str]
    ) -> dict[str, dict[str, Any]]:
        ids = pa.array([row["id"] for row in rows])
        found: dict[str, dict[str, Any]] = {}
        for index in sorted({row[key] for row in rows}):
            part = shards.read_part(self.data / folder, markers[index], columns=["id", *columns])
            wanted = part.filter(pc.is_in(part["id"], value_set=ids))
            found |= {row["id"]: row for row in wanted.to_pylist()}
        return found


def run(params: AssembleParams, context: Context) -> Report:
    """See the module's docstring.

    Raises:
        UserError: an input is missing, a split would be empty, or rows leak between train and test.
    """
    data = context.paths.data
    rows, classes = _gather(context)
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


def _gather(context: Context) -> tuple[pd.DataFrame, tuple[tuple[str, ...], tuple[str, ...]]]:
    """All kept rows with everything but their media, ordered as in clean; and the classes of both teachers."""
    data = context.paths.data
    labels = _read(data / "labels", "label", None)
    kept = labels[labels["kept"]].drop(columns=["kept", "reason"])
    kept["agreement"] = kept["speech_label"] == kept["image_label"]
    kept["confidence"] = kept[["speech_max", "image_max"]].max(axis=1)
    clean_columns = ["id", "tweet_id", "text", "sentiment", "group_id", "image_phash"]
    wanted = pd.Index(kept["id"])
    clean = _read(data / "clean", "clean", clean_columns, "clean_shard", wanted)
    rows = clean.merge(kept, on="id", validate="one_to_one")
    spoken = _read(data / "speech", "synthesize", ["id", "voice", "word_error_rate"], "speech_shard", wanted)
    rows = rows.merge(spoken, on="id", validate="one_to_one")
    classes = []
    for modality in tables.MODALITIES:
        scores = _read(data / "scores" / modality, f"score@{modality}", None, wanted=wanted)
        names = tables.score_classes(list(scores.columns))
        classes.append(names)
        prefix = tables.PROBABILITY_PREFIX
        scores = scores.rename(columns={prefix + name: f"{prefix}{modality}_{name}" for name in names})
        rows = rows.merge(scores.drop(columns="teacher_digest"), on="id", validate="one_to_one")
    if len(rows) != len(kept):
        raise UserError(
            f"data/labels keeps {len(kept)} rows but only {len(rows)} have picture, speech and scores; run: dvc repro"
        )
    return rows, (classes[0], classes[1])


def _read(
    folder: Path,
    stage: str,
    columns: list[str] | None,
    shard_column: str | None = None,
    wanted: pd.Index[str] | None = None,
) -> pd.DataFrame:
    """A finished folder's rows, of those ids that are `wanted`; `shard_column` says where each stands."""
    parts = []
    for index, marker in enumerate(shards.read_manifest(folder, stage)):
        part = shards.read_part(folder, marker, columns=columns)
        if wanted is not None:
            part = part.filter(pa.array(wanted.get_indexer(part["id"].to_pandas()) >= 0))
        if shard_column:
            part = part.append_column(shard_column, pa.array(np.full(part.num_rows, index)))
        parts.append(part)
    table: pd.DataFrame = pa.concat_tables(parts).to_pandas()
    return table


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
