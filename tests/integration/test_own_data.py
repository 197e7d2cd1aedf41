"""docs/tutorials/own-data.md, word for word: 30 rows of a csv become a labelled dataset."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from pipeline import sample
from pipeline.corpora import b_t4sa
from tests.builders_further import write_csv
from tests.project import HERE, TINY, Project, one_error_line

TUTORIAL = (HERE / "docs/tutorials/own-data.md").read_text(encoding="utf-8")
ROWS = 30
# One worker, whose work the stage does itself: two would load torch once more each, in every stage. And this checkout,
# whichever is installed.
ENVIRONMENT = {"SIER_WORKERS": "1", "PYTHONPATH": str(HERE)}


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TUTORIAL, re.DOTALL)
    return str(found)


def write_own(root: Path, tmp_path: Path) -> None:
    """The tutorial's own rows and further ones of the same columns; texts and pictures are those of the sample."""
    header, *shown = csv.reader(block("csv").splitlines())
    sample.make_b_t4sa(tmp_path / "sample", seed=3, tweets=40)
    with (tmp_path / "sample" / "raw_tweets_text.csv").open(encoding="utf-8", errors="ignore", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file) if 20 < len(row["text"] or "") < 100]
    texts = [text for text in dict.fromkeys(texts) if text.isascii() and text.isprintable()]
    pictures = pictures_of(tmp_path / "sample" / "b-t4sa_imgs.tar")
    rows = [*shown, *([text, f"photos/{n:03}.jpg"] for n, text in enumerate(texts, len(shown) + 1))][:ROWS]
    assert len(rows) == ROWS
    (root / "photos").mkdir(parents=True)
    write_csv(root / "my.csv", [header, *rows])
    for (_, name), data in zip(rows, pictures, strict=False):
        (root / name).write_bytes(data)


def pictures_of(tar: Path) -> list[bytes]:
    index = b_t4sa.index_tar(tar).to_pylist()
    with b_t4sa.ImageReader(tar) as reader:
        found = [reader.read_row(row, 10**7) for row in index if row["member"].endswith(".jpg")]
    return list(dict.fromkeys(data for data in found if len(data) > 2000))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project after the tutorial's three lines; behind the first, corpora of teachers and networks become small."""
    folder = tmp_path_factory.mktemp("own")
    write_own(folder / "here", folder)
    first, *then = block("sh").splitlines()
    done = (here := Project(folder / "here", ENVIRONMENT)).run("bash", "-ec", first)
    assert done.returncode == 0, done.stderr
    assert f"{ROWS} of {ROWS} rows can be used, 0 have a sentiment" in done.stdout
    mine = replace(here, root=here.root / "mine")
    assert not any(model["rows"] == "clean" for model in mine.params()["models"].values())
    kept = {name: value for name, value in TINY.items() if name != "acquire.b_t4sa.sample_size"}
    mine.set_params({**kept, "models": {"parallelnet": TINY["models"]["parallelnet"]}})
    done = here.run("bash", "-ec", "\n".join(then))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return mine


def test_thirty_rows_become_a_dataset_by_three_lines(own: Project) -> None:
    manifest = json.loads((own.root / "data/corpora/b_t4sa/manifest.json").read_text(encoding="utf-8"))
    assert (manifest["format"], manifest["counts"]) == ("table", {"rows": ROWS, "train": ROWS})
    assert {file["name"] for file in manifest["files"]} == {"my.csv", *(f"photos/{n:03}.jpg" for n in range(1, 31))}
    rows = pq.read_table(own.root / "data/sier/data").to_pylist()
    assert len(rows) >= 5
    assert all(row["sentiment"] is None and re.fullmatch(r"0000\d\d-1", row["id"]) for row in rows)
    label = json.loads((own.root / "reports/label.json").read_text(encoding="utf-8"))
    assert "not measured (no text has one)" in label["verdict"]["words"]
    card = (own.root / "data/sier/README.md").read_text(encoding="utf-8")
    assert "not measured" in card
    assert "B-T4SA" not in card
    done = own.run("python", "-c", block("python"), HF_HUB_OFFLINE="1", HF_HOME=str(own.root / ".hf"))
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()
    assert shown[0] == "['anger', 'happy', 'hate', 'sad']"
    assert 0 < len(shown) - 1 < len(rows)  # of train


def test_all_further_stages_and_commands_do_without_a_sentiment(own: Project) -> None:
    own.build()  # what the tutorial has not made
    page = (own.root / "reports/index.html").read_text(encoding="utf-8")
    assert "not measured (no text has one)" in page
    for command in (("summary",), ("verify",), ("publish", "--repo-id", "me/own", "--dry-run", "--allow-sample")):
        done = own.run("sier", *command, HF_TOKEN="x", HF_HUB_OFFLINE="1")
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def test_the_tutorials_lines_of_params_are_those_that_init_writes(own: Project) -> None:
    written = yaml.safe_load(block("yaml"))["acquire"]["b_t4sa"]
    found = own.params()["acquire"]["b_t4sa"]
    assert {**written, "path": f"../{written['path']}"} == {name: found[name] for name in written}
    own.set_params({"models": {"sentiment": {**TINY["models"]["parallelnet"], "rows": "clean"}}})
    assert "models.sentiment.rows = clean" in one_error_line(own.stage("acquire@b_t4sa"))
