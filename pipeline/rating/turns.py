"""What a rater is asked next. Follows from the seed, the name and what is in the store; so a session needs no memory.

What is only seen or only heard comes before what is seen and heard, in a random order of the rater's own: who has
judged picture and voice together would know the answer to either. Nobody judges a row whose text he has read aloud.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from pydantic.dataclasses import dataclass

from pipeline.frame.params import STRICT
from pipeline.rating.conditions import CONDITIONS, Condition
from pipeline.rating.draw import rank

Readings = Mapping[str, Sequence[tuple[int, str]]]  # (number, reader) by id of the row


@dataclass(frozen=True, config=STRICT)  # for it comes back from pages, which are not to be believed
class Task:
    """A row to judge under a condition, by its name; `reading` numbers the recording where a person is heard."""

    id: str
    condition: str
    reading: int | None = None


@dataclass(frozen=True)
class Progress:
    """Of one rater: `done` counts answers and skips, `waiting` what another person has yet to read aloud."""

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
    """The first task that is ready, if any, and how far the rater is; `rated` holds (id, condition)."""
    first: Task | None = None
    ready = waiting = 0
    for key, condition in order(ids, rater, seed):
        human, recordings = condition.speech == "human", readings.get(key, ())
        if (key, condition.name) in rated or any(reader == rater for _, reader in recordings):
            continue
        if human and not recordings:
            waiting += 1
        else:
            ready += 1
            first = first or Task(key, condition.name, recordings[0][0] if human else None)  # the oldest recording
    return first, Progress(len(rated), ready, waiting)


def next_text(
    ids: Sequence[str], reader: str, seed: int, rated: Collection[tuple[str, str]], readings: Readings,
    passed: Collection[str] = (),
) -> str | None:  # fmt: skip
    """Id of the text to read aloud: one that nobody has read, of those first that cost the reader the fewest ratings;
    none that the reader has `passed` over.
    """
    judged = Counter(key for key, _ in rated)
    unread = [key for key in ids if not readings.get(key) and key not in passed]
    return min(unread, key=lambda key: (-judged[key], rank(seed, "read", reader, key)), default=None)
