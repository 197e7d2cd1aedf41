"""What was measured of a build, as the cards tell it: nothing here is worked out by hand.

In   reports/*.json, data/labels/rule.json, params.yaml, data/sier without its media, data/audit where there is one
Out  `Facts`; a report that is missing or tells of other rows than data/sier holds is an error
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.dataset import sources
from pipeline.dataset.rows import read_rows
from pipeline.dataset.sources import Provenance
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.audit_table import read_audit
from pipeline.frame.params import PARAMS_FILE, read_params
from pipeline.frame.stage import ENGLISH, Paths
from pipeline.labels.rules import LabelParams, read_rule
from pipeline.publishing.history.versions import Version
from pipeline.stability.report import read

STAGES = {
    "clean": "clean", "synthesize": "synthesize", "train_teacher_speech": "train_teacher@speech",
    "train_teacher_image": "train_teacher@image", "label": "label", "assemble": "assemble",
}  # fmt: skip
HIDDEN_SECTIONS = {"acquire"}  # it holds paths, addresses and names of accounts
_COLUMNS = [
    "id", "label", "decided_by", "confidence", "agreement", "sentiment", "group_id", "voice", "word_error_rate",
]  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """Everything that a card may tell."""

    reports: Mapping[str, Any]  # content of reports/<name>.json; `evaluate` and `stability` where they have been run
    rule: LabelParams
    params: Mapping[str, Any]  # all but section acquire
    labels: tuple[str, ...]
    rows: pd.DataFrame  # of data/sier without media; `label` by name
    provenance: Provenance  # what of others' it was made with
    normalised: bool  # whether the speech teacher normalised voices
    audit: Mapping[str, float] | None  # rows audited, and share of them whose label is doubted
    version: Version | None = None  # of the dataset that is published; decided when its files are there
    on_request: int = 0  # rows that the reports tell of and that are left out, for somebody asked for it

    @property
    def language(self) -> str:
        """Code of the language of texts and speech."""
        return str(self.params["base"].get("language", ENGLISH))

    @property
    def sample_corpora(self) -> list[str]:
        """Which corpora are the embedded sample."""
        return list(self.provenance.samples)


def gather(paths: Paths) -> Facts:
    """All facts of a project; UserError where a stage has not been run, or its report belongs to another build."""
    params = read_params(paths.root / PARAMS_FILE)
    reports = {name: _report(paths, name, stage) for name, stage in STAGES.items()}
    if (paths.reports / "evaluate.json").is_file():
        reports["evaluate"] = _report(paths, "evaluate", "evaluate")
    if stability := read(paths.reports, paths.data / "labels"):
        reports["stability"] = stability
    labels = tuple(params["base"]["labels"])
    rows = read_rows(paths.data / "sier", "assemble", _COLUMNS)
    rows["label"] = rows["label"].map(dict(enumerate(labels)))
    for name in ("assemble", "label"):
        told = reports[name].get("rows", reports[name].get("kept"))
        if told != len(rows):
            raise UserError(
                f"{paths.reports / name}.json tells of {told} rows, data/sier holds {len(rows)}; run: dvc repro {name}"
            )
    audit = read_audit(paths.data)
    teachers = {name: reports[f"train_teacher_{name}"] for name in tables.MODALITIES}
    rule, voices = read_rule(paths.data / "labels"), sorted(rows["voice"].unique())
    return Facts(
        reports=reports,
        rule=rule,
        params={name: value for name, value in params.items() if name not in HIDDEN_SECTIONS},
        labels=labels,
        rows=rows,
        provenance=sources.gather(params, teachers, paths.data / "corpora", voices, rule.further),
        normalised=(paths.data / "scores" / "speech" / tables.VOICE_STATISTICS_FILE).is_file(),
        audit=None if audit is None else {"rows": len(audit), "issues": float(audit["is_issue"].mean())},
    )


def _report(paths: Paths, name: str, stage: str) -> dict[str, Any]:
    path = paths.reports / f"{name}.json"
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise UserError(
            f"{path}: missing or damaged, and a card is made of measured numbers; run: dvc repro {stage}"
        ) from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: damaged; run: dvc repro {stage}")
    return value
