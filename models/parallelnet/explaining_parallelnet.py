"""What an answer of a ParallelNet rests on, where the pipeline is not installed: exact Shapley values for its logit.

In   the network; one picture and one waveform, prepared by its processor
Out  `Explanation`: a value for each cell of the picture and each segment of the speech, in the place of which black and
     silence are put

A network whose modalities meet late encodes each of 2^8 pictures and 2^8 recordings once, and any pair of them costs a
run of its heads. One whose modalities meet before takes a forward for each of 2^8 masks over half as many parts.

Published beside the processor, which imports it; so it shares nothing with `models.shapley`, and is a check of that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .spectrogram import speech_frames
from .word_frames import SAMPLING_RATE_HZ, WordEncoder, pooled

BATCH = 16
PAIRS = 1024  # of codes that are fused at a time
TOLERANCE = 1e-4  # of 1, or of the whole effect if that is larger

Bools = NDArray[np.bool_]
Copies = Callable[[Bools], tuple[Tensor, ...]]  # of an input, from masks [n, players]: absent ones are taken out


@dataclass(frozen=True)
class Explanation:
    """Values add up to v_full - v_empty; None in the place of a modality that the network lacks."""

    label: str  # the network's answer
    probability: float
    modalities: dict[str, float]  # what image and speech add to the logit of the answer
    cells: list[list[float]] | None  # and each cell of the picture, row by row
    segments: list[float] | None  # and each segment of the speech
    borders_seconds: list[float] | None  # where segments begin, and where the last one ends
    v_full: float  # the logit of the answer
    v_empty: float  # that of a black picture and silence


@torch.inference_mode()
def explain(
    net: Any, inputs: dict[str, Tensor], waveform: NDArray[np.float32] | None = None, encoder: WordEncoder | None = None
) -> Explanation:
    """The explanation of a network's answer to one sample.

    Args:
        net: a ParallelNet in evaluation mode.
        inputs: what the processor made of the sample, each [1, ...].
        waveform: of the speech, at the network's rate.
        encoder: what made the word frames, where the network hears words.

    Raises:
        ValueError: the network lacks an input, or the speech is too short.
        ArithmeticError: the values do not add up to the network's own answers.
    """
    config = net.config
    both = config.modalities == "both"
    times = 3 if net.factors or not both else 2
    given = {name: tensor.to(net.device, net.dtype) for name, tensor in inputs.items()}
    copies: dict[str, tuple[int, Copies]] = {}  # number of players, and what masks them
    rows, columns = 2 ** (times // 2), 2 ** (times - times // 2)
    frames: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    if config.modalities != "speech":
        size = config.image_size_px
        owners = _owners(size, rows)[:, None] * columns + _owners(size, columns)
        copies["image"] = rows * columns, _masked(_of(given, "pixel_values"), owners)
    if config.modalities != "image":
        spectrogram = _of(given, "spectrogram")
        seconds = 0.0 if waveform is None else len(waveform) / config.sampling_rate_hz
        heard = speech_frames(seconds, config.duration_seconds, config.n_frames, config.sampling_rate_hz)
        if heard < 2**times:
            raise ValueError(f"expected speech of {2**times} frames or more, found {heard}")
        frames = _owners(heard, 2**times)
        owners = np.pad(frames, (0, config.n_frames - heard), constant_values=-1)
        masked = _masked(spectrogram, owners[None])
        if config.hears_words:
            if waveform is None or encoder is None:
                raise ValueError("a network that hears words needs the waveform and the encoder of its words")
            masked = _with_words(masked, waveform, owners, encoder, config, spectrogram)
        copies["speech"] = 2**times, masked

    logits = net(**given).logits[0]
    target = int(logits.argmax())
    members = _pairs(*(_subsets(copies[name][0]) if name in copies else _subsets(0) for name in ("image", "speech")))
    if net.factors:
        table = _factored(net, copies, target)
    else:
        table = np.concatenate([_forwards(net, copies, members[at : at + BATCH], target)
                                for at in range(0, len(members), BATCH)])  # fmt: skip
    values = _shapley(table, members)
    v_full = float(logits[target])
    v_empty = float(net(**{name: torch.zeros_like(tensor) for name, tensor in given.items()}).logits[0, target])
    residual = abs(values.sum() - (v_full - v_empty))
    if not residual <= TOLERANCE * max(1.0, abs(v_full - v_empty)):
        raise ArithmeticError(f"the values' sum differs from v_full - v_empty by {residual:.3g}")

    cells = copies["image"][0] if "image" in copies else 0
    of_image, of_speech = values[:cells], values[cells:]
    borders = np.searchsorted(frames, np.arange(2**times + 1)) * config.duration_seconds / config.n_frames
    parts = {"image": float(of_image.sum()), "speech": float(of_speech.sum())}
    return Explanation(
        label=config.id2label[target], probability=float(logits.double().softmax(-1)[target]),
        modalities={name: parts[name] for name in copies}, v_full=v_full, v_empty=v_empty,
        cells=of_image.reshape(rows, columns).tolist() if cells else None,
        segments=of_speech.tolist() if len(of_speech) else None,
        borders_seconds=borders.tolist() if len(of_speech) else None,
    )  # fmt: skip


def _of(given: dict[str, Tensor], name: str) -> Tensor:
    if name not in given or len(given[name]) != 1:
        raise ValueError(f"{name}: expected that of one sample, found {len(given.get(name, ()))}")
    return given[name]


def _owners(length: int, parts: int) -> NDArray[np.int64]:
    """The part of each place, int64 [length]."""
    return np.repeat(np.arange(parts), [len(part) for part in np.array_split(np.arange(length), parts)])


def _subsets(players: int) -> Bools:
    """Masks of all subsets, bool [2^players, players]."""
    return np.asarray(np.arange(1 << players)[:, None] >> np.arange(players) & 1 == 1)


def _pairs(image: Bools, speech: Bools) -> Bools:
    """All masks over both, those of speech counting fastest."""
    return np.hstack([np.repeat(image, len(speech), axis=0), np.tile(speech, (len(image), 1))])


def _masked(sample: Tensor, owners: NDArray[np.int64]) -> Copies:
    """Of a sample [1, channels, h, w], whose absent players become 0: black, or silence; -1 is always there."""

    def copies(masks: Bools) -> tuple[Tensor, ...]:
        present = np.pad(masks, [(0, 0), (0, 1)], constant_values=True)[:, owners]
        return (sample * torch.from_numpy(present).to(sample.device)[:, None],)

    return copies


def _with_words(
    masked: Copies, waveform: NDArray[np.float32], owners: NDArray[np.int64], encoder: WordEncoder, config: Any,
    like: Tensor,
) -> Copies:  # fmt: skip
    """The same with the word frames of a recording in which absent segments are silent."""
    samples = round(config.duration_seconds * SAMPLING_RATE_HZ)
    heard = waveform[:samples]
    places = owners[np.arange(samples) * len(owners) // samples][: len(heard)]

    def copies(masks: Bools) -> tuple[Tensor, ...]:
        present = np.pad(masks, [(0, 0), (0, 1)], constant_values=True)
        clips = [np.where(row[places], heard, np.float32(0)) for row in present]
        words = [pooled(encoder.frames(clip, config.duration_seconds), config.n_word_frames) for clip in clips]
        return (*masked(masks), torch.from_numpy(np.stack(words)).to(like.device, like.dtype))

    return copies


def _factored(net: Any, copies: dict[str, tuple[int, Copies]], target: int) -> NDArray[np.float64]:
    """Values of all pairs of masks."""
    codes = []
    for name, encode in (("image", net.encode_image), ("speech", net.encode_speech)):
        players, masked = copies[name]
        masks = _subsets(players)
        batches = [encode(*masked(masks[at : at + BATCH])) for at in range(0, len(masks), BATCH)]
        codes.append([torch.cat(layer) for layer in zip(*batches, strict=True)])
    image, speech = codes
    step = max(1, PAIRS // len(speech[0]))
    found = [net.fuse([code[at : at + step, None] for code in image], speech)[..., target]
             for at in range(0, len(image[0]), step)]  # fmt: skip
    return np.asarray(torch.cat(found).double().cpu().numpy().ravel())


def _forwards(net: Any, copies: dict[str, tuple[int, Copies]], members: Bools, target: int) -> NDArray[np.float64]:
    """Values of some masks."""
    cells = copies["image"][0] if "image" in copies else 0
    given: dict[str, Tensor] = {}
    if "image" in copies:
        (given["pixel_values"],) = copies["image"][1](members[:, :cells])
    if "speech" in copies:
        given |= zip(("spectrogram", "word_frames"), copies["speech"][1](members[:, cells:]), strict=False)
    return np.asarray(net(**given).logits[:, target].double().cpu().numpy())


def _shapley(table: NDArray[np.float64], members: Bools) -> NDArray[np.float64]:
    """Shapley values [players] from the values of all subsets, which speak for their members and against the others."""
    players = members.shape[1]
    weights = np.array([1 / (players * comb(players - 1, size)) for size in range(players)])
    sizes = members.sum(axis=1)
    gained, lost = weights[sizes - 1], weights[np.minimum(sizes, players - 1)]
    return np.asarray(table @ np.where(members, gained[:, None], -lost[:, None]))
