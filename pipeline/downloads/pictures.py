"""Download many small pictures by their addresses, politely, and list every one that cannot be had.

In   addresses by id, which is `<folder>/<file name>`
Out  `<folder>/fetched/<id>` for each picture that was got, and an `Outcome` for each id

`<folder>/outcomes.jsonl` gains a line per address; what it settled is not asked for again, what may pass by itself is.
"""

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from pipeline.corpora._files import is_utf8
from pipeline.downloads import web
from pipeline.downloads.pace import Pace
from pipeline.engine import files
from pipeline.engine.progress import Progress
from pipeline.errors import UserError

FETCHED, OUTCOMES = "fetched", "outcomes.jsonl"
OK = "ok"
THREADS = 16
PER_HOST = 4  # connections to one host at a time
MAX_BYTES = 20_000_000
MAX_NAME_BYTES = 150
PLACEHOLDER_MIN_ADDRESSES = 3
MAX_UNREACHED_SHARE = 0.2  # above, it is not the links that are dead, but the network
MAY_PASS = {"host_unknown", "unreachable"}
HOST_FAILURES_MAX = 20  # in a row; what else is wanted of that host is left to the next run
PATIENCE = web.Policy(
    attempts=3,
    max_wait_seconds=30.0,
    connect_timeout_seconds=10.0,
    read_timeout_seconds=20.0,
    pace_seconds=20.0,
    deadline_seconds=300.0,
)
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"RIFF", b"BM")


@dataclass(frozen=True)
class Outcome:
    """What became of a picture: `ok`, or the status and reason of a reject."""

    id: str
    url: str
    status: str
    reason: str = ""
    sha256: str = ""


def fetch_all(addresses: Mapping[str, str], folder: Path, policy: web.Policy = PATIENCE) -> list[Outcome]:
    """One outcome per id, in the order of `addresses`.

    Statuses: `dead_link` (404, 410), `link_refused` (another answer), `host_unknown`, `unreachable`, `not_a_picture`,
    `picture_too_large`, `bad_address`, `placeholder` (the same bytes under three or more addresses). Raises UserError
    if more than a fifth could not be reached at all; what is there is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = _read(folder)
    todo = [(name, url) for name, url in addresses.items() if not _is_settled(known.get(name), url, folder)]
    fetcher = _Fetcher(folder / FETCHED, policy)
    pool = ThreadPoolExecutor(THREADS)
    try:
        with (folder / OUTCOMES).open("ab", buffering=0) as log:
            running = [pool.submit(fetcher.fetch, *pair) for pair in todo]
            settled = len(addresses) - len(todo)
            bar = Progress(as_completed(running), total=len(addresses), initial=settled)
            for future in bar:
                outcome = future.result()
                known[outcome.id] = outcome
                log.write(_line(outcome))
    finally:
        fetcher.ended.set()
        pool.shutdown(cancel_futures=True)
    outcomes = [known[name] for name in addresses]
    unreached = [outcome for outcome in outcomes if outcome.status in MAY_PASS]
    if len(unreached) > MAX_UNREACHED_SHARE * len(outcomes):
        raise UserError(
            f"{len(unreached)} of {len(outcomes)} pictures could not be reached, such as {web.shown(unreached[0].url)} "
            f"({unreached[0].reason}); check the network and run again to go on: what is there is kept"
        )
    return _without_placeholders(outcomes)


def _line(outcome: Outcome) -> bytes:
    return (json.dumps(asdict(outcome)) + "\n").encode()


def _read(folder: Path) -> dict[str, Outcome]:
    known: dict[str, Outcome] = {}
    path = folder / OUTCOMES
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            outcome = Outcome(**json.loads(line))
        except (ValueError, TypeError):  # the last line of a run that was killed
            continue
        known[outcome.id] = outcome
    if known:  # without that torn line, which the next one would be glued to
        files.write_bytes(path, b"".join(map(_line, known.values())))
    return known


def _is_settled(outcome: Outcome | None, url: str, folder: Path) -> bool:
    if outcome is None or outcome.url != url or outcome.status in MAY_PASS:
        return False
    path = folder / FETCHED / outcome.id
    return outcome.status != OK or (path.is_file() and files.sha256_of(path) == outcome.sha256)


def _without_placeholders(outcomes: list[Outcome]) -> list[Outcome]:
    addresses: defaultdict[str, set[str]] = defaultdict(set)
    for outcome in outcomes:
        if outcome.status == OK:
            addresses[outcome.sha256].add(outcome.url)
    counts = [len(addresses[outcome.sha256]) if outcome.status == OK else 0 for outcome in outcomes]
    return [
        replace(outcome, status="placeholder", reason=f"the same picture at {count} addresses")
        if count >= PLACEHOLDER_MIN_ADDRESSES
        else outcome
        for outcome, count in zip(outcomes, counts, strict=True)
    ]


@dataclass
class _Host:
    """`failures`: how many of its pictures in a row could not be reached."""

    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(PER_HOST))
    failures: int = 0


class _Fetcher:
    """Of the threads: a session for each, and no more than `PER_HOST` of them at one host."""

    def __init__(self, folder: Path, policy: web.Policy) -> None:
        self._folder = folder
        self._policy = policy
        self._own = threading.local()
        self._lock = threading.Lock()
        self._hosts: defaultdict[str, _Host] = defaultdict(_Host)
        self.ended = threading.Event()

    def fetch(self, name: str, url: str) -> Outcome:
        status, reason, data = self._try(name, url)
        if status != OK:
            return Outcome(name, url, status, reason)
        files.write_bytes(self._folder / name, data)
        return Outcome(name, url, OK, sha256=hashlib.sha256(data).hexdigest())

    def _try(self, name: str, url: str) -> tuple[str, str, bytes]:
        name_of_host = _host(url)
        if name_of_host is None or not _is_safe(name):
            return "bad_address", "expected http:// or https://, a host and a plain file name", b""
        with self._lock:
            host = self._hosts[name_of_host]
        with host.turn:
            if host.failures >= HOST_FAILURES_MAX:
                return "unreachable", f"{HOST_FAILURES_MAX} pictures of this host in a row could not be reached", b""
            found = self._ask(url)
            host.failures = host.failures + 1 if found[0] in MAY_PASS else 0
        return found

    def _ask(self, url: str) -> tuple[str, str, bytes]:
        pace = self._policy.pace(self.ended)
        try:
            return web.patiently(self._policy, lambda: self._get(url, pace), self.ended)
        except web.PassingError as error:
            return "host_unknown" if isinstance(error, web.UnknownHostError) else "unreachable", str(error), b""
        except web.AnswerError as error:
            gone = error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
            return "dead_link" if gone else "link_refused", str(error), b""
        except UserError as error:  # here it costs a row: one of 23,000 addresses
            return "link_refused", str(error), b""

    def _get(self, url: str, pace: Pace) -> tuple[str, str, bytes]:
        if not hasattr(self._own, "session"):
            self._own.session = web.Session()
        data = bytearray()
        with web.get(self._own.session, url, self._policy, pace) as response:
            for chunk in response.raw.stream(2**16, decode_content=True):
                data += chunk
                if len(data) > MAX_BYTES:
                    return "picture_too_large", f"more than {MAX_BYTES:,} bytes", b""
            kind = response.headers.get("Content-Type", "nothing")
        if not data.startswith(_STARTS):
            return "not_a_picture", f"announced as {kind[:80]}, of {len(data)} bytes", b""
        return OK, "", bytes(data)


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an unclosed [
        return None
    return parts.hostname if parts.scheme in {"http", "https"} else None


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name)
    return (
        len(path.parts) == 2
        and is_utf8(name)
        and "\0" not in name
        and not any(part.startswith(".") for part in path.parts)
        and len(path.name.encode()) <= MAX_NAME_BYTES
    )
