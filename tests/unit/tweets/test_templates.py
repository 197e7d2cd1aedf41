"""Which texts are of one template: by hand, and against a plain comparison of all pairs."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tweets.groups import connected_groups
from pipeline.tweets.templates import LEAST_WORDS, template_pairs

QUIZ = "why are you feeling {} take the quiz"


@pytest.mark.parametrize(
    ("texts", "pairs"),
    [
        (
            [QUIZ.format("sad"), QUIZ.format("happy"), QUIZ.format("sad")],
            [[0, 1]],
        ),  # equal ones are tied elsewhere
        ([QUIZ.format("sad"), QUIZ.format("really quite lost"), "no", QUIZ.format("sad")], [[0, 1]]),
        ([QUIZ.format("sad"), "why are they feeling sad take the test"], [[0, 1]]),  # rare words
        ([QUIZ.format("sad"), "why are you so sad do take the test", "you so do test you so do test"], []),
        (["see you at the old town hall", "see you at the new town hall"], [[0, 1]]),
        (["see you at the old hall", "see you at the new hall"], []),  # five words
        (["a b c d e f g x", "a b c d e f x g"], []),  # the same words in another order
        (["", "", "one"], []),
    ],
)
def test_templates_by_hand(texts: list[str], pairs: list[list[int]]) -> None:
    assert template_pairs(texts).tolist() == pairs


def test_words_that_are_common_fill_the_place_too() -> None:
    texts = [QUIZ.format(word) for word in ("sad", "happy", "lost")] + ["sad", "happy", "lost", "happy sad lost"]
    assert connected_groups(len(texts), template_pairs(texts)).tolist() == [0, 0, 0, 3, 4, 5, 6]


WORDS = st.lists(st.sampled_from("abcd"), min_size=LEAST_WORDS, max_size=LEAST_WORDS + 2).map(" ".join)


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=12, unique=True))
def test_groups_are_those_of_a_comparison_of_all_pairs(texts: list[str]) -> None:
    common = [f"{letter} {other}" for letter, other in combinations("abcd", 2)]  # so that no word is rare
    texts = [*texts, *common]
    pairs = [
        [one, other]
        for one, other in combinations(range(len(texts)), 2)
        if len(first := texts[one].split()) == len(second := texts[other].split()) > LEAST_WORDS
        and sum(mine != its for mine, its in zip(first, second, strict=True)) == 1
    ]
    import numpy as np

    expected = connected_groups(len(texts), np.array(pairs, dtype=np.int64).reshape(-1, 2))
    assert connected_groups(len(texts), template_pairs(texts)).tolist() == expected.tolist()
