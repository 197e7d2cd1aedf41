"""The sound of films, as MELD is published."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import RowError
from pipeline.media import soundtrack
from pipeline.media.audio import SAMPLING_RATE_HZ
from pipeline.teachers import corpora
from tests.hostile import outcome


def write_film(path: Path, seconds: float = 1.0, rate: int = 48_000, *, sound: bool = True) -> Path:
    """A tone of 440 Hz on both channels, as AAC, or a film without sound."""
    with av.open(str(path), "w", format="mp4") as film:
        if not sound:
            picture = film.add_stream("mpeg4", rate=5)
            picture.width = picture.height = 32
            film.mux(picture.encode(av.VideoFrame(32, 32, "yuv420p")))
            film.mux(picture.encode(None))
            return path
        stream = film.add_stream("aac", rate=rate, layout="stereo")
        tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)
        for start in range(0, len(tone), 1024):
            part = tone[start : start + 1024].astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.stack([part, part]), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = rate, start
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


def test_a_film_gives_mono_at_16_khz(tmp_path: Path) -> None:
    path = write_film(tmp_path / "dia0_utt0.mp4")
    waveform = soundtrack.decode(path)
    assert waveform.dtype == np.float32
    assert len(waveform) == pytest.approx(SAMPLING_RATE_HZ, abs=2048)  # the codec pads
    middle = waveform[4000:12000]
    loudest = np.abs(np.fft.rfft(middle)).argmax() * SAMPLING_RATE_HZ / len(middle)
    assert loudest == pytest.approx(440, abs=4)
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.05)
    again, _ = corpora.DECODE["speech"](path)
    assert np.array_equal(waveform, again)


def test_what_is_no_film_with_sound_costs_itself(tmp_path: Path) -> None:
    whole = write_film(tmp_path / "a.mp4").read_bytes()
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    cases = {"cut": whole[:300], "empty": b"", "text": b"hello" * 100, "playlist": playlist}
    for name, data in cases.items():
        (tmp_path / f"{name}.mp4").write_bytes(data)
        assert outcome(partial(soundtrack.decode, tmp_path / f"{name}.mp4")) == "audio_unreadable", name
    assert outcome(lambda: soundtrack.decode(tmp_path / "gone.mp4")) == "audio_unreadable"
    silent = write_film(tmp_path / "silent.mp4", sound=False)
    assert outcome(lambda: soundtrack.decode(silent)) == "audio_empty"


def test_damaged_films_end_in_a_reason_or_in_sound(tmp_path: Path) -> None:
    whole = write_film(tmp_path / "a.mp4", seconds=0.2).read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 8):
            data[place] = rng.integers(0, 256)
        (tmp_path / "b.mp4").write_bytes(bytes(data))
        assert outcome(lambda: soundtrack.decode(tmp_path / "b.mp4")).startswith(("ok", "audio_"))


def test_a_long_film_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundtrack, "MAX_DURATION_SECONDS", 0.5)
    with pytest.raises(RowError, match="audio_too_long"):
        soundtrack.decode(write_film(tmp_path / "a.mp4"))
