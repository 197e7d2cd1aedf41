"""Rules of text: a pattern, what replaces it, and a sign without which there is nothing to look for.

Most tweets have few signs, and asking for one takes a fiftieth of the time of a pattern that finds nothing.
"""

import re
from collections.abc import Callable, Iterable

LANGUAGE = "en"  # of numbers, currencies, units, months and emoji

Replacement = str | Callable[[re.Match[str]], str]
Rule = tuple[re.Pattern[str], Replacement, str]
DIGIT = re.compile(r"[0-9]")


def rules(*several: tuple[str, Replacement] | tuple[str, Replacement, str]) -> tuple[Rule, ...]:
    """What `applied` takes; without a third part a rule is tried on every text."""
    return tuple((re.compile(rule[0]), rule[1], rule[2] if len(rule) > 2 else "") for rule in several)


def applied(several: tuple[Rule, ...], text: str) -> str:
    """`text` after one rule after the other."""
    for pattern, replacement, needed in several:
        if needed in text:
            text = pattern.sub(replacement, text)
    return text


def alternatives(words: Iterable[str]) -> str:
    """A pattern of any of the words, the longer of two that begin alike."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
