"""Split files of B-T4SA: which images belong to train, val and test, and the sentiment of each.

In   `b-t4sa_{train,val,test}.txt`, beside the tar or inside it; a line is `data/78476/784760943188189184-1.jpg 0`
Out  one `ListedImage`, or one reject (id, status, reason), per line that is not blank
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.corpora._files import TEXT_BYTES_MAX, read_lines, reading, shown, split_lines
from pipeline.corpora._tar import PREFIX, ImageReader
from pipeline.errors import RowError, UserError
from pipeline.frame.tables import SENTIMENTS

SPLITS = ("train", "val", "test")

_LINE = re.compile(r"\s*(data/[^/\s]+/(([0-9]+)-([1-4]))\.jpg)[ \t]+(\S+)\s*")
_SENTIMENT_OF_DIGIT = {str(digit): name for digit, name in enumerate(SENTIMENTS)}
_LINE_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)  # slots: there are 470,000 of them
class ListedImage:
    """A well-formed line: the image `member` of a tweet, `image_index` counting from 1."""

    id: str
    tweet_id: str
    image_index: int
    member: str
    sentiment: str  # one of tables.SENTIMENTS
    source_split: str  # one of SPLITS


Reject = tuple[str, str, str]


def read_splits(root: Path, tar: Path, index: pa.Table) -> list[ListedImage | Reject]:
    """All lines of the three split files, in order; a file in `root` goes before its namesake in `tar`.

    Rejects: `bad_split_line`, with `<split file>:<line number>` as id, and `bad_sentiment`.

    Raises:
        UserError: a split file is in neither place or cannot be read.
    """
    return [item for split in SPLITS for item in _parse(split, _read(f"b-t4sa_{split}.txt", root, tar, index))]


def _read(name: str, root: Path, tar: Path, index: pa.Table) -> list[str]:
    path = root / name
    with reading(path):
        stands_alone = path.exists()
    if stands_alone:
        return read_lines(path)
    found = index.filter(pc.equal(index.column("member"), name)).to_pylist()
    if not found:
        raise UserError(f"{root}: expected {name}, either there or as {PREFIX}{name} in {tar.name}; found neither")
    with ImageReader(tar) as reader:
        try:
            data = reader.read(found[0]["offset_bytes"], found[0]["size_bytes"], TEXT_BYTES_MAX)
        except RowError as error:
            raise UserError(f"{tar}: {name} cannot be read: {error.reason}; copy or download the tar again") from None
    return split_lines(data.decode("utf-8-sig", errors="replace"))


def _parse(split: str, lines: list[str]) -> Iterator[ListedImage | Reject]:
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line) if len(line) <= _LINE_CHARACTERS_MAX else None
        if match is None:
            if line.strip():
                reason = f"expected data/12345/<tweet id>-<1 to 4>.jpg <0 to 2>, found {shown(line)}"
                yield f"b-t4sa_{split}.txt:{number}", "bad_split_line", reason
            continue
        member, row_id, tweet_id, image_index, digit = match.groups()
        if digit in _SENTIMENT_OF_DIGIT:
            yield ListedImage(row_id, tweet_id, int(image_index), member, _SENTIMENT_OF_DIGIT[digit], split)
        else:
            yield row_id, "bad_sentiment", f"expected one of {', '.join(_SENTIMENT_OF_DIGIT)}, found {shown(digit)}"
