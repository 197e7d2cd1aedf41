"""The demo's way from what a stranger gives to an answer, with the project's own voice, recogniser and encoders."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.commands.command import run_command
from pipeline.demo import view
from pipeline.demo.studio import STRANGER, Studio, VisitorError
from pipeline.frame.stage import Paths
from pipeline.labels import rules
from pipeline.media import audio
from tests.builders_demo import CLASSES, LABELS, write_run
from tests.builders_pictures import jpeg

TEXT = "We are so happy <3 about this sunny day"
GERMAN = "Ich habe heute wirklich keine Lust, zur Arbeit zu gehen, und das Wetter ist schlecht"
NET = Path("data", "checkpoints", "parallelnet")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_run(folder)
    return folder


@pytest.fixture(scope="module")
def studio(root: Path) -> Studio:
    return Studio(Paths(root), root / NET)


PICTURE = jpeg(1, 60, 50)


def hum(seconds: float, level: float = 0.2) -> bytes:
    return audio.encode_flac(level * np.sin(np.arange(int(16_000 * seconds)) * 0.1, dtype=np.float32), 16_000)


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


def test_a_text_is_spoken_judged_labelled_and_answered(studio: Studio) -> None:
    said = studio.answer(PICTURE, TEXT, None)
    assert said.given.voice == "heart" and "happy" in said.heard.lower()
    assert [tuple(one) for one in said.teachers.values()] == [CLASSES, CLASSES]
    assert tuple(said.network) == tuple(LABELS.values())
    for probabilities in (*said.teachers.values(), said.network):
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
    best = max(said.teachers, key=lambda name: max(said.teachers[name].values()))
    assert said.labelled.decided_by == best and said.labelled.label == said.labelled.would_be
    assert not said.notes
    page = view.answer(said)
    assert "data:audio/flac" in page and "<3" not in page and f">{said.labelled.label}</h2>" in page


def test_the_speech_as_a_recording_gives_the_same_answer(studio: Studio) -> None:
    spoken = studio.answer(PICTURE, TEXT, None)
    again = studio.answer(PICTURE, "", spoken.given.speech)
    assert again.given.said is None and again.teachers == spoken.teachers and again.network == spoken.network
    assert STRANGER not in again.notes  # words have no voice


def test_a_long_recording_is_cut_for_the_network(studio: Studio) -> None:
    spoken = studio.answer(PICTURE, f"{TEXT}. {TEXT}. {TEXT}", None)
    assert any("hears the first 5 s" in note for note in spoken.notes)


@pytest.mark.parametrize(
    ("image", "text", "recording", "said"),
    [
        (None, TEXT, None, "Choose a picture"),
        (PICTURE, " ", None, "Write a text"),
        (PICTURE, TEXT, hum(1), "not both"),
        (b"<svg/>", TEXT, None, "picture cannot be used"),
        (png(8, 8), TEXT, None, "at least 32"),
        (png(9000, 6000), TEXT, None, "9000 x 6000 pixels"),
        (PICTURE, "a" * 301, None, "has 301 characters; the voice reads at most 300"),
        (PICTURE, GERMAN, None, "another language (de); the voice speaks en"),
        (PICTURE, "https://example.org", None, "cannot be spoken"),
        (PICTURE, "", b"no sound", "recording cannot be used"),
        (PICTURE, "", hum(1, level=0.0), "is silent"),
        (PICTURE, "", hum(0.1), "at least 0.4 s"),
        (PICTURE, "", hum(31), "at most 30"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(
    studio: Studio, image: bytes | None, text: str, recording: bytes | None, said: str
) -> None:
    for work in (studio.answer, studio.explain):
        with pytest.raises(VisitorError) as error:
            work(image, text, recording)
        assert said in str(error.value) and "\n" not in str(error.value)
    assert 'role="alert"' in view.problem(str(error.value))


def test_the_answer_is_explained(studio: Studio) -> None:
    said, content = studio.answer(PICTURE, TEXT, None), studio.explain(PICTURE, TEXT, None)
    assert content.predicted == max(said.network, key=lambda name: said.network[name])
    assert sum(content.modality_values.values()) == pytest.approx(content.v_full - content.v_empty, abs=1e-4)
    assert "data:image/png" in view.explanation(content)


def test_a_row_that_the_rule_leaves_out_has_no_label(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio, "rule", dataclasses.replace(studio.rule, threshold=1.0))
    said = studio.answer(PICTURE, TEXT, None)
    assert said.labelled.label is None and said.labelled.reason == rules.BELOW_THRESHOLD
    assert "No label" in view.answer(said) and "100% is asked for" in view.answer(said)


def test_the_pool_decides_by_both(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio, "rule", dataclasses.replace(studio.rule, rule="log_pool", threshold=0.0))
    said = studio.answer(PICTURE, TEXT, None)
    product = {name: said.teachers["speech"][name] * said.teachers["image"][name] for name in CLASSES}
    assert said.labelled.would_be == studio.rule.remap[max(product, key=lambda name: product[name])]
    assert "weighs more" in view.answer(said)


@pytest.mark.parametrize(
    ("path", "said"),
    [("data/labels/rule.json", "dvc repro label"), ("data/checkpoints/ser/teacher.json", "train_teacher@speech"),
     ("data/checkpoints/parallelnet/model.safetensors", "model.safetensors")],
)  # fmt: skip
def test_without_a_finished_run_it_says_what_is_missing(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], path: str, said: str
) -> None:
    monkeypatch.chdir(root)
    hidden = root / "hidden"
    Path(path).rename(hidden)
    try:
        assert run_command("demo", ["--port", "0"]) == 1
    finally:
        hidden.rename(path)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("demo: error: ") and said in last


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [(["--port", "70000"], 2, "--port 70000"), (["--port", "0", "--host", "0.0.0.0"], 1, "SIER_DEMO_SECRET")],
)
def test_it_serves_this_machine_only(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int,
    said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(root)
    monkeypatch.delenv("SIER_DEMO_SECRET", raising=False)
    try:
        found = run_command("demo", arguments)
    except SystemExit as stop:
        found = int(stop.code or 0)
    assert found == code and said in capsys.readouterr().err
