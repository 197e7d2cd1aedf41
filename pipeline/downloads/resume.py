"""Download one file, of any size, and go on where an earlier attempt or run was stopped.

In   an address, perhaps a log-in and the file's sha256
Out  the file under its name, whole; until then `<name>.part`. Beside it `<name>.version.json`: which version of it that
     is, and in the end its sha256, by which a later run believes it

A range is asked for under the condition that the file is still that version (If-Range), so that versions never mix.
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from pathlib import Path

import requests

from pipeline.downloads import web
from pipeline.downloads.room import require_room
from pipeline.engine import files
from pipeline.engine.progress import Progress
from pipeline.errors import UserError

CHUNK_BYTES = 2**16
DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Version:
    """What tells a version of a file from the next; `size_bytes` is None where the server does not say."""

    address: str  # without its query, which may be secret
    etag: str | None
    last_modified: str | None
    size_bytes: int | None
    sha256: str | None = None  # of the whole file

    @property
    def condition(self) -> str | None:
        """For If-Range; a weak ETag promises too little."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified


def download(
    url: str,
    target: Path,
    *,
    login: web.Login | None = None,
    sha256: str | None = None,
    access: str = "check the address",
    policy: web.Policy = web.PATIENT,
    say: Callable[[str], None] = web.tell,
) -> None:
    """Get `url` as `target`; one that is there already is left alone, unless it has changed since it was downloaded.

    The login is sent to the host of `url` only, not after a redirect to another. `access` says what to do where the
    server refuses (401, 403); `say` is told of every failure and every new start.

    Raises:
        UserError: the server refuses, has no such file, sends a page instead, goes on failing, or the file is not the
            one of `sha256`; or the disk has too little room. What has arrived is kept.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with web.Session(login) as session:
        told = _Download(session, url, target, sha256, access, policy, lambda line: say(f"{target.name}: {line}"))
        if not told.is_there():
            told.run()


@dataclass
class _Download:
    session: web.Session
    url: str
    target: Path
    sha256: str | None
    access: str
    policy: web.Policy
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        self.name = web.shown(self.url)
        self.part = self.target.with_name(f"{self.target.name}.part")
        self.side = self.target.with_name(f"{self.target.name}.version.json")
        self.version = self._known()
        self.most_bytes = self.have_bytes  # the most that was ever here: only beyond it there is progress
        self.starts = 0
        self.ended = threading.Event()
        self.failed_seconds = time.monotonic()  # when the latest attempt did, or the first began

    @property
    def have_bytes(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def is_there(self) -> bool:
        """Whether the whole file is, as an earlier run left it; one without a record was put there by hand."""
        if not self.target.exists():
            return False
        try:
            noted = Version(**json.loads(self.side.read_bytes())).sha256
        except (OSError, ValueError, TypeError):
            return True
        if noted is None or noted == files.sha256_of(self.target):
            return True
        self.say("it has changed since it was downloaded; downloading it anew")
        self.target.unlink()
        return False

    def run(self) -> None:
        try:
            web.patiently(self.policy, self._attempt, self.ended, self.say)
        except web.PassingError as error:
            kept = f"{self.have_bytes:,} bytes are kept; run again to go on"
            raise UserError(f"{self.name}: {error}, {self.policy.attempts} times in a row; {kept}") from None
        except web.AnswerError as error:
            hint = self.access if error.status in DENIED else "check the address"
            raise UserError(f"{self.name}: {error}; {hint}") from None
        self._finish()

    def _known(self) -> Version | None:
        try:
            return Version(**json.loads(self.side.read_bytes())) if self.part.exists() else None
        except (OSError, ValueError, TypeError):
            return None

    def _attempt(self) -> None:
        before = self.most_bytes
        try:
            self._request()
        except web.PassingError as error:
            # By the least rate, waits included: a byte with each attempt would be new for ever.
            began, self.failed_seconds = self.failed_seconds, time.monotonic()
            least_bytes = self.policy.least_bytes_per_second * (self.failed_seconds - began)
            if self.most_bytes - before > least_bytes:
                error.progress = f"after {self.have_bytes:,} bytes"
            raise

    def _request(self) -> None:
        if self.version is None or (self.have_bytes and self.version.condition is None):
            self._forget("the server names no version of the file" if self.version else "")
        elif self.have_bytes == self.version.size_bytes:
            return
        headers = {}
        if self.version is not None and self.version.condition and self.have_bytes:
            headers = {"Range": f"bytes={self.have_bytes}-", "If-Range": self.version.condition}
        try:
            with web.get(self.session, self.url, self.policy, self.policy.pace(self.ended), headers) as response:
                self._accept(response)
                self._receive(response)
        except web.AnswerError as error:
            if error.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not headers:
                raise
            self._forget(f"the server has no bytes after {self.have_bytes:,}")
            raise web.PassingError(str(error)) from None

    def _accept(self, response: requests.Response) -> None:
        """Look at the headers; afterwards `part` holds exactly what comes before this answer's first byte."""
        if web.is_html(response.headers.get("Content-Type", ""), b""):
            self._refuse_page()
        encoding = response.headers.get("Content-Encoding", "identity").lower()[:80]
        if encoding != "identity" and not self.target.name.endswith(("gz", "tgz")):
            raise UserError(f"{self.name}: comes packed as {encoding}, which was not asked for; use another address")
        if response.status_code == HTTPStatus.PARTIAL_CONTENT:
            if not self._continues(response):
                self._forget("the server sent another part than was asked for")
                raise web.PassingError("a wrong range")
            return
        new = self._version(response)
        if self.have_bytes:
            changed = self.version != new
            self._forget("the file has changed on the server" if changed else "the server cannot send the rest only")
        can_tell_its_end = new.size_bytes is not None or "chunked" in response.headers.get("Transfer-Encoding", "")
        if not can_tell_its_end and self.sha256 is None:
            problem = "the server does not say how long the file is; give its sha256 in params.yaml"
            raise UserError(f"{self.name}: {problem}")
        self._note(new)

    def _note(self, version: Version) -> None:
        self.version = version
        files.write_bytes(self.side, (json.dumps(asdict(version)) + "\n").encode())

    def _continues(self, response: requests.Response) -> bool:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or self.version is None or int(match[1]) != self.have_bytes:
            return False
        old, new = self.version, self._version(response)
        if new.etag not in {None, old.etag} or new.last_modified not in {None, old.last_modified}:
            return False
        if old.size_bytes is None and match[2] != "*":  # it came in chunks at first
            self._note(replace(old, size_bytes=int(match[2])))
            return True
        return match[2] in {"*", str(old.size_bytes)}

    def _version(self, response: requests.Response) -> Version:
        headers = response.headers
        length = headers.get("Content-Length", "")
        size_bytes = int(length) if length.isdecimal() else None
        return Version(self.name, headers.get("ETag"), headers.get("Last-Modified"), size_bytes)

    def _receive(self, response: requests.Response) -> None:
        size_bytes = self.version.size_bytes if self.version else None
        have = self.have_bytes
        require_room(self.part.parent, self.target.name, (size_bytes or 0) - have)
        with (
            self.part.open("ab", buffering=0) as file,
            Progress(total=size_bytes, initial=have, desc=self.target.name, unit="B", unit_scale=True) as bar,
        ):
            for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
                if have == 0 and web.is_html("", chunk):
                    self._refuse_page()
                file.write(chunk)
                have += len(chunk)
                self.most_bytes = max(self.most_bytes, have)
                bar.update(len(chunk))
            os.fsync(file.fileno())

    def _forget(self, reason: str) -> None:
        """Start over."""
        if self.have_bytes:
            self.starts += 1
            if self.starts > self.policy.attempts:
                raise UserError(f"{self.name}: {reason}, {self.starts} times; ask those who run the server")
            self.say(f"{reason or 'it is not known which version the part is of'}; starting over")
        self.part.unlink(missing_ok=True)
        self.version = None

    def _refuse_page(self) -> None:
        raise UserError(f"{self.name}: the server sent a web page (HTML) instead of the file; {self.access}")

    def _finish(self) -> None:
        size_bytes = self.version.size_bytes if self.version else None
        if size_bytes not in {None, self.have_bytes}:
            raise UserError(f"{self.part}: {self.have_bytes:,} bytes, expected {size_bytes:,}; delete it and run again")
        sha256 = files.sha256_of(self.part)
        if self.sha256 not in {None, sha256}:
            advice = "correct params.yaml, or delete the file and run again to download it anew"
            raise UserError(f"{self.part}: sha256 is {sha256}, expected {self.sha256}; {advice}")
        if self.version:
            self._note(replace(self.version, sha256=sha256))
        self.part.replace(self.target)
        files.sync(self.target.parent)
