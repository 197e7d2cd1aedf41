"""`sier`: what it lists, how it ends, and that nothing foreign reaches the terminal raw."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import ModelError
from pipeline.commands.command import COMMANDS, main
from pipeline.engine import lifecycle
from pipeline.errors import RetryableError, UserError
from pipeline.frame.running import exit_code, printable, say
from tests.patience import finish

PROJECT = Path(__file__).resolve().parents[3]
each_command = pytest.mark.parametrize("name", COMMANDS)


def test_every_module_of_the_package_that_is_a_command_is_listed() -> None:
    folder = PROJECT / "pipeline" / "commands"
    modules = {path.stem for path in folder.glob("*.py") if "\ndef add_arguments(" in path.read_text(encoding="utf-8")}
    assert modules == set(COMMANDS)


def test_help_lists_each_command_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    for name, summary in COMMANDS.items():
        assert any(re.fullmatch(rf"  {name} +{re.escape(summary)}", line) for line in lines)
        assert len(summary) <= 90


@each_command
def test_each_help_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert f"\n    sier {name} " in f"{capsys.readouterr().out} "


@pytest.mark.parametrize("arguments", [[], ["no-such"], ["--no-such"]])
def test_without_a_command_all_are_named_and_the_arguments_are_wrong(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert all(name in line for name in COMMANDS)


ENDINGS: list[tuple[Callable[[], BaseException], int, str]] = [
    (lambda: UserError("a file:\nis wrong"), 1, "x: error: a file: is wrong"),
    (lambda: ModelError("weights differ"), 1, "x: error: weights differ"),
    (lambda: RetryableError("the store is busy"), 1, "x: error: the store is busy"),
    (lambda: UserError("bad\x1b[31m\x07\u202ename\udcff"), 1, r"x: error: bad\x1b[31m\x07\u202ename\udcff"),
    (KeyboardInterrupt, 130, "x: error: stopped"),
    (lifecycle.Stopped, 143, "x: error: stopped"),
    (lambda: OSError(errno.EACCES, "?", "a/b"), 1, "x: error: a/b: Permission denied; check who may write"),
    (lambda: OSError(errno.ENOTDIR, "?", "a/b"), 1, "x: error: a/b: Not a directory; move away what lies there"),
    (lambda: OSError(errno.ENOSPC, "?"), 1, "No space left on device; free some space"),
    (MemoryError, 1, "x: error: memory ran out"),
    (lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 1, "x: error: memory ran out"),
    (lambda: ImportError("libtorch.so: failed to map segment from shared object"), 1, "x: error: memory ran out"),
]


@pytest.mark.parametrize(("make", "code", "line"), ENDINGS)
def test_whatever_a_user_can_cause_ends_in_one_line_and_a_code(
    make: Callable[[], BaseException], code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        raise make()

    assert exit_code("x", work) == code
    captured = capsys.readouterr()
    assert line in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


@pytest.mark.parametrize(
    "error", [ValueError("a defect"), RuntimeError("a defect"), ImportError("a defect"), OSError("?")]
)
def test_a_defect_keeps_its_traceback(error: Exception) -> None:
    def work() -> int:
        raise error

    with pytest.raises(type(error)):
        exit_code("x", work)


def test_what_is_said_has_no_control_characters_but_line_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b]0;title\x07\nb\rc")
    assert capsys.readouterr().out == "a\\x1b]0;title\\x07\nb\\rc\n"
    assert printable("naïve 日本 ▏") == "naïve 日本 ▏"


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=PROJECT,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["publish", "verify", "explain"])
def test_an_old_name_says_where_the_command_went(name: str) -> None:
    done = run(f"pipeline.{name}", "--help")
    assert done.returncode == 1
    assert done.stderr == f"pipeline.{name} has moved; run: sier {name}\n"


def test_the_console_script_and_the_package_are_the_same_command() -> None:
    script = Path(sys.executable).with_name("sier")
    both = [
        run("pipeline", "check", "nowhere.yaml"),
        subprocess.run([script, "check", "nowhere.yaml"], cwd=PROJECT, capture_output=True, text=True, check=False),
    ]
    assert {(done.returncode, done.stderr) for done in both} == {(1, both[0].stderr)}
    assert "nowhere.yaml: no such file" in both[0].stderr


def test_little_memory_is_said_in_one_line(tmp_path: Path) -> None:
    script = f"ulimit -v 500000 && exec {sys.executable} -m pipeline predict --image {PROJECT / 'LICENSE'}"
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "predict: error: memory ran out; close other programs, or set SIER_WORKERS lower\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("name", ["verify", "summary"])
def test_a_stop_by_signal_is_one_line(name: str, number: signal.Signals, code: int) -> None:
    script = (
        "import sys, time\n"
        "from pipeline.commands import command\n"
        "module = command.import_module(f'pipeline.commands.{sys.argv[1]}')\n"
        "def run(_options):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "module.run = run\n"
        "raise SystemExit(command.main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, name], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, messages = finish(process)
    assert process.returncode == code
    assert messages == f"{name}: error: stopped; run the same command to go on\n"


def test_a_reader_who_leaves_costs_no_traceback() -> None:
    script = f"{sys.executable} -m pipeline verify --help; {sys.executable} -c \"\
from pipeline.frame.running import exit_code, say\n\
raise SystemExit(exit_code('x', lambda: [say('y' * 99) for _ in range(9999)] and 0))\" | head -n 1 >&2"
    done = subprocess.run(["sh", "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
