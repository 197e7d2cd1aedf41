from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.engine import files, shards
from pipeline.engine.shards import Marker, Output, Task
from pipeline.errors import UserError

SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("n", pa.int64(), nullable=False)])
PRINT = "fingerprint"


def output(first: int, rows: int, rejected: int = 0) -> Output:
    table = pa.table({"id": [str(first + row) for row in range(rows)], "n": list(range(rows))}, schema=SCHEMA)
    statuses = ("too_short", "empty")
    return Output(table, [(f"r{first + row}", statuses[row % 2], f"row {row}") for row in range(rejected)])


def commit(folder: Path, index: int, rows: int = 3, rejected: int = 2, fingerprint: str = PRINT) -> Marker:
    return shards.commit(folder, Task(index, rows + rejected, None), output(100 * index, rows, rejected), fingerprint)


def change(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_a_commit_is_a_part_its_rejects_and_a_marker_that_describes_them(tmp_path: Path) -> None:
    marker = commit(tmp_path, 7, rows=3, rejected=3)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()) == [
        "part-00007.json",
        "part-00007.parquet",
        "rejects/part-00007.parquet",
    ]
    assert marker.shard == shards.shard_name(7) == "part-00007"
    assert marker.rows_in == 6
    assert list(marker.counts.items()) == [("ok", 3), ("empty", 1), ("too_short", 2)]
    for file, rows in ((marker.part, 3), (marker.rejects, 3)):
        path = tmp_path / file.name
        assert (file.rows, file.bytes, file.sha256) == (rows, path.stat().st_size, files.sha256_of(path))
        assert pq.read_metadata(path).num_rows == rows
    assert shards.committed(tmp_path, 7, PRINT) == marker
    assert shards.committed(tmp_path, 6, PRINT) is None


def test_a_shard_of_rejects_only_and_one_without_rejects_are_shards(tmp_path: Path) -> None:
    for index, (rows, rejected) in enumerate([(0, 2), (2, 0), (0, 0)]):
        marker = commit(tmp_path, index, rows, rejected)
        assert shards.committed(tmp_path, index, PRINT) == marker
        assert shards.read_part(tmp_path, marker, SCHEMA).num_rows == rows
        assert len(shards.read_rejects(tmp_path, [marker])) == rejected


def test_the_same_shard_gives_the_same_bytes(tmp_path: Path) -> None:
    assert commit(tmp_path / "a", 1) == commit(tmp_path / "b", 1)
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


@pytest.mark.parametrize(("rows", "rejected"), [(3, 1), (4, 2), (0, 0), (6, 0)])
def test_lost_or_doubled_rows_fail_the_shard_and_leave_no_marker(tmp_path: Path, rows: int, rejected: int) -> None:
    with pytest.raises(ValueError, match=rf"shard 4: 5 rows in, but {rows + rejected} rows and rejects out"):
        shards.commit(tmp_path, Task(4, 5, None), output(0, rows, rejected), PRINT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "part-00000.json").unlink(),
        lambda folder: (folder / "part-00000.parquet").unlink(),
        lambda folder: (folder / "rejects" / "part-00000.parquet").unlink(),
        lambda folder: change(folder / "part-00000.parquet", 40),
        lambda folder: change(folder / "rejects" / "part-00000.parquet", -20),
        lambda folder: (folder / "part-00000.json").write_bytes((folder / "part-00000.json").read_bytes()[:-30]),
        lambda folder: (folder / "part-00000.json").write_bytes(b""),
        lambda folder: (folder / "part-00000.json").write_bytes(b"[]"),
        lambda folder: (folder / "part-00000.json").write_bytes(b"\xff{}"),
        lambda folder: (folder / "part-00000.json").write_text('{"shard": "part-00000"}'),
        lambda folder: (folder / "part-00000.parquet").write_bytes((folder / "part-00000.parquet").read_bytes()[:-1]),
    ],
    ids=["no marker", "no part", "no rejects", "part", "rejects", "torn", "empty", "list", "binary", "keys", "short"],
)
def test_a_damaged_shard_counts_as_not_done_and_can_be_done_again(tmp_path: Path, damage: object) -> None:
    marker = commit(tmp_path, 0)
    assert callable(damage)
    damage(tmp_path)
    assert shards.committed(tmp_path, 0, PRINT) is None
    assert commit(tmp_path, 0) == marker
    assert shards.committed(tmp_path, 0, PRINT) == marker


def test_any_flipped_bit_of_a_marker_is_noticed(tmp_path: Path) -> None:
    marker = commit(tmp_path, 0)
    path = tmp_path / "part-00000.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert shards.committed(tmp_path, 0, PRINT) is None, place
    path.write_bytes(whole)
    assert shards.committed(tmp_path, 0, PRINT) == marker


def test_a_shard_of_another_fingerprint_or_format_counts_as_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(tmp_path, 0)
    assert shards.committed(tmp_path, 0, "another") is None
    monkeypatch.setattr(shards, "FORMAT", shards.FORMAT + 1)
    assert shards.committed(tmp_path, 0, PRINT) is None


def test_the_marker_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    real = files.write_atomically

    def watched(path: Path, write: object) -> None:
        order.append(path.relative_to(tmp_path).as_posix())
        assert callable(write)
        real(path, write)

    monkeypatch.setattr(files, "write_atomically", watched)
    commit(tmp_path, 0)
    assert order == ["part-00000.parquet", "rejects/part-00000.parquet", "part-00000.json"]


def test_a_crash_before_the_marker_means_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_path: Path, _data: bytes) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_bytes", crash)
        with pytest.raises(KeyboardInterrupt):
            commit(tmp_path, 0)
    assert (tmp_path / "part-00000.parquet").exists()
    assert shards.committed(tmp_path, 0, PRINT) is None


def published(tmp_path: Path) -> tuple[Path, list[Marker]]:
    work, out = tmp_path / "work", tmp_path / "data" / "out"
    markers = [commit(work, 0, 3, 2), commit(work, 1, 2, 0)]
    shards.publish(work, markers, out, {"extra.json": b"{}\n"})
    return out, markers


def test_publish_hard_links_shards_and_writes_the_manifest_and_extras(tmp_path: Path) -> None:
    out, markers = published(tmp_path)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == [
        "extra.json",
        "manifest.jsonl",
        "part-00000.parquet",
        "part-00001.parquet",
        "rejects/part-00000.parquet",
        "rejects/part-00001.parquet",
    ]
    for name in ("part-00000.parquet", "rejects/part-00001.parquet"):
        assert (out / name).stat().st_ino == (tmp_path / "work" / name).stat().st_ino
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert lines == [{**asdict(marker), "shards": 2} for marker in markers]
    assert lines[0]["counts"] == {"ok": 3, "empty": 1, "too_short": 1}
    assert set(lines[0]["part"]) == {"name", "rows", "bytes", "sha256"}
    assert shards.read_manifest(out, "clean") == markers
    assert not (tmp_path / "work" / "out").exists()


def test_publish_replaces_the_whole_folder_and_leaves_work_as_it_was(tmp_path: Path) -> None:
    out, markers = published(tmp_path)
    (out / "left-over").write_text("of a former run")
    shards.publish(tmp_path / "work", markers[:1], out)
    assert sorted(path.name for path in out.iterdir()) == ["manifest.jsonl", "part-00000.parquet", "rejects"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert [shards.committed(tmp_path / "work", index, PRINT) for index in (0, 1)] == markers


def test_publish_starts_afresh_after_a_crash_in_an_earlier_publish(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "out").mkdir(parents=True)
    (work / "out" / "half").write_text("left by a crash")
    (work / "out" / "part-00000.parquet").write_text("left by a crash")
    out, markers = published(tmp_path)
    assert not (out / "half").exists()
    assert shards.read_part(out, markers[0], SCHEMA).num_rows == 3


def test_publish_under_other_names_makes_no_rejects(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    committed = [commit(work, index, 2, 0) for index in range(2)]
    shards.publish(work, committed, out, names=["train-0.parquet", "test-0.parquet"])
    markers = shards.read_manifest(out, "assemble")
    assert sorted(path.name for path in out.iterdir()) == ["manifest.jsonl", "test-0.parquet", "train-0.parquet"]
    assert [(marker.shard, marker.part.name) for marker in markers] == [
        ("train-0", "train-0.parquet"),
        ("test-0", "test-0.parquet"),
    ]
    assert shards.read_part(out, markers[1], SCHEMA)["id"].to_pylist() == ["100", "101"]
    with pytest.raises(ValueError, match="zip"):
        shards.publish(work, committed, out, names=["one.parquet"])


@pytest.mark.parametrize("lines", [0, 1])
def test_a_manifest_cut_between_two_lines_is_known_for_one(tmp_path: Path, lines: int) -> None:
    out, _ = published(tmp_path)
    whole = (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (out / "manifest.jsonl").write_text("".join(whole[:lines]), encoding="utf-8")
    with pytest.raises(UserError, match=f"{lines} lines"):
        shards.read_manifest(out, "clean")


def test_a_missing_manifest_names_the_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        shards.read_manifest(tmp_path / "clean", "clean")
    assert str(caught.value) == f"{tmp_path}/clean/manifest.jsonl: not found; run: dvc repro clean"


@pytest.mark.parametrize("text", ["{", "[]\n", '{"shard": "part-00000"}\n', b"\xff\xfe", "7\n"])
def test_a_damaged_manifest_names_the_stage_to_run_anew(tmp_path: Path, text: str | bytes) -> None:
    out, _ = published(tmp_path)
    (out / "manifest.jsonl").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        shards.read_manifest(out, "score@speech")
    assert str(caught.value) == f"{out}/manifest.jsonl: damaged; run: dvc repro score@speech --force"


@pytest.mark.parametrize("name", ["part-00001.parquet", "rejects/part-00000.parquet"])
@pytest.mark.parametrize("cut", [True, False])
def test_a_missing_or_cut_part_is_found_before_anything_is_read(tmp_path: Path, name: str, cut: bool) -> None:
    out, _ = published(tmp_path)
    size = (out / name).stat().st_size
    data = (out / name).read_bytes()
    (out / name).unlink()
    if cut:
        (out / name).write_bytes(data[:-1])
    with pytest.raises(UserError) as caught:
        shards.read_manifest(out, "clean")
    assert str(caught.value) == (
        f"{out}/{name}: missing or not {size} bytes long as manifest.jsonl says; run: dvc repro clean --force"
    )


def test_a_part_that_is_not_parquet_or_breaks_the_contract_is_a_user_error(tmp_path: Path) -> None:
    out, markers = published(tmp_path)
    with pytest.raises(UserError, match="n is int64, expected int32"):
        shards.read_part(out, markers[0], pa.schema([SCHEMA.field("id"), pa.field("n", pa.int32(), nullable=False)]))
    with pytest.raises(UserError, match=r"missing \['other'\]"):
        shards.read_part(out, markers[0], SCHEMA.append(pa.field("other", pa.string())))
    assert shards.read_part(out, markers[0], columns=["n"]).column_names == ["n"]
    (out / "part-00000.parquet").write_bytes(b"x" * markers[0].part.bytes)
    with pytest.raises(UserError, match=r"part-00000\.parquet: cannot be read as Parquet: [^\n]+$"):
        shards.read_part(out, markers[0], SCHEMA)


def test_a_column_that_is_not_there_is_a_user_error(tmp_path: Path) -> None:
    out, markers = published(tmp_path)
    with pytest.raises(UserError, match="voice"):
        shards.read_part(out, markers[0], columns=["id", "voice"])


def test_rejects_of_all_shards_come_in_order(tmp_path: Path) -> None:
    markers = [commit(tmp_path, 0, 1, 1), commit(tmp_path, 1, 1, 0), commit(tmp_path, 2, 0, 2)]
    assert shards.read_rejects(tmp_path, markers) == [
        ("r0", "too_short", "row 0"),
        ("r200", "too_short", "row 0"),
        ("r201", "empty", "row 1"),
    ]
    assert shards.read_rejects(tmp_path, []) == []


def test_counts_add_up_over_shards_with_ok_first(tmp_path: Path) -> None:
    markers = [commit(tmp_path, 0, 0, 3), commit(tmp_path, 1, 4, 1)]
    assert list(shards.total_counts(markers).items()) == [("ok", 4), ("empty", 1), ("too_short", 3)]
    assert sum(shards.total_counts(markers).values()) == sum(marker.rows_in for marker in markers)
    assert shards.total_counts([]) == {"ok": 0}


def test_a_marker_survives_json(tmp_path: Path) -> None:
    marker = commit(tmp_path, 0)
    assert Marker.from_json(json.loads(json.dumps(asdict(marker)))) == marker
    assert replace(marker, shard="other") != marker
