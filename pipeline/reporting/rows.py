"""A sample of the dataset's rows, to look at and to listen to.

In   data/sier, data/predictions/<model>.parquet, data/audit, data/explanations, data/labels/rule.json
Out  `Row`s with everything that a card shows; pictures and recordings as data URIs

Which rows: first those that stage explain drew a figure of, then those it explained, then one of each label and split
by turns, in a random order that follows from the seed; until `rows` are found or their media fill `MEDIA_CHARACTERS`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.media.data_uri import data_uri
from pipeline.reporting.explanations import Explanation, draw_explanation, explained_rows, read_explanations
from pipeline.reporting.photos import photo

MEDIA_CHARACTERS = 13_000_000  # of pictures, recordings and explanations as they stand in the page
PHOTO_SIDE_PX = 384
EXPLAINED_SHARE = 0.4  # of the shown rows, at most
MEDIA = ("audio", "image")


@dataclass(frozen=True)
class Probability:
    """What a teacher gives to one of its classes."""

    name: str
    label: str  # of the dataset, that the class becomes
    value: float
    largest: bool  # whether it is the teacher's answer


@dataclass(frozen=True)
class Row:
    """A row of the dataset; `prediction`, `audit` and `explanation` are None where there is none."""

    id: str
    split: str
    columns: Mapping[str, Any]  # of data/sier, without media; `label` is a name
    photo: str
    recording: str
    speech: list[Probability]
    image: list[Probability]
    prediction: Mapping[str, Any] | None  # label and p of the network's answer, and whether it is correct
    audit: Mapping[str, Any] | None  # columns of data/audit
    explanation: Explanation | None

    @property
    def characters(self) -> int:
        """What its media take up in the page; an explanation shows the photo again."""
        media = len(self.photo) + len(self.recording)
        return media + (len(self.photo) + self.explanation.characters if self.explanation is not None else 0)


@dataclass(frozen=True)
class Folders:
    """Where the parts of a row lie, and what is needed to read them."""

    data: Path
    model: str  # whose predictions are shown
    labels: Sequence[str]  # of the dataset, in the order of class ids
    remap: Mapping[str, str]  # class of the teachers -> label
    seconds_per_frame: float  # of the maps of speech


@dataclass(frozen=True)
class Dataset:
    """All rows without media, with their split and part; what the network and the audit say, by id."""

    light: pd.DataFrame
    markers: Sequence[shards.Marker]
    answers: Mapping[str, Mapping[str, Any]]  # see `Row.prediction`
    audits: Mapping[str, Mapping[str, Any]]


def read(folders: Folders) -> Dataset:
    """Raises UserError: a file is missing or damaged."""
    data = folders.data
    markers = shards.read_manifest(data / "sier", "assemble")
    light = pd.concat([_without_media(data, marker) for marker in markers], ignore_index=True)
    predictions = _by_id(data / "predictions" / f"{folders.model}.parquet", "evaluate")
    names = dict(zip(light["id"], light["label"].map(dict(enumerate(folders.labels))), strict=True))
    answers = {key: _prediction(said, folders.labels, names[key]) for key, said in predictions.items() if key in names}
    return Dataset(light, markers, answers, _by_id(data / "audit" / "audit.parquet", "audit"))


def sample(folders: Folders, dataset: Dataset, number: int, seed: int) -> list[Row]:
    """Rows to show. Raises UserError: a file is missing or damaged."""
    data, light = folders.data, dataset.light
    order = light.iloc[_order(light, explained_rows(data), number, seed)]
    explanations = read_explanations(data, order["id"].tolist())
    rows: dict[str, Row] = {}
    for columns, media in with_media(data, dataset.markers, order, MEDIA):
        key, (recording, picture) = columns["id"], media
        speech, image = (_probabilities(columns, modality, folders.remap) for modality in tables.MODALITIES)
        numbers = explanations.get(key)
        rows[key] = Row(
            id=key, split=columns["split"], columns={**columns, "label": folders.labels[columns["label"]]},
            photo=photo(picture, PHOTO_SIDE_PX), recording=data_uri("audio/flac", recording), speech=speech,
            image=image, prediction=dataset.answers.get(key), audit=dataset.audits.get(key),
            explanation=draw_explanation(numbers, recording, folders.seconds_per_frame) if numbers else None,
        )  # fmt: skip
    chosen, size = [], 0
    for key in order["id"]:
        size += rows[key].characters
        if size > MEDIA_CHARACTERS:
            break
        chosen.append(rows[key])
    return chosen


def _without_media(data: Path, marker: shards.Marker) -> pd.DataFrame:
    """The other columns of a part, with its name and its split."""
    path = data / "sier" / marker.part.name
    try:
        names = [name for name in pq.read_schema(path).names if name not in MEDIA]
        frame: pd.DataFrame = pq.read_table(path, columns=names).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read as Parquet: {error}; run: dvc repro assemble --force") from None
    return frame.assign(split=path.name.partition("-")[0], part=marker.part.name)


def _order(light: pd.DataFrame, explained: Mapping[str, bool], number: int, seed: int) -> list[int]:
    """Indices of the rows to show; `explained` says of explained rows whether their words are known."""
    shuffled = np.random.default_rng([seed, 8]).permutation(len(light))
    frame = light[["id", "label", "split"]].assign(rank=np.argsort(shuffled))
    frame["explained"] = frame["id"].map({key: 0 if words else 1 for key, words in explained.items()}).fillna(2)
    first = frame[frame["explained"] < 2].sort_values(["explained", "rank"]).head(round(number * EXPLAINED_SHARE))
    rest = frame.drop(first.index)
    rest = rest.assign(turn=rest.sort_values("rank").groupby(["label", "split"]).cumcount())
    rest = rest.sort_values(["turn", "rank"]).head(max(0, number - len(first)))
    return [*first.index.tolist(), *rest.index.tolist()]


def with_media(
    data: Path, markers: Sequence[shards.Marker], chosen: pd.DataFrame, media: Sequence[str]
) -> Iterator[tuple[dict[str, Any], list[bytes]]]:
    """Columns and the named media of the chosen rows, a part at a time."""
    records: list[Any] = chosen.to_dict("records")
    light = {record["id"]: record for record in records}
    for marker in markers:
        wanted = chosen.loc[chosen["part"] == marker.part.name, "id"].tolist()
        if wanted:
            part = shards.read_part(data / "sier", marker, columns=["id", *media])
            for row in part.filter(pc.is_in(part["id"], pa.array(wanted))).to_pylist():
                yield light[row["id"]], [row[name]["bytes"] for name in media]


def _probabilities(columns: Mapping[str, Any], modality: str, remap: Mapping[str, str]) -> list[Probability]:
    prefix = f"{tables.PROBABILITY_PREFIX}{modality}_"
    values = {name.removeprefix(prefix): float(columns[name]) for name in columns if name.startswith(prefix)}
    answer = max(values, key=lambda name: values[name])
    return [Probability(name, remap.get(name, name), value, name == answer) for name, value in values.items()]


def _prediction(columns: Mapping[str, Any], labels: Sequence[str], label: str) -> dict[str, Any]:
    values = {name: float(columns[tables.PROBABILITY_PREFIX + name]) for name in labels}
    answer = max(values, key=lambda name: values[name])
    return {"label": answer, "p": values[answer], "correct": answer == label}


def _by_id(path: Path, stage: str) -> dict[str, dict[str, Any]]:
    try:
        return {row["id"]: row for row in pq.read_table(path).to_pylist()}
    except (OSError, pa.ArrowException):
        raise UserError(f"{path}: missing or damaged; run: dvc repro {stage} --force") from None
