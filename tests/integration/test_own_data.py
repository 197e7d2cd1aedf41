"""The tutorial "Your own data", word for word: 30 rows of a csv become a labelled dataset."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from pipeline import sample
from tests.builders_further import write_csv
from tests.project import TINY, Project, new_project, one_error_line

SECTION = (Path(__file__).parents[2] / "docs" / "tutorials" / "own-data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", SECTION, re.DOTALL)
ROWS = 30


def block(language: str) -> str:
    (found,) = (text for name, text in BLOCKS if name == language)
    return str(found)


def leaves(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= leaves(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found


def write_own(root: Path, tmp_path: Path) -> None:
    """The page's own rows and further ones of the same columns; texts and pictures are those of the sample."""
    header, *shown = csv.reader(block("csv").splitlines())
    sample.make_b_t4sa(tmp_path / "sample", seed=3, tweets=40)
    with (tmp_path / "sample" / "raw_tweets_text.csv").open(encoding="utf-8", errors="ignore", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file) if 20 < len(row["text"] or "") < 100]
    texts = [text for text in dict.fromkeys(texts) if text.isascii() and text.isprintable()]
    pictures = pictures_of(tmp_path / "sample" / "b-t4sa_imgs.tar")
    rows = [*shown, *([text, f"photos/{n:03}.jpg"] for n, text in enumerate(texts, len(shown) + 1))][:ROWS]
    assert len(rows) == ROWS
    write_csv(root / "pairs.csv", [header, *rows])
    (root / "photos").mkdir()
    for (_, name), data in zip(rows, pictures, strict=False):
        (root / name).write_bytes(data)


def pictures_of(tar: Path) -> list[bytes]:
    from pipeline.corpora import b_t4sa

    index = b_t4sa.index_tar(tar).to_pylist()
    with b_t4sa.ImageReader(tar) as reader:
        found = [reader.read_row(row, 10**7) for row in index if row["member"].endswith(".jpg")]
    return list(dict.fromkeys(data for data in found if len(data) > 2000))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("own")
    tiny = {**TINY, "synthesize.recognition.share": 1.0}  # words are what the speech teacher goes by
    # One worker, whose work the stage does itself: two would load torch once more each, in every stage.
    project = new_project(folder / "project", {**tiny, **leaves(yaml.safe_load(block("yaml")))}, SIER_WORKERS="1")
    write_own(project.root / "my-pairs", folder)
    return project


def test_the_page_followed_word_for_word(own: Project) -> None:
    line = one_error_line(own.stage("acquire@b_t4sa"))
    assert "models.parallelnet_sentiment.rows = clean" in line
    own.set_params({"models": {"parallelnet": TINY["models"]["parallelnet"]}})
    for command in block("bash").splitlines():
        done = own.run(*shlex.split(command, comments=True))
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    manifest = json.loads((own.root / "data/corpora/b_t4sa/manifest.json").read_text(encoding="utf-8"))
    assert (manifest["format"], manifest["counts"]) == ("pairs", {"pairs": ROWS, "train": ROWS})
    assert {"pairs.csv", "photos/001.jpg", "photos/030.jpg"} <= {file["name"] for file in manifest["files"]}
    rows = pq.read_table(own.root / "data/sier/data").to_pylist()
    assert len(rows) >= 5
    assert all(row["sentiment"] is None and re.fullmatch(r"0000\d\d-1", row["id"]) for row in rows)
    label = json.loads((own.root / "reports/label.json").read_text(encoding="utf-8"))
    assert "not measured (no text has one)" in label["verdict"]["words"]
    card = (own.root / "data/sier/README.md").read_text(encoding="utf-8")
    assert "not measured" in card
    assert "B-T4SA" not in card


def test_all_further_stages_and_commands_do_without_a_sentiment(own: Project) -> None:
    own.set_params({"models": {"parallelnet": TINY["models"]["parallelnet"]}})
    own.build()  # what the test above has not made
    page = (own.root / "reports/index.html").read_text(encoding="utf-8")
    assert "not measured (no text has one)" in page
    for command in (("summary",), ("verify",), ("publish", "--repo-id", "me/own", "--dry-run", "--allow-sample")):
        done = own.run("sier", *command, HF_TOKEN="x", HF_HUB_OFFLINE="1")
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
