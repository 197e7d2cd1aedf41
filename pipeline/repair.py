"""Remove damaged shards, so that the next `dvc repro` makes just those anew.

In   faults with the file that shows them
Out  one line per shard that was removed, or per fault that cannot be repaired so

A shard stands in three places that are mostly one file on disk (hard links): the stage's output, `.work` and DVC's
cache. A flipped bit damages all of them, and DVC, which trusts a cached file whose time and size it knows, would bring
it back. So it is removed everywhere. Then DVC finds an output that is not whole and runs the stage, which finds the
shards in `.work` that are, and makes the others.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engine import files, lifecycle, shards
from pipeline.engine.shards import Marker
from pipeline.errors import UserError
from pipeline.verify_shards import Fault

if TYPE_CHECKING:
    from pipeline.stage import Paths


def repair(faults: Sequence[Fault], paths: Paths, stages: Mapping[str, str]) -> Iterator[str]:
    """Remove what is damaged; yields what was done, a line each.

    Args:
        faults: those without a file are told and left.
        paths: of the project.
        stages: folder of data/ -> stage in dvc.yaml.

    Raises:
        UserError: the stage is running.
    """
    rerun: set[str] = set()
    for name, stage in stages.items():
        folder = paths.data / name
        damaged = sorted({fault.file for fault in faults if fault.file and fault.where.is_relative_to(folder)})
        if not damaged:
            continue
        with lifecycle.only_run(paths.work / f"{stage}.lock"):
            cached = _cached_files(folder)
            for file in damaged:
                _remove(folder / file)
                if file in cached and _is_damaged(*cached[file]):
                    _remove(cached[file][0])
                yield f"removed {folder / file}"
            for marker in _damaged_in(paths.work / stage.replace("@", ".")):
                yield f"removed shard {marker}"
            # Without it nobody takes the folder for whole.
            _remove(folder / shards.MANIFEST)
            if shards.MANIFEST in cached and shards.MANIFEST in damaged:
                _remove(cached[shards.MANIFEST][0])
        rerun.add(stage)
    rest = [fault for fault in faults if not fault.file]
    if rest:
        yield f"{len(rest)} faults lie in no single file and were left: run dvc repro --force on the stages named above"
    if rerun:
        yield f"run: dvc repro (it makes the removed shards of {', '.join(sorted(rerun))} anew)"


def _damaged_in(work: Path) -> Iterator[Path]:
    """Remove shards of `.work/<stage>` whose files are not what their marker says; yields their markers."""
    for path in sorted(work.rglob("part-*.json")):
        try:
            marker = Marker.from_json(json.loads(path.read_bytes()))
            whole = all(
                files.sha256_of(path.parent / file.name) == file.sha256 for file in (marker.part, marker.rejects)
            )
        except (OSError, ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            for other in (path, path.with_suffix(".parquet"), path.parent / "rejects" / f"{path.stem}.parquet"):
                _remove(other)
            yield path


def _cached_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Where DVC's cache keeps each file of an output, and its md5; none where DVC does not know the output."""
    from dvc.exceptions import DvcException  # noqa: PLC0415 - a second, and only for repairs
    from dvc.repo import Repo  # noqa: PLC0415

    logging.getLogger("dvc").setLevel(logging.CRITICAL)
    try:
        with Repo() as repo:
            cache = repo.cache.local
            out = next((out for out in repo.index.outs if Path(out.fs_path) == folder.resolve()), None)
            tree = out.get_obj() if out is not None else None
            if tree is None:
                return {}
            return {"/".join(key): (Path(cache.oid_to_path(digest.value)), digest.value) for key, _, digest in tree}
    except DvcException as error:
        raise UserError(f"{folder}: DVC cannot say what it keeps of it: {error}") from None


def _is_damaged(path: Path, md5: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() != md5


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
