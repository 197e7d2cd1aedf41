"""Explanations of the rows on the page: what an answer rests on, over the picture, along the recording, in words.

In   data/explanations/explanations.parquet; the recording of a row
Out  `Explanation`: a PNG with transparency to lie over the picture, `Stretch`es of the waveform as SVG paths, the
     spectrogram as a PNG below them, words
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import RowError, UserError
from pipeline.explanation.maps import AGAINST, FOR, Floats, envelope, scaled, segment_times
from pipeline.media import audio
from pipeline.media.data_uri import data_uri

EXPLANATIONS_AT_ONCE = 64  # in memory, for their maps are large
OVERLAY_SIDE_PX = 96
STRONGEST = 0.8  # opacity where a value is largest
WAVEFORM_WIDTH, WAVEFORM_HEIGHT = 600, 80  # units of the SVG
WAVEFORM_COLUMNS = 200
SPECTROGRAM_WINDOW = 512  # samples: 32 ms
SPECTROGRAM_ROWS, SPECTROGRAM_COLUMNS = 64, 300  # pixels, about
SPECTROGRAM_SHADES = 15  # few, so that the picture is small
DYNAMIC_RANGE_DB = 70.0


@dataclass(frozen=True)
class Stretch:
    """A segment of speech: its times, its value, and the outline of its samples."""

    start_seconds: float
    end_seconds: float
    value: float
    strength: float  # |value| over the largest, in [0, 1]
    path: str  # `d` of an SVG path in `WAVEFORM_WIDTH` x `WAVEFORM_HEIGHT`


@dataclass(frozen=True)
class Explanation:
    """Why the network answers as it does."""

    overlay: str  # data URI of a PNG to lie over the picture; empty where the network sees none
    stretches: list[Stretch]  # empty where the network hears no recording
    spectrogram: str  # data URI of a PNG as wide as the waveform; likewise
    words: list[tuple[str, float, float]]  # text, value, strength in [0, 1]; empty where stage explain heard none
    numbers: Mapping[str, Any]  # columns of data/explanations

    @property
    def characters(self) -> int:
        """What its media take up in the page."""
        return len(self.overlay) + len(self.spectrogram) + sum(len(stretch.path) for stretch in self.stretches)


def explained_rows(data: Path) -> dict[str, bool]:
    """Ids of explained rows, and whether an explanation of theirs has words."""
    has_words: dict[str, bool] = {}
    for batch in _batches(data, ["id", "words"]):
        for key, words in zip(batch["id"].to_pylist(), pc.list_value_length(batch["words"]).to_pylist(), strict=True):
            has_words[key] = has_words.get(key, False) or bool(words)
    return has_words


def read_explanations(data: Path, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """One explanation of each row: that with words, else the first."""
    explanations: dict[str, dict[str, Any]] = {}
    for batch in _batches(data, None):
        for row in batch.filter(pc.is_in(batch["id"], pa.array(ids))).to_pylist():
            if row["id"] not in explanations or (row["words"] and not explanations[row["id"]]["words"]):
                explanations[row["id"]] = row
    return explanations


def _batches(data: Path, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    path = data / "explanations" / "explanations.parquet"
    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=EXPLANATIONS_AT_ONCE, columns=columns)
    except (OSError, pa.ArrowException):
        raise UserError(f"{path}: missing or damaged; run: dvc repro explain --force") from None


def draw_explanation(numbers: Mapping[str, Any], recording: bytes, seconds_per_frame: float) -> Explanation:
    """What the page shows of a row of data/explanations, whose recording is the FLAC `recording`."""
    overlay = ""
    if numbers["image_map"]:
        image_map = np.array(numbers["image_map"], dtype=np.float64)
        overlay = data_uri("image/png", overlay_png(image_map.reshape(round(len(image_map) ** 0.5), -1)))
    drawn: list[Stretch] = []
    sound = ""
    if numbers["speech_players"]:
        try:
            waveform = audio.decode(recording)
        except RowError as error:
            raise UserError(f"{numbers['id']}: {error}; run: sier verify") from None
        players = np.array(numbers["speech_players"])
        # Of cells of the spectrogram, what is drawn along the recording is their sum over the bands.
        values = np.array(numbers["speech_values"]).reshape(numbers["speech_bands"], -1).sum(axis=0)
        drawn = stretches(waveform, players, values, seconds_per_frame)
        sound = data_uri("image/png", spectrogram_png(waveform))
    strengths = np.abs(scaled(np.array([word["value"] for word in numbers["words"]])))
    words = [
        (word["text"], word["value"], strength) for word, strength in zip(numbers["words"], strengths, strict=True)
    ]
    return Explanation(overlay, drawn, sound, words, numbers)


def overlay_png(image_map: Floats) -> bytes:
    """A square picture [OVERLAY_SIDE_PX x OVERLAY_SIDE_PX] of a map [h, w], to be stretched over the whole photo."""
    pixels = np.zeros((*image_map.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where(image_map[..., None] >= 0, FOR, AGAINST)
    pixels[..., 3] = np.rint(np.abs(scaled(image_map)) * STRONGEST * 255)
    side = (OVERLAY_SIDE_PX, OVERLAY_SIDE_PX)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").resize(side, Image.Resampling.NEAREST).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def spectrogram_png(waveform: audio.Waveform) -> bytes:
    """How loud each frequency is over time, up to 8 kHz, low ones below: transparent where it is silent, black at most.

    Loudness is in dB below the loudest, over `DYNAMIC_RANGE_DB`; a mask, so that the page gives it its colour.
    """
    from scipy.signal import ShortTimeFFT, get_window  # noqa: PLC0415 - takes a second

    hop = max(1, len(waveform) // SPECTROGRAM_COLUMNS)
    padded = np.pad(waveform.astype(np.float64), (0, max(0, SPECTROGRAM_WINDOW - len(waveform))))
    power = ShortTimeFFT(get_window("hann", SPECTROGRAM_WINDOW), hop, audio.SAMPLING_RATE_HZ).spectrogram(padded)
    bands = power[1:].reshape(SPECTROGRAM_ROWS, -1, power.shape[1]).mean(axis=1)[::-1]
    decibels = 10 * np.log10(np.maximum(bands, 1e-12) / max(float(bands.max()), 1e-12))
    alpha = np.rint(np.clip(1 + decibels / DYNAMIC_RANGE_DB, 0, 1) * SPECTROGRAM_SHADES) * (255 // SPECTROGRAM_SHADES)
    pixels = np.stack([np.zeros_like(alpha), alpha], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "LA").save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def stretches(
    waveform: audio.Waveform, players: NDArray[np.integer], values: Floats, seconds_per_frame: float
) -> list[Stretch]:
    """The recording in the parts that were explained; `players` has the segment of each frame, -1 in the padding."""
    seconds = len(waveform) / audio.SAMPLING_RATE_HZ
    loudest = float(np.abs(waveform).max(initial=0.0)) or 1.0
    strengths = np.abs(scaled(values))
    return [
        Stretch(start, stop, float(values[player]), strengths[player], _outline(waveform / loudest, start, stop))
        for frame, start, stop in segment_times(players, seconds_per_frame, seconds)
        for player in [players[frame]]
    ]


def _outline(waveform: audio.Waveform, start: float, stop: float) -> str:
    times, lowest, highest = envelope(waveform, start, stop, WAVEFORM_COLUMNS)
    if not len(times):
        return ""
    xs = times / (len(waveform) / audio.SAMPLING_RATE_HZ) * WAVEFORM_WIDTH
    middle = WAVEFORM_HEIGHT / 2
    above, below = middle - np.maximum(highest, 0.01) * middle, middle - np.minimum(lowest, -0.01) * middle
    corners = [*zip(xs, above, strict=True), *zip(xs[::-1], below[::-1], strict=True)]
    return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in corners) + "Z"
