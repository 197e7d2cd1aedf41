import sys
import time

import pytest

from pipeline.engine import progress
from pipeline.engine.progress import Progress
from tests.patience import HANG_SECONDS


def wait_for(condition: object) -> None:
    until = time.monotonic() + HANG_SECONDS
    while not condition() and time.monotonic() < until:  # type: ignore[operator]
        time.sleep(0.01)


def test_a_log_gets_whole_lines_from_time_to_time_also_while_nothing_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.05)
    said: list[str] = []

    def has(words: str) -> bool:
        said.append(capsys.readouterr().err)
        return words in "".join(said)

    with Progress(total=10, desc="score", unit="row") as bar:
        bar.set_postfix_str("loading")
        wait_for(lambda: has("loading"))
        bar.set_postfix(rejected=1)
        bar.update(4)
        wait_for(lambda: has("rejected=1"))
    said.append(capsys.readouterr().err)
    lines = "".join(said).splitlines()
    assert lines[0].startswith("score:   0% 0/10") and "loading" in lines[0]
    assert lines[-1].startswith("score:  40% 4/10") and "rejected=1" in lines[-1]
    assert "\r" not in "".join(said)


def test_what_is_soon_over_says_nothing_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(Progress(range(3), desc="sha256")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(Progress(range(3), desc="sha256", ascii=True, ncols=60)) == [0, 1, 2]
    said = capsys.readouterr().err
    assert "\r" in said and "3/3" in said
