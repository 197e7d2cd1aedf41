"""All files of a dataset's repository together, with genuine cards and Croissant: one version, one day, one gate."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import DatasetCard

from pipeline.publishing import columns, lineage, packages
from pipeline.publishing.facts import Facts
from pipeline.publishing.history.versions import Previous, read_previous, read_version
from pipeline.publishing.packages import Files
from tests.unit.publishing.test_publish_cards import INPUTS, built, exported, facts

__all__ = ["built", "facts"]  # fixtures
DAY, LATER = date(2026, 3, 4), date(2026, 3, 5)
TOLD = {"README.md", "DATASHEET.md", "LICENSE", "citation.bib", "croissant.json", "pictures/distributions.png"}

Make = Callable[..., Files]


@pytest.fixture
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, facts: Facts) -> Make:
    mode: columns.Mode = getattr(request, "param", "no_media")
    monkeypatch.setattr(packages, "export", lambda *_, **__: exported(tmp_path, mode))
    monkeypatch.setattr(lineage, "sources", lambda *_: {"voice": "a" * 64})
    place = (tmp_path / "data", tmp_path, mode, "me/sier", INPUTS)
    return partial(packages.dataset_files, facts, *place, keep_personal=False)


def contents(files: Files) -> dict[str, bytes]:
    """As they are now: the next publication writes into the same folder."""
    return {name: given if isinstance(given, bytes) else given.read_bytes() for name, given in files.items()}


def following(files: dict[str, bytes]) -> Previous:
    return read_previous(files["version.json"], files["labels.parquet"])


@pytest.mark.parametrize("make", columns.MODES, indirect=True)
def test_every_file_tells_of_the_same_version_and_gate(make: Make) -> None:
    files = contents(make("manual", published=DAY, builder="c" * 40))
    assert {name for name in files if not name.endswith(".parquet")} == TOLD | {"version.json", "CHANGELOG.md"}
    version = read_version(files)
    assert version is not None
    assert (version.number, version.day, version.builder) == ("1.0.0", DAY, "c" * 40)
    card, sheet = files["README.md"].decode(), files["DATASHEET.md"].decode()
    header: Any = DatasetCard(card).data
    assert (header["version"], header["license_link"]) == ("1.0.0", "LICENSE")
    assert header["extra_gated_prompt"]
    assert f"labels sha256 `{version.labels_sha256}`, built by commit `{'c' * 40}`" in card
    assert "**Which version is this?** 1.0.0, of 2026-03-04; [CHANGELOG.md](CHANGELOG.md)" in sheet
    assert "whose request the publisher grants" in sheet
    metadata = json.loads(files["croissant.json"])
    assert (metadata["version"], metadata["datePublished"]) == ("1.0.0", "2026-03-04")
    assert "left out on request" not in card + sheet


def test_on_another_day_the_same_build_is_the_same_to_the_byte(make: Make) -> None:
    before = contents(make("none", published=DAY, builder="c" * 40))
    assert contents(make("none", published=LATER, builder="d" * 40, previous=following(before))) == before
    after = contents(make("auto", published=LATER, builder="d" * 40, previous=following(before)))
    metadata = json.loads(after["croissant.json"])
    assert (metadata["version"], metadata["datePublished"]) == ("1.0.1", "2026-03-05")


def test_rows_that_are_left_out_are_told_by_card_and_datasheet(make: Make) -> None:
    before = contents(make("none", published=DAY))
    after = contents(make("none", published=DAY, previous=following(before), dropped=["c"]))
    assert "1 of these rows are left out on request" in after["README.md"].decode()
    sheet = after["DATASHEET.md"].decode()
    assert "They make 2 groups of like rows.\nOf these rows 1 are left out on request; the groups are those" in sheet
    assert json.loads(after["croissant.json"])["version"] == "1.1.0"
