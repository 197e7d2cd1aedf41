"""Fit a probe: logistic regression on a frozen encoder's vectors, its strength chosen on validation rows.

In   representations float32 [n, d], labels, and speakers where vectors are standardised per speaker
Out  a `Probe`

Deterministic: rows in the same order give the same weights whatever the number of cores, because BLAS is held to
one thread and scikit-learn's lbfgs draws nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupShuffleSplit, StratifiedKFold
from threadpoolctl import threadpool_limits

from models.errors import ModelError
from models.teachers.calibration import fit_temperature
from models.teachers.encoders import Encoder
from models.teachers.probe import LinearModel, Probe, probabilities_of
from models.teachers.standardise import Statistics, standardise_by_group

_MAX_ITERATIONS = 5_000
MOSTLY_ZERO = 0.1  # share of numbers that are not


@dataclass(frozen=True)
class Choice:
    """The regularisation that did best on validation rows, and the model that showed it (fitted on the others)."""

    regularisation: float
    model: LinearModel


def fit_linear(
    rows: NDArray[np.float64], labels: Sequence[str], classes: Sequence[str], c: float, *, balanced: bool = False
) -> LinearModel:
    """Multinomial logistic regression with L2 penalty 1 / (2 c) on standardised rows; ModelError for a single class.

    `balanced`: every class weighs the same, however many rows it has.
    """
    fitted = sorted(set(labels))
    if len(fitted) < 2:
        raise ModelError(
            f"a teacher needs training rows of at least two classes, found {fitted or 'none'} of {list(classes)}; "
            "check the corpus and the class map"
        )
    # Of a vocabulary, of which a text has few terms, the zeros are left out; the same model, a hundred times as fast.
    fitted_on = csr_array(rows) if np.count_nonzero(rows) < MOSTLY_ZERO * rows.size else rows
    with threadpool_limits(limits=1):
        regression = LogisticRegression(
            C=c, max_iter=_MAX_ITERATIONS, class_weight="balanced" if balanced else None
        ).fit(fitted_on, np.asarray(labels))
    weights, intercepts = regression.coef_, regression.intercept_
    if len(fitted) == 2:
        # scikit-learn keeps two classes as one logit: that of the second against 0.
        weights, intercepts = np.vstack([np.zeros_like(weights), weights]), np.append([0.0], intercepts)
    columns = [list(classes).index(name) for name in regression.classes_]
    model = LinearModel(np.zeros((len(classes), rows.shape[1])), np.full(len(classes), -np.inf))
    model.coefficients[columns] = weights
    model.intercepts[columns] = intercepts
    return model


def choose_c(
    rows: NDArray[np.float64],
    labels: Sequence[str],
    validation: NDArray[np.bool_],
    classes: Sequence[str],
    cs: Sequence[float],
    *,
    balanced: bool = False,
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
    fitted = rows[~validation], train.tolist(), classes
    choices = [Choice(c, fit_linear(*fitted, c, balanced=balanced)) for c in sorted(cs)]
    return min(choices, key=lambda choice: _log_loss(choice.model.logits(rows[known]), names[known].tolist(), classes))


def out_of_fold_logits(
    representation: NDArray[np.float32],
    labels: Sequence[str],
    classes: Sequence[str],
    *,
    c: float,
    seed: int,
    folds: int,
) -> NDArray[np.float64]:
    """Logits float64 [n, classes] of each row by a model fitted on the other folds, stratified by class."""
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
    trials = []
    for c in sorted(cs):
        logits = out_of_fold_logits(representation, labels, classes, c=c, seed=seed, folds=folds)
        trials.append((_log_loss(logits, labels, classes), c, logits))
    return min(trials, key=lambda trial: trial[0])[1:]


def _log_loss(logits: NDArray[np.float64], labels: Sequence[str], classes: Sequence[str]) -> float:
    probabilities = probabilities_of(logits).astype(np.float64)
    # Rows that sum to 1 in float32 only would draw a warning.
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    truth = [list(classes).index(name) for name in labels]
    return float(log_loss(truth, probabilities, labels=range(len(classes))))


def validation_speakers(speakers: Sequence[str], seed: int, fraction: float = 0.2) -> NDArray[np.bool_]:
    """Mask over the rows of `fraction` of the speakers (rounded up); ModelError for fewer than two.

    By speaker, because a C chosen on known voices suits known voices.
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
        encoder: the one that gave `representation`, float32 [n, d].
        labels: the n classes.
        classes: all classes, in order; some may have no rows.
        validation: bool [n]; None: choose C and temperature by five folds instead (not with speakers).
        cs: values of C to choose from.
        speakers: the n speakers: standardise per speaker, which makes a probe with normalise `voice`. None: by the
            mean and deviation of the training rows, normalise `none`.
        calibrate: fit the temperature. It comes from the model that has not seen the validation rows; the final
            one, which has seen more, is at most a little less sure than it may be.
        seed: of the folds.
    """
    by_speaker = None if speakers is None else standardise_by_group(representation, speakers)
    if validation is None:
        if by_speaker is not None:
            raise ValueError("folds would tear speakers apart; give validation rows")
        c, logits = choose_c_by_folds(representation, labels, classes, cs, seed)
        held_out = list(labels)
    else:
        rows = by_speaker
        if rows is None:
            rows = Statistics.of(representation[~validation]).apply(representation)
        choice = choose_c(rows, labels, validation, classes, cs)
        c, logits = choice.regularisation, choice.model.logits(rows[validation])
        held_out = [label for label, held in zip(labels, validation, strict=True) if held]
    temperature = fit_temperature(logits, held_out, classes) if calibrate else 1.0
    if by_speaker is not None:
        return Probe(encoder, tuple(classes), fit_linear(by_speaker, labels, classes, c), "voice", None, temperature, c)
    statistics = Statistics.of(representation)
    model = fit_linear(statistics.apply(representation), labels, classes, c)
    return Probe(encoder, tuple(classes), model, "none", statistics, temperature, c)
