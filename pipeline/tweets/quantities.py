"""Numbers with a meaning to words: money, units, dates, times, ranges, scores, fractions, powers, numerals.

In   text without links, handles and hashtags; `powers` before NFKC, which would make 10⁶ 106
Out  the same text with words for signs: "25€" -> "25 euros", "6-2" -> "6 to 2", "1/2" -> "half"

Plain numbers stay digits, which every voice's own front end reads, "7:30 pm" and "4th" too. Names of currencies, units,
months and days, and their plurals, are those of Unicode's CLDR, by Babel.
"""

import functools
import re
from collections.abc import Callable

from babel import Locale
from babel.numbers import get_currency_name
from babel.units import format_unit
from num2words import num2words

LANGUAGE = "en"

Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]


def rules(*pairs: tuple[str, str | Callable[[re.Match[str]], str]]) -> tuple[Rule, ...]:
    """Pairs of a pattern and what replaces it, ready for `applied`."""
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


def applied(several: tuple[Rule, ...], text: str) -> str:
    """`text` after one rule after the other."""
    for pattern, replacement in several:
        text = pattern.sub(replacement, text)
    return text


def _alternatives(words: object) -> str:
    return "|".join(re.escape(str(word)) for word in sorted(words, key=len, reverse=True))  # type: ignore[call-overload]


# -- powers and signs of mathematics ----------------------------------------------------------------------------------

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def _power(match: re.Match[str]) -> str:
    power = match[0].translate(_RAISED)
    return {"2": " squared", "3": " cubed"}.get(power) or f" to the {num2words(int(power), to='ordinal_num')}"


_POWERS = rules(
    (r"(?<=[^\W_])[⁰¹²³⁴-⁹]{1,2}(?![⁰¹²³⁴-⁹])", _power),
    (r"(?<=[0-9])\s?(?=[¼½¾⅐-⅞])", " and "),
    (r"(?<=[0-9])\s?[×✕✖]\s?(?=[0-9])", " times "),
    (r"\s?≠\s?", " is not "),
    (r"\s?≈\s?", " is about "),
    (r"\s?[≥≧]\s?(?=[0-9])", " at least "),
    (r"\s?[≤≦]\s?(?=[0-9])", " at most "),
    (r"\s?±\s?", " plus or minus "),
    (r"\s?÷\s?", " divided by "),
    (r"(?<=[0-9])\s?[–—−](?=[0-9])", "-"),
)


def powers(text: str) -> str:
    """`text` with words for powers and for signs of mathematics that no keyboard has."""
    return text if text.isascii() else applied(_POWERS, text)


# -- money ------------------------------------------------------------------------------------------------------------

# CLDR's signs; those it lacks in English. Codes only beside a number.
_SIGNS = {sign: code for code, sign in Locale(LANGUAGE).currency_symbols.items() if not sign.isalnum()} | {
    "US$": "USD", "C$": "CAD", "AU$": "AUD", "S$": "SGD", "₽": "RUB", "₺": "TRY", "₦": "NGN", "₴": "UAH", "฿": "THB",
    "Rs.": "INR", "Rs": "INR", "RS": "INR",
}  # fmt: skip
_SIGNS |= {code: code for code in ("USD", "EUR", "GBP", "CAD", "AUD", "INR", "JPY", "CHF", "NZD", "BRL", "RUB", "ZAR")}
_MINOR = {"USD": "cent", "EUR": "cent", "CAD": "cent", "AUD": "cent", "NZD": "cent", "SGD": "cent", "GBP": "penny"}
_MAGNITUDES = {"k": "thousand", "m": "million", "mm": "million", "mil": "million", "bn": "billion", "b": "billion"}
_MAGNITUDES |= {"tn": "trillion"}
_NUMBER = r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?"
_MAGNITUDE = r"(?:\s?(?P<magnitude>(?i:k|mm?|mil|bn?|tn|hundred|thousand|million|billion|trillion))\b)?"
_AMOUNT = rf"(?P<low>{_NUMBER})(?:\s?(?:-|to)\s?(?P<again>SIGN)?(?P<high>{_NUMBER}))?{_MAGNITUDE}"
_A_NOUN_FOLLOWS = re.compile(
    r"[- ](?!(?:for|to|in|on|at|of|and|or|but|is|was|are|were|will|i|i'm|you|he|she|we|they|that|which|from|per|each|off"
    r"|more|less|by|with|if|when|so|a|an|the|it|now|then|today|tonight|because|as|just|not|this|my|your|ago|extra|plus"
    r"|only|total|worth|well|back|out|up|down|over|down|please|here|there|every|than|until|before|after|all)\b)[a-z]{3}"
)
_PRICED = re.compile(
    r"[- ](?:bills?|notes?|tickets?|drinks?|beers?|shots?|wines?|cover|entry|bets?|prizes?|gifts?|vouchers?|coupons?"
    r"|giveaways?|deals?|fines?|shirts?|tees?|shoes|fees?|question|store|menu)\b"
)
_ONE_OF = re.compile(r"(?i)\b(?:an?|this|that|my|your|his|her|our|their|one|another|every)\s$")


@functools.cache
def _currency(code: str, one: bool) -> str:
    return get_currency_name(code, 1 if one else 2, LANGUAGE).split()[-1].lower()


def _money(match: re.Match[str]) -> str:
    code = _SIGNS[match["sign"]]
    low, high = match["low"], match["high"]
    magnitude = (match["magnitude"] or "").lower()
    one_thing = _PRICED.match(match.string, match.end()) or (
        _ONE_OF.search(match.string[max(0, match.start() - 8) : match.start()])
        and _A_NOUN_FOLLOWS.match(match.string, match.end())
    )
    whole, point, cents = low.partition(".")
    minor = _MINOR.get(code)
    if minor and point and len(cents) == 2 and not (high or magnitude):
        parts = [f"{whole} {_currency(code, whole == '1')}"] if int(whole.replace(",", "")) else []
        if int(cents):
            many = "pence" if minor == "penny" else f"{minor}s"
            parts.append(f"{int(cents)} {minor if int(cents) == 1 else many}")
        if parts:
            return f" {' and '.join(parts)}"
    unit = _currency(code, bool(one_thing) or (low == "1" and not (high or magnitude)))
    amount = f"{low} to {high}" if high else low
    return " " + " ".join(filter(None, (amount, _MAGNITUDES.get(magnitude, magnitude), unit)))


_SIGN = _alternatives(_SIGNS)
_MONEY = rules(
    (rf"(?<![^\W_])(?P<sign>{_SIGN})\s?{_AMOUNT.replace('SIGN', _SIGN)}(?![0-9])", _money),
    (rf"(?<![\w.])(?:){_AMOUNT.replace('(?P<again>SIGN)?', '')}\s?(?P<sign>{_SIGN})(?![\w$])", _money),
    (rf"(?<![\w.])({_NUMBER})\s?¢", lambda match: f"{match[1]} cent{'s' * (match[1] != '1')}"),
)
_MONEY_SIGN = re.compile(rf"[$¢]|{_SIGN}")


def money(text: str) -> str:
    """`text` with the names of currencies after their amounts: "$5m" -> "5 million dollars"."""
    return applied(_MONEY, text) if _MONEY_SIGN.search(text) else text


# -- dates and times --------------------------------------------------------------------------------------------------

_MONTHS = dict(Locale(LANGUAGE).months["format"]["wide"])
_SHORT_MONTHS = {name: _MONTHS[number] for number, name in Locale(LANGUAGE).months["format"]["abbreviated"].items()}
_SHORT_MONTHS |= {"Sept": _MONTHS[9]}
_SHORT_DAYS = dict(
    zip(Locale(LANGUAGE).days["format"]["abbreviated"].values(), Locale(LANGUAGE).days["format"]["wide"].values(),
        strict=True)
) | {"Tues": "Tuesday", "Thur": "Thursday", "Thurs": "Thursday"}  # fmt: skip
_LONGEST_MONTH, _LONGEST_YEAR = 31, 12


def _date(month: int, day: int, year: str = "") -> str | None:
    if month > _LONGEST_YEAR:
        month, day = day, month
    if not (1 <= month <= _LONGEST_YEAR and 1 <= day <= _LONGEST_MONTH):
        return None
    if len(year) == 2:
        year = f"{'19' if year >= '50' else '20'}{year}"
    return f"{_MONTHS[month]} {num2words(day, to='ordinal_num')}{', ' * bool(year)}{year}"


def _written_date(match: re.Match[str]) -> str:
    return _date(int(match[1]), int(match[3]), match[4]) or match[0]


def _dotted_date(match: re.Match[str]) -> str:
    return _date(int(match[2]), int(match[1]), match[3]) or match[0]


def _full_hour(match: re.Match[str]) -> str:
    if match[2]:
        return f"{match[1]} {match[2]}"
    return f"{match[1]} o'clock" if 1 <= int(match[1]) <= _LONGEST_YEAR else match[0]


_SHORT_MONTH = rf"(?i:{_alternatives(_SHORT_MONTHS)})"
_SHORT_DAY = _alternatives(_SHORT_DAYS)
_DATES = rules(
    (r"\b(19[0-9]{2}|20[0-9]{2})([-/.])([01]?[0-9])\2([0-3]?[0-9])(?![\w/-])",
     lambda match: _date(int(match[3]), int(match[4]), match[1]) or match[0]),
    (r"(?<![\w/.-])([0-3]?[0-9])([/-])([0-3]?[0-9])\2((?:19|20)[0-9]{2}|[0-9]{2})(?![\w/-])", _written_date),
    (r"(?<![\w/.-])([0-3]?[0-9])\.([01]?[0-9])\.((?:19|20)[0-9]{2})(?![\w/-])", _dotted_date),
    (rf"\b({_SHORT_MONTH})\b\.?(?=\s[0-3]?[0-9](?:st|nd|rd|th)?\b(?![:%]))",
     lambda match: _SHORT_MONTHS[match[1].capitalize()]),
    (rf"(?<=[0-9])((?:st|nd|rd|th)?\s)({_SHORT_MONTH})\b(?!\w)\.?",
     lambda match: match[1] + _SHORT_MONTHS[match[2].capitalize()]),
    (rf"\b({_SHORT_DAY})\s?-\s?({_SHORT_DAY})\b",
     lambda match: f"{_SHORT_DAYS[match[1]]} to {_SHORT_DAYS[match[2]]}"),
    (r"(?i)\b(1[0-2]|0?[1-9])[.h]([0-5][0-9])(?=(?:\s?-\s?[0-9:.]+)?\s?[ap]\.?m\b)", r"\1:\2"),
    (r"(?i)\b0?([0-9]|1[0-9]|2[0-4]):00(?:\s?([ap]\.?m)\b|(?![:0-9]))(?:\s?o'clock)?", _full_hour),
    (r"(?i)(?<=[0-9][ap]m)\s?-\s?(?=[0-9])|(?<=[0-9][ap]\.m\.)\s?-\s?(?=[0-9])|(?<=:[0-9]{2})\s?-\s?(?=[0-9]{1,2}:)"
     r"|(?<=[0-9] [ap]m)\s?-\s?(?=[0-9])", " to "),
)  # fmt: skip

# -- units ------------------------------------------------------------------------------------------------------------

_CLDR_UNITS = (
    "length-kilometer", "length-centimeter", "length-millimeter", "length-foot", "length-mile", "length-yard",
    "mass-kilogram", "mass-milligram", "mass-pound", "mass-ounce", "speed-mile-per-hour", "speed-kilometer-per-hour",
    "temperature-celsius", "temperature-fahrenheit", "digital-gigabyte", "digital-megabyte", "digital-terabyte",
    "digital-kilobyte", "duration-hour", "duration-minute", "duration-second", "volume-milliliter", "duration-year",
)  # fmt: skip
_ALSO_WRITTEN = {
    "kms": "length-kilometer", "kgs": "mass-kilogram", "lbs": "mass-pound", "hrs": "duration-hour", "° C": "temperature-celsius",
    "mins": "duration-minute", "secs": "duration-second", "yrs": "duration-year", "kph": "speed-kilometer-per-hour",
    "km/h": "speed-kilometer-per-hour", "kmh": "speed-kilometer-per-hour", "yds": "length-yard", "° F": "temperature-fahrenheit",
}  # fmt: skip


def _units() -> dict[str, str]:
    short = {format_unit(1, unit, "short", locale=LANGUAGE).removeprefix("1").strip(): unit for unit in _CLDR_UNITS}
    return short | _ALSO_WRITTEN


_UNITS = _units()


@functools.cache
def _unit_name(unit: str, one: bool) -> str:
    number = 1 if one else 2
    return format_unit(number, unit, "long", locale=LANGUAGE).removeprefix(f"{number}").strip()


def _measure(match: re.Match[str]) -> str:
    one = match[1] in {"1", "-1"} or match[2] == "-"
    return f"{match[1]}{match[2].strip() or ' '}{_unit_name(_UNITS[match[3]], one)}".replace("-", " ")


_MEASURES = rules(
    (r"\b([3-8])'\s?(1[01]|[0-9])(?:\"|''|(?![\w'\"]))", r"\1 foot \2"),
    (r"\b([3-8])'(?=\s(?:tall|and|high|long))", r"\1 foot"),
    (rf"(?<![\w.])({_NUMBER})(\s?|-)({_alternatives(_UNITS)})\b(?!/|\.?\s[A-Z][a-z]|['’])", _measure),
    (r"(?<=[0-9])\s*%", " percent"),
    (r"(?<![\w.])1\s*°(?!\w)", "1 degree "),
    (r"(?<=[0-9])\s*°\s?(?![CF]\b)", " degrees "),
)

# -- ranges, scores, fractions ----------------------------------------------------------------------------------------

_SAID_WITHOUT_TO = {"9-11", "7-11", "24-7", "50-50", "20-20", "4-4-2", "9/11", "24/7", "50/50", "20/20", "7/11"}
_PARTS = {2: "half", 4: "quarter"}
_ON = re.compile(
    r"(?i)\b(?:on|by|until|til|till|from|since|for|before|after|starts?|starting|ends?|date|dated|this|thru|through"
    r"|(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?),?\s$"
)
_RATED = {5, 10, 20, 100}
_OF_MANY = 10  # what has more parts is a date or a share


def _span(match: re.Match[str]) -> str:
    numbers = match[0].split("-")
    text = match.string
    beside_to = text[: match.start()].endswith(" to ") or text.startswith(" to ", match.end())
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
    if re.search(r"\($", before) or (not end.strip() and share <= of < _OF_MANY and len(before.split()) > 4):
        return f"{upper} of {lower}"  # the parts of a thread
    month = "." not in upper and _date(int(upper), of)
    if month and (_ON.search(before[-20:]) or (of > _LONGEST_YEAR and share <= _LONGEST_YEAR and of not in _RATED)):
        return month
    if of in _RATED and share <= of:
        return f"{upper} out of {lower}"
    if share < of <= _OF_MANY and "." not in upper:
        return _share(int(upper), of, "" if end.startswith(" ") or not end else "one")
    return f"{upper} out of {lower}" if share <= of else f"{upper} {lower}"


def _share(upper: int, lower: int, one: str) -> str:
    if lower < 2:
        return f"{upper} over {lower}"
    part = _PARTS.get(lower) or str(num2words(lower, to="ordinal", lang=LANGUAGE))
    if upper == 1:
        return part if lower == 2 and not one else f"{one or 'one'} {part}"
    return f"{upper} {'halves' if part == 'half' else part + 's'}"


_COUNTS = rules(
    (r"(?<![\w.,$-])(?:[0-9]{1,4}(?:-[0-9]{1,4})+)(?![\w.,-]*[0-9-])", _span),
    (r"(?<=\b[0-9]{4})\s-\s(?=[0-9]{4}\b)", " to "),
    (r"(?<=[0-9])-(?=[0-9]{1,2}\s?(?i:[ap]m)\b)", " to "),
    (r"(?<=:[0-9])-(?=[0-9])|(?<=:[0-9]{2})-(?=[0-9])", " to "),
    (r"(?<![\w/.,-])(?P<whole>[0-9]{1,3}[\s-])?(?P<upper>[0-9]{1,3}(?:\.[0-9])?)/(?P<lower>[0-9]{1,3})(?![\w/-])",
     _fraction),
    (r"(?<=[0-9]),(?=[0-9]{1,2}(?![0-9]))", ", "),  # 6-1,6-1 but 10,000
    (r"(?<=[0-9])-(?=[0-9])", " "),
    (r"(?<=[0-9])\s?<\s?(?=[0-9])", " less than "),
    (r"(?<=[0-9])\s?>\s?(?=[0-9])", " more than "),
    (r"(?:(?<=\s)|^)>\s?(?=[0-9])", "over "),
    (r"(?:(?<=\s)|^)<\s?(?!3)(?=[0-9])", "under "),
    (r"(?:(?<=\s)|^)~\s?(?=[0-9])", "about "),
    (r"(?:(?<=[\s(])|^)-(?=[0-9]|\.[0-9])", "minus "),
    (r"(?:(?<=[\s(])|^)\+(?=[0-9])", "plus "),
    (r"(?<=[0-9])\s?\+\s?(?=[0-9])", " plus "),
    (r"(?<=[0-9])\s?\*\s?(?=[0-9])", " times "),
    (r"(?<![\w.])([0-9]{3,4})\s?x\s?(?=[0-9]{3,4}\b)", r"\1 by "),
    (r"(?<!\S)([0-9])\*(?!\S)", r"\1 star"),
)  # fmt: skip
_DIGIT = re.compile(r"[0-9]")


def dates(text: str) -> str:
    """`text` with dates and times as they are said: "10/31/2015" -> "October 31st, 2015"."""
    return applied(_DATES, text) if _DIGIT.search(text) or "-" in text else text


def measures(text: str) -> str:
    """`text` with units in full, and lengths in feet and inches."""
    return applied(_MEASURES, text) if _DIGIT.search(text) else text


def counts(text: str) -> str:
    """`text` with ranges, scores, fractions, ratings and signs before numbers as they are said."""
    return applied(_COUNTS, text) if _DIGIT.search(text) else text


# -- Roman numerals ---------------------------------------------------------------------------------------------------

_TENS, _ONES = ("", "X", "XX", "XXX", "XL", "L"), ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
_ROMAN = {f"{tens}{ones}": 10 * n + m for n, tens in enumerate(_TENS) for m, ones in enumerate(_ONES)}
_NO_NUMERAL = {"", "I", "V", "X", "L", "XX", "XXX", "XL", "LI", "LV", "LX"}  # letters, kisses, sizes and names
_NUMERAL = _alternatives(set(_ROMAN) - _NO_NUMERAL)
_RULERS = (
    "Pope|King|Queen|Henry|Louis|Edward|George|William|Charles|James|Richard|Elizabeth|Napoleon|Pius|Benedict|Leo|Paul"
    "|Ramses|Frederick|Philip|Alexander|Nicholas|Peter|Catherine|Ivan|Harald|Juan Carlos|Felipe|Mary|Innocent"
)
_ROMANS = rules(
    (r"\bWW(I{1,2})\b", lambda match: f"World War {len(match[1])}"),
    (rf"\b({_RULERS}) ({_NUMERAL})\b(?!['-]?\w)",
     lambda match: f"{match[1]} the {num2words(_ROMAN[match[2]], to='ordinal_num')}"),
    (rf"(\b(?!(?:The|An|My|A|This|In|On|At|And|Or|To|For|From|With|Your|Our|His|Her|Its|By|Of)\b)(?:[A-Z][\w']*|part|act"
     rf"|chapter|episode|season|round|type|phase|stage|level|volume|vol\.|class|grade|war)[ ]|\s-\s)({_NUMERAL})\b"
     r"(?!['-]?\w)(?![^\W\d_])", lambda match: f"{match[1]}{_ROMAN[match[2]]}"),
)  # fmt: skip
_TWO_NUMERALS = re.compile(r"\b(?:WW)?[IVXL]{2}")


def numerals(text: str) -> str:
    """`text` with Roman numerals after a name or a word such as "part" in digits: "Rocky III" -> "Rocky 3"."""
    return applied(_ROMANS, text) if _TWO_NUMERALS.search(text) else text
