"""Can the speech be understood? What a recogniser hears, against what should have been said.

Both texts go through the same normaliser, that of Whisper's authors: case, punctuation, numbers, contractions; and
words that only one of them writes as one ("goodnight", "623") are joined. Its table of British spellings comes with no
package, so "colour" heard as "color" is a wrong word, as are hashtags and names that the recogniser writes in another
way. Their letters are mostly right: of 315 real tweets, well spoken, the letters of none were wrong by more than 0.22,
and of 6,295 pairs of a tweet with what was heard of another by less than 0.66 (words: 0.75, and 0.79). So speech is
rejected only if words and letters are wrong.
"""

import re
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
from pipeline.frame.stage import ENGLISH

# A quick search that ends so is repeated by a thorough one: one in eight tweets, one in thirty of the sample's.
DOUBTFUL_WORD_ERROR_RATE = 0.4
DOUBTFUL_CHARACTER_ERROR_RATE = 0.2
DOUBTFUL_MISSING_END_WORDS = 2

# A word alone gives a recogniser no context, and it writes "fax" for "facts": a shorter text counts as one of so many
# letters. So 2 of 157 texts of a word or a few are rejected, and 53 by words alone.
SHORT_LETTERS = 10
MARGINS_WORDS = (3, 0)  # heard again before the missing ones; the second where the recogniser stopped there again
HEARD_CHARACTERS = 120  # of a transcript, in a reason
MOST_JOINED = 4  # words that the other text may write as one

# As the English of tweets is written, and as a recogniser writes it.
_SLANG = {
    **{word.replace("'", ""): word for word in (
        "ain't", "aren't", "can't", "couldn't", "didn't", "doesn't", "don't", "hadn't", "hasn't", "haven't", "he's",
        "i'm", "i've", "isn't", "shouldn't", "that's", "there's", "they're", "wasn't", "weren't", "what's", "won't",
        "wouldn't", "you're", "you've",
    )},
    **dict.fromkeys(("yall", "y'all", "ya'll", "y all"), "you all"),
    "omg": "oh my god", "u": "you", "ur": "your", "ya": "you", "r": "are", "thx": "thanks", "pls": "please",
    "plz": "please", "bday": "birthday", "tv": "t v", "okay": "ok", "em": "them", "'em": "them", "n": "and",
}  # fmt: skip
_SLANG_WORDS = re.compile(rf"(?<![\w'])(?:{'|'.join(sorted(map(re.escape, _SLANG), key=len, reverse=True))})(?![\w'])")

BINS = np.round(np.arange(0.0, 1.06, 0.05), 2)  # lower edges 0 to 1, and the upper edge of the last


@dataclass(frozen=True, config=STRICT)
class RecognitionParams:
    """Section `synthesize.recognition`.

    A `share` of the distinct texts, chosen by the sha256 of the text, is transcribed and may be rejected. `model`: a
    folder with a Whisper model in CTranslate2's format, which knows `base.language`; null takes the packaged tiny.en.
    """

    share: Annotated[float, Field(ge=0, le=1)]
    max_word_error_rate: Annotated[float, Field(ge=0)]  # 1 and more is possible: insertions count
    max_missing_end_words: Annotated[int, Field(ge=0)]  # with more of them the speech was cut off
    model: Annotated[str, Field(min_length=1)] | None = field(default=None)
    # Of the letters, between which no spaces count; 0 lets words alone decide.
    max_character_error_rate: Annotated[float, Field(ge=0)] = field(default=0.5)


@plain_dataclass(frozen=True)
class Hearing:
    """What came of a transcription."""

    word_error_rate: float | None  # None where the text has no word to compare, as "hmm" or "..."
    character_error_rate: float | None
    missing_end_words: int  # of the text, at its end, that nothing was heard of
    heard: str


def is_chosen(text_sha256: str, share: float) -> bool:
    """Whether the text with this digest (hex) is among the share of all texts that is transcribed."""
    return int(text_sha256, 16) / 16.0 ** len(text_sha256) < share


def compare(spoken_text: str, heard: str, language: str = ENGLISH) -> Hearing:
    """The error rates of `heard`, both texts normalised."""
    reference, hypothesis = _alike(spoken_text, heard, language)
    if not reference:
        return Hearing(None, None, 0, heard)
    aligned = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    last = aligned.alignments[0][-1]
    missing = last.ref_end_idx - last.ref_start_idx if last.type == "delete" else 0
    letters = jiwer.process_characters("".join(reference), "".join(hypothesis))
    wrong = letters.substitutions + letters.deletions + letters.insertions
    return Hearing(float(aligned.wer), wrong / max(SHORT_LETTERS, len("".join(reference))), missing, heard)


def end_seconds(
    hearing: Hearing, spoken_text: str, duration_seconds: float, margin_words: int, language: str = ENGLISH
) -> float:
    """How much of a recording's end must hold the words that are missing, and some before them, if they were said."""
    words = max(1, len(_normalised(spoken_text, language)))
    return duration_seconds * min(1.0, (hearing.missing_end_words + margin_words) / words)


def with_end(spoken_text: str, hearing: Hearing, heard_end: str, language: str = ENGLISH) -> Hearing:
    """`hearing` with what was heard when the end was listened to alone, from the first of the missing words on."""
    reference, end = _alike(spoken_text, heard_end, language)
    missing = reference[len(reference) - hearing.missing_end_words :]
    if not missing or not end:
        return hearing
    first = jiwer.process_words(" ".join(missing), " ".join(end)).alignments[0][0]
    words = end[first.hyp_end_idx if first.type == "insert" else 0 :]
    if not words or 2 * jiwer.process_words(" ".join(missing), " ".join(words)).hits < len(words):
        return hearing  # recognisers make up an end: "thanks for watching"
    return better(hearing, compare(spoken_text, " ".join([hearing.heard, *words]), language))


def is_doubtful(hearing: Hearing) -> bool:
    """Whether the recogniser should listen again, more thoroughly, before the voice is blamed."""
    words, letters = hearing.word_error_rate, hearing.character_error_rate
    if words is None or letters is None:
        return False
    return lacks_end(hearing) or (words > DOUBTFUL_WORD_ERROR_RATE and letters > DOUBTFUL_CHARACTER_ERROR_RATE)


def lacks_end(hearing: Hearing) -> bool:
    """Whether the end should be listened to alone: recognisers stop before voices do."""
    return hearing.missing_end_words >= DOUBTFUL_MISSING_END_WORDS


def better(first: Hearing, second: Hearing) -> Hearing:
    """Of two hearings of one recording the one with fewer errors: what was once understood can be understood."""
    return min(first, second, key=lambda hearing: (hearing.character_error_rate or 0.0, hearing.missing_end_words))


def fault_of(hearing: Hearing | None, params: RecognitionParams) -> RowError | None:
    """Why speech cannot stay: nothing was heard, the end is missing, or too many words are wrong. None if it can."""
    if hearing is None or hearing.word_error_rate is None or hearing.character_error_rate is None:
        return None
    rate = f"word error rate {hearing.word_error_rate:.2f}"
    if not hearing.heard:
        return RowError("speech_not_heard", f"{rate}: the recogniser heard no word")
    heard = hearing.heard[:HEARD_CHARACTERS]
    missing, most = hearing.missing_end_words, params.max_missing_end_words
    if missing > most:
        reason = f"{rate}: the last {missing} words are missing, at most {most} may; heard: {heard}"
        return RowError("speech_cut_off", reason)
    if _is_wrong(hearing, params):
        limits = f"at most {params.max_word_error_rate} and {params.max_character_error_rate}"
        letters = f"that of characters {hearing.character_error_rate:.2f}"
        return RowError("speech_unintelligible", f"{rate}, {letters}, {limits}; heard: {heard}")
    return None


def _is_wrong(hearing: Hearing, params: RecognitionParams) -> bool:
    words, letters = hearing.word_error_rate or 0.0, hearing.character_error_rate or 0.0
    return words > params.max_word_error_rate and letters > params.max_character_error_rate


def summarise(
    hearings: Iterable[Hearing], params: RecognitionParams
) -> tuple[dict[str, Any], list[tuple[str, float, int]]]:
    """Metrics of transcribed texts, each counted once, and the histogram of their word error rates.

    That is (`kept` or `rejected`, lower edge, number of texts) of each bin of 0.05, the last of 1 and more.
    """
    rates: dict[str, list[float]] = {"kept": [], "rejected": []}
    letters: list[float] = []
    statuses: Counter[str] = Counter()
    wrong = 0
    for hearing in hearings:
        fault = fault_of(hearing, params)
        statuses[fault.status if fault else "kept"] += 1
        if hearing.word_error_rate is not None and hearing.character_error_rate is not None:
            rates["rejected" if fault else "kept"].append(hearing.word_error_rate)
            letters.append(hearing.character_error_rate)
            wrong += _is_wrong(hearing, params)
    histogram = [
        (name, float(edge), int(count))
        for name, values in rates.items()
        for edge, count in zip(BINS, np.histogram(np.minimum(values, 1.0), bins=BINS)[0], strict=False)
    ]
    metrics: dict[str, Any] = {"transcribed_texts": statuses.total()}
    for name, values in (("word_error_rate", rates["kept"] + rates["rejected"]), ("character_error_rate", letters)):
        if values:
            metrics[name] = {
                "mean": np.mean(values), "median": np.median(values), "percentile_95": np.percentile(values, 95),
                "highest": max(values),
            }  # fmt: skip
    if letters:
        metrics["share_above_limit"] = wrong / len(letters)
    metrics["rejected_texts"] = {status: count for status, count in sorted(statuses.items()) if status != "kept"}
    return metrics, histogram


def _alike(reference: str, hypothesis: str, language: str) -> tuple[list[str], list[str]]:
    """The words of both, as many of them written alike as are the same to the ear."""
    first, second = _normalised(reference, language), _normalised(hypothesis, language)
    return _joined(first, set(second)), _joined(second, set(first))


def _joined(words: list[str], known: set[str]) -> list[str]:
    """`words` with neighbours that are one word of `known` as that word."""
    joined: list[str] = []
    start = 0
    while start < len(words):
        runs = ("".join(words[start : start + size]) for size in range(MOST_JOINED, 1, -1))
        found = next((run for run in runs if run in known), None)
        joined.append(found or words[start])
        length = len(words[start])
        start += 1
        while found and length < len(found):
            length += len(words[start])
            start += 1
    return joined


def _normalised(text: str, language: str) -> list[str]:
    if language == ENGLISH:
        text = _SLANG_WORDS.sub(lambda match: _SLANG[match[0]], text.replace("’", "'").lower())
    words = str(_normaliser(language)(text)).split()
    return [word for word in words if any(map(str.isalnum, word))]  # a lone full stop is left at an end


@cache
def _normaliser(language: str) -> Any:
    # transformers takes a second to import, and who only reads parameters needs none of it.
    from transformers.models.whisper import english_normalizer  # noqa: PLC0415

    if language == ENGLISH:
        return english_normalizer.EnglishTextNormalizer({})
    return english_normalizer.BasicTextNormalizer()
