"""`sier init`: a project folder that reads one's own table, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from pipeline.commands.command import main
from pipeline.commands.init import COPIES, LINKS
from tests.builders_further import write_csv, write_pictures
from tests.project import HERE

HEADER = ("text", "image", "sentiment", "split")
SPLITS = ("train", "val", "test")


def write_table(folder: Path, rows: Sequence[tuple[str, ...]]) -> Path:
    write_pictures(folder, ("a.jpg",))
    write_csv(folder / "my.csv", [HEADER, *rows])
    return folder / "my.csv"


def init(folder: Path, given: Path) -> int:
    return main(["init", str(folder), "--table", str(given)])


def test_params_differ_from_the_samples_in_what_init_says_and_keep_their_comments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write_table(tmp_path / "my \u00fc: #1", [("one", "a.jpg", "", ""), ("two", "b.jpg", "", "")])
    assert init(tmp_path / "mine", given) == 0
    told = capsys.readouterr().out
    assert "1 of 2 rows can be used, 0 have a sentiment" in told
    assert "1 file_missing, the first my.csv:2: no file 'b.jpg' beside my.csv" in told
    text = (tmp_path / "mine/params.yaml").read_text(encoding="utf-8")
    sample = yaml.safe_load((HERE / "params.yaml").read_text(encoding="utf-8"))
    del sample["models"]["parallelnet_sentiment"]
    sample["acquire"]["b_t4sa"] |= {"format": "table", "path": "../my \u00fc: #1/my.csv", "max_lost_share": 0.2}
    sample["clean"]["image"]["max_lost_share"] = 0.2
    assert yaml.safe_load(text) == sample
    assert text.count(" # ") == (HERE / "params.yaml").read_text(encoding="utf-8").count(" # ")
    assert all((tmp_path / "mine" / name).samefile(HERE / name) for name in LINKS)
    assert all((tmp_path / "mine" / name).exists() for name in COPIES)


def test_a_table_with_all_sentiments_and_splits_keeps_the_network_that_learns_them(tmp_path: Path) -> None:
    sentiments = ("negative", "neutral", "positive")
    rows = [("text", "a.jpg", sentiment, split) for sentiment, split in zip(sentiments, SPLITS, strict=True)]
    assert init(tmp_path / "mine", write_table(tmp_path, rows)) == 0
    models = yaml.safe_load((tmp_path / "mine/params.yaml").read_text(encoding="utf-8"))["models"]
    assert models["parallelnet_sentiment"]["rows"] == "clean"


@pytest.mark.parametrize(
    ("folder", "given", "line"),
    [
        ("mine", "no.csv", "no.csv: no such file or folder; expected a table with columns text and image"),
        ("mine", "bad.csv", "bad.csv: expected a column image or picture or file_name, found 'text, photo'"),
        ("mine", "empty.csv", "none of 1 rows is usable"),
        ("taken", "my.csv", "taken/params.yaml: is there already; name another folder, or remove it"),
        ("my.csv", "my.csv", "my.csv: expected a new folder, found a file; name another"),
        (str(HERE / "pipeline" / "mine"), "my.csv", "lies in the project's own code; name a folder beside it"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str, given: str, line: str
) -> None:
    write_table(tmp_path, [("one", "a.jpg", "", "")])
    write_csv(tmp_path / "bad.csv", [("text", "photo"), ("one", "a.jpg")])
    write_csv(tmp_path / "empty.csv", [("text", "image"), ("one", "none.jpg")])
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/params.yaml").write_text("", encoding="utf-8")
    assert init(tmp_path / folder, tmp_path / given) == 1
    (found,) = capsys.readouterr().err.splitlines()
    assert line in found
    assert not (tmp_path / "mine").exists()
