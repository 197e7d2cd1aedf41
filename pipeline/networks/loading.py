"""A saved ParallelNet, read from a folder of this machine and nothing else.

In   config.json and model.safetensors, as `ParallelNet.save_pretrained` writes them
Out  the network in evaluation mode, every tensor of it from the file
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch.utils.data import DataLoader
from transformers.utils import logging

from models.parallelnet.parallelnet import ParallelNet
from pipeline.errors import UserError
from pipeline.frame.metrics_files import DIGITS
from pipeline.media import audio
from pipeline.networks.inputs import InputRows, collate
from pipeline.networks.params import InputParams
from pipeline.networks.trained import Trained

CHECKPOINT_FILES = ("config.json", "model.safetensors")


def expect_checkpoint(folder: Path) -> None:
    """Look whether `folder` holds a network, before anything slow is done.

    Raises:
        UserError: it does not; says what is missing.
    """
    expected = (
        f"expected a folder with {' and '.join(CHECKPOINT_FILES)} of a ParallelNet, as dvc repro train@<model> makes it"
    )
    missing = [name for name in CHECKPOINT_FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder}: {expected}; found no {' and no '.join(missing)}")
    try:
        kind = json.loads((folder / CHECKPOINT_FILES[0]).read_bytes()).get("model_type")
    except (ValueError, AttributeError):
        kind = "damaged"
    if kind != "parallelnet":
        raise UserError(f"{folder}: {expected}; found a config.json of kind {kind}")


def load_network(folder: Path, device: str) -> ParallelNet:
    """The network saved in `folder`, ready to answer; from these files only, and without a word on the screen.

    Raises:
        UserError: it is damaged or not whole, or there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("SIER_DEVICE = cuda: no such device was found; use cpu, or install its driver")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        # Tensors of another size are found below, with their names; without it the error only points to a log.
        net, found = ParallelNet.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except (OSError, ValueError, RuntimeError, TypeError, SafetensorError) as error:
        raise UserError(f"{folder}: the network cannot be loaded: {str(error).split(chr(10))[0][:300]}") from None
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if found[kind]:
            first, *others = sorted(str(key[0]) if isinstance(key, tuple) else key for key in found[kind])
            raise UserError(
                f"{folder / CHECKPOINT_FILES[1]} does not fit {CHECKPOINT_FILES[0]}: {kind.replace('_', ' ')} {first}"
                + (f" and {len(others)} more" if others else "")
            )
    if net.config.sampling_rate_hz != audio.SAMPLING_RATE_HZ:
        expected = f"expected speech at {audio.SAMPLING_RATE_HZ} Hz"
        raise UserError(f"{folder}: {expected}, found a network for {net.config.sampling_rate_hz} Hz")
    network: ParallelNet = net.to(device).eval()
    return network


def load_net(trained: Trained, inputs: InputParams, device: str) -> ParallelNet:
    """The network that is kept, on `device`, in evaluation mode; nothing is asked of the network.

    Raises:
        UserError: files are missing or damaged, or it was built for other labels or inputs.
    """
    hint = f"run: dvc repro train@{trained.name}"
    try:
        net = load_network(trained.folder, device)
    except UserError as error:
        raise UserError(f"{error}; {hint}") from None
    names = net.config.id2label or {}
    labels = tuple(names[place] for place in sorted(names))
    if labels != trained.labels:
        raise UserError(
            f"{trained.folder}: the network knows the labels {', '.join(labels)}; the dataset's are "
            f"{', '.join(trained.labels)}; {hint}"
        )
    for field in ("image_size_px", "n_mels", "n_frames", "duration_seconds"):
        expected, found = getattr(inputs, field), getattr(net.config, field)
        if expected != found:
            raise UserError(f"{trained.folder}: {field} is {found}, train.inputs.{field} is {expected}; {hint}")
    return net


def predict(
    net: ParallelNet, rows: InputRows, *, batch_size: int, device: str, progress: Callable[[int], object]
) -> NDArray[np.float32]:
    """Probabilities of each row's classes, float32 [rows, classes], rounded like all that is reported.

    On a cpu with one thread, so that the last bits do not depend on the number of cores.

    Args:
        net: from `load_net`.
        rows: of `pipeline.networks.inputs`, in a fixed order.
        batch_size: rows at once.
        device: that `net` is on.
        progress: called with the number of rows of each finished batch.

    Raises:
        UserError: the network gives no numbers.
    """
    torch.set_num_threads(1)
    found = []
    with torch.inference_mode():
        for batch in DataLoader(rows, batch_size=batch_size, collate_fn=collate):
            pixel_values, spectrogram = (batch[name].to(device) for name in ("pixel_values", "spectrogram"))
            logits = net(pixel_values=pixel_values, spectrogram=spectrogram).logits
            found.append(torch.softmax(logits.double(), dim=-1).cpu().numpy())
            progress(len(found[-1]))
    probabilities = np.concatenate(found)
    if not np.isfinite(probabilities).all():
        raise UserError(f"{net.name_or_path}: the network's output is no number; train it with a lower learning rate")
    return np.round(probabilities, DIGITS).astype(np.float32)
