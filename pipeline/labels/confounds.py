"""What labels could follow instead of feelings: the length and loudness of a recording, the looks of a text, the voice.

In   rows of `joining.COLUMNS`, the recordings of some of them
Out  for reports/label.json: a record for each such confound and each of labels, speech teacher, picture teacher

A number is cut into quarters of equally many rows, so that all figures are the same Cramer's V as that of validity.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.engine import shards
from pipeline.labels.validity import Mask, Measure, numbers
from pipeline.labels.words import CONFOUNDS
from pipeline.media import audio

LOUDNESS_PARTS, LOUDNESS_ROWS = 8, 2_000  # parts that are read, and recordings of all of them, for decoding takes long
SILENCE = 1e-5  # root mean square, where full scale is 1
VOICES = 20  # the most frequent ones; others are one class, for a class of a few rows tells nothing


def confound_table(
    rows: pd.DataFrame, speech: Path, said: Mapping[str, tuple[Any, Mask]], measure: Measure
) -> list[dict[str, Any]]:
    """Records: a `confound`, `of` whom, and `Association`; `said` has classes and the mask of rows by whose they are.

    `speech` is the folder with the recordings.
    """
    text = rows["spoken_text"]
    values = {
        "duration": rows["duration_seconds"],
        "loudness": rows["id"].map(loudness_db(speech)),
        "characters": text.str.len(),
        "punctuation": text.str.count(r"[^\w\s]"),
    }
    classes = {name: pd.qcut(column, 4, labels=False, duplicates="drop") for name, column in values.items()}
    frequent = rows["voice"].value_counts().index[:VOICES]
    classes["voice"] = pd.Series(numbers(rows["voice"].where(rows["voice"].isin(frequent), "others")))
    return [
        {"confound": name, "of": of, **asdict(measure(classes[name], theirs, chosen))}
        for name in CONFOUNDS
        for of, (theirs, chosen) in said.items()
    ]


def loudness_db(folder: Path) -> dict[str, float]:
    """Root mean square of recordings in dB of full scale, by id: of all, or of some from parts at even distances."""
    markers = shards.read_manifest(folder, "synthesize")
    chosen = markers[:: -(-len(markers) // LOUDNESS_PARTS)]
    found = {}
    for marker in chosen:
        part = shards.read_part(folder, marker, columns=["id", "audio"])
        step = max(1, -(-part.num_rows * len(chosen) // LOUDNESS_ROWS))
        for row in part.take(np.arange(0, part.num_rows, step)).to_pylist():
            rms = np.sqrt(np.mean(np.square(audio.decode(row["audio"]), dtype=np.float64)))
            found[row["id"]] = float(20 * np.log10(max(rms, SILENCE)))
    return found
