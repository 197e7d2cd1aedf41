"""Which rows repeat others, and which rows belong together: decided over the whole corpus from hashes and texts.

In   one row per examined (tweet, image) pair, in order: id, tweet_id, text, image_sha256, image_phash
Out  per row: group_id, and status and reason where the row is to be dropped (empty where it stays)

Memory grows with the corpus, but by 32 bytes of hash and one text a row; no pixels are held.
"""

from __future__ import annotations

import json
from collections import defaultdict
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
from pipeline.tweets.text import comparison_text

HASH_BITS = 256
COMPARED = ["id", "tweet_id", "text", "image_sha256", "image_phash"]

GROUPING_FILE = "grouping.json"  # in data/clean: what `group_id` promises, for those who check it

DECISIONS = pa.schema([(name, pa.string()) for name in ("id", "group_id", "status", "reason")])


@dataclass(frozen=True, config=STRICT)
class DuplicateParams:
    """Section `clean.duplicates`; see benchmarks/near_duplicate_threshold.py for how the two distances were measured.

    Attributes:
        placeholder_min_tweets: a picture under this many tweets is a placeholder: all its rows go.
        near_duplicate_max_bits: pictures whose 256-bit hashes differ in at most this many bits: the first one stays.
        group_max_bits: pictures this near may both stay, but never on two sides of a split.
        text_similarity: word-set Jaccard similarity from which texts never lie on two sides of a split.
    """

    placeholder_min_tweets: Annotated[int, Field(ge=2)]
    near_duplicate_max_bits: Annotated[int, Field(ge=0, le=HASH_BITS // 2)]
    group_max_bits: Annotated[int, Field(ge=0, le=HASH_BITS // 2)]
    text_similarity: Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, config=STRICT)
class Grouping:
    """Rows nearer than this have the same `group_id`; see `DuplicateParams`."""

    group_max_bits: int
    text_similarity: float


def read_grouping(path: Path) -> Grouping:
    """What stage clean promised.

    Raises:
        UserError: the file is missing or damaged.
    """
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

    drop: dict[int, tuple[str, str]] = {}
    first_of: dict[str, int] = {}
    placeholders = _placeholders(pictures, tweets, params.placeholder_min_tweets)
    for row, picture in enumerate(pictures):
        first = first_of.setdefault(picture, row)
        if picture in placeholders:
            reason = f"the same picture stands under {placeholders[picture]} tweets"
            drop[row] = ("image_placeholder", reason)
        elif first != row and texts[first] == texts[row]:
            drop[row] = ("pair_duplicate", f"same picture and same words as {ids[first]}")
        elif first != row:
            drop[row] = ("image_duplicate", f"same picture as {ids[first]}")

    # One row per distinct picture is enough to find the near ones.
    distinct = np.array(sorted(first_of.values()), dtype=np.int64)
    pairs = distinct[groups.near_pairs(hashes[distinct], max(params.near_duplicate_max_bits, params.group_max_bits))]
    bits = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]).sum(axis=1, dtype=np.int64)
    near = pairs[bits <= params.near_duplicate_max_bits]
    _drop_near(near, ids, pictures, set(placeholders), drop)

    group = _group(texts, tweets, pictures, pairs[bits <= params.group_max_bits], set(placeholders), params, seed)
    return pa.table(
        {
            "id": ids,
            "group_id": [ids[member] for member in group],
            "status": [drop.get(row, ("", ""))[0] for row in range(len(ids))],
            "reason": [drop.get(row, ("", ""))[1] for row in range(len(ids))],
        },
        schema=DECISIONS,
    )


def hash_matrix(hex_hashes: list[str]) -> NDArray[np.uint8]:
    """Hex hashes as bytes, shape [n, 32]."""
    return np.frombuffer(bytes.fromhex("".join(hex_hashes)), dtype=np.uint8).reshape(-1, HASH_BITS // 8)


def _placeholders(pictures: list[str], tweets: list[str], at_least: int) -> dict[str, int]:
    under: defaultdict[str, set[str]] = defaultdict(set)
    for picture, tweet in zip(pictures, tweets, strict=True):
        under[picture].add(tweet)
    return {picture: len(found) for picture, found in under.items() if len(found) >= at_least}


def _drop_near(
    pairs: NDArray[np.int64],
    ids: list[str],
    pictures: list[str],
    placeholders: set[str],
    drop: dict[int, tuple[str, str]],
) -> None:
    """Of pictures that are near each other the first kept one stays; near a placeholder none does."""
    for one, other in pairs:
        for row, neighbour in ((one, other), (other, one)):
            if pictures[neighbour] in placeholders and int(row) not in drop:
                drop[int(row)] = ("image_placeholder", f"a copy of the placeholder picture of {ids[neighbour]}")
    left = np.array([pair for pair in pairs if not {int(pair[0]), int(pair[1])} & drop.keys()], dtype=np.int64)
    left = left.reshape(-1, 2)
    kept = groups.keep_first(len(ids), left)
    for one, other in left[np.lexsort((left[:, 0], left[:, 1]))]:
        first, second = sorted((int(one), int(other)))
        if not kept[second] and kept[first] and second not in drop:
            drop[second] = ("image_near_duplicate", f"nearly the same picture as {ids[first]}")


def _group(
    texts: list[str],
    tweets: list[str],
    pictures: list[str],
    near: NDArray[np.int64],
    placeholders: set[str],
    params: DuplicateParams,
    seed: int,
) -> NDArray[np.int64]:
    """Connected components; the label of a row is the first row of its component."""
    # A placeholder says nothing about the tweets it stands under, so it must not tie them together.
    real = np.array([picture not in placeholders for picture in pictures], dtype=bool)
    near = near[real[near].all(axis=1)]
    pictures = [picture if real[row] else f"placeholder {row}" for row, picture in enumerate(pictures)]
    similar = groups.similar_text_pairs(texts, params.text_similarity, seed)
    return groups.connected_groups(len(texts), _chain(tweets), _chain(pictures), near, similar)


def _chain(values: list[str]) -> NDArray[np.int64]:
    """Pairs (row, previous row with the same value): ties equal values together with n pairs at most."""
    last: dict[str, int] = {}
    pairs = []
    for row, value in enumerate(values):
        if value in last:
            pairs.append((last[value], row))
        last[value] = row
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
