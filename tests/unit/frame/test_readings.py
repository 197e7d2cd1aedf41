"""The page of readings names parameters that exist, and values that they have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "readings.md").read_text(encoding="utf-8")
SAMPLE, PAPER = (
    yaml.safe_load((ROOT / name).read_text(encoding="utf-8")) for name in ("params.yaml", "params.paper.yaml")
)
NAMES = sorted({name for name in re.findall(r"`([a-z_0-9]+(?:\.[a-z_0-9]+)+)`", PAGE) if name.split(".")[0] in SAMPLE})
# `name`: value; paper's file value
VALUES = re.findall(r"`([a-z_0-9.]+)`: `?([\w.-]+)`?; paper's file `?([\w.-]*\w)", PAGE)


def _value(params: Any, name: str) -> Any:
    for key in name.split("."):
        params = params[key]
    return params


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_that_the_page_names_exists_in_both_files(name: str) -> None:
    for params in (SAMPLE, PAPER):
        _value(params, name)


def test_all_dotted_names_of_the_page_were_looked_up() -> None:
    dotted = set(re.findall(r"`([a-z_0-9]+(?:\.[a-z_0-9]+)+)`", PAGE))
    assert dotted - set(NAMES) == {"params.yaml", "params.paper.yaml"}
    assert len(NAMES) > 50


@pytest.mark.parametrize(("name", "sample", "paper"), VALUES, ids=[name for name, *_ in VALUES])
def test_values_on_the_page_are_those_of_the_files(name: str, sample: str, paper: str) -> None:
    for params, said in ((SAMPLE, sample), (PAPER, paper)):
        found = _value(params, name)
        expected = str(found).lower() if isinstance(found, bool | str) else float(found)
        assert (float(said) if isinstance(expected, float) else said) == expected


def test_the_values_were_found() -> None:
    assert len(VALUES) == PAGE.count("; paper's file ") > 10
