"""Rule `log_pool`: the probabilities of both teachers and of further voters multiplied to one opinion, by weight."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.labels.rules import LabelParams, Said, Votes, votes

LEAST_PROBABILITY = 1e-6  # a zero would be a veto


@dataclass(frozen=True)
class PooledVotes(Votes):
    """The same under rule `log_pool`, where all voters decide together."""

    pooled_classes: tuple[str, ...]
    pooled: NDArray[np.float32]  # [rows, classes], summing to 1
    parts: NDArray[np.float64]  # [voters, rows], what each adds to the label: speech, image, further ones

    @property
    def speech_decides(self) -> NDArray[np.bool_]:
        """Whether speech adds more to the label than the picture, [rows]; ties go to speech."""
        return np.asarray(self.parts[0] >= self.parts[1])

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
    further: Sequence[tuple[Said, float]] = (),
) -> PooledVotes:  # fmt: skip
    """Weighted log-opinion pool on the classes that all voters have: p ~ p_speech^w p_image^(1 - w) of two.

    `further` voters have a weight each, beside those of speech and image, which are 1 together; all are divided by
    their sum, in each row by that of the voters who say something of it: an absent one (NaN) changes nothing.
    To a `neutral` class that it does not know a voter gives an even share. A voter's part in the label is its
    weighted log probability above the mean of its weighted log probabilities: those of all add up to the pool's.
    """
    voters = [(speech, speech_classes, speech_weight), (image, image_classes, 1 - speech_weight)]
    voters += [(*said, weight) for said, weight in further]
    every = dict.fromkeys(name for _, classes, _ in voters for name in classes)
    names = [name for name in every if name in neutral or all(name in classes for _, classes, _ in voters)]
    absent = [np.isnan(values).any(axis=1) for values, _, _ in voters]
    further_weight = sum(np.where(gone, 0.0, one[2]) for one, gone in zip(voters[2:], absent[2:], strict=True))
    total = np.ones((len(speech), 1)) + np.reshape(further_weight, (-1, 1))
    parts = []
    for (values, classes, weight), gone in zip(voters, absent, strict=True):
        known = [name in classes for name in names]
        shares = np.full((len(values), len(names)), 1 / len(names))
        found = values[:, [classes.index(name) for name in names if name in classes]].astype(np.float64)
        found = np.maximum(found / np.maximum(found.sum(axis=1, keepdims=True), LEAST_PROBABILITY), LEAST_PROBABILITY)
        shares[:, known] = found * (sum(known) / len(names))
        logs = (weight / total) * np.log(shares)
        logs[gone] = 0.0
        parts.append(logs - logs.mean(axis=1, keepdims=True))
    powers = np.exp(sum(parts[1:], parts[0]))
    pooled = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    winners = pooled.argmax(axis=1)
    of_label = [np.take_along_axis(part, winners[:, np.newaxis], axis=1)[:, 0] for part in parts]
    alone = votes(speech, speech_classes, image, image_classes)
    return PooledVotes(
        alone.speech_label, alone.speech_max, alone.image_label, alone.image_max,
        tuple(names), pooled, np.stack(of_label),
    )  # fmt: skip


def pooled_votes(said: Mapping[str, Said], rule: LabelParams) -> PooledVotes:
    """The pool of a rule's voters, by what `rules.teachers_probabilities` gives of each."""
    further = [(said[one.name], one.weight) for one in rule.further]
    return pool(*said["speech"], *said["image"], rule.speech_weight, rule.neutral, further)
