"""explain: what in a picture and in speech a network's answer rests on, for a sample of test rows.

In   data/sier (test rows), data/checkpoints/<model>, data/predictions/<model>.parquet
Out  data/explanations: explanations.parquet (see `pipeline.explanation.table`), figures/<id>.png, rejects.parquet
     reports/explain.json and plots (see `pipeline.explanation.summary`)

Rows are drawn label by label, rows that the network gets right and wrong in turn. Explained is the network's answer, or
the output of the row's own label (`target`). `sier explain` explains the answer to any picture and recording.
"""

from dataclasses import asdict
from functools import partial

import pyarrow.parquet as pq

from pipeline.engine import files, shards
from pipeline.engine.environment import device_from_environment
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.errors import UserError
from pipeline.evaluation.unseen import read_sier
from pipeline.explanation import selection
from pipeline.explanation.params import ExplainParams
from pipeline.explanation.summary import REPORTED, report_on
from pipeline.explanation.table import FILE, publish
from pipeline.frame.params import section
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.networks import trained
from pipeline.networks.params import TrainParams, sier_model

LIBRARIES = (
    "ctranslate2", "faster-whisper", "matplotlib", "numpy", "pillow", "pyarrow", "soundfile", "timm", "torch",
    "transformers",
)  # fmt: skip


def run(params: ExplainParams, context: Context) -> Report:
    """Raises UserError: the model is none of this dataset's, what earlier stages left is missing or damaged, or there
    are more parts than pixels, frames or subsets that fit.
    """
    model = sier_model(context.sections, "explain.model", params.model)
    if params.segmentation == "words":
        context.base.expect_english("explain.segmentation = words", "what finds words", "expected time")
    inputs = section(context.sections, "train", TrainParams).inputs
    selection.check_parts(params, model, inputs)
    data = context.paths.data
    left = trained.read(context.paths.checkpoints, params.model, model.rows, context.base.labels)
    predictions = selection.read_predictions(data / "predictions", params.model, context.base.labels)
    chosen = selection.choose(predictions, context.base.labels, params.corpus_rows)
    tasks = selection.tasks(data / "sier", predictions, chosen, params.figures)

    from pipeline.explanation.explainer import RowExplainer  # noqa: PLC0415 - torch takes seconds, wrong parameters none

    # How many are explained changes no row.
    own = {name: value for name, value in asdict(params).items() if name != "corpus_rows"}
    mark = fingerprint(
        params=own, inputs=inputs, seed=context.base.seed, labels=context.base.labels,
        language=context.base.language, rows=[(task.payload.id, task.payload.figure) for task in tasks],
        code=code_version(__file__),
        libraries=library_versions(LIBRARIES),
        data=files.sha256_of(data / "sier" / shards.MANIFEST),
        predictions=files.sha256_of(data / "predictions" / f"{params.model}.parquet"),
        network=[left.training["sha256"][name] for name in ("config.json", "model.safetensors")],
    )  # fmt: skip
    worker = partial(
        RowExplainer,
        data / "sier",
        left,
        params,
        inputs,
        device_from_environment(),
        context.base.seed,
        context.base.language,
    )
    work = Work("explain", work_folder(context.paths.shards, "explain", mark), mark, worker, tasks)
    markers = run_shards(context.engine, work)
    rejects = shards.read_rejects(work.folder, markers)
    if len(rejects) == len(tasks):
        raise UserError(f"{data / 'sier'}: none of {len(tasks)} rows can be explained; the first: {rejects[0][2]}")
    publish(work, markers, rejects, context)
    rejected = {name: count for name, count in shards.total_counts(markers).items() if name != shards.OK}
    explanations = pq.read_table(data / "explanations" / FILE, columns=REPORTED, partitioning=None).to_pandas()
    scale = {
        "model": params.model, "output": params.output, "test_rows": len(predictions), "rows": len(tasks),
        "rejected": len(rejects), "figures": sum(task.payload.figure for task in tasks),
        "segmentation": params.segmentation,
        "methods": {"figures": params.figure_method, "rows": params.method},
    }  # fmt: skip
    weights = selection.stand_for(predictions, set(explanations["id"]))
    explanations["weight"] = weights.loc[explanations["id"]].to_numpy()
    rows = read_sier(data / "sier", "test", teachers=False, more=["group_id"]).set_index("id")
    explanations["group_id"] = rows.loc[explanations["id"], "group_id"].to_numpy()
    scale["test_rows_stood_for"] = round(float(weights.sum()))
    notes = report_on(explanations, params, scale, context.paths.reports)
    finish(work.folder)
    return Report(len(tasks), len(tasks) - len(rejects), rejected, tuple(notes))


if __name__ == "__main__":
    raise SystemExit(stage_main("explain", ExplainParams, run, sharded=True))
