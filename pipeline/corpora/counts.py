"""How many of everything a corpus holds, beside what is known of the published one.

In   the root of a corpus that has passed its check
Out  counts by name, a line for every one that differs, and the rows that would be lost; readers have silently lost half
     a corpus before
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.corpora import b_t4sa, emotion_texts, fi, iemocap
from pipeline.corpora._files import Reject, reading
from pipeline.corpora._published import compare_counts
from pipeline.corpora._tar import IMAGES
from pipeline.corpora.further import labelled, table
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
# What a published corpus is meant to lose: rows without agreement, of several labels, or twice.
BY_DESIGN = {
    "no_majority", "outvoted", "several_labels", "no_report", "not_speech", "duplicate_text", "conflicting_labels",
}  # fmt: skip
_BLOCK_BYTES = 2**20


@dataclass(frozen=True)
class Count:
    """`differences` from the published corpus, a line each; of `rows_in` rows `rejects` are lost.

    `absent`: whole parts of the published corpus, and which share of it they are. `labels`: those that teachers learn.
    """

    numbers: dict[str, int]
    differences: list[str]
    rejects: list[Reject]
    rows_in: int
    absent: tuple[str, float] = ("", 0.0)
    labels: tuple[str, ...] = ()

    def require_few_losses(self, corpus: str, most: float, missing: list[Reject]) -> None:
        """UserError if more than `most` of all rows, those `missing` included, are lost for one reason."""
        allow = f"or allow it by acquire.{corpus}.max_lost_share (now {most})"
        if self.absent[1] > most:
            raise UserError(f"{corpus}: without {self.absent[0]}; put it beside the others, {allow}")
        known = {reject[0] for reject in missing}
        rejects = [*missing, *(reject for reject in self.rejects if reject[0] not in known)]
        for status, lost in Counter(reject[1] for reject in rejects if reject[1] not in BY_DESIGN).items():
            if lost > most * self.rows_in:
                first = next(reject for reject in rejects if reject[1] == status)
                raise UserError(
                    f"{corpus}: {lost:,} of {self.rows_in:,} rows would be lost as {status}, the first: {first[0]}: "
                    f"{first[2]}; mend the corpus, {allow}"
                )


def count(form: str, root: Path, index: pa.Table | None = None) -> Count:
    """Of the corpus at `root` in the format `form`; `index` is that of b_t4sa's images.

    UserError if it, or one of B-T4SA's splits, has not one row, or cannot be read.
    """
    if form == "b_t4sa":
        assert index is not None, "the images have an index by now"
        return _b_t4sa(root, index)
    if form == "iemocap":
        speech = iemocap.read(root)
        counts = dict(sorted(Counter(utterance.emotion for utterance in speech.utterances).items()))
        found = {utterance.session for utterance in speech.utterances}
        absent = [f"Session{number}" for number in iemocap.SESSIONS if number not in found]
        differences = [f"IEMOCAP {name}: missing" for name in absent] + iemocap.compare_counts(counts)
        parts = " and ".join(absent), len(absent) / len(iemocap.SESSIONS)
        return Count(counts, differences, speech.rejects, speech.rows_in, parts, iemocap.EMOTIONS)
    if form == "emotion_texts":
        texts = emotion_texts.read(root)
        counts = dict(sorted(Counter(f"{text.part} {text.label}" for text in texts.texts).items()))
        differences = emotion_texts.compare_rows(texts.rows_of)
        return Count(counts, differences, texts.rejects, texts.rows_in, labels=texts.labels)
    if form == "table":
        return _table(root)
    return _labelled(form, root) if form in labelled.READERS else _pictures(root)


def _labelled(form: str, root: Path) -> Count:
    corpus = labelled.READERS[form](root)
    counts = dict(sorted(Counter(file.label for file in corpus.files).items()))
    # A file that several rows agree on is not lost.
    rejects = [reject for reject in corpus.rejects if reject[1] != "duplicate_id"]
    differences = [*labelled.differences(form, corpus), *_rejected(corpus.rejects)]
    return Count(counts, differences, rejects, corpus.rows_in, labels=corpus.labels)


def _table(root: Path) -> Count:
    source = table.read_rows(root)
    rows = source.rows
    counts = Counter(rows["sentiment"].drop_null().to_pylist()) + Counter(rows["source_split"].to_pylist())
    numbers = {"rows": rows.num_rows, **dict(sorted(counts.items()))}
    return Count(numbers, _rejected(source.rejects), source.rejects, source.rows_in)


def _rejected(rejects: list[Reject]) -> list[str]:
    return [f"rejected: {number:,} {status}" for status, number in sorted(Counter(row[1] for row in rejects).items())]


def _b_t4sa(root: Path, index: pa.Table) -> Count:
    items = {split: b_t4sa.read_split(split, root, index) for split in b_t4sa.SPLITS}
    by_split = {
        split: [item for item in items[split] if isinstance(item, b_t4sa.ListedImage)] for split in b_t4sa.SPLITS
    }
    for split, rows in by_split.items():
        if not rows:
            first = f"the first of {len(items[split]):,} lines: {items[split][0]}" if items[split] else "it is empty"
            problem = f"b-t4sa_{split}.txt names no image with its sentiment ({first})"
            raise UserError(f"{root}: {problem}; give it as published")
    by_sentiment = Counter(row.sentiment for rows in by_split.values() for row in rows)
    members = index.column("member")
    with reading(root), (root / b_t4sa.SENTIMENTS).open("rb") as file:
        ends = sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK_BYTES), b""))
    source = b_t4sa.read_rows(root, index)
    counts = {
        "listed images": sum(map(len, by_split.values())),
        **{name: by_sentiment[name] for name in SENTIMENTS},
        **{name: len(by_split[name]) for name in b_t4sa.SPLITS},
        "images in the tar": len(members.filter(pc.starts_with(members, IMAGES))),
        "tweets with a sentiment": max(0, ends - 1),  # without the header
    }
    return Count(counts, compare_counts("B-T4SA", counts, B_T4SA), source.rejects, source.rows_in)


def _pictures(root: Path) -> Count:
    corpus = fi.read(root)
    counts = dict(sorted(Counter(image.emotion for image in corpus.images).items()))
    total = len(corpus.images)
    low, high = FI_FOLDERS_RANGE
    differences = []
    if corpus.form == "agg":
        differences = compare_counts("FI", counts, FI_LISTS)
    elif corpus.form == "emoset" and total != EMOSET_PICTURES:
        differences = [f"EmoSet: {total:,} pictures, the published corpus has {EMOSET_PICTURES:,}"]
    elif corpus.form == "folders" and not low <= total <= high:
        differences = [f"FI: {total:,} pictures, known copies have {low:,} to {high:,}"]
    return Count(counts, differences, corpus.rejects, corpus.rows_in, labels=fi.EMOTIONS)
