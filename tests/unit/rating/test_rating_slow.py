"""Connections that say nothing, or too slowly, are closed; a few hundred would keep everybody else out."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message

from pipeline.rating import requests as rating_requests
from pipeline.rating import server as rating_server
from pipeline.rating.uploads import Uploads
from tests import asynchronous
from tests.patience import HANG_SECONDS

HEAD_SECONDS = 0.5


async def late(_: Request) -> PlainTextResponse:
    await asyncio.sleep(4 * HEAD_SECONDS)
    return PlainTextResponse("at last")


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Of a server like that of `sier rate`, in this process and in a hurry."""
    monkeypatch.setattr(rating_server, "HEAD_SECONDS", HEAD_SECONDS)
    config = uvicorn.Config(Starlette(routes=[Route("/", late)]), log_config=None, access_log=False, http="h11")
    server = rating_server._Server(config, Uploads(tmp_path))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(HANG_SECONDS)


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHo"])
def test_a_request_that_does_not_begin_is_not_waited_for(port: int, begun: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as connection:
        connection.sendall(begun)
        assert connection.recv(1) == b""


def test_an_answer_may_take_longer_and_the_next_head_not(port: int) -> None:
    assert requests.get(f"http://127.0.0.1:{port}/", timeout=HANG_SECONDS).text == "at last"
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT")
        said = b""
        while piece := connection.recv(1_000):
            said += piece
        assert said.endswith(b"at last")


def test_a_body_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rating_requests, "BODY_SECONDS", 0.1)

    async def drip() -> Message:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    with pytest.raises(TimeoutError):
        asynchronous.run(rating_requests.read(Request({"type": "http", "headers": []}, drip), 2**20))
