"""Licences and terms of things of others, from `terms.yaml`; of what does not stand there, that it is not known.

In   the kind of a thing and its name: a corpus by its format, a voice as <engine>:<model>, a checkpoint as on the Hub
Out  `Terms`, whatever the name is
"""

from __future__ import annotations

from dataclasses import field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import yaml
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

FILE = Path(__file__).with_name("terms.yaml")
Kind = Literal["corpora", "texts", "voices", "checkpoints", "weights"]
KINDS: tuple[Kind, ...] = get_args(Kind)
HUB = "https://huggingface.co"
UNKNOWN = "its terms are not known to this project"
NOT_COMPARED = "not compared with the source by this project"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Terms:
    """An entry of the table."""

    name: str
    licence: str | None  # SPDX id
    terms: str
    source: str | None  # an address, or what else it can be read in
    cite: list[str]  # keys of citation.bib
    domain: str | None = field(default=None)
    sure: bool = field(default=True)

    @property
    def sentence(self) -> str:
        """All that is known of the terms, without a full stop."""
        known = "; ".join(part for part in (self.licence, self.terms) if part)
        return known if self.sure else f"{known} ({NOT_COMPARED})"

    @property
    def see(self) -> str:
        """Where it can be read, for a table of Markdown."""
        if self.source is None:
            return "its maker"
        return f"<{self.source}>" if "://" in self.source else self.source


@cache
def table() -> dict[Kind, dict[str, Terms]]:
    """The whole of `terms.yaml`."""
    found: dict[Kind, dict[str, Terms]] = TypeAdapter(dict[Kind, dict[str, Terms]]).validate_python(
        yaml.safe_load(FILE.read_text(encoding="utf-8"))
    )
    return found


def of(kind: Kind, name: str, shown: str = "") -> Terms:
    """What is known of the thing `name`; `shown`: what cards call it where that is not its name."""
    shown = shown or name
    page = f"{HUB}/{shown}" if kind in {"voices", "checkpoints"} and shown.count("/") == 1 else None
    for pattern, known in table()[kind].items():
        if fnmatchcase(name, pattern):
            return replace(known, name=known.name.replace("{}", shown), source=known.source or page)
    return Terms(name=shown, licence=None, terms=UNKNOWN, source=page, cite=[])
