"""Builders of tiny corpora of emotion texts in their published formats; see `tests.builders`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

EMOTIONS = ("anger", "joy", "neutral")  # of GoEmotions, numbered from 0
ISEAR_HEADER = "ID|SUBJ|EMOT|Field1|SIT|STATE|"
MELD_HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID"


def write(path: Path, *lines: str | bytes, end: bytes = b"\n") -> Path:
    """A file of these lines in a new folder; its root is returned."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + end for line in lines))
    return path.parent


def goemotions(root: Path, *lines: str | bytes, names: Sequence[str] = EMOTIONS) -> Path:
    """`goemotions/train.tsv` with the names of its labels; returns `root`."""
    (write(root / "goemotions" / "train.tsv", *lines) / "emotions.txt").write_text("\n".join(names), encoding="utf-8")
    return root


def isear(root: Path, *lines: str | bytes) -> Path:
    """`isear/isear.csv`; returns `root`."""
    write(root / "isear" / "isear.csv", ISEAR_HEADER, *lines)
    return root


def meld(root: Path, *lines: str | bytes, split: str = "train") -> Path:
    """`meld/<split>_sent_emo.csv`; returns `root`."""
    write(root / "meld" / f"{split}_sent_emo.csv", MELD_HEADER, *lines, end=b"\r\n")
    return root


def table(root: Path, *lines: str | bytes, header: str = "text,label,group", name: str = "table.csv") -> Path:
    """A table; returns `root`."""
    write(root / name, header, *lines)
    return root


def good_rows(count: int) -> list[str]:
    """Rows of a table, each with words and a group of its own."""
    return [f"words number {number},joy,g{number}" for number in range(count)]
