"""A picture and a recording that a user names or hands over, and the network that is asked about them."""

import argparse
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from models.parallelnet.parallelnet import ParallelNet
from pipeline.commands.command import UsageError
from pipeline.engine.environment import device_from_environment
from pipeline.errors import RowError, UserError, first_line
from pipeline.media import audio
from pipeline.networks.decoding import read_image
from pipeline.networks.loading import expect_checkpoint, load_network

T = TypeVar("T")

# A file by its path, its bytes, or as an undecoded row of `datasets` has it, {"bytes": ...}.
GivenFile = str | os.PathLike[str] | bytes | Mapping[str, Any]
Picture = GivenFile | Image.Image | NDArray[np.uint8]  # [height, width, 3], or of grey [height, width]
Sound = GivenFile | tuple[NDArray[Any], int]  # [samples] or [samples, channels], and how many of them a second has
Network = str | os.PathLike[str] | ParallelNet  # a folder, or the network itself

BYTES_MAX = 2**30  # a picture or a recording in memory
DEFAULT_MODEL = Path("data/checkpoints/parallelnet")
MODALITIES = ("image", "speech")


@dataclass(frozen=True, eq=False)
class GivenPair:
    """A network, and what it is given; None in the place of what was left out."""

    net: ParallelNet
    takes: tuple[str, ...]  # of MODALITIES
    names: dict[str, str | None]  # by modality: the file, or `given` of what has no name
    photo: Image.Image | None
    waveform: audio.Waveform | None


def add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """The files, and the network."""
    parser.add_argument("--image", type=Path, help="JPEG, PNG, WebP, GIF, BMP or TIFF")
    parser.add_argument("--speech", type=Path, help="WAV, FLAC, OGG or MP3")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="folder of a network (default: %(default)s)")


def open_network(folder: str | os.PathLike[str]) -> ParallelNet:
    """The network in a folder, on the device that `SIER_DEVICE` names; UserError unless a whole one is there."""
    device = device_from_environment()
    expect_checkpoint(Path(folder))
    return load_network(Path(folder), device)


def read_pair(image: Picture | None, speech: Sound | None, model: Network, *, needs_both: bool) -> GivenPair:
    """Both inputs, decoded, and the network; `needs_both` of a network of both modalities.

    Raises UserError if something cannot be read, is no picture or no recording, or is not what the network takes; or if
    there is no whole network in the folder `model`; UsageError if neither input is given.
    """
    if image is None and speech is None:
        raise UsageError("expected an image, speech or both")
    folder = Path(model) if isinstance(model, str | os.PathLike) else None
    device = "" if folder is None else device_from_environment()
    if folder is not None:
        expect_checkpoint(folder)
    names = {"image": _name(image), "speech": _name(speech)}
    data = {"image": _content(image, _picture_file), "speech": _content(speech, _sound_file)}
    photo = decoded(names["image"] or "", "picture", read_image, data["image"]) if data["image"] is not None else None
    waveform = None
    if data["speech"] is not None:
        waveform = decoded(names["speech"] or "", "recording", audio.decode, data["speech"])
    net = load_network(folder, device) if folder is not None else _loaded(model)
    takes = MODALITIES if net.config.modalities == "both" else (net.config.modalities,)
    for name, given in names.items():
        superfluous = given is not None and name not in takes
        if superfluous or (given is None and name in takes and needs_both):
            remedy = f"leave out {name}" if superfluous else f"give {name} too"
            expected = "image and speech" if takes == MODALITIES else f"{takes[0]} only"
            raise UserError(f"{folder or 'the given network'}: this network takes {expected}; {remedy}")
    return GivenPair(net, takes, names, photo, waveform)


def _name(given: Picture | Sound | None) -> str | None:
    if isinstance(given, Mapping) and given.get("bytes") is None:
        given = given.get("path")
    if isinstance(given, str | os.PathLike):
        return str(given)
    return None if given is None else "given"


def _content(given: Any, as_file: Callable[[Any], bytes]) -> bytes | None:
    """The bytes of a file; what is decoded already takes the same way in as a file does."""
    if isinstance(given, Mapping):
        given = given.get("path") if given.get("bytes") is None else given["bytes"]
    if isinstance(given, str | os.PathLike):
        return read_bytes(Path(given))
    if given is None or isinstance(given, bytes):
        return given
    try:
        return as_file(given)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise UserError(
            f"given {type(given).__name__}: cannot be taken as a file would be: {first_line(error)}"
        ) from None


def _picture_file(picture: Image.Image | NDArray[np.uint8]) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.asarray(picture))
    exif = image.getexif()
    if image.has_transparency_data:
        image = image.convert("RGBA")
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", exif=exif)
    return buffer.getvalue()


def _sound_file(sound: tuple[NDArray[Any], int]) -> bytes:
    samples, rate_hz = sound
    array = np.asarray(samples)
    buffer = io.BytesIO()
    exact = {"subtype": "FLOAT"} if np.issubdtype(array.dtype, np.floating) else {}
    soundfile.write(buffer, array, int(rate_hz), format="WAV", **exact)
    return buffer.getvalue()


def _loaded(model: Any) -> ParallelNet:
    """A network that is loaded already, by this project or by AutoModel."""
    if getattr(getattr(model, "config", None), "model_type", None) != "parallelnet":
        raise UserError(f"expected the folder of a ParallelNet or the network itself, found {type(model).__name__}")
    net: ParallelNet = model.eval()
    return net


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


def decoded(path: Path | str, what: str, decode: Callable[[bytes], T], data: bytes) -> T:
    """What `decode` makes of the bytes of a file; UserError if they are not `what` they should be."""
    try:
        return decode(data)
    except RowError as error:
        raise UserError(f"{path}: no usable {what}: {error.reason}") from None
