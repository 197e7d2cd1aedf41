"""Thousands of addresses of pictures, many of them dead."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.downloads import pictures
from pipeline.downloads.pictures import FETCHED, OUTCOMES, PER_HOST, Outcome, fetch_all
from pipeline.downloads.resume import download
from pipeline.downloads.web import Policy
from pipeline.errors import UserError
from tests.builders_pictures import jpeg
from tests.damage import Damage, empty, flip_bit
from tests.http_server import HTML, Fault, QuietHandler, WebServer, listening, serve

POLICY = Policy(attempts=2, first_wait_seconds=0.001, max_wait_seconds=0.01, read_timeout_seconds=30.0)
HASTY = replace(POLICY, read_timeout_seconds=0.3)  # for servers that stall; on a busy machine others would seem to
# A host that sends five bytes a second is too slow, one that sends nothing for ten seconds is not yet.
IMPATIENT = replace(POLICY, least_bytes_per_second=20.0, pace_seconds=0.3)
COUNT = 20


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy between the test and its server."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def server() -> Iterator[WebServer]:
    with serve({f"/{number}.jpg": jpeg(number) for number in range(COUNT)}) as running:
        yield running


def wanted(server: WebServer, count: int = COUNT) -> dict[str, str]:
    return {f"awe/{number}.jpg": f"{server.url}/{number}.jpg" for number in range(count)}


def statuses(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(one.status for one in outcomes)


def test_all_pictures_arrive_in_order_and_only_once(server: WebServer, tmp_path: Path) -> None:
    asked = wanted(server)
    server.files = {path: data + bytes(100_000) for path, data in server.files.items()}  # long enough to meet others
    outcomes = fetch_all(asked, tmp_path, POLICY)
    assert [(one.id, one.url, one.status) for one in outcomes] == [(name, url, "ok") for name, url in asked.items()]
    for number in range(COUNT):
        assert (tmp_path / FETCHED / f"awe/{number}.jpg").read_bytes() == server.files[f"/{number}.jpg"]
    assert fetch_all(asked, tmp_path, POLICY) == outcomes
    assert len(server.requests) == COUNT
    assert 1 < server.most_at_once <= PER_HOST


@pytest.mark.parametrize("damage", [flip_bit, empty, Path.unlink])
def test_a_picture_that_has_changed_since_is_asked_for_again(server: WebServer, tmp_path: Path, damage: Damage) -> None:
    asked = wanted(server)
    outcomes = fetch_all(asked, tmp_path, POLICY)
    damage(tmp_path / FETCHED / "awe/1.jpg")
    assert fetch_all(asked, tmp_path, POLICY) == outcomes
    assert (tmp_path / FETCHED / "awe/1.jpg").read_bytes() == server.files["/1.jpg"]
    assert len(server.requests) == COUNT + 1


FAULTS = {
    "404": (Fault(status=404), "dead_link"),
    "410": (Fault(status=410), "dead_link"),
    "403": (Fault(status=403), "link_refused"),
    "no end": (Fault(status=302, headers={"Location": "/0.jpg"}), "link_refused"),
    "503": (Fault(status=503), "unreachable"),
    "broken": (Fault(break_after=10), "unreachable"),
    "stalled": (Fault(stall_after=10), "unreachable"),
    "page": (Fault(body=HTML, headers={"Content-Type": "text/html"}), "not_a_picture"),
    "page as picture": (Fault(body=HTML, headers={"Content-Type": "image/jpeg"}), "not_a_picture"),
    "empty": (Fault(body=b""), "not_a_picture"),
    "large": (Fault(body=b"\xff\xd8\xff" + bytes(pictures.MAX_BYTES)), "picture_too_large"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_link_that_fails_costs_one_row(server: WebServer, tmp_path: Path, name: str) -> None:
    fault, status = FAULTS[name]
    server.always["/0.jpg"] = fault
    outcomes = fetch_all(wanted(server), tmp_path, HASTY if name == "stalled" else POLICY)
    assert (outcomes[0].status, outcomes[0].sha256) == (status, "")
    assert outcomes[0].reason
    assert statuses(outcomes[1:]) == {"ok": COUNT - 1}
    assert not (tmp_path / FETCHED / "awe/0.jpg").exists()
    server.always.clear()
    again = fetch_all(wanted(server), tmp_path, HASTY if name == "stalled" else POLICY)
    assert again[0].status == ("ok" if status == "unreachable" else status)  # only what may pass is tried again


@pytest.mark.parametrize("fault", [Fault(status=429, headers={"Retry-After": "0"}), Fault(break_after=10)])
def test_what_passes_is_tried_again(server: WebServer, tmp_path: Path, fault: Fault) -> None:
    server.fail("/0.jpg", fault)
    assert statuses(fetch_all(wanted(server), tmp_path, POLICY)) == {"ok": COUNT}


def test_one_picture_under_many_addresses_is_a_placeholder(server: WebServer, tmp_path: Path) -> None:
    gone = jpeg(99)
    server.files |= {f"/{number}.jpg": gone for number in range(3)}
    server.files |= {"/3.jpg": jpeg(98), "/4.jpg": jpeg(98)}  # twice may be chance
    for _ in range(2):
        outcomes = fetch_all(wanted(server), tmp_path, POLICY)
        assert [one.status for one in outcomes] == ["placeholder"] * 3 + ["ok"] * (COUNT - 3)
    same = {f"awe/same{number}.jpg": f"{server.url}/9.jpg" for number in range(3)}  # one address is no sign
    assert statuses(fetch_all(same, tmp_path / "same", POLICY)) == {"ok": 3}


@pytest.mark.parametrize(
    ("identity", "url"),
    [
        ("awe/a.jpg", "ftp://x/a.jpg"),
        ("awe/a.jpg", "file:///etc/passwd"),
        ("awe/a.jpg", "http://[x/a.jpg"),
        ("awe/..", "http://127.0.0.1/.."),
        ("awe/.hidden", "http://127.0.0.1/.hidden"),
        ("awe/a\0.jpg", "http://127.0.0.1/a"),
        ("awe/" + "a" * 300, "http://127.0.0.1/a"),
        ("awe/b/a.jpg", "http://127.0.0.1/a"),
        ("awe/\ud800.jpg", "http://127.0.0.1/a"),
    ],
)
def test_an_address_that_is_none_is_not_asked_for(server: WebServer, tmp_path: Path, identity: str, url: str) -> None:
    outcomes = fetch_all({identity: url, **wanted(server)}, tmp_path, POLICY)
    assert [one.status for one in outcomes] == ["bad_address"] + ["ok"] * COUNT


def test_a_network_that_is_down_stops_and_the_next_run_goes_on(server: WebServer, tmp_path: Path) -> None:
    server.always |= {f"/{number}.jpg": Fault(status=503) for number in range(5)}
    with pytest.raises(UserError, match=r"5 of 20 pictures could not be reached, .*503 Service Unavailable.*run again"):
        fetch_all(wanted(server), tmp_path, POLICY)
    server.always.clear()
    before = len(server.requests)
    assert statuses(fetch_all(wanted(server), tmp_path, POLICY)) == {"ok": COUNT}
    assert len(server.requests) - before == 5


def test_an_unknown_host_costs_its_rows(server: WebServer, tmp_path: Path) -> None:
    nowhere = {"awe/x.jpg": "http://nowhere.invalid/x.jpg"}
    outcomes = fetch_all({**wanted(server), **nowhere}, tmp_path, POLICY)
    assert outcomes[-1].status == "host_unknown"


def test_a_torn_line_of_a_killed_run_costs_one_request(server: WebServer, tmp_path: Path) -> None:
    fetch_all(wanted(server), tmp_path, POLICY)
    log = tmp_path / OUTCOMES
    log.write_bytes(log.read_bytes()[:-10])
    (tmp_path / FETCHED / json.loads(log.read_text().splitlines()[0])["id"]).unlink()
    assert statuses(fetch_all(wanted(server), tmp_path, POLICY)) == {"ok": COUNT}
    assert len(server.requests) == COUNT + 2
    assert len([json.loads(line) for line in log.read_text().splitlines()]) == COUNT + 1


def test_another_address_of_an_id_is_asked_for(server: WebServer, tmp_path: Path) -> None:
    fetch_all(wanted(server), tmp_path, POLICY)
    outcomes = fetch_all({"awe/0.jpg": f"{server.url}/1.jpg"}, tmp_path, POLICY)
    assert (tmp_path / FETCHED / "awe/0.jpg").read_bytes() == server.files["/1.jpg"]
    assert outcomes[0].status == "ok"


def test_a_full_disk_or_the_like_stops_the_others_too(server: WebServer, tmp_path: Path) -> None:
    (tmp_path / FETCHED).write_text("in the way")
    server.bytes_per_second = 50_000
    many = {f"awe/{number}.jpg": f"{server.url}/{number % COUNT}.jpg" for number in range(300)}
    with pytest.raises(OSError, match="awe"):
        fetch_all(many, tmp_path, POLICY)
    assert len(server.requests) < 200
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


DRIPS = {
    "from the start": Fault(drip_after=0),
    "after the first bytes": Fault(drip_after=100),
    "in the headers": Fault(drip_head=True),
    "in chunks": Fault(chunked=True, drip_after=0),
    "in redirects": Fault(status=302, headers={"Location": "/0.jpg"}, drip_head=True),
    "in a refusal": Fault(status=403, drip_head=True),
    "packed": Fault(headers={"Content-Encoding": "gzip"}, drip_after=0),
}


@pytest.mark.parametrize("name", DRIPS)
def test_a_host_that_drips_costs_one_row(server: WebServer, tmp_path: Path, name: str) -> None:
    server.always["/0.jpg"] = DRIPS[name]
    outcomes = fetch_all(wanted(server), tmp_path, IMPATIENT)
    assert outcomes[0].status == "unreachable"
    assert outcomes[0].reason == "fewer than 20 bytes a second, for 0.3 s"
    assert statuses(outcomes[1:]) == {"ok": COUNT - 1}


def test_a_picture_has_a_deadline_however_its_host_goes_on(server: WebServer, tmp_path: Path) -> None:
    server.always["/0.jpg"] = Fault(drip_after=0)
    policy = replace(POLICY, least_bytes_per_second=0.0, pace_seconds=0.3, deadline_seconds=1.0)
    with pytest.raises(UserError, match="not whole after 1 s"):
        fetch_all(wanted(server, 1), tmp_path, policy)


def test_a_host_that_answers_for_ever_before_it_answers(tmp_path: Path) -> None:
    def flood(handler: QuietHandler) -> None:
        while True:
            handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

    handler = type("Handler", (QuietHandler,), {"do_GET": flood})
    with listening(handler) as port, pytest.raises(UserError, match="more than 1,048,576 bytes of headers"):
        fetch_all({"awe/0.jpg": f"http://127.0.0.1:{port}/0.jpg"}, tmp_path, POLICY)


def test_an_answer_of_two_lengths_costs_one_row(server: WebServer, tmp_path: Path) -> None:
    def answer(handler: QuietHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 6\r\n\r\n\xff\xd8\xffabc")
        handler.close_connection = True

    with listening(type("Handler", (QuietHandler,), {"do_GET": answer})) as port:
        address = f"http://127.0.0.1:{port}/0.jpg"
        outcomes = fetch_all({**wanted(server), "anger/0.jpg": address}, tmp_path / "pictures", POLICY)
        assert statuses(outcomes) == {"ok": COUNT, "link_refused": 1}
        assert "multiple unmatching values (3, 6); ask those who run the server" in outcomes[-1].reason
        with pytest.raises(UserError, match="ask those who run the server"):
            download(address, tmp_path / "file")


def test_a_host_that_is_down_is_left_to_the_next_run(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "HOST_FAILURES_MAX", 5)
    monkeypatch.setattr(pictures, "MAX_UNREACHED_SHARE", 0.9)
    with serve(server.files, host="127.0.0.2") as other:
        other.always |= {path: Fault(status=503) for path in other.files}
        down = {f"anger/{number}.jpg": f"{other.url}/{number}.jpg" for number in range(COUNT)}
        outcomes = fetch_all({**wanted(server), **down}, tmp_path, POLICY)
        assert statuses(outcomes[:COUNT]) == {"ok": COUNT}
        assert statuses(outcomes[COUNT:]) == {"unreachable": COUNT}
        assert len(other.requests) <= (5 + PER_HOST) * POLICY.attempts
        left = [one for one in outcomes if one.reason.startswith("5 pictures of this host in a row")]
        assert len(left) >= COUNT - (5 + PER_HOST)
        other.always.clear()
        assert statuses(fetch_all({**wanted(server), **down}, tmp_path, POLICY)) == {"ok": 2 * COUNT}


def test_a_stop_waits_for_no_host(server: WebServer, tmp_path: Path) -> None:
    server.always |= {f"/{number}.jpg": Fault(drip_after=0) for number in range(1, COUNT)}
    (tmp_path / FETCHED).write_text("in the way")
    with pytest.raises(OSError, match="awe"):
        fetch_all(wanted(server), tmp_path, Policy(least_bytes_per_second=0.0))  # would wait for ever
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]
