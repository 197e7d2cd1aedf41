"""An endpoint in the manner of OpenAI that misbehaves on demand: it runs in a thread, and remembers every question."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from models.teachers.endpoint import client
from tests.http_server import QuietHandler, listening


@dataclass(frozen=True)
class Trouble:
    """What is wrong with one answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None  # instead of the answer
    delay_seconds: float = 0.0
    drip: bool = False  # one byte now and then
    hang_up: bool = False  # without an answer


@dataclass
class ChatServer:
    """`said` answers the body of a question by a class's name or a whole choice; `troubles` are used up one by one."""

    said: Callable[[dict[str, Any]], Any] = lambda _: "anger"
    troubles: deque[Trouble] = field(default_factory=deque)
    always: Trouble = field(default_factory=Trouble)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    url: str = ""
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def choice(text: str, tokens: list[Any] | None = None) -> dict[str, Any]:
    """One choice of a chat completion; of a text in the schema of `answers`."""
    logprobs = None if tokens is None else {"content": tokens}
    return {"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": logprobs}


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[ChatServer]:
    """A server that `OPENAI_BASE_URL` names, and no waits between attempts."""
    server = ChatServer(**options)
    with listening(type("Handler", (_Handler,), {"chat": server})) as port:
        server.url = f"http://127.0.0.1:{port}/v1"
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
        monkeypatch.setattr(client, "FIRST_WAIT_SECONDS", 0.01)
        yield server


class _Handler(QuietHandler):
    chat: ChatServer

    def do_GET(self) -> None:  # noqa: N802 - the base class's name
        self._send(self.chat.always, b'{"data": []}')

    def do_POST(self) -> None:  # noqa: N802 - likewise
        chat = self.chat
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with chat.lock:
            chat.asked.append(body)
            chat.keys.append(self.headers.get("Authorization"))
            chat.times.append(time.monotonic())
            chat.at_once += 1
            chat.most_at_once = max(chat.most_at_once, chat.at_once)
            trouble = chat.troubles.popleft() if chat.troubles else chat.always
        try:
            said = chat.said(body)
            said = choice(json.dumps({"emotion": said})) if isinstance(said, str) else said
            answer = {"choices": [said], "usage": {"prompt_tokens": 100, "completion_tokens": 7}}
            self._send(trouble, json.dumps(answer).encode())
        finally:
            with chat.lock:
                chat.at_once -= 1

    def _send(self, trouble: Trouble, answer: bytes) -> None:
        time.sleep(trouble.delay_seconds)
        if trouble.hang_up:
            self.close_connection = True
            return
        body = answer if trouble.body is None else trouble.body
        self.send_response(trouble.status)
        for name, value in {"Content-Length": str(len(body)), **trouble.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        for place in range(len(body)) if trouble.drip else ():
            self.wfile.write(body[place : place + 1])
            self.wfile.flush()
            time.sleep(0.05)
        if not trouble.drip:
            self.wfile.write(body)
