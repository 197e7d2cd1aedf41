"""Downloads of one file, against a server that does what servers do."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.downloads.resume import CHUNK_BYTES, download
from pipeline.downloads.web import Login, Policy
from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import UserError
from tests.damage import Damage, empty, flip_bit
from tests.engine_workers import until
from tests.http_server import HTML, Fault, WebServer, serve

POLICY = Policy(attempts=3, first_wait_seconds=0.001, max_wait_seconds=0.01, read_timeout_seconds=30.0)
HASTY = replace(POLICY, read_timeout_seconds=0.3)  # for servers that stall; on a busy machine others would seem to
OLD, NEW = (np.random.default_rng(seed).bytes(300_000) for seed in (1, 2))
SHA256 = hashlib.sha256(OLD).hexdigest()
ACCESS = "ask for access"
SECRET = "pass:wörd"
FILE = "/corpus.bin"


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy between the test and its server."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def server() -> Iterator[WebServer]:
    with serve({FILE: OLD}) as running:
        yield running


def get(server: WebServer, folder: Path, **more: object) -> tuple[bytes, list[str]]:
    """The file and what was said."""
    said: list[str] = []
    target = folder / "corpus.bin"
    options = {"access": ACCESS, "policy": POLICY, **more}
    download(server.url + FILE, target, say=said.append, **options)  # type: ignore[arg-type]
    assert not target.with_name("corpus.bin.part").exists()
    return target.read_bytes(), said


def error_of(server: WebServer, folder: Path, **more: object) -> str:
    with pytest.raises(UserError) as error:
        get(server, folder, **more)
    text = str(error.value)
    assert "\n" not in text
    assert SECRET not in text
    assert not (folder / "corpus.bin").exists()
    return text


def test_a_file_arrives_whole_and_is_not_asked_for_again(server: WebServer, tmp_path: Path) -> None:
    assert get(server, tmp_path, sha256=SHA256) == (OLD, [])
    assert get(server, tmp_path) == (OLD, [])
    assert [(one.status, one.range, one.authorization) for one in server.requests] == [(200, None, None)]


@pytest.mark.parametrize("damage", [flip_bit, empty])
def test_a_file_that_has_changed_since_is_downloaded_anew(server: WebServer, tmp_path: Path, damage: Damage) -> None:
    get(server, tmp_path)
    damage(tmp_path / "corpus.bin")
    found, said = get(server, tmp_path)
    assert found == OLD
    assert said == ["corpus.bin: it has changed since it was downloaded; downloading it anew"]
    assert len(server.requests) == 2


def test_a_file_that_was_put_there_by_hand_is_taken(server: WebServer, tmp_path: Path) -> None:
    (tmp_path / "corpus.bin").write_bytes(b"mine")
    assert get(server, tmp_path) == (b"mine", [])
    assert server.requests == []


PASSING = {
    "broken": Fault(break_after=100_000),
    "broken_at_once": Fault(break_after=0),
    "stalled": Fault(stall_after=100_000),
    "stalled_at_once": Fault(stall_after=0),
    "408": Fault(status=408),
    "429": Fault(status=429, headers={"Retry-After": "0"}),
    "429_date": Fault(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    "429_nonsense": Fault(status=429, headers={"Retry-After": "soon"}),
    "500": Fault(status=500),
    "502": Fault(status=502),
    "503": Fault(status=503, headers={"Retry-After": "0"}),
    "504": Fault(status=504),
    "longer_than_it_is": Fault(longer_bytes=10, break_after=100_000),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_tried_again_and_only_the_rest_is_sent(server: WebServer, tmp_path: Path, name: str) -> None:
    server.fail(FILE, PASSING[name])
    data, said = get(server, tmp_path, policy=HASTY if "stalled" in name else POLICY)
    assert data == OLD
    assert len(said) == (3 if name == "longer_than_it_is" else 1)  # whose total contradicts the first one's
    if "stalled" not in name and "longer" not in name:  # a stall may cost the last piece
        assert server.sent_bytes - sum(one.sent_bytes for one in server.requests if one.status >= 400) == len(OLD)
    assert server.requests[-1].status == (
        206 if server.requests[0].sent_bytes > 50_000 and "longer" not in name else 200
    )


def test_patience_starts_anew_with_every_byte_that_arrives(server: WebServer, tmp_path: Path) -> None:
    server.fail(FILE, *[Fault(break_after=9_000)] * 20)  # seven times the attempts
    assert get(server, tmp_path)[0] == OLD
    assert server.sent_bytes == len(OLD)


def test_patience_ends_and_the_next_run_goes_on(server: WebServer, tmp_path: Path) -> None:
    server.fail(FILE, Fault(break_after=100_000), *[Fault(status=503)] * 3)
    text = error_of(server, tmp_path)
    assert "503 Service Unavailable, 3 times in a row; 100,000 bytes are kept; run again" in text
    assert get(server, tmp_path) == (OLD, [])
    assert server.requests[-1].range == "bytes=100000-"


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 299_999), max_size=5), chunked=st.booleans())
def test_any_series_of_broken_connections_gives_the_file(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], chunked: bool
) -> None:
    with serve({FILE: OLD}) as server:
        server.fail(FILE, *(Fault(break_after=cut + 1, chunked=chunked) for cut in cuts))
        assert get(server, tmp_path_factory.mktemp("cuts"))[0] == OLD
        assert server.sent_bytes <= len(OLD) + (len(cuts) * CHUNK_BYTES)


@pytest.mark.parametrize("length", ["chunked", "with sha256"])
def test_a_file_of_unknown_length(server: WebServer, tmp_path: Path, length: str) -> None:
    if length == "chunked":
        server.fail(FILE, Fault(chunked=True))
        assert get(server, tmp_path) == (OLD, [])
    else:
        server.fail(FILE, Fault(no_length=True), Fault(no_length=True))
        assert "does not say how long" in error_of(server, tmp_path)
        assert get(server, tmp_path, sha256=SHA256) == (OLD, [])


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_says_what_to_do_and_is_not_repeated(server: WebServer, tmp_path: Path, status: int) -> None:
    server.fail(FILE, Fault(status=status))
    text = error_of(server, tmp_path, login=Login("someone", SECRET))
    assert text.startswith(f"{server.url}{FILE}: {status} ")
    assert text.endswith(ACCESS)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 404, 410, 501])
def test_another_refusal_is_about_the_address(server: WebServer, tmp_path: Path, status: int) -> None:
    server.fail(FILE, Fault(status=status))
    assert "check the address" in error_of(server, tmp_path)
    assert len(server.requests) == 1


def test_a_log_in_opens_the_door(tmp_path: Path) -> None:
    with serve({FILE: OLD}, login=("someone", SECRET)) as server:
        assert "401 Unauthorized" in error_of(server, tmp_path, login=Login("someone", "other"))
        assert get(server, tmp_path, login=Login("someone", SECRET)) == (OLD, [])
    assert SECRET not in repr(Login("someone", SECRET))


def test_a_log_in_never_follows_to_another_host(server: WebServer, tmp_path: Path) -> None:
    with serve({"/moved": OLD}, host="localhost") as other:
        server.fail(FILE, Fault(status=302, headers={"Location": f"{other.url}/moved"}))
        assert get(server, tmp_path, login=Login("someone", SECRET))[0] == OLD
        assert [one.authorization for one in other.requests] == [None]
    assert server.requests[0].authorization is not None


def test_a_log_in_stays_on_the_same_host(server: WebServer, tmp_path: Path) -> None:
    server.files["/moved"] = OLD
    server.login = ("someone", SECRET)
    server.always[FILE] = Fault(status=302, headers={"Location": "/moved"})
    assert get(server, tmp_path, login=Login("someone", SECRET))[0] == OLD


def test_netrc_is_not_read(server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password secret\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server.files["/moved"] = OLD
    server.fail(FILE, Fault(status=302, headers={"Location": "/moved"}))
    get(server, tmp_path)
    assert [one.authorization for one in server.requests] == [None, None]


def test_redirects_without_end_and_to_no_address(server: WebServer, tmp_path: Path) -> None:
    server.always[FILE] = Fault(status=302, headers={"Location": FILE})
    assert "redirects without an end" in error_of(server, tmp_path)
    server.always[FILE] = Fault(status=302, headers={"Location": "ftp://elsewhere/x"})
    assert "no address of a file" in error_of(server, tmp_path)


@pytest.mark.parametrize("body", [HTML, b"\xef\xbb\xbf \n<html lang=en>"])
@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/x-tar"])
def test_a_page_instead_of_the_file(server: WebServer, tmp_path: Path, body: bytes, kind: str) -> None:
    server.fail(FILE, Fault(body=body, headers={"Content-Type": kind}))
    assert "a web page (HTML) instead of the file; ask for access" in error_of(server, tmp_path)
    assert get(server, tmp_path) == (OLD, [])


def test_a_page_instead_of_the_rest_spoils_nothing(server: WebServer, tmp_path: Path) -> None:
    page = Fault(body=HTML, headers={"Content-Type": "text/html"})
    server.fail(FILE, Fault(break_after=100_000), page)
    assert "a web page" in error_of(server, tmp_path)
    assert get(server, tmp_path) == (OLD, [])
    assert server.requests[-1].status == 206


@pytest.mark.parametrize("length", [len(NEW), 50_000, 100_000])
def test_a_file_that_changes_under_way_is_never_mixed(server: WebServer, tmp_path: Path, length: int) -> None:
    server.fail(FILE, Fault(break_after=100_000), Fault(replace_with=NEW[:length]))
    data, said = get(server, tmp_path)
    assert data == NEW[:length]
    assert "corpus.bin: the file has changed on the server; starting over" in said


def test_a_server_that_continues_another_version_is_not_believed(server: WebServer, tmp_path: Path) -> None:
    # Only headers tell: this server does not know If-Range.
    server.fail(FILE, Fault(break_after=100_000), Fault(headers={"ETag": '"another"'}, ignore_condition=True))
    assert get(server, tmp_path)[0] == OLD
    assert [one.status for one in server.requests] == [200, 206, 200]


@pytest.mark.parametrize("wrong", ["bytes 5-299999/300000", "bytes 100000-299999/300001", "nonsense", None])
def test_a_range_that_was_not_asked_for_is_thrown_away(server: WebServer, tmp_path: Path, wrong: str | None) -> None:
    server.fail(FILE, Fault(break_after=100_000), Fault(headers={"Content-Range": wrong}))
    data, said = get(server, tmp_path)
    assert data == OLD
    assert "corpus.bin: the server sent another part than was asked for; starting over" in said


def test_a_server_without_ranges(server: WebServer, tmp_path: Path) -> None:
    server.fail(FILE, Fault(break_after=100_000), Fault(ignore_range=True))
    data, said = get(server, tmp_path)
    assert data == OLD
    assert "corpus.bin: the server cannot send the rest only; starting over" in said


def test_a_server_that_starts_over_for_ever_is_given_up(server: WebServer, tmp_path: Path) -> None:
    server.always[FILE] = Fault(break_after=100_000, ignore_range=True)
    error_of(server, tmp_path)
    assert len(server.requests) < 10


def test_416_starts_over(server: WebServer, tmp_path: Path) -> None:
    server.fail(FILE, Fault(break_after=100_000), Fault(status=416))
    data, said = get(server, tmp_path)
    assert data == OLD
    assert "corpus.bin: the server has no bytes after 100,000; starting over" in said


@pytest.mark.parametrize(
    ("headers", "statuses"),
    [
        ({"ETag": 'W/"weak"'}, [200, 206]),  # then by date
        ({"ETag": 'W/"weak"', "Last-Modified": None}, [200, 200]),
        ({"ETag": None, "Last-Modified": None}, [200, 200]),
    ],
)
def test_without_a_strong_version_a_broken_download_goes_by_date_or_starts_over(
    server: WebServer, tmp_path: Path, headers: dict[str, str | None], statuses: list[int]
) -> None:
    server.fail(FILE, Fault(break_after=100_000, headers=headers), Fault(headers=headers))
    assert get(server, tmp_path)[0] == OLD
    assert [one.status for one in server.requests] == statuses


def test_fewer_bytes_than_announced_are_never_taken_for_the_file(server: WebServer, tmp_path: Path) -> None:
    server.always[FILE] = Fault(longer_bytes=10)
    error_of(server, tmp_path)


def test_too_little_room_is_found_before_anything_is_written(server: WebServer, tmp_path: Path) -> None:
    server.fail(FILE, Fault(longer_bytes=10**15))
    text = error_of(server, tmp_path)
    assert "bytes are free" in text
    assert "SIER_DOWNLOADS" in text
    assert not (tmp_path / "corpus.bin.part").exists()


def test_a_wrong_sha256_keeps_the_bytes(server: WebServer, tmp_path: Path) -> None:
    text = error_of(server, tmp_path, sha256="0" * 64)
    assert SHA256 in text
    assert get(server, tmp_path, sha256=SHA256) == (OLD, [])
    assert len(server.requests) == 1


@pytest.mark.parametrize("side", [b"", b"{", b'{"etag": 1}', b"[]"])
def test_a_part_of_an_unknown_version_is_started_over(server: WebServer, tmp_path: Path, side: bytes) -> None:
    (tmp_path / "corpus.bin.part").write_bytes(NEW[:1000])
    (tmp_path / "corpus.bin.version.json").write_bytes(side)
    data, said = get(server, tmp_path)
    assert data == OLD
    assert said == ["corpus.bin: it is not known which version the part is of; starting over"]


def test_packed_content_is_not_taken_for_the_file(server: WebServer, tmp_path: Path) -> None:
    server.fail(FILE, Fault(headers={"Content-Encoding": "gzip"}))
    assert "packed as gzip" in error_of(server, tmp_path)


def test_nobody_at_home(tmp_path: Path) -> None:
    with serve() as server:
        pass
    assert "no connection, or it broke, 3 times in a row" in error_of(server, tmp_path)


def test_secrets_in_the_query_are_not_shown(tmp_path: Path) -> None:
    with serve() as server, pytest.raises(UserError) as error:
        download(f"{server.url}/x?token={SECRET}", tmp_path / "x", policy=POLICY)
    assert "token" not in str(error.value)


SCRIPT = """
import sys
from pathlib import Path
from pipeline.downloads.resume import download
download(sys.argv[1], Path(sys.argv[2]))
"""


def test_kill_9_costs_at_most_a_piece(tmp_path: Path) -> None:
    with serve({FILE: OLD}, bytes_per_second=400_000) as server:
        part = tmp_path / "corpus.bin.part"
        command = [sys.executable, "-c", SCRIPT, server.url + FILE, str(tmp_path / "corpus.bin")]
        with subprocess.Popen(command, cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)}) as process:
            until(lambda: part.exists() and part.stat().st_size >= CHUNK_BYTES, "a piece")
            process.kill()
        kept = part.stat().st_size
        assert 0 < kept < len(OLD)
        server.bytes_per_second = None
        before = len(server.requests)
        assert get(server, tmp_path) == (OLD, [])
        assert [one.range for one in server.requests[before:]] == [f"bytes={kept}-"]
        assert sum(one.sent_bytes for one in server.requests[before:]) == len(OLD) - kept


# A host that sends five bytes a second is too slow, one that sends nothing for ten seconds is not yet.
IMPATIENT = replace(POLICY, least_bytes_per_second=20.0, pace_seconds=0.3)
DRIPS = {
    "in the middle": Fault(drip_after=100_000),
    "in chunks": Fault(chunked=True, drip_after=100_000),
    "at once": Fault(drip_after=0),
    "in the headers": Fault(drip_head=True),
}


@pytest.mark.parametrize("name", DRIPS)
def test_a_host_that_drips_is_asked_again(server: WebServer, tmp_path: Path, name: str) -> None:
    server.fail(FILE, DRIPS[name])
    data, said = get(server, tmp_path, policy=IMPATIENT)
    assert data == OLD
    assert len(said) == 1
    assert said[0].startswith("corpus.bin: fewer than 20 bytes a second, for 0.3 s")


def test_a_host_that_drips_for_ever_is_given_up_and_the_next_run_goes_on(server: WebServer, tmp_path: Path) -> None:
    server.fail(FILE, Fault(drip_after=100_000))
    server.always[FILE] = Fault(drip_after=0)
    assert "fewer than 20 bytes a second, for 0.3 s, 3 times in a row;" in error_of(server, tmp_path, policy=IMPATIENT)
    kept = (tmp_path / "corpus.bin.part").stat().st_size
    assert kept >= CHUNK_BYTES
    server.always.clear()
    assert get(server, tmp_path)[0] == OLD
    assert server.requests[-1].range == f"bytes={kept}-"


def test_a_byte_with_each_connection_is_given_up(server: WebServer, tmp_path: Path) -> None:
    server.always[FILE] = Fault(break_after=1)
    policy = replace(POLICY, least_bytes_per_second=10**9)
    assert "3 times in a row; 3 bytes are kept" in error_of(server, tmp_path, policy=policy)
