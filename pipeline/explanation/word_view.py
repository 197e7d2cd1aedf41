"""The word view: each spoken word with the attribution that lies inside its interval.

In   `transcripts.Word`s; attribution of each frame, float64 [n_frames], whose sum is that of the speech
Out  `ScoredWord`s; where words begin, in frames

It takes the transcript of the whole recording: recognisers invent words in audio with holes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.explanation.transcripts import Word


@dataclass(frozen=True)
class ScoredWord(Word):
    """A word with the sum of the attribution inside its interval."""

    value: float


def score_words(
    words: Sequence[Word], frame_values: NDArray[np.float64], seconds_per_frame: float
) -> tuple[ScoredWord, ...]:
    """Each word with the attribution between its start and its end.

    A frame is shared out by time, so that words which follow each other without a gap sum to what lies below them;
    pauses keep their own.

    Args:
        words: with times in seconds.
        frame_values: float64 [n_frames]; frame n lasts from n * seconds_per_frame on.
        seconds_per_frame: duration of a frame.
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
    """The frame in which each word but the first begins, for `models.pair.masked_inputs.word_segments`."""
    return [round(word.start_seconds / seconds_per_frame) for word in words[1:]]
