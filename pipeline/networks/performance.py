"""How a step of training is computed, by `train.mixed_precision` and `train.performance`; plans compute theirs alike.

Each moves some last bits, and so is a parameter. What it gains is measured by `benchmarks.gpu`, and on a CPU by
`benchmarks.training_step`.
"""

import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from transformers.utils import is_torch_bf16_gpu_available, is_torch_tf32_available

from pipeline.errors import UserError
from pipeline.networks.params import TrainParams

KINDS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def lay_out(net: nn.Module, train: TrainParams) -> None:
    """Put the weights of convolutions in the order that the parameters ask for; what they are given follows them."""
    net.to(memory_format=torch.channels_last if train.performance.channels_last else torch.contiguous_format)


def prepare(net: nn.Module, train: TrainParams, device: str) -> None:
    """For steps without Trainer, which sets the precision of float32 by its own arguments."""
    lay_out(net, train)
    if has_tf32(device):
        precision = "tf32" if train.performance.tf32 else "ieee"
        torch.backends.fp32_precision = precision  # type: ignore[attr-defined]


def optimizer_of(train: TrainParams) -> tuple[type[torch.optim.Optimizer], dict[str, Any]]:
    """The optimiser and its arguments, beside the parameters of the network."""
    fused = {"fused": True} if train.performance.fused_adam else {}
    return torch.optim.Adam, {"lr": train.learning_rate, "eps": train.adam_epsilon, **fused}


def autocast(train: TrainParams, device: str) -> AbstractContextManager[Any]:
    """Where the forward pass is computed."""
    return torch.autocast(device, dtype=KINDS[train.mixed_precision]) if train.mixed_precision else nullcontext()


def has_tf32(device: str) -> bool:
    """Whether the device multiplies in TF32; on another one float32 stays what it is, whatever the parameters say."""
    return device == "cuda" and bool(is_torch_tf32_available())


def expect_device(device: str, mixed_precision: str | None, section: str, *, compiled: bool = False) -> None:
    """Raises UserError if the device, or this machine, cannot do what the parameters of `section` ask for."""
    if device == "cpu" and mixed_precision == "fp16":
        raise UserError(f"{section}.mixed_precision = fp16 needs SIER_DEVICE=cuda; on a cpu expected bf16 or null")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("SIER_DEVICE = cuda, but torch finds no such device")
    if device == "cuda" and mixed_precision == "bf16" and not is_torch_bf16_gpu_available():
        name = torch.cuda.get_device_name()
        raise UserError(f"{section}.mixed_precision = bf16: {name} has no bfloat16; expected fp16 or null")
    compiler = os.environ.get("CXX", "g++")
    if compiled and shutil.which(compiler) is None:
        what = f"{section}.performance.compile = true needs a C++ compiler, and {compiler} was not found"
        raise UserError(f"{what}; install one, or set it to false")
