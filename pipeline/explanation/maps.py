"""What every drawing of an explanation computes: the figures of stage explain and the page of stage report.

In   Shapley values of cells, segments or words; the recording that was explained, float32 [samples], 16 kHz
Out  values on a scale around zero; frames that are not below a percentile; when each segment begins and ends; outlines
     of the recording

Orange speaks for the label, purple against it, and any colour vision tells them apart.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.media.audio import SAMPLING_RATE_HZ, Waveform

Floats = NDArray[np.float64]

DIVERGING = "PuOr_r"  # matplotlib's name of the scale; white does neither
FOR, AGAINST = (230, 97, 1), (94, 60, 153)  # RGB of that scale, where strength is shown by opacity


def scale_limit(values: Floats) -> float:
    """The end of a scale around zero that all values lie on."""
    return float(np.abs(values).max(initial=0.0)) or 1.0


def scaled(values: Floats) -> Floats:
    """Values over the largest of them, in [-1, 1]."""
    return values / scale_limit(values)


def frames_kept(frame_values: Floats, percentile: float) -> NDArray[np.bool_]:
    """The frames of speech, without padding, whose value is not below the percentile (30 in the paper) of all.

    Strictly below: frames with the very value of the percentile stay, and so do all where all values are equal. Frames
    of a segment have one value, so that whole segments go: of n equally long ones with different values, those of the
    lowest that fit into the percentile. Percentile 30 takes two of 8 (25 %), one of 4, none of 2 or 3, 9 of 32 (28 %).
    """
    kept: NDArray[np.bool_] = frame_values >= np.percentile(frame_values, percentile)
    return kept


def segment_times(
    segment_of_frame: NDArray[np.integer], seconds_per_frame: float, seconds: float
) -> Iterator[tuple[int, float, float]]:
    """First frame, start and end of each segment of a recording of `seconds`; frames of padding (-1) have none."""
    for first, end in pairwise(np.flatnonzero(np.diff(segment_of_frame, prepend=-2, append=-2)).tolist()):
        start, stop = first * seconds_per_frame, min(end * seconds_per_frame, seconds)
        if segment_of_frame[first] >= 0 and start < stop:
            yield first, start, stop


def envelope(waveform: Waveform, start: float, stop: float, columns: int) -> tuple[Floats, Waveform, Waveform]:
    """Times, lowest and highest samples between two times, in so many columns that the whole recording has `columns`.

    Nothing of a stretch of less than two samples.
    """
    samples = waveform[round(start * SAMPLING_RATE_HZ) : round(stop * SAMPLING_RATE_HZ)]
    if len(samples) < 2:
        return np.zeros(0), samples[:0], samples[:0]
    seconds = len(waveform) / SAMPLING_RATE_HZ
    own_columns = max(2, min(len(samples), round(columns * (stop - start) / seconds)))
    edges = np.linspace(0, len(samples), own_columns, endpoint=False).astype(np.int64)
    times = np.linspace(start, stop, own_columns)
    return times, np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)
