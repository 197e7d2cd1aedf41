"""Serve the page: to this machine alone, unless a secret keeps others out.

Ids of rows, file names and the like come from pages and are looked up, never joined into paths; see `Guard` for what
gets through to Gradio. Recordings lie in a folder of the project's, which is emptied at every start.
"""

import ctypes
import errno
import hmac
import ipaddress
import logging
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.routing import Mount
from starlette.types import ASGIApp

from pipeline.engine import lifecycle
from pipeline.errors import UserError, first_line
from pipeline.frame.running import printable
from pipeline.rating.guard import Guard
from pipeline.rating.logins import Logins
from pipeline.rating.requests import network
from pipeline.rating.session import RatingError, person
from pipeline.rating.uploads import Uploads

SECRET_CHARACTERS = 12
LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]", "::1"]
ENDING_SECONDS = 2
CONNECTIONS_MAX = 256
EVENTS_MAX = 256  # that wait for one and the same handler
# Or a few hundred connections that say nothing would keep everybody else out.
HEAD_SECONDS = 15.0  # for a request to begin
ANSWER_SECONDS = 900.0  # for its body to come and for its answer to be taken; a recording has ten minutes to come
# Of the environment, what the server goes on with; the rest may hold secrets of this or any other program.
KEPT_VARIABLES = {"HOME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "TERM", "TMPDIR", "TZ", "USER"}


@dataclass(frozen=True)
class Site:
    """A page of Gradio's, and what is particular to it.

    `build` makes it, of the folder of what is sent and of whether people have logged in by name; it imports Gradio,
    and so is called once Gradio's settings are in the environment. `look` is for `gradio.mount_gradio_app`.
    """

    name: str  # of the command
    build: Callable[[Uploads, bool], Any]
    look: Callable[[], dict[str, Any]]
    file_bytes_max: int  # of each file that is sent
    secret_variable: str  # of the environment, with what people log in by


def listen(site: Site, host: str, port: int) -> tuple[socket.socket, str | None]:
    """A bound socket, and the secret that people must know, if there is one; without it only this machine is served."""
    variable = site.secret_variable
    secret = os.environ.get(variable) or None
    if secret is not None and len(secret) < SECRET_CHARACTERS:
        raise UserError(f"{variable}: expected {SECRET_CHARACTERS} characters or more, found {len(secret)}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise UserError(f"--host {host}: no address of this machine; 127.0.0.1 serves this machine alone") from None
    if secret is None and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise UserError(
            f"--host {host}: others could reach it; put a secret that people log in with into the environment variable "
            f"{variable}, or serve 127.0.0.1"
        )
    try:
        return socket.create_server(address, family=family, reuse_port=False), secret
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"port {port} of {host} is in use; name another one with --port") from None
        raise UserError(f"--host {host} --port {port}: {os.strerror(error.errno or 0).lower()}") from None


def address(listening: socket.socket) -> str:
    """Where the page is."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def serve(site: Site, listening: socket.socket, secret: str | None, folder: Path) -> None:
    """Until Ctrl-C, or Stopped by SIGTERM; `folder` is for what people send, until it is used."""
    _forget_environment()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    uploads = Uploads(folder)
    screen = logging.StreamHandler()
    screen.setFormatter(_OneLine(site.name))
    logging.basicConfig(handlers=[screen], level=logging.WARNING, force=True)
    config = uvicorn.Config(
        _build(site, uploads, secret, *listening.getsockname()[:2]), log_config=None, access_log=False,
        proxy_headers=False, http="h11", ws="none", limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=ENDING_SECONDS,
    )  # fmt: skip
    server = _Server(config, uploads)
    try:
        server.run(sockets=[listening])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if server.ended_by == signal.SIGTERM:
        raise lifecycle.Stopped


def _build(site: Site, uploads: Uploads, secret: str | None, host: str, port: int) -> ASGIApp:
    """The page behind its guard."""
    os.environ["GRADIO_TEMP_DIR"] = str(uploads.folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr  # noqa: PLC0415 - reads these variables, and takes seconds

    page = site.build(uploads, secret is not None)
    page.queue(max_size=EVENTS_MAX)
    outer = gr.mount_gradio_app(
        FastAPI(openapi_url=None), page, path="/", server_name=host, server_port=port, footer_links=[],
        show_error=False, ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False, run_history=False,
        auth=None if secret is None else partial(_may_enter, secret),
        auth_message="Your name, and the secret that you were told as the password.", **site.look(),
    )  # fmt: skip
    page.has_launched = True  # Gradio checks no path before
    inner: Any = next(route.app for route in outer.routes if isinstance(route, Mount))

    def rater(request: Request) -> str | None:
        if secret is None:
            return network(request)
        cookies = (f"access-token-{inner.cookie_id}", f"access-token-unsecure-{inner.cookie_id}")
        token = next((request.cookies[name] for name in cookies if name in request.cookies), None)
        return inner.tokens.get(token)  # type: ignore[no-any-return]

    def forget(name: str) -> None:
        page._queue.pending_messages_per_session.pop(name, None)

    guard = Guard(site.name, outer, files_of(page), uploads, site.file_bytes_max, Logins(), rater, forget)
    if secret is not None:
        return guard
    # A page elsewhere whose name is made to lead here would send another one.
    return TrustedHostMiddleware(guard, allowed_hosts=[*LOOPBACK_NAMES, host], www_redirect=False)


def files_of(page: Any) -> dict[int, list[bool]]:
    """Of each event of the page, by its number: which of its inputs are files; all others are texts."""
    import gradio as gr  # noqa: PLC0415

    return {
        number: [isinstance(part, gr.Audio | gr.Image) for part in event.inputs] for number, event in page.fns.items()
    }


class _Server(uvicorn.Server):
    """Ends in order however often Ctrl-C is pressed; uvicorn's own prints a traceback at the second."""

    ended_by: int | None = None

    def __init__(self, config: uvicorn.Config, uploads: Uploads):
        super().__init__(config)
        self.uploads = uploads
        self._since: dict[Any, tuple[object, float]] = {}  # of each connection: its state, and when that began

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        self.uploads.sweep()
        self._close_the_slow(time.monotonic())
        return await super().on_tick(counter)

    def _close_the_slow(self, now: float) -> None:
        before, self._since = self._since, {}
        connections: Any = self.server_state.connections  # of the protocol that the configuration names
        for connection in list(connections):
            cycle = connection.cycle  # the newest request with its answer
            waits = cycle is None or cycle.response_complete
            state, since = before.get(connection, (None, now))
            if state != (cycle, waits):
                since = now
            self._since[connection] = ((cycle, waits), since)
            if now - since > (HEAD_SECONDS if waits else ANSWER_SECONDS):
                connection.transport.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        self.ended_by = sig
        self.should_exit = True


def _may_enter(secret: str, name: str, given: str) -> bool:
    try:
        person(name)
    except RatingError:
        return False
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode("utf-8", "surrogateescape"))


class _OneLine(logging.Formatter):
    """A line for each record, which begins with `name`; what it quotes cannot steer the terminal."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        more = f": {type(error).__name__}: {first_line(error)}" if error else ""
        return printable(f"{self._name}: {record.levelname.lower()}: {' '.join(record.getMessage().split())}{more}")


def _forget_environment() -> None:
    """Overwrite what the process was started with: /proc/<pid>/environ goes on showing what was merely unset."""
    find = ctypes.CDLL(None).getenv
    find.restype = ctypes.c_void_p
    for name, value in list(os.environb.items()):
        if name.decode("utf-8", "replace") not in KEPT_VARIABLES:
            address = find(name)
            if address:
                ctypes.memset(address, 0, len(value))
            del os.environb[name]
