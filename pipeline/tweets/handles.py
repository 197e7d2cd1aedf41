"""Handles in their sentence: left out where they only address somebody, said where they are part of it.

In   text with handles, retweet marks already gone
Out  "dinner with @a & @b" -> "dinner with someone", or "dinner" if they are dropped; "thanks @a, hi" -> "thanks, hi"
"""

import re
from typing import Literal

from pipeline.tweets.personal import MENTION

Handles = Literal["someone", "drop"]

_LIST = rf"{MENTION}(?:[\s,]*(?:and|&|\+|or|/|x)?\s*{MENTION})*"
_PREPOSITION = (
    r"with|by|to|from|of|for|at|in|on|and|or|than|like|about|as|between|against|vs?|versus|near|behind|feat|ft|featuring"
    r"|starring|presents|w"
)
_VERB = (
    r"is|are|was|were|meet|met|meeting|see|saw|seen|seeing|watch|watched|watching|join|joined|joining|follow|following"
    r"|love|miss|thank|beat|beats|defeat|defeated|interviewed|ask|asked|tell|told|heard|called|named|visit|visited|claim"
    r"|welcome|congratulate|s/o|shout ?out|photo|pic|credit|photographer"
)
_BEFORE = re.compile(rf"(?i)(?:\b(?P<word>{_PREPOSITION}|{_VERB})\b[.:/]?|&|\+)\s*$")
_COLON = re.compile(r"\w:\s*$")
_DETERMINER = re.compile(r"(?i)\b(?:the|an?|my|your|our|his|her|their|this|that|these|those)\s*$")
_AFTER = re.compile(
    r"(?i)\s*(?:(?:is|was|are|were|has|had|have|will|would|can|could|does|did|isn't|wasn't|hasn't|won't)\b"
    r"(?!\s(?:this|that|it|he|she|you|there|they|we|i|your|these|those|anyone|anybody|someone)\b)"
    r"|says?\b|said\b|heads\b|(?:and|&) I\b|vs?\b)"
)
_NO_NOUN = re.compile(r"\s*(?:$|[^\w\s#@'\"(]|(?:and|or|to|for|at|in|on|with|by|from|of|who|that)\b)")
_DROPPED = re.compile(
    rf"(?i)(?:(?:\b(?:{_PREPOSITION})\b[.:/]?|&|\+)\s+)?(?P<the>(?:the|an?|my|our|your|this)\s+)?{_LIST}(?P<whose>'s\b)?:?"
)
_SAID = re.compile(rf"(?P<list>{_LIST})(?P<whose>'s\b)?(?P<colon>:)?")


def spoken_handles(text: str, handles: Handles | None) -> str:
    """`text` without handles; None leaves them out and nothing else, as texts are compared."""
    if "@" not in text:
        return text
    if handles == "drop":
        return _DROPPED.sub(_without_phrase, text)
    return _SAID.sub(lambda match: _someone(match) if handles else " ", text)


def _someone(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    before = text[max(0, start - 30) : start]
    if match["whose"]:
        return "" if _DETERMINER.search(before) else " someone's"
    said = not match["colon"] and _AFTER.match(text, end)
    if not said and _DETERMINER.search(before):
        return " one " if _NO_NOUN.match(text, end) else " "
    hole = _BEFORE.search(before) or (_COLON.search(before) and _NO_NOUN.match(text, end))
    return " someone " if said or hole else " "


def _without_phrase(match: re.Match[str]) -> str:
    # "on the @user tour" and "features in @user's Week" need what stands before the handle.
    phrase = match[0]
    if match["whose"] or (match["the"] and not _NO_NOUN.match(match.string, match.end())):
        return _SAID.sub(" ", phrase)
    return " "
