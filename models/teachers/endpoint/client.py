"""An OpenAI-compatible endpoint (vLLM, TGI, Ollama and others): one question, one answer, with patience.

Its address and key come from `OPENAI_BASE_URL` and `OPENAI_API_KEY` alone; neither is written anywhere.
"""

import json
import os
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential_jitter,
)
from urllib3.util import Retry

from models.errors import ItemError, ModelError
from models.teachers.endpoint.answers import shown

URL_VARIABLE = "OPENAI_BASE_URL"
KEY_VARIABLE = "OPENAI_API_KEY"
FIRST_WAIT_SECONDS = 1.0
WAIT_SECONDS_MAX = 60.0
CONNECT_SECONDS_MAX = 10.0  # a server that is down need not be waited for as one that thinks
ANSWER_BYTES_MAX = 2**20
PASSING = (408, 409, 425, 429, 500, 502, 503, 504)  # answers that another attempt may change
OF_THE_ITEM = (400, 413, 415, 422)  # refusals of what was asked about, such as a picture that it finds indecent
FAILED = "endpoint_failed"
REFUSED = "endpoint_refused"


class PassingError(Exception):
    """A failure that may pass by itself."""

    def __init__(self, reason: str, wait_seconds: float = 0.0, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds
        self.unreachable = unreachable


@dataclass(frozen=True)
class Patience:
    """How an endpoint is asked; no answer depends on it."""

    concurrency: int = 8  # questions at once
    timeout_seconds: float = 120.0  # of a question, from the first byte sent to the last one received
    retries: int = 5
    max_failed_share: float = 0.05  # of questions; more end the run


class Client:
    """Asks the endpoint that the environment names, from any number of threads."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.url = os.environ.get(URL_VARIABLE, "").strip().rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            found = "not set" if not self.url else "no address that starts with http:// or https://"
            raise ModelError(
                f"{URL_VARIABLE} is {found}; expected that of an endpoint, such as http://localhost:8000/v1"
            )
        self.shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._key = os.environ.get(KEY_VARIABLE, "").strip()
        self._session = requests.Session()
        # Without any, requests would look into ~/.netrc.
        self._session.auth = lambda request: request
        adapter = HTTPAdapter(pool_maxsize=patience.concurrency)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def expect_up(self) -> None:
        """Raises ModelError if nobody answers there, or not to this key; sends no item."""
        try:
            self._request("GET", "models", None)
        except ItemError:
            pass  # no list of models: not every endpoint has one
        except PassingError as error:
            raise ModelError(self._down(error)) from None

    def ask(self, question: dict[str, Any], ended: threading.Event) -> dict[str, Any]:
        """The endpoint's answer to a chat completion, as JSON; no further attempt once `ended` is set.

        Raises:
            ItemError: it refuses this question, or has failed at it in all attempts.
            ModelError: it cannot be reached, refuses the key, or knows no such model or path.
        """
        backoff = wait_exponential_jitter(
            multiplier=FIRST_WAIT_SECONDS, max=WAIT_SECONDS_MAX, jitter=FIRST_WAIT_SECONDS
        )

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.wait_seconds if isinstance(error, PassingError) else 0.0
            return min(max(asked, backoff(state)), WAIT_SECONDS_MAX)

        retrying = Retrying(
            retry=retry_if_exception_type(PassingError),
            stop=stop_after_attempt(self.patience.retries + 1) | stop_when_event_set(ended),
            wait=wait, sleep=sleep_using_event(ended), reraise=True,
        )  # fmt: skip
        try:
            return retrying(self._request, "POST", "chat/completions", question)
        except PassingError as error:
            if error.unreachable:
                raise ModelError(self._down(error)) from None
            raise ItemError(FAILED, f"{error}, in {self.patience.retries + 1} attempts") from None

    def _down(self, error: PassingError) -> str:
        return f"{self.shown}: {error}; start the endpoint, or correct {URL_VARIABLE}; answers so far are kept"

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        patience, begin = self.patience, time.monotonic()
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            with self._session.request(
                method, f"{self.url}/{path}", json=body, headers=headers, stream=True, allow_redirects=False,
                timeout=(min(patience.timeout_seconds, CONNECT_SECONDS_MAX), patience.timeout_seconds),
            ) as response:  # fmt: skip
                text = _read(response, begin + patience.timeout_seconds)
        except requests.ConnectTimeout:
            raise PassingError("no connection", unreachable=True) from None
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
            raise PassingError(f"no answer within {patience.timeout_seconds:g} s") from None
        except requests.exceptions.SSLError:
            raise ModelError(f"{self.shown}: its certificate is not trusted; check {URL_VARIABLE}") from None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader, UnicodeError):
            raise ModelError(f"{URL_VARIABLE} or {KEY_VARIABLE} cannot be sent; check their letters") from None
        except requests.ConnectionError as error:
            reason = getattr(error.args[0], "reason", None) if error.args else None
            if isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ProxyError):
                raise PassingError("no connection", unreachable=True) from None
            raise PassingError("the connection broke") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError):
            raise PassingError("the connection broke") from None
        return self._understood(response, text)

    def _understood(self, response: requests.Response, text: bytes) -> dict[str, Any]:
        status, said = response.status_code, shown(_message(text))
        if status in PASSING:
            raise PassingError(f"answered {status}", _retry_after(response.headers.get("Retry-After", "")))
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:  # whose texts may hold the key
            raise ModelError(f"{self.shown}: answered {status}; expected a key that it accepts in {KEY_VARIABLE}")
        if status in OF_THE_ITEM:
            raise ItemError(REFUSED, f"answered {status}: {said}")
        if status != HTTPStatus.OK:
            if response.request.method == "GET":
                raise ItemError(REFUSED, f"answered {status}")
            hint = f"check train_teacher's model, and {URL_VARIABLE}, which mostly ends in /v1"
            raise ModelError(f"{self.shown}: answered {status}: {said}; {hint}")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise PassingError("answered with something that is no JSON object")
        if response.request.method == "POST" and not value.get("choices"):  # some put errors there, with status 200
            raise PassingError(f"answered without a choice: {said}")
        return value


def _read(response: requests.Response, deadline: float) -> bytes:
    """The body, as far as it may go."""
    text = bytearray()
    while piece := response.raw.read1(2**16, decode_content=True):
        text += piece
        if len(text) > ANSWER_BYTES_MAX:
            raise PassingError(f"answered with more than {ANSWER_BYTES_MAX:,} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(text)


def _message(text: bytes) -> str:
    """What an endpoint says of an error: the message in its JSON, or its text."""
    plain = text[:4096].decode("utf-8", "replace")
    try:
        value = json.loads(plain)
        value = value.get("error", value)
        return str(value.get("message", plain) if isinstance(value, dict) else value)
    except (ValueError, AttributeError, RecursionError):
        return plain


def _retry_after(value: str) -> float:
    """Seconds; the header holds them, or a date."""
    try:
        return Retry().parse_retry_after(value)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return 0.0
