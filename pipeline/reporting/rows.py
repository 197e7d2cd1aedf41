"""A sample of the dataset's rows, to look at and to listen to.

In   data/sier, data/predictions/<model>.parquet, data/audit, data/explanations, data/labels/rule.json
Out  `Row`s with everything that a card shows; pictures and recordings as data URIs

Which rows: first those that stage explain drew a figure of, then those it explained, then one of each label and split
by turns, in a random order that follows from the seed; until `rows` are found or their media fill `MEDIA_CHARACTERS`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from pipeline.engine import shards
from pipeline.errors import RowError, UserError
from pipeline.frame import tables
from pipeline.media import audio
from pipeline.media.data_uri import data_uri
from pipeline.reporting.overlays import Stretch, overlay_png, stretches

MEDIA_CHARACTERS = 14_500_000  # of pictures, recordings and explanations as they stand in the page
PHOTO_SIDE_PX = 384
EXPLAINED_SHARE = 0.4  # of the shown rows, at most
EXPLANATIONS_AT_ONCE = 64
MEDIA = ("audio", "image")


@dataclass(frozen=True)
class Probability:
    """What a teacher gives a class.

    Attributes:
        name: the teacher's class.
        label: the dataset's label that it becomes.
        largest: whether it is the teacher's answer.
    """

    name: str
    label: str
    value: float
    largest: bool


@dataclass(frozen=True)
class Explanation:
    """Why the network answers as it does.

    Attributes:
        overlay: data URI of a PNG to lie over the picture; empty where the network sees none.
        stretches: of the recording; empty where the network hears none.
        words: (text, value, strength in [0, 1]) as heard; empty where stage explain heard none.
        numbers: columns of data/explanations.
    """

    overlay: str
    stretches: list[Stretch]
    words: list[tuple[str, float, float]]
    numbers: Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of the dataset; `prediction`, `audit` and `explanation` are None where there is none.

    Attributes:
        columns: of data/sier, without media; `label` is a name.
        prediction: label and p of the network's answer, and whether it is the row's label.
        audit: columns of data/audit.
    """

    id: str
    split: str
    columns: Mapping[str, Any]
    photo: str
    recording: str
    speech: list[Probability]
    image: list[Probability]
    prediction: Mapping[str, Any] | None
    audit: Mapping[str, Any] | None
    explanation: Explanation | None

    @property
    def characters(self) -> int:
        """What its media take up in the page."""
        size = len(self.photo) + len(self.recording)
        if self.explanation is not None:  # which shows the photo again
            paths = sum(len(one.path) for one in self.explanation.stretches)
            size += len(self.photo) + len(self.explanation.overlay) + paths
        return size


@dataclass(frozen=True)
class Folders:
    """Where the parts of a row lie, and what is needed to read them.

    Attributes:
        data: the project's data folder.
        model: whose predictions are shown.
        labels: of the dataset, in the order of class ids.
        remap: class of the teachers -> label.
        seconds_per_frame: of the maps of speech.
    """

    data: Path
    model: str
    labels: Sequence[str]
    remap: Mapping[str, str]
    seconds_per_frame: float


def sample(folders: Folders, number: int, seed: int) -> tuple[list[Row], int]:
    """Rows to show, and how many rows the dataset has.

    Raises:
        UserError: a file is missing or damaged.
    """
    markers = shards.read_manifest(folders.data / "sier", "assemble")
    light = pd.concat([_light(folders, marker) for marker in markers], ignore_index=True)
    order = _order(light, _explained(folders), number, seed)
    explained = _explanations(folders, light["id"].iloc[order].tolist())
    audits = _by_id(folders.data / "audit" / "audit.parquet", "audit")
    predictions = _by_id(folders.data / "predictions" / f"{folders.model}.parquet", "evaluate")
    found: dict[str, Row] = {}
    media = _media(folders, markers, light.iloc[order])
    for columns, recording, picture in media:
        key = columns["id"]
        speech, image = (_probabilities(columns, name, folders.remap) for name in tables.MODALITIES)
        found[key] = Row(
            id=key, split=columns["split"], columns={**columns, "label": folders.labels[columns["label"]]},
            photo=data_uri("image/jpeg", _smaller(picture)), recording=data_uri("audio/flac", recording), speech=speech,
            image=image, prediction=_prediction(predictions.get(key), folders), audit=audits.get(key),
            explanation=_explanation(explained.get(key), recording, folders),
        )  # fmt: skip
    chosen, size = [], 0
    for key in light["id"].iloc[order]:
        size += found[key].characters
        if size > MEDIA_CHARACTERS:
            break
        chosen.append(found[key])
    return chosen, len(light)


def _light(folders: Folders, marker: shards.Marker) -> pd.DataFrame:
    """A part's rows without media, with its name and their split."""
    path = folders.data / "sier" / marker.part.name
    try:
        names = [name for name in pq.read_schema(path).names if name not in MEDIA]
        frame: pd.DataFrame = pq.read_table(path, columns=names).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read as Parquet: {error}; run: dvc repro assemble --force") from None
    return frame.assign(split=path.name.partition("-")[0], part=marker.part.name)


def _order(light: pd.DataFrame, explained: Mapping[str, bool], number: int, seed: int) -> list[int]:
    """Places of the rows to show; `explained` says of explained rows whether their words are known."""
    shuffled = np.random.default_rng([seed, 8]).permutation(len(light))
    rank = np.empty(len(light), dtype=np.int64)
    rank[shuffled] = np.arange(len(light))
    frame = light[["id", "label", "split"]].assign(rank=rank)
    frame["explained"] = frame["id"].map({key: 0 if words else 1 for key, words in explained.items()}).fillna(2)
    first = frame[frame["explained"] < 2].sort_values(["explained", "rank"]).head(round(number * EXPLAINED_SHARE))
    rest = frame.drop(first.index)
    rest = rest.assign(turn=rest.sort_values("rank").groupby(["label", "split"]).cumcount())
    rest = rest.sort_values(["turn", "rank"]).head(max(0, number - len(first)))
    return [*first.index.tolist(), *rest.index.tolist()]


def _media(
    folders: Folders, markers: Sequence[shards.Marker], chosen: pd.DataFrame
) -> Iterator[tuple[dict[str, Any], bytes, bytes]]:
    """Columns, recording and picture of the chosen rows, a part at a time."""
    light = {
        str(record["id"]): {str(name): cell for name, cell in record.items()} for record in chosen.to_dict("records")
    }
    for marker in markers:
        wanted = chosen.loc[chosen["part"] == marker.part.name, "id"].tolist()
        if not wanted:
            continue
        part = shards.read_part(folders.data / "sier", marker, columns=["id", *MEDIA])
        for row in part.filter(pc.is_in(part["id"], pa.array(wanted))).to_pylist():
            yield light[row["id"]], row["audio"]["bytes"], row["image"]["bytes"]


def _probabilities(columns: Mapping[str, Any], modality: str, remap: Mapping[str, str]) -> list[Probability]:
    prefix = f"{tables.PROBABILITY_PREFIX}{modality}_"
    values = {name.removeprefix(prefix): float(columns[name]) for name in columns if name.startswith(prefix)}
    answer = max(values, key=lambda name: values[name])
    return [Probability(name, remap.get(name, name), value, name == answer) for name, value in values.items()]


def _prediction(found: Mapping[str, Any] | None, folders: Folders) -> dict[str, Any] | None:
    if found is None:
        return None
    values = {name: float(found[tables.PROBABILITY_PREFIX + name]) for name in folders.labels}
    answer = max(values, key=lambda name: values[name])
    return {"label": answer, "p": values[answer], "correct": answer == found["label"]}


def _explained(folders: Folders) -> dict[str, bool]:
    """Ids of explained rows, and whether an explanation of theirs has words."""
    found: dict[str, bool] = {}
    for batch in _batches(_explanation_file(folders), ["id", "words"]):
        for key, words in zip(batch["id"].to_pylist(), pc.list_value_length(batch["words"]).to_pylist(), strict=True):
            found[key] = found.get(key, False) or bool(words)
    return found


def _explanations(folders: Folders, wanted: Sequence[str]) -> dict[str, dict[str, Any]]:
    """One explanation of each row: that with words, else the first. A few at a time, for their maps are large."""
    found: dict[str, dict[str, Any]] = {}
    for batch in _batches(_explanation_file(folders), None):
        for row in batch.filter(pc.is_in(batch["id"], pa.array(wanted))).to_pylist():
            if row["id"] not in found or (row["words"] and not found[row["id"]]["words"]):
                found[row["id"]] = row
    return found


def _explanation_file(folders: Folders) -> Path:
    return folders.data / "explanations" / "explanations.parquet"


def _batches(path: Path, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=EXPLANATIONS_AT_ONCE, columns=columns)
    except (OSError, pa.ArrowException):
        raise UserError(f"{path}: missing or damaged; run: dvc repro explain --force") from None


def _explanation(found: Mapping[str, Any] | None, recording: bytes, folders: Folders) -> Explanation | None:
    if found is None:
        return None
    overlay = ""
    if found["image_map"]:
        side = round(len(found["image_map"]) ** 0.5)
        overlay = data_uri("image/png", overlay_png(np.array(found["image_map"], dtype=np.float64).reshape(side, -1)))
    heard: list[Stretch] = []
    if found["speech_players"]:
        try:
            waveform = audio.decode(recording)
        except RowError as error:
            raise UserError(f"{found['id']}: {error}; run: python -m pipeline.verify") from None
        players, values = np.array(found["speech_players"], dtype=np.int16), np.array(found["speech_values"])
        heard = stretches(waveform, audio.SAMPLING_RATE_HZ, players, values, folders.seconds_per_frame)
    largest = max((abs(word["value"]) for word in found["words"]), default=0.0) or 1.0
    words = [(word["text"], word["value"], abs(word["value"]) / largest) for word in found["words"]]
    return Explanation(overlay, heard, words, found)


def _by_id(path: Path, stage: str) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in _table(path, stage).to_pylist()}


def _table(path: Path, stage: str) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException):
        raise UserError(f"{path}: missing or damaged; run: dvc repro {stage} --force") from None


def _smaller(picture: bytes) -> bytes:
    """At most `PHOTO_SIDE_PX` on its longer side."""
    with Image.open(io.BytesIO(picture)) as opened:
        if max(opened.size) <= PHOTO_SIDE_PX:
            return picture
        small = opened.convert("RGB")
        small.thumbnail((PHOTO_SIDE_PX, PHOTO_SIDE_PX))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
