"""A probe on words: measured on sessions and on texts that it has not seen, then fitted on all of them.

In   `WordRows`: utterances as heard and emotion texts, each with its class, its group and the fold that holds it out
Out  logits of each row by a probe of the other folds; a `Probe`
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from models.errors import ModelError
from models.teachers.encoders import Encoder
from models.teachers.probe import LinearModel, Probe
from models.teachers.probe_training import choose_c, fit_linear, validation_speakers
from models.teachers.standardise import Statistics

# Vectors of all rows, float32 [n, d], by an encoder that was fitted on the rows of a mask, bool [n].
VectorsFor = Callable[[NDArray[np.bool_]], NDArray[np.float32]]


@dataclass(frozen=True)
class WordRows:
    """n rows of words."""

    labels: Sequence[str]
    groups: Sequence[str]  # speakers, subjects, dialogues: never on both sides of a choice
    folds: NDArray[np.intp]  # [n]; each fold is held out once


@dataclass(frozen=True)
class Recipe:
    """How a probe on words is fitted."""

    classes: tuple[str, ...]
    cs: tuple[float, ...]
    balanced: bool
    seed: int


def text_folds(labels: Sequence[str], groups: Sequence[str], folds: int, seed: int) -> NDArray[np.intp]:
    """A fold from 0 for each text, [n], whole groups, classes in like shares; ModelError: fewer groups than folds."""
    found = np.zeros(len(labels), dtype=np.intp)
    if not labels:
        return found
    if len(set(groups)) < folds:
        raise ModelError(
            f"emotion texts: expected {folds} groups or more to hold out in turn, found {len(set(groups))}"
        )
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(splitter.split(np.zeros(len(labels)), labels, groups)):
        found[held_out] = fold
    return found


def out_of_fold(rows: WordRows, recipe: Recipe, vectors_for: VectorsFor) -> NDArray[np.float64]:
    """Logits float64 [n, classes] of each row by a probe that has not seen its fold; C is chosen without it, too."""
    logits = np.empty((len(rows.labels), len(recipe.classes)))
    for fold in np.unique(rows.folds):
        held_out = rows.folds == fold
        vectors = vectors_for(~held_out)
        model, statistics, _ = _fit(rows, recipe, vectors, ~held_out)
        logits[held_out] = model.logits(statistics.apply(vectors[held_out]))
    return logits


def fit_words(
    rows: WordRows, recipe: Recipe, encoder: Encoder, vectors: NDArray[np.float32], temperature: float
) -> Probe:
    """The probe of all rows, of which `encoder` has made the vectors float32 [n, d]."""
    model, statistics, c = _fit(rows, recipe, vectors, np.ones(len(rows.labels), dtype=bool))
    return Probe(encoder, recipe.classes, model, "none", statistics, temperature, c)


def _fit(
    rows: WordRows, recipe: Recipe, vectors: NDArray[np.float32], known: NDArray[np.bool_]
) -> tuple[LinearModel, Statistics, float]:
    """The model of the `known` rows, their statistics, and C."""
    labels = np.asarray(rows.labels)[known].tolist()
    # As they are: sentences have length 1 and terms are weighed already. Standardised, rare terms would count most.
    statistics = Statistics(np.zeros(vectors.shape[1]), np.ones(vectors.shape[1]))
    exact = vectors[known].astype(np.float64)
    validation = validation_speakers(np.asarray(rows.groups)[known].tolist(), recipe.seed)
    c = choose_c(exact, labels, validation, recipe.classes, recipe.cs, balanced=recipe.balanced).regularisation
    return fit_linear(exact, labels, recipe.classes, c, balanced=recipe.balanced), statistics, c
