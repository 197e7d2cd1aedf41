"""What a module of the project imports, as its code version counts it."""

from __future__ import annotations

import ast
from pathlib import Path

from pipeline.engine.fingerprint import imports_of


def imported_modules(start: Path) -> set[Path]:
    """`start` and every project file that it imports, directly or through other project files."""
    modules: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path not in modules:
            modules.add(path)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            waiting.extend(imported for imported, _, _ in imports_of(path, tree))
    return modules
