"""The most similar pairs across the splits, by measures that neither the groups nor the leakage check rest on.

In   data/sier: ids, texts and pictures
Out  reports/closest_pairs.csv: kind (text or image), train_id, test_id, similarity; and what was compared

To each test row the nearest training row is sought, and the nearest pairs of all are shown. They are no errors: people
look at them and see whether the groups left one thing on both sides.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.dataset import likeness
from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame.metrics_files import write_plot

FILE = "closest_pairs.csv"
COLUMNS = ("kind", "train_id", "test_id", "similarity")
SHOWN = 10  # pairs of each kind
MEASURES = {
    "text": "cosine of the trigrams of letters within words, by TF-IDF",
    "image": "cosine of colours at 8 x 8 places, without the mean of each channel",
}
_DIGITS = 4  # of a cosine of 32-bit numbers
_LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True)
class Closest:
    """The pairs, the nearest of each kind first, and plain values for a metrics file by kind."""

    pairs: pd.DataFrame  # `COLUMNS`
    compared: dict[str, Any]


def closest_pairs(folder: Path, workers: int) -> Closest:
    """Of the splits in `folder`, which is data/sier; `workers` threads decode pictures.

    Rows of one text are compared once, as the first of them: a tweet has it with each of its pictures.

    Raises:
        UserError: a picture cannot be decoded.
    """
    sides = _read(folder, workers)
    texts = [side.drop_duplicates("words") for side in sides]
    by_letters = likeness.text_vectors(*(side["words"].tolist() for side in texts))
    of_texts = _nearest("text", texts, by_letters)
    by_colours = [likeness.picture_vectors(np.stack(side["thumbnail"].to_list())) for side in sides]
    of_pictures = _nearest("image", sides, by_colours)
    pairs = pd.concat([found.head(SHOWN) for found in (of_texts, of_pictures)], ignore_index=True)
    compared = {
        kind: {
            "measure": MEASURES[kind],
            "compared": {"train": len(train), "test": len(test)},
            "highest": found["similarity"].max(),
            "median_of_nearest": found["similarity"].median(),
        }
        for kind, (train, test), found in (("text", texts, of_texts), ("image", sides, of_pictures))
    }
    return Closest(pairs, compared)


def write(closest: Closest, reports: Path) -> None:
    """`FILE` in the folder of reports."""
    write_plot(reports / FILE, COLUMNS, closest.pairs.itertuples(index=False))


def _read(folder: Path, workers: int) -> list[pd.DataFrame]:
    """Of train and of test: id, words (the text without links, in small letters), thumbnail."""
    parts: dict[str, list[pd.DataFrame]] = {"train": [], "test": []}
    with ThreadPoolExecutor(workers) as pool:
        for marker in shards.read_manifest(folder, "assemble"):
            part = shards.read_part(folder, marker, columns=["id", "text", "image"])
            ids = part["id"].to_pylist()
            pictures = (picture["bytes"] for picture in part["image"].to_pylist())
            frame = pd.DataFrame({
                "id": ids,
                "words": [" ".join(_LINK.sub(" ", text).lower().split()) for text in part["text"].to_pylist()],
                "thumbnail": list(pool.map(_thumbnail, ids, pictures)),
            })  # fmt: skip
            parts[Path(marker.part.name).name.partition("-")[0]].append(frame)
    return [pd.concat(frames, ignore_index=True) for frames in parts.values()]


def _thumbnail(identity: str, jpeg: bytes) -> Any:
    try:
        return likeness.thumbnail(jpeg)
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(
            f"data/clean: the picture of row {identity} cannot be decoded ({error}); run: dvc repro clean --force"
        ) from None


def _nearest(kind: str, sides: list[pd.DataFrame], vectors: Any) -> pd.DataFrame:
    """`COLUMNS` for every test row, the nearest pair first."""
    train, test = sides
    places, cosines = likeness.nearest(*vectors)
    pairs = pd.DataFrame({
        "kind": kind,
        "train_id": train["id"].to_numpy()[places],
        "test_id": test["id"].to_numpy(),
        "similarity": cosines.astype(np.float64).round(_DIGITS),
    })  # fmt: skip
    return pairs.sort_values(["similarity", "train_id", "test_id"], ascending=[False, True, True], ignore_index=True)
