"""A speech teacher that goes by sound and by words: two probes, and one opinion of both.

In   `Utterance`s: waveform and words heard
Out  float32 [n, classes]: weighted log-opinion pool, p ~ p_acoustic^w p_linguistic^(1 - w), at a temperature
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.teachers.probe import Probe, probabilities_of
from models.teachers.saved import expect_saved, reading, write_card
from models.teachers.standardise import Statistics
from models.teachers.teacher import Features, Normalise, Utterance, expect_statistics

PARTS = ("acoustic", "linguistic")  # folders of a saved one
LEAST_PROBABILITY = 1e-6  # a zero would be a veto


def pooled_logits(
    acoustic: NDArray[np.floating[Any]], linguistic: NDArray[np.floating[Any]], weight: float
) -> NDArray[np.float64]:
    """Logits float64 [n, classes] of the pool of probabilities [n, classes]; `weight` is that of the acoustic ones."""
    logs = [np.log(np.maximum(part.astype(np.float64), LEAST_PROBABILITY)) for part in (acoustic, linguistic)]
    return np.asarray(weight * logs[0] + (1 - weight) * logs[1], dtype=np.float64)


@dataclass(frozen=True)
class FusedProbe:
    """Two probes with the same classes; `weight`: of the acoustic one."""

    acoustic: Probe
    linguistic: Probe
    weight: float
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.acoustic.classes != self.linguistic.classes:
            raise ValueError(f"two sets of classes: {self.acoustic.classes} and {self.linguistic.classes}")

    @property
    def features(self) -> Features:
        """Both."""
        return "fused"

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of both probes."""
        return self.acoustic.classes

    @property
    def normalise(self) -> Normalise:
        """That of the acoustic probe; words have no voice."""
        return self.acoustic.normalise

    @property
    def by_length(self) -> bool:
        """No: encoders pad nothing."""
        return False

    @property
    def digest(self) -> str:
        """sha256 over both probes, weight and temperature, hex."""
        facts = [self.acoustic.digest, self.linguistic.digest, self.weight, self.temperature]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def check(self, item: Utterance) -> None:
        """Raises ItemError if either encoder cannot take its part."""
        self.acoustic.check(item.waveform)
        self.linguistic.check(item.heard)

    def represent(self, batch: Sequence[Utterance]) -> NDArray[np.float32]:
        """Vectors of both encoders side by side, float32 [n, d]."""
        sound = self.acoustic.represent([item.waveform for item in batch])
        return np.hstack([sound, self.linguistic.represent([item.heard for item in batch])])

    def classify(self, representation: NDArray[np.float32], statistics: Statistics | None) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes]; `statistics` are of both vectors side by side."""
        expect_statistics(self.normalise, statistics)
        width = self.acoustic.encoder.dimensions
        of_sound = statistics and Statistics(statistics.mean[:width], statistics.std[:width])
        sound = self.acoustic.classify(representation[:, :width], of_sound)
        words = self.linguistic.classify(representation[:, width:], None)
        return probabilities_of(pooled_logits(sound, words, self.weight), self.temperature)

    def predict_proba(self, batch: Sequence[Utterance], statistics: Statistics | None = None) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes] of a batch."""
        return self.classify(self.represent(batch), statistics)

    def save(self, folder: Path) -> None:
        """Write `teacher.json` and both probes, each in a folder of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, probe in zip(PARTS, (self.acoustic, self.linguistic), strict=True):
            probe.save(folder / name)
        card = {
            "kind": "probe",
            "features": self.features,
            "classes": self.classes,
            "normalise": self.normalise,
            "weight": self.weight,
            "temperature": self.temperature,
            "digest": self.digest,
        }
        write_card(folder, card)

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> Self:
        """What `save` wrote; ModelError: a file is missing or broken, or holds what was not saved."""
        acoustic, linguistic = (Probe.load(folder / name, device=device) for name in PARTS)
        with reading(folder) as card:
            fused = cls(acoustic, linguistic, card["weight"], card["temperature"])
            saved = card["digest"]
            found = fused.digest
        expect_saved(folder, found, saved)
        return fused
