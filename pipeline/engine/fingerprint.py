"""What makes finished work reusable: the same parameters, inputs, model, libraries and code.

The code version stands for what Python would run: the syntax trees, without docstrings and comments, of the stage and
of every project module that it imports, functions' inner imports included. An import counts by what the imported module
is, not by its name: files may move. What all stages share (`FRAME`) is left out: it decides how work is run and kept,
not what a row becomes, and `shards.FORMAT` stands for the layout of files. So neither a better progress bar nor a
better comment voids days of TTS.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline.engine import shards

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("pipeline", "models")
FRAME = (
    "models/errors.py",
    "pipeline/engine/",
    "pipeline/errors.py",
    "pipeline/frame/metrics_files.py",
    "pipeline/frame/params.py",
    "pipeline/frame/places.py",
    "pipeline/frame/running.py",
    "pipeline/frame/stage.py",
    "pipeline/frame/whole_run.py",
)


def fingerprint(**parts: Any) -> str:
    """Hex digest of named JSON values; any change of any part gives another digest."""
    text = json.dumps({"format": shards.FORMAT, **parts}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def library_versions(names: Iterable[str]) -> dict[str, str | None]:
    """Versions of installed distributions, by name; None for one that is not installed."""
    return {name: _installed(name) for name in sorted(set(names))}


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def code_version(stage_file: str | Path, adapters: Iterable[str] = ()) -> str:
    """Hex digest of the code of a stage, of the chosen `adapters` (dotted names), and of what they import."""
    versions: dict[Path, str] = {}
    paths = [Path(stage_file).resolve(), *(path for name in adapters if (path := module_path(name)))]
    return hashlib.sha256("".join(_version(path, versions) for path in paths).encode()).hexdigest()


def _version(path: Path, versions: dict[Path, str]) -> str:
    """Hex digest of a module and of what it imports; remembered in `versions`."""
    if path not in versions:
        versions[path] = "circle"  # what a module that imports this one sees of it
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = {
            (_version(imported, versions), name, alias)
            for imported, name, alias in imports_of(path, tree)
            if not imported.relative_to(PROJECT).as_posix().startswith(FRAME)
        }
        code = ast.dump(_Bare(path).visit(tree))
        versions[path] = hashlib.sha256(json.dumps([code, sorted(imports)]).encode()).hexdigest()
    return versions[path]


class _Bare(ast.NodeTransformer):
    """Takes docstrings and imports of project modules out of a module's syntax tree."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Import | ast.ImportFrom):
            return ast.Pass() if any(imports_of(self.path, node)) else node
        self.generic_visit(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            # `from a import b, c` and the same in two lines are one thing.
            node.body = [statement for statement in body if not isinstance(statement, ast.Pass)]
        return node


def imports_of(path: Path, tree: ast.AST) -> Iterator[tuple[Path, str, str]]:
    """What the module at `path` imports of the project: (file, name in it or "" for all of it, name in this module)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if module := module_path(alias.name):
                    yield module, "", alias.asname or alias.name
        elif isinstance(node, ast.ImportFrom):
            # `from a import b` may name the module a.b or something inside a.
            base = _relative_base(path, node) if node.level else node.module or ""
            for alias in node.names:
                inner = module_path(f"{base}.{alias.name}")
                if module := inner or module_path(base):
                    yield module, "" if inner else alias.name, alias.asname or alias.name


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
