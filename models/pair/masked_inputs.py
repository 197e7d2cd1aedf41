"""What stands where a player is absent, and copies of a picture and a spectrogram from which players are taken out.

In   a sample: pixel_values [3, h, w], spectrogram [1, n_mels, n_frames], `Recording` for a net that hears words; its
     `Players`; names of baselines
Out  baselines of the sample's shape; masked copies of it [n, ...]

Places of no player, numbered -1, keep what the sample has there: for padding that is silence.

Word frames are made anew of the recording with the absent segments silenced. Taking frames out would leave the words in
all the others: each frame of the encoder attends to the whole recording.
"""

from dataclasses import dataclass
from math import ceil
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from models.pair.players import Players
from models.parallelnet.parallelnet import ParallelNet
from models.parallelnet.parallelnet_config import ParallelNetConfig
from models.parallelnet.word_frames import SAMPLING_RATE_HZ, WordEncoder, pooled, sounding
from models.shapley.game import BoolArray, IntArray

ImageBaseline = Literal["zero", "mean", "blur"]
SpeechBaseline = Literal["silence", "mean"]

BLUR_SIGMA = 1 / 8  # of a side of the picture: light and colour stay, things do not


def image_baseline(pixel_values: Tensor, name: ImageBaseline) -> Tensor:
    """What stands where image players are absent, of the shape of pixel_values [3, h, w].

    `zero`: black; `mean`: each channel's mean over the picture; `blur`: the picture after a Gaussian with a deviation
    of an eighth of its height and width.
    """
    if name == "zero":
        return torch.zeros_like(pixel_values)
    if name == "mean":
        return pixel_values.mean(dim=(1, 2), keepdim=True).expand_as(pixel_values)
    if name == "blur":
        sides = pixel_values.shape[:0:-1]  # x comes first
        sigmas = [side * BLUR_SIGMA for side in sides]
        # A kernel reaches over three deviations, and no further than a picture can be mirrored at its edge.
        reaches = [min(ceil(3 * sigma), side - 1) for sigma, side in zip(sigmas, sides, strict=True)]
        blurred: Tensor = gaussian_blur(pixel_values, [2 * reach + 1 for reach in reaches], sigmas)
        return blurred
    raise ValueError(f"the baseline of an image is zero, mean or blur, found {name!r}")


def speech_baseline(spectrogram: Tensor, speech_players: IntArray, name: SpeechBaseline) -> Tensor:
    """What stands where speech players are absent, of the spectrogram's shape [1, n_mels, n_frames].

    Players are int64 [n_frames] or [n_mels, n_frames].

    `silence`: 0, the spectrogram of digital silence; `mean`: each mel band's mean over the frames of players.
    """
    if name == "silence":
        return torch.zeros_like(spectrogram)
    if name == "mean":
        own = torch.from_numpy((speech_players >= 0).reshape(-1, spectrogram.shape[-1]).any(axis=0))
        own = own.to(spectrogram.device)
        return spectrogram[..., own].mean(dim=-1, keepdim=True).expand_as(spectrogram)
    raise ValueError(f"the baseline of speech is silence or mean, found {name!r}")


@dataclass(frozen=True, eq=False)
class Recording:
    """What a net that hears words heard, float32 [samples], 16 kHz, and the encoder of its word frames."""

    waveform: NDArray[np.float32]
    encoder: WordEncoder


class Masked(Protocol):
    """Copies of one input from which players are taken out."""

    def __call__(self, masks: BoolArray, memory_format: torch.memory_format) -> Tensor:
        """Copies [n, ...] by masks bool [n, n_players], True = present, in a layout of memory."""
        ...


class MaskedInput:
    """Copies of a sample [channels, h, w] from which players, int64 [h, w] or [w], are taken out."""

    def __init__(self, sample: Tensor, baseline: Tensor, players: IntArray) -> None:
        self._sample = sample
        self._baseline = baseline
        self._players = torch.from_numpy(np.broadcast_to(players, sample.shape[1:]).copy()).to(sample.device)

    def __call__(self, masks: BoolArray, memory_format: torch.memory_format) -> Tensor:
        """Copies [n, channels, h, w] by masks bool [n, n_players], True = present, in a layout of memory."""
        present = np.pad(masks, [(0, 0), (0, 1)], constant_values=True)  # place -1 is the last: always present
        kept = torch.from_numpy(present).to(self._sample.device)[:, self._players].unsqueeze(1)
        copies = torch.empty_like(self._sample.expand(len(masks), -1, -1, -1), memory_format=memory_format)
        return torch.where(kept, self._sample, self._baseline, out=copies)


class MaskedWords:
    """Word frames of a recording in which the segments of players, int64 [n_frames], are silent.

    With the baseline `mean`, the mean of the recording's sounding frames stands where a segment is absent.
    """

    def __init__(
        self, recording: Recording, players: IntArray, baseline: SpeechBaseline, config: ParallelNetConfig,
        device: torch.device, dtype: torch.dtype,
    ) -> None:  # fmt: skip
        self._samples = round(config.duration_seconds * SAMPLING_RATE_HZ)
        self._waveform = recording.waveform[: self._samples]
        self._encoder = recording.encoder
        self._config = config
        self._device, self._dtype = device, dtype
        places = np.arange(self._samples) * len(players) // self._samples
        self._players = players[places]
        self._mean = None
        if baseline == "mean":
            frames = self._encoder.frames(self._waveform, config.duration_seconds)
            own = sounding(self._waveform, config.duration_seconds)
            self._mean = frames[own].mean(axis=0) if own.any() else None

    def __call__(self, masks: BoolArray, memory_format: torch.memory_format) -> Tensor:  # noqa: ARG002 - as of any input
        """Copies [n, n_word_frames, channels] by masks bool [n, n_players], True = present."""
        present = np.pad(masks, [(0, 0), (0, 1)], constant_values=True)
        copies = [pooled(self._frames(row[self._players]), self._config.n_word_frames) for row in present]
        return torch.from_numpy(np.stack(copies)).to(self._device, self._dtype)

    def _frames(self, kept: BoolArray) -> NDArray[np.float32]:
        seconds = self._config.duration_seconds
        silenced = np.where(kept[: len(self._waveform)], self._waveform, np.float32(0))
        frames = self._encoder.frames(silenced, seconds)
        if self._mean is not None:
            frames[~sounding(kept, seconds)] = self._mean  # frames of absent players only; padding is present
        return frames


def masked_inputs(
    net: ParallelNet,
    pixel_values: Tensor | None,
    spectrogram: Tensor | None,
    players: Players,
    of_image: ImageBaseline,
    of_speech: SpeechBaseline,
    recording: Recording | None = None,
) -> dict[str, Masked]:
    """Masked copies of what a net reads, by the name of its argument, on its device; ValueError if sizes differ."""
    inputs: dict[str, Masked] = {}
    if net.config.modalities != "speech":
        picture = _checked("pixel_values", pixel_values, 3, players.image, "pixels").to(net.device, net.dtype)
        inputs["pixel_values"] = MaskedInput(picture, image_baseline(picture, of_image), players.image)
    if net.config.modalities != "image":
        sound = _checked("spectrogram", spectrogram, 1, players.speech, "frames").to(net.device, net.dtype)
        inputs["spectrogram"] = MaskedInput(sound, speech_baseline(sound, players.speech, of_speech), players.speech)
    if net.config.hears_words:
        if recording is None:
            raise ValueError("recording: a net that hears words needs it, found nothing")
        if players.speech.ndim > 1:
            raise ValueError("a net that hears words takes segments of speech; words have no frequency, found cells")
        inputs["word_frames"] = MaskedWords(recording, players.speech, of_speech, net.config, net.device, net.dtype)
    return inputs


def _checked(name: str, sample: Tensor | None, channels: int, players: IntArray, places: str) -> Tensor:
    if sample is None:
        raise ValueError(f"{name}: this net needs it, found nothing")
    if sample.ndim != 3 or len(sample) != channels or tuple(sample.shape[3 - players.ndim :]) != players.shape:
        expected = f"{channels} channel{'s' if channels > 1 else ''} and players of {list(players.shape)} {places}"
        raise ValueError(f"{name}: expected [channels, height, width] with {expected}, found {list(sample.shape)}")
    return sample
