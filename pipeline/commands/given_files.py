"""A picture and a recording that a user names on the command line, and the network that is asked about them."""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

from models.parallelnet.parallelnet import ParallelNet
from pipeline.commands.command import UsageError
from pipeline.engine.environment import device_from_environment
from pipeline.errors import RowError, UserError
from pipeline.media import audio
from pipeline.networks.decoding import read_image
from pipeline.networks.loading import expect_checkpoint, load_network

T = TypeVar("T")

BYTES_MAX = 2**30  # a picture or a recording in memory
DEFAULT_MODEL = Path("data/checkpoints/parallelnet")
MODALITIES = ("image", "speech")


@dataclass(frozen=True, eq=False)
class GivenPair:
    """A network, and what it is given; None in the place of a file that was left out."""

    net: ParallelNet
    takes: tuple[str, ...]  # of MODALITIES
    paths: dict[str, Path | None]  # by modality
    photo: Image.Image | None
    waveform: audio.Waveform | None


def add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """The files, and the network."""
    parser.add_argument("--image", type=Path, help="JPEG, PNG, WebP, GIF, BMP or TIFF")
    parser.add_argument("--speech", type=Path, help="WAV, FLAC, OGG or MP3")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="folder of a network (default: %(default)s)")


def read_pair(image: Path | None, speech: Path | None, model: Path, *, needs_both: bool) -> GivenPair:
    """Both files, decoded, and the network in `model`; `needs_both` of a network of both modalities.

    Raises UserError if a file cannot be read, is no picture or no recording, or is not what the network takes; or if
    there is no whole network in `model`; UsageError if neither file is named.
    """
    if image is None and speech is None:
        raise UsageError("expected --image, --speech or both")
    device = device_from_environment()
    expect_checkpoint(model)
    paths = {"image": image, "speech": speech}
    data = {name: read_bytes(path) for name, path in paths.items() if path is not None}
    photo = decoded(image, "picture", read_image, data["image"]) if image else None
    waveform = decoded(speech, "recording", audio.decode, data["speech"]) if speech else None
    net = load_network(model, device)
    takes = MODALITIES if net.config.modalities == "both" else (net.config.modalities,)
    for name, path in paths.items():
        superfluous = path is not None and name not in takes
        if superfluous or (path is None and name in takes and needs_both):
            remedy = f"leave out --{name}" if superfluous else f"give --{name} too"
            expected = "--image and --speech" if takes == MODALITIES else f"--{takes[0]} only"
            raise UserError(f"{model}: this network takes {expected}; {remedy}")
    return GivenPair(net, takes, paths, photo, waveform)


def read_bytes(path: Path) -> bytes:
    """All of a file; UserError if it cannot be read, or is too large for a picture or a recording."""
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes > BYTES_MAX:
                raise UserError(f"{path}: has {size_bytes:,} bytes, at most {BYTES_MAX:,} are read")
            return file.read(BYTES_MAX)
    except OSError as error:
        raise UserError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def decoded(path: Path, what: str, decode: Callable[[bytes], T], data: bytes) -> T:
    """What `decode` makes of the bytes of a file; UserError if they are not `what` they should be."""
    try:
        return decode(data)
    except RowError as error:
        raise UserError(f"{path}: no usable {what}: {error.reason}") from None
