"""A tiny project in German: its tweets are kept and spoken, others are not, and what knows English only says so."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from pipeline.commands.command import run_command
from tests.builders_b_t4sa import build_b_t4sa, plain_tweets
from tests.project import Project, new_project
from tests.vits import write_transformers_vits

GERMAN = (
    "Heute war ein richtig schöner Tag am See mit meinen Freunden", "Ich kann nicht mehr, diese Woche war so lang",
    "Warum ist der Bus schon wieder zu spät?", "Endlich Wochenende! Wer kommt mit ins Kino",
    "Das Essen war leider kalt und teuer",
)  # fmt: skip
ENGLISH = "The weather is lovely today and we are all going to the beach"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("german")
    tweets = plain_tweets(len(GERMAN) + 1)
    tweets = [replace(tweet, text=text) for tweet, text in zip(tweets, (*GERMAN, ENGLISH), strict=True)]
    voice = write_transformers_vits(root / "voice")
    changes = {
        "base.language": "de", "clean.text.languages": ["de"], "clean.image.min_side_px": 16,
        "acquire.b_t4sa.path": str(build_b_t4sa(root / "corpus", tweets)),
        "synthesize.voice": {"engine": "transformers_vits", "model": str(voice)},
        "synthesize.recognition.share": 0.0, "synthesize.limits.min_duration_seconds": 0.05,
    }  # fmt: skip
    return new_project(root / "project", changes, SIER_WORKERS="1")


def test_german_tweets_are_cleaned_and_spoken(project: Project) -> None:
    for command in (["acquire", "b_t4sa"], ["clean"], ["synthesize"]):
        done = project.run("python", "-m", f"pipeline.{command[0]}", *command[1:])
        assert done.returncode == 0, done.stderr
        if command == ["clean"]:
            assert "base.language = de: what is said for numbers" in done.stderr + done.stdout
    rows = [
        row for file in sorted(project.root.glob("data/clean/*.parquet")) for row in pq.read_table(file).to_pylist()
    ]
    assert {row["text"] for row in rows} == set(GERMAN)
    spoken = [
        row for file in sorted(project.root.glob("data/speech/*.parquet")) for row in pq.read_table(file).to_pylist()
    ]
    assert {row["id"] for row in spoken} == {row["id"] for row in rows}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"clean.text.languages": ["en"]}, "base.language = de is not among them"),
        ({"synthesize.voice": {"engine": "hibari", "model": "heart"}}, "hibari: it knows English only"),
        ({"synthesize.recognition.share": 1.0}, "the packaged Whisper knows English only"),
        ({}, "VADER knows English only"),
    ],
)
def test_what_knows_english_only_says_so_before_any_work(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, object],
    line: str,
) -> None:
    before = (project.root / "params.yaml").read_text(encoding="utf-8")
    monkeypatch.chdir(project.root)
    try:
        project.set_params(changes)
        assert run_command("check", []) == 1
    finally:
        (project.root / "params.yaml").write_text(before, encoding="utf-8")
    (said,) = capsys.readouterr().err.splitlines()
    assert line in said
