"""Two networks on the same rows: hand-worked cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.evaluation.pairs import compare, counterparts, paired, sentence
from pipeline.networks import params

DESIGN: dict[str, Any] = {
    "rows": "sier", "modalities": "both", "fusion": 3, "fusion_op": "multiply",
    "image_backbone": {"name": "vgg19", "pretrained": True, "weights": "hub"},
    "speech_backbone": {"name": "vgg16", "pretrained": True, "weights": "hub"}, "freeze_backbone": False,
    "n1_channels": [4], "code_size": 8, "head_size": 8,
}  # fmt: skip
WORDS = {**DESIGN, "speech_backbone": {"name": "whisper-tiny.en", "pretrained": True, "weights": None}}


def masks(both: int, first: int, second: int, neither: int) -> tuple[Any, Any]:
    counts = [both, first, second, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def test_mcnemars_test_is_that_of_a_coin() -> None:
    right, other = masks(10, 6, 1, 3)
    found = paired(right, other, np.arange(20), samples=200, seed=1)
    # Of 7 tosses, 0, 1, 6 or 7 heads: 2 * (1 + 7) / 128.
    assert found["p_value"] == pytest.approx(16 / 128)
    assert (found["rows"], found["groups"], found["only_right"], found["only_other_right"]) == (20, 20, 6, 1)
    values = [found[name]["value"] for name in ("accuracy", "other_accuracy", "difference")]
    assert values == pytest.approx([0.8, 0.55, 0.25])
    for name in ("accuracy", "other_accuracy", "difference"):
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]
    same = paired(right, right, np.arange(20), samples=200, seed=1)
    assert (same["p_value"], same["difference"]) == (1.0, {"value": 0.0, "low": 0.0, "high": 0.0})


def test_rows_of_a_group_are_drawn_together() -> None:
    right, other = masks(20, 10, 10, 0)
    alone = paired(right, other, np.arange(40), samples=2_000, seed=1)["accuracy"]
    # Groups of four rows that are all alike: as if there were ten rows.
    tied = paired(right, other, np.arange(40) // 4, samples=2_000, seed=1)["accuracy"]
    assert tied["high"] - tied["low"] > 1.5 * (alone["high"] - alone["low"])
    assert paired(right, other, np.zeros(40), samples=200, seed=1)["accuracy"] == {
        "value": 0.75,
        "low": None,
        "high": None,
    }


def test_kinds_of_rows_and_none_of_a_kind() -> None:
    right, other = masks(1, 2, 0, 1)
    found = compare(right, other, ["a", "b", "b", "c"], ["speech"] * 4, samples=200, seed=1)
    assert list(found) == ["all", "speech", "image"]
    assert found["all"] == found["speech"]
    assert found["all"]["groups"] == 3
    assert found["image"] == {"rows": 0}
    pair = {"model": "one", "against": "two", **found}
    assert sentence(pair).startswith("one on 4 rows (3 groups) that speech decided: 75.0%, two 25.0%; exact")
    many = compare(np.tile(right, 3), np.tile(other, 3), range(12), ["speech"] * 12, samples=200, seed=1)
    assert sentence({**pair, **many}).startswith("one on 12 rows (12 groups) that speech decided: 75.0% [")
    assert sentence({**pair, "speech": {"rows": 0}}) == "one: speech decided no row of test"


def test_the_counterpart_differs_in_what_hears_and_in_nothing_else() -> None:
    small = {**DESIGN, "code_size": 4}
    models = params.read_models(
        {
            "models": {
                "small": small,
                "paper": DESIGN,
                "again": DESIGN,
                "words": WORDS,
                "clean": {**WORDS, "rows": "clean"},
            }
        }
    )
    assert list(counterparts(models)) == [("words", "paper")]
    assert not list(counterparts({"words": models["words"], "small": models["small"]}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fusion": 1}, "fusion: 3 with speech_backbone whisper-tiny.en"),
        ({"image_backbone": WORDS["speech_backbone"]}, "another image_backbone than whisper-tiny.en"),
        ({"speech_backbone": {**WORDS["speech_backbone"], "pretrained": False}}, "pretrained: true and weights: null"),
        ({"speech_backbone": {**WORDS["speech_backbone"], "weights": "hub"}}, "pretrained: true and weights: null"),
    ],
)
def test_what_cannot_hear_words_is_refused_in_params(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        params.read_models({"models": {"words": {**WORDS, **changes}}})
    words = params.read_models({"models": {"words": WORDS}})["words"]
    assert words.hears_words
    assert not replace(words, modalities="image").hears_words
