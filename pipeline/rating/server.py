"""Serve the page: to this machine alone, unless a secret keeps others out.

Ids of rows, file names and the like come from pages and are looked up, never joined into paths; Gradio keeps uploads in
a folder of the project's, which is emptied at every start, and hands out no other files.
"""

import errno
import hmac
import ipaddress
import os
import shutil
import signal
import socket
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.engine import lifecycle
from pipeline.errors import UserError
from pipeline.rating.session import READING_BYTES_MAX, RatingError, Session, person

SECRET_VARIABLE = "SIER_RATE_SECRET"  # noqa: S105 - a name
SECRET_CHARACTERS = 12
LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]", "::1"]
ENDING_SECONDS = 2
# Gradio's page holds inline scripts and styles, and makes its templates of strings.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "permissions-policy": "microphone=(self)",
}


def listen(host: str, port: int) -> tuple[socket.socket, str | None]:
    """A bound socket, and the secret that raters must know, if there is one; without it only this machine is served."""
    secret = os.environ.get(SECRET_VARIABLE) or None
    if secret is not None and len(secret) < SECRET_CHARACTERS:
        raise UserError(f"{SECRET_VARIABLE}: expected {SECRET_CHARACTERS} characters or more, found {len(secret)}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise UserError(f"--host {host}: no address of this machine; 127.0.0.1 serves this machine alone") from None
    if secret is None and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise UserError(
            f"--host {host}: others could reach it; put a secret that raters log in with into the environment variable "
            f"{SECRET_VARIABLE}, or serve 127.0.0.1"
        )
    try:
        return socket.create_server(address, family=family, reuse_port=False), secret
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"port {port} of {host} is in use; name another one with --port") from None
        raise UserError(f"--host {host} --port {port}: {os.strerror(error.errno or 0).lower()}") from None


def serve(session: Session, listening: socket.socket, secret: str | None, uploads: Path) -> None:
    """Until Ctrl-C, or Stopped by SIGTERM; `uploads` is a folder for what raters send, until it is in the store."""
    shutil.rmtree(uploads, ignore_errors=True)
    uploads.mkdir(parents=True)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads.resolve())
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr  # noqa: PLC0415 - reads these variables, and takes seconds

    from pipeline.rating import app  # noqa: PLC0415

    host, port = listening.getsockname()[:2]
    page = app.build(session, named_by_login=secret is not None)
    outer = FastAPI(openapi_url=None)
    if secret is None:  # a page elsewhere whose name is made to lead here would send another one
        outer.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK_NAMES, host])
    gr.mount_gradio_app(
        outer, page, path="/", server_name=host, server_port=port, footer_links=[], show_error=False, ssr_mode=False,
        pwa=False, mcp_server=False, enable_monitoring=False, max_file_size=READING_BYTES_MAX,
        auth=None if secret is None else partial(_may_enter, secret),
        auth_message="Your name, and the secret that you were told as the password.", **app.resources(),
    )  # fmt: skip
    config = uvicorn.Config(
        _with_headers(outer), log_level="warning", access_log=False, timeout_graceful_shutdown=ENDING_SECONDS
    )
    server = _Server(config)
    try:
        server.run(sockets=[listening])
    finally:
        shutil.rmtree(uploads, ignore_errors=True)
    if server.ended_by == signal.SIGTERM:
        raise lifecycle.Stopped


class _Server(uvicorn.Server):
    """Ends in order however often Ctrl-C is pressed; uvicorn's own prints a traceback at the second."""

    ended_by: int | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        self.ended_by = sig
        self.should_exit = True


def _may_enter(secret: str, name: str, given: str) -> bool:
    try:
        person(name)
    except RatingError:
        return False
    return hmac.compare_digest(given.encode(), secret.encode())


def _with_headers(app: ASGIApp) -> ASGIApp:
    """`app` with `HEADERS` on every answer."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await app(scope, receive, send_with_headers if scope["type"] == "http" else send)

    return wrapped
