"""Which rows belong together: near-equal hashes, similar texts, and the groups that such pairs connect.

In   hashes uint8 [n, 32] (256 bits), comparison texts (words between single spaces, see `pipeline.tweets.text`)
Out  pairs int64 [k, 2] of row numbers, first < second, sorted, each once; groups int64 [n]; masks bool [n]

Near hashes are exact. Similar texts are found by MinHash LSH (Broder 1997; bands so tuned that a pair at the threshold
is missed with probability under `_MISS_PROBABILITY`) and confirmed by their exact Jaccard index.
"""

import functools
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

Pairs = npt.NDArray[np.int64]

HASH_BYTES = 32
_BLOCK_ROWS = 4096  # hashes searched at a time: bounds the memory for results
_PAIRS_AT_A_TIME = 1_000_000  # of texts: bounds the memory for comparing them
_PERMUTATIONS = 128
_MISS_PROBABILITY = 1e-4


def near_pairs(hashes: npt.NDArray[np.uint8], max_distance_bits: int, *, chain_equal: bool = False) -> Pairs:
    """All pairs of rows whose hashes differ in at most `max_distance_bits` bits; exact.

    With `chain_equal` rows of equal hash are linked to the next such row only, and other rows to the first of them: the
    groups are the same, and m equal hashes give m - 1 pairs instead of m (m - 1) / 2. Not for `keep_first`.
    """
    import faiss  # noqa: PLC0415 - a large library, and most users of this module group texts or pairs

    hashes = np.ascontiguousarray(hashes, dtype=np.uint8)
    if hashes.ndim != 2 or hashes.shape[1] != HASH_BYTES:
        raise ValueError(f"hashes must be [n, {HASH_BYTES}], found {list(hashes.shape)}")
    if chain_equal and len(hashes):
        _, first, which = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
        different = near_pairs(hashes[first], max_distance_bits)
        return _sorted_pairs(np.concatenate([first[different], chains(which.reshape(-1))]))

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
    """Pairs of comparison texts whose sets of words have a Jaccard index of at least `threshold`, in (0, 1].

    Equal texts are chained, each to the next, and only the first of them is compared with others: their groups are
    right, their pairs are not all listed. Empty texts are similar to nothing. `seed` is that of the permutations.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, found {threshold}")
    numbers: dict[str, int] = {}
    wordings: dict[bytes, int] = {}  # sorted numbers of words -> number of the wording
    which = np.empty(len(texts), dtype=np.int64)
    first: list[int] = []
    for row, text in enumerate(texts):
        words = array("i", sorted({numbers.setdefault(word, len(numbers)) for word in text.split()}))
        which[row] = wordings.setdefault(words.tobytes(), len(wordings))
        if which[row] == len(first):
            first.append(row)
    spoken = np.flatnonzero([len(wording) for wording in wordings])
    word_of = _word_matrix([wording for wording in wordings if wording], len(numbers))
    first_of = np.array(first, dtype=np.int64)[spoken]

    found = _no_pairs()
    for band in _banded(_sketches(word_of, list(numbers), seed), *_bands(threshold)):
        similar = [pairs[_jaccard(word_of, pairs) >= threshold] for pairs in _candidates(band)]
        found = _sorted_pairs(np.concatenate([found, *similar]))
    not_empty = np.flatnonzero(np.isin(which, spoken))
    return _sorted_pairs(np.concatenate([first_of[found], not_empty[chains(which[not_empty])]]))


def connected_groups(n: int, *pair_arrays: Pairs) -> npt.NDArray[np.int64]:
    """Group of each of `n` rows when every pair is tied together: the smallest row number in it."""
    pairs = np.concatenate([_no_pairs(), *pair_arrays])
    ties = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, component = connected_components(ties, directed=False)
    _, first, which = np.unique(component, return_index=True, return_inverse=True)
    return cast("npt.NDArray[np.int64]", first[which].astype(np.int64))


def keep_first(n: int, pairs: Pairs) -> npt.NDArray[np.bool_]:
    """Which of `n` rows remain when, in order, a row is dropped if it is near an earlier one that remained.

    Unlike dropping all but the first of a connected group, this keeps the ends of a chain whose ends are not alike;
    `pairs` are all pairs of near rows.
    """
    keep = np.ones(n, dtype=np.bool_)
    ordered = np.sort(pairs, axis=1)
    for earlier, later in ordered[np.argsort(ordered[:, 1], kind="stable")].tolist():
        # All pairs of `earlier` as the later one come before: its fate is sealed.
        if earlier != later and keep[earlier]:
            keep[later] = False
    return keep


def _word_matrix(wordings: Sequence[bytes], n_words: int) -> csr_array:
    """Which wording has which word: 0 / 1, [wordings, words]."""
    numbers = np.frombuffer(b"".join(wordings), dtype=np.intc)
    sizes = np.array([len(wording) // numbers.itemsize for wording in wordings], dtype=np.int64)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    return csr_array((np.ones(len(numbers), dtype=np.int32), numbers, ends), shape=(len(wordings), n_words))


def _sketches(word_of: csr_array, words: list[str], seed: int) -> npt.NDArray[np.uint32]:
    """MinHash sketch of each row of `word_of`, [rows, `_PERMUTATIONS`]."""
    from datasketch import MinHash  # noqa: PLC0415
    from datasketch.hashfunc import sha1_hash32  # noqa: PLC0415

    encoded = [word.encode() for word in words]
    numbers, ends = word_of.indices.tolist(), word_of.indptr.tolist()
    sketches = np.empty((word_of.shape[0], _PERMUTATIONS), dtype=np.uint32)
    hashed = MinHash.generator(
        ([encoded[number] for number in numbers[start:end]] for start, end in pairwise(ends)),
        num_perm=_PERMUTATIONS,
        seed=seed,
        hashfunc=functools.lru_cache(maxsize=2**18)(sha1_hash32),
    )
    for row, sketch in enumerate(hashed):
        sketches[row] = sketch.hashvalues
    return sketches


def _banded(sketches: npt.NDArray[np.uint32], bands: int, rows_per_band: int) -> Iterator[npt.NDArray[np.uint64]]:
    """For each band one number per sketch, equal where the sketches agree in all rows of the band.

    Different bands of two texts may rarely give one number; then the exact index tells them apart. datasketch's own
    index of bands was measured at 12 kB a text, which is 6 GB for all of B-T4SA.
    """
    factors = np.random.default_rng(0).integers(1, 2**63, rows_per_band, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    for start in range(0, bands * rows_per_band, rows_per_band):
        yield (sketches[:, start : start + rows_per_band] * factors).sum(axis=1, dtype=np.uint64)


def _candidates(band: npt.NDArray[np.uint64]) -> Iterator[Pairs]:
    """All pairs of rows with equal numbers, some at a time: a template of many tweets makes millions of them."""
    order = np.argsort(band, kind="stable")
    ordered = band[order]
    positions = np.arange(len(band), dtype=np.int64)
    found: list[Pairs] = []
    for step in range(1, len(band)):  # neighbours in the order, then those two apart, ...
        positions = positions[: np.searchsorted(positions, len(band) - step)]
        positions = positions[ordered[positions] == ordered[positions + step]]
        if not len(positions):
            break
        found.append(np.stack([order[positions], order[positions + step]], axis=1))
        if sum(map(len, found)) > _PAIRS_AT_A_TIME:
            yield np.concatenate(found)
            found = []
    yield np.concatenate([_no_pairs(), *found])


def _bands(threshold: float) -> tuple[int, int]:
    """Bands and rows per band: as many rows (as few false candidates) as the allowed miss probability permits."""
    for rows in range(_PERMUTATIONS // 2, 1, -1):
        bands = _PERMUTATIONS // rows
        if (1 - threshold**rows) ** bands <= _MISS_PROBABILITY:
            return bands, rows
    return _PERMUTATIONS, 1


def _jaccard(word_of: csr_array, pairs: Pairs) -> npt.NDArray[np.float64]:
    """Jaccard index of the words of each pair of rows, [pairs]."""
    sizes = np.diff(word_of.indptr)
    first, second = pairs[:, 0], pairs[:, 1]
    shared = np.asarray(word_of[first].multiply(word_of[second]).sum(axis=1))
    return cast("npt.NDArray[np.float64]", shared / (sizes[first] + sizes[second] - shared))


def chains(which: npt.NDArray[np.integer]) -> Pairs:
    """Pairs (row, next row with the same value): they tie equal values together, n pairs at most."""
    order = np.argsort(which, kind="stable")
    same = which[order[1:]] == which[order[:-1]]
    return np.stack([order[:-1][same], order[1:][same]], axis=1).astype(np.int64)


def _no_pairs() -> Pairs:
    return np.empty((0, 2), dtype=np.int64)


def _sorted_pairs(pairs: npt.NDArray[np.integer]) -> Pairs:
    # As one number each: numpy sorts rows as raw bytes, which takes ten times as long.
    ordered = np.sort(pairs.astype(np.int64), axis=1)
    span = int(ordered.max(initial=0)) + 1
    return np.stack(np.divmod(np.unique(ordered[:, 0] * span + ordered[:, 1]), span), axis=1)
