"""How good is a teacher, on speakers and pictures it has not seen?

In   representations or predictions, labels, and the groups that must not be torn apart
Out  out-of-fold logits; a split; figures as plain values for a metrics file
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support
from sklearn.model_selection import train_test_split

from models.errors import ModelError
from models.teachers.probe import probabilities_of
from models.teachers.probe_training import choose_c, fit_linear, out_of_fold_logits, usable_folds, validation_speakers
from models.teachers.standardise import Statistics, standardise_by_group
from models.teachers.teacher import Normalise

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class OutOfFold:
    """What models said about rows they were not fitted on."""

    classes: tuple[str, ...]
    logits: NDArray[np.float64]  # [n, classes]; minus infinity for a class that the row's model had no rows of
    regularisation: dict[str, float]  # C by held-out session

    def probabilities(self, temperature: float = 1.0) -> NDArray[np.float32]:
        """float32 [n, classes], rows sum to 1."""
        return probabilities_of(self.logits, temperature)

    @property
    def predictions(self) -> list[str]:
        """The likeliest class of each row."""
        return [self.classes[column] for column in self.logits.argmax(axis=1)]


def expect_sessions(speakers: Sequence[str], sessions: Sequence[str]) -> None:
    """Raises ModelError unless there are two sessions or more and each speaker is in one of them."""
    if len(set(sessions)) < 2:
        raise ModelError(f"speech: expected at least 2 sessions to hold one out, found {sorted(set(sessions))}")
    for speaker, count in Counter(speaker for speaker, _ in set(zip(speakers, sessions, strict=True))).items():
        if count > 1:
            raise ModelError(f"speech: speaker {speaker} is in {count} sessions; held-out speakers must be unseen")


def leave_one_group_out(
    representation: NDArray[np.float32],
    labels: Sequence[str],
    classes: Sequence[str],
    *,
    speakers: Sequence[str],
    sessions: Sequence[str],
    cs: Sequence[float],
    normalise: Normalise,
    seed: int,
) -> OutOfFold:
    """Each session classified by a probe trained on the others: IEMOCAP's usual protocol.

    Within the others, the rows of 20 % of the speakers choose C; the model is then fitted on all of them. With
    normalise `voice`, rows are standardised by their own speaker's rows, labels unseen; with `none`, by those of the
    training rows.

    Raises:
        ModelError: fewer than two sessions, a speaker in two of them, or too few speakers or classes to train on.
    """
    names, voices, groups = np.asarray(labels), np.asarray(speakers), np.asarray(sessions)
    expect_sessions(speakers, sessions)
    logits = np.empty((len(names), len(classes)))
    chosen: dict[str, float] = {}
    by_voice = standardise_by_group(representation, speakers) if normalise == "voice" else None
    for session in sorted(set(sessions)):
        held_out = groups == session
        rest = ~held_out
        # One C per fold, chosen without a look at the held-out session.
        rows = Statistics.of(representation[rest]).apply(representation) if by_voice is None else by_voice
        validation = validation_speakers(voices[rest].tolist(), seed)
        chosen[session] = choose_c(rows[rest], names[rest].tolist(), validation, classes, cs).regularisation
        logits[held_out] = fit_linear(rows[rest], names[rest].tolist(), classes, chosen[session]).logits(rows[held_out])
    return OutOfFold(tuple(classes), logits, chosen)


def stratified_split(
    ids: Sequence[str], labels: Sequence[str], *, seed: int, fractions: tuple[float, float, float] = (0.8, 0.05, 0.15)
) -> NDArray[np.str_]:
    """The split (`train`, `validation` or `test`) of each row, every class in about the same shares.

    Depends on ids and seed, not on the order of the rows. Validation and test hold at least one row per class,
    which matters for corpora of less than 20 rows a class. A class of fewer than three rows goes to train whole.

    Raises:
        ModelError: ids repeat, or too few rows to fill three splits.
    """
    if len(set(ids)) != len(ids):
        repeated = next(name for name, count in sorted(Counter(ids).items()) if count > 1)
        raise ModelError(f"image corpus: id {repeated} occurs more than once")
    splits = np.full(len(ids), SPLITS[0], dtype="<U10")
    sizes = Counter(labels)
    names = np.asarray(labels)
    pool = np.array([row for row in np.argsort(np.asarray(ids)) if sizes[labels[row]] >= 3], dtype=np.int64)
    classes = len(set(names[pool]))
    _, validation_fraction, test_fraction = fractions
    test_rows = max(classes, round(test_fraction * len(pool)))
    validation_rows = max(classes, round(validation_fraction * len(pool)))
    try:
        rest, test = train_test_split(pool, test_size=test_rows, stratify=names[pool], random_state=seed)
        _, validation = train_test_split(rest, test_size=validation_rows, stratify=names[rest], random_state=seed)
    except ValueError:
        found = dict(sorted(sizes.items()))
        raise ModelError(
            f"image corpus: expected enough rows of every class for train, validation and test, found {found}"
        ) from None
    splits[test], splits[validation] = SPLITS[2], SPLITS[1]
    return splits


def cross_validate(
    representation: NDArray[np.float32],
    labels: Sequence[str],
    classes: Sequence[str],
    *,
    c: float,
    seed: int,
    folds: int = 5,
) -> dict[str, Any]:
    """Accuracy over all rows, each predicted by a probe trained on the other folds; steadier than one small test split.

    A class with fewer rows than `folds` makes fewer of them; accuracy is None where no class has two rows. `c` is
    scikit-learn's C, chosen beforehand.
    """
    folds = usable_folds(labels, folds)
    if folds < 2:
        return {"folds": 0, "rows": len(labels), "accuracy": None, "unweighted_average_recall": None}
    logits = out_of_fold_logits(representation, labels, classes, c=c, seed=seed, folds=folds)
    figures = evaluate(labels, OutOfFold(tuple(classes), logits, {}).predictions, classes)
    return {"folds": folds, **{name: figures[name] for name in ("rows", "accuracy", "unweighted_average_recall")}}


def evaluate(labels: Sequence[str], predictions: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    """Figures for a metrics file; None where one is undefined (no such rows, or never predicted).

    Unweighted average recall is over the classes that have rows; the confusion matrix is [true][predicted].
    """
    if not len(labels):
        raise ValueError("nothing to evaluate: no rows")
    names = list(classes)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predictions, labels=names, zero_division=np.nan
    )
    return {
        "rows": len(labels),
        "accuracy": float(accuracy_score(labels, predictions)),
        "unweighted_average_recall": float(np.mean(recall[support > 0])),
        "per_class": {
            name: {
                "recall": _defined(recall[column]),
                "precision": _defined(precision[column]),
                "f1": _defined(f1[column]),
                "support": int(support[column]),
            }
            for column, name in enumerate(names)
        },
        "confusion_matrix": confusion_matrix(labels, predictions, labels=names).tolist(),
    }


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
