"""The sample's authored words, and the phrases that tweets and dialogues share.

The speech teacher learns from acted dialogues and then hears tweets in one neutral voice, so the words are all that can
carry over. `SHARED_WORDING` sets how many emotional texts on either side contain one of `phrases.json`.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

# Share of emotional tweets, and of emotional utterances, that contain a shared phrase. Raises the speech teacher's
# confidence on tweets, and so the share of labels that speech decides.
SHARED_WORDING_TWEETS = 0.5
SHARED_WORDING_DIALOGUES = 0.5

# Feelings of tweets and codes of utterances -> the phrases of their kind; the others have none.
PHRASE_KIND = {
    "joy": "excitement", "excitement": "excitement", "exc": "excitement", "hap": "excitement",
    "anger": "anger", "annoyance": "anger", "ang": "anger",
    "sadness": "sadness", "grief": "sadness", "sad": "sadness",
    "disgust": "disgust",
}  # fmt: skip


@cache
def authored(name: str) -> dict[str, Any]:
    """Content of one of the package's JSON files: `tweets`, `dialogues` or `phrases`."""
    loaded: dict[str, Any] = json.loads(files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def with_phrase(text: str, kind: str, share: float, rng: np.random.Generator) -> str:
    """`text`, in `share` of cases with a shared phrase of its kind before or after it.

    Draws as many random values without a phrase as with one, so that a changed share changes no other text.
    """
    draw, place, choice = rng.random(3)
    if kind not in PHRASE_KIND or draw >= share:
        return text
    phrases: list[str] = authored("phrases")[PHRASE_KIND[kind]]
    phrase = phrases[int(choice * len(phrases))]
    if place < 0.5:
        return f"{phrase} {text}"
    return f"{text}{'' if text[-1] in '.!?' else '.'} {phrase}"
