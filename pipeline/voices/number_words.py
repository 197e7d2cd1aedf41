"""Numbers to words, for voices whose alphabet has no digits and whose tokenizer leaves out what it lacks.

Piper and Hibari read digits by themselves. English only, like the texts.
"""

import re
from decimal import Decimal

from num2words import num2words

LONGEST_NUMBER = 15  # digits; what is longer is read digit by digit

_NUMBER = re.compile(r"(?P<digits>[0-9]+(?:,[0-9]{3})*(?P<part>\.[0-9]+)?)(?P<ending>(?:st|nd|rd|th|s)\b)?")
_YEAR = re.compile(r"1[1-9][0-9]{2}|20[1-9][0-9]")


def in_words(text: str) -> str:
    """`text` with its numbers in words, a space beside letters: "1984, 3rd" -> "nineteen eighty-four, third"."""
    return _NUMBER.sub(_words, text) if any(map(str.isdigit, text)) else text


def _words(match: re.Match[str]) -> str:
    digits, ending = match["digits"].replace(",", ""), match["ending"]
    one_by_one = len(digits) > LONGEST_NUMBER or (digits[0] == "0" and len(digits) > 1 and not match["part"])
    if one_by_one:
        words = " ".join(str(num2words(int(digit))) for digit in digits if digit != ".")
    elif ending and ending != "s" and not match["part"]:
        return str(num2words(int(digits), to="ordinal"))
    else:
        words = str(num2words(int(digits), to="year") if _YEAR.fullmatch(digits) else num2words(Decimal(digits)))
    if ending == "s":  # the nineties
        words = f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"
    following = match.string[match.end() : match.end() + 1]
    before = match.string[max(0, match.start() - 1) : match.start()]
    return f"{' ' * before.isalpha()}{words}{' ' * following.isalpha()}"
