"""How many of everything a corpus holds, beside what is known of the published one.

In   the root of a corpus that has passed its check
Out  counts by name, and a line for every one that differs; readers have silently lost half a corpus before
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.corpora import b_t4sa, emotion_texts, fi, iemocap, labelled, pairs
from pipeline.corpora._files import reading
from pipeline.corpora._tar import IMAGES
from pipeline.errors import UserError
from pipeline.frame.paper import B_T4SA_ROWS
from pipeline.frame.tables import SENTIMENTS

# Vadicamo et al. 2017 and the published files; sizes of the splits as they are commonly quoted.
B_T4SA: Mapping[str, int] = {
    "listed images": B_T4SA_ROWS, "negative": 156_862, "neutral": 156_862, "positive": 156_862,
    "train": 368_586, "val": 51_000, "test": 51_000, "images in the tar": B_T4SA_ROWS,
    "tweets with a sentiment": 1_179_957,
}  # fmt: skip
# You et al. 2016: a strict majority of the votes in the lists.
FI_LISTS: Mapping[str, int] = {
    "amusement": 4923, "anger": 1255, "awe": 3133, "contentment": 5356,
    "disgust": 1650, "excitement": 2918, "fear": 1029, "sadness": 2902,
}  # fmt: skip
FI_FOLDERS_RANGE = (23_185, 23_308)  # pictures in the copies that are passed on
EMOSET_PICTURES = 118_102
_BLOCK_BYTES = 2**20


def count(form: str, root: Path, index: pa.Table | None = None) -> tuple[dict[str, int], list[str]]:
    """Counts of a corpus in the format `form`, and differences from the published one in one line each.

    `index` is that of b_t4sa's tar. Raises UserError if there is not one row.
    """
    try:
        if form == "pairs":
            return _pairs(root)
        if form in labelled.READERS:
            corpus = labelled.READERS[form](root)
            counts = dict(sorted(Counter(file.label for file in corpus.files).items()))
            lost = sorted(Counter(status for _, status, _ in corpus.rejects).items())
            return counts, [*labelled.differences(form, corpus), *(f"rejected: {n:,} {status}" for status, n in lost)]
        if form == "b_t4sa":
            assert index is not None, "the tar has an index by now"
            counts = _b_t4sa(root, index)
            return counts, _differences("B-T4SA", counts, B_T4SA)
        if form == "iemocap":
            counts = dict(sorted(Counter(utterance.emotion for utterance in iemocap.read(root).utterances).items()))
            return counts, iemocap.compare_counts(counts)
        if form == "emotion_texts":
            texts = emotion_texts.read(root)
            counts = dict(sorted(Counter(f"{text.part} {text.label}" for text in texts.texts).items()))
            return counts, emotion_texts.compare_rows(texts.rows_of)
        return _pictures(root)
    except UserError as error:
        if " is usable" in str(error) or form == "b_t4sa":  # nothing to work with
            raise
        # The stage that reads the rows will stop at it; here it must not hide that the files are in place.
        return {}, [f"not counted: {error}"]


def _pairs(root: Path) -> tuple[dict[str, int], list[str]]:
    source = pairs.read_rows(root)
    rows = source.rows
    counts = Counter(rows["sentiment"].drop_null().to_pylist()) + Counter(rows["source_split"].to_pylist())
    lost = sorted(Counter(status for _, status, _ in source.rejects).items())
    return {"pairs": rows.num_rows, **dict(sorted(counts.items()))}, [f"rejected: {n:,} {status}" for status, n in lost]


def _b_t4sa(root: Path, index: pa.Table) -> dict[str, int]:
    rows = [item for item in b_t4sa.read_splits(root, root / b_t4sa.TAR, index) if isinstance(item, b_t4sa.ListedImage)]
    if not rows:
        raise UserError(f"{root}: the split files list no image; give them as published")
    by_sentiment = Counter(row.sentiment for row in rows)
    by_split = Counter(row.source_split for row in rows)
    members = index.column("member")
    with reading(root), (root / b_t4sa.SENTIMENTS).open("rb") as file:
        ends = sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK_BYTES), b""))
    return {
        "listed images": len(rows),
        **{name: by_sentiment[name] for name in SENTIMENTS},
        **{name: by_split[name] for name in b_t4sa.SPLITS},
        "images in the tar": len(members.filter(pc.starts_with(members, IMAGES))),
        "tweets with a sentiment": max(0, ends - 1),  # without the header
    }


def _pictures(root: Path) -> tuple[dict[str, int], list[str]]:
    corpus = fi.read(root)
    counts = dict(sorted(Counter(image.emotion for image in corpus.images).items()))
    total = len(corpus.images)
    low, high = FI_FOLDERS_RANGE
    if corpus.form == "agg":
        return counts, _differences("FI", counts, FI_LISTS)
    if corpus.form == "emoset" and total != EMOSET_PICTURES:
        return counts, [f"EmoSet: {total:,} pictures, the published corpus has {EMOSET_PICTURES:,}"]
    if corpus.form == "folders" and not low <= total <= high:
        return counts, [f"FI: {total:,} pictures, known copies have {low:,} to {high:,}"]
    return counts, []


def _differences(corpus: str, counts: Mapping[str, int], known: Mapping[str, int]) -> list[str]:
    return [
        f"{corpus} {name}: {counts.get(name, 0):,}, the published corpus has {number:,}"
        for name, number in known.items()
        if counts.get(name, 0) != number
    ]
