"""assemble: the kept rows as a complete Hugging Face dataset folder.

In   data/clean (picture, text, group), data/speech (recording, voice), data/scores/{speech,image}, data/labels;
     for the card: reports/label.json (what the labels go with), reports/train_teacher_{speech,image}.json, manifests of
     the corpora, sections synthesize and train_teacher (what it was made with)
Out  data/sier/data/{train,test}-*.parquet with the columns of `features`, data/sier/README.md (the dataset card)
     reports/assemble.json, reports/closest_pairs.csv, reports/plots/splits.csv

Groups of near-duplicate rows are never torn apart by the split or by the folds (see `pipeline.dataset.splits`); a check
that shares no code with the grouping looks at every pair of a train and a test row, and stops the stage if one was torn
apart all the same. The pairs that are closest by other measures are listed for people to look at.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.dataset import card, closest, sources, splits
from pipeline.dataset.assembler import Assembler
from pipeline.dataset.features import features
from pipeline.dataset.params import AssembleParams
from pipeline.dataset.plan import SPLITS, write_plan
from pipeline.dataset.rows import check_leakage, gather_rows
from pipeline.engine import files, shards
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.metrics_files import read_json, write_metrics, write_plot
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.labels import rules

LIBRARIES = ("datasets", "pyarrow")
CARD_COLUMNS = ("label", "decided_by", "confidence", "agreement", "voice", "word_error_rate")


def run(params: AssembleParams, context: Context) -> Report:
    """Raises UserError: an input is missing, a split would be empty, or rows leak between train and test."""
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
    leaks = check_leakage(rows, data)
    reports = sources.teacher_reports(context.paths.reports)
    rule = rules.read_rule(data / "labels")
    voices = sorted(rows["voice"].unique())
    provenance = sources.gather(context.sections, reports, data / "corpora", voices, rule.further)

    inputs = [data / "clean", data / "speech", data / "labels", *(data / "scores" / name for name in tables.MODALITIES)]
    mark = fingerprint(
        params=params, base=context.base, code=code_version(__file__), libraries=library_versions(LIBRARIES),
        inputs=[files.sha256_of(folder / shards.MANIFEST) for folder in inputs],
    )  # fmt: skip
    work = work_folder(context.paths.work, "assemble", mark)
    stored = work_folder(context.paths.shards, "assemble", mark) / "shards"
    tasks, names = write_plan(rows, context.base.labels, work / "plan.parquet", params.shard_rows)
    # The plan holds the rest, and the memory is wanted by workers.
    rows = rows[[*CARD_COLUMNS, "group_id", "split", "fold"]].copy()
    pa.default_memory_pool().release_unused()
    kinds = features(context.base.labels, *classes, rule.further_columns)
    assembler = partial(Assembler, work / "plan.parquet", data, kinds.arrow_schema)
    markers = run_shards(context.engine, Work("assemble", stored, mark, assembler, tasks))

    metrics = {**_metrics(rows, context), "leaks": leaks}
    normalised = (data / "scores" / "speech" / tables.VOICE_STATISTICS_FILE).is_file()
    label = read_json(context.paths.reports / "label.json", "dvc repro label")
    text = card.render(kinds, markers, names, metrics, label, rows, rule, provenance, normalised, context.base.language)
    shards.publish(stored, markers, data / "sier", {"README.md": text.encode()}, names)
    finish(work, stored.parent)
    near = closest.closest_pairs(data / "sier", context.engine.workers)
    closest.write(near, context.paths.reports)
    write_metrics(context.paths.reports / "assemble.json", {**metrics, "closest": near.compared})
    table = rows.groupby(["split", "label"], sort=True).size().reset_index().itertuples(index=False)
    write_plot(context.paths.reports / "plots" / "splits.csv", ("series", "label", "rows"), table)
    notes = tuple(_split_in_words(name, metrics["splits"][name]) for name in SPLITS)
    return Report(len(rows), len(rows), notes=(*notes, _leaks_in_words(leaks)))


def _split_in_words(name: str, counts: Mapping[str, int]) -> str:
    labels = ", ".join(f"{label} {n:,}" for label, n in counts.items() if label != "rows")
    return f"{name}: {counts['rows']:,} rows ({labels})"


def _leaks_in_words(leaks: Mapping[str, Any]) -> str:
    compared = leaks["compared"]
    rows, images, texts = (compared[name] for name in ("rows", "images", "texts"))
    return (
        f"{leaks['found']} leaks: all {rows['test']:,} test rows against all {rows['train']:,} of train, by tweet, by "
        f"picture (up to {images['at_most_bits']} of 256 bits; nearest {images['nearest_bits']}) and by words (Jaccard "
        f"index from {texts['at_least_jaccard']:g})"
    )


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
    }


if __name__ == "__main__":
    raise SystemExit(stage_main("assemble", AssembleParams, run, sharded=True))
