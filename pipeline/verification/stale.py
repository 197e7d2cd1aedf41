"""Which stages' reports do not belong to one run with the others, by dvc.lock, the parameters and the reports alone.

DVC itself asks this by reading every byte of data/, and of every file of code; here only small files are read, and
code that has changed since makes nothing stale: it may give the same results.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.engine import files
from pipeline.engine.shards import MANIFEST
from pipeline.errors import UserError, first_line
from pipeline.frame.params import PARAMS_FILE, read_params
from pipeline.verification.outputs import LOCK, listed

DATA = ("data/", "reports/")
NOT_HERE = "not made here"


class _Loader(yaml.CSafeLoader):
    """Reads 1e-08 as a number, which DVC writes by YAML 1.2, and YAML 1.1 takes for a word."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789"))


def stale_stages(root: Path) -> dict[str, str] | None:
    """Why, by stage in the order of dvc.lock; None if it cannot be told, as DVC has never run here.

    Raises:
        UserError: dvc.lock is damaged.
    """
    path = root / LOCK
    if not path.is_file():
        return None
    try:
        stages: dict[str, Any] = yaml.load(path.read_bytes(), Loader=_Loader)["stages"]  # noqa: S506 - safe
        made = {out["path"]: (name, out["md5"]) for name, entry in stages.items() for out in entry["outs"]}
        sections = read_params(root / PARAMS_FILE)
        found = {name: next(_reasons(root, entry, made, sections), "") for name, entry in stages.items()}
        above = {name: _makers(entry, made) for name, entry in stages.items()}
    except (yaml.YAMLError, OSError, KeyError, TypeError, AttributeError) as error:
        what = f"damaged ({type(error).__name__}: {first_line(error)})"
        raise UserError(f"{path}: {what}; bring it back with git, or run: dvc repro") from None
    for _ in stages:  # as deep as the graph is at most
        for name in stages:
            behind = next((maker for maker in above[name] if found[maker]), None)
            if not found[name] and behind is not None:
                found[name] = f"{behind} is to be run before"
    return {name: reason for name, reason in found.items() if reason}


def _reasons(
    root: Path, entry: Mapping[str, Any], made: Mapping[str, tuple[str, str]], sections: Mapping[str, Any]
) -> Iterator[str]:
    for out in entry["outs"]:
        path = root / out["path"]
        if not path.exists():
            yield NOT_HERE
        elif path.is_file() and files.md5_of(path) != out["md5"]:
            yield f"{out['path']} is not that of {LOCK}"
        elif path.is_dir():
            manifest = listed(root, out["md5"]).get(MANIFEST)  # None where DVC keeps no list, or the folder has none
            if manifest is not None and files.md5_of(path / MANIFEST) != manifest:
                yield f"{out['path']} is not that of {LOCK}"
    for dotted, value in entry.get("params", {}).get(PARAMS_FILE, {}).items():
        if _value(sections, dotted) != value:
            yield f"{PARAMS_FILE}: {dotted} has changed"
    for dep in entry.get("deps", []):
        name = dep["path"]
        if not name.startswith(DATA):
            continue
        path = root / name
        now = made[name][1] if name in made else files.md5_of(path) if path.is_file() else dep["md5"]
        if now != dep["md5"]:
            yield f"{name} has been made anew"


def _value(sections: Mapping[str, Any], dotted: str) -> Any:
    value: Any = sections
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _makers(entry: Mapping[str, Any], made: Mapping[str, tuple[str, str]]) -> list[str]:
    """Stages that make what this one reads, or a part of it, or a folder around it."""
    found = []
    for dep in entry.get("deps", []):
        name = dep["path"]
        found += [
            maker
            for out, (maker, _) in made.items()
            if name == out or name.startswith(f"{out}/") or out.startswith(f"{name}/")
        ]
    return list(dict.fromkeys(found))
