"""Which speaker of a voice says a row.

In   id and tweet id of a row; nothing else, so that no choice depends on sentiment
Out  the name of a speaker, or None for the voice's own
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.frame.params import STRICT

POLICIES = ("one", "by_tweet", "random")
SHOWN = 10  # names in a message


@dataclass(frozen=True, config=STRICT)
class SpeakerParams:
    """Section `synthesize.speakers`.

    Attributes:
        policy: one: the same speaker for all rows; by_tweet: chosen by a hash of the tweet's id, so that a tweet has
            one speaker and each build the same; random: drawn for each row from `base.seed`.
        names: speakers of the voice, at most one under `one`. None named: under `one` the voice's own speaker, else all
            speakers of the voice.
    """

    policy: Literal["one", "by_tweet", "random"] = "one"
    names: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @field_validator("names")
    @classmethod
    def _all_different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("names that differ from each other")
        return names


@plain_dataclass(frozen=True)
class Cast:
    """The speakers among whom a row's is chosen; empty for a voice of one speaker.

    Attributes:
        salt: what the hash begins with; the seed under `random`.
    """

    policy: str
    names: tuple[str, ...]
    salt: str = ""

    def speaker(self, identity: str, tweet_id: str) -> str | None:
        """Name of the speaker of a row."""
        if not self.names:
            return None
        chosen_by = identity if self.policy == "random" else tweet_id
        digest = hashlib.sha256(f"{self.salt}{chosen_by}".encode()).digest()
        return self.names[int.from_bytes(digest[:8], "big") % len(self.names)]


def cast_of(params: SpeakerParams, known: Sequence[str], voice: str, seed: int) -> Cast:
    """The speakers that `params` asks for, of those that the voice has (`known`; empty where it has one).

    Raises:
        UserError: a name that the voice does not have, several names for one speaker, or several speakers of a voice
            that has one.
    """
    for name in params.names:
        if name not in known:
            there = ", ".join(known[:SHOWN]) + (f" and {len(known) - SHOWN} more" if len(known) > SHOWN else "")
            expected = f"one of: {there}" if known else "no names: it has one speaker only"
            raise UserError(
                f"synthesize.speakers.names: {name} is no speaker of the voice {voice}; expected {expected}"
            )
    if params.policy == "one":
        if len(params.names) > 1:
            raise UserError(
                f"synthesize.speakers.names: {len(params.names)} names with the policy one; expected one name, or the "
                "policy by_tweet or random"
            )
        return Cast(params.policy, params.names)
    names = params.names or tuple(known)
    if len(names) < 2:
        raise UserError(
            f"synthesize.speakers.policy = {params.policy}: the voice {voice} offers {len(names)} speakers to choose "
            "from; expected two or more, or the policy one"
        )
    return Cast(params.policy, names, f"{seed} " if params.policy == "random" else "")
