"""A saved teacher of any kind, by what its `teacher.json` says."""

import json
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.teachers.fused_probe import FusedProbe
from models.teachers.probe import Probe
from models.teachers.scores_teacher import ScoresTeacher
from models.teachers.teacher import TEACHER_FILE, Teacher

COMPUTED = {"probe": "a probe", "scores": "a table of scores", "endpoint": "an endpoint's name"}  # no networks of ours


def read_card(folder: Path) -> dict[str, Any]:
    """What a saved teacher says of itself: kind, classes, normalise, digest ...; OSError or ValueError without one."""
    card = json.loads((folder / TEACHER_FILE).read_bytes())
    if not isinstance(card, dict) or not {"kind", "features", "classes", "normalise", "digest"} <= set(card):
        raise ValueError(f"{TEACHER_FILE} is not that of a teacher")
    return card


def load_teacher(
    folder: Path, *, device: str = "cpu", batch_size: int = 16, compiled: bool = False, answers: Path | None = None
) -> Teacher:
    """The teacher saved in `folder`; `batch_size` and `compiled` (by torch) are for networks, which a probe is not.

    `answers`: the folder where a teacher that asks an endpoint keeps what it was told.

    Raises:
        ModelError: a file is missing or broken, or the weights are not those that were saved.
        OSError, ValueError: see `read_card`.
    """
    card = read_card(folder)
    if card["kind"] in COMPUTED and compiled:
        raise ModelError(f"{folder}: holds {COMPUTED[card['kind']]}, which torch cannot compile; set compile: false")
    if card["kind"] == "scores":
        return ScoresTeacher.load(folder)
    if card["kind"] == "probe":
        return (
            FusedProbe.load(folder, device=device) if card["features"] == "fused" else Probe.load(folder, device=device)
        )
    if card["kind"] == "endpoint":
        from models.teachers.endpoint.teacher import EndpointTeacher  # noqa: PLC0415  (only who asks one needs it)

        return EndpointTeacher.load(folder, cache_folder=answers)
    if card["kind"] == "zero_shot":
        from models.teachers.zero_shot.teacher import ZeroShotTeacher  # noqa: PLC0415  (takes seconds to import)

        return ZeroShotTeacher.load(folder, device=device, batch_size=batch_size, compiled=compiled)
    from models.teachers.network_teacher import CheckpointTeacher  # noqa: PLC0415  (takes seconds to import)

    return CheckpointTeacher.load(folder, device=device, batch_size=batch_size, compiled=compiled)
