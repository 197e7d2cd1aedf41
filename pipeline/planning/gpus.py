"""What training takes on a GPU: by what `benchmarks.gpu` measured on one, or else by what its class is sold with.

In   reports of `python -m benchmarks.gpu`, by default in `.work/gpu.json`; operations of the training
Out  the `Cost` of each network there, or hours by class
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import UserError
from pipeline.planning.networks import Cost

REPORT = Path(".work", "gpu.json")

# Dense peaks in 10^12 operations a second, without sparsity, by the makers' data sheets: bfloat16 (half precision) with
# sums in float32, TF32, float32. None: it has no such units.
PEAKS: Mapping[str, tuple[float | None, float | None, float]] = {
    "H100 SXM": (989, 495, 67),
    "A100": (312, 156, 19.5),
    "L4": (121, 60, 30),
    "GeForce RTX 4090": (165, 83, 83),
    "Quadro P5000, the paper's": (None, None, 8.9),
}
# What of a peak such networks reach, with rows that small: an assumption, no measurement.
SHARE_OF_TENSOR_CORES, SHARE_OF_FLOAT32 = 0.2, 0.5
ASSUMED = (
    f"Assumed: {SHARE_OF_TENSOR_CORES:.0%} of the peak of tensor cores, {SHARE_OF_FLOAT32:.0%} of float32's. On a GPU "
    "of yours, measure: python -m benchmarks.gpu"
)


@dataclass(frozen=True)
class Report:
    """What was measured of the networks of a params file on a GPU."""

    path: Path
    device: str  # its name
    costs: dict[str, Cost]


def hours(operations: float, train: Mapping[str, Any]) -> dict[str, float]:
    """Hours of training by class of GPU, in the best precision that section `train` allows and the class has."""
    found = {}
    for name, (half, tf32, single) in PEAKS.items():
        tensor = half if train["mixed_precision"] else tf32 if train["performance"]["tf32"] else None
        speed = tensor * SHARE_OF_TENSOR_CORES if tensor else single * SHARE_OF_FLOAT32
        found[name] = operations / (speed * 1e12) / 3600
    return found


def mark(sections: Mapping[str, Any]) -> str:
    """Of all that a network's seconds per row depend on beside the machine."""
    train = sections["train"]
    facts = [sections["models"], sections["base"]["labels"]]
    facts += [train[key] for key in ("inputs", "batch_size", "mixed_precision", "performance", "cache_features")]
    facts += [train["augment"]] if train.get("augment") else []
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def read(path: Path, sections: Mapping[str, Any]) -> Report:
    """Raises UserError if that is no report of `benchmarks.gpu`, or one of other networks."""
    expected = "expected what python -m benchmarks.gpu writes"
    try:
        values = json.loads(path.read_bytes())
        report = Report(path, str(values["device"]), TypeAdapter(dict[str, Cost]).validate_python(values["networks"]))
        of = values["of"]
    except OSError as error:
        raise UserError(f"{path}: {expected}; cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, ValidationError):
        raise UserError(f"{path}: {expected}; found something else") from None
    if of != mark(sections):
        raise UserError(f"{path}: measured with other networks or another section train; run benchmarks.gpu again")
    return report
