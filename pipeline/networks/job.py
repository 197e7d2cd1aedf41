"""What one run needs to know, a training of one network on one fold with one seed.

It imports no torch, so that stages can plan with it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.frame.stage import BaseParams
from pipeline.networks.params import ModelParams, TrainParams

# In the folder of a job.
CHECKPOINTS_FOLDER = "checkpoints"  # until it is done
RESULT_FILE = "run.json"
NET_FOLDER = "net"
CURVES_FOLDER = "curves"


@dataclass(frozen=True)
class Job:
    """One run of a network; `folder` takes the results, and checkpoints until there are results."""

    name: str
    model: ModelParams
    train: TrainParams
    base: BaseParams
    repetition: int  # one of `train.seeds`
    fold: int  # the one that is held out
    device: str
    folder: Path

    @property
    def seed(self) -> int:
        """Of the first weights and of the order of rows; another for each network, fold and repetition.

        That of repetition 0 is what it was before there were several, so that a run of then comes out the same.
        """
        return derived_seed(self.base.seed, self.name, self.fold, *filter(None, [self.repetition]))

    @property
    def keeps_network(self) -> bool:
        """Whether the network is wanted after training, and not only what it says of the rows held out."""
        return self.train.keep_networks == "all" or (self.fold == 0 and self.repetition == self.train.seeds[0])

    @property
    def title(self) -> str:
        """In words, for progress and errors."""
        return f"{self.name}, fold {self.fold}, seed {self.repetition}"

    @property
    def source(self) -> Literal["sier_train", "clean"]:
        """Rows for `pipeline.networks.inputs.open_inputs`; the test split of the dataset is none of them."""
        return "sier_train" if self.model.rows == "sier" else "clean"


def run_folder(repetition: int, fold: int) -> str:
    """Name of the folder of a run."""
    return f"seed-{repetition}-fold-{fold}"


def derived_seed(*parts: Any) -> int:
    """A seed, 31 bits, that follows from `parts` alone."""
    digest = hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "little") % 2**31
