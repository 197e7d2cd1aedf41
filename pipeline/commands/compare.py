"""Two runs side by side: what was set, which rows they keep, which labels differ, and their figures.

    sier compare ../yesterday .          two folders of the project: params.yaml, reports/, data/labels
    sier compare old/reports reports     two folders of reports: figures only

Rows are compared by their ids where both runs have data/labels. Nothing is written.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame.intervals import accuracy_in_words, commonest_class, picture_share_in_words, tested_in_words
from pipeline.frame.metrics_files import read_json
from pipeline.frame.params import PARAMS_FILE, read_params
from pipeline.frame.running import say
from pipeline.labels import words
from pipeline.verification.stale import stale_stages

COLUMNS = ("id", "label", "decided_by", "kept")
MOST_SETTINGS = 40  # that differ; more are counted
MOST_STALE = 4  # stages that are named
MOST_FLIPS = 12  # kinds of them; likewise
METRICS = ("clean", "train_teacher_speech", "train_teacher_image", "label", "assemble", "evaluate", "explain")

Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """A finished run: metrics by stage; labels and parameters where its folder has them."""

    name: str
    metrics: Mapping[str, Metrics]
    labels: pd.DataFrame | None
    settings: Mapping[str, Any] | None
    stale: Sequence[str] = ()  # stages whose figures are of another run, where dvc.lock tells

    @property
    def origin(self) -> str:
        """Whether it is of the embedded sample or of real corpora, as far as it says."""
        return str(self.metrics["evaluate"].get("origin", "unknown origin"))


def read_run(folder: Path) -> Run:
    """Raises UserError: it holds no finished run, or a file of it is damaged."""
    reports = folder / "reports" if (folder / "reports").is_dir() else folder
    if not (reports / "label.json").is_file():
        raise UserError(f"{folder}: expected a run (with reports/label.json) or its folder reports; found neither")
    metrics = {name: read_json(reports / f"{name}.json", "dvc repro") for name in METRICS}
    labels, settings = folder / "data" / "labels", folder / PARAMS_FILE
    whole = reports != folder
    known = whole and settings.is_file()
    return Run(
        str(folder), metrics, _labels(labels) if whole and labels.is_dir() else None,
        dict(_leaves(read_params(settings))) if known else None, tuple(stale_stages(folder) or ()) if known else (),
    )  # fmt: skip


def _labels(folder: Path) -> pd.DataFrame:
    """Raises UserError: the folder is incomplete, or lacks a column."""
    markers = shards.read_manifest(folder, "label")
    frame: pd.DataFrame = shards.read_parts(folder, markers, columns=list(COLUMNS)).to_pandas()
    if missing := [name for name in COLUMNS if name not in frame]:
        raise UserError(f"{folder}: column {missing[0]} is missing; run: dvc repro label --force")
    return frame.set_index("id")


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of everything below a mapping."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def compare(one: Run, other: Run) -> list[str]:
    """Lines of text."""
    lines = [f"A            {one.name} ({one.origin})", f"B            {other.name} ({other.origin})"]
    if one.origin != other.origin:
        lines.append("             Made of different corpora: what differs below may be the corpora's doing")
    for name, run in (("A", one), ("B", other)):
        if run.stale:
            more = f" and {len(run.stale) - MOST_STALE} more" if len(run.stale) > MOST_STALE else ""
            named = ", ".join(run.stale[:MOST_STALE])
            lines.append(f"             {name} is not of one run, by dvc.lock: {named}{more}; run: dvc repro")
        elif run.metrics["label"].get("kept") != run.metrics["assemble"].get("rows"):
            lines.append(f"             {name} is not of one run: its labels and its dataset differ; run: dvc repro")
    return [*lines, *_settings(one, other), *_rows(one, other), *_figures(one.metrics, other.metrics)]


def _settings(one: Run, other: Run) -> Iterator[str]:
    if one.settings is None or other.settings is None:
        yield f"settings     not compared: {PARAMS_FILE} is not in both folders"
        return
    names = list(dict.fromkeys([*one.settings, *other.settings]))
    missing = object()
    differing = [name for name in names if one.settings.get(name, missing) != other.settings.get(name, missing)]
    yield f"settings     {len(differing)} of {len(names)} differ"
    for name in differing[:MOST_SETTINGS]:
        was, becomes = (run.settings.get(name, "(none)") for run in (one, other) if run.settings is not None)
        yield f"  {name}: {was} | {becomes}"
    if len(differing) > MOST_SETTINGS:
        yield f"  and {len(differing) - MOST_SETTINGS} more"


def _rows(one: Run, other: Run) -> Iterator[str]:
    if one.labels is None or other.labels is None:
        yield "rows         not compared: data/labels is not in both folders"
        return
    both = one.labels.merge(other.labels, left_index=True, right_index=True, suffixes=("_a", "_b"))
    yield f"rows         {len(one.labels):,} scored in A, {len(other.labels):,} in B, {len(both):,} in both"
    if both.empty:
        return
    a, b = both["kept_a"].astype(bool), both["kept_b"].astype(bool)
    yield f"kept         of these {(a & b).sum():,} in both, {(a & ~b).sum():,} in A only, {(b & ~a).sum():,} in B only"
    kept = both[a & b]
    if kept.empty:
        return
    flipped = kept[kept["label_a"] != kept["label_b"]]
    yield f"labels       {len(flipped):,} of {len(kept):,} flipped ({len(flipped) / len(kept):.1%})"
    kinds = Counter(zip(flipped["label_a"], flipped["label_b"], strict=True)).most_common()
    for (was, becomes), count in kinds[:MOST_FLIPS]:
        yield f"  {count:>6,}  {was} -> {becomes}"
    if rest := kinds[MOST_FLIPS:]:
        yield f"  {sum(count for _, count in rest):>6,}  in {len(rest)} other ways"
    moved = int((kept["decided_by_a"] != kept["decided_by_b"]).sum())
    yield f"decided by   another teacher in {moved:,} of {len(kept):,} ({moved / len(kept):.1%})"


def _figures(one: Mapping[str, Metrics], other: Mapping[str, Metrics]) -> Iterator[str]:
    """Every figure of both with what it must be read against."""
    networks = list(dict.fromkeys([*one["evaluate"]["models"], *other["evaluate"]["models"]]))
    asked: list[tuple[str, Callable[[Mapping[str, Metrics]], str]]] = [
        ("pairs in", lambda m: f"{m['clean']['rows_in']:,}"),
        ("rows kept", lambda m: f"{m['assemble']['rows']:,} of {m['label']['rows_in']:,} scored"),
        ("labels", lambda m: ", ".join(f"{name} {count:,}" for name, count in m["assemble"]["labels"].items())),
        ("decided by speech", lambda m: f"{m['label']['share_decided_by_speech']:.1%}"),
        ("agreement", lambda m: words.agreement(m["label"]["agreement"]["all_rows"])),
        ("validity", lambda m: words.figures(m["label"]["validity"]["table"][0])),
        ("speech teacher", lambda m: accuracy_in_words(m["train_teacher_speech"]["shown"])),
        ("picture teacher", lambda m: accuracy_in_words(m["train_teacher_image"]["shown"])),
        ("commonest label", lambda m: f"{commonest_class(m['evaluate'], 'sier'):.1%} of the test rows"),
        *((name, lambda m, name=name: " ".join(tested_in_words(m["evaluate"], name))) for name in networks),
        ("picture’s share", lambda m: _share(m["explain"])),
    ]
    yield "figures      in A, then in B"
    for name, tell in asked:
        told = [_told(tell, metrics) for metrics in (one, other)]
        if told[0] == told[1]:
            yield f"  {name:<22}A, B  {told[0]}"
        else:
            yield f"  {name:<22}A     {told[0]}"
            yield f"  {'':<22}B     {told[1]}"


def _told(tell: Callable[[Mapping[str, Metrics]], str], metrics: Mapping[str, Metrics]) -> str:
    """Runs of other versions of the project may lack a figure."""
    try:
        return tell(metrics)
    except (KeyError, IndexError, TypeError):
        return "–"


def _share(explained: Metrics) -> str:
    first, mean, interval = picture_share_in_words(explained)
    return f"{mean} ({interval}, {explained['rows']} rows; {first})"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two folders."""
    parser.add_argument("a", metavar="A", type=Path, help="a run's folder, or its folder reports")
    parser.add_argument("b", metavar="B", type=Path, help="another")


def run(options: argparse.Namespace) -> None:
    """Print the comparison; UserError if a folder holds no finished run."""
    say("\n".join(compare(read_run(options.a), read_run(options.b))))
