"""Parts of a stage: `SIER_SHARD=i/n` lets each task of a Slurm array do its share of the shards.

A part works on the shards whose number leaves the rest i when divided by n, of the first pass that is not complete, and
never publishes: that is left to a run without `SIER_SHARD`, which finds all shards committed.
"""

import re
from dataclasses import dataclass
from typing import Self

from pipeline.errors import UserError

VARIABLE = "SIER_SHARD"
EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: not complete, go on later; never 0, by which DVC would take it for done


@dataclass(frozen=True)
class Part:
    """Part `index` of `count`, from 0 on."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`i/n` as a part; UserError if it is none."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
        if not match or int(match[1]) >= int(match[2]):
            raise UserError(f"{VARIABLE} = {text}: expected i/n with 0 <= i < n, such as 0/8")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def has(self, shard: int) -> bool:
        """Whether the shard of this number is this part's."""
        return shard % self.count == self.index


class PartDone(BaseException):
    """This part is done, the stage is not. Not an Exception: nothing but `stage_main` may catch it."""
