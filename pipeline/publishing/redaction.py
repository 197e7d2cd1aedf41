"""Texts without what points at people: @mentions, e-mail addresses and URLs.

In   a tweet as published
Out  the same words in the same order, without those; single spaces where something was taken out
"""

from __future__ import annotations

import html
import re

_URL = re.compile(r"(?:https?://|www\.)\S+|\bt\.co/\S+|\bpic\.twitter\.com/\S+", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_MENTION = re.compile(r"[@＠]\w+")
_RETWEET = re.compile(r"^\s*RT\s*:?\s+(?=\S)")


def redacted(text: str) -> str:
    """`text` without mentions, e-mail addresses and URLs; applying it twice changes nothing more.

    Entities are read first, or `&#64;someone` would stay. What taking something out joins is looked at again.
    """
    while True:
        following = html.unescape(text)
        for pattern in (_URL, _EMAIL, _MENTION):
            following = pattern.sub(" ", following)
        following = " ".join(following.split()) if following != text else following
        if following == text:
            return text
        text = _RETWEET.sub("", following)
