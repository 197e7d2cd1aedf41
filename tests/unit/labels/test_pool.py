"""Rule `log_pool` and neutral classes: cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.labels.pool import PooledVotes, pool
from pipeline.labels.rules import LabelParams, drop_reasons, remap, votes

BOTH = ("anger", "excitement")
REMAP = {"anger": "anger", "excitement": "happy"}


def pooled(
    speech: list[float], image: list[float], weight: float = 0.5, speech_classes: tuple[str, ...] = BOTH,
    image_classes: tuple[str, ...] = BOTH, neutral: tuple[str, ...] = (),
) -> PooledVotes:  # fmt: skip
    said = [np.array([row], dtype=np.float32) for row in (speech, image)]
    return pool(said[0], speech_classes, said[1], image_classes, weight, neutral)


@pytest.mark.parametrize(
    ("speech", "image", "weight", "label", "confidence", "decided_by"),
    [
        # Roots of .64 * .36 and .36 * .64 are equal: the first class, and the one who is for it.
        ([0.64, 0.36], [0.36, 0.64], 0.5, "anger", 0.5, "speech"),
        # sqrt(.9 * .2) = .4243, sqrt(.1 * .8) = .2828: .4243 / .7071 = .6.
        ([0.9, 0.1], [0.2, 0.8], 0.5, "anger", 0.6, "speech"),
        # The same with the picture's weight .75: .9^.25 .2^.75 = .2913, .1^.25 .8^.75 = .4757: .4757 / .7670 = .6202.
        ([0.9, 0.1], [0.2, 0.8], 0.25, "excitement", 0.6202, "image"),
        # Agreeing teachers add up, and who is surer decides: sqrt(.6 * .8) = .6928, sqrt(.4 * .2) = .2828.
        ([0.6, 0.4], [0.8, 0.2], 0.5, "anger", 0.7101, "image"),
        # A tie of equal opinions goes to speech.
        ([0.7, 0.3], [0.7, 0.3], 0.5, "anger", 0.7, "speech"),
        # All weight on one teacher is that teacher.
        ([0.9, 0.1], [0.2, 0.8], 1.0, "anger", 0.9, "speech"),
        ([0.9, 0.1], [0.2, 0.8], 0.0, "excitement", 0.8, "image"),
        # A zero is a millionth: sqrt(1 * .5) to sqrt(1e-6 * .5) is 1000 to 1.
        ([1.0, 0.0], [0.5, 0.5], 0.5, "anger", 0.9990, "speech"),
        ([1.0, 0.0], [0.0, 1.0], 0.5, "anger", 0.5, "speech"),
    ],
)
def test_the_pool_worked_by_hand(
    speech: list[float], image: list[float], weight: float, label: str, confidence: float, decided_by: str
) -> None:
    found = pooled(speech, image, weight)
    assert found.source_label.tolist() == [label]
    assert found.confidence[0] == pytest.approx(confidence, abs=1e-4)
    assert found.speech_decides.tolist() == [decided_by == "speech"]
    assert found.speech_max[0] == np.float32(max(speech))  # what each says alone stays beside it


def test_only_classes_that_both_have_are_pooled() -> None:
    # Without disgust the picture says .25 and .75: sqrt(.5 * .25) = .3536, sqrt(.5 * .75) = .6124.
    found = pooled([0.5, 0.5], [0.1, 0.6, 0.3], image_classes=("anger", "disgust", "excitement"))
    assert found.source_label.tolist() == ["excitement"]
    assert found.confidence[0] == pytest.approx(0.6124 / 0.9660, abs=1e-4)
    assert found.image_label.tolist() == ["disgust"]


def test_a_neutral_class_of_one_teacher_meets_an_even_share_of_the_other() -> None:
    three = ("anger", "excitement", "neutral")
    # The picture says 1/3 of neutral, and .5, .5 of the rest become 1/3 each: speech alone chooses.
    assert pooled([0.2, 0.2, 0.6], [0.5, 0.5], 0.5, three, BOTH, ("neutral",)).source_label.tolist() == ["neutral"]
    # sqrt(.4 * .6) = .4899 of anger against sqrt(.5 / 3) = .4082 of neutral: a sure picture outweighs it.
    found = pooled([0.4, 0.1, 0.5], [0.9, 0.1], 0.5, three, BOTH, ("neutral",))
    assert found.source_label.tolist() == ["anger"]
    assert found.confidence[0] == pytest.approx(0.4899 / (0.4899 + 0.0816 + 0.4082), abs=1e-3)


@pytest.mark.parametrize("rule", ["max_probability", "agreement", "log_pool"])
def test_where_neutral_wins_the_row_is_left_out_for_that_reason(rule: str) -> None:
    three = ("anger", "excitement", "neutral")
    speech = np.array([[0.1, 0.1, 0.8], [0.3, 0.3, 0.4], [0.7, 0.1, 0.2]], dtype=np.float32)
    image = np.array([[0.6, 0.4], [0.5, 0.5], [0.8, 0.2]], dtype=np.float32)[:, :2]
    found = (
        pool(speech, three, image, BOTH, 0.5, ("neutral",)) if rule == "log_pool" else votes(speech, three, image, BOTH)
    )
    reasons = drop_reasons(rule, 0.0, found, ("neutral",)).tolist()  # type: ignore[arg-type]
    assert reasons[0] == "neutral"
    assert reasons[2] == ""
    assert remap(found.source_label, REMAP, ("neutral",))[[0, 2]].tolist() == ["neutral", "anger"]
    assert drop_reasons(rule, 1.0, found, ("neutral",))[0] == "neutral"  # type: ignore[arg-type]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2), st.lists(st.floats(0, 1), min_size=2, max_size=2),
       st.floats(0, 1))  # fmt: skip
def test_a_pool_is_a_probability_and_names_a_class_that_somebody_prefers(
    speech: list[float], image: list[float], weight: float
) -> None:
    found = pooled(speech, image, weight)
    assert 0.5 <= found.confidence[0] <= 1
    if found.speech_label[0] == found.image_label[0] and found.confidence[0] > 0.5:
        assert found.source_label[0] == found.speech_label[0]


def test_no_rows_give_no_rows() -> None:
    empty = np.zeros((0, 2), np.float32)
    assert pool(empty, BOTH, empty, BOTH, 0.5, ()).source_label.tolist() == []


@pytest.mark.parametrize(
    ("params", "speech", "image", "expected"),
    [
        (LabelParams("log_pool", 0.5, REMAP), BOTH, ("anger",),
         ("label.rule = log_pool: expected two classes that both teachers have, found ['anger', 'excitement'] and "
          "['anger']")),
        (LabelParams("max_probability", 0.5, REMAP, neutral=("calm",)), BOTH, BOTH,
         "label.neutral: calm is no class of a teacher: ['anger', 'excitement', 'anger', 'excitement']"),
        (LabelParams("max_probability", 0.5, REMAP), (*BOTH, "neutral"), BOTH,
         "label.remap has no entry for the teachers' class neutral; it knows ['anger', 'excitement']"),
    ],
)  # fmt: skip
def test_what_a_rule_cannot_use_is_told(
    params: LabelParams, speech: tuple[str, ...], image: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(UserError) as caught:
        params.expect_classes(speech, image)
    assert str(caught.value).removeprefix("params.yaml: ") == expected


def test_a_class_is_a_label_or_neutral() -> None:
    with pytest.raises(UserError, match=r"label\.neutral: anger has a label in label\.remap; keep one of the two"):
        LabelParams("log_pool", 0.5, REMAP, neutral=("anger",)).expect_labels(["anger", "happy"])
