"""A map of rows: like ones stand near each other, by what the teachers say, or by the letters of the texts.

In   rows of data/sier without media, the network's answers
Out  `Map`: coordinates and what a point is coloured by; of more than `MOST_ROWS` rows, those on the page and others
     drawn at random with the seed

t-SNE on one thread from the principal components, so that equal rows give equal maps. Only who stands near whom means
something; distances between clusters and their sizes do not.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.frame import tables

MOST_ROWS = 2_000  # t-SNE of so many takes seconds, of all of B-T4SA hours; and each takes 150 bytes of the page
TEXT_CHARACTERS = 80  # of a text that is told where it is pointed at
PERPLEXITY = 30.0
FEWEST_ROWS = 5
TEXT_COMPONENTS = 30
LEAST_PROBABILITY = 1e-3  # what is less differs in the noise only
SIDE = 1_000  # of the map; coordinates are whole numbers

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Map:
    """Points, a list for each column, all equally long; empty where there are too few rows."""

    rows: int  # of the dataset
    columns: dict[str, list[Any]]
    places: dict[str, list[list[int]]]  # by what likeness is judged: x and y of each point, in [0, SIDE]


def read(
    light: pd.DataFrame, answers: Mapping[str, Mapping[str, Any]], shown: Collection[str], labels: Sequence[str],
    seed: int,
) -> Map:  # fmt: skip
    """`light` has the columns of data/sier; `answers` what the network says, by id; `shown` are ids on the page."""
    order = np.random.default_rng([seed, 9]).permutation(len(light))
    on_page = light["id"].isin(set(shown)).to_numpy()
    chosen = np.sort(np.concatenate([np.flatnonzero(on_page), order[~on_page[order]]])[:MOST_ROWS])
    rows = light.iloc[chosen].reset_index(drop=True)
    if len(rows) < FEWEST_ROWS:
        return Map(len(light), {}, {})
    probabilities = [name for name in rows if str(name).startswith(tables.PROBABILITY_PREFIX)]
    said = np.log(np.maximum(rows[probabilities].to_numpy(np.float64), LEAST_PROBABILITY))
    told = [answers.get(key) for key in rows["id"]]
    columns = {
        "id": rows["id"].tolist(),
        "label": [labels[number] for number in rows["label"]],
        "decider": rows["decided_by"].map({"speech": "speech", "image": "picture"}).tolist(),
        "answer": ["not asked" if one is None else "right" if one["correct"] else "wrong" for one in told],
        "split": rows["split"].tolist(),
        "confidence": [round(float(value), 3) for value in rows["confidence"]],
        "text": [text[:TEXT_CHARACTERS] + ("…" if len(text) > TEXT_CHARACTERS else "") for text in rows["text"]],
        "shown": rows["id"].isin(set(shown)).astype(int).tolist(),
    }
    return Map(len(light), columns, {"teachers": _flat(said, seed), "texts": _flat(_texts(rows["text"]), seed)})


def _texts(texts: pd.Series) -> Floats:
    """Texts as vectors [rows, at most TEXT_COMPONENTS], by trigrams of letters within words."""
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415 - takes a second
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - as above

    try:
        counted = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), sublinear_tf=True).fit_transform(texts)
    except ValueError:  # no text has a word
        return np.zeros((len(texts), 2))
    components = min(TEXT_COMPONENTS, min(counted.shape) - 1)
    if components < 2:
        return np.zeros((len(texts), 2))
    reduced: Floats = TruncatedSVD(components, random_state=0).fit_transform(counted)
    return reduced


def _flat(vectors: Floats, seed: int) -> list[list[int]]:
    """Both coordinates of each row of [rows, dimensions]."""
    from sklearn.manifold import TSNE  # noqa: PLC0415 - takes a second
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - as above

    spread = np.ptp(vectors, axis=0)
    varied = vectors[:, spread > 0]
    if not varied.shape[1]:
        return [[SIDE // 2] * len(vectors)] * 2
    if varied.shape[1] < 2:  # one line
        varied = np.hstack([varied, np.zeros((len(vectors), 2))])[:, :2]
    with threadpool_limits(1):
        near = min(PERPLEXITY, (len(varied) - 1) / 3)
        begin = _principal(varied)
        found: Floats = TSNE(perplexity=near, init=begin, random_state=seed, n_jobs=1).fit_transform(varied)
    low, high = found.min(axis=0), found.max(axis=0)
    scaled = np.rint((found - low) / np.maximum(high - low, 1e-9) * SIDE).astype(int)
    return [scaled[:, 0].tolist(), scaled[:, 1].tolist()]


def _principal(vectors: Floats) -> Floats:
    """The first two components, as small as t-SNE wants to begin with."""
    from sklearn.decomposition import PCA  # noqa: PLC0415 - takes a second

    first: Floats = PCA(2, svd_solver="full").fit_transform(vectors)
    return (first / (first[:, 0].std() or 1.0) * 1e-4).astype(np.float32)
