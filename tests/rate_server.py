"""`sier rate`, or `sier demo`, as a process, for tests that attack it or look at it in a browser."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import requests
import soundfile

from pipeline.rating import consent
from tests.builders_sier import write_sier
from tests.patience import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[1]
SECRET = "correct horse battery"
API = "gradio_api/"
TOKEN = "hf_" + "x" * 30
# Inputs of each event, by the element that it is of; see `Rater.event`.
ELEMENTS = {"start": 2, "name": 2, "answer-1": 2, "skip": 2, "again": 1, "take-back": 1, "read": 1, "other-text": 3,
            "save-reading": 4}  # fmt: skip


@dataclass
class Server:
    """The command in a folder; may be started again on the port that it had."""

    root: Path
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[str] | None = None
    command: str = "rate"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        command = [sys.executable, "-m", "pipeline", self.command, "--port", str(self.port), *self.arguments]
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(self.root), **self.environment}
        self.process = subprocess.Popen(
            command, cwd=self.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            found = re.search(r"http://\S+:(\d+)/", line)
            if found:
                self.port = int(found[1])
                return
        raise AssertionError(f"the server did not start: {said}")

    def stop(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(HANG_SECONDS)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self) -> str:
        """What stood on the screen after the address; the server ends."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.stop(signal.SIGINT)
        return self.process.stdout.read()

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.root / "ratings.sqlite", timeout=HANG_SECONDS)) as connection:
            return list(connection.execute(query))


def make_project(root: Path, *arguments: str, **environment: str) -> Server:
    """A server, not started, over the small dataset of `write_sier` with one row of each label."""
    write_sier(root)
    (root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    return Server(root, ("--per-class", "1", *arguments), environment)


@dataclass
class Rater:
    """Somebody who talks to the server without its page, and may send what the page would not."""

    server: Server
    name: str = "mallory"
    http: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.send("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.send("POST", path, **options)

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """The path goes out as it stands, with its dots."""
        headers = options.pop("headers", {})
        prepared = self.http.prepare_request(requests.Request(method, self.server.address, headers=headers, **options))
        prepared.url = self.server.address + path
        return self.http.send(prepared, timeout=HANG_SECONDS, allow_redirects=False)

    def config(self) -> dict[str, Any]:
        """What the page says of itself."""
        found = re.search(r"window\.gradio_config = (\{.*?\});?\s*</script>", self.get("").text, re.DOTALL)
        assert found is not None
        config: dict[str, Any] = json.loads(found[1])
        return config

    def event(self, element: str) -> int:
        """Number of the event of a button, by its `elem_id`; of the tab "Read aloud" by "read"."""
        config = self.config()
        ids = {
            part["id"]
            for part in config["components"]
            if part["props"].get("elem_id") == element
            or (element == "read" and part["props"].get("label") == "Read aloud")
        }
        return next(
            int(event["id"]) for event in config["dependencies"] if any(target[0] in ids for target in event["targets"])
        )

    def agree(self) -> None:
        """To what is kept, as the page does it."""
        assert self.ask(self.event("start"), [self.name, consent.VERSION])["success"]

    def upload(self, content: bytes, name: str = "a.wav", **options: Any) -> requests.Response:
        return self.post(API + "upload", files={"files": (name, content, "audio/wav")}, **options)

    def join(self, event: int, data: object, **more: object) -> requests.Response:
        body = {"data": data, "fn_index": event, "session_hash": os.urandom(5).hex(), **more}
        return self.post(API + "queue/join", json=body)

    def ask(self, event: int, data: object, **more: object) -> dict[str, Any]:
        """What an event is answered: its last message."""
        session = os.urandom(5).hex()
        joined = self.join(event, data, session_hash=session, **more)
        if joined.status_code != 200:
            return {"success": False, "status": joined.status_code, "output": joined.text}
        last: dict[str, Any] = {}
        for line in self.get(f"{API}queue/data?session_hash={session}").text.splitlines():
            if line.startswith("data: "):
                message = json.loads(line[6:])
                last = message if message["msg"] == "process_completed" else last
        return last


def text_inputs(element: str) -> list[object]:
    """What the page sends of an event before anything is filled in but the name."""
    inputs: list[object] = ["mallory", "", "", None]
    return inputs[: ELEMENTS[element]]


def file_data(path: str) -> dict[str, Any]:
    """What the page sends of a file."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def logged_in(server: Server, name: str) -> Rater:
    """A rater with a cookie, who has agreed to what is kept."""
    rater = Rater(server, name)
    assert rater.post("login", data={"username": name, "password": SECRET}).status_code == 200
    rater.agree()
    return rater


def sound(seconds: float = 1.0) -> bytes:
    """A WAV file that can be saved as a reading."""
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(np.arange(int(16_000 * seconds)) * 0.1), 16_000, format="WAV")
    return file.getvalue()


def files(server: Server) -> list[str]:
    """Names of what raters have sent and not saved."""
    return [path.name for path in (server.root / ".work" / "rate").rglob("*") if path.is_file()]
