"""Dates and times as they are said: "10/31/2015" -> "October 31st, 2015", "7:00-9:30pm" -> "7 to 9:30pm".

Names of months and days are those of Unicode's CLDR, by Babel. "7:30 pm" stays, which every voice reads.
"""

import re

from babel import Locale
from num2words import num2words

from pipeline.tweets.spoken_forms.rules import DIGIT, LANGUAGE, alternatives, applied, rules

_MONTHS = dict(Locale(LANGUAGE).months["format"]["wide"])
_SHORT_MONTHS = {name: _MONTHS[number] for number, name in Locale(LANGUAGE).months["format"]["abbreviated"].items()}
_SHORT_MONTHS |= {"Sept": _MONTHS[9]}
_SHORT_DAYS = dict(
    zip(Locale(LANGUAGE).days["format"]["abbreviated"].values(), Locale(LANGUAGE).days["format"]["wide"].values(),
        strict=True)
) | {"Tues": "Tuesday", "Thur": "Thursday", "Thurs": "Thursday"}  # fmt: skip
DAYS_OF_A_MONTH, MONTHS_OF_A_YEAR = 31, 12


def date_of(month: int, day: int, year: str = "") -> str | None:
    """A date as it is said, its year of two or four digits if given; the day may come first. None if there is none."""
    if month > MONTHS_OF_A_YEAR:
        month, day = day, month
    if not (1 <= month <= MONTHS_OF_A_YEAR and 1 <= day <= DAYS_OF_A_MONTH):
        return None
    if len(year) == 2:
        year = f"{'19' if year >= '50' else '20'}{year}"
    return f"{_MONTHS[month]} {num2words(day, to='ordinal_num')}{', ' * bool(year)}{year}"


def _written_date(match: re.Match[str]) -> str:
    return date_of(int(match[1]), int(match[3]), match[4]) or match[0]


def _dotted_date(match: re.Match[str]) -> str:
    return date_of(int(match[2]), int(match[1]), match[3]) or match[0]


def _full_hour(match: re.Match[str]) -> str:
    if match[2]:
        return f"{match[1]} {match[2]}"
    hour = int(match[1])
    if hour > MONTHS_OF_A_YEAR or match.string.startswith((" to ", " o'clock"), match.end()):
        return f"{hour} hundred" if hour > MONTHS_OF_A_YEAR else f"{hour}"
    return f"{hour} o'clock" if hour else "midnight"


_SHORT_MONTH = rf"(?i:{alternatives(_SHORT_MONTHS)})"
_SHORT_DAY = alternatives(_SHORT_DAYS)
_DATES = rules(
    (r"\b(19[0-9]{2}|20[0-9]{2})([-/.])([01]?[0-9])\2([0-3]?[0-9])(?![\w/-])",
     lambda match: date_of(int(match[3]), int(match[4]), match[1]) or match[0]),
    (r"(?<![\w/.-])([0-3]?[0-9])([/-])([0-3]?[0-9])\2((?:19|20)[0-9]{2}|[0-9]{2})(?![\w/-])", _written_date),
    (r"(?<![\w/.-])([0-3]?[0-9])\.([01]?[0-9])\.((?:19|20)[0-9]{2})(?![\w/-])", _dotted_date),
    (rf"\b({_SHORT_MONTH})\b\.?(?=\s[0-3]?[0-9](?:st|nd|rd|th)?\b(?![:%]))",
     lambda match: _SHORT_MONTHS[match[1].capitalize()]),
    (rf"(?<=[0-9])((?:st|nd|rd|th)?\s)({_SHORT_MONTH})\b(?!\w)\.?",
     lambda match: match[1] + _SHORT_MONTHS[match[2].capitalize()]),
    (rf"\b({_SHORT_MONTH})\s?-\s?({_SHORT_MONTH})\b",
     lambda match: f"{_SHORT_MONTHS[match[1].capitalize()]} to {_SHORT_MONTHS[match[2].capitalize()]}"),
    (rf"\b({_SHORT_DAY})\s?-\s?({_SHORT_DAY})\b",
     lambda match: f"{_SHORT_DAYS[match[1]]} to {_SHORT_DAYS[match[2]]}"),
    (r"(?i)\b(1[0-2]|0?[1-9])[.h]([0-5][0-9])(?=(?:\s?-\s?[0-9:.]+)?\s?[ap]\.?m\b)", r"\1:\2"),
    (r"(?i)(?:(?<=[0-9][ap]m)|(?<=[0-9][ap]\.m\.)|(?<=[0-9] [ap]m)|(?<=:[0-9]{2}))\s?-\s?(?=[0-9])", " to "),
    (r"(?i)\b0?([0-9]|1[0-9]|2[0-4]):00(?:\s?([ap]\.?m)\b|(?![:0-9]))(?:\s?o'clock)?", _full_hour),
)  # fmt: skip


def dates(text: str) -> str:
    """`text` with dates and times as they are said."""
    return applied(_DATES, text) if DIGIT.search(text) or "-" in text else text
