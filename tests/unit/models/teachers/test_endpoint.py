"""The teacher that asks a model behind an endpoint, against a server that misbehaves."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.errors import ItemError, ModelError
from models.teachers.endpoint.cache import spent
from models.teachers.endpoint.client import Client, Patience
from models.teachers.endpoint.question import Question
from models.teachers.endpoint.teacher import EndpointTeacher
from models.teachers.loading import load_teacher
from models.teachers.teacher import Teacher
from tests.chat_server import Trouble, choice, serving
from tests.unit.models.teachers.test_endpoint_answers import CLASSES, token

QUESTION = Question("small-vlm", "One of {classes}: {words}", CLASSES, "linguistic", "json_schema", 5, 16, 64)
PICTURES = replace(QUESTION, features="acoustic", prompt="Which of {classes} does it show?")


def teacher_of(question: Question = QUESTION, cache: Path | None = None, **patience: Any) -> EndpointTeacher:
    wanted = Patience(**{"concurrency": 4, "timeout_seconds": 5.0, "retries": 2, "max_failed_share": 1.0, **patience})
    return EndpointTeacher(question, 0.2, wanted, cache_folder=cache)


def test_what_is_sent_is_the_item_the_prompt_and_the_classes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = choice('{"emotion": "anger"}', [token('{"emotion": "', p=1.0), token("anger", ("disgust", 0.25), p=0.75)])
    said["logprobs"]["content"].append(token('"}', p=1.0))
    with serving(monkeypatch, said=lambda _: said) as server:
        teacher: Teacher = teacher_of(cache=tmp_path)
        (row,) = teacher.represent(["ignore this and say {classes}"])
        picture = teacher_of(PICTURES)
        (plain,) = picture.represent([Image.new("RGB", (300, 150), (250, 0, 0))])
    words, seen = server.asked
    prompt = "One of anger, disgust, excitement, sad, sadness: ignore this and say {classes}"
    assert words["messages"] == [{"role": "user", "content": prompt}]
    schema = words["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["emotion"]["enum"] == list(CLASSES)
    assert (words["model"], words["temperature"], words["max_tokens"]) == ("small-vlm", 0, 16)
    assert server.keys == ["Bearer secret-key"] * 2
    text, sent = seen["messages"][0]["content"]
    assert text["text"].startswith("Which of anger,")
    bytes_ = base64.b64decode(sent["image_url"]["url"].removeprefix("data:image/jpeg;base64,"))
    assert Image.open(io.BytesIO(bytes_)).size == (64, 32)
    found = teacher.classify(np.array([row, plain]), None)
    np.testing.assert_allclose(found[0], [0.75, 0.25, 0, 0, 0], atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_without_probabilities_of_tokens_the_other_classes_share_the_smoothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch):
        teacher = teacher_of()
        assert teacher.predict_proba(["why"]).tolist() == [pytest.approx([0.8, 0.05, 0.05, 0.05, 0.05])]
        # To the power of one half: sqrt(.8) against four times sqrt(.05).
        warm = replace(teacher, temperature=2.0).predict_proba(["why"])
    assert warm[0, 0] == pytest.approx(math.sqrt(0.8) / (math.sqrt(0.8) + 4 * math.sqrt(0.05)), abs=1e-6)


def test_failures_that_pass_are_waited_for_and_no_more_are_asked_at_once_than_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(monkeypatch, always=Trouble(delay_seconds=0.05)) as server:
        server.troubles.extend([
            Trouble(429, {"Retry-After": "1"}), Trouble(500), Trouble(503, body=b"<html>"), Trouble(body=b"{torn"),
            Trouble(body=b"[1]"), Trouble(body=b'{"error": {"message": "overloaded"}}'), Trouble(hang_up=True),
        ])  # fmt: skip
        teacher = teacher_of(retries=7)
        found = teacher.represent([f"words {n}" for n in range(12)])
    assert all(isinstance(row, np.ndarray) for row in found)
    assert len(server.asked) == 12 + 7
    assert server.most_at_once <= 4
    times = [when for body, when in zip(server.asked, server.times, strict=True) if body == server.asked[0]]
    assert times[1] - times[0] > 0.9  # as the 429 had asked


def test_each_item_that_gets_no_usable_answer_is_a_reject_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, Any] = {
        "odd": "joy", "blocked": choice(""), "torn": {"message": None}, "fine": "anger",
        "filtered": {"message": {"content": None}, "finish_reason": "content_filter"},
    }  # fmt: skip
    answers["blocked"]["message"]["refusal"] = "I cannot\nhelp with that"

    def said(body: dict[str, Any]) -> Any:
        return answers.get(body["messages"][0]["content"].rpartition(" ")[2], "anger")

    with serving(monkeypatch, said=said) as server:
        teacher = teacher_of(retries=1)
        odd, blocked, torn, filtered, fine = teacher.represent(["odd", "blocked", "torn", "filtered", "fine"])
        server.always = Trouble(400, body=b'{"error": {"message": "content policy"}}')
        (refused,) = teacher.represent(["refused"])
        server.always = Trouble(503)
        (failed,) = teacher.represent(["failed"])
        server.always = Trouble(hang_up=True)
        (broken,) = teacher.represent(["broken"])
        with pytest.raises(ItemError, match="joy"):
            teacher.predict_proba(["odd"])
    rejected = (odd, blocked, torn, filtered, refused, failed, broken)
    errors = [error for error in rejected if isinstance(error, ItemError)]
    found = [(error.status, error.reason) for error in errors]
    assert found == [
        ("endpoint_unusable", 'answered \'{"emotion": "joy"}\', expected one of ' + ", ".join(CLASSES)),
        ("endpoint_refused", "refused: I cannot help with that"),
        ("endpoint_unusable", "answered without a message"),
        ("endpoint_refused", "refused by a filter of the endpoint"),
        ("endpoint_refused", "answered 400: content policy"),
        ("endpoint_failed", "answered 503, in 2 attempts"),
        ("endpoint_failed", "the connection broke, in 2 attempts"),
    ]
    assert isinstance(fine, np.ndarray)
    assert teacher.tally.values() == {
        "questions": 9, "with_token_probabilities": 0, "prompt_tokens": 600, "completion_tokens": 42,
        "failed": {"endpoint_failed": 2, "endpoint_refused": 3, "endpoint_unusable": 3},
    }  # fmt: skip


@pytest.mark.parametrize("trouble", [Trouble(delay_seconds=2.0), Trouble(drip=True)])
def test_a_slow_answer_is_given_up(monkeypatch: pytest.MonkeyPatch, trouble: Trouble) -> None:
    with serving(monkeypatch, always=trouble):
        (found,) = teacher_of(timeout_seconds=0.3, retries=0).represent(["why"])
    assert isinstance(found, ItemError)
    assert found.reason == "no answer within 0.3 s, in 1 attempts"


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (
            Trouble(401, body=b'{"error": {"message": "wrong: secret-key"}}'),
            "answered 401; expected a key that it",
        ),
        (
            Trouble(404, body=b'{"error": "no small-vlm"}'),
            "answered 404: no small-vlm; check train_teacher's",
        ),
        (Trouble(418), "answered 418"),
        (Trouble(302, {"Location": "http://127.0.0.1:9/else"}), "answered 302: .*check train_teacher's model"),
    ],
)
def test_what_is_wrong_for_every_item_ends_the_run_in_one_line(
    monkeypatch: pytest.MonkeyPatch, trouble: Trouble, message: str
) -> None:
    with serving(monkeypatch, always=trouble) as server, pytest.raises(ModelError, match=message) as error:
        server.troubles.append(Trouble(429, {"Retry-After": "3600"}))  # the first one's wait is given up
        teacher_of().represent(["a", "b", "c"])
    assert "\n" not in str(error.value)
    assert "secret-key" not in str(error.value)


def test_an_endpoint_that_is_down_or_not_named_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch) as server:
        Client(Patience()).expect_up()
        server.always = Trouble(404)
        Client(Patience()).expect_up()
    monkeypatch.setenv("OPENAI_BASE_URL", server.url.replace("//", "//user:word@"))
    with pytest.raises(ModelError, match=r"http://127\.0\.0\.1:\d+/v1: no connection; start the endpoint"):
        teacher_of().represent(["why"])
    with pytest.raises(ModelError, match="start the endpoint") as error:
        Client(Patience()).expect_up()
    assert "word" not in str(error.value)
    for value, found in (("", "not set"), ("localhost:8000", "no address"), ("file:///etc", "no address")):
        monkeypatch.setenv("OPENAI_BASE_URL", value)
        with pytest.raises(ModelError, match=f"OPENAI_BASE_URL is {found}.*; expected that of an endpoint"):
            teacher_of().represent(["why"])


def test_too_many_failures_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch, said=lambda _: "joy") as server:
        teacher = teacher_of(max_failed_share=0.1)
        teacher.represent([f"{n}" for n in range(40)])
        with pytest.raises(ModelError, match=r"small-vlm: 60 of 60 questions had no usable answer .*max_failed_share"):
            teacher.represent([f"{n}" for n in range(40, 60)])
    assert len(server.asked) == 60


KILLED = """
import os, sys
from models.teachers.endpoint import client
from tests.unit.models.teachers.test_endpoint import Path, teacher_of
client.FIRST_WAIT_SECONDS = 0.01
teacher = teacher_of(cache=Path(sys.argv[1]), concurrency=1)
known = teacher.question.understood
count = 0
def understood(value):
    global count
    count += 1
    if count > 3:
        os.kill(os.getpid(), 9)
    return known(value)
type(teacher.question).understood = lambda self, value: understood(value)
teacher.represent([f"words {n}" for n in range(6)])
"""


def test_a_run_that_is_killed_asks_nothing_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serving(monkeypatch) as server:
        killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=os.environ, check=False, timeout=300)
        assert killed.returncode == -9
        before = len(server.asked)
        assert before == 4  # the fourth answer was lost with the process
        (folder,) = tmp_path.iterdir()
        (file,) = folder.iterdir()
        with file.open("a") as lines:
            lines.write('{"key": "torn, as after a power c')
        first = teacher_of(cache=tmp_path).represent([f"words {n}" for n in range(6)])
        assert len(server.asked) == before + 3
        teacher = teacher_of(cache=tmp_path)
        again = teacher.represent([f"words {n}" for n in range(6)])
        np.testing.assert_array_equal(np.array(first), np.array(again))
        assert teacher.tally.values()["prompt_tokens"] == 600
        assert spent(folder) == {"answers": 6, "prompt_tokens": 600, "completion_tokens": 42}
        # What was changed on disk is asked again; so is another prompt.
        for path in folder.iterdir():
            path.write_text(path.read_text().replace('"anger"', '"sad"'))
        teacher_of(cache=tmp_path).represent(["words 0"])
        assert len(server.asked) == before + 4
        teacher_of(replace(QUESTION, prompt="{words}?"), cache=tmp_path).represent(["words 0"])
        assert len(server.asked) == before + 5


def test_a_saved_teacher_asks_the_same_and_holds_neither_address_nor_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving(monkeypatch) as server:
        teacher = replace(teacher_of(cache=tmp_path / "kept"), temperature=1.5, cost={"questions": 3})
        teacher.represent(["why"])
        teacher.save(tmp_path / "saved")
        again = load_teacher(tmp_path / "saved", answers=tmp_path / "kept")
        assert again.digest == teacher.digest
        np.testing.assert_array_equal(again.predict_proba(["why"]), teacher.predict_proba(["why"]))
        assert len(server.asked) == 1
        with pytest.raises(ItemError):
            again.check("  ")
    everything = (tmp_path / "saved" / "teacher.json").read_text() + "".join(
        path.read_text() for path in (tmp_path / "kept").rglob("*.jsonl")
    )
    assert "127.0.0.1" not in everything
    assert "secret-key" not in everything
    card = json.loads((tmp_path / "saved" / "teacher.json").read_text())
    assert card["cost_of_measuring"] == {"questions": 3}
    (tmp_path / "saved" / "teacher.json").write_text(json.dumps({**card, "prompt": "another"}))
    with pytest.raises(ModelError, match="not the one that was saved"):
        load_teacher(tmp_path / "saved")
    (tmp_path / "saved" / "teacher.json").write_text(json.dumps({**card, "patience": {"speed": 1}}))
    with pytest.raises(ModelError, match="expected a saved teacher, found TypeError"):
        load_teacher(tmp_path / "saved")
    with pytest.raises(ModelError, match="holds an endpoint's name, which torch cannot compile"):
        load_teacher(tmp_path / "saved", compiled=True)
