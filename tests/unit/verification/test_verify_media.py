"""Pictures and recordings that are as their rows say are no faults, whatever their shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.engine import shards
from pipeline.media import audio
from pipeline.media.images import encode_jpeg
from pipeline.verification.media import Media, check_media
from pipeline.verification.shard_files import Checked, Fault

Seen = dict[tuple[str, str], bytes]


def look(
    folder: Path, name: str, rows: list[dict[str, Any]], media: Media = "all", seen: Seen | None = None
) -> list[Fault]:
    table = pa.Table.from_pylist(rows)
    marker = shards.commit(folder, shards.Task(0, table.num_rows, None), shards.Output(table), "")
    return list(check_media(Checked(folder, (marker,), ()), name, media, {} if seen is None else seen))


def picture(width_px: int, height_px: int, max_side_px: int | None = None) -> dict[str, Any]:
    data = encode_jpeg(Image.new("RGB", (width_px, height_px)), max_side_px=max_side_px, quality=50)
    return {"id": "1-1", "image": data, "width_px": width_px, "height_px": height_px}


@settings(max_examples=60, deadline=None)
@given(width_px=st.integers(1, 1500), height_px=st.integers(1, 1500), max_side_px=st.integers(1, 300) | st.none())
def test_a_picture_that_clean_has_made_smaller_is_no_fault(
    tmp_path_factory: pytest.TempPathFactory, width_px: int, height_px: int, max_side_px: int | None
) -> None:
    assert look(tmp_path_factory.mktemp("clean"), "clean", [picture(width_px, height_px, max_side_px)]) == []


@pytest.mark.parametrize("stated", [(604, 211), (604, 215), (500, 213), (213, 604), (0, 0), (511, 180)])
def test_a_picture_of_another_shape_than_stated_is_one_fault(tmp_path: Path, stated: tuple[int, int]) -> None:
    row = {**picture(604, 213, 512), "width_px": stated[0], "height_px": stated[1]}
    (fault,) = look(tmp_path, "clean", [row])
    assert fault.what.startswith("row 1-1: the picture is 512 x 181, which is no ")
    assert fault.file == "part-00000.parquet"


def test_what_differs_between_folders_is_told_once_and_blames_no_file(tmp_path: Path) -> None:
    seen: Seen = {}
    flac = audio.encode_flac(np.zeros(160, dtype=np.float32), audio.SAMPLING_RATE_HZ)
    assert look(tmp_path / "clean", "clean", [picture(20, 10)], seen=seen) == []
    row = {"id": "1-1", "image": {"bytes": picture(20, 10)["image"]}, "audio": {"bytes": flac}}
    assert look(tmp_path / "sier", "sier", [row], seen=seen) == []
    row["image"] = {"bytes": picture(10, 20)["image"]}
    (fault,) = look(tmp_path / "other", "sier", [row], seen=seen)
    assert fault.what == "row 1-1: its image is not the picture of data/clean"
    assert fault.file == ""


def test_nothing_is_decoded_when_no_media_are_asked_for(tmp_path: Path) -> None:
    row = {**picture(20, 10), "image": b"no picture"}
    assert look(tmp_path / "none", "clean", [row], "none") == []
    assert len(look(tmp_path / "sample", "clean", [row], "sample")) == 1
