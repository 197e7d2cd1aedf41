"""Read every section of params.yaml, and look at the folders of outputs, before DVC deletes anything.

    sier check                      params.yaml of this folder, the SIER_* variables, data/, reports/, DVC and git
    sier check params.paper.yaml    another params file

DVC removes a stage's outputs before it runs the stage, so a misspelt key is better found here.
"""

import argparse
from pathlib import Path
from typing import Any

from pipeline import acquire, audit, report, synthesize
from pipeline.corpora.checks import FORMATS
from pipeline.dataset.params import AssembleParams
from pipeline.engine import environment
from pipeline.errors import UserError
from pipeline.evaluation.params import EvaluateParams
from pipeline.explanation.params import ExplainParams
from pipeline.frame import places, tables
from pipeline.frame.params import PARAMS_FILE, read_params, section
from pipeline.frame.stage import BaseParams
from pipeline.labels.rules import LabelParams
from pipeline.networks.params import Models, TrainParams
from pipeline.teachers.params import SECTION, ScoreParams, expect_consistent
from pipeline.tweets.params import CleanParams

SECTIONS: dict[str, type[Any]] = {
    "base": BaseParams,
    **dict.fromkeys([f"acquire.{corpus}" for corpus in FORMATS], acquire.AcquireParams),
    "clean": CleanParams,
    "synthesize": synthesize.SynthesizeParams,
    **dict.fromkeys(("train_teacher.speech", "train_teacher.image"), SECTION),
    **dict.fromkeys(("score.speech", "score.image"), ScoreParams),
    "label": LabelParams,
    "assemble": AssembleParams,
    "train": TrainParams,
    "evaluate": EvaluateParams,
    "audit": audit.AuditParams,
    "explain": ExplainParams,
    "models": Models,
    "report": report.ReportParams,
}


def check(path: Path) -> None:
    """Every section of a params file, and no other; UserError about the first fault."""
    sections = read_params(path)
    for name, kind in SECTIONS.items():
        section(sections, name, kind)
    for corpus in FORMATS:
        acquire.format_of(corpus, section(sections, f"acquire.{corpus}", acquire.AcquireParams))
    section(sections, "label", LabelParams).expect_labels(section(sections, "base", BaseParams).labels)
    share = section(sections, "synthesize", synthesize.SynthesizeParams).recognition.share
    for modality in tables.MODALITIES:
        expect_consistent(modality, section(sections, f"train_teacher.{modality}", SECTION), share)
    known: dict[str, set[str]] = {}
    for name in SECTIONS:
        top, _, inner = name.partition(".")
        known.setdefault(top, set()).update([inner] if inner else [])
    for top, value in sections.items():
        if top not in known:
            raise UserError(f"{path.name}: section {top} is not known; expected {', '.join(known)}")
        extra = sorted(set(value) - known[top]) if known[top] else []
        if extra:
            raise UserError(f"{path.name}: {top}.{extra[0]} is not known; expected {', '.join(sorted(known[top]))}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("params", nargs="?", type=Path, default=Path(PARAMS_FILE), help="default: %(default)s")


def run(options: argparse.Namespace) -> None:
    """Check; quiet where all is well."""
    check(options.params)
    places.expect_repository()
    places.expect_folders()
    environment.engine_from_environment()
    environment.store_from_environment()
    environment.device_from_environment()
    environment.threads_from_environment()
