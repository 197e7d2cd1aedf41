"""What every stage has in common: arguments, parameters, paths, and one run at a time. How it ends: `frame.running`."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from pipeline.engine import files, lifecycle, parts, usage
from pipeline.engine.environment import engine_from_environment, store_from_environment
from pipeline.engine.store import Folder
from pipeline.engine.worker import Engine
from pipeline.errors import UserError
from pipeline.frame import places, whole_run
from pipeline.frame.params import PARAMS_FILE, STRICT, read_params, section
from pipeline.frame.running import exit_code, say

ENGLISH = "en"


@dataclass(frozen=True, config=STRICT)
class BaseParams:
    """Section `base`: what several stages share."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]  # every random choice of every stage derives from it
    # The dataset's, in the order of their class ids. They become names of columns, and words of pages and terminals.
    labels: Annotated[tuple[Annotated[str, Field(max_length=40, pattern=r"^\w[\w -]*$")], ...], Field(min_length=2)]

    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] = "en"  # of texts, recogniser, voice and cards

    def expect_english(self, where: str, what: str, instead: str) -> None:
        """UserError in a project of another language, for what exists in English only."""
        if self.language != ENGLISH:
            raise UserError(f"{where}: {what} knows English only, and base.language = {self.language}; {instead}")

    @field_validator("labels")
    @classmethod
    def _all_different(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(labels)) < len(labels):
            raise ValueError("labels that differ from each other")
        return labels


@plain_dataclass(frozen=True)
class Paths:
    """Where things lie below the project's folder."""

    root: Path
    store: "Folder | None" = None  # where unfinished shards lie elsewhere

    @property
    def data(self) -> Path:
        """Outputs of stages, tracked by DVC."""
        return self.root / "data"

    @property
    def reports(self) -> Path:
        """Metrics and plots data, tracked by git."""
        return self.root / "reports"

    @property
    def work(self) -> Path:
        """Unfinished work and locks; neither git nor DVC sees it."""
        return self.root / places.WORK

    @property
    def shards(self) -> Folder:
        """Unfinished shards, where `work` or `SIER_WORK` wants them; everything else of a stage's is in `work`."""
        return self.work if self.store is None else self.store

    @property
    def checkpoints(self) -> Path:
        """Trained weights, a folder each."""
        return self.data / "checkpoints"


@plain_dataclass(frozen=True)
class Context:
    """Everything a stage needs besides its own parameters."""

    base: BaseParams
    paths: Paths
    engine: Engine
    item: str = ""  # corpus, modality or model of `stage@item`
    sections: Mapping[str, Any] = field(default_factory=dict)  # all of params.yaml, for stages that read a further one


@plain_dataclass(frozen=True)
class Report:
    """What a run did; `stage_main` prints it. Metrics for DVC are written by the stage itself."""

    rows_in: int
    rows_out: int
    rejected: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


P = TypeVar("P")


def stage_main(
    stage: str,
    kind: type[P] | Mapping[str, type[P]],
    run: Callable[[P, Context], Report],
    arguments: Sequence[str] | None = None,
    items: str | None = None,
    sharded: bool = False,
    kept: str = "finished shards are kept",
) -> int:
    """Run a stage as a command; returns the exit code.

    Args:
        stage: name of the module, of the stage in dvc.yaml and of the section in params.yaml.
        kind: dataclass of the section; or, by item, of the sections `<stage>.<item>` of a stage whose item follows its
            name, as in `python -m pipeline.acquire iemocap`.
        run: the stage's work.
        arguments: of the command line; by default those of this process.
        items: section whose keys are the stage's items, where all of them share the section `<stage>`.
        sharded: whether `SIER_SHARD` can run it in parts: it maps shards and then publishes.
        kept: what a run that is stopped leaves for the next one.
    """
    parser = argparse.ArgumentParser(prog=f"python -m pipeline.{stage}")
    if isinstance(kind, Mapping):
        parser.add_argument("item", choices=sorted(kind))
    elif items:
        parser.add_argument("item", help=f"a key of section {items} of {PARAMS_FILE}")
    item = getattr(parser.parse_args(arguments), "item", "")
    name = f"{stage}@{item}" if item else stage

    def work() -> int:
        lifecycle.stop_with_dvc()
        sections = read_params(Path(PARAMS_FILE))
        where, params_kind = (f"{stage}.{item}", kind[item]) if isinstance(kind, Mapping) else (stage, kind)
        params = section(sections, where, params_kind)
        if items and item not in section(sections, items, dict[str, Any]):
            raise UserError(f"{item} is no key of section {items}; expected {' or '.join(sections[items])}")
        places.expect_folders()
        if stands := whole_run.standing(name, sections, places.WORK):
            print(stands, file=sys.stderr, flush=True)
        started = time.monotonic()
        with closing(engine_from_environment()) as engine:
            if engine.part is not None and not sharded:
                raise UserError(f"{parts.VARIABLE} = {engine.part}: this stage cannot be run in parts; run it without")
            paths = Paths(Path(), store_from_environment())
            context = Context(section(sections, "base", BaseParams), paths, engine, item, sections)
            try:
                with _locked(paths.work, name, engine.part):
                    report = run(params, context)
                    for folder in (paths.reports, paths.work):
                        files.remove_left_behind(folder)
            except parts.PartDone as done:
                print(f"{name}: {done}", file=sys.stderr, flush=True)
                return parts.EXIT_CODE
            assert engine.part is None, "a part has published"
        usage.record(paths.work, name, time.monotonic() - started)  # once its workers have ended
        _print_report(name, report)
        return 0

    return exit_code(name, work, kept=kept)


@contextmanager
def _locked(work: Path, name: str, part: parts.Part | None) -> Iterator[None]:
    """One run of the stage at a time, or one run of each of its parts."""
    with ExitStack() as locks:
        locks.enter_context(lifecycle.only_run(work / f"{name}.lock", shared=part is not None))
        if part is not None:
            locks.enter_context(lifecycle.only_run(work / f"{name}.part-{part.index}-of-{part.count}.lock"))
        yield


def _print_report(name: str, report: Report) -> None:
    rejected = sum(report.rejected.values())
    counts = ", ".join(f"{status} {count}" for status, count in report.rejected.items())
    line = f"{name}: {report.rows_in} rows in, {report.rows_out} out, {rejected} rejected"
    say("\n  ".join([f"{line} ({counts})" if rejected else line, *report.notes]))
