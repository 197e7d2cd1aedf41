"""Which words are spoken, and when: Whisper tiny.en on a recording, and on what the percentile rule leaves of it.

In   waveform: float32 [samples], mono, 16 kHz; attribution of each frame of speech, float64 [n_frames]
Out  `Word`s with times in seconds; the recording with its least important frames silenced (section 3.3 of the paper)

Weights are those of the packaged model that the speech teacher's encoder uses, so nothing is downloaded. Words are
searched with one thread and without sampling, so that equal recordings give equal words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from models.weights.whisper_weights import MODEL_FILE
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


class Transcriber:
    """Speech to text with word times, on the CPU.

    Raises:
        UserError: the package with the weights is missing or holds other weights.
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
            heard = [word for segment in segments for word in segment.words or ()]
        words: list[Word] = []
        for part in heard:
            if words and not part.word.startswith(" "):  # the recogniser tears "half-time" and "8,000"
                last = words.pop()
                words.append(Word(last.text + part.word.rstrip(), last.start_seconds, float(part.end)))
            else:
                words.append(Word(part.word.strip(), float(part.start), float(part.end)))
        return tuple(words)


def text_of(words: Sequence[Word]) -> str:
    """The words as one line."""
    return " ".join(word.text for word in words)


def frames_kept(frame_values: NDArray[np.float64], percentile: float) -> NDArray[np.bool_]:
    """The frames whose value is not below the percentile of all, bool [n_frames].

    Strictly below: frames with the very value of the percentile stay, and so do all where all values are equal.

    Args:
        frame_values: of the frames of speech, without padding.
        percentile: in [0, 100]; 30 in the paper.
    """
    kept: NDArray[np.bool_] = frame_values >= np.percentile(frame_values, percentile)
    return kept


def silence_frames(waveform: Waveform, kept: NDArray[np.bool_], seconds_per_frame: float) -> Waveform:
    """A copy of the recording with zeros in the frames that are not kept.

    What lies behind the last frame stays.

    Args:
        waveform: float32 [samples], 16 kHz.
        kept: bool [n_frames]; frame n begins at n * seconds_per_frame.
        seconds_per_frame: duration of a frame.
    """
    bounds = np.rint(np.arange(len(kept) + 1) * seconds_per_frame * SAMPLING_RATE_HZ).astype(np.int64)
    silenced = waveform.copy()
    for frame in np.flatnonzero(~kept):
        silenced[bounds[frame] : bounds[frame + 1]] = 0
    return silenced
