"""Parts of `benchmarks.gpu` that are not steps of training: agreement of precisions, explanation, scoring, speech."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from models.pair.game import PairGame
from models.pair.players import grid_and_segments
from models.shapley import subset_masks
from models.teachers.encoders import create_encoder
from models.teachers.speech_encoder import WHISPER
from pipeline.engine.environment import device_from_environment
from pipeline.errors import RowError
from pipeline.frame.stage import BaseParams
from pipeline.networks import performance
from pipeline.networks.build import build
from pipeline.networks.params import ModelParams, PerformanceParams, TrainParams
from pipeline.planning.networks import CPU_BATCH
from pipeline.voices import CoquiParams, Request, load_voice
from pipeline.voices.vits import VitsVoice

STEPS = 5
# bfloat16 has 8 bits of mantissa, so errors of up to 2^-9 in each product. Weights are random, losses those of `STEPS`.
PROBABILITY_TOLERANCE, LOSS_TOLERANCE = 0.03, 0.05
SPEECH_SECONDS, CLIPS, PICTURES = 5.0, 64, 64
SAMPLING_RATE_HZ = 16_000
CHARACTERS_PER_SECOND = 14.0  # of English read aloud
SENTENCE = "The quick brown fox jumps over the lazy dog and finds that nobody has seen the other side of the river"


def step_rows(train: TrainParams) -> int:
    """Rows of a step as `pipeline.planning.networks` measures it."""
    return min(train.batch_size, CPU_BATCH) if device_from_environment() == "cpu" else train.batch_size


def _seconds(action: Callable[[], object]) -> float:
    """Of the second of two calls."""
    action()
    if device_from_environment() == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    action()
    if device_from_environment() == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def _trained(model: ModelParams, train: TrainParams, base: BaseParams) -> tuple[torch.Tensor, list[float]]:
    """Probabilities [rows, classes] before training, and the loss of each of some steps on one batch."""
    device, rows, size = device_from_environment(), step_rows(train), train.inputs
    torch.manual_seed(base.seed)
    net: Any = build(model, train, base.labels).to(device).train()
    performance.prepare(net, train, device)
    pixels = torch.rand(rows, 3, size.image_size_px, size.image_size_px).to(device)
    mels = torch.rand(rows, 1, size.n_mels, size.n_frames).to(device)
    truth = torch.arange(rows, device=device) % len(base.labels)
    kind, arguments = performance.optimizer_of(train)
    optimizer = kind(net.parameters(), **arguments)
    losses: list[float] = []
    probabilities = torch.empty(0)
    for _ in range(STEPS):
        optimizer.zero_grad()
        with performance.autocast(train, device):
            out = net(pixel_values=pixels, spectrogram=mels, labels=truth)
        if not losses:
            probabilities = out.logits.detach().float().softmax(dim=1).cpu()
        torch.autograd.backward(out.loss)
        optimizer.step()
        losses.append(float(out.loss.detach()))
    return probabilities, losses


def agreement(model: ModelParams, train: TrainParams, base: BaseParams) -> dict[str, Any]:
    """How far bfloat16 is from float32, of the same weights and rows; and whether that is within tolerance."""
    exact = replace(train, mixed_precision=None, performance=PerformanceParams())
    expected, losses = _trained(model, exact, base)
    found, of_bf16 = _trained(model, replace(train, mixed_precision="bf16"), base)
    probability = float((found - expected).abs().max())
    loss = max(abs(one / other - 1) for one, other in zip(of_bf16, losses, strict=True))
    agrees = probability <= PROBABILITY_TOLERANCE and loss <= LOSS_TOLERANCE
    print(f"  probabilities differ by at most {probability:.4f}, allowed {PROBABILITY_TOLERANCE}")
    print(f"  losses of {STEPS} steps differ by at most {loss:.2%}, allowed {LOSS_TOLERANCE:.0%}")
    return {"probability": probability, "loss": loss, "float32": losses, "bf16": of_bf16, "agrees": agrees}


def explanation(model: ModelParams, train: TrainParams, base: BaseParams) -> dict[str, float]:
    """Encodings of masked inputs a second, half of pictures and half of spectrograms."""
    device, size = device_from_environment(), train.inputs
    torch.manual_seed(base.seed)
    net = build(model, train, base.labels).to(device).eval()
    players = grid_and_segments(size.image_size_px, size.image_size_px, size.n_frames, (2, 4), 8)
    pixels = torch.rand(3, size.image_size_px, size.image_size_px).to(device)
    mel = torch.rand(1, size.n_mels, size.n_frames).to(device)
    subsets = subset_masks(8)

    def encode() -> int:
        game = PairGame(net, pixels, mel, players, target=0, batch_size=step_rows(train))
        game(np.concatenate([subsets, subsets], axis=1))  # each mask of either modality once
        return game.image_encodings + game.speech_encodings

    rate = encode() / _seconds(encode)
    print(f"  {rate:,.0f} encodings/s; exact values of 8 + 8 players take {2 * len(subsets)}")
    return {"encodings_per_second": rate}


def scoring(*, quick: bool) -> dict[str, float]:
    """Rows a second of the frozen encoders that the teachers share, by the stage's own code."""
    rng, device = np.random.default_rng(0), device_from_environment()
    clips, pictures = (2, 2) if quick else (CLIPS, PICTURES)
    waveforms = list(rng.normal(0, 0.05, (clips, round(SPEECH_SECONDS * SAMPLING_RATE_HZ))).astype(np.float32))
    shown = [Image.fromarray(one) for one in rng.integers(0, 256, (pictures, 384, 512, 3), dtype=np.uint8)]
    rates = {}
    teachers: tuple[tuple[str, list[Any]], ...] = ((WHISPER, waveforms), ("tf_efficientnet_lite0", shown))
    for name, items in teachers:
        encoder = create_encoder(name, device=device)
        rates[name] = len(items) / _seconds(partial(encoder.encode, items))
        print(f"  {name:<24}{rates[name]:10.1f} rows/s in one process")
    return rates


def synthesis(*, quick: bool) -> dict[str, float]:
    """Seconds of speech a second by batched VITS of coqui-tts, of the library's default size."""
    from benchmarks.synthesis_batched import write_model  # noqa: PLC0415 - coqui-tts is an extra

    texts = [SENTENCE[: 40 + number % 60] for number in range(4 if quick else 64)]
    with tempfile.TemporaryDirectory(prefix="sier-vits-") as name:
        write_model(Path(name), quick)
        voice = load_voice(CoquiParams("coqui", name, noise_scale=0.0, noise_scale_duration=0.0))
        assert isinstance(voice, VitsVoice)
        # Random weights speak at any pace; take that of people.
        natural = len(texts[-1]) / CHARACTERS_PER_SECOND
        voice.__dict__["pace"] = natural / (len(voice.speak(texts[-1])) / voice.sampling_rate_hz)
        spoken = voice.speak_batch([Request(text) for text in texts])
        length = sum(len(clip) for clip in spoken if not isinstance(clip, RowError)) / voice.sampling_rate_hz
        rate = length / _seconds(lambda: voice.speak_batch([Request(text) for text in texts]))
    print(f"  {rate:,.1f} s of speech a second in one process, {len(texts)} texts at once")
    return {"speech_seconds_per_second": rate}
