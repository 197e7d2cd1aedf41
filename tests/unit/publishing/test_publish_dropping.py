"""Lists of tweets and rows that are left out, in `publish` and `rebuild`."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Value

from pipeline.commands.command import run_command
from pipeline.errors import UserError
from pipeline.networks.params import InputParams
from pipeline.publishing import export as exporting
from pipeline.publishing.dropping import Dropped, find, read_list
from tests.builders_sier import LABELS, write_clean

INPUTS = InputParams(image_size_px=32, n_mels=16, n_frames=16, duration_seconds=1.0)


def test_a_list_has_ids_comments_and_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(b"\xef\xbb\xbf# why\r\n12-0\r\n\r\n 7 # a tweet\r\n12-0\r\n")
    assert read_list(path) == ("12-0", "7")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no id"), (b"# nothing yet\n\n", "holds no id"), (b"\xff\xfe1\x000\x00", "no text in UTF-8"),
        (b"12\n13, 14\n", "line 2: expected one id"), (b"1" * 300, "line 1: expected one id"),
        (b"1\n\x1b[2J\n", "line 2: expected one id"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_told_with_its_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        read_list(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: no such file"):
        read_list(tmp_path / "absent")
    with pytest.raises(UserError, match="is no file"):
        read_list(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="is no file"):
        read_list(tmp_path / "pipe")


def test_a_tweet_stands_for_all_its_rows_and_a_row_for_itself() -> None:
    tweets = {"7-0": "7", "7-1": "7", "70-0": "70", "8-0": None, "8-1": None, "a-b-0": "group", "c-0": "group"}
    assert find(["7", "8-1", "9", "0", "-"], tweets) == Dropped(frozenset({"7-0", "7-1", "8-1"}), ("9", "0", "-"))
    assert find(["8"], tweets).ids == {"8-0", "8-1"}  # although data/clean does not have it
    assert find(["group"], tweets).ids == {"a-b-0", "c-0"}
    assert find(["a-b"], tweets).ids == {"a-b-0"}
    told = find([str(number) for number in range(30)], {}).told(Path("ids.txt"))
    assert told.startswith("ids.txt: 0 rows left out; 30 ids are of no row: 0, 1, ")
    assert told.endswith(", 19, ...")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, and a folder as `publish --mode no_media` makes it, of its rows and one that it does not have."""
    rows = write_clean(tmp_path)
    monkeypatch.chdir(tmp_path)
    clean = pa.concat_tables([pq.read_table(path) for path in sorted((tmp_path / "data" / "clean").glob("part-*"))])
    digests = dict(zip(clean["id"].to_pylist(), clean["image_sha256"].to_pylist(), strict=True))
    features = Features({
        "id": Value("string"), "label": ClassLabel(names=list(LABELS)), "image_sha256": Value("string"),
        "audio_sha256": Value("string"),
    })  # fmt: skip
    published: list[dict[str, Any]] = [
        {"id": row["id"], "label": number % 4, "image_sha256": digests[row["id"]],
         "audio_sha256": hashlib.sha256(row["audio"]).hexdigest()}
        for number, row in enumerate(rows)
    ]  # fmt: skip
    published.append({**published[0], "id": "555-0"})
    for split, part in (("train", published[:6]), ("test", published[6:])):
        path = tmp_path / "ids" / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(exporting.to_table(part, features), path)
    return tmp_path / "ids"


def rebuilt(folder: Path) -> set[str]:
    return {
        key for path in (folder / "data").iterdir() for key in pq.read_table(path, columns=["id"])["id"].to_pylist()
    }


def test_a_rebuild_leaves_out_what_was_deleted_since(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("ids.txt").write_text("101  # deleted\n103-0\n555\n8888\n9999\n")
    assert run_command("rebuild", ["--source", str(source), "--out", "out", "--refresh", "ids.txt"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "rebuild: ids.txt: 3 rows left out; 2 ids are of no row: 8888, 9999"
    assert "rebuilt 6" in said.out
    assert rebuilt(Path("out")) == {f"{number}-0" for number in (100, 102, 104, 105, 106, 107)}
    for path in Path("out").rglob("*"):
        assert path.is_dir() or not any(key in path.read_bytes() for key in (b"101-0", b"103-0", b"555-0")), path
    assert run_command("rebuild", ["--source", str(source), "--out", "whole"]) == 0
    assert len(rebuilt(Path("whole"))) == 8
    assert "555-0" in Path("whole", "rejects.csv").read_text()


@pytest.mark.parametrize(("content", "says"), [("", "holds no id"), (None, "cannot be read"), ("all", "no row of")])
def test_a_list_that_cannot_be_used_leaves_nothing_behind(
    source: Path, capsys: pytest.CaptureFixture[str], content: str | None, says: str
) -> None:
    if content is not None:
        everything = "\n".join([*(str(number) for number in range(100, 108)), "555"])
        Path("ids.txt").write_text(everything if content == "all" else content)
    assert run_command("rebuild", ["--source", str(source), "--out", "out", "--refresh", "ids.txt"]) == 1
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert not Path("out").exists()


def test_an_export_has_no_dropped_row_in_any_file(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = source.parent / "exported"
    monkeypatch.setattr(exporting, "_export_sier", lambda *_: None)
    exporting.export(Path("data"), folder, "no_media", INPUTS, keep_personal=False, dropped={"100-0", "104-0"})
    found = [key for path in sorted(folder.rglob("*.parquet")) for key in pq.read_table(path)["id"].to_pylist()]
    assert sorted(found) == [f"{number}-0" for number in (101, 102, 103, 105, 106, 107)]
