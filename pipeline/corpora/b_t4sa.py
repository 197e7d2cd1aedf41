"""Reader of B-T4SA (Vadicamo et al. 2017): tweets with images and a text sentiment.

In   a folder with `FILES`, as published, or the folder `b-t4sa_imgs` in the tar's place; the split files
     `b-t4sa_{train,val,test}.txt` lie in the tar or beside it, with a line such as
     `data/78476/784760943188189184-1.jpg 0` per image
Out  `index_images`: where each image lies; `read_rows`: one row per usable line of the split files, a reject with
     status and reason for every other; `ImageReader`: the bytes of an image

One row = one (tweet, image) pair. A tweet has up to 4 images and one text. Ids are text from the first byte to the
last: they exceed 2**53, and leading zeros count.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.corpora import _files, _tar
from pipeline.corpora._files import Reject, none_usable, require_file, require_folder, shown
from pipeline.corpora._tar import ImageReader, index_images, index_tar
from pipeline.corpora._tweets import SENTIMENTS_HEADER, TEXTS_HEADER, open_table, read_sentiments, read_texts
from pipeline.engine.rejects import required
from pipeline.errors import RowError, UserError
from pipeline.frame import tables

__all__ = [
    "FILES", "ROWS", "SENTIMENTS", "SPLITS", "TAR", "TEXTS", "ImageReader", "check", "files", "images", "index_images",
    "index_tar", "read_rows",
]  # fmt: skip

TAR = "b-t4sa_imgs.tar"
TEXTS = "raw_tweets_text.csv"
SENTIMENTS = "t4sa_text_sentiment.tsv"
FILES = (TAR, TEXTS, SENTIMENTS)
SPLITS = ("train", "val", "test")

# Some copies name images from the folder above, or as Windows does.
_LINE = re.compile(r"\s*(?:b-t4sa_imgs[/\\])?data[/\\]([^/\\\s]+)[/\\](([0-9]+)-([1-4]))\.jpg[ \t]+(\S+)\s*")
_SENTIMENT_OF_DIGIT = {str(digit): name for digit, name in enumerate(tables.SENTIMENTS)}
_LINE_CHARACTERS_MAX = 200

ROWS = pa.schema(
    [
        required("id", pa.string()),  # <tweet id>-<n>
        required("tweet_id", pa.string()),
        required("image_index", pa.int32()),  # n, from 1
        *_tar.INDEX,
        required("text", pa.string()),  # as published
        pa.field("sentiment", pa.string()),  # one of tables.SENTIMENTS; null where a corpus (`table`) has none
        required("source_split", pa.string()),  # one of SPLITS
    ]
)


@dataclass(frozen=True, slots=True)  # slots: there are 470,000 of them
class ListedImage:
    """A well-formed line: the image `member` of a tweet, `image_index` counting from 1."""

    id: str
    tweet_id: str
    image_index: int
    member: str
    sentiment: str  # one of tables.SENTIMENTS
    source_split: str  # one of SPLITS


@dataclass(frozen=True)
class SourceRows:
    """What the split files list, a line each: `rows.num_rows + len(rejects) == rows_in`."""

    rows: pa.Table  # ROWS
    rejects: list[Reject]
    rows_in: int
    facts: dict[str, int]  # counts of what is odd about the corpus but costs no row


def check(root: Path) -> None:
    """Look at names, headers and the start of the tar, quickly at any size; raises UserError for what is wrong."""
    require_folder(root, f"B-T4SA: {', '.join(FILES)}")
    _tar.check_images(images(root))
    for name in (TEXTS, SENTIMENTS):
        require_file(root, name)
    with open_table(root / TEXTS, TEXTS_HEADER), open_table(root / SENTIMENTS, SENTIMENTS_HEADER):
        pass  # their headers are right


def images(root: Path) -> Path:
    """The tar, or else the folder that it was unpacked to; `UserError` if neither is there."""
    top = root / _tar.PREFIX
    with _files.reading(root):
        for folder in () if (root / TAR).is_file() else (top, top / _tar.PREFIX):
            if (folder / _tar.IMAGES).is_dir():
                return folder
    return require_file(root, TAR)


def files(root: Path) -> list[Path]:
    """Every file that `read_rows` and `ImageReader` may read."""
    place = images(root)
    unpacked = [place / name for name in _files.visible_files(place)] if place.is_dir() else [place]
    splits = [root / _split_file(split) for split in SPLITS]
    return [*unpacked, root / TEXTS, root / SENTIMENTS, *filter(_files.is_file, splits)]


def read_rows(root: Path, index: pa.Table) -> SourceRows:
    """One row per line of the split files; those in `root` go before those inside the tar, whose `index` is given.

    Blank lines are no rows. Rows are sorted by (tweet id as text, image index), rejects stay in the order of the
    files. Statuses: `bad_split_line` (its id is `<split file>:<line number>`), `bad_sentiment`, `duplicate_id` (the
    first line counts), `text_missing`, `image_missing`, `image_empty`. Raises UserError if no row is usable, or ids
    are numbers of a spreadsheet.
    """
    texts_file, sentiments_file = (require_file(root, name) for name in (TEXTS, SENTIMENTS))
    listed = [item for split in SPLITS for item in read_split(split, root, index)]
    first: dict[str, ListedImage] = {}
    for item in listed:
        if isinstance(item, ListedImage):
            first.setdefault(item.id, item)
    tweets = {item.tweet_id for item in first.values()}
    texts, text_facts = read_texts(texts_file, tweets)
    best, sentiment_facts = read_sentiments(sentiments_file, tweets)
    sizes = dict(zip(index.column("member").to_pylist(), index.column("size_bytes").to_pylist(), strict=True))

    rejects: list[Reject] = []
    kept: list[ListedImage] = []
    for item in listed:
        reject = _reject(item, first, texts, sizes) if isinstance(item, ListedImage) else item
        if reject is not None:
            rejects.append(reject)
        elif isinstance(item, ListedImage):
            kept.append(item)
    if not kept:
        rows, hint = f"{len(listed)} listed images", "check that the files match"
        raise none_usable(root, rows, rejects, "the split files are empty", hint)
    facts = text_facts | sentiment_facts | _label_facts(first, best, tweets)
    facts["images_without_row"] = _images_without_row(index, first)
    metadata = index.schema.metadata or {}
    facts |= {name: int(metadata.get(name.encode(), 0)) for name in (_tar.MEMBERS_LEFT_OUT, _tar.MEMBERS_TWICE)}
    return SourceRows(_rows(kept, index, texts), rejects, len(listed), facts)


def _reject(
    item: ListedImage, first: dict[str, ListedImage], texts: dict[str, str], sizes: dict[str, int]
) -> Reject | None:
    if first[item.id] is not item:
        return item.id, "duplicate_id", f"listed in {item.source_split}, before that in {first[item.id].source_split}"
    if item.tweet_id not in texts:
        return item.id, "text_missing", f"no readable row of {TEXTS} has the id {item.tweet_id}"
    if item.member not in sizes:
        return item.id, "image_missing", f"{TAR} has no plain file {item.member}"
    if not sizes[item.member]:
        return item.id, "image_empty", f"{item.member} has 0 bytes"
    return None


def _rows(kept: list[ListedImage], index: pa.Table, texts: dict[str, str]) -> pa.Table:
    kept = sorted(kept, key=lambda item: (item.tweet_id, item.image_index))
    positions = pc.index_in(pa.array([item.member for item in kept], pa.string()), index.column("member"))
    in_tar = index.take(positions)
    columns = {
        "id": [item.id for item in kept],
        "tweet_id": [item.tweet_id for item in kept],
        "image_index": [item.image_index for item in kept],
        **{name: in_tar.column(name) for name in _tar.INDEX.names},
        "text": [texts[item.tweet_id] for item in kept],
        "sentiment": [item.sentiment for item in kept],
        "source_split": [item.source_split for item in kept],
    }
    return pa.table(columns, schema=ROWS)


def _label_facts(first: dict[str, ListedImage], best: dict[str, tuple[str, ...]], tweets: set[str]) -> dict[str, int]:
    """Counts of tweets whose labels contradict each other, between images, splits or files."""
    labels = {(item.tweet_id, item.sentiment) for item in first.values()}
    splits = {(item.tweet_id, item.source_split) for item in first.values()}
    return {
        "tweets_without_sentiment_row": sum(tweet not in best for tweet in tweets),
        "sentiment_disagreements": sum(tweet in best and label not in best[tweet] for tweet, label in labels),
        "tweets_of_two_sentiments": len(labels) - len(tweets),
        "tweets_in_two_splits": len(splits) - len(tweets),
    }


def _images_without_row(index: pa.Table, first: dict[str, ListedImage]) -> int:
    members = index.column("member")
    listed = pa.array([item.member for item in first.values()], pa.string())
    return len(members.filter(pc.and_not(pc.starts_with(members, _tar.IMAGES), pc.is_in(members, listed))))


def read_split(split: str, root: Path, index: pa.Table) -> list[ListedImage | Reject]:
    """All lines of a split file, in order; that in `root` goes before its namesake in the tar."""
    return list(_parse(split, _read(_split_file(split), root, images(root), index)))


def _split_file(split: str) -> str:
    return f"b-t4sa_{split}.txt"


def _read(name: str, root: Path, tar: Path, index: pa.Table) -> list[str]:
    path = root / name
    with _files.reading(path):
        if path.exists():
            return _files.read_lines(path)
    members = index.filter(pc.equal(index.column("member"), name)).to_pylist()
    if not members:
        raise UserError(f"{root}: expected {name}, either there or as {_tar.PREFIX}{name} in {tar.name}; found neither")
    with ImageReader(tar) as reader:
        try:
            data = reader.read_row(members[0], _files.TEXT_BYTES_MAX)
        except RowError as error:
            raise UserError(f"{tar}: {name} cannot be read: {error.reason}; copy or download the tar again") from None
    return _files.split_lines(data.decode("utf-8-sig", errors="replace"))


def _parse(split: str, lines: list[str]) -> Iterator[ListedImage | Reject]:
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line) if len(line) <= _LINE_CHARACTERS_MAX else None
        if match is None:
            if line.strip():
                reason = f"expected data/12345/<tweet id>-<1 to 4>.jpg <0 to 2>, found {shown(line)}"
                yield f"{_split_file(split)}:{number}", "bad_split_line", reason
            continue
        folder, row_id, tweet_id, image_index, digit = match.groups()
        if digit in _SENTIMENT_OF_DIGIT:
            member = f"{_tar.IMAGES}{folder}/{row_id}.jpg"
            yield ListedImage(row_id, tweet_id, int(image_index), member, _SENTIMENT_OF_DIGIT[digit], split)
        else:
            yield row_id, "bad_sentiment", f"expected one of {', '.join(_SENTIMENT_OF_DIGIT)}, found {shown(digit)}"
