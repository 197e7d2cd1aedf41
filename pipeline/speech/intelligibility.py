"""Can the speech be understood? What a recogniser hears, against what should have been said.

Both texts go through the same normaliser, that of Whisper's authors: case, punctuation, numbers, contractions. Its
table of British spellings comes with no package, so "colour" heard as "color" counts as an error, as do hashtags
and names that the recogniser writes in another way.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from functools import cache
from typing import Annotated, Any

import jiwer
import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.errors import RowError
from pipeline.frame.params import STRICT

# A quick search that ends so is repeated by a thorough one: one in eight tweets, one in thirty of the sample's.
DOUBTFUL_WORD_ERROR_RATE = 0.4
DOUBTFUL_MISSING_END_WORDS = 2

HEARD_CHARACTERS = 120  # of a transcript, in a reason
BINS = np.round(np.arange(0.0, 1.06, 0.05), 2)  # lower edges 0 to 1, and the upper edge of the last


@dataclass(frozen=True, config=STRICT)
class RecognitionParams:
    """Section `synthesize.recognition`.

    A `share` of the distinct texts, chosen by the sha256 of the text, is transcribed and may be rejected. `model`: a
    folder with an English Whisper model in CTranslate2's format; null takes the packaged tiny.en.
    """

    share: Annotated[float, Field(ge=0, le=1)]
    max_word_error_rate: Annotated[float, Field(ge=0)]  # 1 and more is possible: insertions count
    max_missing_end_words: Annotated[int, Field(ge=0)]  # with more of them the speech was cut off
    model: Annotated[str, Field(min_length=1)] | None = field(default=None)


@plain_dataclass(frozen=True)
class Hearing:
    """What came of a transcription."""

    word_error_rate: float | None  # None where the text has no word to compare, as "hmm" or "..."
    missing_end_words: int  # of the text, at its end, that nothing was heard of
    heard: str


def is_chosen(text_sha256: str, share: float) -> bool:
    """Whether the text with this digest (hex) is among the share of all texts that is transcribed."""
    return int(text_sha256, 16) / 16.0 ** len(text_sha256) < share


def compare(spoken_text: str, heard: str) -> Hearing:
    """The word error rate of `heard`, both texts normalised."""
    reference, hypothesis = _normalised(spoken_text), _normalised(heard)
    if not reference:
        return Hearing(None, 0, heard)
    aligned = jiwer.process_words(reference, hypothesis)
    last = aligned.alignments[0][-1]
    missing = last.ref_end_idx - last.ref_start_idx if last.type == "delete" else 0
    return Hearing(float(aligned.wer), missing, heard)


def is_doubtful(hearing: Hearing) -> bool:
    """Whether the recogniser should listen again, more thoroughly, before the voice is blamed."""
    rate = hearing.word_error_rate
    return rate is not None and (
        rate > DOUBTFUL_WORD_ERROR_RATE or hearing.missing_end_words >= DOUBTFUL_MISSING_END_WORDS
    )


def better(first: Hearing, second: Hearing) -> Hearing:
    """Of two hearings of one recording the one with fewer errors: what was once understood can be understood."""
    return min(first, second, key=lambda hearing: (hearing.word_error_rate or 0.0, hearing.missing_end_words))


def fault_of(hearing: Hearing | None, params: RecognitionParams) -> RowError | None:
    """Why speech cannot stay: nothing was heard, the end is missing, or too many words are wrong. None if it can."""
    if hearing is None or hearing.word_error_rate is None:
        return None
    rate = f"word error rate {hearing.word_error_rate:.2f}"
    if not hearing.heard:
        return RowError("speech_not_heard", f"{rate}: the recogniser heard no word")
    heard = hearing.heard[:HEARD_CHARACTERS]
    missing, most = hearing.missing_end_words, params.max_missing_end_words
    if missing > most:
        reason = f"{rate}: the last {missing} words are missing, at most {most} may; heard: {heard}"
        return RowError("speech_cut_off", reason)
    if hearing.word_error_rate > params.max_word_error_rate:
        return RowError("speech_unintelligible", f"{rate}, at most {params.max_word_error_rate}; heard: {heard}")
    return None


def summarise(
    hearings: Iterable[Hearing], params: RecognitionParams
) -> tuple[dict[str, Any], list[tuple[str, float, int]]]:
    """Metrics of transcribed texts, each counted once, and the histogram of their word error rates.

    That is (`kept` or `rejected`, lower edge, number of texts) of each bin of 0.05, the last of 1 and more.
    """
    rates: dict[str, list[float]] = {"kept": [], "rejected": []}
    statuses: Counter[str] = Counter()
    for hearing in hearings:
        fault = fault_of(hearing, params)
        statuses[fault.status if fault else "kept"] += 1
        if hearing.word_error_rate is not None:
            rates["rejected" if fault else "kept"].append(hearing.word_error_rate)
    histogram = [
        (name, float(edge), int(count))
        for name, values in rates.items()
        for edge, count in zip(BINS, np.histogram(np.minimum(values, 1.0), bins=BINS)[0], strict=False)
    ]
    metrics: dict[str, Any] = {"transcribed_texts": statuses.total()}
    both = np.array(rates["kept"] + rates["rejected"])
    if len(both):
        metrics["word_error_rate"] = {
            "mean": both.mean(), "median": np.median(both), "percentile_95": np.percentile(both, 95),
            "highest": both.max(),
        }  # fmt: skip
        metrics["share_above_limit"] = (both > params.max_word_error_rate).mean()
    metrics["rejected_texts"] = {status: count for status, count in sorted(statuses.items()) if status != "kept"}
    return metrics, histogram


def _normalised(text: str) -> str:
    words = str(_normaliser()(text)).split()
    return " ".join(word for word in words if any(map(str.isalnum, word)))  # a lone full stop is left at an end


@cache
def _normaliser() -> Any:
    # transformers takes a second to import, and who only reads parameters needs none of it.
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer  # noqa: PLC0415

    return EnglishTextNormalizer({})
