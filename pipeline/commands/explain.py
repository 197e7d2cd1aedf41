"""What in a picture and in speech an answer rests on.

    sier explain --image a.jpg --speech b.wav [--model data/checkpoints/parallelnet] [--out picture.png]

Prints the label and its probability, the share of each modality and the words that speak most for the label, and draws
a picture in the manner of the paper's Fig. 5. A network of one modality takes one file. Inputs are decoded as by
`sier predict`, so that both give the same answer. Nothing is downloaded. A picture of an earlier call is replaced, any
other file only with --force.
"""

import argparse
import hashlib
import os
import struct
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from models.pair.explanation import InexactError, PairExplanation
from pipeline.commands import given_files, output_files
from pipeline.commands.given_files import DEFAULT_MODEL, GivenPair, Network, Picture, Sound
from pipeline.engine import files
from pipeline.engine.progress import Progress
from pipeline.errors import RowError, UserError
from pipeline.explanation.answer import explain_answer
from pipeline.explanation.figure import png
from pipeline.explanation.figure_content import FigureContent
from pipeline.explanation.maps import Floats
from pipeline.explanation.transcripts import top_words
from pipeline.frame.running import say

DEFAULT_OUT = Path("explanation.png")
TOP_WORDS = 5
PNG_HEADER_BYTES = 33  # signature and IHDR


@dataclass(frozen=True, eq=False)
class Explanation:
    """What an answer rests on; None in the place of a modality that the network lacks."""

    label: str  # the network's answer
    probability: float
    cells: Floats | None  # [rows, columns], what each cell of the picture adds to the logit of the answer
    segments: Floats | None  # [n], and each stretch of the speech, all of one length
    values: PairExplanation  # all of it: maps, interactions, checks
    content: FigureContent  # what a picture of it shows: words with their values, shares of the modalities

    def picture(self) -> bytes:
        """A PNG in the manner of the paper's Fig. 5."""
        return marked(png(self.content))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture; a file of that name is replaced."""
        files.write_bytes(Path(path), self.picture())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    given_files.add_file_arguments(parser)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="PNG to write (default: %(default)s)")
    output_files.add_force(parser)


def run(options: argparse.Namespace) -> None:
    """Explain, draw, and print the explanation."""
    inputs = [path for path in (options.image, options.speech, options.model) if path is not None]
    target = partial(output_files.target, options.out, inputs, is_marked, force=options.force)
    target()
    explanation = explain_pair(options.image, options.speech, options.model)
    files.write_bytes(target(), explanation.picture())
    say(_text(explanation.content, options.out))


def marked(picture: bytes) -> bytes:
    """A PNG with a note of who made it and the sha256 of all the rest, by which it is known again."""
    note = b"tEXtSoftware\0sier explain " + hashlib.sha256(picture).hexdigest().encode()
    chunk = struct.pack(">I", len(note) - 4) + note + struct.pack(">I", zlib.crc32(note))
    return picture[:PNG_HEADER_BYTES] + chunk + picture[PNG_HEADER_BYTES:]


def is_marked(data: bytes) -> bool:
    """Whether these bytes are a picture as `marked` left it."""
    note_bytes = len(marked(b""))
    return data == marked(data[:PNG_HEADER_BYTES] + data[PNG_HEADER_BYTES + note_bytes :])


def explain_pair(
    image: Picture | None = None, speech: Sound | None = None, model: Network = DEFAULT_MODEL
) -> Explanation:
    """The explanation of the answer that a network gives to a picture, a recording, or both, as it takes.

    Exact where the network's modalities meet late, or where it has one; else by divide and conquer. Raises UserError as
    `given_files.read_pair`, and if the recording is silent or too short.
    """
    given = given_files.read_pair(image, speech, model, needs_both=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the stage: the last bits do not depend on the number of cores
    try:
        return _explained(given)
    except RowError as error:
        raise UserError(f"{given.names['speech']}: {error.reason}") from None
    except InexactError as error:
        raise UserError(f"{given.net.name_or_path}: {error}") from None
    finally:
        torch.set_num_threads(threads)


def _explained(given: GivenPair) -> Explanation:
    name = " + ".join(Path(name).name for name in given.names.values() if name is not None)
    with Progress(total=3, desc="explain", unit="step", leave=False) as bar:
        values, players, content = explain_answer(given.net, given.photo, given.waveform, name, bar.update)
    of_image, of_speech = np.split(values.values, [players.n_image])
    return Explanation(
        label=content.predicted, probability=content.score, values=values, content=content,
        cells=of_image.reshape(players.grid) if players.grid else None,
        segments=of_speech if players.n_speech else None,
    )  # fmt: skip


def _text(content: FigureContent, out: Path) -> str:
    """The explanation for people."""
    lines = [f"{content.predicted}  {content.score:.1%}", ""]
    total = sum(abs(value) for value in content.modality_values.values())
    for name, value in content.modality_values.items():
        share = f"{abs(value) / total:6.1%}" if total else "     -"
        lines.append(f"  {name:<6}  {share}  {value:+.3f} of the {content.output}")
    if content.synergy is not None:
        lines.append(f"  of which synergy  {content.synergy:+.3f}")
    if content.speech is not None:
        best = [f"{word.text} ({word.value:+.3f})" for word in top_words(content.speech.words, TOP_WORDS)]
        lines += ["", f"words that speak most for it: {', '.join(best) or 'none was heard'}"]
    return "\n".join([*lines, "", f"picture: {out}"])
