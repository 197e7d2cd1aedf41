"""Versions of a dataset on a small Hub: the number, what the CHANGELOG tells, and what is left out on request."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Value
from huggingface_hub import constants

from pipeline.commands import publish
from pipeline.commands.command import run_command
from pipeline.dataset.sources import Provenance
from pipeline.errors import UserError
from pipeline.labels.rules import LabelParams
from pipeline.publishing import cards, citations, croissant, facts, lineage, packages, pictures
from pipeline.publishing import hub as publishing
from pipeline.publishing.export import Exported, Part
from pipeline.publishing.facts import Facts
from pipeline.publishing.gate import Gate
from pipeline.publishing.history import versions
from pipeline.publishing.history.changelog import render
from pipeline.publishing.history.versions import Change, Contents, Previous, Record, Version
from tests import hub_server
from tests.builders_provenance import provenance
from tests.builders_sier import write_clean
from tests.hub_repositories import Fault
from tests.hub_server import TOKEN, USER, Hub

TEXT = Value("string")
COMMIT = "c" * 40
DAY = date(2026, 3, 4)


class Build:
    """What a project's data would hold: rows, a column more or less, what tells of them, and the teachers."""

    def __init__(self, provenance: Provenance) -> None:
        self.provenance = provenance
        self.labels = {"100-0": "sad", "101-0": "sad", "102-0": "anger", "103-0": "happy"}
        self.columns: dict[str, Any] = {"label": ClassLabel(names=["anger", "happy", "sad"]), "confidence": TEXT}
        self.values, self.card, self.sources = b"values", "card", {"voice": "a" * 64}
        self.others = dict.fromkeys(("DATASHEET.md", "LICENSE", "citation.bib", "croissant.json"), "as it was")

    def gather(self, _: object) -> Facts:
        rows = pd.DataFrame({"id": list(self.labels), "label": list(self.labels.values())})
        rule = LabelParams("max_probability", 0.5, {"anger": "anger"}, "none")
        return Facts({}, rule, {}, ("anger", "happy", "sad"), rows, self.provenance, False, None)

    def export(self, _: Path, folder: Path, *__: object, dropped: Any, **___: object) -> Exported:
        kept = sorted(set(self.labels) - set(dropped))
        (folder / "data").mkdir()
        content = json.dumps([(key, self.labels[key]) for key in kept]).encode()
        (folder / "data" / "train-0.parquet").write_bytes(content + self.values)
        features = Features({"id": TEXT, **self.columns})
        return Exported(
            folder, "no_media", {"data": features}, {"data": [Part("data/train-0.parquet", "train", len(kept))]}
        )

    def dataset_card(self, facts: Facts, *_: object, **__: object) -> str:
        assert facts.version is not None
        return f"# {self.card} {facts.version.number}, without {facts.on_request}\n"

    def datasheet(self, facts: Facts, _: object, gate: Gate, **__: object) -> str:
        assert facts.version is not None
        return f"{self.others['DATASHEET.md']}, {gate}, of {facts.version.day}"

    def croissant(self, facts: Facts, *_: object, published: date, **__: object) -> bytes:
        assert facts.version is not None
        told = {"version": facts.version.number, "day": str(published), "more": self.others["croissant.json"]}
        return json.dumps(told).encode()


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(provenance(tmp_path / "corpora"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, build: Build) -> Iterator[Hub]:
    machine(monkeypatch, tmp_path / "first")
    write_clean(tmp_path / "first", unspoken=(7,))
    monkeypatch.setattr(facts, "gather", build.gather)
    monkeypatch.setattr(publish, "_verify", lambda _: None)
    monkeypatch.setattr(packages, "export", build.export)
    monkeypatch.setattr(cards, "dataset_card", build.dataset_card)
    monkeypatch.setattr(cards, "datasheet", build.datasheet)
    monkeypatch.setattr(cards, "licence", lambda *_, **__: build.others["LICENSE"])
    monkeypatch.setattr(citations, "bibliography", lambda _: build.others["citation.bib"])
    monkeypatch.setattr(croissant, "croissant", build.croissant)
    monkeypatch.setattr(croissant, "check", lambda _: None)
    monkeypatch.setattr(pictures, "distributions", lambda *_: b"png")
    monkeypatch.setattr(lineage, "sources", lambda *_: dict(build.sources))
    monkeypatch.setattr(lineage, "builder", lambda _: COMMIT)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with hub_server.serve() as server:
        for function in (publishing.look, publishing.upload):
            given = partial(function, endpoint=server.url, pause_seconds=0.01)
            monkeypatch.setattr(publishing, function.__name__, given)
        yield server


def machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A project that has published nothing yet."""
    (folder / "reports").mkdir(parents=True)
    (folder / "params.yaml").write_bytes((Path(__file__).resolve().parents[3] / "params.yaml").read_bytes())
    monkeypatch.chdir(folder)


def on(monkeypatch: pytest.MonkeyPatch, day: int) -> None:
    """It is that day of March 2026."""
    monkeypatch.setattr(publish, "datetime", SimpleNamespace(now=lambda zone: datetime(2026, 3, day, tzinfo=zone)))


def there(hub: Hub) -> Mapping[str, bytes]:
    return hub.repos["dataset", f"{USER}/sier"].files


def published(hub: Hub, *arguments: str) -> str:
    """The number of the version that lies there then; its tag is that of the commit."""
    assert run_command("publish", ["--repo-id", "sier", *arguments]) == 0
    number = json.loads(there(hub)["version.json"])["changes"][0]["version"]["number"]
    assert f"{number}, without".encode() in there(hub)["README.md"]
    assert f"v{number}" in hub.repos["dataset", f"{USER}/sier"].tags
    return str(number)


def newest(hub: Hub) -> list[str]:
    """Lines of the newest section, but for the last, which tells hash and commit."""
    section = there(hub)["CHANGELOG.md"].decode().split("\n## ")[1]
    return section.splitlines()[2:-1]


def test_the_number_says_what_changed_and_the_changelog_how_much(hub: Hub, build: Build) -> None:
    assert published(hub) == "1.0.0"
    assert newest(hub) == ["- First version: 4 rows."]
    assert published(hub) == "1.0.0"
    assert len(hub.repos["dataset", f"{USER}/sier"].commits) == 2

    build.card = "better card"
    assert published(hub) == "1.0.1"
    assert newest(hub) == ["- 4 rows: 0 added, 0 removed, 0 with another label.",
                           "- Only files that describe the rows changed."]  # fmt: skip

    build.labels |= {"100-0": "anger", "101-0": "anger", "102-0": "sad", "109-0": "sad"}
    del build.labels["103-0"]
    build.sources = {"voice": "b" * 64, "parameters of label": "d" * 64}
    assert published(hub) == "1.1.0"
    assert newest(hub) == [
        "- 4 rows: 1 added, 1 removed, 3 with another label.", "  - `anger` to `sad`: 1", "  - `sad` to `anger`: 2",
        "- Changed: parameters of label, `none` to `dddddddddddd`.",
        "- Changed: voice, `aaaaaaaaaaaa` to `bbbbbbbbbbbb`.",
    ]  # fmt: skip
    build.values = b"other confidences"
    assert published(hub) == "1.2.0"

    build.columns["fold"] = Value("int8")
    assert published(hub) == "2.0.0"
    assert newest(hub)[0] == "- Columns that came, went or are of another type: `data/fold`."
    build.columns["label"] = ClassLabel(names=["anger", "joy", "sad"])
    assert published(hub) == "3.0.0"
    text = there(hub)["CHANGELOG.md"].decode()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## 3.0.0", "## 2.0.0", "## 1.2.0", "## 1.1.0", "## 1.0.1", "## 1.0.0"
    ]  # fmt: skip
    assert not any(key in text for key in ("100-0", "101-0", "109-0", "103-0"))


def test_labels_hash_and_commit_are_in_the_receipt_and_stay_while_nothing_changes(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, build: Build
) -> None:
    on(monkeypatch, 4)
    published(hub)
    expected = hashlib.sha256(json.dumps(sorted(build.labels.items()), separators=(",", ":")).encode()).hexdigest()
    version = {"number": "1.0.0", "labels_sha256": expected, "builder": COMMIT, "day": "2026-03-04"}
    assert json.loads(Path("reports", "publish.json").read_bytes())["dataset"]["version"] == version
    monkeypatch.setattr(lineage, "builder", lambda _: "e" * 40)  # another commit that makes the same
    assert published(hub) == "1.0.0"
    assert json.loads(Path("reports", "publish.json").read_bytes())["dataset"]["version"] == version
    assert pq.read_table(pa.BufferReader(there(hub)["labels.parquet"])).to_pydict() == {
        "id": sorted(build.labels), "label": [build.labels[key] for key in sorted(build.labels)]
    }  # fmt: skip


@pytest.mark.parametrize("name", ["DATASHEET.md", "LICENSE", "citation.bib", "croissant.json"])
def test_another_file_that_tells_of_the_same_rows_is_a_patch(hub: Hub, build: Build, name: str) -> None:
    published(hub)
    build.others[name] = "better"
    assert published(hub) == "1.0.1"
    assert newest(hub)[-1] == "- Only files that describe the rows changed."
    assert b"better" in there(hub)[name]


def test_another_gate_is_a_patch_as_what_is_told_of_it_changes(hub: Hub) -> None:
    published(hub)
    assert published(hub, "--gated", "auto") == "1.0.1"
    assert hub.repos["dataset", f"{USER}/sier"].gated == "auto"
    assert b"as it was, auto, of " in there(hub)["DATASHEET.md"]


def test_a_day_makes_no_version_and_a_version_keeps_its_day(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, build: Build
) -> None:
    on(monkeypatch, 4)
    published(hub)
    on(monkeypatch, 5)
    assert published(hub) == "1.0.0"
    assert len(hub.repos["dataset", f"{USER}/sier"].commits) == 2
    assert json.loads(there(hub)["croissant.json"])["day"] == "2026-03-04"
    build.card = "better card"
    assert published(hub) == "1.0.1"
    told = json.loads(there(hub)["croissant.json"])
    assert (told["version"], told["day"]) == ("1.0.1", "2026-03-05")
    assert b"of 2026-03-05" in there(hub)["DATASHEET.md"]


def test_another_machine_goes_on_where_the_first_was(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, build: Build
) -> None:
    published(hub)
    machine(monkeypatch, tmp_path / "second")
    build.labels["100-0"] = "happy"
    assert published(hub) == "1.1.0"
    assert "  - `sad` to `happy`: 1" in newest(hub)


def test_a_tag_that_could_not_be_made_is_made_by_the_same_command_again(hub: Hub) -> None:
    hub.fail("tag", Fault(status=403))
    assert run_command("publish", ["--repo-id", "sier"]) == 1
    assert hub.repos["dataset", f"{USER}/sier"].tags == {}
    assert published(hub) == "1.0.0"
    commits = hub.repos["dataset", f"{USER}/sier"].commits
    assert hub.repos["dataset", f"{USER}/sier"].tags == {"v1.0.0": commits[-1][0]}
    assert len(commits) == 2


def test_a_network_has_no_version(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "model_files", lambda *_, **__: {"README.md": b"# net\n"})
    assert run_command("publish", ["--repo-id", "net", "--model"]) == 0
    assert hub.repos["model", f"{USER}/net"].tags == {}


def test_what_was_published_in_the_meantime_is_not_overwritten(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], build: Build
) -> None:
    published(hub)
    export, repo = build.export, hub.repos["dataset", f"{USER}/sier"]

    def slow(*given: Any, **more: Any) -> Exported:
        repo.commits.append(("f" * 40, dict(repo.files)))
        return export(*given, **more)

    monkeypatch.setattr(packages, "export", slow)
    build.card = "of this machine"
    assert run_command("publish", ["--repo-id", "sier"]) == 1
    assert "somebody else has changed the repository" in capsys.readouterr().err
    assert repo.commits[-1][0] == "f" * 40
    assert hub.count("put") == 2  # of the first version


# Of the file version.json: what a stranger may put there.
BROKEN: Mapping[str, Any] = {
    "no JSON": lambda _: b"\xff{",
    "deep": lambda _: b"[" * 100_000,
    "nothing": lambda _: b"{}",
    "no change": lambda told: json.dumps({**told, "changes": []}).encode(),
    "a word more": lambda told: json.dumps({**told, "more": 1}).encode(),
    "a number that is none": lambda told: json.dumps(told).replace("1.0.0", "1.0.0\\n# Owned").encode(),
    "a day that is none": lambda told: re.sub(r'("day": ")[^"]+', r"\g<1>2026-02-30", json.dumps(told)).encode(),
    "another hash": lambda told: re.sub(r'(labels_sha256": ")\w+', r"\g<1>" + "0" * 64, json.dumps(told)).encode(),
    "too long": lambda told: json.dumps(told).encode() + b" " * versions.BYTES_MAX["version.json"],
}  # fmt: skip


@pytest.mark.parametrize("how", BROKEN)
def test_a_version_that_cannot_be_read_is_one_line_and_begins_anew_where_told(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    published(hub)
    files = hub.repos["dataset", f"{USER}/sier"].files
    files["version.json"] = BROKEN[how](json.loads(files["version.json"]))
    machine(monkeypatch, tmp_path / "second")  # which has no receipt to tell by
    monkeypatch.setattr("pipeline.publishing.hub.objection", lambda *_: None)  # sizes may be the same
    capsys.readouterr()
    assert run_command("publish", ["--repo-id", "sier"]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "--replace begins anew with version 1.0.0" in line
    assert published(hub, "--replace") == "1.0.0"


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"id": ["100-0"], "label": ["sad"]}),
        pa.table({"id": [1], "label": ["sad"]}),
        pa.table({"id": pa.array([None], pa.string()), "label": ["sad"]}),
        pa.table({"id": ["a"], "label": ["sad"], "more": ["x"]}),
        None,
    ],
)
def test_labels_that_are_not_those_of_the_version_are_refused(hub: Hub, table: pa.Table | None) -> None:
    published(hub)
    sink = pa.BufferOutputStream()
    if table is not None:
        pq.write_table(table, sink)
    with pytest.raises(UserError, match=r"labels\.parquet there"):
        versions.read_previous(there(hub)["version.json"], sink.getvalue().to_pybytes())


def test_labels_that_stand_for_any_number_of_rows_are_not_read(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    published(hub)
    monkeypatch.setattr(versions, "ROWS_MAX", 3)
    with pytest.raises(UserError, match="too many rows"):
        versions.read_previous(there(hub)["version.json"], there(hub)["labels.parquet"])


def test_what_is_not_as_the_receipt_says_is_refused(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    published(hub)
    path = Path("reports", "publish.json")
    receipt = json.loads(path.read_bytes())
    receipt["dataset"]["files"]["labels.parquet"]["sha256"] = "0" * 64
    path.write_text(json.dumps(receipt))
    assert run_command("publish", ["--repo-id", "sier"]) == 1
    assert "labels.parquet there is not what reports/publish.json says was sent" in capsys.readouterr().err
    for nonsense in ({"dataset": 1}, {"dataset": {**receipt["dataset"], "files": [1]}}):
        path.write_text(json.dumps(nonsense))
        assert run_command("publish", ["--repo-id", "sier"]) == (0 if nonsense == {"dataset": 1} else 1)


def test_rows_are_left_out_on_request_and_told_by_counts_only(
    hub: Hub, build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    published(hub)
    # By tweet, by row, of no label, never spoken, and unknown.
    Path("ids.txt").write_text("\ufeff# asked on Monday\n100\n102-0  # a row\n\n105\n107-0\n999\n", encoding="utf-8")
    assert published(hub, "--drop", "ids.txt") == "1.1.0"
    assert "ids.txt: 3 rows left out; 2 ids are of no row: 107-0, 999" in capsys.readouterr().out
    assert newest(hub) == ["- 2 rows: 0 added, 2 removed, 0 with another label.",
                           "- 2 rows of what was built are left out, on request."]  # fmt: skip
    assert b"without 2" in there(hub)["README.md"]
    for name in ("data/train-0.parquet", "CHANGELOG.md", "version.json", "README.md"):
        assert b"100-0" not in there(hub)[name], name
    labels = pq.read_table(pa.BufferReader(there(hub)["labels.parquet"]))
    assert labels["id"].to_pylist() == ["101-0", "103-0"]
    # Who forgets the list is told, lest the rows come back.
    assert run_command("publish", ["--repo-id", "sier"]) == 1
    assert "version 1.1.0 there leaves out rows on request" in capsys.readouterr().err
    assert published(hub, "--drop", "ids.txt") == "1.1.0"
    Path("ids.txt").write_text("\n".join(build.labels))
    assert run_command("publish", ["--repo-id", "sier", "--drop", "ids.txt"]) == 1
    assert "no row is left to publish" in capsys.readouterr().err


def test_a_list_does_not_go_with_a_network(hub: Hub) -> None:
    with pytest.raises(SystemExit) as ended:
        run_command("publish", ["--repo-id", "net", "--model", "--drop", "ids.txt"])
    assert ended.value.code == 2
    assert hub.requests == []


def test_foreign_words_cannot_write_markdown() -> None:
    version = Version("1.0.1", "a" * 64, COMMIT, DAY)
    contents = Contents({}, "a" * 64, "a" * 64, {})
    change = Change(version, 1, 0, 0, 0, {"a`\n# b": {"<b>\x1b": 1}}, ("c\n\n# d",), {"e\n": ("<i>", "f")})
    first = Change(Version("1.0.0", "a" * 64, "unknown", DAY), 1, 1, 0, 0, {}, (), {})
    text = render(Record(contents, (change, first))).decode()
    assert [line for line in text.splitlines() if line.startswith("#")] == ["# Changelog", "## 1.0.1", "## 1.0.0"]
    assert "<" not in text.replace("&lt;", "")
    assert "\x1b" not in text


def test_a_column_of_another_shape_is_a_major_change() -> None:
    before = Contents({"data/a": "float16 [64, 64]"}, "a" * 64, "a" * 64, {})
    first = versions.next_record(None, before, {"1": "sad"}, COMMIT, DAY, 0)
    after = Contents({"data/a": "float16 [32, 64]"}, "a" * 64, "a" * 64, {})
    record = versions.next_record(Previous(first, {"1": "sad"}), after, {"1": "sad"}, COMMIT, DAY, 0)
    assert record.version.number == "2.0.0"
    assert record.changes[0].columns == ("data/a",)


def test_the_builders_commit_is_that_of_git_where_there_is_one(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        author = ("-c", "user.name=tests", "-c", "user.email=tests@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *author, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert lineage.builder(tmp_path / "nowhere") == "unknown"
    git("init", "--quiet")
    (tmp_path / "params.yaml").write_text("a: 1\n")
    assert lineage.builder(tmp_path) == "unknown"  # a repository that the project merely lies in
    git("add", "params.yaml")
    git("commit", "--quiet", "--message", "one")
    git("tag", "v9")
    commit = git("rev-parse", "HEAD")
    assert lineage.builder(tmp_path) == commit
    (tmp_path / "params.yaml").write_text("a: 2\n")
    assert lineage.builder(tmp_path) == f"{commit}-dirty"
    Version("1.0.0", "a" * 64, f"{commit}-dirty", DAY)
