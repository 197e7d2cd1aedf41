"""Fit a probe: logistic regression on a frozen encoder's vectors, its strength chosen on validation rows.

In   representations float32 [n, d], labels, and speakers where vectors are standardised per speaker
Out  a `Probe`

Deterministic: rows in the same order give the same weights whatever the number of cores, because BLAS is held to
one thread and scikit-learn's lbfgs draws nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupShuffleSplit, StratifiedKFold
from threadpoolctl import threadpool_limits

from models.errors import ModelError
from models.teachers.calibration import fit_temperature
from models.teachers.encoders import Encoder
from models.teachers.linear import LinearModel, softmax
from models.teachers.probe import Probe
from models.teachers.standardise import Statistics, standardise_by_group

_MAX_ITERATIONS = 5_000


@dataclass(frozen=True)
class Choice:
    """The regularisation that did best on validation rows, and the model that showed it (fitted on the others)."""

    regularisation: float
    model: LinearModel


def fit_linear(rows: NDArray[np.float64], labels: Sequence[str], classes: Sequence[str], c: float) -> LinearModel:
    """Multinomial logistic regression with L2 penalty 1 / (2 c).

    Args:
        rows: standardised, float64 [n, d].
        labels: the n classes; each one of `classes`.
        classes: in the order the weights shall have. One without rows gets probability 0.
        c: scikit-learn's C; smaller is more regular.

    Raises:
        ModelError: fewer than two classes have rows.
    """
    fitted = sorted(set(labels))
    if len(fitted) < 2:
        raise ModelError(
            f"a teacher needs training rows of at least two classes, found {fitted or 'none'} of {list(classes)}; "
            "check the corpus and the class map"
        )
    with threadpool_limits(limits=1):
        regression = LogisticRegression(C=c, max_iter=_MAX_ITERATIONS).fit(rows, np.asarray(labels))
    weights, intercepts = regression.coef_, regression.intercept_
    if len(fitted) == 2:
        # scikit-learn keeps two classes as one logit: that of the second against 0.
        weights, intercepts = np.vstack([np.zeros_like(weights), weights]), np.append([0.0], intercepts)
    places = [list(classes).index(name) for name in regression.classes_]
    model = LinearModel(np.zeros((len(classes), rows.shape[1])), np.full(len(classes), -np.inf))
    model.coefficients[places] = weights
    model.intercepts[places] = intercepts
    return model


def choose_c(
    rows: NDArray[np.float64],
    labels: Sequence[str],
    validation: NDArray[np.bool_],
    classes: Sequence[str],
    cs: Sequence[float],
) -> Choice:
    """Fit on the rows outside `validation` with each of `cs`, and keep the one with the least log loss inside.

    Log loss and not accuracy, because the label rule compares probabilities. Of equals, the smallest C wins.
    Validation rows of a class that has no training rows say nothing about C and are left out.

    Raises:
        ModelError: fewer than two classes have training rows, or no validation rows are left.
    """
    names = np.asarray(labels)
    train, known = names[~validation], validation & np.isin(names, names[~validation])
    if not known.any():
        raise ModelError("no validation rows to choose a teacher's C on; the corpus is too small or its map too narrow")
    choices: list[tuple[float, Choice]] = []
    for c in sorted(cs):
        model = fit_linear(rows[~validation], train.tolist(), classes, c)
        choices.append((_log_loss(model.logits(rows[known]), names[known].tolist(), classes), Choice(c, model)))
    return min(choices, key=lambda pair: pair[0])[1]


def out_of_fold_logits(
    representation: NDArray[np.float32],
    labels: Sequence[str],
    classes: Sequence[str],
    *,
    c: float,
    seed: int,
    folds: int,
) -> NDArray[np.float64]:
    """Logits float64 [n, classes] of each row by a model fitted on the other folds, stratified by class.

    Args:
        representation: float32 [n, d]; standardised by the rows that are fitted on.
        labels: the n classes.
        classes: all classes, in order.
        c: scikit-learn's C.
        seed: of the folds.
        folds: 2 or more, and no more than the rows of any class that has rows.
    """
    names = np.asarray(labels)
    logits = np.empty((len(names), len(classes)))
    splitter = StratifiedKFold(n_splits=folds, shuffle=True, random_state=seed)
    for train, test in splitter.split(representation, names):
        statistics = Statistics.of(representation[train])
        model = fit_linear(statistics.apply(representation[train]), names[train].tolist(), classes, c)
        logits[test] = model.logits(statistics.apply(representation[test]))
    return logits


def usable_folds(labels: Sequence[str], wanted: int = 5) -> int:
    """`wanted`, or as many folds as the rarest class that has rows allows."""
    return min(wanted, *Counter(labels).values())


def choose_c_by_folds(
    representation: NDArray[np.float32], labels: Sequence[str], classes: Sequence[str], cs: Sequence[float], seed: int
) -> tuple[float, NDArray[np.float64]]:
    """The C with the least log loss over five folds, and its out-of-fold logits: for corpora too small to spare rows.

    Raises:
        ModelError: a class has a single row, or fewer than two classes have rows.
    """
    folds = usable_folds(labels)
    if folds < 2:
        rare = min(Counter(labels).items(), key=lambda pair: pair[1])
        raise ModelError(f"to choose a teacher's C, each class needs 2 rows or more; {rare[0]} has {rare[1]}")
    found = []
    for c in sorted(cs):
        logits = out_of_fold_logits(representation, labels, classes, c=c, seed=seed, folds=folds)
        found.append((_log_loss(logits, labels, classes), c, logits))
    _, c, logits = min(found, key=lambda triple: triple[0])
    return c, logits


def _log_loss(logits: NDArray[np.float64], labels: Sequence[str], classes: Sequence[str]) -> float:
    probabilities = softmax(logits).astype(np.float64)
    # Rows that sum to 1 in float32 only would draw a warning.
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    places = [list(classes).index(name) for name in labels]
    return float(log_loss(places, probabilities, labels=range(len(classes))))


def validation_speakers(speakers: Sequence[str], seed: int, fraction: float = 0.2) -> NDArray[np.bool_]:
    """Mask over rows: the rows of `fraction` of the speakers (rounded up), drawn with `seed`.

    By speaker, because a C chosen on known voices suits known voices.

    Raises:
        ModelError: fewer than two speakers.
    """
    if len(set(speakers)) < 2:
        raise ModelError(f"speech needs at least 2 speakers to choose a teacher's C, found {sorted(set(speakers))}")
    splitter = GroupShuffleSplit(n_splits=1, test_size=fraction, random_state=seed)
    _, chosen = next(splitter.split(np.zeros(len(speakers)), groups=np.asarray(speakers)))
    mask = np.zeros(len(speakers), dtype=np.bool_)
    mask[chosen] = True
    return mask


def fit_probe(
    encoder: Encoder,
    representation: NDArray[np.float32],
    labels: Sequence[str],
    classes: Sequence[str],
    *,
    validation: NDArray[np.bool_] | None,
    cs: Sequence[float],
    speakers: Sequence[str] | None = None,
    calibrate: bool = False,
    seed: int = 0,
) -> Probe:
    """A probe fitted on all the given rows, after C was chosen (and temperature fitted) on the validation ones.

    Args:
        encoder: the one that gave `representation`.
        representation: float32 [n, d].
        labels: the n classes.
        classes: all classes, in order; some may have no rows.
        validation: bool [n]; None: choose C and temperature by five folds instead (not with speakers).
        cs: values of C to choose from.
        speakers: the n speakers: standardise per speaker, which makes a probe with normalise `voice`. None: by the
            mean and deviation of the training rows, normalise `none`.
        calibrate: fit the temperature. It comes from the model that has not seen the validation rows; the final
            one, which has seen more, is at most a little less sure than it may be.
        seed: of the folds.

    Raises:
        ModelError: see `choose_c`.
    """
    statistics = None
    if validation is None:
        if speakers is not None:
            raise ValueError("folds would tear speakers apart; give validation rows")
        c, logits = choose_c_by_folds(representation, labels, classes, cs, seed)
        held_out = list(labels)
    else:
        if speakers is not None:
            rows = standardise_by_group(representation, speakers)
        else:
            rows = Statistics.of(representation[~validation]).apply(representation)
        choice = choose_c(rows, labels, validation, classes, cs)
        c, logits = choice.regularisation, choice.model.logits(rows[validation])
        held_out = [label for label, held in zip(labels, validation, strict=True) if held]
    temperature = fit_temperature(logits, held_out, classes) if calibrate else 1.0
    if speakers is None:
        statistics = Statistics.of(representation)
        rows = statistics.apply(representation)
    return Probe(
        encoder=encoder,
        classes=tuple(classes),
        model=fit_linear(rows, labels, classes, c),
        normalise="none" if speakers is None else "voice",
        statistics=statistics,
        temperature=temperature,
        regularisation=c,
    )
