"""What each row of clean has to say, by whom and how.

A speaker follows from the ids of a row alone, so that no choice depends on sentiment. Pace, level and pitch may follow
the sentiment of the tweet; that is off by default, for what a label then hears is the sentiment.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.params import STRICT
from pipeline.voices import PLAIN, Prosody, Voice

SPOKEN_COLUMNS = ["id", "tweet_id", "spoken_text", "sentiment"]  # of data/clean
SHOWN = 10  # names in a message


@dataclass(frozen=True, config=STRICT)
class SpeakerParams:
    """Section `synthesize.speakers`.

    one: the same speaker for all rows; by_tweet: chosen by a hash of the tweet's id, so that a tweet has one speaker
    and each build the same; random: drawn for each row from `base.seed`. No names: under `one` the voice's own speaker,
    else all that it has.
    """

    policy: Literal["one", "by_tweet", "random"] = "one"
    names: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @field_validator("names")
    @classmethod
    def _all_different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("names that differ from each other")
        return names


@dataclass(frozen=True, config=STRICT)
class ProsodyParams:
    """Section `synthesize.prosody`, where it is not null: one prosody per sentiment of `tables.SENTIMENTS`."""

    negative: Prosody
    neutral: Prosody
    positive: Prosody

    def of(self, sentiment: str) -> Prosody:
        """The prosody of a row."""
        prosody: Prosody = getattr(self, sentiment)
        return prosody


@plain_dataclass(frozen=True)
class Cast:
    """The speakers among whom a row's is chosen; empty for a voice of one speaker."""

    policy: str
    names: tuple[str, ...]
    salt: str = ""  # what the hash begins with; the seed under `random`

    def speaker(self, identity: str, tweet_id: str) -> str | None:
        """Name of the speaker of a row."""
        if not self.names:
            return None
        chosen_by = identity if self.policy == "random" else tweet_id
        digest = hashlib.sha256(f"{self.salt}{chosen_by}".encode()).digest()
        return self.names[int.from_bytes(digest[:8], "big") % len(self.names)]


@plain_dataclass(frozen=True)
class Utterance:
    """A text as one speaker says it."""

    text: str
    speaker: str | None = None
    prosody: Prosody = PLAIN

    @property
    def key(self) -> str:
        """Hex sha256 of all that makes it sound as it does, besides the voice."""
        manner = [] if self.speaker is None else [f"speaker {self.speaker}"]
        if self.prosody != PLAIN:
            manner.append(f"rate {self.prosody.rate} energy {self.prosody.energy_db + 0.0}")
        if (self.prosody.pitch, self.prosody.pitch_range) != (PLAIN.pitch, PLAIN.pitch_range):
            manner.append(f"pitch {self.prosody.pitch} range {self.prosody.pitch_range + 0.0}")
        # A spoken text has no null character (see pipeline.tweets.text), so none can pretend to be another's prosody.
        return hashlib.sha256("\0".join([self.text, *manner]).encode()).hexdigest()


@plain_dataclass(frozen=True)
class Script:
    """What each row of clean has to say, by whom and how."""

    cast: Cast
    prosody: ProsodyParams | None

    def utterance(self, row: Mapping[str, Any]) -> Utterance:
        """Of a row with the columns `SPOKEN_COLUMNS`."""
        speaker = self.cast.speaker(row["id"], row["tweet_id"])
        prosody = self.prosody.of(row["sentiment"]) if self.prosody and row["sentiment"] else PLAIN
        return Utterance(row["spoken_text"], speaker, prosody)


def cast_of(params: SpeakerParams, known: Sequence[str], voice: str, seed: int) -> Cast:
    """The speakers that `params` asks for, of those that the voice has (`known`; empty where it has one).

    Raises UserError for a name that the voice does not have, or another number of names or speakers than the policy's.
    """
    where = "synthesize.speakers.names"
    for name in params.names:
        if name not in known:
            shown = ", ".join(known[:SHOWN]) + (f" and {len(known) - SHOWN} more" if len(known) > SHOWN else "")
            expected = f"one of: {shown}" if known else "no names: it has one speaker only"
            raise UserError(f"{where}: {name} is no speaker of the voice {voice}; expected {expected}")
    if params.policy == "one":
        if len(params.names) > 1:
            expected = "one name, or the policy by_tweet or random"
            raise UserError(f"{where}: {len(params.names)} names with the policy one; expected {expected}")
        return Cast(params.policy, params.names)
    names = params.names or tuple(known)
    if len(names) < 2:
        raise UserError(
            f"synthesize.speakers.policy = {params.policy}: the voice {voice} offers {len(names)} speakers to choose "
            "from; expected two or more, or the policy one"
        )
    return Cast(params.policy, names, f"{seed} " if params.policy == "random" else "")


def expect_pitch(params: ProsodyParams | None, voice: Voice) -> None:
    """Raises UserError where `params` ask for a pitch, and the voice cannot change it."""
    if params is None or voice.pitched:
        return
    for sentiment in tables.SENTIMENTS:
        for name in ("pitch", "pitch_range"):
            if (value := getattr(params.of(sentiment), name)) != 1:
                where = f"synthesize.prosody.{sentiment}.{name} = {value}"
                raise UserError(f"{where}: the voice {voice.name} cannot change it; expected 1, or the engine hibari")


def expect_language(voice: Voice, language: str) -> None:
    """Raises UserError where the voice speaks another language; of many models nobody can say which they speak."""
    if voice.language not in (None, language):
        where = f"synthesize.voice.model = {voice.name}"
        raise UserError(f"{where}: speaks {voice.language}, and base.language = {language}; expected a voice of that")


def utterances_of(clean: Path, marker: shards.Marker, script: Script) -> list[tuple[str, Utterance]]:
    """(id, utterance) of each row of a shard of clean, in its order."""
    rows = shards.read_part(clean, marker, columns=SPOKEN_COLUMNS).to_pylist()
    return [(row["id"], script.utterance(row)) for row in rows]
