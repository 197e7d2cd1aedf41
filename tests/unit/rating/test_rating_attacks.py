"""Events as somebody sends them who may use the page: over HTTP, against `sier rate` as a process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="needs: pip install -e '.[rate]'")

from pipeline.frame.stage import BaseParams
from pipeline.rating import consent
from pipeline.rating.beginning import prepare
from pipeline.rating.session import Session
from pipeline.rating.uploads import Uploads
from pipeline.tweets.params import TextParams
from tests.builders_sier import LABELS, write_sier
from tests.rate_server import API, ELEMENTS, Rater, Server, file_data, files, sound, text_inputs


@pytest.mark.parametrize(
    "name", ["ratings.sqlite", "params.yaml", "/proc/self/environ", "/etc/passwd", "http://127.0.0.1:9/x"]
)
def test_no_file_is_read_in_place_of_an_input(server: Server, events: dict[str, int], name: str) -> None:
    rater = Rater(server)
    path = name if "/" in name else str(server.root / name)
    before = files(server)
    for element, count in ELEMENTS.items():
        for place in range(count):
            data: list[object] = text_inputs(element)
            data[place] = file_data(path)
            answer = rater.ask(events[element], data)
            assert not answer["success"], (element, place)
            assert ".work" not in str(answer), (element, place)
            assert path not in str(answer), (element, place)
    assert files(server) == before


def test_a_sound_file_of_the_disk_is_no_reading(server: Server, events: dict[str, int]) -> None:
    mine = server.root / "precious.wav"
    mine.write_bytes(sound())
    rater = Rater(server)
    rater.agree()
    item = rater.ask(events["read"], ["mallory"])["output"]["data"][1]
    folder = server.root / ".work" / "rate"
    planted = folder / "planted.wav"
    planted.write_bytes(sound())  # not by an upload
    for path in (mine, planted, folder / ".." / "rate" / "planted.wav", "precious.wav", f"file://{mine}"):
        answer = rater.ask(events["save-reading"], ["mallory", item, "", file_data(str(path))])
        assert "Please record the text first" in answer["output"]["error"]
    assert mine.exists()
    assert planted.exists()
    planted.unlink()
    assert server.rows("SELECT count(*) FROM readings") == [(0,)]


@pytest.mark.parametrize(
    "value",
    [7, 1.5, True, [], ["a"], {}, {"path": 1}, {"path": None}, {"value": "x"}, {"__type__": "update", "value": "x"},
     [file_data("/etc/passwd")], {"a": file_data("/etc/passwd")}, file_data("/etc/passwd")],
    ids=repr,
)  # fmt: skip
def test_what_is_no_text_is_refused_in_place_of_one(server: Server, events: dict[str, int], value: object) -> None:
    rater = Rater(server)
    for element, count in ELEMENTS.items():
        for place in range(min(count, 3)):
            data: list[object] = text_inputs(element)
            data[place] = value
            assert rater.join(events[element], data).status_code == 400, (element, place)


def test_texts_may_say_anything(server: Server, events: dict[str, int]) -> None:
    rater = Rater(server)
    for text in ("", "\0", "\x1b[2J\x1b]0;title\x07", "\u202e", "x" * 200_000, "{" * 10_000, "NaN", "../../etc/passwd",
                 "[[[[", '{"task": 1}', "<script>alert(1)</script>"):  # fmt: skip
        for element, place in (
            ("start", 0),
            ("answer-1", 1),
            ("other-text", 1),
            ("other-text", 2),
            ("save-reading", 1),
        ):
            data: list[object] = text_inputs(element)
            data[place] = text
            answer = rater.ask(events[element], data)
            assert "status" not in answer, (element, place, text[:20])
            assert answer["success"] or "error" in answer["output"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{}", b"{", b"\xff\xfe", b'"data"', b'{"data": [], "fn_index": 0}', b"[" * 200_000,
        b'{"data": "mallory", "fn_index": 0, "session_hash": "a"}',
        b'{"data": ["mallory"], "fn_index": "0", "session_hash": "a"}',
        b'{"data": ["mallory"], "fn_index": true, "session_hash": "a"}',
        b'{"data": ["mallory"], "fn_index": -1, "session_hash": "a"}',
        b'{"data": ["mallory"], "fn_index": 99, "session_hash": "a"}',
        b'{"data": ["mallory"], "fn_index": null, "session_hash": "a"}',
        b'{"data": ["mallory"], "fn_index": 1e400, "session_hash": "a"}',
        b'{"data": ["mallory"], "fn_index": 0, "session_hash": null}',
        b'{"data": ["mallory"], "fn_index": 0, "session_hash": ["a"]}',
        b'{"data": ["\\ud800", ""], "fn_index": 0, "session_hash": "a"}',
    ],
    ids=lambda body: repr(body[:60]),
)  # fmt: skip
def test_what_is_no_event_is_refused(server: Server, body: bytes) -> None:
    kind = {"Content-Type": "application/json"}
    assert Rater(server).post(API + "queue/join", data=body, headers=kind).status_code == 400


def test_too_few_and_too_many_inputs_are_refused(server: Server, events: dict[str, int]) -> None:
    rater = Rater(server)
    for element, count in ELEMENTS.items():
        for given in {0, 1, 2, 3, 4, 5, 1_000} - {count}:
            assert rater.join(events[element], [""] * given).status_code == 400, (element, given)
    assert rater.join(events["save-reading"], ["mallory", "", "", "/etc/passwd"]).status_code == 400


def test_fields_that_the_page_does_not_send_do_nothing(server: Server, events: dict[str, int]) -> None:
    more = {
        "batched": True, "simple_format": True, "event_id": "x", "trigger_id": 10**30, "oauth_token": "x",
        "event_data": file_data("/etc/passwd"), "request": {"username": "eve"}, "username": "eve",
    }  # fmt: skip
    assert Rater(server).ask(events["start"], ["mallory", consent.VERSION], **more)["success"]


def test_an_answer_that_nobody_fetches_is_not_kept_for_ever(server: Server, events: dict[str, int]) -> None:
    rater = Rater(server)
    joined = [rater.join(events["start"], ["mallory", ""], session_hash="greedy").status_code for _ in range(40)]
    assert joined == [200] * 32 + [429] * 8
    for number in range(32):
        assert rater.join(events["start"], ["mallory", ""], session_hash=f"other{number}").status_code == 200
    assert rater.get(API + "queue/data?session_hash=greedy").status_code == 404


def test_who_skips_the_text_of_the_page_is_refused(server: Server, events: dict[str, int]) -> None:
    rater = Rater(server, "skipper")
    name = rater.upload(sound()).json()[0]
    key = server.rows("SELECT id FROM items")[0][0]
    task = json.dumps({"task": {"id": key, "condition": "image"}, "shown_at": 0})
    sent: list[tuple[str, list[object]]] = [
        ("start", ["skipper", ""]), ("start", ["skipper", "true"]), ("name", ["skipper", "0" * 16]),
        ("answer-1", ["skipper", task]), ("skip", ["skipper", task]), ("again", ["skipper"]),
        ("take-back", ["skipper"]), ("read", ["skipper"]), ("other-text", ["skipper", "", ""]),
        ("save-reading", ["skipper", "900-0", "", file_data(name)]),
    ]  # fmt: skip
    for element, data in sent:
        answer = rater.ask(events[element], data)
        assert "agree" in answer["output"]["error"], element
    for ticked in (True, 1, ["skipper"]):
        assert rater.join(events["start"], ["skipper", ticked]).status_code == 400
    for table, column in (("ratings", "rater"), ("readings", "reader"), ("consents", "rater")):
        assert server.rows(f"SELECT count(*) FROM {table} WHERE {column} = 'skipper'") == [(0,)]
    rater.agree()
    assert rater.ask(events["answer-1"], ["skipper", task])["success"]
    assert server.rows("SELECT version FROM consents WHERE rater = 'skipper'") == [(consent.VERSION,)]
    assert server.rows("SELECT text FROM consent_texts") == [(consent.TEXT,)]


def test_handlers_themselves_take_texts_and_uploads_only(tmp_path: Path) -> None:
    """As if the guard had let everything through."""
    import gradio as gr

    from pipeline.rating import app, server

    write_sier(tmp_path)
    ratings, items = prepare(tmp_path / "r.sqlite", tmp_path / "data" / "sier", BaseParams(0, LABELS), 1)
    session = Session(ratings, items, LABELS, 0, TextParams(emoji="words", max_characters=300))
    (tmp_path / "a.wav").write_bytes(sound())
    page = app.build(session, Uploads(tmp_path), named_by_login=False)
    request = gr.Request(username=None)
    for number, kinds in server.files_of(page).items():
        for wrong in (7, ["x"], {"path": "/etc/passwd"}, b"x", Path("/etc/passwd"), str(tmp_path / "a.wav")):
            place = len(kinds) - 1
            if isinstance(wrong, str) and not kinds[place]:
                continue
            inputs: list[object] = ["mallory", items[0].id, ""]
            inputs = [*inputs[:place], wrong]
            handler = page.fns[number].fn
            assert handler is not None
            with pytest.raises(gr.Error, match=r"load it again|record the text first"):
                handler(*inputs, request)
    assert (tmp_path / "a.wav").exists()
    assert session.store.readings() == {}
