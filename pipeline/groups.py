"""Which rows belong together: near-equal hashes, similar texts, and the groups that such pairs connect.

In   hashes uint8 [n, 32] (256 bits), comparison texts (words between single spaces, see `pipeline.text`)
Out  pairs int64 [k, 2] of row numbers, first < second, sorted, each once; groups int64 [n]; masks bool [n]

Near hashes are exact. Similar texts are found by MinHash LSH (Broder 1997; bands so tuned that a pair at the threshold
is missed with probability under `_MISS_PROBABILITY`) and confirmed by their exact Jaccard index.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Pairs = npt.NDArray[np.int64]

HASH_BYTES = 32
_BLOCK_ROWS = 4096  # hashes searched at a time: bounds the memory for results
_PERMUTATIONS = 128
_MISS_PROBABILITY = 1e-4


def near_pairs(hashes: npt.NDArray[np.uint8], max_distance_bits: int, *, chain_equal: bool = False) -> Pairs:
    """All pairs of rows whose hashes differ in at most `max_distance_bits` bits; exact.

    Args:
        hashes: uint8 [n, 32].
        max_distance_bits: 0 to 256.
        chain_equal: link rows of equal hash to the next such row only, and other rows to the first of them. The groups
            are the same, and m equal hashes give m - 1 pairs instead of m (m - 1) / 2. Not for `keep_first`.

    Returns:
        int64 [k, 2].
    """
    import faiss  # noqa: PLC0415 - a large library, and most users of this module group texts or pairs

    hashes = np.ascontiguousarray(hashes, dtype=np.uint8)
    if hashes.ndim != 2 or hashes.shape[1] != HASH_BYTES:
        raise ValueError(f"hashes must be [n, {HASH_BYTES}], found {list(hashes.shape)}")
    if chain_equal and len(hashes):
        _, first, which = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
        different = near_pairs(hashes[first], max_distance_bits)
        return _sorted_pairs(np.concatenate([first[different], _chains(which.reshape(-1))]))

    index = faiss.IndexBinaryFlat(HASH_BYTES * 8)
    found: list[Pairs] = []
    for start in range(0, len(hashes), _BLOCK_ROWS):
        block = hashes[start : start + _BLOCK_ROWS]
        index.add(block)  # earlier rows and the block itself: each pair is looked at once
        limits, _, neighbours = index.range_search(block, max_distance_bits + 1)  # faiss: distance < radius
        rows = np.repeat(np.arange(start, start + len(block)), (limits[1:] - limits[:-1]).astype(np.int64))
        earlier = neighbours < rows
        found.append(np.stack([neighbours[earlier], rows[earlier]], axis=1))
    return _sorted_pairs(np.concatenate([_no_pairs(), *found]))


def similar_text_pairs(texts: Sequence[str], threshold: float, seed: int) -> Pairs:
    """Pairs of texts whose sets of words have a Jaccard index of at least `threshold`.

    Equal texts are chained, each to the next, and only the first of them is compared with others: their groups are
    right, their pairs are not all listed. Empty texts are similar to nothing.

    Args:
        texts: comparison texts, one per row.
        threshold: above 0, at most 1.
        seed: of the MinHash permutations.

    Returns:
        int64 [k, 2].
    """
    from datasketch import MinHash  # noqa: PLC0415
    from datasketch.hashfunc import sha1_hash32  # noqa: PLC0415

    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, found {threshold}")
    wordings: dict[frozenset[str], int] = {}
    which = np.empty(len(texts), dtype=np.int64)
    first: list[int] = []
    for row, text in enumerate(texts):
        which[row] = wordings.setdefault(frozenset(text.split()), len(wordings))
        if which[row] == len(first):
            first.append(row)
    words = list(wordings)
    not_empty = [number for number, wording in enumerate(words) if wording]

    sketches = np.array(
        [
            sketch.hashvalues
            for sketch in MinHash.generator(
                ([word.encode() for word in words[number]] for number in not_empty),
                num_perm=_PERMUTATIONS,
                seed=seed,
                hashfunc=functools.lru_cache(maxsize=2**18)(sha1_hash32),
            )
        ],
        dtype=np.uint32,
    ).reshape(-1, _PERMUTATIONS)
    pairs = [
        (first[not_empty[one]], first[not_empty[other]])
        for one, other in _candidates(sketches, *_bands(threshold)).tolist()
        if _jaccard(words[not_empty[one]], words[not_empty[other]]) >= threshold
    ]
    spoken = np.flatnonzero(np.isin(which, not_empty))
    chains = spoken[_chains(which[spoken])]
    return _sorted_pairs(np.concatenate([_no_pairs(), np.array(pairs, dtype=np.int64).reshape(-1, 2), chains]))


def connected_groups(n: int, *pair_arrays: Pairs) -> npt.NDArray[np.int64]:
    """Group of each of `n` rows when every pair is tied together: the smallest row number in it; int64 [n]."""
    pairs = np.concatenate([_no_pairs(), *pair_arrays])
    ties = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, component = connected_components(ties, directed=False)
    _, first, which = np.unique(component, return_index=True, return_inverse=True)
    return cast("npt.NDArray[np.int64]", first[which].astype(np.int64))


def keep_first(n: int, pairs: Pairs) -> npt.NDArray[np.bool_]:
    """Rows that remain when, in order, a row is dropped if it is paired with an earlier one that remained; bool [n].

    Unlike dropping all but the first of a connected group, this keeps the ends of a chain whose ends are not alike.

    Args:
        n: number of rows.
        pairs: all pairs of near rows, int64 [k, 2].
    """
    keep = np.ones(n, dtype=np.bool_)
    ordered = np.sort(pairs, axis=1)
    for earlier, later in ordered[np.argsort(ordered[:, 1], kind="stable")].tolist():
        # All pairs of `earlier` as the later one come before: its fate is sealed.
        if earlier != later and keep[earlier]:
            keep[later] = False
    return keep


def _candidates(sketches: npt.NDArray[np.uint32], bands: int, rows_per_band: int) -> Pairs:
    """Pairs of sketches that agree in all rows of at least one band.

    Band by band over one array of 512 bytes a text; datasketch's own index keeps a dictionary per band, measured at
    12 kB a text, which is 6 GB for all of B-T4SA.
    """
    found = _no_pairs()
    for band in range(bands):
        buckets: list[Pairs] = []
        part = np.ascontiguousarray(sketches[:, band * rows_per_band : (band + 1) * rows_per_band])
        _, bucket = np.unique(part.view(np.dtype((np.void, part.itemsize * rows_per_band))), return_inverse=True)
        order = np.argsort(bucket.reshape(-1), kind="stable")
        borders = np.flatnonzero(np.diff(bucket.reshape(-1)[order])) + 1
        for members in np.split(order, borders):
            if len(members) > 1:
                one, other = np.triu_indices(len(members), k=1)
                buckets.append(np.stack([members[one], members[other]], axis=1))
        found = _sorted_pairs(np.concatenate([found, *buckets]))
    return found


def _bands(threshold: float) -> tuple[int, int]:
    """Bands and rows per band: as many rows (as few false candidates) as the allowed miss probability permits."""
    for rows in range(_PERMUTATIONS // 2, 1, -1):
        bands = _PERMUTATIONS // rows
        if (1 - threshold**rows) ** bands <= _MISS_PROBABILITY:
            return bands, rows
    return _PERMUTATIONS, 1


def _jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


def _chains(which: npt.NDArray[np.int64]) -> Pairs:
    """Pairs (row, next row with the same value)."""
    order = np.argsort(which, kind="stable")
    same = which[order[1:]] == which[order[:-1]]
    return np.stack([order[:-1][same], order[1:][same]], axis=1).astype(np.int64)


def _no_pairs() -> Pairs:
    return np.empty((0, 2), dtype=np.int64)


def _sorted_pairs(pairs: npt.NDArray[np.integer]) -> Pairs:
    return np.unique(np.sort(pairs.astype(np.int64), axis=1), axis=0)
