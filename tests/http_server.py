"""A web server that misbehaves on demand: it runs in a thread of the test, and remembers every request.

It serves bytes by path, with ETag, Last-Modified, Range and If-Range as RFC 9110 has them, unless a `Fault` of the path
is next in line; each fault is used up by one request.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase

HTML = b"<!DOCTYPE html>\n<html><body>Please log in.</body></html>\n"
_DATES = ("Mon, 02 Jan 2017 10:00:00 GMT", "Tue, 03 Jan 2017 10:00:00 GMT")
_BLOCK_BYTES = 4096
DRIP_SECONDS = 0.2


@dataclass(frozen=True)
class Fault:
    """What is wrong with one answer; several things may be.

    Attributes:
        status: answer with this one and a short text instead of the file.
        headers: put on top of the answer's; None takes one away.
        body: instead of the file's bytes.
        replace_with: from this request on the file has these bytes.
        break_after: close the connection after this many bytes of the body.
        drip_after: send single bytes after this many, five a second, until the client gives up.
        drip_head: send the status line and the headers in that way too.
        stall_after: send nothing more after this many bytes, until the client gives up.
        ignore_range: always send the whole file.
        ignore_condition: send the range that is asked for, whatever If-Range says.
        longer_bytes: announce so many more than there are.
        chunked: announce no length, send in chunks.
        no_length: announce no length, end by closing the connection.
    """

    status: int | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: bytes | None = None
    replace_with: bytes | None = None
    break_after: int | None = None
    drip_after: int | None = None
    drip_head: bool = False
    stall_after: int | None = None
    ignore_range: bool = False
    ignore_condition: bool = False
    longer_bytes: int = 0
    chunked: bool = False
    no_length: bool = False


@dataclass
class Request:
    """One that has been served: `sent_bytes` counts those of the body."""

    path: str
    range: str | None
    authorization: str | None
    status: int = 0
    sent_bytes: int = 0


@dataclass
class WebServer:
    """`files` by path; `faults` by path, `always` where none is left; a `login` is asked for where it is given."""

    host: str
    files: dict[str, bytes] = field(default_factory=dict)
    login: tuple[str, str] | None = None
    bytes_per_second: float | None = None
    faults: defaultdict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    always: dict[str, Fault] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    most_at_once: int = 0
    at_once: int = 0
    port: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def sent_bytes(self) -> int:
        return sum(request.sent_bytes for request in self.requests)

    def fail(self, path: str, *faults: Fault) -> None:
        self.faults[path].extend(faults)


@contextmanager
def serve(
    files: Mapping[str, bytes] | None = None,
    *,
    host: str = "127.0.0.1",
    login: tuple[str, str] | None = None,
    bytes_per_second: float | None = None,
) -> Iterator[WebServer]:
    """A server of `files`, whose paths start with a slash, for as long as the `with` lasts."""
    server = WebServer(host, dict(files or {}), login, bytes_per_second)
    with listening(type("Handler", (_Handler,), {"web": server}), host) as server.port:
        try:
            yield server
        finally:
            server.closing.set()


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler], host: str = "127.0.0.1") -> Iterator[int]:
    """A server with a thread for each connection; the port on which it listens."""
    with _Threads((host, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class _Threads(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class QuietHandler(BaseHTTPRequestHandler):
    """Keeps connections open, writes no log, and takes a client that leaves for one that has seen enough."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()


class _Handler(QuietHandler):
    web: WebServer

    def do_GET(self) -> None:
        web, path = self.web, self.path.partition("?")[0]
        request = Request(path, self.headers.get("Range"), self.headers.get("Authorization"))
        with web.lock:
            web.requests.append(request)
            web.at_once += 1
            web.most_at_once = max(web.most_at_once, web.at_once)
            fault = web.faults[path].popleft() if web.faults[path] else web.always.get(path, Fault())
            if fault.replace_with is not None:
                web.files[path] = fault.replace_with
        try:
            self._answer(path, request, fault)
        finally:
            with web.lock:
                web.at_once -= 1

    def _answer(self, path: str, request: Request, fault: Fault) -> None:
        if self.web.login is not None and request.authorization != _basic(*self.web.login):
            fault = Fault(status=HTTPStatus.UNAUTHORIZED)
        elif path not in self.web.files and fault.status is None and fault.body is None:
            fault = Fault(status=HTTPStatus.NOT_FOUND)
        if fault.status is not None:
            body = fault.body if fault.body is not None else b"no\n"
            self._send(request, fault.status, {"Content-Type": "text/plain"}, body, fault)
            return
        whole = self.web.files.get(path, b"") if fault.body is None else fault.body
        headers = {
            "Content-Type": "application/octet-stream",
            "Accept-Ranges": "bytes",
            "ETag": f'"{hashlib.sha256(whole).hexdigest()[:16]}"',
            "Last-Modified": _DATES[hashlib.sha256(whole).digest()[0] % 2],
        }
        headers |= {name: value for name, value in fault.headers.items() if value is not None}
        condition = self.headers.get("If-Range")
        wanted = re.fullmatch(r"bytes=(\d+)-", request.range or "")
        same = fault.ignore_condition or condition in {None, headers["ETag"], headers["Last-Modified"]}
        if wanted is None or fault.ignore_range or not same:
            self._send(request, HTTPStatus.OK, headers, whole, fault)
        elif int(wanted[1]) >= len(whole):
            headers = {"Content-Range": f"bytes */{len(whole)}"}
            self._send(request, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers, b"", Fault())
        else:
            start = int(wanted[1])
            headers = {"Content-Range": f"bytes {start}-{len(whole) - 1}/{len(whole)}", **headers}
            self._send(request, HTTPStatus.PARTIAL_CONTENT, headers, whole[start:], fault)

    def _send(self, request: Request, status: int, headers: Mapping[str, str], body: bytes, fault: Fault) -> None:
        request.status = status
        length = {"Content-Length": str(len(body) + fault.longer_bytes)}
        if fault.chunked or fault.no_length:
            length = {"Transfer-Encoding": "chunked"} if fault.chunked else {"Connection": "close"}
        whole_file = self.wfile
        if fault.drip_head:
            self.wfile = _Dripping(whole_file, self.web.closing)
        self.send_response(status)
        for name, value in {**headers, **length, **fault.headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        end = min(
            [
                len(body),
                *(stop for stop in (fault.break_after, fault.stall_after, fault.drip_after) if stop is not None),
            ]
        )
        for start in range(0, end, _BLOCK_BYTES):
            block = body[start : min(start + _BLOCK_BYTES, end)]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if fault.chunked else block)
            request.sent_bytes += len(block)
            if self.web.bytes_per_second:
                time.sleep(len(block) / self.web.bytes_per_second)
        if fault.drip_after is not None:
            rest = body[end:]
            self.wfile = _Dripping(whole_file, self.web.closing)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(rest), rest) if fault.chunked else rest)
        if fault.stall_after is not None:
            self.wfile.flush()
            self.web.closing.wait(5)
        if end < len(body) or fault.longer_bytes or fault.no_length:
            self.close_connection = True
        elif fault.chunked:
            self.wfile.write(b"0\r\n\r\n")


class _Dripping(BufferedIOBase):
    def __init__(self, file: BufferedIOBase, closing: threading.Event) -> None:
        self._file = file
        self._closing = closing

    def write(self, data: bytes) -> int:  # type: ignore[override]  # of any buffer
        for place in range(len(data)):
            self._file.write(data[place : place + 1])
            if self._closing.wait(DRIP_SECONDS):
                raise ConnectionError("the test is over")
        return len(data)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
