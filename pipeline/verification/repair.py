"""Remove damaged shards, so that the next `dvc repro` makes just those anew.

A shard stands in three places that are mostly one file on disk (hard links): the stage's output, `.work` and DVC's
cache. A flipped bit damages all of them, and DVC, which trusts a cached file whose time and size it knows, would bring
it back. So it is removed everywhere; DVC then runs the stage, which makes what `.work` does not hold whole. A shard
that was made wrong is removed where its bytes are those that verify has read; other copies that are whole stay.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engine import files, lifecycle, shards
from pipeline.engine.shards import Marker
from pipeline.errors import UserError
from pipeline.verification.shard_files import Fault

if TYPE_CHECKING:
    from pipeline.frame.stage import Paths


def repair(faults: Sequence[Fault], paths: Paths, stages: Mapping[Path, str]) -> Iterator[str]:
    """Remove what is damaged; yields what was done, a line each. `stages`: output -> stage in dvc.yaml."""
    rerun: set[str] = set()
    for folder, stage in stages.items():
        if not _is_below(folder, paths.root / folder.relative_to(paths.root).parts[0]):
            continue
        if folder.is_file() and any(fault.where == folder and fault.file for fault in faults):
            folder.unlink()
            yield f"removed {folder}"
            rerun.add(stage)
            continue
        named = {fault.file for fault in faults if fault.file and fault.where.is_relative_to(folder)}
        damaged = sorted(file for file in named if _is_below(folder / file, folder))
        if not damaged:
            continue
        with lifecycle.only_run(paths.work / f"{stage}.lock"):
            cached = _cached_files(folder)
            wrong: set[str] = set()  # keys of what verify has read
            for file in damaged:
                if file in cached and _is_wrong(*cached[file], folder / file):
                    cached[file][0].unlink(missing_ok=True)
                if (folder / file).is_file():
                    wrong.add(_key(file, files.sha256_of(folder / file)))
                    (folder / file).unlink()
                    yield f"removed {folder / file}"
            for marker in _damaged_in(paths.work / stage.replace("@", "."), wrong):
                yield f"removed shard {marker}"
            # Without it nobody takes the folder for whole.
            (folder / shards.MANIFEST).unlink(missing_ok=True)
        rerun.add(stage)
    rest = sum(not fault.file for fault in faults)
    if rest:
        yield (
            f"{rest} faults lie in no single file and were left; dvc repro brings back what was changed after it "
            "was made, and if they stay the code that made it is at fault"
        )
    if rerun:
        yield f"run: dvc repro (it makes what was removed of {', '.join(sorted(rerun))} anew)"


def _is_below(path: Path, folder: Path) -> bool:
    """Whether a file lies in a folder itself; dvc.lock and manifests may name others, and links lead to them."""
    return path.parent.resolve().is_relative_to(folder.resolve()) and not (path.is_dir() and path.is_symlink())


def _damaged_in(work: Path, wrong: Container[str]) -> Iterator[Path]:
    """Remove shards of `.work/<stage>` whose files are not what their marker says, or are `wrong`; yields markers."""
    for path in sorted(work.rglob("part-*.json")):
        try:
            marker = Marker.from_json(json.loads(path.read_bytes()))
            whole = all(
                _key(file.name, file.sha256) not in wrong and files.sha256_of(path.parent / file.name) == file.sha256
                for file in (marker.part, marker.rejects)
            )
        except (OSError, ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            for other in (path, path.with_suffix(".parquet"), path.parent / "rejects" / f"{path.stem}.parquet"):
                other.unlink(missing_ok=True)
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


def _key(name: str, sha256: str) -> str:
    """Parts are told by their bytes, as the dataset's have other names; tables of rejects not, as many are empty."""
    return f"{name} {sha256}" if name.startswith("rejects/") else sha256


def _is_wrong(path: Path, md5: str, read: Path) -> bool:
    """Whether a cached file is damaged, or holds the bytes of a file that was found wrong."""
    return path.is_file() and (files.md5_of(path) != md5 or (read.is_file() and files.md5_of(read) == md5))
