"""Teachers: models that give an utterance or a picture one probability per emotion.

In   a batch of items (waveforms or pictures, see `models.teachers.encoders`)
Out  float32 [n, classes], columns in the order of `classes`, rows sum to 1 (see `models.teachers.class_map` for `keep`)

A teacher works in two steps, so that a voice's statistics can be taken over representations before any row is
classified: items -> `represent` -> [n, d] -> `classify` -> probabilities.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.special import softmax

from models.errors import ModelError
from models.teachers.encoder_settings import EncoderSettings
from models.teachers.encoders import HEARING_WORDS, Encoder, load_encoder
from models.teachers.standardise import Statistics
from models.teachers.teacher import TEACHER_FILE, Features, Normalise, expect_statistics
from models.teachers.tfidf_encoder import TfidfEncoder

WEIGHTS_FILE = "probe.safetensors"


@dataclass(frozen=True)
class LinearModel:
    """A fitted multinomial logistic regression; `models.teachers.probe_training` fits it, scoring needs no sklearn."""

    coefficients: NDArray[np.float64]  # [classes, d]
    intercepts: NDArray[np.float64]  # [classes]; minus infinity for a class without training rows: probability 0

    def logits(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logits float64 [n, classes] of standardised rows float64 [n, d]."""
        rows = np.ascontiguousarray(rows)
        # Not `rows @ coefficients.T`: BLAS rounds differently with the number of rows and of threads.
        columns = [(rows * weights).sum(axis=1) for weights in self.coefficients]
        return np.stack(columns, axis=1) + self.intercepts


def probabilities_of(logits: NDArray[np.float64], temperature: float = 1.0) -> NDArray[np.float32]:
    """Probabilities float32 [n, classes] of logits / temperature; each row needs at least one finite logit."""
    probabilities: NDArray[np.float64] = softmax(logits / temperature, axis=1)
    return probabilities.astype(np.float32)


@dataclass(frozen=True)
class Probe:
    """A frozen encoder and a multinomial logistic regression on its vectors."""

    encoder: Encoder
    classes: tuple[str, ...]  # in the order of the source map; one without training rows has probability 0
    model: LinearModel  # on standardised vectors
    # `voice`: vectors were standardised per speaker in training, and are per voice in scoring; `none`: by `statistics`.
    normalise: Normalise
    statistics: Statistics | None  # of the training data; None exactly where `normalise` is `voice`
    temperature: float = 1.0  # divides the logits; 1 if not calibrated
    regularisation: float = 1.0  # scikit-learn's C that was chosen; for the record

    def __post_init__(self) -> None:
        if self.model.coefficients.shape != (len(self.classes), self.encoder.dimensions):
            raise ValueError(f"weights {self.model.coefficients.shape} do not fit {self.encoder.name}, {self.classes}")
        if (self.statistics is None) != (self.normalise == "voice"):
            raise ValueError("a probe keeps statistics exactly where normalise is none")

    @property
    def digest(self) -> str:
        """sha256 over encoder, classes, normalisation and every weight, hex."""
        facts = [self.encoder.digest, self.classes, self.normalise, self.temperature]
        digest = hashlib.sha256(json.dumps(facts).encode())
        for name, tensor in sorted(self._tensors().items()):
            digest.update(f"{name}{tensor.shape}".encode() + tensor.astype("<f8").tobytes())
        return digest.hexdigest()

    @property
    def features(self) -> Features:
        """By the encoder: texts or waveforms."""
        return "linguistic" if self.encoder.name in HEARING_WORDS else "acoustic"

    @property
    def by_length(self) -> bool:
        """No: encoders pad nothing."""
        return False

    def check(self, item: Any) -> None:
        """Raises ItemError if the encoder cannot take this item."""
        self.encoder.check(item)

    def represent(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """The encoder's vectors, float32 [n, d]."""
        return self.encoder.encode(batch)

    def logits(self, representation: NDArray[np.float32], statistics: Statistics | None) -> NDArray[np.float64]:
        """Logits float64 [n, classes] before temperature; minus infinity for a class without training rows."""
        expect_statistics(self.normalise, statistics)
        used = statistics or self.statistics
        assert used is not None  # by __post_init__
        return self.model.logits(used.apply(representation))

    def classify(self, representation: NDArray[np.float32], statistics: Statistics | None) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes]; of a row, whatever rows come with it."""
        return probabilities_of(self.logits(representation, statistics), self.temperature)

    def predict_proba(self, batch: Sequence[Any], statistics: Statistics | None = None) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes] of a batch of items."""
        return self.classify(self.represent(batch), statistics)

    def save(self, folder: Path) -> None:
        """Write `teacher.json` and `probe.safetensors` into `folder`; the same probe gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self._tensors(), folder / WEIGHTS_FILE)
        if isinstance(self.encoder, TfidfEncoder):
            self.encoder.save(folder)
        card = {
            "kind": "probe",
            "features": self.features,
            "classes": self.classes,
            "encoder": {"name": self.encoder.name, "digest": self.encoder.digest, **self.encoder.settings.changed},
            "normalise": self.normalise,
            "temperature": self.temperature,
            "regularisation": self.regularisation,
            "digest": self.digest,
        }
        (folder / TEACHER_FILE).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, encoder: Encoder | None = None, *, device: str = "cpu") -> Self:
        """The probe that `save` wrote; without an encoder that is already there, one is made by its name.

        Raises:
            ModelError: a file is missing or broken, or weights or encoder are not those that were saved.
        """
        try:
            card = json.loads((folder / TEACHER_FILE).read_text(encoding="utf-8"))
            tensors = load_file(folder / WEIGHTS_FILE)
            facts = dict(card["encoder"])
            saved_encoder, name = facts.pop("digest"), facts.pop("name")
            encoder = encoder or load_encoder(name, folder, EncoderSettings.of(facts), device=device)
            statistics = Statistics(tensors["mean"], tensors["std"]) if card["normalise"] == "none" else None
            probe = cls(
                encoder=encoder,
                classes=tuple(card["classes"]),
                model=LinearModel(tensors["coefficients"], tensors["intercepts"]),
                normalise=card["normalise"],
                statistics=statistics,
                temperature=card["temperature"],
                regularisation=card["regularisation"],
            )
            saved = card["digest"]
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            found = f"{type(error).__name__}: {error}"
            raise ModelError(f"{folder}: expected a saved probe, found {found}; run train_teacher again") from None
        if encoder.digest != saved_encoder:
            raise ModelError(f"{folder}: trained on another version of encoder {encoder.name}; run train_teacher again")
        if probe.digest != saved:
            raise ModelError(f"{folder}: the weights are not those that were saved; run train_teacher again")
        return probe

    def _tensors(self) -> dict[str, NDArray[np.float64]]:
        tensors = {"coefficients": self.model.coefficients, "intercepts": self.model.intercepts}
        if self.statistics is not None:
            tensors |= {"mean": self.statistics.mean, "std": self.statistics.std}
        return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
