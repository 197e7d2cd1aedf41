"""The finished run on one screen, from the metrics of its stages.

    sier summary    rows in, rejected by reason, kept per label, who decided, how good teachers and networks are

It writes nothing. Figures that are not of the run at hand, by dvc.lock and params.yaml, are named and left out.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.frame.intervals import accuracy_in_words, picture_share_in_words, tested_in_words
from pipeline.frame.metrics_files import read_json
from pipeline.frame.running import say
from pipeline.labels import words
from pipeline.stability import report as stability
from pipeline.verification.stale import NOT_HERE, stale_stages

REPORTS = Path("reports")
MANY = 3
RARELY = 0.01  # of the texts: rules that change fewer are only counted
SHOWN = ("kept rows", "all rows")  # of the table of validity; the page has all of it
PLACES = (
    ("assemble", "dataset      data/sier"),
    ("evaluate", "tables       reports/table_2.md, reports/table_3.md"),
    ("explain", "figures      data/explanations/figures"),
    ("report", "page         reports/index.html"),
)
AS_IT_CAME = (
    "SAMPLE: nothing has been made here yet. These figures came with the project and are those of its embedded "
    "sample; make your own: make repro"
)


def summarise(
    reports: Path, labels: Path = Path("data", "labels"), stale: Mapping[str, str] | None = None
) -> list[str]:
    """Lines of text, of stages that belong to one run; UserError if one of them has not run yet.

    `labels` is the folder of the labels at hand; `stale` has stages whose figures are of another run, and why.
    """
    left_out = stale or {}

    def read(stage: str) -> dict[str, Any] | None:
        if stage in left_out:
            return None
        return read_json(reports / f"{stage.replace('@', '_')}.json", "dvc repro")

    clean, speech, label, assemble, evaluated, explained = (
        read(name) for name in ("clean", "synthesize", "label", "assemble", "evaluate", "explain")
    )
    lines = words.first_lines(label) if label else []
    lines += _rows_in(clean, speech, label)
    if assemble:
        lines += _kept(assemble)
    if label:
        lines += [f"             {line}" for line in label["decided_alone"]]
    for modality in ("speech", "image"):
        if teacher := read(f"train_teacher@{modality}"):
            lines.append(f"teacher      {modality}: accuracy {accuracy_in_words(teacher['shown'])}")
    if label:
        lines.append(f"agreement    {words.agreement(label['agreement']['all_rows'])} of all scored rows")
        lines.append("validity     with the texts' sentiment")
        lines += [f"  {one['of']:<30}{words.figures(one)}, {one['rows']} rows: {one['over']}"
                  for one in label["validity"]["table"] if one["over"] in SHOWN]  # fmt: skip
        lines += _stability(stability.read(reports, labels))
    lines += _networks(evaluated) if evaluated else []
    lines += _explained(explained) if explained else []
    lines += [place for stage, place in PLACES if stage not in left_out]
    return lines + _left_out(left_out)


def _rows_in(clean: dict[str, Any] | None, speech: dict[str, Any] | None, label: dict[str, Any] | None) -> list[str]:
    lines = [f"rows in      {clean['rows_in']}"] if clean else []
    for stage, metrics in (("clean", clean), ("synthesize", speech)):
        rejected = metrics["rejected"] if metrics else {}
        lines += [f"  rejected   {count:>6}  {status} ({stage})" for status, count in rejected.items()]
    if label:
        dropped, scored = label["rows_in"] - label["kept"], label["rows_in"]
        lines.append(f"  dropped    {dropped:>6}  by the label rule, {dropped / scored:.0%} of {scored} scored")
    if clean:
        often = {name: share for name, share in clean["text_rules"].items() if share >= RARELY}
        touched = ", ".join(f"{name} {share:.0%}" for name, share in often.items())
        rest = len(clean["text_rules"]) - len(often)
        more = f"; by {rest} other rules in less than {RARELY:.0%} each" if rest else ""
        lines.append(f"texts        changed for the voice by {touched or 'nothing'}{more}")
    return lines


def _kept(assemble: dict[str, Any]) -> list[str]:
    lines = [f"kept         {assemble['rows']}"]
    for name, count in assemble["labels"].items():
        train, test = (assemble["splits"][split][name] for split in ("train", "test"))
        lines.append(f"  {name:<10} {count:>6}  train {train}, test {test}")
    decided = assemble["decided_by"]
    shares = ", ".join(f"{name} {count} ({count / assemble['rows']:.0%})" for name, count in decided.items())
    return [*lines, f"decided by   {shares}"]


def _left_out(stale: Mapping[str, str]) -> list[str]:
    """The stages whose figures are not shown, those with the same reason in one line."""
    by_reason: dict[str, list[str]] = {}
    for stage, reason in stale.items():
        by_reason.setdefault(reason, []).append(stage)
    if not by_reason:
        return []
    lines = [f"  {_joined(stages)}: {reason}" for reason, stages in by_reason.items()]
    return ["left out     as it is not of this run; run: dvc repro", *lines]


def _joined(stages: Sequence[str]) -> str:
    """Names, those of many networks as their number."""
    networks = [stage for stage in stages if stage.startswith("train@")]
    others = [stage for stage in stages if stage not in networks]
    return ", ".join([*others, *(networks if len(networks) < MANY else [f"train of {len(networks)} networks"])])


def _stability(report: dict[str, Any] | None) -> list[str]:
    """What other settings make of the labels, where somebody has asked and the labels are still the same."""
    if report is None:
        return []
    if not report["current"]:
        return [f"stability    {stability.FILE} tells of other labels than data/labels; run: sier stability"]
    return ["stability    of rows that both keep, labels that other settings change", *stability.lines(report)]


def _networks(evaluated: dict[str, Any]) -> list[str]:
    """Accuracy of each network on rows it has not seen, beside that of always naming the commonest class."""
    lines = ["networks     accuracy on test rows, against pseudo-labels or sentiment, with 95 % intervals"]
    for name, network in evaluated["models"].items():
        accuracy, read = tested_in_words(evaluated, name, f" of {network['rows']}")
        lines.append(f"  {name:<24}{accuracy:>6}  {read}")
    return lines


def _explained(report: dict[str, Any]) -> list[str]:
    """How much of an answer rests on the picture, by the first pair of baselines."""
    first, mean, interval = picture_share_in_words(report)
    what = "answer" if report["target"] == "predicted" else "output for a row's label"
    rests = f"{mean} ({interval}) of its {what} rests on the picture,"
    return [
        f"explained    {report['model']}, {report['rows']} rows: {rests}",
        f"             the rest on speech, by Shapley values against {first}",
    ]


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """None."""


def run(_options: argparse.Namespace) -> None:
    """Print the summary; UserError if a stage has not run, or an older version of the project has."""
    try:
        stale = stale_stages(Path()) or {}
        came = bool(stale) and not Path("data", "clean").exists() and set(stale.values()) >= {NOT_HERE}
        say("\n".join([AS_IT_CAME, *summarise(REPORTS)] if came else summarise(REPORTS, stale=stale)))
    except KeyError as error:
        raise UserError(f"{REPORTS}: {error} is missing; run: dvc repro --force") from None
