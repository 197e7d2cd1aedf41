"""Is what stages made still what `dvc.lock` says of it? For all outputs that have no manifest of their own.

DVC itself trusts a file whose time and size it knows; here every byte is read again. What dvc.lock does not name, or
names but is not there, has not been built and is no fault.
"""

import json
import re
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from pipeline.engine import files
from pipeline.errors import first_line
from pipeline.verification.shard_files import Fault

LOCK = "dvc.lock"
FOLDERS = ("data/", "reports/")
SHARD = re.compile(r"-\d{5}(-of-\d{5})?\.parquet$")  # of which a manifest tells
CORPORA = "data/corpora/"  # dozens of gigabytes, which acquire has hashed


def read_outputs(root: Path) -> Mapping[str, tuple[str, str]]:
    """Stage and md5 of each output by its path, of a project's dvc.lock; none where DVC has not run.

    Raises ValueError, KeyError or TypeError if it is damaged.
    """
    path = root / LOCK
    if not path.is_file():
        return {}
    try:
        stages: dict[str, Any] = yaml.safe_load(path.read_bytes())["stages"]
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {error}") from None
    outputs = {out["path"]: (stage, out["md5"]) for stage, entry in stages.items() for out in entry["outs"]}
    # `--repair` removes what has changed, and a lock may come from anybody.
    foreign = [name for name in outputs if ".." in PurePosixPath(name).parts or not name.startswith(FOLDERS)]
    if foreign:
        raise ValueError(f"{foreign[0]} is no output of this project")
    return outputs


def check_outputs(
    root: Path, folders: Container[str], *, corpora: bool, tick: Callable[[int], object]
) -> Iterator[Fault]:
    """Compare outputs with dvc.lock; of `folders`, whose shards have a manifest, only the files beside the shards.

    `corpora` says whether those are read too; `tick` is called with the number of bytes that were read.
    """
    try:
        outputs = read_outputs(root)
    except (ValueError, KeyError, TypeError) as error:
        what = f"damaged ({type(error).__name__}: {first_line(error)}); bring it back with git, or run: dvc repro"
        yield Fault(root / LOCK, "lock", what)
        return
    for name, (stage, md5) in outputs.items():
        path = root / name
        if not path.exists() or (name.startswith(CORPORA) and not corpora):
            continue
        remedy = f"run: dvc repro --single-item --force {stage}"
        names = listed(root, md5) if path.is_dir() else {}
        if name in folders:
            beside = {inner: digest for inner, digest in names.items() if not SHARD.search(inner)}
            found = {inner: digest for inner, digest in _digests(path, tick, beside).items() if inner in beside}
            yield from _differences(path, beside, found, remedy)
        elif path.is_dir():
            found = _digests(path, tick)
            if _tree_md5(found) != md5:
                told = list(_differences(path, names, found, remedy)) if names else []
                yield from told or [Fault(path, "output", f"not what {LOCK} says; {remedy}")]
        elif files.md5_of(path) != md5:
            yield Fault(path, "output", f"not what {LOCK} says; {remedy}", path.name)
        else:
            tick(path.stat().st_size)


def _differences(
    folder: Path, names: Mapping[str, str], found: Mapping[str, str], remedy: str
) -> Iterator[Fault]:  # fmt: skip
    for name in sorted(names.keys() | found.keys()):
        if names.get(name) != found.get(name):
            what = "missing" if name not in found else "not known" if name not in names else "not the file"
            yield Fault(folder / name, "output", f"{what} that {LOCK} says; {remedy}", name)


def _digests(folder: Path, tick: Callable[[int], object], only: Container[str] | None = None) -> dict[str, str]:
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and (only is None or name in only):
            digests[name] = files.md5_of(path)
            tick(path.stat().st_size)
    return digests


def _tree_md5(digests: Mapping[str, str]) -> str:
    """What DVC writes into dvc.lock for a folder."""
    from dvc_data.hashfile.hash_info import HashInfo  # noqa: PLC0415 - half a second
    from dvc_data.hashfile.meta import Meta  # noqa: PLC0415
    from dvc_data.hashfile.tree import Tree  # noqa: PLC0415

    tree = Tree()  # type: ignore[no-untyped-call]
    for name, digest in digests.items():
        tree.add(tuple(name.split("/")), Meta(), HashInfo("md5", digest))
    tree.digest()
    return str(tree.hash_info.value)


def listed(root: Path, md5: str) -> dict[str, str]:
    """md5 by name of the files of a folder, if DVC's cache has the list."""
    path = root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    try:
        return {entry["relpath"]: entry["md5"] for entry in json.loads(path.read_bytes())}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
