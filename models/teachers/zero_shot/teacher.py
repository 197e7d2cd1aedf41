"""The teacher that is told its classes in words: pictures are compared with phrases, and nothing is trained.

In   RGB pictures
Out  float32 [n, classes], rows sum to 1

CLIP learnt to choose one text among many, by softmax: so does this teacher. SigLIP learnt to judge each pair alone, by
a sigmoid: its logits are not those of exclusive classes, and a softmax over them would mean nothing. Here the
sigmoids of the classes are divided by their sum; a temperature T takes each to the power of 1/T before.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.special import log_expit, softmax

from models.errors import ModelError
from models.teachers.standardise import Statistics
from models.teachers.teacher import TEACHER_FILE, Normalise, expect_statistics
from models.teachers.zero_shot.network import LOADING_ERRORS, ContrastiveNetwork, Origin, PictureNetwork

PLACE = "{}"  # in a template, for a phrase
PHRASES_FILE = "phrases.safetensors"
SOFTMAX = "softmax of scaled cosines, which the network was trained by"
SIGMOIDS = "sigmoid of each class, divided by their sum; the network judges each class on its own"


@dataclass(frozen=True)
class Wording:
    """What classes are called."""

    prompts: Mapping[str, Sequence[str]]  # class -> words or phrases
    templates: Sequence[str]  # sentences with `PLACE`

    @property
    def classes(self) -> tuple[str, ...]:
        """In alphabetical order."""
        return tuple(sorted(self.prompts))

    def directions(self, network: ContrastiveNetwork) -> NDArray[np.float32]:
        """Float32 [classes, d], rows of length 1: the mean direction of each class's phrases in all templates."""
        means = []
        for name in self.classes:
            sentences = [text.replace(PLACE, phrase) for phrase in self.prompts[name] for text in self.templates]
            mean = network.directions(sentences).astype(np.float64).mean(axis=0)
            means.append(mean / np.linalg.norm(mean))
        return np.stack(means).astype(np.float32)


@dataclass(frozen=True)
class ZeroShotTeacher:
    """A network that looks at pictures, and where the classes lie for it."""

    pictures: PictureNetwork
    wording: Wording
    directions: NDArray[np.float32]  # [classes, d], rows of length 1
    scale: float
    bias: float | None  # None: classes compete by softmax; see `ContrastiveNetwork`
    origin: Origin
    temperature: float = 1.0  # 1 if not calibrated

    features: Literal["acoustic"] = "acoustic"  # means nothing for pictures
    normalise: Normalise = "none"
    by_length: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the probability columns."""
        return self.wording.classes

    @property
    def probabilities_are(self) -> str:
        """How they are made, in words."""
        return SOFTMAX if self.bias is None else SIGMOIDS

    @property
    def digest(self) -> str:
        """sha256 over the network, the classes' directions, scale, bias and temperature, hex."""
        facts = [self.pictures.digest, self.classes, self.scale, self.bias, self.temperature]
        return hashlib.sha256(json.dumps(facts).encode() + self.directions.tobytes()).hexdigest()

    def check(self, item: Any) -> None:
        """Every picture can be looked at."""

    def scores(self, directions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Float32 [n, classes] of pictures' directions: logits of CLIP, logarithms of SigLIP's sigmoids."""
        similar = self.scale * (directions.astype(np.float64) @ self.directions.T.astype(np.float64))
        exact = similar if self.bias is None else log_expit(similar + self.bias)
        found: NDArray[np.float32] = exact.astype(np.float32)
        return found

    def represent(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """Scores float32 [n, classes] of pictures."""
        return self.scores(self.pictures.directions(batch))

    def classify(self, representation: NDArray[np.float32], statistics: Statistics | None) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes]."""
        expect_statistics(self.normalise, statistics)
        # Of logarithms of sigmoids, exp and division by the sum is what is wanted, and no softmax of logits.
        probabilities: NDArray[np.float32] = softmax(
            representation.astype(np.float64) / self.temperature, axis=1
        ).astype(np.float32)
        return probabilities

    def predict_proba(self, batch: Sequence[Any], statistics: Statistics | None = None) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes] of a batch of pictures."""
        return self.classify(self.represent(batch), statistics)

    def save(self, folder: Path) -> None:
        """Write `teacher.json`, the half that looks at pictures and the classes' directions into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.pictures.save(folder)
        save_file({"directions": self.directions}, folder / PHRASES_FILE)
        card = {
            "kind": "zero_shot", "features": self.features, "classes": self.classes, "normalise": self.normalise,
            "family": self.pictures.family, **asdict(self.origin), "prompts": dict(self.wording.prompts),
            "templates": self.wording.templates, "scale": self.scale, "bias": self.bias,
            "probabilities_are": self.probabilities_are, "temperature": self.temperature, "digest": self.digest,
        }  # fmt: skip
        for path in folder.iterdir():
            path.chmod(0o644)  # weights come out readable by their owner only, and DVC shares what it caches
        (folder / TEACHER_FILE).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu", batch_size: int = 16, compiled: bool = False) -> Self:
        """The teacher that `save` wrote; ModelError if a file is missing or broken, or the weights are others."""
        try:
            card = json.loads((folder / TEACHER_FILE).read_text(encoding="utf-8"))
            pictures = PictureNetwork.load(folder, card["family"], device=device, batch_size=batch_size)
            directions = load_file(folder / PHRASES_FILE)["directions"]
            wording = Wording(card["prompts"], card["templates"])
            origin = Origin(card["checkpoint"], card["commit"])
            teacher = cls(pictures, wording, directions, card["scale"], card["bias"], origin, card["temperature"])
            saved = card["digest"]
        except (*LOADING_ERRORS, SafetensorError) as error:
            found = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            raise ModelError(f"{folder}: expected a saved teacher, found {found}; run train_teacher again") from None
        if teacher.digest != saved:
            raise ModelError(f"{folder}: the weights are not those that were saved; run train_teacher again")
        if compiled:
            pictures.compile()
        return teacher
