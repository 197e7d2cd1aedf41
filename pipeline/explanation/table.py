"""Columns of data/explanations/explanations.parquet, and of a row on its way there.

In   a `PairExplanation` and its players
Out  the columns of `EXPLANATION` that hold its numbers; one record per explained row, pair of baselines and method
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.pair.explanation import PairExplanation
from models.pair.players import Players
from pipeline.engine import files, shards
from pipeline.engine.rejects import rejects_table
from pipeline.engine.work import Work
from pipeline.explanation.maps import frames_kept
from pipeline.frame.stage import Context

FILE = "explanations.parquet"
ROWS_PER_GROUP = 500  # of the Parquet file; what is in memory at once
ORDERS = ("map", "random", "control")

CURVE = pa.struct(
    {
        "modality": pa.string(),
        "kind": pa.string(),  # deletion or insertion
        "order": pa.string(),  # one of ORDERS
        "shares": pa.list_(pa.float64()),
        "values": pa.list_(pa.float64()),
    }
)
WORD = pa.struct(
    {"text": pa.string(), "start_seconds": pa.float64(), "end_seconds": pa.float64(), "value": pa.float64()}
)
EXPLANATION = pa.struct(
    {
        "id": pa.string(),
        "method": pa.string(),  # exact, level, best or sample
        "image_baseline": pa.string(),
        "speech_baseline": pa.string(),
        "label": pa.string(),  # the true one
        "predicted": pa.string(),  # the network's answer
        "score": pa.float64(),  # its probability
        "explained": pa.string(),  # whose output is explained: the predicted label, or the true one
        "output": pa.string(),  # logit or probability
        "v_full": pa.float64(),  # by plain forwards, as the next three
        "v_empty": pa.float64(),
        "v_image": pa.float64(),
        "v_speech": pa.float64(),
        "sum": pa.float64(),  # of all values
        "residual": pa.float64(),  # sum - (v_full - v_empty)
        "max_difference": pa.float64(),  # of the game from plain forwards, over the masks that were checked
        "image_value": pa.float64(),
        "speech_value": pa.float64(),
        "image_share": pa.float64(),  # |image_value| / (|image_value| + |speech_value|); null where both are 0
        "speech_share": pa.float64(),
        "synergy": pa.float64(),  # v_full - v_image - v_speech + v_empty; null for a network of one modality
        "image_values": pa.list_(pa.float64()),  # cells, row by row
        "speech_values": pa.list_(pa.float64()),  # segments; or cells of the spectrogram, band by band from the lowest
        "interactions": pa.list_(pa.float64()),  # players of image x of speech, row by row; null unless exact
        "image_map": pa.list_(pa.float32()),  # pixels, row by row; sums to image_value
        "speech_map": pa.list_(
            pa.float64()
        ),  # frames with padding, of cells the sum over mel bands; sums to speech_value
        "speech_players": pa.list_(pa.int16()),  # the segment, or column of cells, of each frame; -1 in the padding
        "speech_bands": pa.int16(),  # of cells; 1 of segments, 0 of no speech
        "segments_silenced": pa.int16(),  # segments or columns below the percentile
        "share_silenced": pa.float64(),  # of the frames of speech; null where there is none
        "evaluations": pa.int64(),  # masks that the method asked for
        "image_encodings": pa.int64(),  # that this explanation added to those before it
        "speech_encodings": pa.int64(),
        "forwards": pa.int64(),  # of a network that does not factor
        "text": pa.string(),  # the tweet
        "words": pa.list_(WORD),  # as heard; empty without figure
        "text_kept": pa.string(),  # heard without the frames below the percentile; null without figure
        "curves": pa.list_(CURVE),  # of the rows that the report is about
    }
)
# What a worker commits.
ROW = pa.schema({"id": pa.string(), "explanations": pa.list_(EXPLANATION), "figure": pa.binary()})


def numbers(explanation: PairExplanation, players: Players) -> dict[str, Any]:
    """The columns of `EXPLANATION` that hold an explanation's numbers."""
    total = abs(explanation.image_value) + abs(explanation.speech_value)
    interactions = explanation.interactions
    names = (
        "v_full", "v_empty", "v_image", "v_speech", "residual", "max_difference", "image_value", "speech_value",
        "synergy", "evaluations", "image_encodings", "speech_encodings", "forwards",
    )  # fmt: skip
    return {
        **{name: getattr(explanation, name) for name in names},
        "sum": float(explanation.values.sum()),
        "image_share": abs(explanation.image_value) / total if total else None,
        "speech_share": abs(explanation.speech_value) / total if total else None,
        "image_values": explanation.values[: players.n_image],
        "speech_values": explanation.values[players.n_image :],
        "interactions": None if interactions is None else interactions.ravel(),
        "image_map": explanation.image_map.ravel().astype(np.float32) if players.n_image else [],
        "speech_map": explanation.speech_map if players.n_speech else [],
        "speech_players": players.speech_columns.astype(np.int16) if players.n_speech else [],
        "speech_bands": players.speech_grid[0] if players.speech_grid else int(players.n_speech > 0),
        "words": [],
        "curves": [],
    }


def silenced(
    explanation: PairExplanation, players: Players, speech_frames: int, percentile: float
) -> dict[str, int | float | None]:
    """How much of the speech lies below the percentile of its frames' values: the columns of that name."""
    if not players.n_speech:
        return {"segments_silenced": 0, "share_silenced": None}
    gone = ~frames_kept(explanation.speech_map[:speech_frames], percentile)
    columns = players.speech_columns[:speech_frames]
    return {"segments_silenced": len(np.unique(columns[gone])), "share_silenced": float(gone.mean())}


def publish(
    work: Work, markers: Sequence[shards.Marker], rejects: Sequence[tuple[str, str, str]], context: Context
) -> None:
    """Join the finished rows to the stage's output, in the order of the dataset."""

    def write(path: Path) -> None:
        with pq.ParquetWriter(path, pa.schema(EXPLANATION.fields), compression="zstd") as writer:
            for start in range(0, len(markers), ROWS_PER_GROUP):
                rows = shards.read_parts(work.folder, markers[start : start + ROWS_PER_GROUP])
                for name, figure in zip(rows["id"].to_pylist(), rows["figure"].to_pylist(), strict=True):
                    if figure is not None:
                        files.write_bytes(new / "figures" / f"{name}.png", figure)
                flat = rows["explanations"].combine_chunks().flatten()
                writer.write_table(pa.Table.from_struct_array(flat))

    with files.replacing(context.paths.data / "explanations") as new:
        (new / "figures").mkdir()
        files.write_atomically(new / FILE, write)
        files.write_atomically(new / "rejects.parquet", partial(pq.write_table, rejects_table(rejects)))
