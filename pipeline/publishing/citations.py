"""citation.bib of what is published: the paper, and every corpus, voice and model that a build was made with.

`citation.bib` beside this file holds all entries that there are; keys are those of `pipeline/dataset/terms.yaml`.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pipeline.dataset.sources import Source
from pipeline.errors import UserError

FILE = Path(__file__).with_name("citation.bib")
PAPER = "sier"
_ENTRY = re.compile(r"^@\w+\{([\w-]+),$.*?^\}$", re.MULTILINE | re.DOTALL)


@cache
def entries() -> dict[str, str]:
    """All entries by key, in the order of the file."""
    text = FILE.read_text(encoding="utf-8")
    return {found[1]: found[0] for found in _ENTRY.finditer(text)}


def bibliography(sources: Sequence[Source]) -> str:
    """The paper and what these things cite, each once; a comment names those of which no publication is known."""
    known = entries()
    wanted = {PAPER, *(key for source in sources for key in source.terms.cite)}
    if missing := sorted(wanted - known.keys()):
        raise UserError(f"{FILE}: no entry {missing[0]}, which pipeline/dataset/terms.yaml cites; add it")
    chosen = [text for key, text in known.items() if key in wanted]
    without = list(dict.fromkeys(source.terms.name for source in sources if not source.terms.cite))
    return "\n".join([*chosen, *([f"% No publication is known of: {'; '.join(without)}."] if without else [])])
