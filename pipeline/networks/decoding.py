"""Which rows there are for the networks, and how a row's picture and recording become numbers.

In   data/sier (train or test files only), or data/clean joined by id with data/speech; or a file of the user's
Out  image uint8 [3, size, size]; spectrogram float16 [n_mels, n_frames]; or word_frames float16 [n_word_frames, 384]

Pictures are squashed to a square: the paper feeds 128 x 128 pixels, and cropping would lose what lies at the sides.
Spectrograms are those of `models.parallelnet.spectrogram`, rounded to float16.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from models.parallelnet import spectrogram
from pipeline.engine import shards
from pipeline.errors import RowError, UserError
from pipeline.frame.params import PARAMS_FILE
from pipeline.media import audio, images
from pipeline.networks import words
from pipeline.networks.params import InputParams

Source = Literal["sier_train", "sier_test", "clean"]

STAGES = {"sier": "assemble", "clean": "clean", "speech": "synthesize"}  # what makes the folders of data/
FOLDERS = {"sier_train": ("sier",), "sier_test": ("sier",), "clean": ("clean", "speech")}
SIER_COLUMNS = ["id", "label", "fold", "confidence", "agreement", "decided_by"]
MAX_PIXELS = 200_000_000  # a user's larger pictures are taken for bombs; clean has its own, lower limit


def read_image(data: bytes) -> Image.Image:
    """An upright RGB picture from the bytes of a file; RowError as of `pipeline.media.images.decode_image`."""
    return images.decode_image(data, min_side_px=1, max_pixels=MAX_PIXELS)


def image_array(image: Image.Image, size_px: int) -> NDArray[np.uint8]:
    """uint8 [3, size_px, size_px]: the whole picture, squashed, with antialiasing."""
    square = image.convert("RGB").resize((size_px, size_px), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def check(params: InputParams) -> None:
    """Raises UserError, before anything is decoded, if `spectrogram_array` cannot do what is asked of it."""
    try:
        spectrogram.log_mel([], duration_seconds=params.duration_seconds, n_mels=params.n_mels)
    except ValueError as error:
        raise UserError(f"{PARAMS_FILE}: train.inputs: {error}") from None


def spectrogram_array(
    waveform: audio.Waveform, *, duration_seconds: float, n_mels: int, n_frames: int
) -> NDArray[np.float16]:
    """`models.parallelnet.spectrogram.log_mel` of one mono 16 kHz waveform: float16 [n_mels, n_frames] in [0, 1]."""
    features = spectrogram.log_mel(
        [waveform], duration_seconds=duration_seconds, n_mels=n_mels, n_frames=n_frames,
        sampling_rate_hz=audio.SAMPLING_RATE_HZ,
    )  # fmt: skip
    return np.asarray(features[0, 0].numpy().astype(np.float16))


def plan_rows(source: Source, data: Path, labels: Sequence[str]) -> tuple[pd.DataFrame, list[shards.Task]]:
    """All rows of a source (see `pipeline.networks.inputs.Inputs.rows`), and a task for each file that they come from.

    Raises UserError if a folder is incomplete, has no rows of this source or rows of an unknown class.
    """
    parts = list(_clean_parts(data, labels) if source == "clean" else _sier_parts(data, source.removeprefix("sier_")))
    folder = data / FOLDERS[source][0]
    rows = pd.concat([part for part, _ in parts], ignore_index=True) if parts else pd.DataFrame({"label": []})
    if rows.empty:
        raise UserError(f"{folder}: no rows for {source}; {_remedy(source)}")
    unknown = ~rows["label"].isin(range(len(labels)))
    if unknown.any():
        raise UserError(
            f"{folder}: row {rows.loc[unknown, 'id'].iloc[0]}: its class is none of the {len(labels)} expected ones, "
            f"{', '.join(labels)}; {_remedy(source)}"
        )
    tasks = [shards.Task(index, len(part), markers) for index, (part, markers) in enumerate(parts)]
    return rows.astype({"label": np.int64, "fold": np.int8}), tasks


@dataclass(frozen=True)
class Decoder:
    """Worker: decodes the rows of a file, in its order; of clean, those that have speech."""

    source: Source
    data: Path
    params: InputParams

    def __call__(self, task: shards.Task) -> shards.Output:
        """Columns id, duration_seconds and those of `shapes`: the bytes of what `_decoded` makes."""
        ids: list[str] = []
        durations: list[float] = []
        columns: dict[str, list[bytes]] = {name: [] for name in self.shapes}
        for identity, image, recording in self._media(task.payload):
            try:
                waveform = audio.decode(recording)
                arrays = self._decoded(image, waveform)
            except RowError as error:  # though a stage of ours has written the row
                where = self.data / FOLDERS[self.source][0] / task.payload[0].part.name
                raise UserError(f"{where}: row {identity}: {error}; {_remedy(self.source)}") from None
            ids.append(identity)
            durations.append(len(waveform) / audio.SAMPLING_RATE_HZ)
            for name, array in arrays.items():
                columns[name].append(array.tobytes())
        kinds = {name: pa.binary(np.dtype(kind).itemsize * prod(shape)) for name, (kind, shape) in self.shapes.items()}
        values = {name: pa.array(column, kinds[name]) for name, column in columns.items()}
        spoken = pa.array(durations, pa.float32())
        return shards.Output(pa.table({"id": pa.array(ids, pa.string()), "duration_seconds": spoken, **values}))

    @property
    def shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Type and shape of what a row becomes, by column."""
        params = self.params
        return {
            "image": ("|u1", (3, params.image_size_px, params.image_size_px)),
            "spectrogram": ("<f2", (params.n_mels, params.n_frames)),
        }

    def _decoded(self, image: bytes, waveform: audio.Waveform) -> dict[str, NDArray[Any]]:
        params = self.params
        kind = {name: getattr(params, name) for name in ("duration_seconds", "n_mels", "n_frames")}
        return {
            "image": image_array(read_image(image), params.image_size_px),
            "spectrogram": spectrogram_array(waveform, **kind),
        }

    def _media(self, markers: Sequence[shards.Marker]) -> Iterator[tuple[str, bytes, bytes]]:
        """Id, picture and recording of each row."""
        first, *others = markers
        if self.source != "clean":
            part = shards.read_part(self.data / "sier", first, columns=["id", "image", "audio"])
            columns = part["id"], *(pc.struct_field(part[name], "bytes") for name in ("image", "audio"))
            for row in zip(*columns, strict=True):
                identity, image, recording = (value.as_py() for value in row)
                yield identity, image, recording
            return
        part = shards.read_part(self.data / "clean", first, columns=["id", "image"])
        recordings: dict[str, pa.Scalar] = {}
        for other in others:
            speech = shards.read_part(self.data / "speech", other, columns=["id", "audio"])
            speech = speech.filter(pc.is_in(speech["id"], value_set=part["id"].combine_chunks()))
            recordings |= zip(speech["id"].to_pylist(), speech["audio"], strict=True)
        for identity, image in zip(part["id"].to_pylist(), part["image"], strict=True):
            if identity in recordings:
                yield identity, image.as_py(), recordings[identity].as_py()


@dataclass(frozen=True)
class WordDecoder(Decoder):
    """Worker: hears the words of the rows of a file, in its order."""

    @property
    def shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """As of any `Decoder`."""
        return {"word_frames": ("<f2", words.SHAPE)}

    def _decoded(self, image: bytes, waveform: audio.Waveform) -> dict[str, NDArray[Any]]:  # noqa: ARG002 - no picture
        return {"word_frames": words.word_frame_array(waveform, self.params.duration_seconds)}


def _sier_parts(data: Path, split: str) -> Iterator[tuple[pd.DataFrame, tuple[shards.Marker, ...]]]:
    for marker in shards.read_manifest(data / "sier", STAGES["sier"]):
        if marker.part.name.startswith(f"data/{split}-"):
            part = shards.read_part(data / "sier", marker, columns=SIER_COLUMNS).to_pandas()
            yield part.assign(split=split, fold=part["fold"].fillna(-1)), (marker,)


def _clean_parts(data: Path, labels: Sequence[str]) -> Iterator[tuple[pd.DataFrame, tuple[shards.Marker, ...]]]:
    """Rows without speech were rejected by stage synthesize; each part comes with the parts that hold its speech."""
    recordings = shards.read_manifest(data / "speech", STAGES["speech"])
    shard_of: dict[str, int] = {}
    for shard, marker in enumerate(recordings):
        ids = shards.read_part(data / "speech", marker, columns=["id"])["id"].to_pylist()
        shard_of |= dict.fromkeys(ids, shard)
    class_ids = {name: label for label, name in enumerate(labels)}
    joined = 0
    for marker in shards.read_manifest(data / "clean", STAGES["clean"]):
        part = shards.read_part(data / "clean", marker, columns=["id", "sentiment", "source_split"]).to_pandas()
        part = part[part["id"].isin(shard_of)]
        joined += len(part)
        part = part[part["sentiment"].notna()]
        rows = {"id": part["id"], "label": part["sentiment"].map(class_ids), "fold": -1, "split": part["source_split"]}
        needed = sorted({shard_of[identity] for identity in part["id"]})
        yield pd.DataFrame(rows), (marker, *(recordings[shard] for shard in needed))
    if joined != len(shard_of):
        lost = len(shard_of) - joined
        raise UserError(f"{data / 'speech'}: {lost} of its rows are not in {data / 'clean'}; {_remedy('clean')}")


def _remedy(source: Source) -> str:
    return f"run: dvc repro --force {' '.join(STAGES[folder] for folder in FOLDERS[source])}"
