"""From the outputs of a ready classifier to the classes of a teacher.

In   outputs [n, labels] of a network, and what they have to do with classes
Out  probabilities float32 [n, classes], classes in alphabetical order

A softmax is taken of nothing but logits of exclusive classes; see `heads`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, logsumexp

from models.errors import ModelError
from models.teachers.calibration import best_temperature
from models.teachers.heads import Head

OutsideClasses = Literal["renormalise", "keep"]
Floats = NDArray[np.float64]

LOGIT_MAX = 500.0  # of independent labels: beyond, probabilities are too small for a float
MADE: dict[Head, str] = {
    "exclusive": "softmax of the logits; labels of one class are added",
    "independent": "sigmoid of each label's logit, joined over the labels of a class to the probability that any of "
    "them applies, and divided by the sum over classes",
    "regression": "posterior of the classes given the dimensions: equal priors, and round the prototype of each class "
    "a normal density with one deviation",
}


class OutputMap(ABC):
    """From outputs of one kind of head to probabilities of classes."""

    classes: tuple[str, ...]  # of the teacher
    head: Head

    @property
    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """All that decides the probabilities, as JSON; `load_map` reads it."""

    @abstractmethod
    def _evidence(self, outputs: Floats, temperature: float) -> Floats:
        """Logarithms [n, groups] of what each class has for it; groups beyond `classes` are outside."""

    def log_probabilities(self, outputs: NDArray[np.floating], temperature: float = 1.0) -> Floats:
        """Logarithms of `probabilities`, none of them infinite."""
        evidence = self._evidence(outputs.astype(np.float64), temperature)
        shares: Floats = evidence - logsumexp(evidence, axis=1, keepdims=True)
        return shares[:, : len(self.classes)]

    def probabilities(self, outputs: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes] of outputs [n, labels]."""
        return np.exp(self.log_probabilities(outputs, temperature)).astype(np.float32)

    def fit_temperature(self, outputs: NDArray[np.floating], truth: Sequence[str]) -> float:
        """The temperature that makes the true classes of held-out outputs [n, labels] most likely."""
        columns = np.array([self.classes.index(name) for name in truth], dtype=np.int64)
        rows = np.arange(len(columns))
        if (self.log_probabilities(outputs).argmax(axis=1) == columns).all():
            return 1.0
        return best_temperature(lambda t: -float(self.log_probabilities(outputs, t)[rows, columns].mean()))


@dataclass(frozen=True)
class ClassMap(OutputMap):
    """Labels, of which a class has one or more."""

    labels: tuple[str, ...]  # of the network, in the order of its outputs
    classes: tuple[str, ...]
    class_of: tuple[str | None, ...]  # of each label
    # Probability on labels without a class: `renormalise` shares it out in proportion, `keep` leaves it out, so that
    # rows sum to less than 1.
    outside_classes: OutsideClasses
    head: Literal["exclusive", "independent"] = "exclusive"

    @classmethod
    def of(
        cls,
        labels: Sequence[str],
        classes: Mapping[str, str | None],
        outside_classes: OutsideClasses,
        where: str,
        head: Literal["exclusive", "independent"] = "exclusive",
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
        return cls(tuple(labels), names, tuple(classes[label] for label in labels), outside_classes, head)

    @property
    def facts(self) -> dict[str, Any]:
        """See `OutputMap`."""
        label_classes = dict(zip(self.labels, self.class_of, strict=True))
        return {"head": self.head, "label_classes": label_classes, "outside_classes": self.outside_classes}

    def _evidence(self, outputs: Floats, temperature: float) -> Floats:
        # Labels outside are left out before anything is normalised: a row that is sure of one of them would leave zero
        # divided by zero.
        outside = [None] if self.outside_classes == "keep" and None in self.class_of else []
        groups = [[name == group for name in self.class_of] for group in (*self.classes, *outside)]
        gather = _any_applies if self.head == "independent" else logsumexp
        return np.stack([gather(outputs[:, group] / temperature, axis=1) for group in groups], axis=1)


@dataclass(frozen=True)
class Prototypes(OutputMap):
    """Points among a network's dimensions, one for each class: a normal density round each, with equal priors."""

    classes: tuple[str, ...]
    dimensions: tuple[str, ...]  # that the points name
    columns: tuple[int, ...]  # of these dimensions among the outputs
    points: tuple[tuple[float, ...], ...]  # [classes, dimensions]
    scale: float  # deviation of the densities, in units of the outputs, at temperature 1
    head: Literal["regression"] = "regression"

    @classmethod
    def of(cls, labels: Sequence[str], prototypes: Mapping[str, Mapping[str, float]], scale: float, where: str) -> Self:
        """The map for a network with these dimensions.

        Raises:
            ModelError: fewer than two classes, points that name other dimensions than the first or than the network
                has, or two classes at one point.
        """
        names = tuple(sorted(prototypes))
        if len(names) < 2:
            raise ModelError(f"{where} names the classes {list(names)}; expected two or more")
        dimensions = tuple(sorted(prototypes[names[0]]))
        for name in names:
            if tuple(sorted(prototypes[name])) != dimensions or not dimensions:
                found = ", ".join(prototypes[name]) or "none"
                raise ModelError(f"{where}.{name} names the dimensions {found}; expected those of {names[0]} in all")
        unknown = [name for name in dimensions if name not in labels]
        if unknown:
            raise ModelError(f"{where} names the dimension {unknown[0]}; the checkpoint has {', '.join(labels)}")
        points = tuple(tuple(prototypes[name][dimension] for dimension in dimensions) for name in names)
        if len(set(points)) < len(points):
            raise ModelError(f"{where} gives two classes the same point, between which nothing can tell")
        return cls(names, dimensions, tuple(labels.index(name) for name in dimensions), points, scale)

    @property
    def facts(self) -> dict[str, Any]:
        """See `OutputMap`."""
        points = [dict(zip(self.dimensions, point, strict=True)) for point in self.points]
        named = dict(zip(self.classes, points, strict=True))
        return {"head": self.head, "prototypes": named, "prototype_scale": self.scale}

    def _evidence(self, outputs: Floats, temperature: float) -> Floats:
        away = outputs[:, None, self.columns] - np.array(self.points)[None]
        log_density: Floats = -np.square(away / self.scale).sum(axis=2) / (2 * temperature)
        return log_density


def load_map(facts: Mapping[str, Any], labels: Sequence[str], where: str) -> OutputMap:
    """The map of which `OutputMap.facts` told; KeyError, TypeError or ModelError where they are of no map."""
    if facts["head"] == "regression":
        return Prototypes.of(labels, facts["prototypes"], facts["prototype_scale"], where)
    return ClassMap.of(labels, facts["label_classes"], facts["outside_classes"], where, facts["head"])


def _any_applies(logits: Floats, axis: int) -> Floats:
    """Logarithm of the probability that one or more of independent labels apply."""
    none: Floats = log_expit(-np.clip(logits, -LOGIT_MAX, LOGIT_MAX)).sum(axis=axis)
    return np.log(-np.expm1(none))
