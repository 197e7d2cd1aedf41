"""What a rater is asked next. Follows from the seed, the name and what is in the store; so a session needs no memory.

What is only seen or only heard comes before what is seen and heard, in a random order of the rater's own: who has
judged picture and voice together would know the answer to either. Nobody judges a row whose text he has read aloud.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipeline.rating.conditions import CONDITIONS, Condition
from pipeline.rating.draw import rank

Readings = Mapping[str, Sequence[tuple[int, str]]]


@dataclass(frozen=True)
class Task:
    """A row to judge.

    Attributes:
        id: of the row.
        condition: name of one of `CONDITIONS`.
        reading: number of the recording to be heard, where a person is heard.
    """

    id: str
    condition: str
    reading: int | None = None


@dataclass(frozen=True)
class Progress:
    """Of one rater.

    Attributes:
        done: answers and skips.
        ready: what can be asked now.
        waiting: what waits until another person has read the text aloud.
    """

    done: int
    ready: int
    waiting: int


def order(ids: Sequence[str], rater: str, seed: int) -> list[tuple[str, Condition]]:
    """All pairs of row and condition, as this rater meets them."""
    pairs = [(key, condition) for key in ids for condition in CONDITIONS]
    return sorted(pairs, key=lambda pair: (pair[1].both, rank(seed, rater, pair[0], pair[1].name)))


def next_task(
    ids: Sequence[str], rater: str, seed: int, rated: Collection[tuple[str, str]], readings: Readings
) -> tuple[Task | None, Progress]:
    """The first task that is ready, if any, and how far the rater is.

    Args:
        ids: of the drawn rows.
        rated: (id, condition) of what the rater has answered.
        readings: (number, reader) by id.
    """
    first: Task | None = None
    ready = waiting = 0
    own = {key for key, made in readings.items() if any(reader == rater for _, reader in made)}
    for key, condition in order(ids, rater, seed):
        if (key, condition.name) in rated or key in own:
            continue
        heard = reading_for(key, rater, readings) if condition.speech == "human" else None
        if condition.speech == "human" and heard is None:
            waiting += 1
            continue
        ready += 1
        first = first or Task(key, condition.name, heard)
    return first, Progress(len(rated), ready, waiting)


def reading_for(item: str, rater: str, readings: Readings) -> int | None:
    """Number of the oldest recording by another person."""
    return next((number for number, reader in readings.get(item, ()) if reader != rater), None)


def next_text(
    ids: Sequence[str], reader: str, seed: int, rated: Collection[tuple[str, str]], readings: Readings,
    passed: Collection[str] = (),
) -> str | None:  # fmt: skip
    """Id of the text to read aloud: one that nobody has read, of those first that cost the reader the fewest ratings.

    Args:
        passed: ids that the reader would rather not read.
    """
    judged = Counter(key for key, _ in rated)
    left = [key for key in ids if not readings.get(key) and key not in passed]
    return min(left, key=lambda key: (-judged[key], rank(seed, "read", reader, key)), default=None)
