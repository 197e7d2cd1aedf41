"""What make installs is pinned by version and by sha256, and make installs nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PINS = re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE)
# The Pythons that pyproject.toml, lock and Makefile are about.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}
CPYTHON = {"implementation_name": "cpython", "platform_python_implementation": "CPython"}


def _wanted() -> list[Requirement]:
    (extras,) = set(re.findall(r"^EXTRAS := (.+)$", MAKEFILE, re.MULTILINE))
    optional = PYPROJECT["project"]["optional-dependencies"]
    lists = [PYPROJECT["project"]["dependencies"], PYPROJECT["build-system"]["requires"]]
    return [Requirement(line) for lines in [*lists, *(optional[name] for name in extras.split())] for line in lines]


def _entries() -> list[tuple[Requirement, list[str]]]:
    """Requirement and sha256 of each entry: lines up to the first that does not end in a backslash."""
    entries = []
    for entry in re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", LOCK)).splitlines():
        requirement, *hashes = entry.split("--hash=")
        entries.append((Requirement(requirement.strip()), [value.strip() for value in hashes]))
    return entries


def test_make_installs_all_extras() -> None:
    (extras,) = re.findall(r"^EXTRAS := (.+)$", MAKEFILE, re.MULTILINE)
    assert set(extras.split()) == set(PYPROJECT["project"]["optional-dependencies"])


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
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert [f"{name}=={version}" for name, version in PINS] == pinned


def test_make_installs_from_the_lock_alone() -> None:
    lines = re.sub(r"\\\n\s*", "", MAKEFILE).splitlines()
    meant = dict(re.findall(r"^(\w+) := (.*)$", "\n".join(lines), re.MULTILINE))
    recipes = [
        re.sub(r"\$\((PIP|UV|LOCKED)\)", lambda name: meant[name[1]], line) for line in lines if line[:1] == "\t"
    ]
    calls = [call for line in recipes for call in re.split(r"\|\|?", line) if re.search(r"\bpip\b.* install\b", call)]
    assert len(calls) == 4  # the build backend and uv; the rest by uv, or by pip; the project
    for call in calls:
        hashed = "--require-hashes" in call and ("requirements.lock" in call or "/dev/stdin" in call)
        own = call.split()[-2:] == ["--editable", "."] and "--no-deps" in call
        assert hashed or own, call
        # An isolated build fetches its backend without a hash.
        assert "--no-build-isolation" in call or "--only-binary" in call, call
    assert "requirements.lock | $(PIP) --require-hashes" in MAKEFILE
