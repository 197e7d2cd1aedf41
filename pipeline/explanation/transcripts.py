"""Which words are spoken, when, and what they count: Whisper tiny.en on a recording, and on what the percentile leaves.

In   waveform: float32 [samples], mono, 16 kHz; attribution of each frame of speech, float64 [n_frames]
Out  `Word`s with times in seconds, and with the attribution that lies inside their intervals (`ScoredWord`s)
     the recording with its least important frames silenced (section 3.3 of the paper)

Weights are those of the packaged model that the speech teacher's encoder uses, so nothing is downloaded. Words are
searched with one thread and without sampling, so that equal recordings give equal words. Words are scored on the whole
recording: recognisers invent words in audio with holes.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from models.weights.whisper_weights import MODEL_FILE
from pipeline.explanation.maps import Floats
from pipeline.media.audio import SAMPLING_RATE_HZ, Waveform

BEAM_SIZE = 5
# Fast English has six tokens per second. In noise and in audio with holes the recogniser may not find an end.
TOKENS_PER_SECOND = 12
TOKENS_AT_LEAST = 10
MAX_TOKENS = 200


@dataclass(frozen=True)
class Word:
    """A word with its punctuation, and when it is spoken."""

    text: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class ScoredWord(Word):
    """A word with the sum of the attribution inside its interval."""

    value: float


class Transcriber:
    """Speech to text with word times, on the CPU.

    Raises UserError: the package with the weights is missing or holds other weights.
    """

    def __init__(self) -> None:
        folder = MODEL_FILE.path().parent
        self._model = WhisperModel(
            str(folder), device="cpu", compute_type="float32", cpu_threads=1, num_workers=1, local_files_only=True
        )
        self._blas = ThreadpoolController()

    def words(self, waveform: Waveform) -> tuple[Word, ...]:
        """The words of a recording, in order; none where nothing is heard, as in digital silence."""
        if not waveform.any():
            return ()  # the recogniser would make words up
        tokens = TOKENS_AT_LEAST + int(TOKENS_PER_SECOND * len(waveform) / SAMPLING_RATE_HZ)
        with self._blas.limit(limits=1, user_api="blas"):
            segments, _ = self._model.transcribe(
                waveform, language="en", beam_size=BEAM_SIZE, temperature=0.0, word_timestamps=True,
                condition_on_previous_text=False, max_new_tokens=min(tokens, MAX_TOKENS),
            )  # fmt: skip
            parts = [part for segment in segments for part in segment.words or ()]
        words: list[Word] = []
        for part in parts:
            if words and not part.word.startswith(" "):  # the recogniser tears "half-time" and "8,000"
                last = words.pop()
                words.append(Word(last.text + part.word.rstrip(), last.start_seconds, float(part.end)))
            else:
                words.append(Word(part.word.strip(), float(part.start), float(part.end)))
        return tuple(words)


def text_of(words: Sequence[Word]) -> str:
    """The words as one line."""
    return " ".join(word.text for word in words)


def silence_frames(waveform: Waveform, kept: NDArray[np.bool_], seconds_per_frame: float) -> Waveform:
    """A copy of the recording with zeros in the frames that are not kept. What lies behind the last frame stays."""
    bounds = np.rint(np.arange(len(kept) + 1) * seconds_per_frame * SAMPLING_RATE_HZ).astype(np.int64)
    silenced = waveform.copy()
    for frame in np.flatnonzero(~kept):
        silenced[bounds[frame] : bounds[frame + 1]] = 0
    return silenced


def score_words(words: Sequence[Word], frame_values: Floats, seconds_per_frame: float) -> tuple[ScoredWord, ...]:
    """Each word with the attribution between its start and its end.

    A frame is shared out by time, so that words which follow each other without a gap sum to what lies below them;
    pauses keep their own.
    """
    until = np.concatenate([[0.0], np.cumsum(frame_values)])  # attribution before each frame's begin
    begins = np.arange(len(until)) * seconds_per_frame
    ends = np.array([[word.start_seconds, word.end_seconds] for word in words]).reshape(-1, 2)
    values = np.diff(np.interp(ends, begins, until), axis=1)[:, 0]
    return tuple(ScoredWord(**asdict(word), value=float(value)) for word, value in zip(words, values, strict=True))


def top_words(words: Sequence[ScoredWord], count: int) -> tuple[ScoredWord, ...]:
    """The words that speak most for the label, largest attribution first; earlier ones first among equals."""
    speaking = [word for word in words if word.value > 0]
    return tuple(sorted(speaking, key=lambda word: (-word.value, word.start_seconds))[:count])


def word_boundaries(words: Sequence[Word], seconds_per_frame: float) -> list[int]:
    """The frame in which each word but the first begins, for `models.pair.players.word_segments`."""
    return [round(word.start_seconds / seconds_per_frame) for word in words[1:]]
