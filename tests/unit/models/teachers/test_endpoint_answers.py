"""What an answer of a chat model says of the classes, by its text and by its tokens."""

from __future__ import annotations

import math
from typing import Any

import pytest

from models.teachers.endpoint.answers import class_named, probabilities

CLASSES = ("anger", "disgust", "excitement", "sad", "sadness")


def token(text: str, *others: tuple[str, float], p: float) -> dict[str, Any]:
    alternatives = [(text, p), *others]
    return {
        "token": text, "logprob": math.log(p),
        "top_logprobs": [{"token": other, "logprob": math.log(value)} for other, value in alternatives],
    }  # fmt: skip


def test_an_answer_counts_only_where_it_names_one_class_and_nothing_else() -> None:
    for text, said in (
        ('{"emotion": "anger"}', "anger"),
        (' {"emotion":"sad"}\n', "sad"),
        ('{"emotion": "Anger"}', None),
        ('{"emotion": "joy"}', None),
        ('{"emotion": ["anger"]}', None),
        ('{"emotion": "anger", "why": "it shouts"}', None),
        ('The answer: {"emotion": "anger"}', None),
        ("anger", None),
        ("[" * 100_000, None),
        ("", None),
    ):
        assert class_named(text, CLASSES, "json_schema") == said
    assert class_named(" anger\n", CLASSES, "none") == "anger"
    assert class_named("anger, I think", CLASSES, "none") is None


def test_tokens_tell_the_probabilities_of_classes() -> None:
    """By hand, with a class that starts like another one and another way to cut a class into tokens."""
    text = '{"emotion": "sad"}'
    tokens = [
        token('{"', p=1.0), token("emotion", p=0.9), token('":', p=1.0),
        # Of this token's .9 that can be classes, "ex" is excitement, "sad" may be two, "joy" is none.
        token(' "sad', (' "anger', 0.1), (' "ex', 0.05), (' "joy', 0.1), (" {", 0.05), p=0.7),
        token('"}', ("ness", 0.2), ("!", 0.05), p=0.75),
    ]  # fmt: skip
    found = probabilities(text, tokens, "sad", CLASSES, "json_schema")
    assert found is not None
    exact = {"anger": 0.1, "excitement": 0.05, "sad": 0.7 * 0.75, "sadness": 0.7 * 0.2, "disgust": 0.0}
    total = sum(exact.values())
    assert found == pytest.approx({name: value / total for name, value in exact.items()})
    shared = probabilities("anger", [token("anger", (" sad", 0.0001), ("s", 0.2), p=0.6)], "anger", CLASSES, "none")
    assert shared == pytest.approx({"anger": 0.75, "sad": 0.125, "sadness": 0.125, "disgust": 0.0, "excitement": 0.0})


@pytest.mark.parametrize(
    "tokens",
    [
        None, [], "tokens", [1], [{}], [token("joy", p=0.5)], [{"token": '{"emotion": "anger"}', "logprob": "high"}],
        [{"token": '{"emotion": "anger"}', "logprob": float("nan")}], [{"token": '{"emotion": "anger"}', "logprob": 5}],
    ],
)  # fmt: skip
def test_odd_tokens_tell_nothing(tokens: Any) -> None:
    assert probabilities('{"emotion": "anger"}', tokens, "anger", CLASSES, "json_schema") is None
