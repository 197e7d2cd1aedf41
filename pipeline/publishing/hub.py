"""Put files into a repository of the Hugging Face Hub that is ours, in one commit that can be tried again.

Large files are uploaded before the commit, each by its sha256: what the Hub has is not sent again, so that an upload
that was stopped goes on. The token comes from HF_TOKEN or the Hub's own log-in; no message holds it.
"""

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from logging import ERROR
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TypeVar

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import logging
from huggingface_hub.utils._validators import validate_repo_id
from huggingface_hub.utils.tqdm import disable_progress_bars
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from pipeline.errors import UserError, first_line
from pipeline.publishing.gate import Gate
from pipeline.publishing.ownership import CARD, CARD_BYTES_MAX, KEPT, marked, objection

Kind = Literal["dataset", "model"]
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
    """What is on the Hub, and in which commit: bytes and sha256 of each file by its path."""

    repo_id: str
    kind: Kind
    endpoint: str
    commit: str
    files: dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Found:
    """What a repository holds at one commit: bytes by path. Without a commit there is no such repository yet."""

    repo_id: str  # owner/name
    commit: str | None
    sizes: Mapping[str, int]
    objection: str | None  # why it is not ours to replace

    def gone(self, files: Collection[str]) -> list[str]:
        """What is deleted where these files, and no others, are to be there."""
        return sorted(self.sizes.keys() - set(files) - KEPT)

    def expect_ours(self) -> None:
        """UserError, which says what to do, if it is not ours to replace."""
        if self.objection:
            raise UserError(
                f"{self.repo_id} {self.objection}; check --repo-id, or see with --dry-run what would be deleted there, "
                "then say --replace"
            )


def expect_name(repo_id: str) -> None:
    """Raises UserError for what can be no repository's name, whether there is a network or not."""
    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        allowed = "letters, digits, -, _ and . inside, 96 characters at most"
        raise UserError(f"--repo-id {repo_id[:120]}: expected owner/name, or a name of your own: {allowed}") from None


def look(
    repo_id: str, kind: Kind, what: str, *, endpoint: str | None = None, pause_seconds: float = 2.0
) -> Found:  # fmt: skip
    """The repository as it is; to be asked before hours of work whose result could not be sent. Changes nothing."""
    hub = _log_in(repo_id, endpoint, pause_seconds)
    return hub.ask("look at", lambda: _look(hub, kind, what))


def upload(
    files: Mapping[str, Path | bytes], repo_id: str, kind: Kind, what: str, *, private: bool, replace: bool = False,
    gate: Gate | None = None, endpoint: str | None = None, pause_seconds: float = 2.0,
) -> Receipt:  # fmt: skip
    """Make the repository hold these files, by their path, and no others, by one commit; the card gets its mark.

    One that is not ours to replace by `what` (see `pipeline.publishing.ownership`) is refused unless `replace`. A
    public repository that should be `private` is refused, not hidden. It is gated before anything is sent; without a
    `gate` it stays as it is. The endpoint is by default HF_ENDPOINT or the
    public Hub; the pause is that before a second attempt, doubled before each further one.

    Raises:
        UserError: no token, no right, not ours, or a failure that did not pass; one line that says what to do.
    """
    hub = _log_in(repo_id, endpoint, pause_seconds)
    api, repo_id = hub.api, hub.repo_id
    sizes = {path: len(given) if isinstance(given, bytes) else given.stat().st_size for path, given in files.items()}
    if isinstance(card := files.get(CARD), bytes):
        files = {**files, CARD: marked(card, sizes, hub.account, what)}
    hub.ask("create", lambda: api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True))
    info = hub.ask("look at", lambda: api.repo_info(repo_id, repo_type=kind))
    if private and not info.private:
        raise UserError(f"{repo_id} is public already; --private cannot hide it, make it private on the Hub first")
    if gate is not None:
        _set_gate(hub, kind, gate)

    # Not `HfApi.upload_folder`: it makes several commits of a large folder.
    def commit() -> tuple[str, dict[str, tuple[int, str]]]:
        # Anew for each attempt: operations remember what has become of them. One that was committed although its
        # answer was lost finds nothing to change. What was looked at is what is changed, or the Hub refuses (412).
        found = _look(hub, kind, what)
        if not replace:
            found.expect_ours()
        added = {path: CommitOperationAdd(path, files[path]) for path in sorted(files)}
        gone = [CommitOperationDelete(path) for path in found.gone(files)]
        done = api.create_commit(
            repo_id, [*added.values(), *gone], repo_type=kind, commit_message=f"Publish {what}",
            parent_commit=found.commit,
        )  # fmt: skip
        return str(done.oid), {
            path: (add.upload_info.size, add.upload_info.sha256.hex()) for path, add in added.items()
        }

    oid, sums = hub.ask("publish to", commit)
    _compare(hub, kind, oid, sums)
    return Receipt(repo_id, kind, api.endpoint, oid, sums)


def _set_gate(hub: "_Hub", kind: Kind, gate: Gate) -> None:
    """Who may load the repository; looked at again, lest media go to one that is open."""
    gated: Literal["manual", "auto", False] = False if gate == "none" else gate
    if (hub.ask("look at", lambda: hub.api.repo_info(hub.repo_id, repo_type=kind)).gated or False) == gated:
        return
    hub.ask("gate", lambda: hub.api.update_repo_settings(hub.repo_id, gated=gated, repo_type=kind))
    found = hub.ask("look at", lambda: hub.api.repo_info(hub.repo_id, repo_type=kind)).gated or False
    if found != gated:
        raise UserError(
            f"{hub.repo_id} is not gated as asked (--gated {gate}), nothing was sent; set it in the settings of the "
            "repository on the Hub, then run the same command again"
        )


def _look(hub: "_Hub", kind: Kind, what: str) -> Found:
    try:
        commit = hub.api.repo_info(hub.repo_id, repo_type=kind).sha
    except RepositoryNotFoundError:
        return Found(hub.repo_id, None, {}, None)
    sizes = {path: entry.size for path, entry in _tree(hub, kind, str(commit)).items()}
    card = None
    if CARD in sizes:
        card = b"too long for a card"
        if sizes[CARD] <= CARD_BYTES_MAX:
            with TemporaryDirectory() as folder:  # nothing stays in the Hub's cache
                path = hub.api.hf_hub_download(
                    hub.repo_id, CARD, repo_type=kind, revision=str(commit), cache_dir=folder
                )
                card = Path(path).read_bytes()
    return Found(hub.repo_id, commit, sizes, objection(card, sizes, hub.account, what))


def _tree(hub: "_Hub", kind: Kind, commit: str) -> dict[str, RepoFile]:
    """All files at a commit, by path."""
    listed = hub.api.list_repo_tree(hub.repo_id, repo_type=kind, revision=commit, recursive=True)
    return {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}


def _log_in(repo_id: str, endpoint: str | None, pause_seconds: float) -> "_Hub":
    if not sys.stderr.isatty():
        disable_progress_bars()
    logging.set_verbosity(ERROR)  # its warnings hold addresses that are secret for an hour
    token = get_token()
    if not token:
        raise UserError("no token for the Hugging Face Hub; set HF_TOKEN, or run: hf auth login")
    api = HfApi(endpoint=endpoint, token=token)
    hub = _Hub(api, repo_id, token, pause_seconds)
    hub.account = str(hub.ask("who am I", api.whoami)["name"])
    hub.repo_id = repo_id if "/" in repo_id else f"{hub.account}/{repo_id}"
    return hub


def _compare(hub: "_Hub", kind: Kind, oid: str, sums: Mapping[str, tuple[int, str]]) -> None:
    """Whether the Hub has what was sent, by the sizes and digests that it tells."""
    found = hub.ask("list", lambda: _tree(hub, kind, oid))
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
    account: str = ""  # whose token it is

    def ask(self, what: str, question: Callable[[], T]) -> T:
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
