"""A saved ParallelNet, read from a folder of this machine and nothing else.

In   config.json and model.safetensors, as `ParallelNet.save_pretrained` writes them
Out  the network in evaluation mode, every tensor of it from the file
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers.utils import logging

from models.parallelnet.parallelnet import ParallelNet
from pipeline.errors import UserError
from pipeline.media import audio

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
