"""Requests that are not to be believed: read up to a limit, told from those of other sites, passed on in plain form."""

import asyncio
import ipaddress
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DRAINED_BYTES_MAX = 2**26  # of what is too large: who sends no more than that reads why it was refused
BODY_SECONDS = 30.0  # of a request that is no recording
PASSED = {b"host", b"cookie", b"accept", b"accept-encoding", b"user-agent", b"content-type", b"if-none-match",
          b"x-forwarded-host", b"x-forwarded-proto"}  # fmt: skip


class TooLargeError(Exception):
    """A body is larger than it may be."""


async def chunks(request: Request, bytes_max: int) -> AsyncGenerator[bytes]:
    """The body, piece by piece; TooLargeError at its end, or soon, if it is larger."""
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen <= bytes_max:
            yield chunk
        elif seen > DRAINED_BYTES_MAX:
            break
    if seen > bytes_max:
        raise TooLargeError


async def read(request: Request, bytes_max: int) -> bytes:
    """The whole body; TooLargeError if it is larger, TimeoutError if it is not there in time."""
    async with asyncio.timeout(BODY_SECONDS):
        return b"".join([chunk async for chunk in chunks(request, bytes_max)])


def is_of_this_site(request: Request) -> bool:
    """Whether no other site's page sent it; anybody may link to the page itself."""
    if request.method == "GET" and request.url.path == "/":
        return True
    fetched = request.headers.get("sec-fetch-site")  # from browsers, but over plain HTTP only on the same machine
    if fetched is not None:
        return fetched in {"same-origin", "none"}
    origin = request.headers.get("origin")
    hosts = {request.headers.get("host"), request.headers.get("x-forwarded-host")}
    return origin is None or urlsplit(origin).netloc in hosts


def network(request: Request) -> str:
    """Who sends it, as far as can be told: the address, of IPv6 the /64, which is one customer's."""
    host = request.client.host.partition("%")[0] if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "?"
    return host if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))


@dataclass(frozen=True)
class Forward:
    """An answer: that of `app` to a request for the same path, with this query and body and a few of its headers."""

    app: ASGIApp
    body: bytes = b""
    query: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        headers = [(name, value) for name, value in scope["headers"] if name in PASSED]
        kept = ("type", "asgi", "http_version", "method", "scheme", "path", "client", "server", "state")
        told = False

        async def receive_body() -> Message:
            nonlocal told
            if told:
                return await receive()  # waits until the browser is gone
            told = True
            return {"type": "http.request", "body": self.body, "more_body": False}

        plain = {name: scope[name] for name in kept if name in scope}
        raw = {"raw_path": scope["path"].encode(), "query_string": self.query.encode(), "headers": headers}
        await self.app({**plain, **raw, "root_path": ""}, receive_body, send)
