"""What reaches Gradio: the few requests that the page makes, each checked. To all others there is no such thing.

Gradio mounts some seventy routes, and takes a dictionary that looks like a file in place of any input. Here an event is
read and written anew: text is text, a file (a recording, a picture) is one that this rater has sent, and there are as
many as the event has. Files are taken and shown here, and not by Gradio, which learns no file's name from outside.
"""

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.datastructures import MutableHeaders, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import first_line
from pipeline.frame.running import fail
from pipeline.rating.logins import Logins
from pipeline.rating.requests import Forward, TooLargeError, chunks, is_of_this_site, network, read
from pipeline.rating.uploads import KEPT_SECONDS, Uploads

API = "/gradio_api"
PAGES = ("/", "/theme.css", "/favicon.ico", "/assets/{path:path}", "/static/{path:path}")
EVENT_BYTES_MAX = 2**18  # most of it: the ids of texts that were passed over
LOGIN_BYTES_MAX = 2**12
AROUND_FILE_BYTES = 2**12  # of what is sent with it
# Of a rater, for a machine without log-in of all its raters. What nobody fetches stays in memory.
UPLOADS_AT_ONCE = 4
SESSIONS_MAX = 32
EVENTS_MAX = 32  # of a session
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
NO_EVENT, STRANGER, FOREIGN, NOT_FOUND, TOO_SLOW, TOO_LARGE, TOO_MANY, FAILED = (
    PlainTextResponse(text, status)
    for text, status in (
        ("This page does not send that.", 400), ("Please log in.", 401), ("Not from another site.", 403),
        ("Not Found", 404), ("Too slow.", 408), ("Too large.", 413), ("Too many at once.", 429),
        ("Internal Server Error", 500),
    )
)  # fmt: skip


class _File(BaseModel):
    """A file, of which the page tells more than counts."""

    model_config = ConfigDict(strict=True, extra="ignore")
    path: str


class _Event(BaseModel):
    """A click; what else a page tells of it is left out."""

    model_config = ConfigDict(strict=True, extra="ignore")
    data: list[str | _File | None]
    fn_index: int
    session_hash: str


class Guard:
    """An ASGI app around Gradio's.

    `name` begins each line on the screen. `events` says of each input of each event whether it is a file, of at most
    `file_bytes_max`; `rater` who sends a request, None for a stranger; `forget` drops what Gradio holds for a session
    that nobody fetches.
    """

    def __init__(
        self, name: str, app: ASGIApp, events: Mapping[int, Sequence[bool]], uploads: Uploads, file_bytes_max: int,
        logins: Logins, rater: Callable[[Request], str | None], forget: Callable[[str], object],
    ):  # fmt: skip
        self._name, self._upload_bytes_max = name, file_bytes_max + AROUND_FILE_BYTES
        self._app, self._events, self._uploads, self._logins = app, events, uploads, logins
        self._rater, self._forget = rater, forget
        self._sending: Counter[str] = Counter()
        self._sessions: defaultdict[str, dict[str, int]] = defaultdict(dict)  # of a rater: events, the newest last
        self._routes = Router(
            [
                *(Route(path, self._page) for path in PAGES),
                Route("/login", self._log_in, methods=["POST"]),
                Route(f"{API}/upload", self._of_rater(self._upload), methods=["POST"]),
                Route(f"{API}/upload_progress", self._of_rater(self._progress)),
                Route(f"{API}/file={{name}}", self._of_rater(self._file)),
                Route(f"{API}/queue/join", self._of_rater(self._join), methods=["POST"]),
                Route(f"{API}/queue/data", self._of_rater(self._data)),
            ],
            redirect_slashes=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; an error costs this answer, and one line on the screen."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_on(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            answer: ASGIApp = self._routes if is_of_this_site(Request(scope)) else FOREIGN
            await answer(scope, receive, send_on)
        except ClientDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 - whatever Gradio raises: a traceback says nothing to the operator
            what = f"{scope['method']} {scope['path'][:80]}: {type(error).__name__}: {first_line(error)[:200]}"
            fail(self._name, what)
            if not begun:
                await FAILED(scope, receive, send_on)

    async def _page(self, request: Request) -> ASGIApp:
        path = request.url.path
        return NOT_FOUND if ".." in path or not path.isprintable() else Forward(self._app)

    async def _log_in(self, request: Request) -> ASGIApp:
        address = network(request)
        if self._logins.is_crowded(address):
            return TOO_MANY
        try:
            body = await read(request, LOGIN_BYTES_MAX)
        except TooLargeError:
            return TOO_LARGE
        except TimeoutError:
            return TOO_SLOW

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            entered = False

            async def look(message: Message) -> None:
                nonlocal entered
                entered = entered or message.get("status") == 200
                await send(message)

            async with self._logins.turn(address) as ended:
                try:
                    await Forward(self._app, body)(scope, receive, look)
                finally:
                    ended(entered)

        return answer

    def _of_rater(self, work: Callable[[Request, str], Any]) -> Callable[[Request], Any]:
        async def of_rater(request: Request) -> ASGIApp:
            rater = self._rater(request)
            try:
                return STRANGER if rater is None else await work(request, rater)
            except TooLargeError:
                return TOO_LARGE
            except TimeoutError:
                return TOO_SLOW

        return of_rater

    async def _upload(self, request: Request, rater: str) -> Response:
        if self._sending[rater] >= UPLOADS_AT_ONCE:
            return TOO_MANY
        self._sending[rater] += 1
        try:
            sent = chunks(request, self._upload_bytes_max)
            async with asyncio.timeout(KEPT_SECONDS):
                form = await MultiPartParser(request.headers, sent, max_files=1, max_fields=0).parse()
            file = form.get("files")
            if not isinstance(file, UploadFile):
                return NO_EVENT
            with file.file:
                return JSONResponse([await asyncio.to_thread(self._uploads.keep, rater, file.file)])
        except MultiPartException:
            return NO_EVENT
        finally:
            self._sending[rater] -= 1

    async def _progress(self, request: Request, rater: str) -> Response:  # noqa: ARG002 - as all of them
        """Of an upload, which the page asks for; it is soon over."""
        return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")

    async def _file(self, request: Request, rater: str) -> Response:
        path = self._uploads.find(request.path_params["name"], rater)
        return NOT_FOUND if path is None else FileResponse(path, media_type="application/octet-stream")

    async def _join(self, request: Request, rater: str) -> ASGIApp:
        body = await read(request, EVENT_BYTES_MAX)
        try:
            event = _Event.model_validate_json(body)
            kinds = self._events[event.fn_index]
            data = [self._input(rater, *pair) for pair in zip(event.data, kinds, strict=True)]
        except (ValueError, KeyError):
            return NO_EVENT
        session = _session(rater, event.session_hash)
        mine = self._sessions[rater]
        if mine.get(session, 0) >= EVENTS_MAX:
            return TOO_MANY
        mine[session] = mine.pop(session, 0) + 1
        if len(mine) > SESSIONS_MAX:
            oldest = next(iter(mine))
            del mine[oldest]
            self._forget(oldest)
        written = JSONResponse({"data": data, "fn_index": event.fn_index, "session_hash": session})
        return Forward(self._app, bytes(written.body))

    def _input(self, rater: str, value: str | _File | None, is_file: bool) -> object:
        """What Gradio is given for an input; ValueError where the page would not have sent it."""
        if not is_file and not isinstance(value, _File):
            return value or ""
        if not is_file or isinstance(value, str):
            raise ValueError
        path = None if value is None else self._uploads.find(value.path, rater)
        return None if path is None else {"path": str(path), "meta": {"_type": "gradio.FileData"}}

    async def _data(self, request: Request, rater: str) -> ASGIApp:
        session = _session(rater, request.query_params.get("session_hash", ""))
        mine = self._sessions[rater]
        if session not in mine:
            return NOT_FOUND

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await Forward(self._app, query=f"session_hash={session}")(scope, receive, send)
            if session in mine:
                mine[session] = 0

        return answer


def _session(rater: str, name: str) -> str:
    """Gradio's name of a page: that of one rater leads to no other's."""
    return hashlib.sha256(f"{rater}\0{name}".encode("utf-8", "backslashreplace")).hexdigest()
