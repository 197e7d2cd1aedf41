"""What happens when a rater does something; knows nothing of web pages, and keeps nothing between two calls.

A page sends back the `Ticket` of the task that it shows. So an answer belongs to what the rater saw, even if the server
was started anew in between or the rater has two pages open.
"""

import time
import unicodedata
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from pipeline.errors import RowError
from pipeline.frame.params import STRICT
from pipeline.media import audio
from pipeline.media.audio import SAMPLING_RATE_HZ, SpeechLimits
from pipeline.rating import consent, turns
from pipeline.rating.conditions import BY_NAME, Condition
from pipeline.rating.draw import Item
from pipeline.rating.store import Rating, Store
from pipeline.rating.turns import Progress, Task
from pipeline.tweets.language import said_text
from pipeline.tweets.params import TextParams

NAME_CHARACTERS = 40
READING = SpeechLimits(min_duration_seconds=0.5, max_duration_seconds=120.0, min_rms=0.001, max_clipped_share=0.5)
READING_BYTES_MAX = 32 * 2**20  # two minutes of stereo at 48 kHz and 24 bits, and some


OTHER_DRAW = "This page belongs to another draw; load it again."


class RatingError(Exception):
    """A sentence for the rater; nothing was kept."""


@dataclass(frozen=True, config=STRICT)
class Ticket:
    """The task that a page shows, and since when (seconds since the epoch)."""

    task: Task
    shown_at: float

    def dump(self) -> str:
        """As the page keeps it."""
        return TypeAdapter(Ticket).dump_json(self).decode()

    @classmethod
    def load(cls, text: str) -> Self:
        """What a page sent; pages are not to be believed, so it may be a RatingError."""
        with suppress(ValueError):
            ticket = TypeAdapter(cls).validate_json(text)
            if ticket.task.condition in BY_NAME:
                return ticket
        raise RatingError("This page is out of date; load it again.")


@dataclass(frozen=True)
class Shown:
    """What the rater is asked now, with the bytes of picture and voice; no ticket where there is nothing to ask."""

    progress: Progress
    ticket: Ticket | None = None
    condition: Condition | None = None
    image: bytes | None = None
    speech: bytes | None = None


class Session:
    """All raters of one file of ratings; `seed` orders the tasks, `text` says how the voice's texts were prepared."""

    def __init__(self, store: Store, items: Sequence[Item], labels: Sequence[str], seed: int, text: TextParams):
        self.store = store
        self.items = {item.id: item for item in items}
        self.labels = tuple(labels)
        self.seed = seed
        self.text = text

    def has_agreed(self, rater: str) -> bool:
        """Whether the rater agrees to what is kept, in the words that are shown now."""
        return self.store.has_agreed(rater, consent.VERSION)

    def agree(self, rater: str, version: str) -> None:
        """The rater agrees to the text of a page; RatingError if it shows another one than ours, or none was ticked."""
        if version != consent.VERSION:
            raise RatingError(consent.MISSING if version else consent.ASKED)
        self.store.add_consent(rater, version, consent.TEXT)

    def next(self, rater: str) -> Shown:
        """The rater's next task. This and all below is a RatingError for who has not agreed."""
        self._expect_agreed(rater)
        task, progress = self._turn(rater)
        return Shown(progress) if task is None else self._shown(task, progress)

    def answer(self, rater: str, ticket: Ticket, answer: str | None) -> bool:
        """Keep an answer, or a skip (None); False if the rater has answered this before, and then that stays, or has
        read the text aloud.

        A ticket that this rater cannot have got is a RatingError.
        """
        self._expect_agreed(rater)
        task = ticket.task
        readings: list[int | None] = [None]
        if BY_NAME[task.condition].speech == "human":
            readings = [number for number, reader in self.store.readings().get(task.id, []) if reader != rater]
        if task.id not in self.items or answer not in {None, *self.labels} or task.reading not in readings:
            raise RatingError(OTHER_DRAW)
        seconds = round(max(0.0, time.time() - ticket.shown_at), 2)
        return self.store.add_rating(Rating(rater, task.id, task.condition, answer, task.reading, seconds))

    def take_back(self, rater: str) -> Shown | None:
        """The task of the rater's last answer, which is forgotten; None if there is none to be judged again."""
        self._expect_agreed(rater)
        last = self.store.take_back(rater)
        return None if last is None else self._shown(Task(*last), self._turn(rater)[1])

    def next_text(self, reader: str, passed: Collection[str] = ()) -> Item | None:
        """The row whose text is to be read aloud; None if every text has been."""
        self._expect_agreed(reader)
        rated, readings = self.store.rated(reader), self.store.readings()
        key = turns.next_text(tuple(self.items), reader, self.seed, rated, readings, passed)
        return None if key is None else self.items[key]

    def words(self, item: Item) -> str:
        """What a reader is asked to say: the words that the voice was asked to say, without links and names."""
        return said_text(item.text, self.text, self.text.languages)[0]

    def add_reading(self, reader: str, item: str, recording: Path) -> None:
        """Keep a recording of the text of a row, as 16-bit mono FLAC at 16 kHz, like all speech of the dataset.

        One that is none, too short, too long, silent or clipped, or of another draw is a RatingError.
        """
        self._expect_agreed(reader)
        if item not in self.items:
            raise RatingError(OTHER_DRAW)
        try:
            if recording.stat().st_size > READING_BYTES_MAX:
                raise RatingError(f"The recording is larger than {READING_BYTES_MAX // 2**20} MiB; it was not kept.")
            waveform = audio.decode(recording.read_bytes())
            duration_seconds = audio.check_speech(waveform, SAMPLING_RATE_HZ, READING)
        except RowError as error:
            raise RatingError(f"The recording cannot be used: {error.reason}. Please record it again.") from None
        if not self.store.add_reading(item, reader, audio.encode_flac(waveform, SAMPLING_RATE_HZ), duration_seconds):
            raise RatingError("You have read this text already; the first reading stays.")

    def _expect_agreed(self, rater: str) -> None:
        if not self.has_agreed(rater):
            raise RatingError(consent.MISSING)

    def _turn(self, rater: str) -> tuple[Task | None, Progress]:
        return turns.next_task(tuple(self.items), rater, self.seed, self.store.rated(rater), self.store.readings())

    def _shown(self, task: Task, progress: Progress) -> Shown:
        condition = BY_NAME[task.condition]
        item = self.items[task.id]
        heard = item.speech if condition.speech == "synthetic" else None
        if task.reading is not None:
            heard = self.store.recording(task.reading)
        image = item.image if condition.image else None
        return Shown(progress, Ticket(task, time.time()), condition, image, heard)


def person(name: str) -> str:
    """A rater's name as it is kept, so that one person is one; RatingError if empty, too long or not printable."""
    even = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    if not even or len(even) > NAME_CHARACTERS or not even.isprintable():
        raise RatingError(f"Please give a name of 1 to {NAME_CHARACTERS} characters.")
    return even
