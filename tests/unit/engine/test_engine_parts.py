"""A stage in parts, as the tasks of a Slurm array do it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine import lifecycle, parts, shards
from pipeline.engine.local import LocalEngine
from pipeline.engine.parts import Part, PartDone
from pipeline.engine.work import Work, run_shards
from pipeline.errors import UserError
from pipeline.frame.stage import Report, stage_main
from tests.engine_workers import Squares, calls, tasks
from tests.slow_stage import PARAMS, SlowParams
from tests.slow_stage import run as run_slow

SHARDS = 5


@given(st.integers(1, 999_999), st.data())
def test_a_part_is_read_as_it_is_written_and_the_parts_share_all_shards(count: int, data: st.DataObject) -> None:
    part = Part(data.draw(st.integers(0, count - 1)), count)
    assert Part.parse(str(part)) == part
    shard = data.draw(st.integers(0, 10_000_000))
    assert part.has(shard) == (shard % count == part.index)
    assert Part(shard % count, count).has(shard)


@pytest.mark.parametrize("text", ["", "1", "2/2", "-1/2", "1/0", "0/0", "1/2/3", "a/b", "1.0/2", "１/２", "0/1000000"])
def test_what_is_no_part_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match=r"^SIER_SHARD = .*: expected i/n with 0 <= i < n, such as 0/8$"):
        Part.parse(text)


def squares(folder: Path, log: Path, *, last: bool = True) -> Work:
    return Work("squares", folder, "f", partial(Squares, log), tasks(SHARDS), last=last)


def run_part(work: Work, part: Part) -> str:
    """What the part says at its end."""
    with pytest.raises(PartDone) as done:
        run_shards(LocalEngine(1, part=part), work)
    return str(done.value)


def test_parts_do_their_own_shards_in_any_order_and_then_say_what_is_next(tmp_path: Path) -> None:
    work = squares(tmp_path / "work", tmp_path / "log")
    assert run_part(work, Part(1, 2)) == (
        "squares: part 1/2: 2 shards done now, 2 of 2 in all; 3 of 5 are other parts'; run those, then run without "
        "SIER_SHARD, which joins and publishes"
    )
    assert set(calls(tmp_path / "log")) == {"loaded", "shard-1", "shard-3"}
    assert run_part(work, Part(1, 2)).startswith(
        "squares: part 1/2: 0 shards done now, 2 of 2 in all; 3 of 5 are other"
    )
    assert run_part(work, Part(0, 2)) == (
        "squares: part 0/2: 3 shards done now, 3 of 3 in all; all 5 shards are done; run without SIER_SHARD, which "
        "joins and publishes"
    )
    assert run_part(work, Part(0, 2)) == "all shards are done; run without SIER_SHARD to publish"
    assert run_part(work, Part(6, 7)) == "all shards are done; run without SIER_SHARD to publish"
    found = run_shards(LocalEngine(1), work)
    assert calls(tmp_path / "log") == {"loaded": 2, **{f"shard-{index}": 1 for index in range(SHARDS)}}
    assert found == run_shards(LocalEngine(1), squares(tmp_path / "whole", tmp_path / "other"))


def test_a_pass_that_is_complete_is_passed_over_and_its_end_is_told(tmp_path: Path) -> None:
    first = squares(tmp_path / "work", tmp_path / "log", last=False)
    assert run_part(first, Part(0, 2)).endswith(
        "run those, then all parts again for the pass after this one, or run without SIER_SHARD, which joins and "
        "publishes"
    )
    assert run_part(first, Part(1, 2)).endswith(
        "all 5 shards are done; run all parts again for the next pass, or run without SIER_SHARD, which joins and "
        "publishes"
    )
    markers = run_shards(LocalEngine(1, part=Part(1, 2)), first)
    assert [shards.shard_index(marker) for marker in markers] == list(range(SHARDS))


def test_a_part_leaves_what_others_are_writing_alone(tmp_path: Path) -> None:
    work = squares(tmp_path / "work", tmp_path / "log")
    work.folder.mkdir()
    others = work.folder / ".part-00002.parquet.elsewhere-7.tmp"
    others.write_bytes(b"half")
    run_part(work, Part(0, 2))
    run_part(work, Part(1, 2))
    assert others.exists()
    run_shards(LocalEngine(1), work)
    assert not others.exists()


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIER_WORKERS", "1")
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "release").touch()
    return tmp_path


def stage(*, sharded: bool = True) -> int:
    return stage_main("slow_stage", SlowParams, run_slow, [], sharded=sharded)


def test_a_stage_in_parts_ends_with_75_and_publishes_only_without(
    slow: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in (0, 1, 0):
        monkeypatch.setenv("SIER_SHARD", f"{index}/2")
        assert stage() == parts.EXIT_CODE == 75
        assert not (slow / "data").exists()
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("slow_stage: ")]
    assert len(said) == 3
    assert said[-1] == "slow_stage: all shards are done; run without SIER_SHARD to publish"
    monkeypatch.delenv("SIER_SHARD")
    assert stage() == 0
    assert len((slow / "data" / "slow" / "manifest.jsonl").read_text().splitlines()) == 6
    assert {json.loads(path.read_text())["shard"] for path in (slow / ".work" / "slow").glob("*.json")} == {
        shards.shard_name(index) for index in range(6)
    }


def test_a_stage_without_shards_refuses_parts_before_it_does_anything(
    slow: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIER_SHARD", "0/2")
    assert stage(sharded=False) == 1
    assert capsys.readouterr().err == (
        "slow_stage: error: SIER_SHARD = 0/2: this stage cannot be run in parts; run it without\n"
    )
    assert not (slow / "log").exists()


def test_parts_run_beside_each_other_but_not_beside_themselves_or_the_whole(
    slow: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lifecycle, "LOCK_WAIT_SECONDS", 0.0)
    codes = {}

    def within(_params: SlowParams, _context: object) -> Report:
        # flock belongs to the opened file, so a run in this process is refused as one elsewhere is.
        for text in ("0/2", "1/2", ""):
            monkeypatch.setenv("SIER_SHARD", text)
            codes[text] = stage()
        raise PartDone("done")

    monkeypatch.setenv("SIER_SHARD", "0/2")
    assert stage_main("slow_stage", SlowParams, within, [], sharded=True) == 75
    assert codes == {"0/2": 1, "1/2": 75, "": 1}
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert [error.split(" is held by ")[0] for error in errors] == [
        "slow_stage: error: .work/slow_stage.part-0-of-2.lock",
        "slow_stage: error: .work/slow_stage.lock",
    ]
    assert "is held by runs of parts of this stage; wait for it or stop it" in errors[1]
