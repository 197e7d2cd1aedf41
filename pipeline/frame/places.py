"""Where outputs lie: what DVC and the stages need of the folders that dvc.yaml names.

DVC says so in words of its own, and of some faults after a stage has worked for days.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import UserError, first_line
from pipeline.frame.params import read_params

GRAPH = Path("dvc.yaml")
WORK = Path(".work")
EXPERIMENTS = (".dvc", "tmp", "exps")  # folders in which DVC makes copies of the project


def project_of(root: Path) -> Path:
    """The project that `root` is a copy of, where DVC made it for an experiment (`dvc exp run --temp`, `--queue`).

    Relative paths of what lies outside of the project, such as corpora, are meant from there.
    """
    for folder in root.resolve().parents:
        if folder.parts[-len(EXPERIMENTS) :] == EXPERIMENTS:
            return folder.parents[len(EXPERIMENTS) - 1]
    return root


def expect_repository() -> None:
    """Raises UserError where DVC would not run in this folder; without a dvc.yaml nobody asks it to."""
    if GRAPH.is_file():
        _dvc_core()


def expect_folders() -> None:
    """Raises UserError where a stage wants a folder of its own and something else lies there, or DVC would refuse it.

    A folder is put together beside its place and then takes it: DVC would go on with what lies behind a link there.
    Links to files are DVC's own, where its cache is set to make them.
    """
    if not GRAPH.is_file():
        return
    outputs = dict(_outputs())
    cached = {folder for output in outputs if outputs[output] for folder in output.parents[:-1]}
    for folder in sorted({WORK, *cached, *(folder for output in outputs for folder in output.parents[:-1])}):
        _expect_folder(folder)
        if folder in cached and folder.is_symlink() and not _dvc_core()["no_scm"]:
            raise UserError(
                f"{folder}: a link, and DVC refuses outputs behind it, as outside of the git repository; mount a disk "
                "there instead, or run: dvc config --local core.no_scm true"
            )
    for place in (place for output in outputs if not output.suffix for place in _places(output)):
        if place.is_symlink():
            raise UserError(
                f"{place}: a link, where a stage puts a folder of its own; remove the link, what it points to stays. "
                "Another disk can be mounted in its place; a corpus elsewhere is named by acquire.<corpus>.path"
            )
        _expect_folder(place)
    for place in (place for output in outputs if output.suffix for place in _places(output)):
        if place.is_dir():
            raise UserError(f"{place}: expected a file, found a folder; move it away")


def _expect_folder(path: Path) -> None:
    if os.path.lexists(path) and not path.is_dir():
        found = "a link that leads to no folder" if path.is_symlink() else "a file"
        raise UserError(f"{path}: expected a folder, found {found}; move it away")


def _outputs() -> Iterator[tuple[Path, bool]]:
    """Outputs of all stages, with * for what differs from item to item, and whether DVC caches them."""
    for stage in read_params(GRAPH)["stages"].values():
        for output in stage.get("do", stage)["outs"]:
            ((name, options),) = output.items() if isinstance(output, dict) else [(output, {})]
            yield Path(re.sub(r"\$\{.*?\}", "*", name)), options.get("cache", True)


def _places(output: Path) -> list[Path]:
    """An output of each item; links to nothing among them, hidden names not."""
    if "*" not in output.name:
        return [output]
    return sorted(place for place in output.parent.glob(output.name) if not place.name.startswith("."))


def _dvc_core() -> dict[str, Any]:
    """Section `core` of DVC's configuration; UserError if it cannot be read, or DVC would not run here."""
    from dvc.exceptions import DvcException  # noqa: PLC0415 - half a second
    from dvc.repo import Repo  # noqa: PLC0415
    from dvc.scm import SCMError  # noqa: PLC0415

    try:
        core: dict[str, Any] = Repo().config["core"]
    except SCMError:
        without = "dvc config --local core.no_scm true"
        raise UserError(f"DVC expects a git repository here; run: git init, or, without git: {without}") from None
    except DvcException as error:
        raise UserError(f"DVC cannot work here: {first_line(error)}; git clone or download the project again") from None
    return core
