"""Put files into a repository of the Hugging Face Hub, in one commit that can be tried again.

In   files by their path in the repository; the token from HF_TOKEN or the Hub's own log-in
Out  a `Receipt`: repository, commit, and size and sha256 of every file as it lies there

Large files are uploaded before the commit, each by its sha256: what the Hub has is not sent again, so that an upload
that was stopped goes on. No message holds the token, whatever a server answers.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from logging import ERROR
from pathlib import Path
from typing import Literal, TypeVar

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import logging
from huggingface_hub.utils.tqdm import disable_progress_bars

from pipeline.errors import UserError, first_line

Kind = Literal["dataset", "model"]
KEPT = {".gitattributes"}  # the Hub's own
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


@dataclass(frozen=True)
class Receipt:
    """What is on the Hub.

    Attributes:
        repo_id: with its owner.
        kind: of repository.
        endpoint: address of the Hub.
        commit: name of the commit.
        files: by path: bytes and sha256.
    """

    repo_id: str
    kind: Kind
    endpoint: str
    commit: str
    files: dict[str, tuple[int, str]]


def full_name(repo_id: str, *, endpoint: str | None = None, pause_seconds: float = 2.0) -> str:
    """`owner/name` of a repository; to be asked before hours of work whose result could not be sent.

    Raises:
        UserError: no token, or one that is not accepted.
    """
    return _log_in(repo_id, endpoint, pause_seconds).repo_id


def upload(
    files: Mapping[str, Path | bytes],
    repo_id: str,
    kind: Kind,
    *,
    private: bool,
    message: str,
    endpoint: str | None = None,
    pause_seconds: float = 2.0,
) -> Receipt:
    """Make the repository hold these files and no others, by one commit.

    Args:
        files: by path in the repository.
        repo_id: `owner/name`, or a name of the token's owner.
        kind: of repository; made if there is none.
        private: nobody but the owner sees it; a public one that is there is refused, not hidden.
        message: of the commit.
        endpoint: address of the Hub; by default HF_ENDPOINT or the public one.
        pause_seconds: before the second attempt at a request that may pass, doubled before each further one.

    Raises:
        UserError: no token, no right, or a failure that did not pass; one line that says what to do.
    """
    hub = _log_in(repo_id, endpoint, pause_seconds)
    api, repo_id = hub.api, hub.repo_id
    hub.ask("create", lambda: api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True))
    info = hub.ask("look at", lambda: api.repo_info(repo_id, repo_type=kind))
    if private and not info.private:
        raise UserError(f"{repo_id} is public already; --private cannot hide it, make it private on the Hub first")
    there = hub.ask("list", lambda: api.list_repo_files(repo_id, repo_type=kind))
    gone = [CommitOperationDelete(path) for path in sorted(set(there) - set(files) - KEPT)]

    def commit() -> str:
        # Anew for each attempt: operations remember what has become of them. One that was committed although its
        # answer was lost finds nothing to change.
        added = [CommitOperationAdd(path, files[path]) for path in sorted(files)]
        current = api.repo_info(repo_id, repo_type=kind).sha
        done = api.create_commit(
            repo_id, [*added, *gone], repo_type=kind, commit_message=message, parent_commit=current
        )
        return str(done.oid)

    oid = hub.ask("publish to", commit)
    sums = {path: _sum(content) for path, content in sorted(files.items())}
    _compare(hub, kind, oid, sums)
    return Receipt(repo_id, kind, api.endpoint, oid, sums)


def _log_in(repo_id: str, endpoint: str | None, pause_seconds: float) -> _Hub:
    if not sys.stderr.isatty():
        disable_progress_bars()
    logging.set_verbosity(ERROR)  # its warnings hold addresses that are secret for an hour
    token = get_token()
    if not token:
        raise UserError("no token for the Hugging Face Hub; set HF_TOKEN, or run: hf auth login")
    api = HfApi(endpoint=endpoint, token=token)
    hub = _Hub(api, repo_id, token, pause_seconds)
    owner = str(hub.ask("who am I", api.whoami)["name"])
    hub.repo_id = repo_id if "/" in repo_id else f"{owner}/{repo_id}"
    return hub


def _compare(hub: _Hub, kind: Kind, oid: str, sums: Mapping[str, tuple[int, str]]) -> None:
    """Whether the Hub has what was sent, by the sizes and digests that it tells."""
    listed = hub.ask(
        "list", lambda: list(hub.api.list_repo_tree(hub.repo_id, repo_type=kind, revision=oid, recursive=True))
    )
    found = {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}
    for path, (size, digest) in sums.items():
        entry = found.get(path)
        if entry is None or entry.size != size or (entry.lfs is not None and entry.lfs.sha256 != digest):
            raise UserError(f"{hub.repo_id}: {path} is not on the Hub as it was sent; {AGAIN}")


@dataclass
class _Hub:
    """Questions to the Hub, tried again where that may help; failures as one line."""

    api: HfApi
    repo_id: str
    token: str
    pause_seconds: float

    def ask(self, what: str, question: Callable[[], T]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return question()
            except HFValidationError as error:
                raise UserError(f"--repo-id {self.repo_id}: {self._clean(first_line(error))}") from None
            # An upload's failure comes as a RuntimeError with the real one as its cause.
            except (HfHubHTTPError, httpx2.HTTPError, RuntimeError, ValueError, OSError) as error:
                wait = self._wait(error, attempt)
                if wait is None or attempt == ATTEMPTS:
                    raise UserError(self._line(what, error)) from None
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _wait(self, error: Exception, attempt: int) -> float | None:
        """Seconds until another attempt; None where it would not help or would be too long."""
        if isinstance(error, RuntimeError):
            return None  # uploads are tried several times by huggingface_hub itself
        asked = _retry_after(error)
        if _status(error) in PASSING or isinstance(error, httpx2.TransportError):
            wait = asked if asked is not None else self.pause_seconds * 2 ** (attempt - 1)
            return wait if wait <= LONGEST_WAIT_SECONDS else None
        return None

    def _line(self, what: str, error: Exception) -> str:
        status = _status(error)
        subject = f"cannot {what} {self.repo_id}" if what != "who am I" else "cannot log in"
        where = f"{subject} at {self.api.endpoint}"
        if isinstance(error, RuntimeError):
            where += f" ({self._clean(first_line(error)).rstrip('.')})"
        if isinstance(error, RepositoryNotFoundError):
            status = 404
        if status in MEANINGS:
            asked = _retry_after(error)
            wait = f" {asked:.0f} s" if asked is not None else ""
            return (
                f"{where}: {status} {_phrase(status)}: {MEANINGS[status].format(endpoint=self.api.endpoint, wait=wait)}"
            )
        if status is not None and status >= 500:
            return f"{where}: {status} {_phrase(status)}: the Hub fails; {AGAIN}"
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
        if isinstance(cause, httpx2.TransportError):
            return f"{where}: no connection ({type(cause).__name__}); check the network and HF_ENDPOINT, then {AGAIN}"
        response = _response(error)
        told = None if response is None else response.headers.get("X-Error-Message")
        return f"{where}: {f'{status} ' if status else ''}{self._clean(told or first_line(cause))}"

    def _clean(self, text: str) -> str:
        return text.replace(self.token, "***")


def _response(error: BaseException) -> httpx2.Response | None:
    cause: BaseException | None = error
    while cause is not None:
        response = getattr(cause, "response", None)
        if isinstance(response, httpx2.Response):
            return response
        cause = cause.__cause__
    return None


def _status(error: Exception) -> int | None:
    response = _response(error)
    return None if response is None else int(response.status_code)


def _retry_after(error: Exception) -> float | None:
    response = _response(error)
    text = "" if response is None else response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in {known.value for known in HTTPStatus} else "error"


def _sum(content: Path | bytes) -> tuple[int, str]:
    if isinstance(content, bytes):
        return len(content), hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()
