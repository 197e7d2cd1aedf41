"""From the labels of a ready classifier to the classes of a teacher.

In   logits [n, labels] and a map label -> class, or null to leave the label out
Out  probabilities float32 [n, classes], classes in alphabetical order
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from models.errors import ModelError
from models.teachers.calibration import best_temperature

OutsideClasses = Literal["renormalise", "keep"]


@dataclass(frozen=True)
class ClassMap:
    """Sums probabilities of labels into classes."""

    labels: tuple[str, ...]  # of the network, in the order of its outputs
    classes: tuple[str, ...]  # of the teacher
    weights: NDArray[np.float64]  # [labels, classes], 1 where a label belongs to a class
    # Probability on labels without a class: `renormalise` shares it out in proportion, `keep` leaves it out, so that
    # rows sum to less than 1.
    outside_classes: OutsideClasses

    @classmethod
    def of(
        cls, labels: Sequence[str], classes: Mapping[str, str | None], outside_classes: OutsideClasses, where: str
    ) -> Self:
        """The map of `classes` for a network with these labels.

        Raises:
            ModelError: a label is not named, a name is no label of the network, or fewer than two classes are left.
        """
        missing = [label for label in labels if label not in classes]
        unknown = [name for name in classes if name not in labels]
        if missing or unknown:
            fault = f"does not name {missing[0]}" if missing else f"names {unknown[0]}, which the checkpoint has not"
            raise ModelError(f"{where} {fault}; its labels are {', '.join(labels)}")
        names = tuple(sorted({name for name in classes.values() if name is not None}))
        if len(names) < 2:
            raise ModelError(f"{where} keeps the classes {list(names)}; expected two or more")
        weights = np.array([[classes[label] == name for name in names] for label in labels], dtype=np.float64)
        return cls(tuple(labels), names, weights, outside_classes)

    def fit_temperature(self, logits: NDArray[np.floating], truth: Sequence[str]) -> float:
        """The temperature that makes the true classes of held-out logits [n, labels] most likely."""
        columns = np.array([self.classes.index(name) for name in truth], dtype=np.int64)
        inside = self.weights.any(axis=1) if self.outside_classes == "renormalise" else np.ones(len(self.labels), bool)
        exact = logits.astype(np.float64)
        # Labels of the true class have weight 1, others 0; the log of a probability that is too small for a float.
        members = self.weights[:, columns].T

        def loss(temperature: float) -> float:
            likely = logsumexp(exact / temperature, axis=1, b=members)
            return float(np.mean(logsumexp(exact[:, inside] / temperature, axis=1) - likely))

        right = self.probabilities(exact).argmax(axis=1) == columns
        return 1.0 if right.all() else best_temperature(loss)

    def probabilities(self, logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes] of logits [n, labels]."""
        if self.outside_classes == "renormalise":
            # Before the softmax: a row that is sure of a label outside would leave zero divided by zero.
            kept = self.weights.any(axis=1)
            exact = softmax(logits[:, kept].astype(np.float64) / temperature, axis=1) @ self.weights[kept]
        else:
            exact = softmax(logits.astype(np.float64) / temperature, axis=1) @ self.weights
        probabilities: NDArray[np.float32] = exact.astype(np.float32)
        return probabilities
