"""Mean and deviation of each voice, from a fixed choice of its rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.errors import ItemError
from models.teachers.standardise import Statistics
from pipeline.engine import files, shards
from pipeline.errors import UserError
from pipeline.teachers.items import ScoreParams, Source, load_scoring_teacher


def choose_rows(ids: Sequence[str], voices: Sequence[str], rows_per_voice: int) -> dict[str, list[str]]:
    """Ids per voice with the lowest sha256, in that order: a random choice that no order of rows can change."""
    ordered = sorted(zip(ids, voices, strict=True), key=lambda pair: hashlib.sha256(pair[0].encode()).digest())
    chosen: dict[str, list[str]] = {voice: [] for voice in sorted(set(voices))}
    for identity, voice in ordered:
        if len(chosen[voice]) < rows_per_voice:
            chosen[voice].append(identity)
    return chosen


def write_statistics(
    params: ScoreParams, source: Source, folder: Path, sources: list[shards.Marker], checkpoint: Path, target: Path
) -> None:
    teacher = load_scoring_teacher(checkpoint, params)
    # One by one for a probe, whose vectors then do not depend on their neighbours by a bit.
    size = params.batch_size if teacher.by_length else 1
    names = pa.concat_tables([shards.read_part(folder, marker, columns=["id", "voice"]) for marker in sources])
    chosen = choose_rows(names["id"].to_pylist(), names["voice"].to_pylist(), params.voice_statistics_rows)
    wanted = pa.array([identity for ids in chosen.values() for identity in ids])
    vectors: dict[str, NDArray[np.float32]] = {}
    for marker in sources:
        part = shards.read_part(folder, marker, columns=list(source.columns))
        rows = part.filter(pc.is_in(part["id"], value_set=wanted)).to_pylist()
        rows.sort(key=lambda row: len(row[source.columns[1]]))
        for start in range(0, len(rows), size):
            items = {}
            for row in rows[start : start + size]:
                try:
                    item = source.item(row)
                    teacher.check(item)
                except ItemError:
                    continue  # the scorer lists it as a reject
                items[row["id"]] = item
            if items:
                vectors |= zip(items, teacher.represent(list(items.values())), strict=True)
    found = []
    for voice, ids in chosen.items():
        usable = [vectors[identity] for identity in ids if identity in vectors]
        if not usable:
            raise UserError(f"{folder}: no utterance of voice {voice} can be scored")
        statistics = Statistics.of(np.stack(usable))
        found.append(
            {"voice": voice, "rows": len(usable), "mean": statistics.mean.tolist(), "std": statistics.std.tolist()}
        )
    files.write_atomically(target, lambda temporary: pq.write_table(pa.Table.from_pylist(found), temporary))


def read_statistics(path: Path) -> dict[str, Statistics]:
    """Statistics of each voice."""
    rows = pq.read_table(path, partitioning=None).to_pylist()
    return {row["voice"]: Statistics(np.array(row["mean"]), np.array(row["std"])) for row in rows}
