"""The rule that stage label records, read back by whoever describes the labels."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.labels.rules import AppliedRule, Temperatures, read_rule

RULE = AppliedRule("agreement", 0.5, {"sadness": "sad", "anger": "anger"}, "match", temperatures=Temperatures(0.7, 2.0))
UNKNOWN = {**asdict(RULE), "temperatures": {"speech": 0.0, "image": 1.0}}


def test_the_rule_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    (tmp_path / tables.RULE_FILE).write_text(json.dumps(asdict(RULE)))
    assert read_rule(tmp_path) == RULE
    assert list(read_rule(tmp_path).remap) == ["sadness", "anger"]


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", '{"rule": "agreement"}', json.dumps(asdict(RULE))[:-20], json.dumps(UNKNOWN)]
)
def test_a_rule_that_is_missing_or_damaged_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / tables.RULE_FILE
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_rule(tmp_path)
    assert str(caught.value) == f"{path}: missing or damaged; run: dvc repro label"
