"""Files of a repository of the Hub, and in words why they cannot be had."""

from collections.abc import Iterator, Sequence
from logging import ERROR
from pathlib import Path
from typing import Literal

import httpx2
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import disable_progress_bars, logging  # type: ignore[attr-defined]

from models.errors import ModelError

# The first that fits counts: some are kinds of others.
MEANINGS = {
    OfflineModeIsEnabled: "not in the cache, and offline mode is on; unset HF_HUB_OFFLINE, or put it into the cache",
    GatedRepoError: "its terms must be agreed to on its page, with the account of HF_TOKEN",
    RevisionNotFoundError: "no such revision there",
    RepositoryNotFoundError: "no such repository there, or a private one, which needs HF_TOKEN",
    HFValidationError: "not a name of a repository; expected owner/name",
    httpx2.TransportError: "no connection; check the network and HF_ENDPOINT, then try again",
}


def snapshot(
    source: str, patterns: Sequence[str], revision: str | None = None, kind: Literal["model", "dataset"] = "model"
) -> Path:
    """The folder in the Hub's cache with a repository's files of these patterns, fetched where they are missing.

    Raises:
        ModelError: they cannot be had, in one line.
    """
    logging.set_verbosity(ERROR)
    disable_progress_bars()
    try:
        return Path(snapshot_download(source, repo_type=kind, revision=revision, allow_patterns=list(patterns)))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        at = f" at revision {revision}" if revision else ""
        found = reason(error)
        raise ModelError(f"{source}: no folder here, and cannot be had from the Hub{at}: {found}") from None


def reason(error: BaseException) -> str:
    """One line that says what went wrong and what to do, from an error of `huggingface_hub` and its causes."""
    causes = tuple(_causes(error))
    for kind, meaning in MEANINGS.items():
        if any(isinstance(cause, kind) for cause in causes):
            return meaning
    return " ".join(str(error).split())[:300] or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
