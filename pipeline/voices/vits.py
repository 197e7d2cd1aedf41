"""Batched VITS: what the adapters of coqui-tts and transformers have in common.

Texts of about the same length are encoded together; the libraries mask padding there. They do not in the vocoder
(HiFi-GAN), so the end of a shorter clip would hear its padding: `Vocoder` masks it, and at noise 0 a batch gives what
its texts give alone. Where noise is drawn, it is seeded by the batch's requests, which follow from the shard.
Durations are found in full precision; the vocoder, which is most of the work, runs in half precision on a GPU, and clip
by clip on a CPU, where a batch of clips outgrows the caches and is slower (see benchmarks/synthesis_batched.py).
"""

import hashlib
import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.engine.environment import device_from_environment
from pipeline.errors import RowError, UserError
from pipeline.voices import PLAIN, Prosody, Request, Spoken, VitsParams, Voice, at_peak

MAX_IDS = 1_600  # of a text; about 40 s
MAX_BATCH_IDS = 6_400  # padding included
MAX_SECONDS = 60.0
# Of clips that a GPU's vocoder makes at once, padding included. It bounds memory, 1 GB, and changes no result.
MAX_VOCODER_SECONDS = 48.0
REQUESTS_AT_ONCE = 256


class Tap(nn.Module):
    """Stands where a model has its vocoder, and keeps what that would be given."""

    latents: torch.Tensor
    condition: torch.Tensor | None

    def forward(
        self, latents: torch.Tensor, condition: torch.Tensor | None = None, g: torch.Tensor | None = None
    ) -> torch.Tensor:
        """A stand-in for the waveform; `g` is coqui's name of the condition."""
        self.latents, self.condition = latents, g if condition is None else condition
        return latents[:, :1]


class Vocoder:
    """HiFi-GAN for clips of different length: zeros stand beyond the end of each before every convolution."""

    def __init__(self, network: nn.Module, samples_per_frame: int, sampling_rate_hz: int) -> None:
        self.network = network
        self.samples_per_frame = samples_per_frame
        convolutions = [part for part in network.modules() if isinstance(part, nn.Conv1d | nn.ConvTranspose1d)]
        for part in convolutions:
            part.register_forward_pre_hook(self._mask)
        # Only where a convolution keeps or multiplies the length does a sample know its frame.
        whole = all(map(_keeps_length, convolutions))
        on_gpu = next(network.parameters()).is_cuda
        self.max_frames = int(MAX_VOCODER_SECONDS * sampling_rate_hz / samples_per_frame) if whole and on_gpu else 1
        self._frames: torch.Tensor | None = None
        self._longest = 0

    def __call__(
        self, latents: torch.Tensor, frames: Sequence[int], condition: torch.Tensor | None
    ) -> list[NDArray[np.float32]]:
        """Waveforms of latents [batch, channels, frames] of which each row counts `frames`."""
        clips: dict[int, NDArray[np.float32]] = {}
        for rows in self._slices(frames):
            lengths = [frames[row] for row in rows]
            of_rows = condition if condition is None or len(condition) == 1 else condition[rows]
            waveforms = self._run(latents[rows, :, : max(lengths)], lengths, of_rows)
            for row, waveform in zip(rows, waveforms, strict=True):
                clips[row] = waveform[: frames[row] * self.samples_per_frame]
        return [clips[row] for row in range(len(frames))]

    def _slices(self, frames: Sequence[int]) -> Iterator[list[int]]:
        rows: list[int] = []
        for row in sorted(range(len(frames)), key=lambda row: (-frames[row], row)):
            if rows and frames[rows[0]] * (len(rows) + 1) > self.max_frames:
                yield rows
                rows = []
            rows.append(row)
        if rows:
            yield rows

    def _run(self, latents: torch.Tensor, frames: list[int], condition: torch.Tensor | None) -> NDArray[np.float32]:
        device = latents.device.type
        if len(set(frames)) > 1:
            self._frames = torch.tensor(frames, device=latents.device).view(-1, 1, 1)
        self._longest = latents.shape[-1]
        with torch.autocast(device, dtype=torch.float16, enabled=device == "cuda"):
            waveforms = self.network(latents, condition)
        self._frames = None
        return np.asarray(waveforms.squeeze(1).float().cpu().numpy(), dtype=np.float32)

    def _mask(self, _: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        signal, *others = inputs
        length = signal.shape[-1]
        if self._frames is None or length < self._longest:  # a condition has the length 1
            return None
        samples = torch.arange(length, device=signal.device).view(1, 1, -1)
        return (signal * (samples < self._frames * (length // self._longest)), *others)


def _keeps_length(part: nn.Module) -> bool:
    if isinstance(part, nn.ConvTranspose1d):
        return int(part.kernel_size[0]) - part.stride[0] + part.output_padding[0] == 2 * int(part.padding[0])
    assert isinstance(part, nn.Conv1d)
    return part.stride[0] == 1 and part.dilation[0] * (part.kernel_size[0] - 1) == 2 * int(part.padding[0])


class VitsVoice(Voice):
    """A VITS model on one thread, or on the device that `SIER_DEVICE` names.

    An adapter adds the abstract methods, and calls `take` when it is built.
    """

    requests_at_once = REQUESTS_AT_ONCE
    one_speaker_a_batch = False  # True for libraries that take one speaker for a whole batch
    model: Any
    vocoder: Vocoder
    tap: Tap

    def __init__(self, *, name: str, digest: str, sampling_rate_hz: int, speakers: Sequence[str], batch_size: int):
        self.name = name
        self.digest = digest
        self.sampling_rate_hz = sampling_rate_hz
        self.speakers = tuple(speakers)
        self.batch_size = batch_size
        self.device = device()

    def take(
        self, model: Any, params: VitsParams, noise: tuple[str, str], decoder: str, upsample_rates: Sequence[int]
    ) -> None:
        """Make `model` this voice's, with a tap in the place of its decoder, which goes to the vocoder.

        `noise` and `decoder` are the library's names of attributes: of both spreads of noise, and of the decoder.
        """
        for attribute, value in zip(noise, (params.noise_scale, params.noise_scale_duration), strict=True):
            if value is not None:
                setattr(model, attribute, value)
        self.model = model.to(self.device).eval()
        self.vocoder = Vocoder(getattr(model, decoder), math.prod(upsample_rates), self.sampling_rate_hz)
        self.tap = Tap()
        setattr(self.model, decoder, self.tap)

    @abstractmethod
    def ids_of(self, text: str) -> list[int]:
        """What the encoder reads of a text; empty if that is nothing."""

    @abstractmethod
    def latents(
        self, ids: torch.Tensor, lengths: torch.Tensor, speakers: list[int], rates: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Latents [batch, channels, frames], frames of each [batch], condition [batch or 1, channels, 1] or None.

        Of `ids` [batch, longest], padded with 0; `lengths` [batch]; `speakers`, positions in the voice's, 0 for a voice
        of one and all alike if `one_speaker_a_batch`; `rates` [batch, 1, 1].
        """

    def speak(self, text: str, speaker: str | None = None, prosody: Prosody = PLAIN) -> NDArray[np.float32]:
        """A batch of one; see `Voice.speak`."""
        spoken = self.speak_batch([Request(text, speaker, prosody)])[0]
        if isinstance(spoken, RowError):
            raise spoken
        return spoken

    def speak_batch(self, requests: Sequence[Request]) -> list[Spoken]:
        """Texts of about the same length together; see `Voice.speak_batch`."""
        spoken: dict[int, Spoken] = {}
        ids: dict[int, list[int]] = {}
        for position, request in enumerate(requests):
            try:
                ids[position] = self._checked_ids(request.text)
            except RowError as error:
                spoken[position] = error
        for batch in self._batches(requests, ids):
            clips = self._speak([requests[position] for position in batch], [ids[position] for position in batch])
            spoken.update(zip(batch, clips, strict=True))
        return [spoken[position] for position in range(len(requests))]

    def _checked_ids(self, text: str) -> list[int]:
        ids = self.ids_of(text)
        if not ids:
            raise RowError("speech_empty", "the voice found nothing to pronounce")
        if len(ids) > MAX_IDS:
            raise RowError("speech_too_long", f"a text of {len(ids):,} phoneme ids, at most {MAX_IDS:,} are spoken")
        return ids

    def _speaker(self, request: Request) -> int:
        return 0 if request.speaker is None else self.speakers.index(request.speaker)

    def _batches(self, requests: Sequence[Request], ids: dict[int, list[int]]) -> Iterator[list[int]]:
        """Positions of what is spoken together: texts of similar length."""

        def speaker(position: int) -> int:
            return self._speaker(requests[position]) if self.one_speaker_a_batch else 0

        ordered = sorted(ids, key=lambda position: (speaker(position), len(ids[position]), position))
        for _, group in groupby(ordered, speaker):
            batch: list[int] = []
            for position in group:
                if len(batch) == self.batch_size or len(ids[position]) * (len(batch) + 1) > MAX_BATCH_IDS:
                    yield batch
                    batch = []
                batch.append(position)
            yield batch

    def _speak(self, requests: list[Request], ids: list[list[int]]) -> list[Spoken]:
        longest = max(map(len, ids))
        padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids], device=self.device)
        lengths = torch.tensor([len(row) for row in ids], device=self.device)
        rates = torch.tensor([request.prosody.rate for request in requests], device=self.device).view(-1, 1, 1)
        speakers = [self._speaker(request) for request in requests]
        with torch.inference_mode(), seeded(requests, self.device):
            latents, counted, condition = self.latents(padded, lengths, speakers, rates)
            most = int(MAX_SECONDS * self.sampling_rate_hz / self.vocoder.samples_per_frame)
            frames = [int(count) for count in counted]
            waveforms = self.vocoder(latents, [min(count, most) for count in frames], condition)
        too_long = RowError("speech_too_long", f"more than {MAX_SECONDS:.0f} s")
        pairs = zip(waveforms, frames, strict=True)
        return [at_peak(waveform) if count <= most else too_long for waveform, count in pairs]


@contextmanager
def seeded(requests: Sequence[Request], device: str) -> Iterator[None]:
    """Random numbers of torch that follow from `requests`; outside everything stays as it was."""
    content = "\0".join(f"{request.text}\0{request.speaker}\0{request.prosody.rate}" for request in requests)
    seed = int.from_bytes(hashlib.sha256(content.encode()).digest()[:7], "big")
    with torch.random.fork_rng([torch.cuda.current_device()] if device == "cuda" else []):
        torch.manual_seed(seed)
        yield


def device() -> str:
    """Where networks run; on the cpu on one thread, for the engine runs a process per core."""
    chosen = device_from_environment()
    if chosen == "cuda" and not torch.cuda.is_available():
        raise UserError("SIER_DEVICE = cuda: torch finds no GPU; expected cpu on this machine")
    if chosen == "cpu":
        torch.set_num_threads(1)
    return chosen
