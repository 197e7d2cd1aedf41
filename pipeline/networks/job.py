"""What one training of one network on one fold needs to know; imports no torch, so that stages can plan with it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.frame.stage import BaseParams
from pipeline.networks.params import ModelParams, TrainParams

# In the folder of a job.
CHECKPOINTS_FOLDER = "checkpoints"  # until it is done
RESULT_FILE = "fold.json"
NET_FOLDER = "net"
CURVES_FOLDER = "curves"


@dataclass(frozen=True)
class Job:
    """One network on one fold; `folder` takes the results, and checkpoints until there are results."""

    name: str
    model: ModelParams
    train: TrainParams
    base: BaseParams
    fold: int  # the one that is held out
    device: str
    folder: Path

    @property
    def seed(self) -> int:
        """Of the first weights and of the order of rows; another for each network and fold."""
        return derived_seed(self.base.seed, self.name, self.fold)

    @property
    def source(self) -> Literal["sier_train", "clean"]:
        """Rows for `pipeline.networks.inputs.open_inputs`; the test split of the dataset is none of them."""
        return "sier_train" if self.model.rows == "sier" else "clean"


def derived_seed(*parts: Any) -> int:
    """A seed, 31 bits, that follows from `parts` alone."""
    digest = hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "little") % 2**31
