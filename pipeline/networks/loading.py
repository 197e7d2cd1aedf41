"""A saved ParallelNet: read from a folder of this machine and nothing else, and asked about rows.

In   config.json and model.safetensors, as `ParallelNet.save_pretrained` writes them
Out  the network in evaluation mode, every tensor of it from the file; probabilities float32 [rows, classes]
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch.utils.data import DataLoader
from transformers.utils import logging

from models.parallelnet.parallelnet import ParallelNet
from pipeline.errors import UserError, first_line
from pipeline.frame import tables
from pipeline.frame.metrics_files import DIGITS
from pipeline.media import audio
from pipeline.networks.inputs import InputRows, collate
from pipeline.networks.params import InputParams
from pipeline.networks.trained import Trained, expect_whole
from pipeline.networks.trainers import WANTED

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"


def expect_checkpoint(folder: Path) -> None:
    """Raises UserError, before anything slow is done, if `folder` holds no network, or not the one that was trained."""
    wanted = (CONFIG_FILE, WEIGHTS_FILE)
    expected = f"expected a folder with {' and '.join(wanted)} of a ParallelNet, as dvc repro train@<model> makes it"
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder}: {expected}; found no {' and no '.join(missing)}")
    try:
        kind = json.loads((folder / CONFIG_FILE).read_bytes()).get("model_type")
    except (ValueError, AttributeError):
        kind = "damaged"
    if kind != "parallelnet":
        raise UserError(f"{folder}: {expected}; found a {CONFIG_FILE} of kind {kind}")
    if (folder / tables.TRAINING_FILE).is_file():  # not in what came from elsewhere
        expect_whole(folder)


def load_network(folder: Path, device: str) -> ParallelNet:
    """The network saved in `folder`, ready to answer; from these files only, and without a word on the screen.

    Raises UserError if it is damaged or not whole, or there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("SIER_DEVICE = cuda: no such device was found; use cpu, or install its driver")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        # Tensors of another size are reported below, with their names; without it the error only points to a log.
        net, report = ParallelNet.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except (OSError, ValueError, RuntimeError, TypeError, SafetensorError) as error:
        raise UserError(f"{folder}: the network cannot be loaded: {first_line(error)[:300]}") from None
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[kind]:
            first, *others = sorted(str(key[0]) if isinstance(key, tuple) else key for key in report[kind])
            raise UserError(
                f"{folder / WEIGHTS_FILE} does not fit {CONFIG_FILE}: {kind.replace('_', ' ')} {first}"
                + (f" and {len(others)} more" if others else "")
            )
    if net.config.sampling_rate_hz != audio.SAMPLING_RATE_HZ:
        expected = f"expected speech at {audio.SAMPLING_RATE_HZ} Hz"
        raise UserError(f"{folder}: {expected}, found a network for {net.config.sampling_rate_hz} Hz")
    network: ParallelNet = net.to(device).eval()
    return network


def load_net(trained: Trained, inputs: InputParams, device: str) -> ParallelNet:
    """The network that is kept, ready to answer; UserError also if it was built for other labels or inputs."""
    hint = f"run: dvc repro train@{trained.name}"
    try:
        net = load_network(trained.folder, device)
    except UserError as error:
        raise UserError(f"{error}; {hint}") from None
    names = net.config.id2label or {}
    labels = tuple(names[label] for label in sorted(names))
    if labels != trained.labels:
        raise UserError(
            f"{trained.folder}: the network knows the labels {', '.join(labels)}; the dataset's are "
            f"{', '.join(trained.labels)}; {hint}"
        )
    for field, expected in asdict(inputs).items():
        actual = getattr(net.config, field)
        if expected != actual:
            raise UserError(f"{trained.folder}: {field} is {actual}, train.inputs.{field} is {expected}; {hint}")
    return net


def predict(
    net: ParallelNet, rows: InputRows, *, batch_size: int, device: str, progress: Callable[[int], object]
) -> NDArray[np.float32]:
    """Probabilities of each row's classes, float32 [rows, classes], rounded like all that is reported.

    On a cpu with one thread, so that the last bits do not depend on the number of cores. `progress` is called with the
    number of rows of each finished batch. Raises UserError if the network gives no numbers.
    """
    torch.set_num_threads(1)
    batches = []
    with torch.inference_mode():
        for batch in DataLoader(rows, batch_size=batch_size, collate_fn=collate):
            given = {name: tensor.to(device) for name, tensor in batch.items() if name not in WANTED}
            logits = net(**given).logits
            batches.append(torch.softmax(logits.double(), dim=-1).cpu().numpy())
            progress(len(batches[-1]))
    probabilities = np.concatenate(batches)
    if not np.isfinite(probabilities).all():
        raise UserError(f"{net.name_or_path}: the network's output is no number; train it with a lower learning rate")
    return np.round(probabilities, DIGITS).astype(np.float32)
