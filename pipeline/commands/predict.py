"""What a trained network makes of a picture, a recording, or both.

    sier predict --image a.jpg --speech b.wav [--model data/checkpoints/parallelnet] [--json]

Prints the label, the probability of every class and the weights of the fusion. In a network of both modalities one
input may be left out: a black picture or digital silence is in its place, and the answer says so. Inputs are decoded as
for training, so that a row of the dataset gets the probabilities that stage `evaluate` found. Nothing is downloaded.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from models.parallelnet.parallelnet import ParallelNet
from pipeline.commands import given_files
from pipeline.commands.given_files import DEFAULT_MODEL, Network, Picture, Sound
from pipeline.errors import UserError
from pipeline.frame.running import say
from pipeline.media import audio
from pipeline.networks.decoding import image_array, spectrogram_array
from pipeline.networks.inputs import collate
from pipeline.networks.words import word_frame_array

BASELINES = {"image": "a black picture", "speech": "digital silence"}
BAR_CHARACTERS = 40
BLOCKS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class Answer:
    """What a network says."""

    label: str  # the class with the largest probability
    probabilities: dict[str, float]  # of every class, in the order of their ids; sum 1
    fusion_weights: dict[str, float] | None  # w1 of speech, w2 of the image, w3 of their product (Eq. 2); None of one
    inputs: dict[str, str | None]  # by modality: the file, `given`, `baseline`, or None where there is no such input
    notes: tuple[str, ...]  # what the user should know about the inputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    given_files.add_file_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> None:
    """Predict, and print the answer."""
    answer = predict(options.image, options.speech, options.model)
    print(json.dumps(asdict(answer), indent=2)) if options.json else say(_text(answer))


def predict(image: Picture | None = None, speech: Sound | None = None, model: Network = DEFAULT_MODEL) -> Answer:
    """The answer of a network to a picture, a recording, or both; raises UserError as `given_files.read_pair`."""
    given = given_files.read_pair(image, speech, model, needs_both=False)
    config = given.net.config
    missing = [name for name in given.takes if given.names[name] is None]
    notes = [f"no {name} was given; {BASELINES[name]} is in its place" for name in missing]
    item: dict[str, Any] = {}
    if given.photo is not None:
        item["pixel_values"] = image_array(given.photo, config.image_size_px)
    if given.waveform is not None:
        item["spectrogram"] = spectrogram_array(
            given.waveform, duration_seconds=config.duration_seconds, n_mels=config.n_mels, n_frames=config.n_frames
        )
        if config.hears_words:
            item["word_frames"] = word_frame_array(given.waveform, config.duration_seconds)
        seconds = len(given.waveform) / audio.SAMPLING_RATE_HZ
        if seconds > config.duration_seconds:
            notes.append(f"speech lasts {seconds:.1f} s; the network heard its first {config.duration_seconds:g} s")
    return _answer(given.net, item, given.names | dict.fromkeys(missing, "baseline"), tuple(notes))


def _answer(net: ParallelNet, item: dict[str, Any], inputs: dict[str, str | None], notes: tuple[str, ...]) -> Answer:
    batch = collate([item])
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
