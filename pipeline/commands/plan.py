"""What a run will take on this machine, and what it lacks, before days of computing.

    sier plan                                               of params.yaml
    sier plan --params params.paper.yaml --rows 470586

In   a params file; a pilot of every stage on a few tweets of the sample, some minutes, kept in `.work/plan`
Out  a table of stages: units, shards, hours, disk; then hours of speech, what is missing. Nothing else is changed

Exit code 1 if the run cannot succeed as things are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.commands.check import check
from pipeline.corpora import b_t4sa, counts, iemocap
from pipeline.engine import files
from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import UserError
from pipeline.frame.params import PARAMS_FILE, read_params
from pipeline.frame.running import say
from pipeline.planning import estimate, needs, networks, pilot
from pipeline.planning.show import show

PILOT_TWEETS = 60
_HASHED_BYTES = 2**26
PAPER_ROWS = counts.B_T4SA["listed images"]
PAPER_KEPT_SHARE = 80_893 / 470_586
# What makes stages faster or slower without being a parameter.
_ENVIRONMENT = ("SIER_ENGINE", "SIER_WORKERS", "SIER_THREADS", "SIER_DEVICE")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("--params", type=Path, default=Path(PARAMS_FILE), help=f"by default {PARAMS_FILE}")
    parser.add_argument("--rows", type=_rows, help="pairs of tweet and picture; by default those of the corpus")
    parser.add_argument("--kept-share", type=_share, help="of labelled rows over the threshold; the pilot's by default")
    parser.add_argument("--pilot-tweets", type=_tweets, default=PILOT_TWEETS, help=f"by default {PILOT_TWEETS}")
    parser.add_argument("--again", action="store_true", help="measure anew, even if there is a pilot of these params")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the plan; returns 1 if the run cannot succeed as things are."""
    found = make(options, Path())
    print(json.dumps(found, indent=1)) if options.json else say(show(found))
    return 1 if any(need["fatal"] for need in found["needs"]) else 0


def make(options: argparse.Namespace, root: Path) -> dict[str, Any]:
    """The plan as plain values; see `pipeline.planning.show` for its keys.

    Raises:
        UserError: the params file is wrong.
    """
    check(root / options.params)
    sections = read_params(root / options.params)
    missing = needs.corpora(sections, root)
    measured, costs = _pilot(sections, options, root)
    missing += needs.weights(sections) + needs.pilot_failures(measured)
    plans: list[estimate.StagePlan] = []
    rows: dict[str, int] = {}
    if measured.facts:
        amounts = _amounts(sections, measured, options, root)
        rows = estimate.counts(measured, amounts)
        plans = estimate.plan(measured, costs, amounts, sections, _sha256_bytes_a_second())
        missing += needs.device(plans)
    linked = _can_link(root)
    disk = _disk(plans, linked=linked)
    disk["downloads_bytes"] = needs.downloads_bytes(sections, root)
    missing += needs.disk(disk["required_bytes"], disk["downloads_bytes"], root)
    return {
        "params": str(options.params), "pilot_tweets": measured.tweets, "machine": _machine(), "rows": rows,
        "kept_share": {"paper": PAPER_KEPT_SHARE, "used": rows["sier_rows"] / rows["speech_rows"] if rows else None},
        "cache_is_linked": linked, "disk": disk,
        "stages": [asdict(plan) | {"cache_bytes": 0 if linked else plan.workspace_bytes} for plan in plans],
        "needs": [asdict(need) for need in missing],
    }  # fmt: skip


def kept_pilot(sections: Mapping[str, Any], tweets: int, root: Path) -> Path:
    """Where a pilot of these parameters is kept, of this code and environment."""
    sources = sorted((PROJECT / "pipeline").rglob("*.py")) + sorted((PROJECT / "models").rglob("*.py"))
    made = pilot.pilot_sections(sections, tweets)
    facts = [made, sections["models"], tweets, {name: os.environ.get(name) for name in _ENVIRONMENT}]
    facts += [files.sha256_of(path) for path in sources]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return root / ".work" / "plan" / f"{key[:16]}.json"


def keep(measured: pilot.Pilot, costs: Mapping[str, networks.Cost], path: Path) -> None:
    """Write a pilot for the plans to come."""
    saved = asdict(measured) | {"costs": {name: asdict(cost) for name, cost in costs.items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(path, json.dumps(saved).encode())


def _pilot(
    sections: Mapping[str, Any], options: argparse.Namespace, root: Path
) -> tuple[pilot.Pilot, dict[str, networks.Cost]]:
    kept = kept_pilot(sections, options.pilot_tweets, root)
    if kept.is_file() and not options.again:
        saved = json.loads(kept.read_bytes())
        runs = {stage: [pilot.Run(**run) for run in runs] for stage, runs in saved["runs"].items()}
        costs = {name: networks.Cost(**cost) for name, cost in saved["costs"].items()}
        return pilot.Pilot(saved["tweets"], runs, saved["facts"]), costs
    print(f"plan: a pilot of every stage with {options.pilot_tweets} tweets runs first", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="sier-plan-") as folder:
        measured = pilot.measure(sections, options.pilot_tweets, Path(folder))
    if not measured.facts:
        return measured, {}
    costs = networks.measure(sections)
    keep(measured, costs, kept)
    return measured, costs


def _amounts(
    sections: Mapping[str, Any], measured: pilot.Pilot, options: argparse.Namespace, root: Path
) -> estimate.Amounts:
    acquire, facts = sections["acquire"], measured.facts
    given = {corpus: _given(acquire[corpus], root) for corpus in pilot.CORPORA}
    rows = options.rows
    if rows is None and given["b_t4sa"]:
        rows = _listed_rows(given["b_t4sa"]) or PAPER_ROWS
    elif rows is None:
        made = measured.runs["acquire@b_t4sa"][1].units
        rows = round(facts["rows"] / made * acquire["b_t4sa"]["sample_size"])
    kept = facts["kept_rows"] / facts["speech_rows"] if options.kept_share is None else options.kept_share
    items = {}
    for modality, corpus, published in (("speech", "iemocap", iemocap.KNOWN_COUNTS), ("image", "fi", counts.FI_LISTS)):
        classes = sections["train_teacher"][modality]["classes"]
        run = measured.runs[f"train_teacher@{modality}"][1]
        made = measured.runs[f"acquire@{corpus}"][1].units
        from_sample = round(run.units / made * acquire[corpus]["sample_size"])
        wanted = sum(count for label, count in published.items() if classes.get(label) is not None)
        items[modality] = wanted if given[corpus] else from_sample
    sizes = {corpus: _tree_bytes(folder) if folder else 0 for corpus, folder in given.items()}
    if given["b_t4sa"] and not sizes["b_t4sa"]:
        sizes["b_t4sa"] = needs.B_T4SA_BYTES
    return estimate.Amounts(rows, kept, items, sizes)


def _given(acquire: Mapping[str, Any], root: Path) -> Path | None:
    """Where the corpus lies or will lie, None for the sample."""
    if acquire["path"] is not None:
        return (root / Path(acquire["path"]).expanduser()).resolve()
    return Path(os.devnull) if acquire["url"] is not None else None


def _listed_rows(folder: Path) -> int:
    """Lines of B-T4SA's lists of splits; 0 if they are not there."""
    found = [folder / f"b-t4sa_{split}.txt" for split in b_t4sa.SPLITS]
    return sum(path.read_bytes().count(b"\n") for path in found if path.is_file())


def _tree_bytes(folder: Path) -> int:
    if folder.is_file():
        return folder.stat().st_size
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0


def _sha256_bytes_a_second() -> float:
    data = bytes(_HASHED_BYTES)
    begin = time.perf_counter()
    hashlib.sha256(data)
    return _HASHED_BYTES / (time.perf_counter() - begin)


def _can_link(root: Path) -> bool:
    """Whether DVC's cache can hold hard links of outputs: both on one file system that has them."""
    cache = root / ".dvc"
    if not cache.is_dir():
        raise UserError(f"{cache.resolve()}: no such folder; run from the project's folder, or git clone it again")
    work = root / ".work" / "plan"
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=work) as file:
        link = cache / "tmp" / Path(file.name).name
        link.parent.mkdir(exist_ok=True)
        try:
            link.hardlink_to(file.name)
        except OSError:
            return False
        link.unlink()
    return True


def _disk(plans: list[estimate.StagePlan], *, linked: bool) -> dict[str, int]:
    """Of the whole run: outputs, the cache's own copies, what stays in `.work`, and the most that a stage adds."""
    workspace = sum(plan.workspace_bytes for plan in plans)
    stays = sum(plan.work_bytes for plan in plans)
    peak = max((plan.work_peak_bytes - plan.work_bytes for plan in plans), default=0)
    cache = 0 if linked else workspace
    return {
        "workspace_bytes": workspace, "cache_bytes": cache, "work_bytes": stays, "work_peak_bytes": stays + peak,
        "required_bytes": workspace + cache + stays + peak,
    }  # fmt: skip


def _machine() -> dict[str, Any]:
    from pipeline.engine.environment import device_from_environment, engine_from_environment  # noqa: PLC0415

    engine = engine_from_environment()
    return {"cores": os.cpu_count(), "workers": engine.workers, "device": device_from_environment()}


def _rows(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a number of rows, 1 or more")
    return int(text)


def _tweets(text: str) -> int:
    if not text.isdecimal() or not 24 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text}: expected a number of tweets, 24 to 10000")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a share above 0 and at most 1")
    return share
