"""The same pipeline with a few parameters changed: what a variant changes, and which variants need no asking."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.params import PARAMS_FILE, section
from pipeline.frame.stage import BaseParams
from pipeline.labels.rules import LabelParams, Rule
from pipeline.teachers.params import SECTION, ProbeParams

SEED = "base.seed"  # of the teachers' splits and trainings; rows are not drawn anew
CHANGEABLE = ("synthesize", "train_teacher", "score", "label")
THRESHOLD_STEP = 0.05


@dataclass(frozen=True)
class Variant:
    """`settings`: values by dotted names of params.yaml; `alone`: the modality whose teacher labels by itself."""

    name: str
    settings: Mapping[str, Any]
    alone: str = ""

    def sections(self, sections: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of all sections with the settings; UserError for one that no variant can change."""
        changed: dict[str, Any] = json.loads(json.dumps(sections))
        for key, value in self.settings.items():
            *path, last = key.split(".")
            if key != SEED and key.split(".")[0] not in CHANGEABLE:
                allowed = f"{SEED} or a key of {', '.join(CHANGEABLE)}"
                raise UserError(f"variant {self.name}: {key} cannot be changed here; expected {allowed}")
            place = changed
            for part in path:
                place = place.get(part) if isinstance(place, dict) else None  # type: ignore[assignment]
            if not isinstance(place, dict):
                raise UserError(f"variant {self.name}: {key}: {PARAMS_FILE} has no section {'.'.join(path)}")
            place[last] = value
        return changed


def defaults(sections: Mapping[str, Any], possible_rules: Sequence[Rule]) -> list[Variant]:
    """What can be varied without another voice or checkpoint at hand."""
    label, base = section(sections, "label", LabelParams), section(sections, "base", BaseParams)
    steps = {f"threshold {step:+.2f}": round(label.threshold + step, 6) for step in (-THRESHOLD_STEP, THRESHOLD_STEP)}
    return [
        *(Variant(name, {"label.threshold": value}) for name, value in steps.items() if 0 <= value <= 1),
        *(Variant(f"rule {rule}", {"label.rule": rule}) for rule in possible_rules if rule != label.rule),
        *(Variant(f"{modality} alone", {}, modality) for modality in tables.MODALITIES),
        *(Variant(name, changes) for name, changes in _other_features(sections).items()),
        Variant("another seed", {SEED: base.seed + 1}),
    ]


def _other_features(sections: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Another kind of speech teacher, where the parameters have all that it needs."""
    teacher = section(sections, "train_teacher.speech", SECTION)
    if not isinstance(teacher, ProbeParams) or teacher.words is None:
        return {}
    name = "train_teacher.speech"
    kinds = {
        "acoustic": {f"{name}.features": "acoustic", f"{name}.normalise": "voice"},
        "linguistic": {f"{name}.features": "linguistic", f"{name}.normalise": "none"},
    }
    return {f"{kind} teacher": changes for kind, changes in kinds.items() if kind != teacher.features}
