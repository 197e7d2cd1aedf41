"""What frozen backbones see in the rows: computed once, and mapped into memory.

In   rows of `pipeline.networks.inputs`; weights of N2
Out  `.work/features.<source>.<modality>.<digest of the weights>/<fingerprint>/`: features.npy float32
     [n, channels, h, w], what `N2.features` makes of each row; its seal, written last

A frozen N2 with nothing that learns before it sees the same in every epoch, and in every fold and network that has it:
so all of them share one file. Its batch-norm is in evaluation mode, so that a row's features do not depend on the rows
beside it; their last bits do (of 1,280 x 4 x 4 features of EfficientNet-Lite0 by at most 2e-5), so a network that was
trained on them is equal to one that ran its backbone up to rounding. The first call computes, part by part, and goes on
from where it was stopped; later calls check the file against its seal and open it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import prod
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import DataLoader

from models.parallelnet.backbone_architectures import feature_shape
from models.parallelnet.networks import N2
from models.weights.backbones import create_backbone, weights_sha256
from pipeline.engine import files, lifecycle, sealed, shards
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.local import LocalEngine
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.frame.stage import Context
from pipeline.networks.inputs import FEW_ROWS, PARTS, InputRows, Inputs, collate, open_inputs, write_array
from pipeline.networks.job import Job
from pipeline.networks.params import BackboneParams, InputParams, Modality

LIBRARIES = ("numpy", "timm", "torch", "torchvision")
FEATURES = "features.npy"
PART_ROWS = 256  # 21 MB of EfficientNet-Lite0 at 128 x 128 pixels
BATCH_ROWS = 16


def open_with_features(job: Job, context: Context) -> Inputs:
    """The rows of a job, with all that its network reads of them.

    Raises UserError as `open_inputs` does, and ModelError if weights are missing or damaged.
    """
    inputs = open_inputs(job.source, job.train.inputs, context, words=job.model.hears_words)
    kept = job.train.kept_features(job.model)
    return replace(inputs, features={f"{name}_features": _made(job, name, inputs, context) for name in kept})


@dataclass(frozen=True)
class Extractor:
    """Worker: what the backbone of a modality sees in some rows."""

    inputs: Path  # folder of `pipeline.networks.inputs.Inputs`
    modality: Modality
    backbone: BackboneParams
    size: tuple[int, int]
    device: str

    def __call__(self, task: shards.Task) -> shards.Output:
        """Column features: the bytes of `shape`, float32, for the rows of the range that is the task's payload."""
        places = np.asarray(task.payload, dtype=np.int64)
        rows = InputRows(self.inputs, places, np.zeros_like(places))
        found: list[bytes] = []
        with torch.inference_mode():
            for batch in DataLoader(rows, BATCH_ROWS, collate_fn=collate):
                pictures = batch["pixel_values"]
                if self.modality == "speech":  # grey pictures, as no convolution colours them
                    pictures = batch["spectrogram"].expand(-1, 3, -1, -1)
                features = self._n2.features(pictures.to(self.device)).float().cpu().numpy()
                found.extend(row.tobytes() for row in features)
        return shards.Output(pa.table({"features": pa.array(found, pa.binary(4 * prod(self.shape)))}))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a row's features."""
        return feature_shape(self.backbone.name, *self.size)

    @cached_property
    def _n2(self) -> N2:
        n2 = N2(self.backbone.name, self.size, code_size=1, freeze=True)
        weights = create_backbone(self.backbone.name, pretrained=True, weights=self.backbone.source)
        n2.backbone.load_state_dict(weights.state_dict())
        return n2.to(self.device).eval()


def _made(job: Job, modality: Modality, inputs: Inputs, context: Context) -> Path:
    """The file of a modality's features of every row."""
    backbone = job.model.kept_features[modality]
    weights = fingerprint(name=backbone.name, weights=weights_sha256(backbone.name, backbone.source))[:16]
    mark = fingerprint(
        weights=weights, inputs=files.sha256_of(inputs.folder / sealed.SEAL), device=job.device,
        code=code_version(__file__), libraries=library_versions(LIBRARIES),
    )  # fmt: skip
    name = f"features.{job.source}.{modality}.{weights}"
    folder = work_folder(context.paths.work, name, mark)
    if not sealed.is_whole(folder, without=PARTS):
        with lifecycle.only_run(context.paths.work / f"{name}.lock"):
            if not sealed.is_whole(folder, without=PARTS):  # else another process has just made it
                size = _size(modality, job.train.inputs)
                make_worker = partial(Extractor, inputs.folder, modality, backbone, size, job.device)
                parts = [
                    range(len(inputs.rows))[first : first + PART_ROWS]
                    for first in range(0, len(inputs.rows), PART_ROWS)
                ]
                tasks = [shards.Task(index, len(part), part) for index, part in enumerate(parts)]
                work = Work(f"features {modality}", folder / PARTS, mark, make_worker, tasks)
                engine = context.engine if len(inputs.rows) > FEW_ROWS else LocalEngine(workers=1)
                _join(folder, run_shards(engine, work), (len(inputs.rows), *make_worker().shape))
                finish(folder)
    return folder / FEATURES


def _size(modality: Modality, params: InputParams) -> tuple[int, int]:
    if modality == "image":
        return params.image_size_px, params.image_size_px
    return params.n_mels, params.n_frames


def _join(folder: Path, markers: Sequence[shards.Marker], shape: tuple[int, ...]) -> None:
    """Join the finished parts to one array in the folder above theirs, and remove them."""
    write = partial(write_array, folder / PARTS, list(markers), "features", "<f4", shape)
    files.write_atomically(folder / FEATURES, write)
    sealed.seal(folder, without=PARTS)
    files.remove_tree(folder / PARTS)
