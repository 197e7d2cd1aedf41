"""The teacher that is one network, ready or fine-tuned: a classifier of transformers as a `Teacher`.

In   waveforms, texts as heard, or pictures
Out  float32 [n, classes]; rows sum to 1 with `renormalise`, to at most 1 with `keep`

Its representations are the network's outputs: with `normalise: voice` they are standardised by their voice.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.teachers.class_map import MADE, OutputMap, load_map
from models.teachers.ready_network import ReadyNetwork
from models.teachers.standardise import Statistics
from models.teachers.teacher import TEACHER_FILE, Features, Normalise, expect_statistics


@dataclass(frozen=True)
class CheckpointTeacher:
    """A network and a map from its outputs to classes."""

    network: ReadyNetwork
    output_map: OutputMap
    normalise: Normalise  # `voice`: logits are standardised per voice; `none`: taken as they are
    temperature: float = 1.0  # divides the logits; 1 if not calibrated
    # `checkpoint`: taken as it came; `finetune`: trained by this project, so that labels are classes.
    kind: Literal["checkpoint", "finetune"] = "checkpoint"
    commit: str | None = None  # of the repository of the Hub that it came or started from

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the probability columns."""
        return self.output_map.classes

    @property
    def features(self) -> Features:
        """By the network's modality."""
        return "linguistic" if self.network.modality == "words" else "acoustic"

    @property
    def digest(self) -> str:
        """sha256 over the network, the map, normalisation, temperature and the commit, hex."""
        facts = [self.network.digest, self.output_map.facts, self.normalise, self.temperature, self.commit]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def check(self, item: Any) -> None:
        """Raises ItemError if the network cannot take this item."""
        self.network.check(item)

    def represent(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """Outputs of the network, float32 [n, labels]."""
        return self.network.logits(batch)

    def classify(self, representation: NDArray[np.float32], statistics: Statistics | None) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes]; `statistics` exactly where `normalise` is `voice`."""
        expect_statistics(self.normalise, statistics)
        outputs = representation if statistics is None else statistics.apply(representation)
        return self.output_map.probabilities(outputs, self.temperature)

    def predict_proba(self, batch: Sequence[Any], statistics: Statistics | None = None) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes] of a batch of items."""
        return self.classify(self.represent(batch), statistics)

    @property
    def by_length(self) -> bool:
        """Whether it is quicker on batches of items of like length: it pads."""
        return self.network.modality != "image"

    def save(self, folder: Path) -> None:
        """Write `teacher.json`, the network's safetensors and its preprocessor into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.network.save(folder)
        card = {
            "kind": self.kind,
            "modality": self.network.modality,
            "features": self.features,
            "classes": self.classes,
            **self.output_map.facts,
            "probabilities_are": MADE[self.output_map.head],
            "normalise": self.normalise,
            "temperature": self.temperature,
            "commit": self.commit,
            "digest": self.digest,
        }
        for path in folder.iterdir():
            path.chmod(0o644)  # weights come out readable by their owner only, and DVC shares what it caches
        (folder / TEACHER_FILE).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu", batch_size: int = 16, compiled: bool = False) -> Self:
        """The teacher that `save` wrote; ModelError if a file is missing or broken, or the network is another one."""
        try:
            card = json.loads((folder / TEACHER_FILE).read_text(encoding="utf-8"))
            network = ReadyNetwork.load(
                str(folder), card["modality"], device=device, batch_size=batch_size, compiled=compiled
            )
            output_map = load_map(card, network.labels, str(folder))
            kind, commit, saved = card["kind"], card["commit"], card["digest"]
            teacher = cls(network, output_map, card["normalise"], card["temperature"], kind, commit)
        except (OSError, ValueError, KeyError, TypeError) as error:
            found = f"{type(error).__name__}: {error}"
            raise ModelError(f"{folder}: expected a saved teacher, found {found}; run train_teacher again") from None
        if teacher.digest != saved:
            raise ModelError(f"{folder}: the weights are not those that were saved; run train_teacher again")
        return teacher
