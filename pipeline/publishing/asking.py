"""Questions to the Hugging Face Hub: tried again where that may help, and a failure told in one line.

The token comes from HF_TOKEN or the Hub's own log-in; no message holds it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from logging import ERROR
from typing import TypeVar

import httpx2
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import logging
from huggingface_hub.utils.tqdm import disable_progress_bars
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from pipeline.errors import UserError, first_line

ATTEMPTS = 3
LONGEST_WAIT_SECONDS = 60.0
PASSING = {429, 500, 502, 503, 504}  # may be well at the next attempt
AGAIN = "run the same command again, files that the Hub has are not sent twice"
MEANINGS = {
    401: "the token is not accepted (expired, revoked or mistyped); make one with the right to write at "
    "{endpoint}/settings/tokens and put it into HF_TOKEN, or run: hf auth login",
    403: "the token has no right to write there; make one with it, or choose another --repo-id",
    404: "there is no such repository, or the token may not see it",
    409: "another change is in progress there; run the same command again",
    412: "somebody else has changed the repository in the meantime; look at it, then run the same command again",
    413: "a file is larger than the Hub takes; lower assemble.shard_rows in params.yaml and run: dvc repro assemble",
    429: "too many requests; wait{wait}, then " + AGAIN,
}
T = TypeVar("T")


@dataclass
class Hub:
    """A repository on the Hub, and the account that asks for it."""

    api: HfApi
    repo_id: str
    token: str
    pause_seconds: float
    account: str = ""  # whose token it is

    def ask(self, what: str, question: Callable[[], T]) -> T:
        """The answer; UserError, one line that names what was asked for and says what to do, where there is none."""

        def seconds(state: RetryCallState) -> float:
            asked = _retry_after(state.outcome.exception() if state.outcome else None)
            return wait_exponential(self.pause_seconds)(state) if asked is None else asked

        retrying = Retrying(
            retry=retry_if_exception(_may_pass), wait=seconds, stop=stop_after_attempt(ATTEMPTS), reraise=True
        )
        try:
            return retrying(question)
        except HFValidationError as error:
            raise UserError(f"--repo-id {self.repo_id}: {self._clean(first_line(error))}") from None
        # An upload's failure comes as a RuntimeError with the real one as its cause.
        except (HfHubHTTPError, httpx2.HTTPError, RuntimeError, ValueError, OSError) as error:
            raise UserError(self._line(what, error)) from None

    def _line(self, what: str, error: Exception) -> str:
        status = _status(error)
        subject = f"cannot {what} {self.repo_id}" if what != "who am I" else "cannot log in"
        where = f"{subject} at {self.api.endpoint}"
        if isinstance(error, RuntimeError):
            where += f" ({self._clean(first_line(error)).rstrip('.')})"
        if isinstance(error, RepositoryNotFoundError):
            status = 404
        named = f"{where}: {status} {httpx2.codes.get_reason_phrase(status or 0) or 'error'}"
        if status in MEANINGS:
            asked = _retry_after(error)
            wait = "" if asked is None else f" {asked:.0f} s"
            return f"{named}: {MEANINGS[status].format(endpoint=self.api.endpoint, wait=wait)}"
        if status is not None and status >= 500:
            return f"{named}: the Hub fails; {AGAIN}"
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
        if isinstance(cause, httpx2.TransportError):
            return f"{where}: no connection ({type(cause).__name__}); check the network and HF_ENDPOINT, then {AGAIN}"
        response = _response(error)
        told = None if response is None else response.headers.get("X-Error-Message")
        return f"{where}: {f'{status} ' if status else ''}{self._clean(told or first_line(cause))}"

    def _clean(self, text: str) -> str:
        return text.replace(self.token, "***")


def log_in(repo_id: str, endpoint: str | None, pause_seconds: float) -> Hub:
    """The repository `repo_id` of that name's owner, or, where the name has none, of the token's account."""
    if not sys.stderr.isatty():
        disable_progress_bars()
    logging.set_verbosity(ERROR)  # its warnings hold addresses that are secret for an hour
    token = get_token()
    if not token:
        raise UserError("no token for the Hugging Face Hub; set HF_TOKEN, or run: hf auth login")
    api = HfApi(endpoint=endpoint, token=token)
    hub = Hub(api, repo_id, token, pause_seconds)
    hub.account = str(hub.ask("who am I", api.whoami)["name"])
    hub.repo_id = repo_id if "/" in repo_id else f"{hub.account}/{repo_id}"
    return hub


def _may_pass(error: BaseException) -> bool:
    """Whether another attempt may help, before long. Uploads are tried several times by huggingface_hub itself."""
    passing = _status(error) in PASSING or isinstance(error, httpx2.TransportError)
    return passing and not isinstance(error, RuntimeError) and (_retry_after(error) or 0.0) <= LONGEST_WAIT_SECONDS


def _response(error: BaseException | None) -> httpx2.Response | None:
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, httpx2.Response):
            return response
        error = error.__cause__
    return None


def _status(error: BaseException) -> int | None:
    response = _response(error)
    return None if response is None else int(response.status_code)


def _retry_after(error: BaseException | None) -> float | None:
    response = _response(error)
    text = "" if response is None else response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None
