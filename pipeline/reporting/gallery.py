"""Many rows at a glance: of each label, and of each disagreement of the teachers, by confidence and by doubt.

In   the dataset's rows, the pictures in data/sier
Out  `Gallery`: strips of small pictures with what was said; the most frequent disagreements come first
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.frame import tables
from pipeline.reporting.photos import photo
from pipeline.reporting.rows import Dataset, with_media

STRIP_ROWS = 8  # of a strip
MOST_DISAGREEMENTS = 6
PHOTO_SIDE_PX = 112  # some 3 kB: all galleries of four labels take less than a megabyte


@dataclass(frozen=True)
class Item:
    """A row, small."""

    id: str
    photo: str  # data URI
    text: str
    label: str
    confidence: float
    speech: str  # the classes that the teachers name
    image: str
    doubt: float | None  # 1 less the label's quality, where it was audited


@dataclass(frozen=True)
class Gallery:
    """Rows of a kind: how many there are, and strips of them by their title."""

    title: str
    rows: int
    strips: dict[str, list[Item]]


def read(data: Path, dataset: Dataset, labels: Sequence[str], remap: Mapping[str, str]) -> list[Gallery]:
    """Galleries by label, then by disagreement. Raises UserError: data/sier is damaged."""
    frame = dataset.light.copy()
    frame["name"] = frame["label"].map(dict(enumerate(labels)))
    for modality in tables.MODALITIES:
        prefix = f"{tables.PROBABILITY_PREFIX}{modality}_"
        columns = [str(name) for name in frame if str(name).startswith(prefix)]
        largest = frame[columns].to_numpy().argmax(axis=1)
        frame[modality] = [columns[place].removeprefix(prefix) for place in largest]
    frame["doubt"] = [1 - audit["label_quality"] if (audit := dataset.audits.get(key)) else None for key in frame["id"]]
    frame["doubt"] = frame["doubt"].astype(float)
    plans = list(_plans(frame, labels, remap))
    wanted = pd.concat([rows for _, _, strips in plans for rows in strips.values()]) if plans else frame.head(0)
    items = {
        columns["id"]: _item(columns, picture)
        for columns, (picture,) in with_media(data, dataset.markers, wanted.drop_duplicates("id"), ["image"])
    }
    return [
        Gallery(title, count, {name: [items[key] for key in rows["id"]] for name, rows in strips.items()})
        for title, count, strips in plans
    ]


def _plans(
    frame: pd.DataFrame, labels: Sequence[str], remap: Mapping[str, str]
) -> Iterator[tuple[str, int, dict[str, pd.DataFrame]]]:
    """Title, number of rows, and the rows of each strip."""
    by_id = frame.sort_values("id", kind="stable")
    for label in labels:
        rows = by_id[by_id["name"] == label]
        if len(rows):
            yield label, len(rows), _strips(rows)
    said = {modality: by_id[modality].map(lambda name: remap.get(name, name)) for modality in tables.MODALITIES}
    apart = by_id.assign(**{f"{name}_says": values for name, values in said.items()})
    apart = apart[apart["speech_says"] != apart["image_says"]]
    pairs = sorted(apart.groupby(["speech_says", "image_says"]), key=lambda pair: (-len(pair[1]), pair[0]))
    for (speech, image), rows in pairs[:MOST_DISAGREEMENTS]:
        yield f"speech says {speech}, the picture {image}", len(rows), _strips(rows)


def _strips(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The same row is not shown as sure and as unsure."""
    sure = rows.sort_values("confidence", ascending=False, kind="stable").head(STRIP_ROWS)
    rest = rows.drop(sure.index).sort_values("confidence", kind="stable").head(STRIP_ROWS)
    doubted = rows.dropna(subset="doubt").sort_values("doubt", ascending=False, kind="stable").head(STRIP_ROWS)
    strips = {"surest": sure, "least sure": rest, "most doubted by the audit": doubted}
    return {name: strip for name, strip in strips.items() if len(strip)}


def _item(columns: Mapping[str, Any], picture: bytes) -> Item:
    doubt = columns["doubt"]
    return Item(
        columns["id"], photo(picture, PHOTO_SIDE_PX), columns["text"], columns["name"], float(columns["confidence"]),
        columns["speech"], columns["image"], None if pd.isna(doubt) else float(doubt),
    )  # fmt: skip
