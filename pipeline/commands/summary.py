"""The finished run on one screen, from the metrics of its stages.

    sier summary    rows in, rejected by reason, kept per label, who decided, how good teachers and networks are

It writes nothing.
"""

import argparse
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.evaluation.intervals import accuracy_in_words
from pipeline.frame.metrics_files import read_json
from pipeline.frame.running import say
from pipeline.labels import words
from pipeline.stability import report as stability

REPORTS = Path("reports")
RARELY = 0.01  # of the texts: rules that change fewer are only counted
SHOWN = ("kept rows", "all rows")  # of the table of validity; the page has all of it
PLACES = (
    "dataset      data/sier",
    "tables       reports/table_2.md, reports/table_3.md",
    "figures      data/explanations/figures",
    "page         reports/index.html",
)


def summarise(reports: Path, labels: Path = Path("data", "labels")) -> list[str]:
    """Lines of text; UserError if a stage has not run yet. `labels` is the folder of the labels at hand."""

    def read(name: str) -> dict[str, Any]:
        return read_json(reports / f"{name}.json", "dvc repro")

    stages = ("clean", "synthesize", "label", "assemble", "evaluate", "explain")
    clean, speech, label, assemble, evaluated, explained = (read(name) for name in stages)
    teachers = {name: read(f"train_teacher_{name}") for name in ("speech", "image")}
    lines = [*words.first_lines(label), f"rows in      {clean['rows_in']}"]
    for stage, metrics in (("clean", clean), ("synthesize", speech)):
        lines += [f"  rejected   {count:>6}  {status} ({stage})" for status, count in metrics["rejected"].items()]
    dropped, scored = label["rows_in"] - label["kept"], label["rows_in"]
    lines.append(f"  dropped    {dropped:>6}  by the label rule, {dropped / scored:.0%} of {scored} scored")
    often = {name: share for name, share in clean["text_rules"].items() if share >= RARELY}
    touched = ", ".join(f"{name} {share:.0%}" for name, share in often.items())
    rest = len(clean["text_rules"]) - len(often)
    more = f"; by {rest} other rules in less than {RARELY:.0%} each" if rest else ""
    lines.append(f"texts        changed for the voice by {touched or 'nothing'}{more}")
    lines.append(f"kept         {assemble['rows']}")
    for name, count in assemble["labels"].items():
        train, test = (assemble["splits"][split][name] for split in ("train", "test"))
        lines.append(f"  {name:<10} {count:>6}  train {train}, test {test}")
    decided = assemble["decided_by"]
    shares = ", ".join(f"{name} {count} ({count / assemble['rows']:.0%})" for name, count in decided.items())
    lines.append(f"decided by   {shares}")
    lines += [f"             {line}" for line in label["decided_alone"]]
    for name, metrics in teachers.items():
        lines.append(f"teacher      {name}: accuracy {accuracy_in_words(metrics['shown'])}")
    lines.append(f"agreement    {words.agreement(label['agreement']['all_rows'])} of all scored rows")
    lines.append("validity     with the texts' sentiment")
    lines += [f"  {one['of']:<30}{words.figures(one)}, {one['rows']} rows: {one['over']}"
              for one in label["validity"]["table"] if one["over"] in SHOWN]  # fmt: skip
    return [
        *lines,
        *_stability(stability.read(reports, labels)),
        *_networks(evaluated),
        *_explained(explained),
        *PLACES,
    ]


def _stability(report: dict[str, Any] | None) -> list[str]:
    """What other settings make of the labels, where somebody has asked and the labels are still the same."""
    if report is None:
        return []
    if not report["current"]:
        return [f"stability    {stability.FILE} tells of other labels than data/labels; run: sier stability"]
    return ["stability    of rows that both keep, labels that other settings change", *stability.lines(report)]


def _networks(evaluated: dict[str, Any]) -> list[str]:
    """Accuracy of each network on rows it has not seen, and of naming the largest class."""
    lines = ["networks     accuracy on test rows, against pseudo-labels or sentiment, 95 % interval"]
    for name, network in evaluated["models"].items():
        test = network["test"]
        low, high = test["intervals"]["accuracy"]
        where = f"{test['rows']} rows of {network['rows']}"
        lines.append(f"  {name:<24}{test['accuracy']:6.1%}  {low:.1%} to {high:.1%}, {where}")
    for rows, simple in evaluated["without_training"].items():
        lines.append(f"  {'largest class of ' + rows:<24}{simple['majority_class']['accuracy']:6.1%}")
    return lines


def _explained(report: dict[str, Any]) -> list[str]:
    """How much of an answer rests on the picture, by the first pair of baselines."""
    first, baseline = next(iter(report["baselines"].items()))
    share = baseline["modality_share"]["all"]["image"]
    interval = f"{share['low']:.1%} to {share['high']:.1%}"
    moved = "an answer" if report["target"] == "predicted" else "the output of a row's label"
    return [
        f"explained    {report['model']}, {report['rows']} rows: of what moves {moved}, pictures make up",
        f"             {share['mean']:.1%} ({interval}), speech the rest; for what is absent: {first}",
    ]


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """None."""


def run(_options: argparse.Namespace) -> None:
    """Print the summary; UserError if a stage has not run, or an older version of the project has."""
    try:
        say("\n".join(summarise(REPORTS)))
    except KeyError as error:
        raise UserError(f"{REPORTS}: {error} is missing; run: dvc repro --force") from None
