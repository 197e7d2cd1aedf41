"""What an answer of a chat model says of the classes.

In   the text of an answer and, where the endpoint gives them, the tokens with the probabilities of their alternatives
Out  the class that was named; probabilities of all classes that the tokens tell

An answer that names no class, or one and more than that, is none.
"""

import json
import math
import re
from collections.abc import Sequence
from typing import Any, Literal

Structured = Literal["json_schema", "none"]

CLASSES_PLACE, WORDS_PLACE = "{classes}", "{words}"  # in a prompt
KEY = "emotion"
_VALUE = re.compile(rf'"{KEY}"\s*:\s*"')
SHOWN_CHARACTERS = 80  # of an answer, in a reason


def response_format(classes: Sequence[str]) -> dict[str, Any]:
    """What holds an answer to the classes: a schema whose only value is one of them."""
    value = {"type": "string", "enum": list(classes)}
    schema = {"type": "object", "properties": {KEY: value}, "required": [KEY], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": KEY, "strict": True, "schema": schema}}


def class_named(text: str, classes: Sequence[str], structured: Structured) -> str | None:
    """The class that an answer names, and nothing besides it; None without one."""
    said: Any = text.strip()
    if structured == "json_schema":
        try:
            said = json.loads(said)
        except (ValueError, RecursionError):
            return None
        said = said[KEY] if isinstance(said, dict) and set(said) == {KEY} else None
    return said if isinstance(said, str) and said in classes else None


def shown(text: str) -> str:
    """The start of an answer, for a reason: one line, printable."""
    plain = "".join(character if character.isprintable() else " " for character in text[: 2 * SHOWN_CHARACTERS])
    return " ".join(plain.split())[:SHOWN_CHARACTERS]


def probabilities(
    text: str, tokens: Any, said: str, classes: Sequence[str], structured: Structured
) -> dict[str, float] | None:
    """The probability of each class by the tokens of an answer that names the class `said`; None if they do not tell.

    Where the value begins, each alternative of a token spells the start of one class or of several. What one alone can
    be gets its probability; what several can be is shared alike by them, unless the answer went on there and its next
    token tells. Alternatives that are no class count for nothing: the classes' sum is taken for the whole.
    """
    if not isinstance(tokens, list) or not all(isinstance(token, dict) for token in tokens):
        return None
    spelt = "".join(str(token.get("token", "")) for token in tokens)
    begin = _VALUE.search(spelt) if structured == "json_schema" else re.match(r"\s*", spelt)
    if begin is None or spelt.strip() != text.strip():
        return None
    found = dict.fromkeys(classes, 0.0)
    reached, place, start = 1.0, 0, ""
    for token in tokens:
        chosen = str(token.get("token", ""))
        head = chosen[: max(0, begin.end() - place)]  # what of it lies before the value
        place += len(chosen)
        if place <= begin.end():
            continue
        for other, probability in _alternatives(token).items():
            if other != chosen and other.startswith(head) and len(other) > len(head):
                named = _could_be(start + other[len(head) :], classes, structured)
                for name in named:
                    found[name] += reached * probability / len(named)
        start += chosen[len(head) :]
        reached *= _alternatives(token).get(chosen, 0.0)
        if _could_be(start, classes, structured) == [said]:
            break
    found[said] += reached
    total = sum(found.values())
    return {name: value / total for name, value in found.items()} if total > 0 else None


def _alternatives(token: dict[str, Any]) -> dict[str, float]:
    """The token itself and those that could have stood in its place, with their probabilities; odd ones left out."""
    listed = token.get("top_logprobs")
    found: dict[str, float] = {}
    for other in [*(listed if isinstance(listed, list) else []), token]:
        if isinstance(other, dict) and isinstance(other.get("token"), str):
            logprob = other.get("logprob")
            if isinstance(logprob, int | float) and not isinstance(logprob, bool) and logprob <= 0:
                found[other["token"]] = math.exp(logprob)
    return found


def _could_be(spelt: str, classes: Sequence[str], structured: Structured) -> list[str]:
    """The classes of which an answer is the start, or the whole where the value has ended."""
    if structured == "json_schema":
        value, ended, _ = spelt.partition('"')
        return [name for name in classes if (name == value if ended else name.startswith(value))]
    value = spelt.rstrip()
    return [name for name in classes if name.startswith(value)]
