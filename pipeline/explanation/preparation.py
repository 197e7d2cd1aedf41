"""From a photo and a recording to a network's inputs, and to the parts that are explained.

In   a decoded photo and waveform; a network's configuration; how fine the parts are
Out  `Sample`: the network's inputs; `Players`: the parts

Shared by stage `explain` and its command for any pair, so that both explain in the same way.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from models.pair.masked_inputs import Recording
from models.pair.players import Players, grid_and_segments, with_speech_cells, word_segments
from models.parallelnet.parallelnet import ParallelNet
from models.parallelnet.parallelnet_config import ParallelNetConfig
from models.parallelnet.spectrogram import speech_frames
from models.shapley import grid_shape
from pipeline.errors import RowError
from pipeline.explanation.transcripts import Word, word_boundaries
from pipeline.media.audio import SAMPLING_RATE_HZ, Waveform
from pipeline.networks.decoding import image_array, spectrogram_array
from pipeline.networks.inputs import collate
from pipeline.networks.words import word_encoder, word_frame_array


@dataclass(frozen=True, eq=False)
class Sample:
    """A photo and a recording as a network takes them; None what it does not take."""

    pixel_values: Tensor | None  # float32 [3, size, size] in [0, 1]
    spectrogram: Tensor | None  # float32 [1, n_mels, n_frames] in [0, 1]
    word_frames: Tensor | None  # float32 [n_word_frames, 384]
    recording: Recording | None  # from which the word frames come
    photo: Image.Image | None  # in its own shape
    waveform: Waveform | None  # 16 kHz, cut to what the network hears
    speech_frames: int  # before padding
    seconds_per_frame: float


def sample_of(photo: Image.Image | None, waveform: Waveform | None, config: ParallelNetConfig) -> Sample:
    """The inputs of the network with this configuration, which needs an RGB photo, a waveform of 16 kHz, or both.

    Raises RowError: the speech is silent.
    """
    item: dict[str, Any] = {}
    frames, heard, recording = 0, None, None
    if config.modalities != "speech":
        item["pixel_values"] = image_array(_given(photo, "photo"), config.image_size_px)
    if config.modalities != "image":
        heard = _given(waveform, "waveform")[: round(config.duration_seconds * SAMPLING_RATE_HZ)]
        sizes = {name: getattr(config, name) for name in ("duration_seconds", "n_mels", "n_frames")}
        item["spectrogram"] = spectrogram_array(heard, **sizes)
        if not item["spectrogram"].any():
            raise RowError("speech_silent", "the recording is silent as far as the network hears")
        if config.hears_words:
            item["word_frames"] = word_frame_array(heard, config.duration_seconds)
            recording = Recording(heard, word_encoder())
        frames = speech_frames(len(heard) / SAMPLING_RATE_HZ, config.duration_seconds, config.n_frames)
    batch = {name: tensor[0] for name, tensor in collate([item]).items()}
    return Sample(
        pixel_values=batch.get("pixel_values"), spectrogram=batch.get("spectrogram"),
        word_frames=batch.get("word_frames"), recording=recording,
        photo=None if config.modalities == "speech" else photo, waveform=heard, speech_frames=frames,
        seconds_per_frame=config.duration_seconds / config.n_frames,
    )  # fmt: skip


def _given(value: Any, what: str) -> Any:
    if value is None:
        raise ValueError(f"this network needs a {what}")
    return value


@torch.inference_mode()
def probabilities(net: ParallelNet, sample: Sample) -> Tensor:
    """What the network says, float64 [classes] on the CPU."""
    given = {name: getattr(sample, name) for name in ("pixel_values", "spectrogram", "word_frames")}
    inputs = {name: tensor[None].to(net.device) for name, tensor in given.items() if tensor is not None}
    answer: Tensor = net(**inputs).logits[0].double().softmax(dim=0).cpu()
    return answer


def players_of(
    sample: Sample, config: ParallelNetConfig, *, times: int, grid: tuple[int, int] | None = None,
    segments: int | None = None, words: tuple[Word, ...] | None = None, speech_cells: bool = False,
) -> Players:  # fmt: skip
    """The parts of a sample: cells of its picture and segments of its speech.

    Both are halved `times` times, unless rows and columns of a `grid` or a number of `segments` are given. With `words`
    segments end where words do, and are fewer where there are fewer words. With `speech_cells` the spectrogram is
    halved as a picture of its size is, so that all rows have the same bands and as many columns.

    Raises RowError: fewer frames of speech than segments or columns; ValueError: fewer pixels than cells.
    """
    size = config.image_size_px
    grid = grid or grid_shape(times, size, size)
    bands, segments = grid_shape(times, config.n_mels, config.n_frames) if speech_cells else (1, segments or 2**times)
    if config.modalities == "image":
        return grid_and_segments(size, 1, 1, grid, 1).of("image")
    if sample.speech_frames < segments and words is None:
        raise RowError(
            "speech_too_short_to_cut",
            f"its {sample.speech_frames} frames cannot be cut into {segments} segments; ask for fewer",
        )
    cut = 1 if words is not None else segments
    players = grid_and_segments(size, config.n_frames, sample.speech_frames, grid, cut)
    if words is not None:
        boundaries = word_boundaries(words, sample.seconds_per_frame)
        players = replace(players, speech=word_segments(boundaries, config.n_frames, sample.speech_frames, segments))
    if speech_cells:
        players = with_speech_cells(players, config.n_mels, sample.speech_frames, (bands, segments))
    return players.of(config.modalities)
