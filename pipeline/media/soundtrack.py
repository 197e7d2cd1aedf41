"""The sound of a film in MP4, as MELD is published; libsndfile reads none.

The file may be an enemy's: it is read as MP4 only, so that it cannot name further files or addresses, as playlists do.
"""

from pathlib import Path

import av
import numpy as np

from pipeline.errors import RowError, first_line
from pipeline.media.audio import MAX_DURATION_SECONDS, SAMPLING_RATE_HZ, Waveform


def decode(path: Path) -> Waveform:
    """Mono, 16 kHz, of the first sound track; `RowError` if it is damaged, empty, too long, or there is none."""
    blocks: list[Waveform] = []
    samples = 0
    try:
        with path.open("rb") as file, av.open(file, mode="r", format="mp4") as film:
            if not film.streams.audio:
                raise RowError("audio_empty", "a film without sound")
            # Channels stay apart: FFmpeg's own way to one channel makes a tone on both louder by 3 dB.
            resampler = av.AudioResampler(format="fltp", rate=SAMPLING_RATE_HZ)
            frames = (part for frame in film.decode(film.streams.audio[0]) for part in resampler.resample(frame))
            for frame in frames:
                blocks.append(_mono(frame))
                samples += len(blocks[-1])
                if samples > MAX_DURATION_SECONDS * SAMPLING_RATE_HZ:
                    raise RowError("audio_too_long", f"more than {MAX_DURATION_SECONDS} s")
            blocks += map(_mono, resampler.resample(None))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise RowError("audio_unreadable", first_line(error)) from None
    if not blocks:
        raise RowError("audio_empty", "no samples")
    waveform = np.concatenate(blocks)
    if not np.isfinite(waveform).all():
        raise RowError("audio_not_finite", "samples that are not numbers")
    return waveform


def _mono(frame: av.AudioFrame) -> Waveform:
    mono: Waveform = np.asarray(frame.to_ndarray(), np.float32).mean(axis=0)
    return mono
