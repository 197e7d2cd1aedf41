"""What a trained network makes of a picture, a recording, or both.

    sier predict --image a.jpg --speech b.wav [--model data/checkpoints/parallelnet] [--json]

Prints the label, the probability of every class and the weights of the fusion. In a network of both modalities one
input may be left out: a black picture or digital silence is in its place, and the answer says so. Inputs are decoded as
for training, so that a row of the dataset gets the probabilities that stage `evaluate` found. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.parallelnet.parallelnet import ParallelNet
from pipeline.commands.command import UsageError
from pipeline.commands.given_files import decoded, read_bytes
from pipeline.engine.environment import device_from_environment
from pipeline.errors import UserError
from pipeline.frame.running import say
from pipeline.media import audio
from pipeline.networks.inputs import collate, image_array, read_image, spectrogram_array
from pipeline.networks.loading import expect_checkpoint, load_network

DEFAULT_MODEL = Path("data/checkpoints/parallelnet")
OPTIONS = {"image": "--image", "speech": "--speech"}
BAR_CHARACTERS = 40
BLOCKS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class Answer:
    """What a network says.

    Attributes:
        label: the class with the largest probability.
        probabilities: of every class, in the order of their ids; sum 1.
        fusion_weights: w1 of speech, w2 of the image, w3 of their product (Eq. 2); None for a network of one modality.
        inputs: by modality: the file, or `baseline`, or None where the network has no such input.
        notes: what the user should know about the inputs.
    """

    label: str
    probabilities: dict[str, float]
    fusion_weights: dict[str, float] | None
    inputs: dict[str, str | None]
    notes: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("--image", type=Path, help="JPEG, PNG, WebP, GIF, BMP or TIFF")
    parser.add_argument("--speech", type=Path, help="WAV, FLAC, OGG or MP3")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="folder of a network (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> None:
    """Predict, and print the answer."""
    if options.image is None and options.speech is None:
        raise UsageError("expected --image, --speech or both")
    answer = predict(options.image, options.speech, options.model)
    print(json.dumps(asdict(answer), indent=2)) if options.json else say(_text(answer))


def predict(image: Path | None, speech: Path | None, model: Path = DEFAULT_MODEL) -> Answer:
    """The answer of the network in `model` to one or two files.

    Raises:
        UserError: a file cannot be read, is no picture or no recording, or is not what the network listens to or
            looks at; or there is no whole network in `model`.
    """
    device = device_from_environment()
    expect_checkpoint(model)
    data = {name: read_bytes(path) for name, path in {"image": image, "speech": speech}.items() if path is not None}
    picture = decoded(image, "picture", read_image, data["image"]) if image else None
    waveform = decoded(speech, "recording", audio.decode, data["speech"]) if speech else None
    net = load_network(model, device)
    config = net.config
    seen = tuple(OPTIONS) if config.modalities == "both" else (config.modalities,)
    for name in data:
        if name not in seen:
            raise UserError(f"{model}: this network takes {seen[0]} only; leave out {OPTIONS[name]}")

    item: dict[str, Any] = {}
    notes = []
    if picture is not None:
        item["pixel_values"] = image_array(picture, config.image_size_px)
    elif "image" in seen:
        notes.append("no image was given; a black picture is in its place")
    if waveform is not None:
        item["spectrogram"] = spectrogram_array(
            waveform, duration_seconds=config.duration_seconds, n_mels=config.n_mels, n_frames=config.n_frames
        )
        seconds = len(waveform) / audio.SAMPLING_RATE_HZ
        if seconds > config.duration_seconds:
            notes.append(f"speech lasts {seconds:.1f} s; the network heard its first {config.duration_seconds:g} s")
    elif "speech" in seen:
        notes.append("no speech was given; digital silence is in its place")
    files = {"image": image, "speech": speech}
    inputs = {name: (str(path) if path else "baseline") if name in seen else None for name, path in files.items()}
    return _answer(net, collate([item]), inputs, tuple(notes))


def _answer(
    net: ParallelNet, batch: dict[str, Tensor], inputs: dict[str, str | None], notes: tuple[str, ...]
) -> Answer:
    with torch.inference_mode():
        logits = net(**{name: tensor.to(net.device) for name, tensor in batch.items()}).logits[0].float().cpu()
        weights = net.fusion_weights.tolist() if net.config.modalities == "both" else None
    if not bool(logits.isfinite().all()):
        raise UserError("the network answers with values that are no numbers; train it again")
    names: dict[int, str] = net.config.id2label or {}
    return Answer(
        label=names[int(logits.argmax())],
        probabilities=dict(zip(names.values(), logits.softmax(dim=0).tolist(), strict=True)),
        fusion_weights=dict(zip(("speech", "image", "product"), weights, strict=True)) if weights else None,
        inputs=inputs,
        notes=notes,
    )


def _text(answer: Answer) -> str:
    """The answer for people: a bar per class."""
    width = max(map(len, answer.probabilities))
    lines = [answer.label, ""]
    for name, probability in answer.probabilities.items():
        lines.append(f"  {name:<{width}}  {_bar(probability):<{BAR_CHARACTERS}} {probability:6.1%}")
    lines.append("")
    if answer.fusion_weights is not None:
        weights = "  ".join(f"{name} {weight:.3f}" for name, weight in answer.fusion_weights.items())
        lines.append(f"fusion weights: {weights}")
    lines += [f"note: {note}" for note in answer.notes]
    return "\n".join(lines).rstrip()


def _bar(share: float) -> str:
    try:
        BLOCKS.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#" * int(np.rint(share * BAR_CHARACTERS))
    whole, eighths = divmod(int(np.rint(share * BAR_CHARACTERS * 8)), 8)
    return BLOCKS[8] * whole + BLOCKS[eighths].strip()
