"""The finished run on one screen, from the metrics of its stages.

    sier summary    rows in, rejected by reason, kept per label, who decided, how good teachers and networks are

It writes nothing.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.frame.running import say
from pipeline.labels import rules

REPORTS = Path("reports")


def summarise(reports: Path) -> list[str]:
    """Lines of text.

    Raises:
        UserError: a stage has not run yet.
    """
    clean, speech, label, assemble = (_read(reports, name) for name in ("clean", "synthesize", "label", "assemble"))
    teachers = {name: _read(reports, f"train_teacher_{name}") for name in ("speech", "image")}
    lines = []
    by_speech = label["share_decided_by_speech"]
    dominant = rules.dominant_modality(by_speech)
    if dominant:
        share = max(by_speech, 1 - by_speech)
        lines.append(f"WARNING      one modality decides: {dominant}, {share:.0%} of the kept rows")
    lines.append(f"rows in      {clean['rows_in']}")
    for stage, metrics in (("clean", clean), ("synthesize", speech)):
        lines += [f"  rejected   {count:>6}  {status} ({stage})" for status, count in metrics["rejected"].items()]
    dropped = label["rows_in"] - label["kept"]
    lines.append(
        f"  dropped    {dropped:>6}  by the label rule, {dropped / label['rows_in']:.0%} of {label['rows_in']} scored"
    )
    lines.append(f"kept         {assemble['rows']}")
    for name, count in assemble["labels"].items():
        train, test = (assemble["splits"][split][name] for split in ("train", "test"))
        lines.append(f"  {name:<10} {count:>6}  train {train}, test {test}")
    decided = assemble["decided_by"]
    shares = ", ".join(f"{name} {count} ({count / assemble['rows']:.0%})" for name, count in decided.items())
    lines.append(f"decided by   {shares}")
    for name, metrics in teachers.items():
        held_out = metrics["held_out"]
        lines.append(f"teacher      {name}: accuracy {held_out['accuracy']:.1%} ({held_out['protocol']})")
    found = label["validity"]["all"]
    if found["cramers_v"] is not None:
        facts = f"{found['low']:.2f} to {found['high']:.2f}; by chance {found['by_chance']:.2f}"
        lines.append(f"validity     Cramer's V {found['cramers_v']:.2f} ({facts}) with the texts' sentiment,")
        lines.append(f"             {label['validity']['note']}")
    lines += _networks(_read(reports, "evaluate"))
    lines += _explained(_read(reports, "explain"))
    lines.append("dataset      data/sier")
    lines.append("tables       reports/table_2.md, reports/table_3.md")
    lines.append("figures      data/explanations/figures")
    lines.append("page         reports/index.html")
    return lines


def _networks(found: dict[str, Any]) -> list[str]:
    """Accuracy of each network on rows it has not seen, and of naming the largest class."""
    lines = ["networks     accuracy on test rows, 95 % interval"]
    for name, network in found["models"].items():
        test = network["test"]
        low, high = test["intervals"]["accuracy"]
        where = f"{test['rows']} rows of {network['rows']}"
        lines.append(f"  {name:<24}{test['accuracy']:6.1%}  {low:.1%} to {high:.1%}, {where}")
    for rows, simple in found["without_training"].items():
        lines.append(f"  {'largest class of ' + rows:<24}{simple['majority_class']['accuracy']:6.1%}")
    return lines


def _explained(found: dict[str, Any]) -> list[str]:
    """How much of an answer rests on the picture, by the first pair of baselines."""
    first, baseline = next(iter(found["baselines"].items()))
    share = baseline["modality_share"]["all"]["image"]
    interval = f"{share['low']:.1%} to {share['high']:.1%}"
    return [
        f"explained    {found['model']}, {found['rows']} rows: of what moves an answer, pictures make up",
        f"             {share['mean']:.1%} ({interval}), speech the rest; for what is absent: {first}",
    ]


def _read(reports: Path, name: str) -> dict[str, Any]:
    path = reports / f"{name}.json"
    try:
        metrics: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise UserError(f"{path}: missing or damaged; run: dvc repro") from None
    return metrics


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """None."""


def run(_options: argparse.Namespace) -> None:
    """Print the summary.

    Raises:
        UserError: a stage has not run, or an older version of the project has.
    """
    try:
        say("\n".join(summarise(REPORTS)))
    except KeyError as error:
        raise UserError(f"{REPORTS}: {error} is missing; run: dvc repro --force") from None
