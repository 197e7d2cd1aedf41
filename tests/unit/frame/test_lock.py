"""What make installs is pinned by version and by sha256, and make installs nothing else."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Collection
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
INSTALL = (ROOT / ".ci/install").read_text(encoding="utf-8")
OPTIONAL = PYPROJECT["project"]["optional-dependencies"]
PIN = r"^([\w.-]+)==(\S+)"
PINS = re.findall(PIN, LOCK, re.MULTILINE)
# Each pin with the sets that want it: core, or extras.
CONSTRAINTS = [
    (pin, sets.split())
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for pin, sets in [line.split(" #")]
]
# The Pythons that pyproject.toml, lock and Makefile are about.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}
CPYTHON = {"implementation_name": "cpython", "platform_python_implementation": "CPython"}


def _wanted() -> list[Requirement]:
    (extras,) = set(re.findall(r"^EXTRAS := (.+)$", MAKEFILE, re.MULTILINE))
    lists = [PYPROJECT["project"]["dependencies"], PYPROJECT["build-system"]["requires"]]
    return [Requirement(line) for lines in [*lists, *(OPTIONAL[name] for name in extras.split())] for line in lines]


def _entries() -> list[tuple[Requirement, list[str]]]:
    """Requirement and sha256 of each entry: lines up to the first that does not end in a backslash."""
    entries = []
    for entry in re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", LOCK)).splitlines():
        requirement, *hashes = entry.split("--hash=")
        entries.append((Requirement(requirement.strip()), [value.strip() for value in hashes]))
    return entries


def test_make_knows_all_extras() -> None:
    (extras,) = re.findall(r"^EXTRAS := (.+)$", MAKEFILE, re.MULTILINE)
    assert set(extras.split()) == set(OPTIONAL)


@pytest.mark.parametrize("requirement", _wanted(), ids=lambda requirement: requirement.name)
def test_a_dependency_is_locked_within_its_bounds(requirement: Requirement) -> None:
    versions = {version for name, version in PINS if canonicalize_name(name) == canonicalize_name(requirement.name)}
    assert len(versions) == 1
    assert requirement.specifier.contains(versions.pop(), prereleases=True)


def test_every_entry_is_one_version_with_sha256_and_no_address() -> None:
    entries = _entries()
    assert len(entries) == len(PINS) > 250
    for requirement, hashes in entries:
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), requirement
        assert hashes == sorted(set(hashes)), requirement
    names = [requirement.name for requirement, _ in entries]
    assert names == sorted(set(names))
    assert not re.search(r"://|\bfile:|@|--(?:extra-)?index|--find-links|--trusted", LOCK)


@pytest.mark.parametrize("python", PYTHONS)
def test_each_python_gets_its_packages(python: str) -> None:
    here = LINUX | CPYTHON | {"python_version": python, "python_full_version": f"{python}.0"}
    got = {entry.name for entry, _ in _entries() if entry.marker is None or entry.marker.evaluate(here)}
    missing = {canonicalize_name(wanted.name) for wanted in _wanted()} - got
    assert not missing
    assert ("audioop-lts" in got) is (python in ("3.13", "3.14"))  # was in the standard library up to 3.12


def test_lock_and_constraints_pin_the_same() -> None:
    assert [pin for pin, _ in CONSTRAINTS] == [f"{name}=={version}" for name, version in PINS]


def _closure(requirements: list[str], without: Collection[str] = ()) -> set[str]:
    """Names of these requirements and of what they need, as installed here; `without` some and what those need."""
    found: set[str] = set()
    waiting = [(Requirement(line), {""}) for line in requirements]
    asked: set[tuple[str, str]] = set()
    while waiting:
        requirement, extras = waiting.pop()
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        name = canonicalize_name(requirement.name)
        key = (name, ",".join(sorted(requirement.extras)))
        if key not in asked and name not in without:
            asked.add(key)
            found.add(name)
            needed = distribution(name).requires or []
            waiting += [(Requirement(line), {"", *requirement.extras}) for line in needed]
    return found


@pytest.mark.parametrize("extra", ["core", *OPTIONAL])
def test_sets_of_constraints_are_what_the_extras_need(extra: str) -> None:
    asked = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["build-system"]["requires"], *OPTIONAL["hibari"]]
    needed = _closure(asked + OPTIONAL.get(extra, []))
    given = {canonicalize_name(pin.split("==")[0]) for pin, sets in CONSTRAINTS if {"core", extra} & set(sets)}
    installed = {canonicalize_name(found.metadata["Name"]) for found in distributions()}
    assert needed == given & installed  # the others are for other Pythons


def test_what_another_torch_comes_without_is_needed_by_torch_alone() -> None:
    patterns = dict(re.findall(r"(?m)^(torch|cuda)='([^']+)'", INSTALL))
    names = {canonicalize_name(name) for name, _ in PINS}
    torch, cuda = ({name for name in names if re.match(patterns[kind], name)} for kind in ("torch", "cuda"))
    assert torch == {"torch", "torchvision", "torchaudio", "torchcodec"}
    assert len(cuda) > 10
    everything = [line for lines in [PYPROJECT["project"]["dependencies"], *OPTIONAL.values()] for line in lines]
    assert not cuda & _closure(everything, without=torch)


def test_install_lists_of_the_lock_what_a_set_wants_and_all_of_it_by_all() -> None:
    def listed(*sets: str) -> str:
        command = [str(ROOT / ".ci/install"), "--list", *sets]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    core, rate = listed("core"), listed("core", "rate")
    assert set(core.splitlines()) < set(rate.splitlines()) < set(LOCK.splitlines())
    wanted = [pin for pin, sets in CONSTRAINTS if {"core", "rate"} & set(sets)]
    assert [f"{name}=={version}" for name, version in re.findall(PIN, rate, re.MULTILINE)] == wanted
    assert listed("all") == re.sub(r"(?m)^\s*#.*\n", "", LOCK)
    heavy = {"gradio", "ray", "coqui-tts", "moto", "captum", "shap", "playwright", "piper-tts", "pytest", "librosa"}
    assert not heavy & {name for name, _ in re.findall(PIN, core, re.MULTILINE)}


def test_make_installs_from_the_lock_alone() -> None:
    assert not re.search(r"pip\S* install", MAKEFILE)
    calls = [line for line in INSTALL.splitlines() if re.search(r'"\$\{(pip|uv)\[@\]\}"', line)]
    assert len(calls) == 6  # first, torch by its index, by another, by the lock; the rest; the project
    for call in calls:
        for part in call.removesuffix(" || {").split("||"):
            hashed = '"${locked[@]}" .venv/' in part or "--require-hashes" in part
            own = part.split()[-2:] == ["--editable", "."] and "--no-deps" in part
            asked_for = part.strip().endswith("$pins")  # SIER_TORCH
            assert hashed or own or asked_for, part
    # An isolated build fetches its backend without a hash.
    assert "locked=(--require-hashes --no-build-isolation --requirement)" in INSTALL
