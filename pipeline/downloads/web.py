"""HTTP as downloads need it: log-ins that stay with their host, and which failures pass by themselves.

`requests` does the talking: DVC needs it anyway, its types are published, and it tells hosts apart in redirects.
"""

import http.client
import math
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import HTTPBasicAuth
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential_jitter,
)
from tqdm import tqdm
from urllib3.util import Retry

from pipeline.downloads.pace import Pace, PacedAdapter, SlowError
from pipeline.errors import UserError, first_line

PASSING = (408, 429, 500, 502, 503, 504)  # answers that another attempt may change
AS_IT_IS = {"Accept-Encoding": "identity"}  # a range counts the bytes that are sent: they must be those of the file

T = TypeVar("T")


@dataclass(frozen=True)
class Policy:
    """How patient a download is. `attempts`: in a row, without enough that is new; waits grow up to the longest."""

    attempts: int = 10
    first_wait_seconds: float = 1.0
    max_wait_seconds: float = 120.0
    connect_timeout_seconds: float = 20.0
    read_timeout_seconds: float = 60.0  # without a byte
    least_bytes_per_second: float = 1_000.0  # while `pace_seconds` of waiting for the host
    pace_seconds: float = 60.0
    deadline_seconds: float = math.inf  # of waiting for the host, in all attempts

    def pace(self, ended: threading.Event) -> Pace:
        """For the requests of one download."""
        return Pace(self.least_bytes_per_second, self.pace_seconds, self.deadline_seconds, ended)


PATIENT = Policy()


@dataclass(frozen=True, repr=False)
class Login:
    """For one host only. Has no repr: it would show the password."""

    user: str
    password: str


class PassingError(Exception):
    """A failure that may pass by itself: worth another attempt, after the seconds that the server asked for."""

    def __init__(self, reason: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds
        self.progress = ""  # what the attempt brought all the same


class UnknownHostError(PassingError):
    """The host's name cannot be resolved: it is gone, or this machine is offline."""


class AnswerError(Exception):
    """An answer with another status than was asked for, which no further attempt will change."""

    def __init__(self, status: int) -> None:
        super().__init__(_answer(status))
        self.status = status


class Session(requests.Session):
    """Connections for one thread. Sends a log-in to the host of the first address only, and never one of ~/.netrc."""

    def __init__(self, login: Login | None = None) -> None:
        super().__init__()
        # Without any, requests would look into ~/.netrc.
        self.auth = HTTPBasicAuth(login.user.encode(), login.password.encode()) if login else lambda request: request
        self.paced = PacedAdapter()
        for scheme in ("http://", "https://"):
            self.mount(scheme, self.paced)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """After a redirect; the library's own would go on to look into ~/.netrc."""
        headers = prepared_request.headers
        old, new = str(response.request.url), str(prepared_request.url)
        if "Authorization" in headers and self.should_strip_auth(old, new):  # type: ignore[no-untyped-call]
            del headers["Authorization"]


@contextmanager
def get(
    session: Session, url: str, policy: Policy, pace: Pace, headers: Mapping[str, str] | None = None
) -> Iterator[requests.Response]:
    """The answer to a GET, whose body is read inside the `with`, by `response.raw.stream`.

    Raises:
        PassingError: a status of `PASSING`, no connection, or one that broke, stalled or fell behind `pace`, also
            inside the `with`.
        AnswerError: any other status than 200 and 206.
        UserError: a certificate that is not trusted, or redirects without an end.
    """
    session.paced.pace = pace
    timeout = (policy.connect_timeout_seconds, policy.read_timeout_seconds)
    try:
        with session.get(url, headers={**AS_IT_IS, **(headers or {})}, stream=True, timeout=timeout) as response:
            status = response.status_code
            if status in PASSING:
                raise PassingError(_answer(status), _retry_after(response.headers.get("Retry-After", "")))
            if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                raise AnswerError(status)
            yield response
    except requests.exceptions.SSLError:
        problem = "the server's certificate is not trusted; check the address, or the proxy"
        raise UserError(f"{shown(url)}: {problem}") from None
    except requests.TooManyRedirects:
        raise UserError(f"{shown(url)}: redirects without an end; check the address") from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, urllib3.exceptions.LocationParseError):
        raise UserError(f"{shown(url)}: it, or where it redirects to, is no address of a file") from None
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise PassingError(f"no byte for {policy.read_timeout_seconds:g} s") from None
    except SlowError as error:
        raise PassingError(str(error)) from None
    except requests.ConnectionError as error:
        if "NameResolutionError" in repr(error):
            raise UnknownHostError("the host's name is not known") from None
        raise PassingError("no connection, or it broke") from None
    except (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.HTTPError):
        raise PassingError("the connection broke") from None
    except requests.RequestException as error:  # such as two lengths of one answer
        raise UserError(f"{shown(url)}: {first_line(error)[:200]}; ask those who run the server") from None


def patiently(
    policy: Policy, attempt: Callable[[], T], ended: threading.Event, say: Callable[[str], None] = lambda _: None
) -> T:
    """The first result of `attempt` that is not a `PassingError`, with growing waits and jitter in between.

    Attempts are counted anew after each with `progress`; the last one's `PassingError` is raised. None follows, and no
    wait goes on, once `ended` is set.
    """
    first_wait, most = policy.first_wait_seconds, policy.max_wait_seconds
    backoff = wait_exponential_jitter(multiplier=first_wait, max=most, jitter=first_wait)

    def count(state: RetryCallState) -> None:
        if _failure(state).progress:
            state.attempt_number = 0

    def wait(state: RetryCallState) -> float:
        return min(max(_failure(state).retry_after_seconds, backoff(state)), most)

    def before_sleep(state: RetryCallState) -> None:
        error = _failure(state)
        if error.progress:
            what = f"{error} {error.progress}; going on"
        else:
            what = f"{error}; attempt {state.attempt_number} of {policy.attempts}, the next"
        say(f"{what} in {state.upcoming_sleep:.1f} s")

    retrying = Retrying(
        retry=retry_if_exception_type(PassingError),
        stop=stop_after_attempt(policy.attempts) | stop_when_event_set(ended),
        wait=wait,
        sleep=sleep_using_event(ended),
        after=count,
        before_sleep=before_sleep,
        reraise=True,
    )
    return retrying(attempt)


def _failure(state: RetryCallState) -> PassingError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, PassingError), "nothing else is tried again"
    return error


def tell(line: str) -> None:
    """A line for the person who waits, beside the progress bar."""
    tqdm.write(line, file=sys.stderr)


def shown(url: str) -> str:
    """An address for messages: without what may be secret in it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def is_html(content_type: str, start: bytes) -> bool:
    """Whether an answer is a page, such as a log-in or an error, by its type or its first bytes."""
    begins = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:14].lower()
    return content_type.lower().startswith(("text/html", "application/xhtml")) or begins.startswith(
        (b"<!doctype html", b"<html")
    )


def _answer(status: int) -> str:
    return f"{status} {http.client.responses.get(status, '')}".rstrip()


def _retry_after(value: str) -> float:
    """Seconds; the header holds them, or a date."""
    try:
        return Retry().parse_retry_after(value)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return 0.0
