"""One look at a whole project, or at some of its folders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.engine.progress import Progress
from pipeline.frame.params import PARAMS_FILE, read_params, section
from pipeline.frame.stage import BaseParams, Paths
from pipeline.networks.params import TrainParams, read_models
from pipeline.verification import meaning, outputs
from pipeline.verification.folders import STAGES, Verification
from pipeline.verification.media import Media
from pipeline.verification.shard_files import Fault


@dataclass
class Look:
    """What was looked at, and what is not as it should be."""

    names: Sequence[str]  # folders of data/ with shards
    shards: int = 0
    rows: int = 0
    others: int = 0  # outputs compared with dvc.lock
    faults: list[Fault] = field(default_factory=list)


def look_at(paths: Paths, names: Sequence[str], media: Media, *, whole: bool) -> Look:
    """Check the folders `names` of data/, and with `whole` also what is made of them: networks, explanations, reports.

    Raises UserError: params.yaml is not what it should be.
    """
    sections = read_params(paths.root / PARAMS_FILE)
    labels = section(sections, "base", BaseParams).labels
    verification = Verification(paths, labels, names, media)
    look = Look(names, faults=list(verification.faults()))
    look.shards, look.rows = verification.shards, verification.rows
    if not whole:
        return look
    folders = {(paths.data / name).as_posix() for name in names}
    look.others = len(_known(paths, folders))
    with Progress(unit="B", unit_scale=True, desc="verify: outputs") as bar:
        look.faults += outputs.check_outputs(paths.root, folders, corpora=media == "all", tick=bar.update)
    look.faults += meaning.check_explanations(paths.data / "explanations")
    sier = verification.dataset()
    if sier is not None:
        look.faults += meaning.check_counts(paths, sier)
        if media != "none":
            models, train = read_models(dict(sections)), section(sections, "train", TrainParams)
            look.faults += meaning.check_networks(paths, models, train, labels, sier)
    look.faults = list(_told_once(look.faults))
    return look


def stages_of_outputs(paths: Paths) -> dict[Path, str]:
    """Which stage makes what: the folders of shards, and what dvc.lock names besides."""
    known = {paths.data / name: stage for name, stage in STAGES.items()}
    return known | _known(paths, {path.as_posix() for path in known})


def _known(paths: Paths, folders: set[str]) -> dict[Path, str]:
    try:
        listed = outputs.read_outputs(paths.root)
    except (ValueError, KeyError, TypeError):
        return {}
    return {paths.root / name: stage for name, (stage, _) in listed.items() if name not in folders}


def _told_once(faults: Sequence[Fault]) -> Iterator[Fault]:
    """A network whose file has changed is told by its own record, and again by dvc.lock."""
    damaged = {fault.where for fault in faults if fault.kind == "output"}
    for fault in faults:
        if fault.kind != "network" or not any(where.is_relative_to(fault.where) for where in damaged):
            yield fault
