from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.parallelnet.spectrogram import log_mel
from pipeline.errors import UserError
from pipeline.media import audio
from pipeline.networks.decoding import Source, image_array, spectrogram_array
from pipeline.networks.inputs import open_inputs
from tests.builders import jpeg
from tests.builders_sier import INPUTS, LABELS, SIER, context_at, flac, sier_row, write_clean, write_folder, write_sier


def expected_arrays(images: Sequence[bytes], sounds: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """By other code than that of the pipeline, where there is other code."""
    size = (INPUTS.image_size_px, INPUTS.image_size_px)
    pictures = [Image.open(io.BytesIO(data)).resize(size, Image.Resampling.BILINEAR) for data in images]
    waveforms = [audio.decode(data) for data in sounds]
    mel = log_mel(waveforms, duration_seconds=1.0, n_mels=24, n_frames=20)[:, 0]
    return np.stack([np.asarray(picture).transpose(2, 0, 1) for picture in pictures]), mel.numpy().astype(np.float16)


@pytest.mark.parametrize(("source", "chosen"), [("sier_train", slice(0, 12)), ("sier_test", slice(12, 14))])
def test_a_split_of_sier_is_there_in_its_order(tmp_path: Path, source: Source, chosen: slice) -> None:
    rows = write_sier(tmp_path)[chosen]
    found = open_inputs(source, INPUTS, context_at(tmp_path))
    assert found.labels == LABELS
    for name in ("id", "label", "decided_by", "agreement"):
        assert found.rows[name].tolist() == [row[name] for row in rows]
    assert found.rows["confidence"].tolist() == pytest.approx([row["confidence"] for row in rows])
    assert found.rows["fold"].tolist() == [-1 if row["fold"] is None else row["fold"] for row in rows]
    assert set(found.rows["split"]) == {source.removeprefix("sier_")}
    assert (str(found.rows["label"].dtype), str(found.rows["fold"].dtype)) == ("int64", "int8")
    images, spectrograms = expected_arrays(*([row[name]["bytes"] for row in rows] for name in ("image", "audio")))
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.spectrograms, spectrograms)
    assert (str(found.images.dtype), str(found.spectrograms.dtype)) == ("uint8", "float16")


def test_clean_is_joined_with_its_speech_by_id_and_rows_without_are_left_out(tmp_path: Path) -> None:
    rows = write_clean(tmp_path, unspoken=(0, 6))
    found = open_inputs("clean", INPUTS, context_at(tmp_path))
    assert found.labels == ("negative", "neutral", "positive")
    assert found.rows["id"].tolist() == [row["id"] for row in rows]
    assert [found.labels[place] for place in found.rows["label"]] == [row["sentiment"] for row in rows]
    assert found.rows["split"].tolist() == [row["source_split"] for row in rows]
    assert set(found.rows["fold"]) == {-1}
    images, spectrograms = expected_arrays(*([row[name] for row in rows] for name in ("image", "audio")))
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.spectrograms, spectrograms)


def test_a_part_of_clean_of_which_nothing_was_spoken_adds_no_row(tmp_path: Path) -> None:
    rows = write_clean(tmp_path, unspoken=(5, 6, 7))
    assert open_inputs("clean", INPUTS, context_at(tmp_path)).rows["id"].tolist() == [row["id"] for row in rows]


def test_train_never_reads_a_test_file(tmp_path: Path) -> None:
    rows = write_sier(tmp_path)
    secret = tmp_path / "data" / "sier" / "data" / "test-00000-of-00001.parquet"
    size = secret.stat().st_size
    secret.unlink()
    secret.write_bytes(bytes(size))  # not there at all would be an incomplete dataset, which no stage reads
    found = open_inputs("sier_train", INPUTS, context_at(tmp_path))
    assert found.rows["id"].tolist() == [row["id"] for row in rows[:12]]
    with pytest.raises(UserError, match=r"test-00000-of-00001\.parquet: cannot be read as Parquet"):
        open_inputs("sier_test", INPUTS, context_at(tmp_path))


@pytest.mark.parametrize(
    ("medium", "data", "message"),
    [
        ("image", jpeg(3)[:400], "row 896-0: image_truncated: "),
        ("image", b"no picture", "row 896-0: image_unreadable: "),
        ("audio", b"no recording", "row 896-0: audio_unreadable: "),
    ],
)
def test_a_row_that_cannot_be_decoded_is_named_in_one_line(
    tmp_path: Path, medium: str, data: bytes, message: str
) -> None:
    write_sier(tmp_path)
    rows = [sier_row(number, 0) for number in (3, 4, 5)]
    rows[1][medium]["bytes"] = data
    write_folder(tmp_path, "sier", [pa.Table.from_pylist(rows, schema=SIER)], ["data/train-00000-of-00001.parquet"])
    with pytest.raises(UserError) as caught:
        open_inputs("sier_train", INPUTS, context_at(tmp_path))
    assert "\n" not in str(caught.value)
    assert f"train-00000-of-00001.parquet: {message}" in str(caught.value)
    assert str(caught.value).endswith("; run: dvc repro --force assemble")


def test_data_that_is_missing_or_at_odds_is_a_users_error(tmp_path: Path) -> None:
    here = context_at(tmp_path)
    with pytest.raises(UserError, match=r"sier/manifest\.jsonl: not found; run: dvc repro assemble"):
        open_inputs("sier_train", INPUTS, here)
    write_clean(tmp_path, unknown=["7-0", "8-0"])
    with pytest.raises(
        UserError, match=r"speech: 2 of its rows are not in .*clean; run: dvc repro --force clean synth"
    ):
        open_inputs("clean", INPUTS, here)
    rows = [{**sier_row(number, 0), "label": 4} for number in range(2)]
    write_folder(tmp_path, "sier", [pa.Table.from_pylist(rows, schema=SIER)], ["data/train-00000-of-00001.parquet"])
    with pytest.raises(UserError, match="row 900-0: its class is none of the 4 expected ones, anger, happy, hate, sad"):
        open_inputs("sier_train", INPUTS, here)
    with pytest.raises(UserError, match="no rows for sier_test"):
        open_inputs("sier_test", INPUTS, here)
    with pytest.raises(UserError, match=r"params\.yaml: train\.inputs: n_mels = 512 are too many"):
        open_inputs("sier_train", replace(INPUTS, n_mels=512), here)


def test_a_picture_is_squashed_whole_with_antialiasing() -> None:
    halves = np.zeros((40, 200, 3), np.uint8)
    halves[:, 100:] = (255, 128, 0)
    found = image_array(Image.fromarray(halves), 16)
    assert (str(found.dtype), found.shape, found.flags.c_contiguous) == ("uint8", (3, 16, 16), True)
    assert found[:, :, :7].max() == 0
    assert {tuple(pixel) for pixel in found[:, :, 9:].reshape(3, -1).T} == {(255, 128, 0)}
    checks = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    grey = image_array(Image.fromarray(checks), 32)[:, 1:-1, 1:-1]
    assert abs(grey.astype(int) - 127).max() <= 1


def test_a_spectrogram_is_that_of_the_model_rounded_to_half() -> None:
    waveform = audio.decode(flac(1))
    found = spectrogram_array(waveform, duration_seconds=1.0, n_mels=24, n_frames=20)
    assert (str(found.dtype), found.shape) == ("float16", (24, 20))
    exact = log_mel([waveform], duration_seconds=1.0, n_mels=24, n_frames=20)[0, 0].numpy()
    np.testing.assert_array_equal(found, exact.astype(np.float16))
    assert 0 < np.abs(found - exact).max() < 2.0**-11
