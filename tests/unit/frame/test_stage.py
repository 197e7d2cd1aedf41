from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from pydantic.dataclasses import dataclass

from pipeline.engine import lifecycle, usage
from pipeline.engine.local import LocalEngine
from pipeline.engine.rejects import rejects_table
from pipeline.engine.shards import Output, Task
from pipeline.engine.work import Work, run_shards
from pipeline.engine.worker import Worker
from pipeline.errors import RetryableError, RowError, UserError
from pipeline.frame.params import STRICT
from pipeline.frame.stage import BaseParams, Context, Paths, Report, stage_main
from tests.engine_workers import tasks, unloadable

PARAMS = """
base: {seed: 7, labels: [happy, sad]}
tiny: {size: 3}
many: {one: {size: 1}, other: {size: 2}}
"""


@dataclass(frozen=True, config=STRICT)
class TinyParams:
    size: int


Run = Callable[[TinyParams, Context], Report]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in ("SIER_ENGINE", "SIER_WORKERS", "DVC_STAGE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "params.yaml").write_text(PARAMS)
    former = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, former)


def quiet(_params: TinyParams, _context: Context) -> Report:
    return Report(0, 0)


def raising(error: BaseException) -> Run:
    def run(_params: TinyParams, _context: Context) -> Report:
        raise error

    return run


def test_a_run_that_is_done_leaves_what_it_took_and_one_that_failed_does_not(folder: Path) -> None:
    assert stage_main("tiny", TinyParams, raising(UserError("no")), []) == 1
    assert usage.read(folder / ".work") == {}
    assert stage_main("tiny", TinyParams, quiet, []) == 0
    seconds, peak = usage.read(folder / ".work")["tiny"]
    assert 0 <= seconds < 300
    assert peak > 10_000_000


def test_a_run_gets_its_params_and_context_and_its_report_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIER_WORKERS", "3")
    seen = []

    def run(params: TinyParams, context: Context) -> Report:
        seen.append((params, context))
        return Report(10, 7, {"too_short": 2, "silent": 1}, ("a note", "another"))

    assert stage_main("tiny", TinyParams, run, []) == 0
    expected = Context(
        BaseParams(seed=7, labels=("happy", "sad")),
        Paths(Path()),
        LocalEngine(3),
        "",
        yaml.safe_load(PARAMS),
    )
    assert seen == [(TinyParams(size=3), expected)]
    assert capsys.readouterr() == (
        "tiny: 10 rows in, 7 out, 3 rejected (too_short 2, silent 1)\n  a note\n  another\n",
        "",
    )


def test_a_report_without_rejects_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert stage_main("tiny", TinyParams, quiet, []) == 0
    assert capsys.readouterr().out == "tiny: 0 rows in, 0 out, 0 rejected\n"


def test_paths_lie_below_the_root() -> None:
    paths = Paths(Path("x"))
    found = (paths.data, paths.reports, paths.work, paths.checkpoints)
    assert found == (Path("x/data"), Path("x/reports"), Path("x/.work"), Path("x/data/checkpoints"))


def test_an_item_chooses_the_section_of_params_and_names_the_stage(capsys: pytest.CaptureFixture[str]) -> None:
    def run(params: TinyParams, context: Context) -> Report:
        return Report(params.size, params.size, notes=(context.item,))

    for item, size in (("one", 1), ("other", 2)):
        assert stage_main("many", dict.fromkeys(("one", "other"), TinyParams), run, [item]) == 0
        assert capsys.readouterr().out == f"many@{item}: {size} rows in, {size} out, 0 rejected\n  {item}\n"
        assert Path(f".work/many@{item}.lock").exists()


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("items", []),
        ("items", ["third"]),
        ("items", ["one", "other"]),
        ("plain", ["one"]),
        ("plain", ["--workers", "2"]),
    ],
)
def test_wrong_arguments_are_exit_code_2_and_run_nothing(
    kind: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        if kind == "items":
            stage_main("many", {"one": TinyParams, "other": TinyParams}, raising(AssertionError("ran")), arguments)
        else:
            stage_main("tiny", TinyParams, raising(AssertionError("ran")), arguments)
    assert stop.value.code == 2
    assert f"python -m pipeline.{'many' if kind == 'items' else 'tiny'}: error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("corpus.csv: expected a header, found none"), 1, "corpus.csv: expected a header, found none"),
        (UserError("two\nlines  and\ttabs"), 1, "two lines and tabs"),
        (RetryableError("the line stayed busy"), 1, "the line stayed busy"),
        (KeyboardInterrupt(), 130, "stopped; finished shards are kept, run the same command to go on"),
        (lifecycle.Stopped(), 143, "stopped; finished shards are kept, run the same command to go on"),
    ],
)
def test_an_end_that_is_no_defect_is_one_line_and_an_exit_code(
    error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stage_main("tiny", TinyParams, raising(error), []) == code
    assert capsys.readouterr() == ("", f"tiny: error: {message}\n")


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ("all is kept", "stopped; all is kept, run the same command to go on"),
        ("", "stopped; run the same command to go on"),
    ],
)
def test_a_stage_that_has_no_shards_does_not_speak_of_them(
    kept: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stage_main("tiny", TinyParams, raising(KeyboardInterrupt()), [], kept=kept) == 130
    assert capsys.readouterr() == ("", f"tiny: error: {message}\n")
    full = OSError(errno.ENOSPC, "", "file")
    assert stage_main("tiny", TinyParams, raising(full), [], kept=kept) == 1
    expected = "; ".join(filter(None, ["file: No space left on device", "free some space and run again", kept]))
    assert capsys.readouterr() == ("", f"tiny: error: {expected}\n")


@pytest.mark.parametrize("error", [ValueError("rows were lost"), RowError("odd", "not caught"), OSError("no number")])
def test_a_defect_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        stage_main("tiny", TinyParams, raising(error), [])


def full_disk(name: str) -> Path:
    """A file on a full disk, through a link: writers remove what they could not finish."""
    path = Path(name)
    with suppress(FileExistsError):  # two workers may be here at once
        path.symlink_to("/dev/full")
    return path


def fill_a_disk(_params: TinyParams, _context: Context) -> Report:
    full_disk("file").write_text("more than nothing")
    raise AssertionError("a write to a full device came through")


def fill_a_disk_with_parquet(_params: TinyParams, _context: Context) -> Report:
    pq.write_table(rejects_table([("1", "a", "b")]), full_disk("file.parquet"))
    raise AssertionError("a write to a full device came through")


def start_what_may_not_be_started(_params: TinyParams, _context: Context) -> Report:
    Path("data.bin").write_text("no program")
    subprocess.run([str(Path("data.bin").resolve())], check=True)
    raise AssertionError("it ran")


def read_what_is_not_there(_params: TinyParams, _context: Context) -> Report:
    return Report(len(Path("corpora/texts.csv").read_bytes()), 0)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (start_what_may_not_be_started, "{folder}/data.bin: Permission denied; check who may write there"),
        (read_what_is_not_there, "corpora/texts.csv: No such file or directory"),
    ],
)
def test_the_systems_refusals_are_one_line(
    run: Run, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stage_main("tiny", TinyParams, run, []) == 1
    assert capsys.readouterr() == ("", f"tiny: error: {message.format(folder=folder)}\n")


# Which folder is named depends on the free bytes that each shows, and these two lie on one disk.
DISK_FULL = re.compile(
    r"tiny: error: \.(work)?: No space left on device; free some space and run again; finished shards are kept\n"
)


@pytest.mark.parametrize("run", [fill_a_disk, fill_a_disk_with_parquet])
def test_a_full_disk_is_one_line_that_names_a_folder_of_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert stage_main("tiny", TinyParams, run, []) == 1
    found = capsys.readouterr()
    assert found.out == ""
    assert DISK_FULL.fullmatch(found.err)


def test_missing_params_and_bad_sections_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "params.yaml").write_text(PARAMS.replace("size: 3", "size: three"))
    assert stage_main("tiny", TinyParams, quiet, []) == 1
    assert capsys.readouterr().err == 'tiny: error: params.yaml: tiny.size = "three": expected a valid integer\n'
    (folder / "params.yaml").write_text(PARAMS.replace("[happy, sad]", "[happy, happy]"))
    assert stage_main("tiny", TinyParams, quiet, []) == 1
    assert capsys.readouterr().err.startswith('tiny: error: params.yaml: base.labels = ["happy", "happy"]: expected ')
    (folder / "params.yaml").write_text("base: {seed: 7, labels: [happy, sad]}")
    assert stage_main("many", {"one": TinyParams}, quiet, ["one"]) == 1
    assert capsys.readouterr().err.startswith("many@one: error: params.yaml: section many.one is missing; ")
    (folder / "params.yaml").unlink()
    assert stage_main("tiny", TinyParams, quiet, []) == 1
    assert capsys.readouterr().err == (
        "tiny: error: params.yaml: no such file; run from the project's folder, which holds params.yaml\n"
    )
    assert not (folder / ".work").exists()


def test_a_bad_engine_setting_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SIER_WORKERS", "many")
    assert stage_main("tiny", TinyParams, quiet, []) == 1
    assert capsys.readouterr().err.startswith("tiny: error: SIER_WORKERS = many: expected ")


def test_items_may_be_the_keys_of_another_section(capsys: pytest.CaptureFixture[str]) -> None:
    seen = []

    def run(params: TinyParams, context: Context) -> Report:
        seen.append((params.size, context.item, context.sections["many"][context.item]))
        return Report(0, 0)

    assert stage_main("tiny", TinyParams, run, ["other"], items="many") == 0
    assert seen == [(3, "other", {"size": 2})]
    assert stage_main("tiny", TinyParams, run, ["third"], items="many") == 1
    assert capsys.readouterr().err == "tiny@third: error: third is no key of section many; expected one or other\n"
    assert stage_main("tiny", TinyParams, run, ["third"], items="none") == 1
    assert "section none is missing" in capsys.readouterr().err
    assert len(seen) == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_workers_user_error_is_the_stages_one_line(
    workers: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def run(_params: TinyParams, context: Context) -> Report:
        run_shards(context.engine, Work("tiny", context.paths.work / "tiny", "f", unloadable, tasks(3)))
        raise AssertionError("the worker was made")

    monkeypatch.setenv("SIER_WORKERS", workers)
    assert stage_main("tiny", TinyParams, run, []) == 1
    assert capfd.readouterr() == ("", "tiny: error: the voice is not installed; install it\n")


def test_a_full_disk_in_a_worker_is_the_stages_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def run(_params: TinyParams, context: Context) -> Report:
        run_shards(context.engine, Work("tiny", context.paths.work / "tiny", "f", full, tasks(3)))
        raise AssertionError("the worker wrote")

    monkeypatch.setenv("SIER_WORKERS", "2")
    assert stage_main("tiny", TinyParams, run, []) == 1
    assert DISK_FULL.fullmatch(capfd.readouterr().err)


def full() -> Worker:
    def work(_task: Task) -> Output:
        full_disk("file").write_text("x")
        raise AssertionError("a write to a full device came through")

    return work


def test_sigterm_during_a_run_is_a_stop(capsys: pytest.CaptureFixture[str]) -> None:
    ended = []

    def run(_params: TinyParams, _context: Context) -> Report:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            ended.append(True)
        return Report(0, 0)

    assert stage_main("tiny", TinyParams, run, []) == 143
    assert ended == [True]
    assert capsys.readouterr().err.startswith("tiny: error: stopped; ")


def test_the_lock_is_held_during_a_run_and_free_afterwards(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lifecycle, "LOCK_WAIT_SECONDS", 0.0)

    def run(_params: TinyParams, _context: Context) -> Report:
        # flock belongs to the opened file, so a second run in this process is refused as one elsewhere is.
        return Report(0, 0, notes=(str(stage_main("tiny", TinyParams, quiet, [])),))

    assert stage_main("tiny", TinyParams, run, []) == 0
    found = capsys.readouterr()
    assert found.out == "tiny: 0 rows in, 0 out, 0 rejected\n  1\n"
    assert found.err == (
        f"tiny: error: .work/tiny.lock is held by another run (process {os.getpid()}); "
        "wait for it or stop it, then run again\n"
    )
    assert stage_main("tiny", TinyParams, raising(UserError("x")), []) == 1
    assert stage_main("tiny", TinyParams, quiet, []) == 0
