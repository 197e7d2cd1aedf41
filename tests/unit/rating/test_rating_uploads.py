"""How long recordings are kept, and how log-ins are slowed down: with a clock that tests turn."""

from __future__ import annotations

import asyncio
import errno
import io
import shutil
from pathlib import Path

import pytest

from pipeline.rating.logins import ADDRESSES_MAX, PAUSE_SECONDS_MAX, WAITING_MAX, Logins
from pipeline.rating.uploads import KEPT_IN_ALL, KEPT_PER_RATER, KEPT_SECONDS, SAVED_SECONDS, Uploads
from tests import asynchronous


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_is_not_saved_goes_after_minutes(tmp_path: Path) -> None:
    clock = Clock()
    uploads = Uploads(tmp_path, clock)
    foreign = tmp_path / "foreign"
    foreign.touch()
    first = uploads.keep("ada", io.BytesIO(b"one"))
    clock.now += KEPT_SECONDS - 1
    second = uploads.keep("eve", io.BytesIO(b"two"))
    uploads.sweep()
    assert names(tmp_path) == {"foreign", first, second}
    clock.now += 2
    uploads.sweep()
    assert names(tmp_path) == {"foreign", second}
    assert uploads.find(first) is None
    clock.now += KEPT_SECONDS
    uploads.sweep()
    assert names(tmp_path) == {"foreign"}


def test_what_is_saved_goes_when_its_page_has_loaded_it(tmp_path: Path) -> None:
    clock = Clock()
    uploads = Uploads(tmp_path, clock)
    saved, other = (uploads.keep("ada", io.BytesIO(b"one")) for _ in range(2))
    uploads.saved(saved)
    uploads.saved("no such name")
    clock.now += SAVED_SECONDS - 1
    uploads.sweep()
    assert names(tmp_path) == {saved, other}
    clock.now += 2
    uploads.sweep()
    assert names(tmp_path) == {other}


def test_a_rater_keeps_a_few_and_nobody_elses(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    eves = uploads.keep("eve", io.BytesIO(b"eve"))
    sent = [uploads.keep("ada", io.BytesIO(str(number).encode())) for number in range(KEPT_PER_RATER + 3)]
    assert names(tmp_path) == {eves, *sent[3:]}
    found = uploads.find(sent[-1], "ada")
    assert found is not None
    assert found.read_bytes() == str(KEPT_PER_RATER + 2).encode()
    assert uploads.find(eves, "ada") is None
    assert uploads.find(sent[0], "ada") is None


def test_many_names_fill_no_disk_and_a_full_one_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = Uploads(tmp_path)
    sent = [uploads.keep(f"rater{number}", io.BytesIO(b"x")) for number in range(KEPT_IN_ALL + 2)]
    assert names(tmp_path) == set(sent[2:])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space"):
        uploads.keep("ada", io.BytesIO(b"x"))
    assert names(tmp_path) == set(sent[2:])


@pytest.mark.parametrize("name", ["", ".", "..", "foreign", "../outside", "/etc/passwd", "a\0b"])
def test_only_its_own_files_are_found_and_deleted(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "foreign").touch()
    (tmp_path / "outside").touch()
    uploads = Uploads(folder)
    assert uploads.find(name) is None
    uploads.remove(name)
    assert (folder / "foreign").exists()
    assert (tmp_path / "outside").exists()


def tried(logins: Logins, address: str, *entered: bool) -> None:
    async def each() -> None:
        for result in entered:
            async with logins.turn(address) as ended:
                ended(result)

    asynchronous.run(each())


def test_each_failure_holds_the_next_try_back_longer(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    logins = Logins(clock.pause, clock)
    tried(logins, "10.0.0.1", *[False] * 8)
    assert clock.pauses == [0, 1, 2, 4, 8, 16, PAUSE_SECONDS_MAX, PAUSE_SECONDS_MAX]
    assert capsys.readouterr().out.splitlines()[-1] == "rate: a log-in from 10.0.0.1 was refused, 8 in a row"
    clock.pauses.clear()
    tried(logins, "10.0.0.2", True, False)  # another's failures cost nobody else
    tried(logins, "10.0.0.1", True, True)
    assert clock.pauses == [0, 0, PAUSE_SECONDS_MAX, 0]


def test_tries_of_an_address_wait_for_each_other_and_more_are_refused() -> None:
    clock = Clock()
    logins = Logins(clock.pause, clock)

    async def attempt() -> bool:
        if logins.is_crowded("10.0.0.1"):
            return False
        async with logins.turn("10.0.0.1") as ended:
            ended(False)
        return True

    async def all_at_once() -> list[bool]:
        return list(await asyncio.gather(*(attempt() for _ in range(20))))

    assert sum(asynchronous.run(all_at_once())) == WAITING_MAX
    assert clock.pauses == [0, 1, 2, 4]
    assert not logins.is_crowded("10.0.0.1")


def test_many_addresses_cost_little_memory() -> None:
    clock = Clock()
    logins = Logins(clock.pause, clock)
    for number in range(ADDRESSES_MAX + 100):
        tried(logins, f"10.0.{number // 256}.{number % 256}", False)
    assert len(logins._tries) == ADDRESSES_MAX
