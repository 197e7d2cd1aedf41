"""What counts as understood: by hand and by property."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.intelligibility import (
    BINS,
    Hearing,
    RecognitionParams,
    better,
    compare,
    fault_of,
    is_chosen,
    is_doubtful,
    summarise,
)

PARAMS = RecognitionParams(share=1.0, max_word_error_rate=0.6, max_missing_end_words=2)

texts = st.lists(st.sampled_from("tea rain roof quiet lamp Cardiff morning".split()), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("spoken", "heard", "rate", "missing"),
    [
        ("The weather is lovely", "the weather is lovely.", 0.0, 0),
        ("20 percent off, isn't it", "Twenty percent off, is not it!", 0.0, 0),
        ("tea with rain on the roof", "tea with train on the roof", 1 / 6, 0),
        ("tea with rain on the roof", "tea with rain", 0.5, 3),
        ("tea with rain on the roof", "rain on the roof", 2 / 6, 0),
        ("tea", "tea tea tea", 2.0, 0),
        ("tea", "", 1.0, 1),
        ("hmm ...", "tea", None, 0),
    ],
)
def test_both_texts_are_normalised_and_words_counted(spoken: str, heard: str, rate: float | None, missing: int) -> None:
    assert compare(spoken, heard) == Hearing(rate, missing, heard)


@given(texts, st.integers(0, 8))
def test_words_that_are_not_heard_at_the_end_are_counted(words: list[str], kept: int) -> None:
    heard = words[:kept]
    # Of equal neighbours nobody can say which one is missing.
    hearing = compare(" ".join(words), " ".join(heard))
    missing = len(words) - len(heard)
    assert hearing.word_error_rate == pytest.approx(missing / len(words))
    assert 0 <= hearing.missing_end_words <= missing
    if len(set(words)) == len(words):
        assert hearing.missing_end_words == missing


@pytest.mark.parametrize(
    ("hearing", "status", "reason"),
    [
        (Hearing(1.0, 3, ""), "speech_not_heard", "word error rate 1.00: the recogniser heard no word"),
        (
            Hearing(0.5, 3, "tea with rain"), "speech_cut_off",
            "word error rate 0.50: the last 3 words are missing, at most 2 may; heard: tea with rain",
        ),
        (Hearing(0.61, 0, "toe"), "speech_unintelligible", "word error rate 0.61, at most 0.6; heard: toe"),
        (
            Hearing(2.0, 0, "my " * 99), "speech_unintelligible",
            f"word error rate 2.00, at most 0.6; heard: {'my ' * 40}",
        ),
    ],
)  # fmt: skip
def test_speech_that_is_not_understood_has_a_reason(hearing: Hearing, status: str, reason: str) -> None:
    fault = fault_of(hearing, PARAMS)
    assert fault is not None
    assert (fault.status, fault.reason) == (status, reason)


@pytest.mark.parametrize("hearing", [None, Hearing(None, 0, ""), Hearing(0.0, 0, "tea"), Hearing(3 / 5, 2, "tea")])
def test_what_is_within_the_limits_or_was_not_measured_stays(hearing: Hearing | None) -> None:
    assert fault_of(hearing, PARAMS) is None


@pytest.mark.parametrize(
    ("hearing", "doubtful"),
    [(Hearing(0.4, 1, "tea"), False), (Hearing(0.41, 0, "tea"), True), (Hearing(0.1, 2, "tea"), True),
     (Hearing(1.0, 0, ""), True), (Hearing(None, 0, "tea"), False)],
)  # fmt: skip
def test_a_doubtful_hearing_is_repeated(hearing: Hearing, doubtful: bool) -> None:
    assert is_doubtful(hearing) == doubtful


def test_the_better_of_two_hearings_counts() -> None:
    wrong, right, cut = Hearing(0.5, 0, "a"), Hearing(0.2, 1, "b"), Hearing(0.2, 3, "c")
    assert better(wrong, right) == better(right, wrong) == better(cut, right) == right


def test_a_share_of_texts_is_chosen_and_a_larger_share_has_all_of_a_smaller() -> None:
    keys = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(2_000)]
    few, many = ({key for key in keys if is_chosen(key, share)} for share in (0.02, 0.3))
    assert few < many
    assert 20 <= len(few) <= 60
    assert 540 <= len(many) <= 660
    assert max(few) < min(set(keys) - few)
    assert not any(is_chosen(key, 0.0) for key in ["0" * 64, *keys])
    assert all(is_chosen(key, 1.0) for key in keys)


def test_the_summary_counts_each_hearing_once() -> None:
    hearings = [
        Hearing(0.0, 0, "tea"), Hearing(0.1, 0, "tea"), Hearing(0.61, 0, "tea"), Hearing(1.7, 0, "tea"),
        Hearing(0.5, 3, "tea"), Hearing(None, 0, "tea"),
    ]  # fmt: skip
    metrics, plot = summarise(hearings, PARAMS)
    assert metrics == {
        "transcribed_texts": 6,
        "word_error_rate": {
            "mean": pytest.approx(0.582), "median": 0.5, "percentile_95": pytest.approx(1.482), "highest": 1.7,
        },
        "share_above_limit": 0.4,
        "rejected_texts": {"speech_cut_off": 1, "speech_unintelligible": 2},
    }  # fmt: skip
    counted = {(name, edge): count for name, edge, count in plot if count}
    assert counted == {
        ("kept", 0.0): 1, ("kept", 0.1): 1, ("rejected", 0.6): 1, ("rejected", 1.0): 1, ("rejected", 0.5): 1,
    }  # fmt: skip
    assert len(plot) == 2 * 21


def test_nothing_transcribed_gives_a_summary_without_rates() -> None:
    metrics, plot = summarise([], PARAMS)
    assert metrics == {"transcribed_texts": 0, "rejected_texts": {}}
    assert {count for *_, count in plot} == {0}


@given(st.lists(st.floats(0, 5), max_size=30))
def test_every_rate_is_in_a_bin(rates: list[float]) -> None:
    _, plot = summarise([Hearing(rate, 0, "tea") for rate in rates], PARAMS)
    assert sum(count for *_, count in plot) == len(rates)
    assert np.isclose(BINS[1] - BINS[0], 0.05)
