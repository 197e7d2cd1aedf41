"""A saved teacher of any kind, by what its `teacher.json` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.teachers.encoders import create_encoder
from models.teachers.probe import Probe
from models.teachers.teacher import TEACHER_FILE, Teacher


def read_card(folder: Path) -> dict[str, Any]:
    """What a saved teacher says of itself: kind, classes, normalise, digest and more, by kind.

    Raises:
        OSError, ValueError: there is no teacher, or its file is damaged.
    """
    card = json.loads((folder / TEACHER_FILE).read_bytes())
    if not isinstance(card, dict) or not {"kind", "classes", "normalise", "digest"} <= set(card):
        raise ValueError(f"{TEACHER_FILE} is not that of a teacher")
    return card


def load_teacher(folder: Path, *, device: str = "cpu", batch_size: int = 16, compiled: bool = False) -> Teacher:
    """The teacher saved in `folder`.

    Args:
        folder: what was given to `save`.
        device: `cpu` or `cuda`.
        batch_size: of a network, at once.
        compiled: whether torch compiles a network; a probe has none that it could.

    Raises:
        ModelError: a file is missing or broken, or the weights are not those that were saved.
        OSError, ValueError: see `read_card`.
    """
    card = read_card(folder)
    if card["kind"] == "probe":
        if compiled:
            raise ModelError(f"{folder}: holds a probe, which torch cannot compile; set compile: false")
        return Probe.load(folder, create_encoder(card["encoder"]["name"], device=device))
    from models.teachers.network_teacher import CheckpointTeacher  # noqa: PLC0415  (takes seconds to import)

    return CheckpointTeacher.load(folder, device=device, batch_size=batch_size, compiled=compiled)
