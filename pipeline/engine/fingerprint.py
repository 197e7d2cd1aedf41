"""What makes finished work reusable: the same parameters, inputs, model and code.

The code version is the sha256 of the stage's source and of every project module it imports, directly or not, functions'
inner imports included. What all stages share (`FRAME`) is left out: it decides how work is run and kept, not what a row
becomes, and `shards.FORMAT` stands for the layout of files. So a better progress bar does not void days of TTS.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.engine import shards

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("pipeline", "models")
FRAME = ("pipeline/engine/", "pipeline/errors.py", "pipeline/params.py", "pipeline/reports.py", "pipeline/stage.py")


def fingerprint(**parts: Any) -> str:
    """Hex digest of named JSON values; any change of any part gives another digest."""
    text = json.dumps({"format": shards.FORMAT, **parts}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def code_version(stage_file: str | Path, adapters: Iterable[str] = ()) -> str:
    """sha256 over the stage's source, the project modules it imports and the chosen `adapters` (dotted names)."""
    sources = imported_modules(Path(stage_file).resolve())
    for adapter in adapters:
        path = module_path(adapter)
        if path is not None:
            sources |= imported_modules(path)
    digest = hashlib.sha256()
    for path in sorted(sources):
        relative = path.relative_to(PROJECT).as_posix()
        if not relative.startswith(FRAME):
            digest.update(relative.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def imported_modules(start: Path) -> set[Path]:
    """`start` and every project file that it imports, directly or through other project files."""
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_direct_imports(path))
    return found


@cache
def _direct_imports(path: Path) -> frozenset[Path]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # `from a import b` may name the module a.b or something inside a.
            base = _relative_base(path, node) if node.level else node.module or ""
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                names.add(inner if module_path(inner) else base)
    return frozenset(found for name in names if (found := module_path(name)) is not None)


def _relative_base(path: Path, node: ast.ImportFrom) -> str:
    package = path.relative_to(PROJECT).parts[: -node.level]
    return ".".join([*package, node.module or ""]).rstrip(".")


def module_path(name: str) -> Path | None:
    """The source file of a dotted project module; None for other packages."""
    if name.split(".", maxsplit=1)[0] not in PACKAGES:
        return None
    path = PROJECT.joinpath(*name.split("."))
    candidates = (path.with_name(path.name + ".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)
