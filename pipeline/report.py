"""report: the whole run on one page, to look at and to listen to.

In   reports/: metrics, plots and tables of all stages; data/sier, data/predictions, data/audit, data/explanations; what
     was left out: data/{clean,speech,scores,labels,checkpoints}; data/corpora/*/manifest.json
Out  reports/index.html: opens from a disk, asks nothing of a network, 20 MB at most whatever the dataset's size

Shows a sample of the rows, and counts all of them; a map and galleries show more of them, small. Equal inputs give
equal bytes, unless `measured` asks for what stages took: .work/usage.
"""

from dataclasses import asdict
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.engine import files, usage
from pipeline.frame.params import STRICT, expect_network_of_sier
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.labels import rules
from pipeline.reporting import (
    closest,
    embedding,
    figures,
    gallery,
    left_out,
    page,
    provenance,
    rows,
    stage_reports,
    threshold,
)
from pipeline.reporting.stage_reports import Reports

PAGE = "index.html"


@dataclass(frozen=True, config=STRICT)
class ReportParams:
    """Section `report`.

    Attributes:
        rows: of the dataset, on the page with picture and recording.
        rejects: rows named for each reason why rows were left out; all are counted.
        measured: whether to show what each stage took on this machine; such pages differ from run to run.
        model: key of `models` whose answers are shown beside the labels; its rows must be those of data/sier.
    """

    rows: Annotated[int, Field(ge=1, le=500)]
    rejects: Annotated[int, Field(ge=0, le=1000)]
    measured: bool
    model: Annotated[str, Field(min_length=1)]


def run(params: ReportParams, context: Context) -> Report:
    """Raises UserError: the network is not one of data/sier, or what a stage left is missing or damaged."""
    expect_network_of_sier(context.sections, "report.model", params.model)
    data = context.paths.data
    reports = stage_reports.read(context.paths.reports)
    rule = rules.read_rule(data / "labels")
    labels = context.base.labels
    net_inputs = context.sections["train"]["inputs"]
    seconds_per_frame = net_inputs["duration_seconds"] / net_inputs["n_frames"]
    folders = rows.Folders(data, params.model, labels, rule.remap, seconds_per_frame)
    dataset = rows.read(folders)
    shown, total = rows.sample(folders, dataset, params.rows, context.base.seed), len(dataset.light)
    reasons = left_out.read(data, params.rejects)
    kept = threshold.read(data, labels, rule)
    charts = figures.charts(reports, rule.threshold, params.model)
    if validity := figures.validity(kept):
        charts["validity"] = validity
    plan = embedding.read(dataset.light, dataset.answers, [row.id for row in shown], labels, context.base.seed)
    values = {
        "reports": reports,
        "metrics": reports.metrics,
        "labels": labels,
        "rule": rule,
        "model": params.model,
        "is_sample": reports.metrics["evaluate"]["origin"] == "sample",
        "dominant": rules.dominant_modality(reports.metrics["label"]["share_decided_by_speech"]),
        "flow": _flow(reports),
        "charts": charts,
        "data": {
            "charts": {drawn.key: drawn.spec for drawn in charts.values()},
            "labels": labels,
            "thresholds": asdict(kept),
            "map": {**asdict(plan), "spec": figures.scatter()},
        },
        "thresholds": kept,
        "plan": plan,
        "galleries": gallery.read(data, dataset, labels, rule.remap),
        "matrices": figures.matrices(reports, labels, params.model),
        "rows": shown,
        "total": total,
        "closest": closest.read(data, reports.tables["closest_pairs"]),
        "reasons": reasons,
        "most_examples": params.rejects,
        "parameters": provenance.parameters(context.sections),
        "versions": provenance.versions(),
        "corpora": provenance.corpus_files(data),
        "outputs": provenance.outputs(data, reports),
        "measured": usage.read(context.paths.work) if params.measured else None,
    }
    text = page.render(values).encode()
    files.write_bytes(context.paths.reports / PAGE, text)
    notes = (f"reports/{PAGE}: {len(text) / 1e6:.1f} MB, {len(shown)} of {total:,} rows to look at",)
    return Report(total, total, notes=notes)


def _flow(reports: Reports) -> list[tuple[str, int, int]]:
    """(step, rows that are left after it, rows that it left out)."""
    metrics = reports.metrics
    scored = metrics["label"]["rows_in"]
    spoken = metrics["synthesize"]["rows_out"]
    steps = [
        ("pairs of text and picture", metrics["clean"]["rows_in"]),
        ("clean", metrics["clean"]["rows_out"]),
        ("spoken", spoken),
        ("scored by both teachers", scored),
        ("sure enough: the dataset", metrics["assemble"]["rows"]),
    ]
    before = [steps[0][1], *(count for _, count in steps)]
    return [(name, count, previous - count) for (name, count), previous in zip(steps, before, strict=False)]


if __name__ == "__main__":
    raise SystemExit(stage_main("report", ReportParams, run, kept=""))
