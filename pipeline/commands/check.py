"""Read every section of params.yaml, load what a run will load, and look at the folders of outputs, before DVC deletes
anything.

    sier check                      params.yaml of this folder: its values; corpora, voice, teachers' encoders and
                                    checkpoints, networks and their weights; the SIER_* variables, device, disk, data/,
                                    reports/, DVC and git
    sier check params.paper.yaml    another params file

DVC removes a stage's outputs before it runs the stage, and a late stage starts after days of others: a misspelt key or
a file that does not fit is better found here.
"""

import argparse
from pathlib import Path
from typing import Any

from pipeline import acquire, audit, report
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
from pipeline.speech.params import SynthesizeParams
from pipeline.teachers.params import SECTION, ProbeParams, ScoreParams, expect_consistent
from pipeline.tweets.params import CleanParams

SECTIONS: dict[str, type[Any]] = {
    "base": BaseParams,
    **dict.fromkeys([f"acquire.{corpus}" for corpus in FORMATS], acquire.AcquireParams),
    "clean": CleanParams,
    "synthesize": SynthesizeParams,
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
    label = section(sections, "label", LabelParams)
    label.expect_labels(section(sections, "base", BaseParams).labels)
    label.expect_voters()
    _expect_language(sections)
    share = section(sections, "synthesize", SynthesizeParams).recognition.share
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


def _expect_language(sections: dict[str, Any]) -> None:
    """UserError where something does not know `base.language`."""
    base = section(sections, "base", BaseParams)
    section(sections, "clean", CleanParams).text.expect_language(base.language)
    spoken = section(sections, "synthesize", SynthesizeParams)
    if spoken.voice.engine == "hibari":
        base.expect_english("synthesize.voice.engine = hibari", "it", "expected another with a voice of that")
    if spoken.recognition.share and spoken.recognition.model is None:
        several = "name a Whisper of many languages, or expected a share of 0"
        base.expect_english("synthesize.recognition.model = null", "the packaged Whisper", several)
    words = section(sections, "train_teacher.speech", SECTION)
    if isinstance(words, ProbeParams) and words.words and words.words.encoder.endswith("+vader"):
        where = f"train_teacher.speech.words.encoder = {words.words.encoder}"
        base.expect_english(where, "VADER", "expected sentence-encoder or tf-idf")
    for name, model in section(sections, "models", Models).items():
        if model.hears_words:
            base.expect_english(f"models.{name}.speech_backbone", "this backbone", "leave that model out")
    if section(sections, "explain", ExplainParams).segmentation == "words":
        base.expect_english("explain.segmentation = words", "what finds words", "expected time")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("params", nargs="?", type=Path, default=Path(PARAMS_FILE), help="default: %(default)s")


def run(options: argparse.Namespace) -> None:
    """Check; quiet where all is well."""
    check(options.params)
    from pipeline.planning import ready  # noqa: PLC0415 - torch takes seconds, a misspelt key is said without

    places.expect_repository()
    places.expect_folders()
    environment.engine_from_environment()
    environment.store_from_environment()
    environment.device_from_environment()
    environment.threads_from_environment()
    environment.tracker_from_environment()
    ready.expect_ready(read_params(options.params), Path())
