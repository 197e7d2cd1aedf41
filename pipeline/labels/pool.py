"""Rule `log_pool`: both teachers' probabilities multiplied to one opinion, each with its weight."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.labels.rules import Votes, votes

LEAST_PROBABILITY = 1e-6  # a zero would be a veto


@dataclass(frozen=True)
class PooledVotes(Votes):
    """The same under rule `log_pool`, where both teachers decide together."""

    pooled_classes: tuple[str, ...]
    pooled: NDArray[np.float32]  # [rows, classes], summing to 1
    speech_weighs_more: NDArray[np.bool_]  # in the pooled label

    @property
    def speech_decides(self) -> NDArray[np.bool_]:
        """Whether speech adds more to the label than the picture, [rows]; ties go to speech."""
        return self.speech_weighs_more

    @property
    def confidence(self) -> NDArray[np.float32]:
        """The pool's largest probability, float32 [rows]."""
        return np.asarray(self.pooled.max(axis=1))

    @property
    def source_label(self) -> NDArray[np.str_]:
        """The class that has it, of equal ones the first of the speech teacher's, [rows]."""
        return np.asarray(np.array(self.pooled_classes)[self.pooled.argmax(axis=1)])


def pool(
    speech: NDArray[np.float32], speech_classes: Sequence[str], image: NDArray[np.float32],
    image_classes: Sequence[str], speech_weight: float, neutral: Collection[str],
) -> PooledVotes:  # fmt: skip
    """Weighted log-opinion pool on the classes that both teachers have: p ~ p_speech^w p_image^(1 - w).

    To a `neutral` class that it does not know a teacher gives an even share. A teacher's part in the label is its
    weighted log probability above the mean of its weighted log probabilities: those of both add up to the pool's.
    """
    names = [name for name in dict.fromkeys((*speech_classes, *image_classes))
             if name in neutral or (name in speech_classes and name in image_classes)]  # fmt: skip
    parts = []
    for values, classes, weight in ((speech, speech_classes, speech_weight), (image, image_classes, 1 - speech_weight)):
        known = [name in classes for name in names]
        shares = np.full((len(values), len(names)), 1 / len(names))
        found = values[:, [classes.index(name) for name in names if name in classes]].astype(np.float64)
        found = np.maximum(found / np.maximum(found.sum(axis=1, keepdims=True), LEAST_PROBABILITY), LEAST_PROBABILITY)
        shares[:, known] = found * (sum(known) / len(names))
        logs = weight * np.log(shares)
        parts.append(logs - logs.mean(axis=1, keepdims=True))
    powers = np.exp(parts[0] + parts[1])
    pooled = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    winners = pooled.argmax(axis=1)
    by_speech, by_image = (np.take_along_axis(part, winners[:, np.newaxis], axis=1)[:, 0] for part in parts)
    alone = votes(speech, speech_classes, image, image_classes)
    return PooledVotes(
        alone.speech_label, alone.speech_max, alone.image_label, alone.image_max,
        tuple(names), pooled, by_speech >= by_image,
    )  # fmt: skip
