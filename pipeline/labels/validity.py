"""Do the labels mean something? Their association with the texts' sentiment, and that of what stands behind them.

In   `Scored` rows, the label parameters
Out  for reports/label.json: a table of who says something, over which rows, and how it goes with the sentiment

Labels that describe a voice or a camera do not go with the sentiment; labels that describe feelings do. VADER, a list
of words with their sentiment, is what one gets without any teacher: from the text, and from the words as heard, where
somebody listened.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pipeline.labels import rules
from pipeline.labels.association import Association, associate
from pipeline.labels.joining import Scored
from pipeline.labels.rules import LabelParams

VADER = {"VADER on the text": "text", "VADER on the words as heard": "heard"}  # -> column
VADER_ROWS = 10_000  # of more, evenly chosen ones: it reads 3,000 texts a second
VADER_LIMIT = 0.05  # of its compound score, from which on its authors call a text positive, or negative
ALL, KEPT, OWN, CERTAIN = "all rows", "kept rows", "rows that it keeps", "as many of the surest rows"

Names = NDArray[np.str_] | NDArray[np.object_]
Mask = NDArray[np.bool_]


class Measure:
    """Associations within the rows of one table."""

    def __init__(self, groups: ArrayLike, seed: int) -> None:
        self._groups = numbers(groups)
        self._seed = seed

    def __call__(self, dealt: ArrayLike, kept: ArrayLike, chosen: Mask) -> Association:
        """How classes that chance deals and others, [rows], go together in the chosen rows."""
        return associate(self._groups[chosen], np.asarray(dealt)[chosen], np.asarray(kept)[chosen], self._seed)


def numbers(names: ArrayLike) -> NDArray[np.float64]:
    """A number for each different name, nan for a missing one: comparing names takes long."""
    found = pd.factorize(np.asarray(names, dtype=object))[0].astype(np.float64)
    return np.where(found < 0, np.nan, found)


def kept_rows(params: LabelParams, rule: rules.Rule, votes: rules.Votes) -> Mask:
    """Which rows a rule keeps."""
    return np.asarray(rules.drop_reasons(rule, params.threshold, votes, params.neutral) == "", dtype=bool)


def validity_table(params: LabelParams, scored: Scored, measure: Measure) -> list[dict[str, Any]]:
    """Records: `of` whom, `over` which rows, and the fields of `Association` with the sentiment."""
    sentiment = numbers(scored.rows["sentiment"])
    return [
        {"of": of, "over": over, **asdict(measure(sentiment, said, chosen))}
        for of, over, said, chosen in _asked(params, scored)
    ]


def _asked(params: LabelParams, scored: Scored) -> Iterator[tuple[str, str, NDArray[np.float64], Mask]]:
    """Who, over which rows, what they say [rows], and a mask of the rows. The labels themselves come first."""
    votes = scored.votes(params.rule)
    kept = kept_rows(params, params.rule, votes)
    every, share = np.ones_like(kept), kept.mean()
    labels = numbers(rules.remap(votes.source_label, params.remap, params.neutral))
    yield "labels", KEPT, labels, kept
    yield "labels decided by speech", KEPT, labels, kept & votes.speech_decides
    yield "labels decided by the picture", KEPT, labels, kept & ~votes.speech_decides
    alone: list[tuple[str, Names, NDArray[np.floating[Any]], Mask]] = [
        ("speech teacher", votes.speech_label, votes.speech_max, every),
        ("picture teacher", votes.image_label, votes.image_max, every),
        *((f"voter {one.params.name}", one.label, one.certainty, one.voted) for one in scored.further),
        *((name, *vader(scored.rows[column])) for name, column in VADER.items() if scored.rows[column].notna().any()),
    ]
    for of, said, certainty, asked in alone:
        classes = numbers(said)
        yield of, ALL, classes, asked
        yield of, KEPT, classes, asked & kept
        yield of, CERTAIN, classes, _surest(certainty, asked, share)
    for rule in scored.possible_rules:
        if rule == params.rule:
            continue  # its rows are those of the labels
        other = scored.votes(rule)
        labels = numbers(rules.remap(other.source_label, params.remap, params.neutral))
        yield f"rule {rule}", OWN, labels, kept_rows(params, rule, other)
        eligible = rules.drop_reasons(rule, 0.0, other, params.neutral) == ""
        wanted = share * len(every) / max(1, eligible.sum())
        yield f"rule {rule}", CERTAIN, labels, _surest(other.confidence, eligible, wanted)


def _surest(certainty: NDArray[np.floating[Any]], among: Mask, share: float) -> Mask:
    """That share of `among` with the greatest certainty, or all; of equal ones the first."""
    places = np.flatnonzero(among)
    order = np.argsort(-certainty[places], kind="stable")
    chosen = np.zeros_like(among)
    chosen[places[order[: round(min(share, 1.0) * len(places))]]] = True
    return chosen


def vader(texts: pd.Series) -> tuple[Names, NDArray[np.float64], Mask]:
    """Sentiment of each text, how strong it is, and which were read: all that there are, or evenly chosen ones."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415 - brings `requests` along

    analyzer = SentimentIntensityAnalyzer()
    read = evenly(len(texts), VADER_ROWS) & texts.notna().to_numpy()
    scores = np.zeros(len(texts))
    scores[read] = [analyzer.polarity_scores(text)["compound"] for text in texts.to_numpy()[read]]
    said = np.select([scores >= VADER_LIMIT, scores <= -VADER_LIMIT], ["positive", "negative"], "neutral")
    return said, np.abs(scores), read


def evenly(rows: int, most: int) -> Mask:
    """At most so many of the rows, at even distances."""
    chosen = np.zeros(rows, dtype=bool)
    chosen[:: max(1, -(-rows // most))] = True
    return chosen
