"""A plan as plain values: what a run will take on this machine, and what it lacks.

In   a params file; a pilot of its stages, which is kept in `.work/plan`
Out  values by the keys that `pipeline.planning.show` prints
"""

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pipeline.corpora import b_t4sa, counts, iemocap
from pipeline.corpora.further import acted_speech, meld
from pipeline.engine import files, sealed
from pipeline.engine.environment import device_from_environment, engine_from_environment
from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import UserError
from pipeline.frame import acquired
from pipeline.frame.paper import B_T4SA_ROWS, LABELLED_ROWS
from pipeline.frame.params import read_params
from pipeline.planning import estimate, gpus, needs, networks, pilot

FOLDER = Path(".work", "plan")
# What makes stages faster or slower without being a parameter.
ENVIRONMENT = ("SIER_ENGINE", "SIER_WORKERS", "SIER_THREADS", "SIER_DEVICE")
HASHED_BYTES = 2**26
PAPER_KEPT_SHARE = LABELLED_ROWS["kept"] / LABELLED_ROWS["rows_in"]
LEARNT_FROM = (("speech", "iemocap"), ("image", "fi"))
# Items by label, as published; of formats of anybody's own nothing is known before they are read.
PUBLISHED: Mapping[str, Mapping[str, int]] = {
    "iemocap": iemocap.KNOWN_COUNTS, "fi": counts.FI_LISTS, "meld": meld.KNOWN,
    **{form: {label: rows for naming in namings for label, rows in naming.known.items()}
       for form, namings in acted_speech.FORMATS.items()},
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What is planned."""

    params: Path
    rows: int | None  # pairs of tweet and picture; None for those of the corpus
    kept_share: float | None  # of labelled rows over the threshold; None for the pilot's
    pilot_tweets: int
    again: bool = False  # whether to measure anew, even if there is a pilot of these parameters
    measured: Path | None = None  # report of `benchmarks.gpu`; None for the one in `.work`, if there is one


@dataclass(frozen=True)
class Measured:
    """All that is measured before a plan."""

    pilot: pilot.Pilot
    costs: dict[str, networks.Cost]  # of each network; none where a stage failed


_MEASURED = TypeAdapter(Measured)


def make_plan(wanted: Wanted, root: Path) -> dict[str, Any]:
    """The plan of a params file that `sier check` has found sound."""
    sections = read_params(root / wanted.params)
    missing = needs.corpora(sections, root)
    report, told = _gpu_report(wanted, sections, root)
    missing += told
    measured = _measured(sections, wanted, root)
    missing += needs.features(sections) + needs.weights(sections) + needs.pilot_failures(measured.pilot)
    plans: list[estimate.StagePlan] = []
    rows: dict[str, int] = {}
    if measured.pilot.facts:
        amounts = _amounts(sections, measured.pilot, wanted, root)
        rows = estimate.counts(measured.pilot, amounts)
        costs = report.costs if report else measured.costs
        plans = estimate.plan(measured.pilot, costs, amounts, sections, _sha256_bytes_a_second())
        missing += needs.device(plans) + needs.memory(plans)
    linked = _can_link(root)
    disk = _disk(plans, linked=linked)
    disk["downloads_bytes"] = needs.downloads_bytes(sections, root)
    missing += needs.disk(disk["required_bytes"], disk["downloads_bytes"], root)
    return {
        "params": str(wanted.params), "pilot_tweets": measured.pilot.tweets, "machine": _machine(), "rows": rows,
        "kept_share": {"paper": PAPER_KEPT_SHARE, "used": rows["sier_rows"] / rows["speech_rows"] if rows else None},
        "cache_is_linked": linked, "disk": disk, "training": _training(plans, sections, report),
        "stages": [asdict(plan) | {"cache_bytes": 0 if linked else plan.workspace_bytes} for plan in plans],
        "needs": [asdict(need) for need in missing],
    }  # fmt: skip


def _gpu_report(wanted: Wanted, sections: Mapping[str, Any], root: Path) -> tuple[gpus.Report | None, list[needs.Need]]:
    """What was measured on a GPU; UserError if the named report cannot be used, a note if it is that of `.work`."""
    if wanted.measured is not None:
        return gpus.read(wanted.measured, sections), []
    if not (root / gpus.REPORT).is_file():
        return None, []
    try:
        return gpus.read(root / gpus.REPORT, sections), []
    except UserError as error:
        return None, [needs.Need(f"not used: {error}", fatal=False)]


def _training(
    plans: Sequence[estimate.StagePlan], sections: Mapping[str, Any], report: gpus.Report | None
) -> dict[str, Any]:
    """Operations of all networks, and where their seconds come from."""
    trained = [plan for plan in plans if plan.stage.startswith("train@")]
    operations = sum(plan.flops for plan in trained)
    return {
        "networks": len(trained), "flops": operations,
        "checkpoint_bytes": sum(plan.checkpoint_bytes for plan in trained),
        "seconds": sum(plan.seconds or 0.0 for plan in trained),
        "measured_on": report and report.device, "measured_in": report and str(report.path),
        "gpu_hours": {} if report else gpus.hours(operations, sections["train"]),
    }  # fmt: skip


def _measured(sections: Mapping[str, Any], wanted: Wanted, root: Path) -> Measured:
    path = kept_path(sections, wanted.pilot_tweets, root)
    if not wanted.again and sealed.is_whole(path.parent):
        with suppress(ValueError):  # of other code
            return _MEASURED.validate_json(path.read_bytes())
    print(f"plan: a pilot of every stage with {wanted.pilot_tweets} tweets runs first", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="sier-plan-") as folder:
        results = pilot.measure(sections, wanted.pilot_tweets, Path(folder))
    if not results.facts:
        return Measured(results, {})
    measured = Measured(results, networks.measure(sections))
    keep(measured, path)
    return measured


def kept_path(sections: Mapping[str, Any], tweets: int, root: Path) -> Path:
    """Where a pilot of these parameters is kept, of this code and environment, for the plans to come."""
    sources = sorted((PROJECT / "pipeline").rglob("*.py")) + sorted((PROJECT / "models").rglob("*.py"))
    facts = [pilot.pilot_sections(sections, tweets), sections["models"], tweets]
    facts += [{name: os.environ.get(name) for name in ENVIRONMENT}, *map(files.sha256_of, sources)]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return root / FOLDER / key[:16] / "pilot.json"


def keep(measured: Measured, path: Path) -> None:
    """Write what was measured for the plans to come."""
    files.write_bytes(path, _MEASURED.dump_json(measured))
    sealed.seal(path.parent)


def _amounts(sections: Mapping[str, Any], results: pilot.Pilot, wanted: Wanted, root: Path) -> estimate.Amounts:
    acquire, facts = sections["acquire"], results.facts
    # What a corpus has by its sample's size, as in the pilot.
    per_sampled = {corpus: results.runs[f"acquire@{corpus}"][1].units for corpus in pilot.CORPORA}
    given = {corpus: _given(acquire[corpus], root) for corpus in pilot.CORPORA}
    rows = wanted.rows
    if rows is None and given["b_t4sa"]:
        rows = _listed_rows(given["b_t4sa"]) or B_T4SA_ROWS
    elif rows is None:
        rows = round(facts["rows"] / per_sampled["b_t4sa"] * acquire["b_t4sa"]["sample_size"])
    items = {}
    for modality, corpus in LEARNT_FROM:
        classes = sections["train_teacher"][modality]["classes"]
        used = results.runs[f"train_teacher@{modality}"][1].units
        if folder := given[corpus]:
            there = items_by_label(acquire[corpus].get("format") or corpus, folder)
            items[modality] = sum(count for label, count in there.items() if classes.get(label) is not None)
        else:
            items[modality] = round(used / per_sampled[corpus] * acquire[corpus]["sample_size"])
    kept = facts["kept_rows"] / facts["speech_rows"] if wanted.kept_share is None else wanted.kept_share
    sizes = {corpus: _tree_bytes(folder) if folder else 0 for corpus, folder in given.items()}
    if given["b_t4sa"] and not sizes["b_t4sa"]:
        sizes["b_t4sa"] = needs.B_T4SA_BYTES
    return estimate.Amounts(rows, kept, items, sizes)


def _given(acquire: Mapping[str, Any], root: Path) -> Path | None:
    """Where the corpus lies or will lie, None for the sample."""
    if acquire["path"] is not None:
        return (root / Path(acquire["path"]).expanduser()).resolve()
    return Path(os.devnull) if acquire["url"] is not None else None


def items_by_label(form: str, folder: Path) -> Mapping[str, int]:
    """Items of a teacher's corpus: as published, or those in the folder where no published numbers are known."""
    is_emoset = form == "fi" and all((folder / name).is_file() for name in acquired.EMOSET_LISTS)
    if form in PUBLISHED and not is_emoset:
        return PUBLISHED[form]
    with suppress(UserError):  # as `needs.corpora` says
        return counts.count(form, folder).numbers
    return {}


def _listed_rows(folder: Path) -> int:
    """Lines of B-T4SA's lists of splits; 0 if they are not there."""
    lists = [folder / f"b-t4sa_{split}.txt" for split in b_t4sa.SPLITS]
    return sum(path.read_bytes().count(b"\n") for path in lists if path.is_file())


def _tree_bytes(folder: Path) -> int:
    if folder.is_file():
        return folder.stat().st_size
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _sha256_bytes_a_second() -> float:
    data = bytes(HASHED_BYTES)
    begin = time.perf_counter()
    hashlib.sha256(data)
    return HASHED_BYTES / (time.perf_counter() - begin)


def _can_link(root: Path) -> bool:
    """Whether DVC's cache can hold hard links of outputs: both on one file system that has them."""
    cache = root / ".dvc"
    if not cache.is_dir():
        raise UserError(f"{cache.resolve()}: no such folder; run from the project's folder, or git clone it again")
    work = root / FOLDER
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
    peak = stays + max((plan.work_peak_bytes - plan.work_bytes for plan in plans), default=0)
    cache = 0 if linked else workspace
    return {
        "workspace_bytes": workspace, "cache_bytes": cache, "work_bytes": stays, "work_peak_bytes": peak,
        "required_bytes": workspace + cache + peak,
    }  # fmt: skip


def _machine() -> dict[str, Any]:
    workers = engine_from_environment().workers
    return {"cores": os.cpu_count(), "workers": workers, "device": device_from_environment()}
