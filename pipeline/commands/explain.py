"""What in a picture and in speech an answer rests on.

    sier explain --image a.jpg --speech b.wav [--model data/checkpoints/parallelnet] [--out picture.png]

Prints the label and its probability, the share of each modality and the words that speak most for the label, and draws
a picture in the manner of the paper's Fig. 5. A network of one modality takes one file. Inputs are decoded as by
`sier predict`, so that both give the same answer. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

import torch
from tqdm import tqdm

from models.pair.explain import explain
from models.pair.explanation import InexactError
from models.pair.game import PairGame
from models.parallelnet.parallelnet import ParallelNet
from pipeline.commands import predict
from pipeline.commands.command import UsageError
from pipeline.commands.given_files import decoded, read_bytes
from pipeline.engine import files
from pipeline.engine.environment import device_from_environment
from pipeline.errors import RowError, UserError
from pipeline.explanation.figure import png
from pipeline.explanation.figure_content import Explained, Shown, explained_of
from pipeline.explanation.inputs import Sample, players_of, probabilities, sample_of
from pipeline.explanation.transcripts import Transcriber
from pipeline.explanation.word_view import top_words
from pipeline.frame.running import say
from pipeline.media import audio
from pipeline.networks.decoding import read_image
from pipeline.networks.loading import expect_checkpoint, load_network

DEFAULT_OUT = Path("explanation.png")
TIMES = 3  # 8 cells and 8 segments
PERCENTILE = 30.0
TOP_WORDS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("--image", type=Path, help="JPEG, PNG, WebP, GIF, BMP or TIFF")
    parser.add_argument("--speech", type=Path, help="WAV, FLAC, OGG or MP3")
    parser.add_argument(
        "--model", type=Path, default=predict.DEFAULT_MODEL, help="folder of a network (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="PNG to write (default: %(default)s)")


def run(options: argparse.Namespace) -> None:
    """Explain, draw, and print what was found."""
    if options.image is None and options.speech is None:
        raise UsageError("expected --image, --speech or both")
    explained = explain_files(options.image, options.speech, options.model)
    files.write_bytes(options.out, png(explained))
    say(_text(explained, options.out))


def explain_files(image: Path | None, speech: Path | None, model: Path = predict.DEFAULT_MODEL) -> Explained:
    """The explanation of the answer that the network in `model` gives to one or two files.

    Exact where the network's modalities meet late, or where it has one; else by divide and conquer.

    Raises:
        UserError: a file cannot be read, is no picture or no recording, is silent, or is not what the network takes;
            or there is no whole network in `model`.
    """
    device = device_from_environment()
    expect_checkpoint(model)
    given = {"image": image, "speech": speech}
    data = {name: read_bytes(path) for name, path in given.items() if path is not None}
    photo = decoded(image, "picture", read_image, data["image"]) if image else None
    waveform = decoded(speech, "recording", audio.decode, data["speech"]) if speech else None
    net = load_network(model, device)
    for name, path in given.items():
        if (path is not None) != (net.config.modalities in {"both", name}):
            what = f"leave out --{name}" if path is not None else f"give --{name} too"
            raise UserError(f"{model}: this network takes {_taken(net.config.modalities)}; {what}")
    torch.set_num_threads(1)  # as in the stage: the last bits do not depend on the number of cores
    name = " + ".join(path.name for path in given.values() if path is not None)
    try:
        sample = sample_of(photo, waveform, net.config)
        return _explained(net, sample, name)
    except RowError as error:
        raise UserError(f"{speech}: {error.reason}") from None
    except InexactError as error:
        raise UserError(f"{model}: {error}") from None


def _explained(net: ParallelNet, sample: Sample, name: str) -> Explained:
    with tqdm(total=3, desc="explain", unit="step", disable=None, leave=False) as bar:
        transcriber = Transcriber() if sample.waveform is not None else None
        words = transcriber.words(sample.waveform) if transcriber and sample.waveform is not None else ()
        bar.update()
        players = players_of(sample, net.config, times=TIMES)
        scores = probabilities(net, sample)
        if not bool(scores.isfinite().all()):
            raise UserError("the network answers with values that are no numbers; train it again")
        target = int(scores.argmax())
        game = PairGame(net, sample.pixel_values, sample.spectrogram, players, target=target)
        factors = net.factors or net.config.modalities != "both"
        method: Literal["exact", "level"] = "exact" if factors else "level"
        explanation = explain(game, method)
        bar.update()
        names = net.config.id2label or {}
        labels = [names[place] for place in sorted(names)]
        explained = explained_of(
            sample, game.players, explanation, Shown(name), labels, float(scores[target]), "logit",
            ("zero", "silence"), words, transcriber, PERCENTILE,
        )  # fmt: skip
        bar.update()
    return explained


def _taken(modalities: str) -> str:
    return "--image and --speech" if modalities == "both" else f"--{modalities} only"


def _text(explained: Explained, out: Path) -> str:
    """The explanation for people."""
    lines = [f"{explained.predicted}  {explained.score:.1%}", ""]
    total = sum(abs(value) for value in explained.modality_values.values())
    for name, value in explained.modality_values.items():
        share = f"{abs(value) / total:6.1%}" if total else "     -"
        lines.append(f"  {name:<6}  {share}  {value:+.3f} of the {explained.output}")
    if explained.synergy is not None:
        lines.append(f"  of which synergy  {explained.synergy:+.3f}")
    if explained.speech is not None:
        best = [f"{word.text} ({word.value:+.3f})" for word in top_words(explained.speech.words, TOP_WORDS)]
        lines += ["", f"words that speak most for it: {', '.join(best) or 'none was heard'}"]
    return "\n".join([*lines, "", f"picture: {out}"])
