from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.labels.rules import Rule, Votes, dominant_modality, drop_reasons, remap, votes

SPEECH = ("anger", "excitement", "sadness")  # a teacher that met no disgust
IMAGE = ("anger", "disgust", "excitement", "sadness")
REMAP = {"anger": "anger", "disgust": "hate", "excitement": "happy", "sadness": "sad"}

# Worked by hand: speech [anger, excitement, sadness], image [anger, disgust, excitement, sadness] ->
# who decides, its class, reason under max_probability and under agreement, both with threshold 0.5.
TABLE: list[tuple[str, list[float], list[float], str, str, str, str]] = [
    ("speech is larger", [0.7, 0.2, 0.1], [0.6, 0.2, 0.1, 0.1], "speech", "anger", "", ""),
    ("image is larger", [0.3, 0.3, 0.4], [0.1, 0.1, 0.2, 0.6], "image", "sadness", "", ""),
    ("a tie goes to speech", [0.2, 0.6, 0.2], [0.1, 0.6, 0.2, 0.1], "speech", "excitement", "", "teachers_disagree"),
    ("exactly one half stays", [0.5, 0.25, 0.25], [0.4, 0.2, 0.2, 0.2], "speech", "anger", "", ""),
    ("exactly one half of image", [0.4, 0.35, 0.25], [0.5, 0.3, 0.1, 0.1], "image", "anger", "", ""),
    ("just below", [0.49, 0.41, 0.1], [0.4, 0.2, 0.2, 0.2], "speech", "anger", "below_threshold", "below_threshold"),
    ("only image knows disgust", [0.5, 0.3, 0.2], [0.0, 0.9, 0.1, 0.0], "image", "disgust", "", "teachers_disagree"),
    ("both know nothing", [0.34, 0.33, 0.33], [0.25] * 4, "speech", "anger", "below_threshold", "below_threshold"),
    ("sure of different classes", [0.9, 0.1, 0.0], [0.0, 0.0, 0.1, 0.9], "speech", "anger", "", "teachers_disagree"),
    ("unsure of different ones", [0.4, 0.3, 0.3], [0.1, 0.1, 0.45, 0.35], "image", "excitement",
     "below_threshold", "below_threshold"),
    ("of equal classes the first", [0.1, 0.45, 0.45], [0.1, 0.2, 0.6, 0.1], "image", "excitement", "", ""),
    ("all equal to one half", [0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.5], "speech", "excitement", "", ""),
]  # fmt: skip


def asked(*rows: tuple[list[float], list[float]]) -> Votes:
    speech, image = zip(*rows, strict=True)
    return votes(np.array(speech, dtype=np.float32), SPEECH, np.array(image, dtype=np.float32), IMAGE)


@pytest.mark.parametrize(("speech", "image", "who", "label", "reason", "agreement"), [row[1:] for row in TABLE],
                         ids=[row[0] for row in TABLE])  # fmt: skip
def test_the_rule_decides_as_by_hand(
    speech: list[float], image: list[float], who: str, label: str, reason: str, agreement: str
) -> None:
    found = asked((speech, image))
    assert found.speech_decides.tolist() == [who == "speech"]
    assert found.source_label.tolist() == [label]
    assert found.confidence.tolist() == [np.float32(max(speech + image))]
    assert drop_reasons("max_probability", 0.5, found).tolist() == [reason]
    assert drop_reasons("agreement", 0.5, found).tolist() == [agreement]


def test_the_whole_table_at_once_is_the_same_as_row_by_row() -> None:
    found = asked(*[(row[1], row[2]) for row in TABLE])
    assert found.source_label.tolist() == [row[4] for row in TABLE]
    assert found.speech_decides.tolist() == [row[3] == "speech" for row in TABLE]
    assert drop_reasons("max_probability", 0.5, found).tolist() == [row[5] for row in TABLE]
    assert drop_reasons("agreement", 0.5, found).tolist() == [row[6] for row in TABLE]
    labels = remap(found.source_label, REMAP).tolist()
    assert labels[:3] == ["anger", "sad", "happy"]
    assert labels[6] == "hate"


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.6, 0.7, 0.9])
def test_a_stored_probability_reaches_the_threshold_of_the_same_decimal_number(threshold: float) -> None:
    stored = np.float32(threshold)
    rows = np.array([[stored, 0, 0], [np.nextafter(stored, np.float32(0)), 0, 0]], dtype=np.float32)
    found = votes(rows, SPEECH, np.zeros((2, 4), dtype=np.float32), IMAGE)
    assert drop_reasons("max_probability", threshold, found).tolist() == ["", "below_threshold"]


def test_threshold_zero_keeps_all_and_one_keeps_only_certainty() -> None:
    found = asked(([0.34, 0.33, 0.33], [0.25] * 4), ([1.0, 0, 0], [0.25] * 4), ([0.5, 0.5, 0], [0, 0, 0, 1.0]))
    assert drop_reasons("max_probability", 0.0, found).tolist() == ["", "", ""]
    assert drop_reasons("max_probability", 1.0, found).tolist() == ["below_threshold", "", ""]


def test_agreement_applies_the_threshold_to_the_larger_probability() -> None:
    found = asked(([0.45, 0.3, 0.25], [0.8, 0.1, 0.1, 0.0]), ([0.45, 0.3, 0.25], [0.46, 0.3, 0.2, 0.04]))
    assert found.agree.tolist() == [True, True]
    assert drop_reasons("agreement", 0.5, found).tolist() == ["", "below_threshold"]


def test_no_rows_give_no_rows() -> None:
    empty = votes(np.zeros((0, 3), np.float32), SPEECH, np.zeros((0, 4), np.float32), IMAGE)
    assert empty.source_label.tolist() == []
    assert drop_reasons("agreement", 0.5, empty).tolist() == []
    assert remap(empty.source_label, REMAP).tolist() == []


def test_remap_gives_the_papers_labels() -> None:
    found = remap(np.array(["excitement", "disgust", "anger", "sadness", "excitement"]), REMAP)
    assert found.tolist() == ["happy", "hate", "anger", "sad", "happy"]


def test_remap_refuses_a_class_it_does_not_know() -> None:
    with pytest.raises(UserError) as caught:
        remap(np.array(["anger", "fear", "awe"]), REMAP)
    assert str(caught.value) == (
        "label.remap has no entry for the teachers' class awe; it knows ['anger', 'disgust', 'excitement', 'sadness']"
    )


@st.composite
def random_votes(draw: st.DrawFn) -> Votes:
    rows = draw(st.integers(1, 12))
    eighths = st.integers(0, 8)  # coarse, so that ties are common

    def probabilities(classes: int) -> NDArray[np.float32]:
        cells = st.lists(eighths, min_size=classes, max_size=classes)
        return np.array(draw(st.lists(cells, min_size=rows, max_size=rows)), dtype=np.float32) / np.float32(8)

    return votes(probabilities(3), SPEECH, probabilities(4), IMAGE)


THRESHOLDS = st.floats(0, 1)
RULES: st.SearchStrategy[Rule] = st.sampled_from(("max_probability", "agreement", "disagreement"))


@given(random_votes(), THRESHOLDS, THRESHOLDS, RULES)
def test_a_higher_threshold_keeps_a_subset(found: Votes, one: float, other: float, rule: Rule) -> None:
    low, high = sorted((one, other))
    kept_low, kept_high = (drop_reasons(rule, threshold, found) == "" for threshold in (low, high))
    assert not (kept_high & ~kept_low).any()


@given(random_votes(), THRESHOLDS)
def test_agreement_keeps_exactly_the_agreeing_rows_of_the_papers_rule(found: Votes, threshold: float) -> None:
    by_maximum, by_agreement = (drop_reasons(rule, threshold, found) == "" for rule in ("max_probability", "agreement"))
    assert by_agreement.tolist() == (by_maximum & found.agree).tolist()


def test_disagreement_keeps_what_agreement_does_not() -> None:
    found = asked(
        ([0.1, 0.2, 0.7], [0.1, 0.0, 0.8, 0.1]),  # the paper's example: .8 of one class, .7 of another
        ([0.7, 0.2, 0.1], [0.6, 0.2, 0.1, 0.1]),  # both say anger
        ([0.4, 0.3, 0.3], [0.1, 0.1, 0.45, 0.35]),  # unsure of different classes
        ([0.49, 0.41, 0.1], [0.4, 0.2, 0.2, 0.2]),  # unsure of the same class
    )
    assert drop_reasons("disagreement", 0.5, found).tolist() == [
        "", "teachers_agree", "below_threshold", "below_threshold",
    ]  # fmt: skip
    assert drop_reasons("agreement", 0.5, found).tolist() == [
        "teachers_disagree", "", "below_threshold", "below_threshold",
    ]  # fmt: skip
    assert found.source_label.tolist() == ["excitement", "anger", "excitement", "anger"]


@given(random_votes(), THRESHOLDS)
def test_agreeing_and_disagreeing_rows_are_together_those_of_the_papers_rule(found: Votes, threshold: float) -> None:
    every, alike, apart = (
        drop_reasons(rule, threshold, found) == "" for rule in ("max_probability", "agreement", "disagreement")
    )
    assert not (alike & apart).any()
    assert (alike | apart).tolist() == every.tolist()


@given(random_votes())
def test_the_label_is_the_class_of_a_largest_probability(found: Votes) -> None:
    for row, label in enumerate(found.source_label.tolist()):
        of = {"speech": found.speech_max[row], "image": found.image_max[row]}
        who = "speech" if found.speech_decides[row] else "image"
        assert of[who] == found.confidence[row] == max(of.values())
        assert label == (found.speech_label if who == "speech" else found.image_label)[row]
        if of["speech"] == of["image"]:
            assert who == "speech"


@given(random_votes(), THRESHOLDS, RULES, st.randoms(use_true_random=False))
def test_rows_do_not_depend_on_their_neighbours(found: Votes, threshold: float, rule: Rule, random: object) -> None:
    order = list(range(len(found.speech_max)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = Votes(
        found.speech_label[order], found.speech_max[order], found.image_label[order], found.image_max[order]
    )
    assert drop_reasons(rule, threshold, shuffled).tolist() == drop_reasons(rule, threshold, found)[order].tolist()
    assert shuffled.source_label.tolist() == found.source_label[order].tolist()


@pytest.mark.parametrize(
    ("share", "dominant"),
    [(0.0, "image"), (0.29, "image"), (0.5, None), (0.7, None), (0.701, "speech"), (1.0, "speech")],
)
def test_a_modality_dominates_above_seven_tenths(share: float, dominant: str | None) -> None:
    assert dominant_modality(share) == dominant
