"""report: the whole run on one page, to look at and to listen to.

In   reports/: metrics, plots and tables of all stages; data/sier, data/predictions, data/audit, data/explanations; what
     was left out: data/{clean,speech,scores,labels,checkpoints}; data/corpora/*/manifest.json
Out  reports/index.html: opens from a disk, asks nothing of a network, 20 MB at most whatever the dataset's size

Shows a sample of the rows, and counts all of them. Equal inputs give equal bytes, unless
`measured` asks for what stages took: .work/usage.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.engine import files, usage
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.params import STRICT
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.labels import rules
from pipeline.reporting import facts, figures, inputs, left_out, page, rows
from pipeline.reporting.inputs import Reports

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
    """See the module's docstring.

    Raises:
        UserError: the network is not one of data/sier, or what a stage left is missing or damaged.
    """
    models = context.sections["models"]
    if params.model not in models or models[params.model]["rows"] != "sier":
        known = ", ".join(name for name, model in models.items() if model["rows"] == "sier")
        raise UserError(f"report.model = {params.model}: expected a network with rows: sier, one of {known}")
    data = context.paths.data
    reports = inputs.read(context.paths.reports)
    rule = _rule(data / "labels" / tables.RULE_FILE)
    labels = context.base.labels
    net_inputs = context.sections["train"]["inputs"]
    seconds_per_frame = net_inputs["duration_seconds"] / net_inputs["n_frames"]
    folders = rows.Folders(data, params.model, labels, rule["remap"], seconds_per_frame)
    shown, total = rows.sample(folders, params.rows, context.base.seed)
    reasons = left_out.read(data, params.rejects)
    values = {
        "reports": reports,
        "metrics": reports.metrics,
        "labels": labels,
        "rule": rule,
        "model": params.model,
        "is_sample": reports.metrics["evaluate"]["origin"] == "sample",
        "dominant": rules.dominant_modality(reports.metrics["label"]["share_decided_by_speech"]),
        "flow": _flow(reports),
        "charts": figures.charts(reports, rule["threshold"], params.model),
        "matrices": figures.matrices(reports, labels, params.model),
        "rows": shown,
        "total": total,
        "reasons": reasons,
        "most_examples": params.rejects,
        "parameters": facts.parameters(context.sections),
        "versions": facts.versions(),
        "corpora": facts.corpora(data),
        "outputs": facts.outputs(data, reports),
        "measured": usage.read(context.paths.work) if params.measured else None,
    }
    text = page.render(values).encode()
    files.write_bytes(context.paths.reports / PAGE, text)
    notes = (f"reports/{PAGE}: {len(text) / 1e6:.1f} MB, {len(shown)} of {total:,} rows to look at",)
    return Report(total, total, notes=notes)


def _rule(path: Path) -> dict[str, Any]:
    try:
        rule: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise UserError(f"{path}: missing or damaged; run: dvc repro label --force") from None
    return rule


def _flow(reports: Reports) -> list[tuple[str, int, int]]:
    """(step, rows that are left after it, rows that it left out)."""
    metrics = reports.metrics
    scored = metrics["label"]["rows_in"]
    spoken = metrics["synthesize"]["rows_out"]
    steps = [
        ("pairs of tweet and picture", metrics["clean"]["rows_in"]),
        ("clean", metrics["clean"]["rows_out"]),
        ("spoken", spoken),
        ("scored by both teachers", scored),
        ("sure enough: the dataset", metrics["assemble"]["rows"]),
    ]
    before = [steps[0][1], *(count for _, count in steps)]
    return [(name, count, previous - count) for (name, count), previous in zip(steps, before, strict=False)]


if __name__ == "__main__":
    raise SystemExit(stage_main("report", ReportParams, run))
