"""Ranges, scores, fractions, ratings and Roman numerals: "6-2" -> "6 to 2", "1/2" -> "half", "Rocky III" -> "Rocky 3".

Plain numbers stay digits, which every voice's own front end reads.
"""

import re

from num2words import num2words

from pipeline.tweets.spoken_forms.dates import MONTHS_OF_A_YEAR, date_of
from pipeline.tweets.spoken_forms.rules import DIGIT, LANGUAGE, alternatives, applied, rules

_SAID_WITHOUT_TO = {"9-11", "7-11", "24-7", "50-50", "20-20", "4-4-2", "9/11", "24/7", "50/50", "20/20", "7/11"}
_PARTS = {2: "half", 4: "quarter"}
_ON = re.compile(
    r"(?i)\b(?:on|by|until|til|till|from|since|for|before|after|starts?|starting|ends?|date|dated|this|thru|through"
    r"|(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?),?\s$"
)
_PART = re.compile(r"(?i)\($|\b(?:part|step|page|day|week|episode|ep|chapter|thread|round)\s$")
_RATED = {5, 10, 20, 100}
_OF_MANY = 10  # what has more parts is a date or a share


_TO_BEFORE, _TO_AFTER = re.compile(r"[0-9] to $"), re.compile(r" to [0-9]")  # tennis: 15-30 to 15-40


def _span(match: re.Match[str]) -> str:
    numbers = match[0].split("-")
    text = match.string
    beside_to = _TO_BEFORE.search(text[: match.start()]) or _TO_AFTER.match(text, match.end())
    listed = match[0] in _SAID_WITHOUT_TO or len(numbers) != 2 or beside_to
    return (" " if listed else " to ").join(numbers)


def _fraction(match: re.Match[str]) -> str:
    written, upper, lower = match[0], match["upper"], match["lower"]
    if match["whole"]:
        return f"{match['whole'].strip(' -')} and {_share(int(upper), int(lower), 'a')}"
    if written in _SAID_WITHOUT_TO:
        return f"{upper} {lower}"
    before, end = match.string[: match.start()], match.string[match.end() :]
    share, of = float(upper), int(lower)
    if _PART.search(before) or (not end.strip() and share <= of < _OF_MANY and len(before.split()) > 4):
        return f"{upper} of {lower}"  # the parts of a thread
    month = "." not in upper and date_of(int(upper), of)
    only_a_date = share <= MONTHS_OF_A_YEAR < of and of not in _RATED
    if month and (only_a_date or _ON.search(before[-20:])):
        return month
    if of in _RATED and share <= of:
        return f"{upper} out of {lower}"
    if share < of <= _OF_MANY and "." not in upper:
        alone = "" if end.startswith(" ") or not end else "one"
        return _share(int(upper), of, "a" if before.endswith("and ") else alone)
    return f"{upper} out of {lower}" if share <= of else f"{upper} {lower}"


def _share(upper: int, lower: int, one: str) -> str:
    if lower < 2:
        return f"{upper} over {lower}"
    part = _PARTS.get(lower) or str(num2words(lower, to="ordinal", lang=LANGUAGE))
    if upper == 1:
        return part if lower == 2 and not one else f"{one or 'one'} {part}"
    return f"{upper} {'halves' if part == 'half' else part + 's'}"


_COUNTS = rules(
    (r"(?<=[0-9]),(?=[0-9]{1,2}(?![0-9]))", ", "),  # 6-1,6-1 but 10,000
    (r"(?<![\w.$-])(?<![0-9],)[0-9]{1,4}(?:-[0-9]{1,4})+(?![\w-]|[.,][0-9]{3}|\.[0-9])", _span),
    (r"(?<=\b[0-9]{4})\s-\s(?=[0-9]{4}\b)", " to "),
    (r"(?<=[0-9])-(?=[0-9]{1,2}\s?(?i:[ap]m)\b)", " to "),
    (r"(?<=:[0-9])-(?=[0-9])|(?<=:[0-9]{2})-(?=[0-9])", " to "),
    (r"(?<![\w/.,-])[0-9]{1,3}(?:/[0-9]{1,3}){2,}(?![\w/-])", lambda match: match[0].replace("/", " ")),
    (r"(?<![\w/.,-])(?P<whole>[0-9]{1,3}[\s-])?(?P<upper>[0-9]{1,3}(?:\.[0-9])?)/(?P<lower>[0-9]{1,3})(?![\w/-])",
     _fraction),
    (r"(?<=[0-9])-(?=[0-9])", " "),
    (r"(?<=[0-9])\s?<\s?(?=[0-9])", " less than "),
    (r"(?<=[0-9])\s?>\s?(?=[0-9])", " more than "),
    (r"(?:(?<=\s)|^)>\s?(?=[0-9])", "over "),
    (r"(?:(?<=\s)|^)<\s?(?!3)(?=[0-9])", "under "),
    (r"(?:(?<=\s)|^)~(?=[0-9])", "about "),
    (r"(?:(?<=[\s(])|^)(?<![0-9] )(?<![0-9]  )-(?=[0-9]|\.[0-9])", "minus "),
    (r"(?:(?<=[\s(])|^)\+(?=[0-9])", "plus "),
    (r"(?<=[0-9])\s?\+\s?(?=[0-9])", " plus "),
    (r"(?<=[0-9])\s?\*\s?(?=[0-9])", " times "),
    (r"(?<![\w.])([0-9]{3,4})\s?x\s?(?=[0-9]{3,4}\b)", r"\1 by "),
    (r"(?<!\S)([0-9])\*(?!\S)", r"\1 star"),
)  # fmt: skip


def counts(text: str) -> str:
    """`text` with ranges, scores, fractions, ratings and signs before numbers as they are said."""
    return applied(_COUNTS, text) if DIGIT.search(text) else text


# -- Roman numerals ---------------------------------------------------------------------------------------------------

_TENS, _ONES = ("", "X", "XX", "XXX", "XL", "L"), ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
_ROMAN = {f"{tens}{ones}": 10 * n + m for n, tens in enumerate(_TENS) for m, ones in enumerate(_ONES)}
_NO_NUMERAL = {"", "I", "V", "X", "L", "XX", "XXX", "XL", "LI", "LV", "LX"}  # letters, kisses, sizes and names
_NUMERAL = alternatives(set(_ROMAN) - _NO_NUMERAL)
_RULERS = (
    "Pope|King|Queen|Henry|Louis|Edward|George|William|Charles|James|Richard|Elizabeth|Napoleon|Pius|Benedict|Leo|Paul"
    "|Ramses|Frederick|Philip|Alexander|Nicholas|Peter|Catherine|Ivan|Harald|Juan Carlos|Felipe|Mary|Innocent"
)
_NO_NAME = r"(?!(?:The|An|My|A|This|In|On|At|And|Or|To|For|From|With|Your|Our|His|Her|Its|By|Of)\b)"
_NUMBERED = r"part|act|chapter|episode|season|round|type|phase|stage|level|volume|vol\.|class|grade|war"
_ROMANS = rules(
    (r"\bWW(I{1,2})\b", lambda match: f"World War {len(match[1])}"),
    (rf"\b({_RULERS}) ({_NUMERAL})\b(?!['-]?\w)",
     lambda match: f"{match[1]} the {num2words(_ROMAN[match[2]], to='ordinal_num')}"),
    (rf"(\b{_NO_NAME}(?:[A-Z][\w']*|{_NUMBERED})[ ]|\s-\s)({_NUMERAL})\b(?!['-]?\w)",
     lambda match: f"{match[1]}{_ROMAN[match[2]]}"),
)  # fmt: skip
_TWO_NUMERALS = re.compile(r"\b(?:WW)?[IVXL]{2}")


def numerals(text: str) -> str:
    """`text` with Roman numerals after a name or a word such as "part" in digits: "Rocky III" -> "Rocky 3"."""
    return applied(_ROMANS, text) if _TWO_NUMERALS.search(text) else text
