"""What a run lacks: files, log-ins, weights, a GPU, free disk."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from models.errors import ModelError
from pipeline.corpora import b_t4sa
from pipeline.corpora.checks import CHECKS, FORMATS
from pipeline.downloads.sources import DEFAULT, LOGINS, REQUEST, VARIABLE
from pipeline.engine.environment import device_from_environment
from pipeline.errors import UserError
from pipeline.frame.params import section
from pipeline.networks.params import TrainParams, read_models
from pipeline.planning.estimate import StagePlan
from pipeline.planning.pilot import Pilot

B_T4SA_BYTES = 63 * 10**9  # the tar and the lists, as published
MUCH_SECONDS = 14 * 24 * 3600


@dataclass(frozen=True)
class Need:
    """One thing that is missing, or worth knowing; `fatal` if the run cannot succeed without it."""

    what: str
    fatal: bool


def corpora(sections: Mapping[str, Any], root: Path) -> list[Need]:
    """Copies that are not there or not in their format, log-ins, and which corpora are only the sample."""
    found = []
    for corpus in FORMATS:
        given = sections["acquire"][corpus]
        check = CHECKS[given.get("format") or corpus]
        if given["path"] is not None:
            path = (root / Path(given["path"]).expanduser()).resolve()
            if not path.exists():
                where = f"acquire.{corpus}.path = {given['path']}: no such folder or file"
                found.append(Need(f"{where}; ask for the corpus: {REQUEST[corpus]}", fatal=True))
            elif path.is_dir():
                try:
                    check(path)
                except UserError as error:
                    # Folders around a corpus, and lists of addresses, are found by acquire itself.
                    found.append(Need(f"acquire.{corpus}: {error}", fatal=corpus == "b_t4sa"))
        elif given["url"] is not None:
            user, password = LOGINS[corpus]
            if not (os.environ.get(user) and os.environ.get(password)):
                what = f"acquire.{corpus}.url: {user} and {password} are not set; a server that asks for a log-in"
                found.append(Need(f"{what} will refuse; ask for one: {REQUEST[corpus]}", fatal=False))
        else:
            found.append(Need(f"acquire.{corpus}: neither path nor url, so the sample is made", fatal=False))
    return found


def weights(sections: Mapping[str, Any]) -> list[Need]:
    """Weights of backbones and of teachers' encoders that the Hub or torchvision has and this machine has not."""
    import timm  # noqa: PLC0415 - seconds
    from huggingface_hub import constants, try_to_load_from_cache  # noqa: PLC0415 - as above

    from models.weights.backbones import GOOGLENET_URL, torchvision_file  # noqa: PLC0415 - as above

    backbones = [model[side] for model in sections["models"].values() for side in ("image_backbone", "speech_backbone")]
    wanted = {where: {one["name"] for one in backbones if one["weights"] == where} for where in ("hub", "torchvision")}
    found: dict[str, Need] = {}  # by what is missing; all cuts of GoogLeNet have one file
    for name in sorted(wanted["torchvision"]):
        try:
            path = torchvision_file(name)
        except ModelError as error:
            found[name] = Need(str(error), fatal=True)
        else:
            if not path.is_file():
                found[path.name] = Need(f"{path.name} will be downloaded from {GOOGLENET_URL}", fatal=False)
    probes = [teacher for teacher in sections.get("train_teacher", {}).values() if teacher.get("weights") == "hub"]
    revision_of = {probe["encoder"]: probe.get("revision") for probe in probes}
    for name in sorted({*wanted["hub"], *revision_of}):
        config = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
        repository = config.hf_hub_id if config else name if name in revision_of else None
        kept = (
            repository and try_to_load_from_cache(repository, file, revision=revision_of.get(name))
            for file in ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
        )
        if any(isinstance(path, str) for path in kept):
            continue
        if constants.HF_HUB_OFFLINE:
            what = f"weights of {name} ({repository}) are not in the Hub's cache, and HF_HUB_OFFLINE is set"
            found[name] = Need(f"{what}; unset it, or fill the cache on a machine that is online", fatal=True)
        else:
            found[name] = Need(f"weights of {name} will be downloaded from the Hub ({repository})", fatal=False)
    return list(found.values())


def features(sections: Mapping[str, Any]) -> list[Need]:
    """Networks whose frozen backbones run in every epoch, though their features could be kept without augmentation."""
    train = section(sections, "train", TrainParams)
    lost = {
        name: [modality for modality in model.kept_features if modality not in train.kept_features(model)]
        for name, model in read_models(sections).items()
    }
    names = [f"{name} ({' and '.join(modalities)})" for name, modalities in lost.items() if modalities]
    if not names or not train.cache_features:
        return []
    what = "augmented inputs are others in each epoch, so that features are not kept"
    return [Need(f"train.augment: {what}: frozen backbones of {', '.join(names)} run in every epoch", fatal=False)]


def pilot_failures(pilot: Pilot) -> list[Need]:
    """What stopped a stage of the pilot stops it in the run: a voice, an extra, weights."""
    return [Need(run.error or "", fatal=True) for run in pilot.failures]


def device(plans: Sequence[StagePlan]) -> list[Need]:
    """A GPU that is asked for and not there, or that the run would be glad of."""
    if device_from_environment() == "cuda":
        import torch  # noqa: PLC0415 - seconds

        if not torch.cuda.is_available():
            return [Need("SIER_DEVICE = cuda: torch sees no GPU; check the driver, or unset it", fatal=True)]
        has = torch.cuda.get_device_properties(0).total_memory
        return [
            Need(
                f"{plan.stage}: {_too_little(plan.device_bytes, has, 'of the GPU')}; lower train.batch_size", fatal=True
            )
            for plan in plans
            if plan.device_bytes > has
        ]
    seconds = sum(plan.seconds or 0 for plan in plans)
    if seconds > MUCH_SECONDS:
        days = seconds / 86_400
        return [Need(f"{days:,.0f} days on this machine's cpu; plan on one with a GPU: SIER_DEVICE=cuda", fatal=False)]
    return []


def memory(plans: Sequence[StagePlan]) -> list[Need]:
    """Stages that need more memory than this machine has."""
    has = psutil.virtual_memory().total
    return [
        Need(f"{plan.stage}: {_too_little(plan.memory_bytes, has, 'of memory')}; set SIER_WORKERS lower", fatal=True)
        for plan in plans
        if plan.memory_bytes > has
    ]


def _too_little(needed: int, has: int, what: str) -> str:
    return f"{needed / 1e9:,.1f} GB {what} are needed, there are {has / 1e9:,.1f} GB"


def disk(required_bytes: int, downloads_bytes: int, root: Path) -> list[Need]:
    """Too little free disk, counted once where outputs and downloads share one."""
    downloads = Path(os.environ.get(VARIABLE) or root / DEFAULT).expanduser()
    existing = next(folder for folder in (downloads, *downloads.absolute().parents) if folder.is_dir())
    same = existing.stat().st_dev == root.stat().st_dev
    wanted = {root: required_bytes + (downloads_bytes if same else 0)}
    if not same:
        wanted[existing] = downloads_bytes
    found = []
    for folder, size in wanted.items():
        free = shutil.disk_usage(folder).free
        if size > free:
            name = folder.resolve()
            found.append(Need(f"{name}: {size / 1e9:,.1f} GB are needed, {free / 1e9:,.1f} GB are free", fatal=True))
    return found


def downloads_bytes(sections: Mapping[str, Any], root: Path) -> int:
    """Of what acquire will still download; only B-T4SA's size is known beforehand."""
    given = sections["acquire"]["b_t4sa"]
    if given["path"] is not None or given["url"] is None:
        return 0
    folder = Path(os.environ.get(VARIABLE) or root / DEFAULT).expanduser() / "b_t4sa"
    there = sum(path.stat().st_size for path in folder.rglob(f"{b_t4sa.TAR}*")) if folder.is_dir() else 0
    return max(0, B_T4SA_BYTES - there)
