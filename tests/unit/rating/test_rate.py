"""The command: what it prints, and one line for every mistake."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipeline.commands.command import run_command
from pipeline.frame.metrics_files import cell_value
from pipeline.frame.stage import BaseParams
from pipeline.rating.beginning import prepare
from pipeline.rating.store import Rating, Store
from tests import patience
from tests.builders_sier import LABELS, write_sier

SECRET_VARIABLE = "SIER_RATE_SECRET"
PARAMS = Path(__file__).resolve().parents[3] / "params.yaml"
WITHOUT_PRIVILEGES = (
    "setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_sier(tmp_path)
    (tmp_path / "params.yaml").write_bytes(PARAMS.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)
    return tmp_path


@pytest.fixture
def ratings(project: Path) -> Store:
    store, items = prepare(project / "ratings.sqlite", project / "data" / "sier", BaseParams(0, LABELS), 2)
    for name in ("ada", "=eve", "eve"):
        store.add_consent(name, "first", "Do you agree?")
    for item in items:
        store.add_rating(Rating("ada", item.id, "image", item.label, None, 1.5))
    store.add_rating(Rating("=eve", items[0].id, "image", None, None, 2.0))
    return store


def failing(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_command("rate", arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("rate: error: ")
    assert said.err.count("\n") == 1
    return said.err


def test_results_are_printed_for_people_and_for_programs(ratings: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("rate", ["--results"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["A_i", "A_ss", "A_hs", "A_ss-i", "A_hs-i"]
    assert next(line for line in lines if line.startswith("overall")).split()[1] == "100.0"
    assert run_command("rate", ["--results", "--json"]) == 0
    columns = json.loads(capsys.readouterr().out)
    assert columns[0]["cells"]["sad"]["accuracy"] == 1.0
    assert (columns[0]["ratings"], columns[0]["skipped"], columns[0]["alpha"]) == (8, 1, None)
    assert columns[1]["cells"]["sad"] is None


def test_an_export_holds_every_answer(ratings: Store, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("rate", ["--export", "answers.csv"]) == 0
    assert capsys.readouterr().out == "rate: 9 answers in answers.csv\n"
    frame = pd.read_csv(project / "answers.csv")
    assert list(frame.columns) == [
        "rater", "id", "condition", "label", "answer", "reader", "response_seconds", "rated_at"
    ]  # fmt: skip
    assert sorted(frame["rater"]) == ["'=eve", *["ada"] * 8]  # text, which no spreadsheet runs
    assert sorted(frame["rater"].map(cell_value)) == ["=eve", *["ada"] * 8]
    assert frame["answer"].notna().sum() == 8
    pd.to_datetime(frame["rated_at"], utc=True)


def test_an_export_replaces_an_earlier_one_and_nothing_else(
    ratings: Store, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = project / "answers.csv"
    assert run_command("rate", ["--export", "answers.csv"]) == 0
    first = out.read_bytes()
    item = ratings.items()[1].id
    ratings.add_rating(Rating("eve", item, "image", "sad", None, 2.0))
    assert run_command("rate", ["--export", "answers.csv"]) == 0
    assert set(first.splitlines()) < set(out.read_bytes().splitlines())
    capsys.readouterr()
    for content in (first.replace(b"ada", b"Ada", 1), first + b"a note\n", b"something else"):
        out.write_bytes(content)
        assert "--force" in failing(capsys, "--export", "answers.csv")
        assert out.read_bytes() == content
    assert run_command("rate", ["--export", "answers.csv", "--force"]) == 0
    ratings.take_back("eve")  # the export has an answer that is nowhere else
    capsys.readouterr()
    assert "--force" in failing(capsys, "--export", "answers.csv")


@pytest.mark.parametrize("name", ["ratings.sqlite", "./ratings.sqlite", "link", "hard", "ratings.sqlite-wal"])
def test_an_export_never_replaces_the_ratings(
    ratings: Store, project: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (project / "link").symlink_to("ratings.sqlite")
    (project / "hard").hardlink_to(ratings.path)
    with sqlite3.connect(ratings.path) as connection:  # as a server has it: with answers in the log
        connection.execute("UPDATE ratings SET response_seconds = 1.5")
        assert "which this command reads" in failing(capsys, "--export", name, "--force")
    connection.close()
    assert len(ratings.ratings()) == 9


def test_who_withdraws_is_removed_and_counted(ratings: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("rate", ["--withdraw", "  ADA "]) == 0  # the same person
    said = capsys.readouterr().out
    assert said.startswith("rate: ratings.sqlite: removed 8 answers, 0 recordings, and 0 answers of others to these;")
    assert set(ratings.ratings()["rater"]) == {"=eve"}
    assert run_command("rate", ["--results"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Withdrawn: 1, ")
    assert "holds nothing of ada" in failing(capsys, "--withdraw", "ada")
    assert "expected the name of a rater" in failing(capsys, "--withdraw", "a\x00b")
    assert "collect some with" in failing(capsys, "--withdraw", "ada", "--ratings", "other.sqlite")


def test_mistakes_cost_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "collect some with" in failing(capsys, "--results")
    assert "collect some with" in failing(capsys, "--export", "a.csv")
    assert not (project / "a.csv").exists()
    (project / "ratings.sqlite").write_text("something else" * 100)
    assert "no readable file of ratings" in failing(capsys, "--results")
    assert "no readable file of ratings" in failing(capsys, "--port", "0")


def test_no_address_is_served_that_others_reach_without_a_secret(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SECRET_VARIABLE in failing(capsys, "--host", "0.0.0.0", "--port", "0")
    assert SECRET_VARIABLE in failing(capsys, "--host", "::", "--port", "0")
    monkeypatch.setenv(SECRET_VARIABLE, "short")
    said = failing(capsys, "--port", "0")
    assert "12 characters or more, found 5" in said
    assert "short" not in said
    assert not (project / "ratings.sqlite").exists()


def test_a_port_in_use_and_a_host_that_is_none_are_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} of 127.0.0.1 is in use" in failing(capsys, "--port", str(port))
    assert "no address of this machine" in failing(capsys, "--host", "no such host")
    assert not (project / "ratings.sqlite").exists()


def test_a_dataset_that_is_missing_is_named_before_anything_is_begun(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "data" / "sier" / "manifest.jsonl").unlink()
    assert "run: dvc repro assemble" in failing(capsys, "--port", "0")
    assert not (project / "ratings.sqlite").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "closed").mkdir(mode=0o500)
    assert "closed" in failing(capsys, "--ratings", "closed/r.sqlite", "--port", "0")


def test_a_folder_that_is_not_there_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "absent/r.sqlite" in failing(capsys, "--ratings", "absent/r.sqlite", "--port", "0")


@pytest.mark.parametrize(
    "arguments", [["--json"], ["--per-class", "0"], ["--per-class", "9999"], ["--port", "70000"],
                  ["--results", "--export", "a.csv"], ["--withdraw", "ada", "--results"],
                  ["--force"], ["--results", "--force"]],
)  # fmt: skip
def test_wrong_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_command("rate", arguments)
    assert ended.value.code == 2


def test_ratings_of_a_newer_release_are_left_alone(ratings: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(ratings.path) as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    assert "version 3, expected 2" in failing(capsys, "--results")


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write everywhere")
def test_results_and_exports_are_read_from_where_nobody_can_write(ratings: Store, project: Path) -> None:
    closed = project / "closed"
    closed.mkdir()
    shutil.copy(ratings.path, closed / "r.sqlite")
    closed.chmod(0o500)
    for arguments, says in (
        (["--results"], "overall"),
        (["--export", "answers.csv"], "rate: 9 answers in answers.csv"),
    ):
        done = as_anybody("--ratings", "closed/r.sqlite", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert says in done.stdout
    done = as_anybody("--ratings", "closed/r.sqlite", "--port", "0")
    assert done.returncode == 1
    assert done.stderr.startswith("rate: error: closed/r.sqlite: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in closed.iterdir()] == ["r.sqlite"]
    closed.chmod(0o700)
    (closed / "r.sqlite-wal").write_bytes(b"not yet in the file")
    closed.chmod(0o500)
    done = as_anybody("--ratings", "closed/r.sqlite", "--results")
    assert "answers are in r.sqlite-wal still; copy both" in done.stderr
    closed.chmod(0o700)


def as_anybody(*arguments: str) -> subprocess.CompletedProcess[str]:
    plain = WITHOUT_PRIVILEGES if os.geteuid() == 0 else ()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PARAMS.parent)}
    return patience.run([*plain, sys.executable, "-m", "pipeline", "rate", *arguments], env=environment)
