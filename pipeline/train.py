"""train: ParallelNet, a baseline or an ablation, on one fold or several, with one seed or several.

In   data/sier (train split only) and, for soft targets, data/labels/rule.json; or data/clean and data/speech for the
     texts' own sentiment
Out  data/checkpoints/<model>: the network of the first seed and fold 0 (config, safetensors, code), those of the
     other runs in runs/seed-<n>-fold-<n>, out_of_fold.parquet (id, seed, fold, label, p_<label>), training.json
     (rows and the curve of each run, sha256 of the other files);
     reports/curves/<model>/seed-<n>-fold-<n>: dvclive's files

The test split is not read here. A run is a training on one fold with one seed. They follow one another; one that is
finished is not trained again.
"""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.engine import files, sealed, shards
from pipeline.engine.environment import device_from_environment
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.work import finish, work_folder
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.metrics_files import write_metrics
from pipeline.frame.params import PARAMS_FILE
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.labels.rules import read_rule
from pipeline.networks import launch
from pipeline.networks.job import CHECKPOINTS_FOLDER, CURVES_FOLDER, NET_FOLDER, RESULT_FILE, Job, run_folder
from pipeline.networks.params import WORD_LIBRARIES, ModelParams, TrainParams, read_models

LIBRARIES = ("accelerate", "numpy", "pyarrow", "scikit-learn", "timm", "torch", "torchvision", "transformers")

# Folders of data/ that rows come from, and the stages that make them.
SOURCES = {"sier": {"sier": "assemble"}, "clean": {"clean": "clean", "speech": "synthesize"}}


def run(params: TrainParams, context: Context) -> Report:
    """Raises UserError: rows or weights are missing, folds are not the dataset's, or the loss is no number."""
    name = context.item
    model = read_models(dict(context.sections))[name]
    device = device_from_environment()
    makers = SOURCES[model.rows]
    for source, maker in makers.items():
        shards.read_manifest(context.paths.data / source, maker)
    folds = params.folds if model.rows == "sier" else (0,)
    _expect_known(params, context)
    # What says how many runs there are, or when one is refused, says nothing of what comes out of a run.
    alike = replace(params, folds=(0,), seeds=(0,), further_seeds={}, max_cut_share=1.0)
    mark = fingerprint(
        params=alike, kept_seed=params.seeds[0] if params.keep_networks == "first" else None,
        base=context.base, model=model, code=code_version(__file__),
        libraries=library_versions(LIBRARIES + (WORD_LIBRARIES if model.hears_words else ())),
        inputs=[files.sha256_of(context.paths.data / source / shards.MANIFEST) for source in makers],
        weights=_weights_digests(model),
        rule=read_rule(context.paths.data / "labels") if model.targets == "soft" else None,
    )  # fmt: skip
    work = work_folder(context.paths.work, f"train.{name}", mark)
    jobs = [
        Job(name, model, params, context.base, seed, fold, device, work / run_folder(seed, fold))
        for seed in params.seeds_of(name)
        for fold in folds
    ]
    results = [_train(job, context) for job in jobs]
    _publish(jobs, results, work / "out", context)
    finish(work)
    rows = results[0]["train_rows"] + results[0]["validation_rows"]
    return Report(rows, rows, notes=(*_notes(results), *_kept(params, model)))


def _weights_digests(model: ModelParams) -> list[str]:
    """Of weights files that parameters name: the same path may hold other weights tomorrow."""
    sources = (model.image_backbone.source, model.speech_backbone.source)
    paths = [source for source in sources if isinstance(source, Path)]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UserError(f"{missing[0]}: no such file; models.*.weights expects a state dict of the backbone")
    return [files.sha256_of(path) for path in paths]


def _expect_known(params: TrainParams, context: Context) -> None:
    unknown = sorted(set(params.further_seeds) - set(read_models(dict(context.sections))))
    if unknown:
        raise UserError(f"{PARAMS_FILE}: train.further_seeds.{unknown[0]}: expected a key of models")


def _expect_few_cut(durations: NDArray[np.float32], train: TrainParams) -> None:
    """A network hears nothing of what is said after `duration_seconds`, in training and ever after."""
    share = float((durations > train.inputs.duration_seconds).mean())
    if share > train.max_cut_share:
        enough = math.ceil(10 * float(np.quantile(durations, 1 - train.max_cut_share))) / 10
        raise UserError(
            f"{PARAMS_FILE}: train.inputs.duration_seconds = {train.inputs.duration_seconds:g}: {share:.0%} of "
            f"{len(durations)} recordings are longer and would be cut, expected at most {train.max_cut_share:.0%} "
            f"(train.max_cut_share); set it to {enough:g}"
        )


def _train(job: Job, context: Context) -> dict[str, Any]:
    """The run's result, of an earlier call if there is one."""
    from pipeline.networks.fold import train_fold  # noqa: PLC0415 - torch takes seconds, wrong names should not
    from pipeline.networks.soft_targets import open_rows  # noqa: PLC0415

    if not sealed.is_whole(job.folder, without=CHECKPOINTS_FOLDER):
        inputs = open_rows(job, context)
        _expect_few_cut(inputs.rows["duration_seconds"].to_numpy(), job.train)
        if launch.wanted():
            launch.launch(job)
        else:
            train_fold(job, inputs)
    result: dict[str, Any] = json.loads((job.folder / RESULT_FILE).read_bytes())
    return result


def _publish(jobs: Sequence[Job], results: Sequence[dict[str, Any]], new: Path, context: Context) -> None:
    """Put the network, what was said of rows held out, and the curves where DVC looks for them."""
    name = jobs[0].name
    files.remove_tree(new)
    for job in jobs:
        kept = new if job is jobs[0] else new / tables.RUNS_FOLDER / job.folder.name
        for path in sorted((job.folder / NET_FOLDER).iterdir()) if job.keeps_network else ():
            files.link_or_copy(path, kept / path.name)
    tables_ = [pq.read_table(job.folder / tables.OUT_OF_FOLD_FILE, partitioning=None) for job in jobs]
    pq.write_table(pa.concat_tables(tables_), new / tables.OUT_OF_FOLD_FILE, compression="zstd")
    probabilities = [column for column in tables_[0].column_names if column.startswith(tables.PROBABILITY_PREFIX)]
    facts = {
        "model": name,
        "rows": jobs[0].model.rows,
        "labels": tables.score_classes(probabilities),
        "parameters": results[0]["parameters"],
        "best_by": jobs[0].train.best_by,
        "runs": [{key: value for key, value in result.items() if key != "parameters"} for result in results],
        "sha256": {
            path.relative_to(new).as_posix(): files.sha256_of(path) for path in sorted(new.rglob("*")) if path.is_file()
        },
    }
    write_metrics(new / tables.TRAINING_FILE, facts)
    curves = new.with_name("curves")
    files.remove_tree(curves)
    for job in jobs:
        shutil.copytree(job.folder / CURVES_FOLDER, curves / job.folder.name)
    files.replace_folder(curves, context.paths.reports / "curves" / name)
    files.replace_folder(new, context.paths.checkpoints / name)


def _kept(params: TrainParams, model: ModelParams) -> list[str]:
    """What has become of the wish to compute features once."""
    if not params.cache_features or not model.freeze_backbone:
        return []
    kept = params.kept_features(model)
    notes = [f"frozen backbones that were run once, not in every epoch: {' and '.join(kept) or 'none'}"]
    if augmented := [modality for modality in model.kept_features if modality not in kept]:
        notes.append(f"run in every epoch, as train.augment changes their inputs: {' and '.join(augmented)}")
    return notes


def _notes(results: Sequence[dict[str, Any]]) -> list[str]:
    notes = []
    for result in results:
        best = result["history"][result["best_epoch"] - 1]
        first = ": the first, so that this network has learnt little" if result["best_epoch"] == 1 else ""
        notes.append(
            f"seed {result['seed']}, fold {result['fold']}: best epoch {result['best_epoch']} of {result['epochs']}"
            f"{first}; validation accuracy {best['validation_accuracy']:.1%} on {result['validation_rows']} rows, "
            f"loss {best['validation_loss']:.3f}"
        )
        if result["never_predicted"]:
            notes.append(f"of the rows held out it calls none {' or '.join(result['never_predicted'])}")
    cut, rows = results[0]["cut_rows"], results[0]["train_rows"] + results[0]["validation_rows"]
    if cut:
        notes.append(f"{cut} of {rows} recordings are longer than what the network hears, and are cut")
    return notes


if __name__ == "__main__":
    raise SystemExit(stage_main("train", TrainParams, run, items="models", kept="finished runs and epochs are kept"))
