"""reports/stability.json: how many labels change with each variant.

In   params.yaml, data/labels, and what the variants' stages read
Out  `variants`: a record each, see `comparison.compare`; `labels_sha256`: of the manifest of the labels that they are
     compared with, by which readers tell whether the figures are of the labels at hand
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.engine import files, shards
from pipeline.frame.metrics_files import read_json
from pipeline.labels import words

FILE = "stability.json"


def digest(labels: Path) -> str | None:
    """Of the labels in this folder; None if there are none."""
    manifest = labels / shards.MANIFEST
    return files.sha256_of(manifest) if manifest.is_file() else None


def read(reports: Path, labels: Path) -> dict[str, Any] | None:
    """The report, with `current`: whether it is of these labels; None if nobody has asked for one."""
    if not (reports / FILE).is_file():
        return None
    report = read_json(reports / FILE, "sier stability")
    return report | {"current": report.get("labels_sha256") == digest(labels)}


def settings(variant: Mapping[str, Any]) -> str:
    """What a variant changes, in one line."""
    return ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in variant["settings"].items())


def lines(report: Mapping[str, Any]) -> list[str]:
    """A line for each variant."""
    return [
        f"  {one['name']:<24}{_differ(one['changed'], one['kept']['both'])}, {one['dropped']} dropped, "
        f"{one['gained']} gained; {words.figures(one['validity']['after'])}"
        for one in report["variants"]
    ]


def _differ(changed: Mapping[str, Any], both: int) -> str:
    if changed["share"] is None:
        return "no row is kept in both"
    return f"{changed['share']:6.1%} ({changed['low']:.1%} to {changed['high']:.1%}) of {both} labels differ"
