"""Stages train_teacher and score with teachers that are told their classes in words: kinds zero_shot and endpoint."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from models.teachers.loading import load_teacher
from pipeline.corpora import fi, iemocap
from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import STOPPING, UserError
from pipeline.frame.params import section
from pipeline.planning import ready
from pipeline.teachers import listening
from pipeline.teachers.params import SECTION, expect_consistent
from tests import builders_teachers as tiny
from tests.builders_pictures import jpeg
from tests.chat_server import ChatServer, Trouble, serving
from tests.unit.teachers.test_teacher_kinds import scored, train

PROMPTS = {"anger": ["anger", "rage"], "sadness": ["sadness"]}
ENDPOINT: dict[str, Any] = {
    "kind": "endpoint", "model": "small", "prompt": "{classes}?", "classes": tiny.IMAGE_CLASSES, "concurrency": 2,
    "max_failed_share": 0.6, "retries": 1,
}  # fmt: skip
PICTURES = [{"id": f"{n}-0", "image": jpeg(n)} for n in range(5)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tiny.write_corpora(tmp_path)
    return tmp_path


def test_the_page_shows_sections_that_are_valid() -> None:
    page = (PROJECT / "docs" / "how-to" / "zero-shot-and-endpoints.md").read_text(encoding="utf-8")
    shown = [yaml.safe_load(block)["train_teacher"] for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    labels = {"speech": iemocap.EMOTIONS, "image": fi.EMOTIONS}
    for sections in shown:
        for modality, params in sections.items():
            read = train_params(modality, params)
            expect_consistent(modality, read, share_heard=1.0)
            assert set(read.classes) == set(labels[modality])
    assert [sorted(sections) for sections in shown] == [["image"], ["image", "speech"]]


def zero_shot(source: str, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "zero_shot", "checkpoint": source, "prompts": PROMPTS, "classes": tiny.IMAGE_CLASSES, "batch_size": 4,
        **changes,
    }  # fmt: skip


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_a_network_is_told_the_classes_measured_saved_and_scores(root: Path, family: str) -> None:
    source = tiny.save_contrastive(root / "net", family)
    metrics = train(root, "image", zero_shot(source))
    assert (metrics["kind"], metrics["temperature"], metrics["calibration"]) == ("zero_shot", 1.0, None)
    assert metrics["held_out"]["rows"] == metrics["used"] == 12
    assert metrics["network"] == {"checkpoint": "net", "commit": None, "family": family}
    assert ("sigmoid" in metrics["probabilities_are"]) == (family == "siglip")
    found = scored(root, "image", PICTURES, 2)
    rows = np.stack([found["p_anger"].to_numpy(), found["p_sadness"].to_numpy()], axis=1)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
    assert np.ptp(rows[:, 0]) > 1e-4
    # Another prompt needs no picture to be looked at again, and gives another teacher.
    folders = sorted(root.glob(".work/train_teacher.image/*"))
    worded = train(root, "image", zero_shot(source, prompts={**PROMPTS, "joy": ["joy"]}, calibrate="held_out"))
    assert sorted(root.glob(".work/train_teacher.image/*")) == folders
    assert load_teacher(root / "data/checkpoints/ier").classes == ("anger", "joy", "sadness")
    assert worded["digest"] != metrics["digest"]
    assert worded["calibration"]["rows"] == 12 - worded["held_out"]["rows"] > 0


def test_faults_of_words_and_networks_name_the_key(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    source = tiny.save_contrastive(root / "net", "clip")
    for modality, params, message in (
        ("image", zero_shot(source, prompts={"anger": ["anger"]}), r"image\.prompts does not name sadness, a class of"),
        ("image", zero_shot(source, prompts={**PROMPTS, "sadness": []}), r"image\.prompts\.sadness = \[\]: expected"),
        ("image", zero_shot(source, templates=["a photo"]), r"image\.templates\.0 = \"a photo\": expected text that"),
        ("image", zero_shot(str(root / "none")), r"image\.checkpoint: .*none: no folder here"),
        ("image", zero_shot(tiny.save_vit(root / "vit")), "found vit; try kind checkpoint"),
        ("image", zero_shot(source, label_names=[]), "not a known key; expected kind, checkpoint, prompts"),
        ("speech", zero_shot(source, classes=tiny.SPEECH_CLASSES), "zero_shot: looks at pictures only"),
        ("image", {**ENDPOINT, "features": "linguistic"}, "pictures have no words"),
        ("image", {**ENDPOINT, "max_failed_share": 2}, r"max_failed_share = 2: expected less than or equal to 1"),
        ("speech", {**ENDPOINT, "classes": tiny.SPEECH_CLASSES}, "an endpoint is sent words; expected linguistic"),
        ("speech", {**ENDPOINT, "classes": tiny.SPEECH_CLASSES, "features": "linguistic"}, r"prompt has no \{words\}"),
        ("image", {**ENDPOINT, "retries": 0}, r"train_teacher\.image: http://127\.0\.0\.1:9/v1: no connection; start"),
    ):  # fmt: skip
        with pytest.raises(STOPPING, match=message) as error:
            train(root, modality, params)
        assert "\n" not in str(error.value)
    for params, message in (
        ({**ENDPOINT, "retries": 0}, r"train_teacher\.image\.model: http://127\.0\.0\.1:9/v1: no connection"),
        (zero_shot(str(root / "vit")), r"train_teacher\.image\.checkpoint: .*found vit"),
        (zero_shot("nobody/nothing"), r"train_teacher\.image\.checkpoint: nobody/nothing: no folder here"),
    ):
        read = train_params("image", params)
        with pytest.raises(UserError, match=message):
            ready._expect_teacher("image", read)
    ready._expect_teacher("image", train_params("image", zero_shot(source)))


def train_params(modality: str, params: dict[str, Any]) -> Any:
    name = f"train_teacher.{modality}"
    return section({"train_teacher": {modality: params}}, name, SECTION)


def by_brightness(server: ChatServer) -> None:
    """Odd for every third picture, by its bytes."""
    server.said = lambda body: ("anger", "sadness", "joy")[len(json.dumps(body)) % 3]


def test_an_endpoint_is_asked_about_pictures_measured_and_scores(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch) as server:
        by_brightness(server)
        metrics = train(root, "image", ENDPOINT)
        rows, rejected = metrics["held_out"]["rows"], metrics["rejected"].get("endpoint_unusable", 0)
        assert metrics["used"] == rows
        asked = len(server.asked)
        assert rows + rejected == asked < 12  # of the test split only
        assert f"{rows} rows of the test split" in metrics["held_out"]["protocol"]
        assert metrics["endpoint"]["prompt_tokens"] == 100 * asked
        assert metrics["endpoint"]["not_asked_about"] == 12 - asked
        card = json.loads((root / "data/checkpoints/ier/teacher.json").read_text())
        assert card["cost_of_measuring"]["questions"] == asked
        # What was asked is not asked again, whatever else changes.
        again = train(root, "image", {**ENDPOINT, "concurrency": 1, "smoothing": 0.3})
        assert len(server.asked) == asked
        assert again["endpoint"]["prompt_tokens"] == metrics["endpoint"]["prompt_tokens"]
        assert again["digest"] != metrics["digest"]
        found = scored(root, "image", PICTURES, 2)
        told = json.loads((root / "reports/score_image.json").read_bytes())
        assert len(found) + told["rejected"].get("endpoint_unusable", 0) == 5
        assert told["answers_so_far"]["answers"] == len(server.asked)
        np.testing.assert_allclose(sorted(set(found["p_anger"].to_numpy().round(4))), [0.3, 0.7], atol=1e-4)
        server.always = Trouble(400)
        with pytest.raises(STOPPING, match=r"5 of 5 questions had no usable answer .*max_failed_share"):
            scored(root, "image", [{"id": f"{n}-0", "image": jpeg(10 + n)} for n in range(5)], 2)


def test_an_endpoint_is_sent_the_words_that_were_heard(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Recogniser:
        """Hears other words in each recording, and none in every seventh."""

        def __init__(self, *_: Any) -> None:
            pass

        def texts(self, waveforms: list[Any]) -> list[str]:
            return [f"length {len(waveform)}" if n % 7 else " " for n, waveform in enumerate(waveforms)]

    monkeypatch.setattr(listening, "Recogniser", Recogniser)
    monkeypatch.setattr(listening, "digest_of", lambda *_: "0")
    params = {
        **ENDPOINT, "classes": tiny.SPEECH_CLASSES, "features": "linguistic", "prompt": "{words} {classes}?",
        "calibrate": "held_out", "measure_rows": 8,
    }  # fmt: skip
    with serving(monkeypatch) as server:
        server.said = lambda body: "anger" if "1" in str(body["messages"]) else "sadness"
        metrics = train(root, "speech", params)
        assert metrics["features"] == "linguistic"
        assert metrics["held_out"]["rows"] <= 8
        assert metrics["calibration"]["measured_too"] == 0
        assert {body["messages"][0]["content"].split()[0] for body in server.asked} == {"length"}
        assert metrics["rejected"]["no_words"] > 0
        rows = [{"id": f"{n}-0", "heard": f"length {n}", "voice": "a", "audio": b""} for n in range(4)]
        found = scored(root, "speech", rows, 2)
        assert found["p_anger"].to_numpy().argmax() == 1
