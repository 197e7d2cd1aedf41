"""Whether what a repository holds may be replaced: the card says who published what, and a digest that nothing changed.

The last line of a published card is a comment of HTML, which the Hub does not show: account, what was published (a mode
of the dataset, or a network), and a sha256 over the card above it and the path and size of every other file.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping

CARD = "README.md"
KEPT = {".gitattributes"}  # the Hub's own
CARD_BYTES_MAX = 2**20
MARK = re.compile(rb"\n<!-- sier publish: (\S+) (\S+) ([0-9a-f]{64}) -->\n")
HEADER = re.compile(r"\A---\n(?:(?!---).*\n)*---")  # all that a card has which the Hub makes by itself
NAMED = 3


def marked(card: bytes, sizes: Mapping[str, int], account: str, what: str) -> bytes:
    """The card as it is published; `sizes` in bytes of all files, by path, the card's own is not minded."""
    return card + f"\n<!-- sier publish: {account} {what} {_digest(card, sizes)} -->\n".encode()


def objection(card: bytes | None, sizes: Mapping[str, int], account: str, what: str) -> str | None:
    """Why a repository with this card and these files is not ours to replace by `what`; None if it is, or is empty."""
    found = MARK.search(card or b"")
    if card is None or found is None:
        others = sizes.keys() - KEPT - {CARD}
        text = HEADER.sub("", (card or b"").decode(errors="replace").replace("\r\n", "\n").strip(), count=1)
        foreign = others | ({CARD} if text else set())
        return f"holds files that are not of sier publish ({some(foreign)})" if foreign else None
    publisher, content = found[1].decode(errors="replace"), found[2].decode(errors="replace")
    if publisher != account:
        return f"was published by {publisher}, not by {account}"
    if content != what:
        return f"holds {content}, not {what}"
    if found[3].decode() != _digest(card[: found.start()] + card[found.end() :], sizes):
        return "was changed since it was published: its card was edited, or files were added, taken away or replaced"
    return None


def some(paths: Iterable[str]) -> str:
    """The first few, and how many more there are."""
    ordered = sorted(paths)
    more = f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else ""
    return ", ".join(ordered[:NAMED]) + more


def _digest(card: bytes, sizes: Mapping[str, int]) -> str:
    listed = "".join(f"{size} {path}\n" for path, size in sorted(sizes.items()) if path not in {CARD, *KEPT})
    return hashlib.sha256(listed.encode() + b"\n" + card).hexdigest()
