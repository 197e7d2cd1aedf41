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
    end_seconds,
    fault_of,
    is_chosen,
    is_doubtful,
    lacks_end,
    summarise,
    with_end,
)

PARAMS = RecognitionParams(share=1.0, max_word_error_rate=0.6, max_character_error_rate=0.6, max_missing_end_words=2)

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
    hearing = compare(spoken, heard)
    assert (hearing.word_error_rate, hearing.missing_end_words, hearing.heard) == (rate, missing, heard)


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
        (Hearing(1.0, 1.0, 3, ""), "speech_not_heard", "word error rate 1.00: the recogniser heard no word"),
        (
            Hearing(0.5, 0.5, 3, "tea with rain"), "speech_cut_off",
            "word error rate 0.50: the last 3 words are missing, at most 2 may; heard: tea with rain",
        ),
        (Hearing(0.61, 0.61, 0, "toe"), "speech_unintelligible",
            "word error rate 0.61, that of characters 0.61, at most 0.6 and 0.6; heard: toe",
        ),
        (
            Hearing(2.0, 2.0, 0, "my " * 99), "speech_unintelligible",
            f"word error rate 2.00, that of characters 2.00, at most 0.6 and 0.6; heard: {'my ' * 40}",
        ),
    ],
)  # fmt: skip
def test_speech_that_is_not_understood_has_a_reason(hearing: Hearing, status: str, reason: str) -> None:
    fault = fault_of(hearing, PARAMS)
    assert fault is not None
    assert (fault.status, fault.reason) == (status, reason)


@pytest.mark.parametrize(
    "hearing", [None, Hearing(None, None, 0, ""), Hearing(0.0, 0.0, 0, "tea"), Hearing(3 / 5, 3 / 5, 2, "tea")]
)
def test_what_is_within_the_limits_or_was_not_measured_stays(hearing: Hearing | None) -> None:
    assert fault_of(hearing, PARAMS) is None


@pytest.mark.parametrize(
    ("hearing", "doubtful"),
    [(Hearing(0.4, 0.4, 1, "tea"), False), (Hearing(0.41, 0.41, 0, "tea"), True), (Hearing(0.1, 0.1, 2, "tea"), True),
     (Hearing(1.0, 1.0, 0, ""), True), (Hearing(None, None, 0, "tea"), False)],
)  # fmt: skip
def test_a_doubtful_hearing_is_repeated(hearing: Hearing, doubtful: bool) -> None:
    assert is_doubtful(hearing) == doubtful


def test_the_better_of_two_hearings_counts() -> None:
    wrong, right, cut = Hearing(0.5, 0.5, 0, "a"), Hearing(0.2, 0.2, 1, "b"), Hearing(0.2, 0.2, 3, "c")
    assert better(wrong, right) == better(right, wrong) == better(cut, right) == right


@pytest.mark.parametrize(
    ("spoken", "heard", "words", "letters"),
    [
        ("Goodnight", "Good night.", 0.0, 0.0),
        ("to day is the week end", "Today is the weekend!", 0.0, 0.0),
        ("6 2 3 6 6 3", "623, 663", 0.0, 0.0),
        ("im sure u dont kno ur bday", "I'm sure you don't know your birthday", 1 / 9, 1 / 30),
        ("Yall dead wrong", "You all did wrong", 1 / 4, 2 / 15),  # dead, did: a letter less, one other
        ("omg thx", "Oh my God, thanks.", 0.0, 0.0),
        ("Facts", "Fax", 1.0, 3 / 10),  # of ten letters at least
        ("arcticexplorer", "arc tick explorer", 3.0, 1 / 14),
    ],
)
def test_what_sounds_alike_is_alike(spoken: str, heard: str, words: float, letters: float) -> None:
    hearing = compare(spoken, heard)
    assert hearing.word_error_rate == pytest.approx(words)
    assert hearing.character_error_rate == pytest.approx(letters)


@given(texts)
def test_spaces_between_heard_words_cost_no_letter(words: list[str]) -> None:
    assert compare(" ".join(words), "".join(words)).character_error_rate == 0


def test_wrong_words_of_right_letters_stay_and_wrong_letters_go() -> None:
    params = RecognitionParams(share=1.0, max_word_error_rate=0.8, max_missing_end_words=3)
    assert params.max_character_error_rate == 0.5
    assert fault_of(compare("arcticexplorer", "arc tick explorer"), params) is None
    fault = fault_of(compare("tea with rain on the roof", "a quiet morning in Cardiff"), params)
    assert fault is not None
    assert fault.status == "speech_unintelligible"
    words_alone = RecognitionParams(
        share=1.0, max_word_error_rate=0.8, max_missing_end_words=3, max_character_error_rate=0.0
    )
    assert fault_of(compare("arcticexplorer", "arc tick explorer"), words_alone) is not None


def test_the_end_is_listened_to_again() -> None:
    text = "we had tea with rain on the roof and a quiet lamp in Cardiff"
    stopped = compare(text, "We had tea with rain on the roof")
    assert stopped.missing_end_words == 6
    assert lacks_end(stopped)
    assert end_seconds(stopped, text, 7.0, 3) == pytest.approx(7.0 * 9 / 14)
    assert end_seconds(stopped, text, 7.0, 0) == pytest.approx(7.0 * 6 / 14)
    assert end_seconds(stopped, text, 7.0, 20) == 7.0
    whole = with_end(text, stopped, "on the roof, and a quiet lamp in Cardiff.")
    assert (whole.word_error_rate, whole.character_error_rate, whole.missing_end_words) == (0, 0, 0)
    silent = with_end(text, stopped, "")
    assert silent == stopped == with_end(text, stopped, "thanks for watching")
    partly = with_end(text, stopped, "the roof and a quiet")
    assert partly.missing_end_words == 3


def test_another_language_has_its_own_words() -> None:
    text = "Zwanzig Prozent weniger, schön!"
    assert compare(text, "zwanzig prozent weniger schön", "de").word_error_rate == 0
    assert compare("er ging im Regen", "Er ging im Regen.", "de").word_error_rate == 0  # "im" is no "I'm"


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
        Hearing(0.0, 0.0, 0, "tea"),
        Hearing(0.1, 0.1, 0, "tea"), Hearing(0.61, 0.61, 0, "tea"), Hearing(1.7, 1.7, 0, "tea"),
        Hearing(0.5, 0.5, 3, "tea"), Hearing(None, None, 0, "tea"),
    ]  # fmt: skip
    metrics, plot = summarise(hearings, PARAMS)
    assert metrics == {
        "transcribed_texts": 6,
        "word_error_rate": {
            "mean": pytest.approx(0.582), "median": 0.5, "percentile_95": pytest.approx(1.482), "highest": 1.7,
        },
        "character_error_rate": {
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
    _, plot = summarise([Hearing(rate, rate, 0, "tea") for rate in rates], PARAMS)
    assert sum(count for *_, count in plot) == len(rates)
    assert np.isclose(BINS[1] - BINS[0], 0.05)
