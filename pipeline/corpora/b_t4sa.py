"""Reader of B-T4SA (Vadicamo et al. 2017): tweets with images and a text sentiment.

In   a folder with `b-t4sa_imgs.tar` (images and, unless they lie beside it, the split files), `raw_tweets_text.csv`
     and `t4sa_text_sentiment.tsv`, as published
Out  `index_tar`: where each image lies in the tar; `read_rows`: one row per usable line of the split files, a reject
     with status and reason for every other; `ImageReader`: the bytes of an image

One row = one (tweet, image) pair. A tweet has up to 4 images and one text. Ids are text from the first byte to the
last: they exceed 2**53, and leading zeros count.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.corpora._files import require_file, require_folder
from pipeline.corpora._splits import SPLITS, ListedImage, Reject, read_splits
from pipeline.corpora._tar import IMAGES, MEMBERS_LEFT_OUT, MEMBERS_TWICE, ImageReader, check_tar, index_tar
from pipeline.corpora._tweets import check_sentiments, check_texts, read_sentiments, read_texts
from pipeline.errors import UserError

__all__ = [
    "ROWS",
    "SENTIMENTS",
    "SPLITS",
    "TAR",
    "TEXTS",
    "ImageReader",
    "SourceRows",
    "check",
    "index_tar",
    "read_rows",
    "required_files",
]

TAR = "b-t4sa_imgs.tar"
TEXTS = "raw_tweets_text.csv"
SENTIMENTS = "t4sa_text_sentiment.tsv"

ROWS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # <tweet id>-<n>
        pa.field("tweet_id", pa.string(), nullable=False),
        pa.field("image_index", pa.int32(), nullable=False),  # n, from 1
        pa.field("member", pa.string(), nullable=False),  # as in the index of the tar
        pa.field("offset_bytes", pa.int64(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),  # as published
        pa.field("sentiment", pa.string(), nullable=False),  # one of tables.SENTIMENTS
        pa.field("source_split", pa.string(), nullable=False),  # one of SPLITS
    ]
)


@dataclass(frozen=True)
class SourceRows:
    """What the split files list: `rows` has the schema `ROWS`; a reject is (id, status, reason).

    `rows_in` counts lines of the split files: `rows.num_rows + len(rejects) == rows_in`. `facts` counts what is odd
    about the corpus but costs no row.
    """

    rows: pa.Table
    rejects: list[Reject]
    rows_in: int
    facts: dict[str, int]


def required_files() -> tuple[str, ...]:
    """Names of the files that a B-T4SA folder must hold."""
    return TAR, TEXTS, SENTIMENTS


def check(root: Path) -> None:
    """Look at names, headers and the start of the tar; quick at any size.

    Raises:
        UserError: a file is missing or misnamed, has another header, or is no tar with images.
    """
    require_folder(root, f"B-T4SA: {', '.join(required_files())}")
    for name in required_files():
        require_file(root, name)
    check_texts(root / TEXTS)
    check_sentiments(root / SENTIMENTS)
    check_tar(root / TAR)


def read_rows(root: Path, index: pa.Table) -> SourceRows:
    """One row per line of `b-t4sa_{train,val,test}.txt`; the files in `root` go before those inside the tar.

    Blank lines are no rows. Rows are sorted by (tweet id as text, image index), rejects stay in the order of the
    files. Statuses: `bad_split_line` (its id is `<split file>:<line number>`), `bad_sentiment`, `duplicate_id` (the
    first line counts), `text_missing`, `image_missing`, `image_empty`.

    Args:
        root: folder of the corpus.
        index: what `index_tar` returned for its tar.

    Raises:
        UserError: a file is missing, unreadable or has another header, or no row is usable.
    """
    tar, texts_file, sentiments_file = (require_file(root, name) for name in required_files())
    listed = read_splits(root, tar, index)
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
        reason = f"the first is rejected: {': '.join(rejects[0])}" if rejects else "the split files are empty"
        raise UserError(f"{root}: none of {len(listed)} listed images is usable; {reason}; check that the files match")
    facts = {
        **text_facts,
        **sentiment_facts,
        **_label_facts(first, best, tweets),
        "images_without_row": _images_without_row(index, first),
        **{
            name: int((index.schema.metadata or {}).get(name.encode(), 0)) for name in (MEMBERS_LEFT_OUT, MEMBERS_TWICE)
        },
    }
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
    places = index.take(positions)
    columns = {
        "id": [item.id for item in kept],
        "tweet_id": [item.tweet_id for item in kept],
        "image_index": [item.image_index for item in kept],
        "member": places.column("member"),
        "offset_bytes": places.column("offset_bytes"),
        "size_bytes": places.column("size_bytes"),
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
    images = members.filter(pc.starts_with(members, IMAGES))
    listed = pc.is_in(images, pa.array([item.member for item in first.values()], pa.string()))
    return int(pc.sum(pc.invert(listed)).as_py() or 0)
