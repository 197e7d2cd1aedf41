"""Sound and words together: how much the acoustic probe weighs in the pool is chosen on rows that neither has seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from models.teachers.calibration import fit_temperature
from models.teachers.encoders import Encoder
from models.teachers.evaluation import evaluate, leave_one_group_out
from models.teachers.fused_probe import FusedProbe, pooled_logits
from models.teachers.probe import Probe, probabilities_of
from models.teachers.probe_training import fit_probe, validation_speakers
from pipeline.teachers.corpora import Item
from pipeline.teachers.params import ProbeParams

WEIGHTS = tuple(step / 20 for step in range(21))  # of the acoustic part, to choose from


@dataclass(frozen=True)
class Fused:
    """The teacher; what stand-ins say about held-out utterances, float32 [n, classes]; figures of sound alone."""

    teacher: FusedProbe
    probabilities: NDArray[np.float32]
    acoustic_alone: dict[str, Any]


def fuse(
    params: ProbeParams, encoder: Encoder, items: Sequence[Item], labels: Sequence[str], vectors: NDArray[np.float32],
    words: Probe, of_words: NDArray[np.float32], seed: int,
) -> Fused:  # fmt: skip
    """Of n utterances with `vectors` [n, d] of their sound by `encoder`, the probe of their `words`, and what words of
    sessions that it has not seen say, `of_words` [n, classes].

    The weight that a session's figures rest on is that of the other sessions.
    """
    classes = words.classes
    speakers, sessions = [item.speaker for item in items], np.array([item.session for item in items])
    by_speaker = speakers if params.normalise == "voice" else None
    held_out = leave_one_group_out(
        vectors, labels, classes, speakers=speakers, sessions=sessions.tolist(), cs=params.regularisation,
        normalise=params.normalise, seed=seed,
    )  # fmt: skip
    sound = held_out.probabilities()
    acoustic = fit_probe(
        encoder, vectors, labels, classes, validation=validation_speakers(speakers, seed),
        cs=params.regularisation, speakers=by_speaker,
    )  # fmt: skip
    truth = np.array([classes.index(label) for label in labels])
    pooled = np.empty((len(items), len(classes)))
    for session in np.unique(sessions):
        own = sessions == session
        pooled[own] = pooled_logits(sound[own], of_words[own], _weight(sound[~own], of_words[~own], truth[~own]))
    calibrated = params.calibrate == "held_out"
    temperature = fit_temperature(pooled, labels, classes) if calibrated else 1.0
    teacher = FusedProbe(acoustic, words, _weight(sound, of_words, truth), temperature)
    alone = evaluate(labels, held_out.predictions, classes)
    figures = {name: alone[name] for name in ("rows", "accuracy", "unweighted_average_recall")}
    return Fused(teacher, probabilities_of(pooled, temperature), figures)


def _weight(sound: NDArray[np.float32], words: NDArray[np.float32], truth: NDArray[np.intp]) -> float:
    """That of `WEIGHTS` with the least log loss; of equals the smallest."""
    rows = np.arange(len(truth))

    def loss(weight: float) -> float:
        return float(-log_softmax(pooled_logits(sound, words, weight), axis=1)[rows, truth].mean())

    return min(WEIGHTS, key=loss)
