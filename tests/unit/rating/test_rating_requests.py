"""Requests as somebody sends them who may use the page, or may not: against `sier rate` as a process."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import requests

pytest.importorskip("gradio", reason="needs: pip install -e '.[rate]'")

from pipeline.rating import consent
from tests.engine_workers import until
from tests.rate_server import API, SECRET, TOKEN, Rater, Server, file_data, files, logged_in, make_project, sound


def paths_of_gradio() -> list[tuple[str, str]]:
    """Method and path of every route that Gradio mounts for a page like ours, parameters filled in."""
    import gradio as gr
    from gradio.routes import App

    with gr.Blocks(analytics_enabled=False) as page:
        gr.Textbox()
    app = App.create_app(page)
    routers = [app, *(route.original_router for route in app.routes if hasattr(route, "original_router"))]
    found = []
    for route in (route for router in routers for route in router.routes):
        path = getattr(route, "path", "")
        for name in getattr(route, "param_convertors", {}):
            path = path.replace(f"{{{name}:path}}", "x").replace(f"{{{name}}}", "x")
        found += [(method, path.lstrip("/")) for method in getattr(route, "methods", None) or ["GET", "POST"]]
    return found


OPEN = {
    "",
    "theme.css",
    "favicon.ico",
    "login",
    API + "upload",
    API + "upload_progress",
    API + "queue/join",
    API + "queue/data",
}


def test_of_gradios_routes_only_those_are_there_that_the_page_needs(server: Server) -> None:
    rater = Rater(server)
    routes = paths_of_gradio()
    assert len(routes) > 60
    for method, path in routes:
        if path in OPEN:
            continue
        sent = rater.send(method, path, json={"data": []} if method == "POST" else None)
        assert sent.status_code == 404, (method, path, sent.status_code)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((method, path) for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE") for path in sorted(OPEN)),
        ("GET", "config"), ("GET", "config/"), ("GET", "?deep_link=../../ratings"), ("GET", "//etc/passwd"),
        ("GET", "assets/../../../../../etc/passwd"), ("GET", "assets/%2e%2e/%2e%2e/routes.py"), ("GET", "static/%00"),
        ("GET", "assets//etc/passwd"), ("GET", "static/..%2f..%2fpackage.json"), ("GET", API + "file=/etc/passwd"),
        ("GET", API + "file=..%2f..%2fratings.sqlite"), ("GET", API + "file=http://127.0.0.1:9/"),
        ("GET", API + "file/ratings.sqlite"), ("GET", API + "proxy=http://127.0.0.1:9/"), ("GET", API + "upload"),
        ("GET", API + "queue/join"), ("POST", API + "queue/data?session_hash=x"), ("GET", API + "queue/data"),
        ("GET", API + "queue/data?session_hash=nobody"), ("GET", API + "heartbeat/x"), ("GET", API + "queue/join/"),
        ("POST", API + "call/begin"), ("POST", API + "run/begin"), ("POST", API + "api/begin"), ("POST", "queue/join"),
        ("POST", API + "stream/x"), ("POST", API + "component_server"), ("POST", API + "cancel"), ("POST", "login/"),
        ("POST", API + "process_recording"), ("POST", API + "vibe-edit"), ("GET", API + "startup-events"),
        ("GET", "gradio_api/../config"), ("GET", "%67radio_api/info"),
    ],
)  # fmt: skip
def test_other_requests_are_refused(server: Server, method: str, path: str) -> None:
    sent = Rater(server).send(method, path)
    if "deep_link" in path:
        assert sent.status_code == 200
        assert '"deep_link_state":"none"' in sent.text.replace(" ", "")
    else:
        assert sent.status_code in {403, 404, 405}, sent.status_code
    assert "root:" not in sent.text


def test_large_bodies_are_not_taken(server: Server, events: dict[str, int]) -> None:
    rater = Rater(server)
    assert rater.join(events["other-text"], ["mallory", "", "x" * 300_000]).status_code == 413
    pieces = (b"x" * 2**20 for _ in range(200))
    try:
        status = rater.post(API + "queue/join", data=pieces, headers={"Content-Type": "application/json"}).status_code
    except requests.ConnectionError:  # nobody waits for the end of what is far too large
        status = 413
    assert status == 413
    assert Rater(server).ask(events["start"], ["mallory", consent.VERSION])["success"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"}, {"Origin": "http://127.0.0.1:1"},
    ],
)  # fmt: skip
def test_pages_of_other_sites_send_nothing(server: Server, events: dict[str, int], headers: dict[str, str]) -> None:
    rater = Rater(server)
    before = files(server)
    assert rater.upload(sound(), headers=headers).status_code == 403
    joined = {"data": ["mallory"], "fn_index": events["start"], "session_hash": "a"}
    assert rater.post(API + "queue/join", json=joined, headers=headers).status_code == 403
    assert files(server) == before
    assert rater.get("", headers=headers).status_code == 200  # a link to the page
    assert "access-control-allow-origin" not in rater.get("theme.css", headers={"Origin": server.address[:-1]}).headers


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "multipart/form-data; boundary=x"), (b"x", "multipart/form-data"), (b"x", "text/plain"), (b"{}", ""),
        (b"--x\r\n\r\n", "multipart/form-data; boundary=x"),
        (b"--x--\r\n", "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\n/etc/passwd\r\n--x--\r\n',
         "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\nabc\r\n--x--\r\n',
         "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nabc\r\n' * 2 + b"--x--\r\n",
         "multipart/form-data; boundary=x"),
    ],
)  # fmt: skip
def test_what_is_no_upload_is_refused(server: Server, content: bytes, kind: str) -> None:
    before = files(server)
    assert Rater(server).post(API + "upload", data=content, headers={"Content-Type": kind}).status_code == 400
    assert files(server) == before


def test_names_of_uploads_lead_nowhere_and_a_rater_keeps_a_few(server: Server) -> None:
    rater = Rater(server)
    sent = [rater.upload(sound(), name).json() for name in ("../../x.wav", "/etc/x.wav", "a\0b", "x" * 4_000, "r.svg")]
    sent += [rater.upload(sound()).json() for _ in range(10)]
    assert all(len(names) == 1 and names[0].isalnum() for names in sent)
    assert sorted(files(server)) == sorted(name for [name] in sent[-8:])
    got = rater.get(API + "file=" + sent[-1][0])
    assert got.content == sound()
    assert got.headers["content-type"] == "application/octet-stream"
    assert rater.get(API + "file=" + sent[0][0]).status_code == 404
    assert not list(server.root.rglob("x.wav"))


def test_a_recording_is_its_senders_and_so_is_a_page(guarded: Server) -> None:
    ada, eve, nobody = logged_in(guarded, "ada"), logged_in(guarded, "eve"), Rater(guarded)
    name = ada.upload(sound()).json()[0]
    assert [rater.get(API + "file=" + name).status_code for rater in (ada, eve, nobody)] == [200, 404, 401]
    event, save = eve.event("read"), eve.event("save-reading")
    item = eve.ask(event, [None])["output"]["data"][1]
    refused = eve.ask(save, ["ada", item, "", file_data(name)])
    assert "Please record the text first" in refused["output"]["error"]
    assert ada.join(event, [""], session_hash="same").status_code == 200
    assert eve.get(API + "queue/data?session_hash=same").status_code == 404
    assert nobody.get(API + "queue/data?session_hash=same").status_code == 401
    assert ada.ask(save, ["eve", item, "", file_data(name)])["success"]
    assert guarded.rows("SELECT id, reader FROM readings") == [(item, "ada")]
    until(lambda: not files(guarded), "the recording to go, once its page may have loaded it")


def test_strangers_get_nothing_but_the_log_in(guarded: Server) -> None:
    nobody = Rater(guarded)
    assert "gradio_config" in nobody.get("").text
    assert "answer-1" not in nobody.get("").text
    assert nobody.upload(sound()).status_code == 401
    assert nobody.join(0, ["ada", ""]).status_code == 401
    forged = {"Cookie": "access-token-x=x; access-token=x"}
    assert nobody.post(API + "queue/join", json={}, headers=forged).status_code == 401
    for data in ({}, {"username": "ada"}, {"password": SECRET}, {"username": "a\0", "password": SECRET}):
        assert nobody.post("login", data=data).status_code in {400, 422}, data
    assert nobody.post("login", data={"username": "ada", "password": "x" * 10_000}).status_code == 413
    odd = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    body = odd % (b"username", b"ada") + odd % (b"password", rb"\ud800") + b"--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x; charset=unicode_escape"}
    assert nobody.post("login", data=body, headers=kind).status_code == 400
    assert logged_in(guarded, "kim").get("").status_code == 200


def test_secrets_are_in_no_process_that_serves(guarded: Server) -> None:
    assert guarded.process is not None
    environment = Path(f"/proc/{guarded.process.pid}/environ").read_bytes()
    assert SECRET.encode() not in environment
    assert TOKEN.encode() not in environment
    assert b"PATH=/usr/bin:/bin" in environment


def test_the_operators_screen_stays_clean(tmp_path: Path) -> None:
    made = make_project(tmp_path, "--host", "0.0.0.0", SIER_RATE_SECRET=SECRET)
    made.start()
    try:
        rater = logged_in(made, "mallory")
        for user, agent in (("\x1b[2Jada", "wrong"), ("ada\nrate: error: all is lost", "wrong")):
            assert rater.post("login", data={"username": user, "password": agent}).status_code == 400
        with closing(sqlite3.connect(made.root / "ratings.sqlite")) as connection:
            connection.execute("DROP TABLE ratings")
        answer = rater.ask(rater.event("again"), [""])
        assert "This could not be kept" in answer["output"]["error"]
        assert rater.get("", headers={"X-Forwarded-Host": "\x1b[2J:x"}).status_code in {200, 400, 500}
        assert rater.get("%1b%5b2Jx").status_code == 404
        with closing(sqlite3.connect(made.root / "ratings.sqlite")) as connection:
            connection.execute("CREATE TABLE ratings (rater)")
        said = made.said()
    finally:
        made.kill()
    assert "Traceback" not in said
    assert all(char.isprintable() or char == "\n" for char in said)
    lines = said.splitlines()
    assert all(line.startswith("rate: ") for line in lines)
    assert "rate: a log-in from 127.0.0.1 was refused, 2 in a row" in lines
    assert any(line.startswith("rate: error: ratings.sqlite: no such table: ratings") for line in lines)
    assert "all is lost" not in said
