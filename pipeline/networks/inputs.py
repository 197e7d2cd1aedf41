"""What the networks read: every row decoded once, into arrays that are mapped into memory.

In   data/sier (train or test files only), or data/clean joined by id with data/speech; see `pipeline.networks.decoding`
Out  `.work/inputs.<source>/<fingerprint>/`: images.npy uint8 [n, 3, size, size]; spectrograms.npy float16
     [n, n_mels, n_frames]; rows.parquet (see `Inputs.rows`); their seal, written last
     `.work/words.<source>/<fingerprint>/`, if a network hears words: word_frames.npy float16
     [n, n_word_frames, 384], rows.parquet; their seal

An epoch then decodes no JPEG and no FLAC, and its memory does not grow with the dataset. The first call decodes, shard
by shard, and goes on from where it was stopped; later calls check the files against their seal and open them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import Dataset

from pipeline.engine import files, lifecycle, sealed, shards
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.local import LocalEngine
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.frame import tables
from pipeline.frame.stage import Context
from pipeline.networks import decoding
from pipeline.networks.decoding import Source, image_array, read_image, spectrogram_array
from pipeline.networks.params import WORD_LIBRARIES, InputParams

__all__ = ["InputRows", "Inputs", "Source", "collate", "image_array", "open_inputs", "read_image", "spectrogram_array"]

Item = dict[str, Any]

LIBRARIES = ("numpy", "pillow", "soundfile", "soxr", "torch")
ROWS = "rows.parquet"
PARTS = "parts"
FEW_ROWS = 1_000  # up to here processes, which first import torch, take longer to start than to decode
MEDIA = {"image": "images.npy", "spectrogram": "spectrograms.npy", "word_frames": "word_frames.npy"}


@dataclass(frozen=True, eq=False)
class Inputs:
    """Decoded rows, in the order of the dataset; of clean, every row that has speech.

    `rows` has the columns id (str), label (int64, class id), fold (int8, -1 where there is none), split (train, val or
    test), duration_seconds (float32, of the whole recording); of sier also confidence, agreement and decided_by. The
    index is that of the arrays.
    """

    folder: Path
    rows: pd.DataFrame
    labels: tuple[str, ...]  # in the order of class ids
    words: Path | None = None  # folder of the word frames, where they were asked for
    targets: NDArray[np.float32] | None = None  # [n, classes], where a network learns these in place of labels
    features: Mapping[str, Path] = field(default_factory=dict)  # by name; see `pipeline.networks.features`

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """uint8 [n, 3, size, size], mapped from the file."""
        return _mapped(self.folder / MEDIA["image"])

    @cached_property
    def spectrograms(self) -> NDArray[np.float16]:
        """float16 [n, n_mels, n_frames] in [0, 1], mapped from the file."""
        return _mapped(self.folder / MEDIA["spectrogram"])

    def select(self, where: ArrayLike) -> "InputRows":
        """The rows where a mask [n] is true, or those with the given indices, in the given order."""
        chosen = np.asarray(where)
        if chosen.dtype == np.bool_:
            if chosen.shape != (len(self.rows),):
                raise ValueError(f"expected a mask of {len(self.rows)} rows, found one of shape {chosen.shape}")
            chosen = np.flatnonzero(chosen)
        indices = chosen.astype(np.int64)
        targets = None if self.targets is None else self.targets[indices]
        labels = self.rows["label"].to_numpy()[indices]
        return InputRows(self.folder, indices, labels, self.words, targets, self.features)


@dataclass(eq=False)
class InputRows(Dataset[Item]):
    """Rows of the arrays for a DataLoader with `collate`. A copy in another process maps the files anew."""

    folder: Path
    indices: NDArray[np.int64]  # [n]
    labels: NDArray[np.int64]  # [n], class ids
    words: Path | None = None  # as of `Inputs`
    targets: NDArray[np.float32] | None = None  # [n, classes]
    features: Mapping[str, Path] = field(default_factory=dict)  # as of `Inputs`

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Item:
        """As stored: pixel_values uint8 [3, size, size], spectrogram float16 [n_mels, n_frames], labels int.

        With words also word_frames float16 [n_word_frames, 384], with targets float32 [classes]; and each of the
        features, float32 [channels, h, w].
        """
        row = self.indices[index]
        soft = {} if self.targets is None else {"targets": self.targets[index]}
        return {**{name: array[row] for name, array in self._arrays.items()}, "labels": int(self.labels[index]), **soft}

    @cached_property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        paths = {"pixel_values": self.folder / MEDIA["image"], "spectrogram": self.folder / MEDIA["spectrogram"]}
        if self.words is not None:
            paths["word_frames"] = self.words / MEDIA["word_frames"]
        paths |= self.features
        return {name: _mapped(path) for name, path in paths.items()}

    def __getstate__(self) -> dict[str, Any]:
        # Pickle would copy what is mapped, all of it.
        return {name: value for name, value in self.__dict__.items() if name != "_arrays"}


def collate(batch: Sequence[Item]) -> dict[str, Tensor]:
    """What a network takes, of what the items have: labels int64 [n], and floats in [0, 1].

    These are pixel_values float32 [n, 3, size, size] and spectrogram float32 [n, 1, n_mels, n_frames]; and word_frames
    float32 [n, n_word_frames, 384], of any size, and features as they are.
    """
    stacked = {name: torch.from_numpy(np.stack([item[name] for item in batch])) for name in batch[0]}
    if "pixel_values" in stacked:
        stacked["pixel_values"] = stacked["pixel_values"].float().div_(255)
    if "spectrogram" in stacked:
        stacked["spectrogram"] = stacked["spectrogram"].float().unsqueeze(1)
    if "word_frames" in stacked:
        stacked["word_frames"] = stacked["word_frames"].float()
    return stacked


def open_inputs(source: Source, params: InputParams, context: Context, *, words: bool = False) -> Inputs:
    """The rows of a source, decoded if they are not yet; for `sier_train` no file of the test split is opened.

    With `words` also what was said in them, for networks that hear words. Raises UserError if data is missing or
    damaged, or another process is decoding it for longer than 30 s; with words also if a package is missing.
    """
    decoding.check(params)
    data = context.paths.data
    for name in decoding.FOLDERS[source]:
        shards.read_manifest(data / name, decoding.STAGES[name])
    labels = tables.SENTIMENTS if source == "clean" else context.base.labels
    folder = _made("inputs", decoding.Decoder(source, data, params), labels, context)
    heard = _made("words", decoding.WordDecoder(source, data, params), labels, context) if words else None
    return Inputs(folder, pq.read_table(folder / ROWS, partitioning=None).to_pandas(), labels, heard)


def _made(name: str, decoder: decoding.Decoder, labels: Sequence[str], context: Context) -> Path:
    """The folder of what a decoder makes of every row, whole; `name` tells caches apart."""
    source, data, params = decoder.source, decoder.data, decoder.params
    hears = isinstance(decoder, decoding.WordDecoder)
    mark = fingerprint(
        source=source, params=params.duration_seconds if hears else params, labels=labels, code=code_version(__file__),
        libraries=library_versions(LIBRARIES + WORD_LIBRARIES if hears else LIBRARIES),
        inputs=[files.sha256_of(data / folder / shards.MANIFEST) for folder in decoding.FOLDERS[source]],
    )  # fmt: skip
    folder = work_folder(context.paths.work, f"{name}.{source}", mark)
    if not sealed.is_whole(folder, without=PARTS):
        with lifecycle.only_run(context.paths.work / f"{name}.{source}.lock"):
            if not sealed.is_whole(folder, without=PARTS):  # else another process has just made it
                rows, tasks = decoding.plan_rows(source, data, labels)
                worker = partial(type(decoder), source, data, params)
                work = Work(f"{name} {source}", folder / PARTS, mark, worker, tasks)
                engine = context.engine if len(rows) > FEW_ROWS else LocalEngine(workers=1)
                _join(folder, run_shards(engine, work), rows, decoder)
                finish(folder)
    return folder


def _join(folder: Path, markers: list[shards.Marker], rows: pd.DataFrame, decoder: decoding.Decoder) -> None:
    """Join the finished shards to arrays in the folder above theirs, and remove them."""
    parts = folder / PARTS
    for column, (dtype, shape) in decoder.shapes.items():
        write = partial(write_array, parts, markers, column, dtype, (len(rows), *shape))
        files.write_atomically(folder / MEDIA[column], write)
    durations = pa.concat_tables(shards.read_part(parts, marker, columns=["duration_seconds"]) for marker in markers)
    rows = rows.assign(duration_seconds=durations["duration_seconds"].to_numpy())
    table = pa.Table.from_pandas(rows, preserve_index=False)
    files.write_atomically(folder / ROWS, partial(pq.write_table, table))
    sealed.seal(folder, without=PARTS)
    files.remove_tree(parts)


def write_array(
    parts: Path, markers: list[shards.Marker], column: str, dtype: str, shape: tuple[int, ...], target: Path
) -> None:
    """A column of all parts as one `.npy` file; not by way of a map, as a full disk kills whoever writes to one."""
    with target.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        for marker in markers:
            file.writelines(shards.read_part(parts, marker, columns=[column])[column].to_pylist())


def _mapped(path: Path) -> NDArray[Any]:
    mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped
