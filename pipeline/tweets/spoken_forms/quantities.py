"""Powers, signs of mathematics and units to words: "10⁶" -> "10 to the 6th", "10km" -> "10 kilometers".

Names of units and their plurals are those of Unicode's CLDR, by Babel.
"""

import functools
import re

from babel.units import format_unit
from num2words import num2words

from pipeline.tweets.spoken_forms.rules import DIGIT, LANGUAGE, alternatives, applied, rules

NUMBER = r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?"

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def _power(match: re.Match[str]) -> str:
    power = match[0].translate(_RAISED)
    return {"2": " squared", "3": " cubed"}.get(power) or f" to the {num2words(int(power), to='ordinal_num')}"


_AND_A_PART = {"¼": " and a quarter", "½": " and a half", "¾": " and 3 quarters"}
_POWERS = rules(
    (r"(?<=[^\W_])[⁰¹²³⁴-⁹]{1,2}(?![⁰¹²³⁴-⁹])", _power),
    (r"(?<=[0-9])\s?([¼½¾])", lambda match: _AND_A_PART[match[1]]),
    (r"(?<=[0-9])\s?[×✕✖]\s?(?=[0-9])", " times "),
    (r"(?<=[0-9])\s?º(?=\s?[CF]?\b)", "°"),
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


_CLDR_UNITS = (
    "length-kilometer", "length-centimeter", "length-millimeter", "length-foot", "length-mile", "length-yard",
    "mass-kilogram", "mass-milligram", "mass-pound", "mass-ounce", "speed-mile-per-hour", "speed-kilometer-per-hour",
    "temperature-celsius", "temperature-fahrenheit", "digital-gigabyte", "digital-megabyte", "digital-terabyte",
    "digital-kilobyte", "duration-hour", "duration-minute", "duration-second", "volume-milliliter", "duration-year",
)  # fmt: skip
_ALSO_WRITTEN = {
    "kms": "length-kilometer", "kgs": "mass-kilogram", "lbs": "mass-pound", "hrs": "duration-hour",
    "mins": "duration-minute", "secs": "duration-second", "yrs": "duration-year", "kph": "speed-kilometer-per-hour",
    "kmh": "speed-kilometer-per-hour", "yds": "length-yard", "ml": "volume-milliliter", "° C": "temperature-celsius",
    "° F": "temperature-fahrenheit",
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
    (rf"(?<![\w.])({NUMBER})(\s?|-)({alternatives(_UNITS)})\b(?!/|\.?\s[A-Z][a-z]|['’])", _measure),
    (r"(?<=[0-9])\s*%", " percent"),
    (r"(?<![\w.])1\s*°(?!\w)", "1 degree "),
    (r"(?<=[0-9])\s*°\s?(?![CF]\b)", " degrees "),
)


def measures(text: str) -> str:
    """`text` with units in full, and lengths in feet and inches."""
    return applied(_MEASURES, text) if DIGIT.search(text) else text
