"""Pictures and waveforms to what a ParallelNet reads, where the pipeline is not installed.

In   PIL pictures of any size; waveforms: floating point [samples], mono, full scale 1.0, at the network's rate
Out  pixel_values float32 [n, 3, size, size] in [0, 1]; spectrogram float32 [n, 1, n_mels, n_frames] in [0, 1];
     word_frames float32 [n, n_word_frames, 384] for a network that hears words

Published beside the weights, for AutoProcessor.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, ProcessorMixin

from .explaining_parallelnet import Explanation, explain
from .spectrogram import log_mel
from .word_frames import installed_encoder


class ParallelNetProcessor(ProcessorMixin):  # type: ignore[misc]
    """Prepares inputs as stage `train` does: pictures squashed to a square, speech cropped or padded."""

    attributes: list[str] = []  # noqa: RUF012  # the base class's way

    def __init__(
        self,
        image_size_px: int = 128,
        duration_seconds: float = 10.0,
        n_mels: int = 128,
        n_frames: int = 128,
        sampling_rate_hz: int = 16_000,
        n_word_frames: int = 16,
        word_weights: dict[str, str] | None = None,  # see `word_frames.installed_encoder`; None: words are not heard
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.image_size_px = image_size_px
        self.duration_seconds = duration_seconds
        self.n_mels = n_mels
        self.n_frames = n_frames
        self.sampling_rate_hz = sampling_rate_hz
        self.n_word_frames = n_word_frames
        self.word_weights = word_weights

    def __call__(self, images: Any = None, audio: Any = None, sampling_rate: int | None = None) -> BatchFeature:
        """Inputs of the network; one picture or waveform, or a list of them; either may be left out.

        Raises ImportError, which says what to install, where words are to be heard and nothing here can.
        """
        data: dict[str, Any] = {}
        if images is not None:
            given = images if isinstance(images, list | tuple) else [images]
            data["pixel_values"] = torch.stack([self._pixels(image) for image in given])
        if audio is not None:
            rate = self.sampling_rate_hz
            if sampling_rate != rate:
                raise ValueError(f"expected a waveform at {rate} Hz, found {sampling_rate}; resample it")
            waves: Sequence[Any] = audio if isinstance(audio, list | tuple) else [audio]
            clips = [np.asarray(wave, dtype=np.float32) for wave in waves]
            spectrograms = log_mel(
                clips, duration_seconds=self.duration_seconds, n_mels=self.n_mels, n_frames=self.n_frames,
                sampling_rate_hz=rate,
            )  # fmt: skip
            data["spectrogram"] = spectrograms.half().float()  # as training reads them
            if self.word_weights:
                encoder = installed_encoder(**self.word_weights)
                heard = encoder(clips, duration_seconds=self.duration_seconds, n_word_frames=self.n_word_frames)
                data["word_frames"] = torch.from_numpy(heard).float()
        if not data:
            raise ValueError("expected images, audio or both, found neither")
        return BatchFeature(data)

    def explain(self, net: Any, images: Any = None, audio: Any = None, sampling_rate: int | None = None) -> Explanation:
        """What the answer of the network `net` to one picture, one waveform, or both, as it takes, rests on.

        Raises as `__call__` and `explaining_parallelnet.explain` do.
        """
        inputs = self(images=images, audio=audio, sampling_rate=sampling_rate)
        waveform = None if audio is None else np.asarray(audio, dtype=np.float32)
        encoder = installed_encoder(**self.word_weights) if self.word_weights else None
        return explain(net, dict(inputs), waveform, encoder)

    def _pixels(self, image: Any) -> torch.Tensor:
        size = (self.image_size_px, self.image_size_px)
        square = image.convert("RGB").resize(size, 2)  # 2: bilinear, of PIL
        return torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / 255
