"""Put files into a repository of the Hugging Face Hub that is ours, in one commit that can be tried again.

Large files are uploaded before the commit, each by its sha256: what the Hub has is not sent again, so that an upload
that was stopped goes on.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Literal

from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from pipeline.errors import UserError
from pipeline.publishing.asking import AGAIN, MEANINGS, Hub, log_in
from pipeline.publishing.gate import Gate
from pipeline.publishing.ownership import CARD, CARD_BYTES_MAX, KEPT, marked, objection

Kind = Literal["dataset", "model", "space"]


@dataclass(frozen=True)
class Receipt:
    """What is on the Hub, and in which commit: bytes and sha256 of each file by its path."""

    repo_id: str
    kind: Kind
    endpoint: str
    commit: str
    files: dict[str, tuple[int, str]]

    @property
    def address(self) -> str:
        """Of its page."""
        return f"{self.endpoint}/{'' if self.kind == 'model' else f'{self.kind}s/'}{self.repo_id}"


@dataclass(frozen=True)
class Found:
    """What a repository holds at one commit: bytes by path. Without a commit there is no such repository yet."""

    repo_id: str  # owner/name
    commit: str | None
    sizes: Mapping[str, int]
    objection: str | None  # why it is not ours to replace
    contents: Mapping[str, bytes] = field(default_factory=dict)  # of files that were asked for and are there

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
    repo_id: str, kind: Kind, what: str, *, wanted: Mapping[str, int] | None = None, endpoint: str | None = None,
    pause_seconds: float = 2.0,
) -> Found:  # fmt: skip
    """The repository as it is; to be asked before hours of work whose result could not be sent. Changes nothing.

    The contents of `wanted` files are read, by path their largest size in bytes; a larger one is not.
    """
    hub = log_in(repo_id, endpoint, pause_seconds)
    return hub.ask("look at", lambda: _look(hub, kind, what, wanted or {}))


def upload(
    files: Mapping[str, Path | bytes], repo_id: str, kind: Kind, what: str, *, private: bool, replace: bool = False,
    gate: Gate | None = None, seen: str | None = None, tag: str | None = None, endpoint: str | None = None,
    pause_seconds: float = 2.0,
) -> Receipt:  # fmt: skip
    """Make the repository hold these files, by their path, and no others, by one commit; the card gets its mark.

    They were made for the repository as it was at the commit `seen`, where there was one; at another it is refused.
    The commit gets the `tag`; one of that name which is there stays where it is.

    One that is not ours to replace by `what` (see `pipeline.publishing.ownership`) is refused unless `replace`. A
    public repository that should be `private` is refused, not hidden. It is gated before anything is sent; without a
    `gate` it stays as it is. The endpoint is by default HF_ENDPOINT or the public Hub; the pause is that before a
    second attempt, doubled before each further one.

    Raises:
        UserError: no token, no right, not ours, or a failure that did not pass; one line that says what to do.
    """
    hub = log_in(repo_id, endpoint, pause_seconds)
    api, repo_id = hub.api, hub.repo_id
    sizes = {path: len(given) if isinstance(given, bytes) else given.stat().st_size for path, given in files.items()}
    if isinstance(card := files.get(CARD), bytes):
        files = {**files, CARD: marked(card, sizes, hub.account, what)}
    sdk = "gradio" if kind == "space" else None
    hub.ask("create", lambda: api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True, space_sdk=sdk))
    info = hub.ask("look at", lambda: api.repo_info(repo_id, repo_type=kind))
    if private and not info.private:
        raise UserError(f"{repo_id} is public already; --private cannot hide it, make it private on the Hub first")
    if seen not in {None, info.sha}:
        raise UserError(f"{repo_id}: {MEANINGS[412]}")
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
    if tag:
        hub.ask("tag", lambda: api.create_tag(repo_id, tag=tag, revision=oid, repo_type=kind, exist_ok=True))
    return Receipt(repo_id, kind, api.endpoint, oid, sums)


def _set_gate(hub: Hub, kind: Kind, gate: Gate) -> None:
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


def _look(hub: Hub, kind: Kind, what: str, wanted: Mapping[str, int] = MappingProxyType({})) -> Found:
    try:
        commit = hub.api.repo_info(hub.repo_id, repo_type=kind).sha
    except RepositoryNotFoundError:
        return Found(hub.repo_id, None, {}, None)
    sizes = {path: entry.size for path, entry in _tree(hub, kind, str(commit)).items()}
    limits = {**wanted, CARD: CARD_BYTES_MAX}
    read = {path: b"too long to be read" for path in limits if path in sizes}
    with TemporaryDirectory() as folder:  # nothing stays in the Hub's cache
        for path in read:
            if sizes[path] <= limits[path]:
                got = hub.api.hf_hub_download(hub.repo_id, path, repo_type=kind, revision=str(commit), cache_dir=folder)
                read[path] = Path(got).read_bytes()
    card = read.pop(CARD, None)
    return Found(hub.repo_id, commit, sizes, objection(card, sizes, hub.account, what), read)


def _tree(hub: Hub, kind: Kind, commit: str) -> dict[str, RepoFile]:
    """All files at a commit, by path."""
    listed = hub.api.list_repo_tree(hub.repo_id, repo_type=kind, revision=commit, recursive=True)
    return {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}


def _compare(hub: Hub, kind: Kind, oid: str, sums: Mapping[str, tuple[int, str]]) -> None:
    """Whether the Hub has what was sent, by the sizes and digests that it tells."""
    found = hub.ask("list", lambda: _tree(hub, kind, oid))
    for path, (size, digest) in sums.items():
        entry = found.get(path)
        if entry is None or entry.size != size or (entry.lfs is not None and entry.lfs.sha256 != digest):
            raise UserError(f"{hub.repo_id}: {path} is not on the Hub as it was sent; {AGAIN}")
