from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import threadpoolctl
import torch
from torch.utils.data import DataLoader

from pipeline.engine import shards
from pipeline.engine.local import LocalEngine
from pipeline.engine.worker import Engine
from pipeline.errors import UserError
from pipeline.networks import decoding, inputs
from pipeline.networks.inputs import collate, open_inputs
from tests.builders_sier import INPUTS, context_at, write_sier
from tests.damage import flip_bit
from tests.orders import Reordered
from tests.patience import finish

PROJECT = Path(__file__).resolve().parents[3]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Indices of the parts that this process decodes."""
    calls: list[int] = []
    work = decoding.Decoder.__call__

    def counting(self: decoding.Decoder, task: shards.Task) -> shards.Output:
        calls.append(task.index)
        return work(self, task)

    monkeypatch.setattr(decoding.Decoder, "__call__", counting)
    return calls


def test_a_second_call_decodes_nothing_and_maps_the_same_files(tmp_path: Path, decoded: list[int]) -> None:
    write_sier(tmp_path)
    first = open_inputs("sier_train", INPUTS, context_at(tmp_path))
    assert decoded == [0, 1, 2, 3]
    before = content(first.folder)
    assert sorted(before) == ["images.npy", "rows.parquet", "seal.json", "spectrograms.npy"]
    second = open_inputs("sier_train", INPUTS, context_at(tmp_path))
    assert len(decoded) == 4
    assert content(second.folder) == before
    pd.testing.assert_frame_equal(first.rows, second.rows)
    for array in (second.images, second.spectrograms):
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable
        assert Path(str(array.filename)).parent == second.folder.resolve()


def test_neither_workers_nor_their_order_change_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "FEW_ROWS", 0)
    found = []
    engines: list[Engine] = [LocalEngine(1), Reordered(LocalEngine(1), "reverse"), LocalEngine(2)]
    for place, engine in enumerate(engines):
        root = tmp_path / str(place)
        write_sier(root)
        found.append(content(open_inputs("sier_train", INPUTS, context_at(root, engine)).folder))
    assert found[0] == found[1] == found[2]


def open_elsewhere(root: Path, kill_at: int = -1, processes: int = 1) -> subprocess.Popen[str]:
    """`open_inputs` in a process of its own; each part that it begins is a line of its output.

    It waits until as many `processes` have come so far, and dies when it comes to part `kill_at`.
    """
    script = f"""
import os, signal, time
from pathlib import Path
from pipeline.networks import decoding
from pipeline.networks.inputs import open_inputs
from tests import builders_sier as t
root = Path({str(root)!r})
work = decoding.Decoder.__call__
def noting(self, task):
    if task.index == {kill_at}:
        os.kill(os.getpid(), signal.SIGKILL)
    print("part", task.index, flush=True)
    time.sleep(0.3 * ({processes} - 1))
    return work(self, task)
decoding.Decoder.__call__ = noting
(root / f"ready-{{os.getpid()}}").touch()
while len(list(root.glob("ready-*"))) < {processes}:
    time.sleep(0.01)
print(len(open_inputs("sier_train", t.INPUTS, t.context_at(root)).images), "rows")
"""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)


def test_after_a_kill_between_two_parts_only_the_missing_ones_are_decoded(
    tmp_path: Path, decoded: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    write_sier(tmp_path)
    with open_elsewhere(tmp_path, kill_at=2) as process:
        output, _ = finish(process)
    assert (process.returncode, output.split("\n")) == (-signal.SIGKILL, ["part 0", "part 1", ""])
    found = open_inputs("sier_train", INPUTS, context_at(tmp_path))
    assert decoded == [2, 3]
    assert "inputs sier_train: 2 of 4 shards were finished by an earlier run" in capsys.readouterr().err
    write_sier(tmp_path / "undisturbed")
    whole = open_inputs("sier_train", INPUTS, context_at(tmp_path / "undisturbed"))
    assert content(found.folder) == content(whole.folder)


def test_two_processes_at_once_decode_each_part_once(tmp_path: Path) -> None:
    write_sier(tmp_path)
    with open_elsewhere(tmp_path, processes=2) as one, open_elsewhere(tmp_path, processes=2) as other:
        outputs = [finish(process)[0].splitlines() for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0)
    assert sorted(outputs[0] + outputs[1]) == ["12 rows", "12 rows", "part 0", "part 1", "part 2", "part 3"]


def test_torn_or_missing_files_are_made_again(tmp_path: Path) -> None:
    write_sier(tmp_path)
    folder = open_inputs("sier_train", INPUTS, context_at(tmp_path)).folder
    whole = content(folder)
    for name, left in (("images.npy", -5), ("spectrograms.npy", None), ("rows.parquet", 10), ("seal.json", 10)):
        (folder / name).unlink()
        if left is not None:
            (folder / name).write_bytes(whole[name][:left])
        open_inputs("sier_train", INPUTS, context_at(tmp_path))
        assert content(folder) == whole


@pytest.mark.parametrize("name", ["images.npy", "spectrograms.npy", "rows.parquet"])
def test_a_flipped_bit_is_made_good(name: str, tmp_path: Path) -> None:
    write_sier(tmp_path)
    folder = open_inputs("sier_train", INPUTS, context_at(tmp_path)).folder
    whole = content(folder)
    flip_bit(folder / name)
    open_inputs("sier_train", INPUTS, context_at(tmp_path))
    assert content(folder) == whole


def test_a_changed_parameter_makes_another_folder_and_removes_the_old(tmp_path: Path) -> None:
    write_sier(tmp_path)
    test = open_inputs("sier_test", INPUTS, context_at(tmp_path))
    seen = {open_inputs("sier_train", INPUTS, context_at(tmp_path)).folder}
    changes: list[dict[str, Any]] = [{"image_size_px": 40}, {"n_mels": 20}, {"n_frames": 30}, {"duration_seconds": 0.5}]
    for change in changes:
        params = replace(INPUTS, **change)
        found = open_inputs("sier_train", params, context_at(tmp_path))
        assert found.folder not in seen
        assert [path for path in found.folder.parent.iterdir() if path.is_dir()] == [found.folder]
        assert found.images.shape == (12, 3, params.image_size_px, params.image_size_px)
        assert found.spectrograms.shape == (12, params.n_mels, params.n_frames)
        seen.add(found.folder)
    assert test.folder.is_dir()  # another source


def test_changed_data_is_decoded_anew_and_until_it_is_the_old_stays(tmp_path: Path) -> None:
    write_sier(tmp_path)
    old = open_inputs("sier_train", INPUTS, context_at(tmp_path))
    write_sier(tmp_path, seed=50)
    damaged = tmp_path / "data" / "sier" / "data" / "train-00003-of-00004.parquet"
    whole = damaged.read_bytes()
    damaged.unlink()
    damaged.write_bytes(bytes(len(whole)))
    with pytest.raises(UserError):
        open_inputs("sier_train", INPUTS, context_at(tmp_path))
    assert old.folder.is_dir()
    damaged.write_bytes(whole)
    new = open_inputs("sier_train", INPUTS, context_at(tmp_path))
    assert not old.folder.exists()
    assert new.rows["id"].tolist() == [f"{850 - number}-0" for number in range(12)]


def test_threads_and_environment_are_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        pools = {library["filepath"]: library["num_threads"] for library in threadpoolctl.threadpool_info()}
        assert 2 in pools.values()
        write_sier(tmp_path)
        open_inputs("sier_train", INPUTS, context_at(tmp_path))
        assert torch.get_num_threads() == 2
        after = {library["filepath"]: library["num_threads"] for library in threadpoolctl.threadpool_info()}
        assert {path: after[path] for path in pools} == pools
        assert (os.environ["OMP_NUM_THREADS"], "MKL_NUM_THREADS" in os.environ) == ("2", False)
    finally:
        torch.set_num_threads(before)


def test_select_takes_masks_and_places(tmp_path: Path) -> None:
    write_sier(tmp_path)
    found = open_inputs("sier_train", INPUTS, context_at(tmp_path))
    masked = found.select(found.rows["fold"] == 1)
    assert (len(masked), masked.indices.tolist(), masked.labels.tolist()) == (3, [1, 6, 11], [1, 2, 3])
    ordered = found.select([5, 0, 5])
    assert [item["labels"] for item in (ordered[0], ordered[1], ordered[2])] == [1, 0, 1]
    np.testing.assert_array_equal(ordered[0]["pixel_values"], found.images[5])
    np.testing.assert_array_equal(ordered[0]["spectrogram"], found.spectrograms[5])
    with pytest.raises(ValueError, match=r"expected a mask of 12 rows, found one of shape \(3,\)"):
        found.select([True, False, True])
    with pytest.raises(IndexError):
        found.select([12])
    with pytest.raises(IndexError):
        ordered[3]


def test_collate_makes_floats_from_zero_to_one(tmp_path: Path) -> None:
    write_sier(tmp_path)
    found = open_inputs("sier_train", INPUTS, context_at(tmp_path))
    rows = found.select([2, 7])
    batch = collate([rows[0], rows[1]])
    assert {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in batch.items()} == {
        "pixel_values": (torch.float32, (2, 3, 32, 32)),
        "spectrogram": (torch.float32, (2, 1, 24, 20)),
        "labels": (torch.int64, (2,)),
    }
    np.testing.assert_array_equal(batch["pixel_values"].numpy(), found.images[[2, 7]] / np.float32(255))
    np.testing.assert_array_equal(batch["spectrogram"][:, 0].numpy(), found.spectrograms[[2, 7]].astype(np.float32))
    assert batch["labels"].tolist() == [2, 3]
    white = collate([{"pixel_values": np.full((3, 2, 2), 255, np.uint8)}])
    assert list(white) == ["pixel_values"]
    assert bool((white["pixel_values"] == 1.0).all())


def test_loader_processes_give_the_same_batches(tmp_path: Path) -> None:
    write_sier(tmp_path)
    rows = open_inputs("sier_train", INPUTS, context_at(tmp_path)).select(np.arange(12))
    rows[0]  # the files are mapped, and still nothing of them is in the copy
    assert len(pickle.dumps(rows)) < 2_000
    runs = []
    for workers in (0, 2):
        order = torch.Generator().manual_seed(3)
        loader = DataLoader(rows, batch_size=5, shuffle=True, generator=order, collate_fn=collate, num_workers=workers)
        runs.append(list(loader))
    assert [len(batch["labels"]) for batch in runs[0]] == [5, 5, 2]
    for one, other in zip(*runs, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in ("pixel_values", "spectrogram", "labels"))
