"""Which rows repeat others, and which rows belong together: decided over the whole corpus from hashes and texts.

In   one row per examined (tweet, image) pair, in order: `COMPARED`
Out  per row: group_id, and status and reason where the row is to be dropped (empty where it stays)

Memory grows with the corpus, but by 32 bytes of hash and one text a row; no pixels are held.
"""

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.frame.params import STRICT
from pipeline.tweets import groups
from pipeline.tweets.templates import template_pairs
from pipeline.tweets.text import comparison_text

HASH_BITS = 256
COMPARED = ["id", "tweet_id", "text", "image_sha256", "image_phash"]
GROUPING_FILE = "grouping.json"  # in data/clean: what `group_id` promises, for those who check it
Drops = dict[int, tuple[str, str]]  # status and reason by row
DECISIONS = pa.schema([(name, pa.string()) for name in ("id", "group_id", "status", "reason")])


@dataclass(frozen=True, config=STRICT)
class DuplicateParams:
    """Section `clean.duplicates`; benchmarks/near_duplicate_threshold.py shows how the two distances were measured."""

    placeholder_min_tweets: Annotated[int, Field(ge=2)]  # a picture under so many tweets is a placeholder: its rows go
    # Pictures whose 256-bit hashes differ in at most so many bits: of near duplicates the first one stays; those of a
    # group may all stay, but never on two sides of a split.
    near_duplicate_max_bits: Annotated[int, Field(ge=0, le=HASH_BITS // 2)]
    group_max_bits: Annotated[int, Field(ge=0, le=HASH_BITS // 2)]
    text_similarity: Annotated[float, Field(gt=0, le=1)]  # Jaccard index of the words: such texts are of one group


@dataclass(frozen=True, config=STRICT)
class Grouping:
    """Rows nearer than this have the same `group_id`; see `DuplicateParams`."""

    group_max_bits: int
    text_similarity: float


def read_grouping(path: Path) -> Grouping:
    """What stage clean promised; `UserError` if the file is missing or damaged."""
    try:
        return Grouping(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        raise UserError(f"{path}: missing or damaged; run: dvc repro clean --force") from None


def grouping_file(params: DuplicateParams) -> bytes:
    """Content of `GROUPING_FILE`."""
    grouping = Grouping(params.group_max_bits, params.text_similarity)
    return (json.dumps(asdict(grouping)) + "\n").encode()


def decide(rows: pa.Table, params: DuplicateParams, seed: int) -> pa.Table:
    """A row of `DECISIONS` for each row of `rows` (columns `COMPARED`), in the same order."""
    ids: list[str] = rows["id"].to_pylist()
    tweets: list[str] = rows["tweet_id"].to_pylist()
    published: list[str] = rows["text"].to_pylist()
    compared = {text: comparison_text(text) for text in dict.fromkeys(published)}
    texts = [compared[text] for text in published]
    pictures: list[str] = rows["image_sha256"].to_pylist()
    hashes = hash_matrix(rows["image_phash"].to_pylist())

    placeholders = _placeholders(pictures, tweets, params.placeholder_min_tweets)

    drop: Drops = {}
    first_of: dict[str, int] = {}
    for row, picture in enumerate(pictures):
        first = first_of.setdefault(picture, row)
        if picture in placeholders:
            drop[row] = ("image_placeholder", f"the same picture stands under {placeholders[picture]} tweets")
        elif first != row and texts[first] == texts[row]:
            drop[row] = ("pair_duplicate", f"same picture and same words as {ids[first]}")
        elif first != row:
            drop[row] = ("image_duplicate", f"same picture as {ids[first]}")

    # One row per distinct picture is enough to find the near ones.
    distinct = np.array(list(first_of.values()), dtype=np.int64)
    pairs = distinct[groups.near_pairs(hashes[distinct], max(params.near_duplicate_max_bits, params.group_max_bits))]
    bits = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]).sum(axis=1, dtype=np.int64)
    _drop_near(pairs[bits <= params.near_duplicate_max_bits], ids, pictures, placeholders, drop)

    # A placeholder says nothing about the tweets it stands under, so it must not tie them together.
    is_placeholder = np.array([picture in placeholders for picture in pictures], dtype=bool)
    near = pairs[bits <= params.group_max_bits]
    near = near[~is_placeholder[near].any(axis=1)]
    same_picture = groups.chains(_numbers(rows["image_sha256"]))
    same_picture = same_picture[~is_placeholder[same_picture[:, 0]]]
    similar = groups.similar_text_pairs(texts, params.text_similarity, seed)
    ties = groups.chains(_numbers(rows["tweet_id"])), same_picture, near, similar, template_pairs(texts)
    group = groups.connected_groups(len(ids), *ties)
    return pa.table(
        {
            "id": ids,
            "group_id": [ids[first] for first in group],
            "status": [drop.get(row, ("", ""))[0] for row in range(len(ids))],
            "reason": [drop.get(row, ("", ""))[1] for row in range(len(ids))],
        },
        schema=DECISIONS,
    )


def hash_matrix(hex_hashes: list[str]) -> NDArray[np.uint8]:
    """Hex hashes as bytes, shape [n, 32]."""
    return np.frombuffer(bytes.fromhex("".join(hex_hashes)), dtype=np.uint8).reshape(-1, HASH_BITS // 8)


def _placeholders(pictures: list[str], tweets: list[str], at_least: int) -> dict[str, int]:
    """Pictures under so many tweets, and how many those are."""
    tweets_of: defaultdict[str, set[str]] = defaultdict(set)
    for picture, tweet in zip(pictures, tweets, strict=True):
        tweets_of[picture].add(tweet)
    return {picture: len(tweets) for picture, tweets in tweets_of.items() if len(tweets) >= at_least}


def _drop_near(
    pairs: groups.Pairs, ids: list[str], pictures: list[str], placeholders: Collection[str], drop: Drops
) -> None:
    """Of pictures that are near each other the first kept one stays; near a placeholder none does."""
    for pair in pairs.tolist():
        for row, neighbour in (pair, pair[::-1]):
            if pictures[neighbour] in placeholders and row not in drop:
                drop[row] = ("image_placeholder", f"a copy of the placeholder picture of {ids[neighbour]}")
    undecided = [pair for pair in pairs.tolist() if not set(pair) & drop.keys()]
    kept = groups.keep_first(len(ids), np.array(undecided, dtype=np.int64).reshape(-1, 2))
    for first, second in sorted(undecided, key=lambda pair: (pair[1], pair[0])):
        if not kept[second] and kept[first] and second not in drop:
            drop[second] = ("image_near_duplicate", f"nearly the same picture as {ids[first]}")


def _numbers(column: pa.ChunkedArray) -> NDArray[np.integer]:
    """A number per row, equal where the values are."""
    return np.asarray(column.combine_chunks().dictionary_encode().indices)
