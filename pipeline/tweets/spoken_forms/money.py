"""Money as it is said: "$5m" -> "5 million dollars", "25€" -> "25 euros", "a $50 cut" -> "a 50 dollar cut".

Signs, names and plurals of currencies are those of Unicode's CLDR, by Babel; "US dollars" and "Indian rupees" are said
without their countries.
"""

import functools
import re

from babel import Locale
from babel.numbers import get_currency_name

from pipeline.tweets.spoken_forms.rules import LANGUAGE, alternatives, applied, rules

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
_PRICE = r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+|,[0-9]{2}(?![0-9]))?"
_MAGNITUDE = r"(?:\s?(?P<magnitude>(?i:k|mm?|mil|bn?|tn|hundred|thousand|million|billion|trillion))\b)?"
_AMOUNT = rf"(?P<low>{_PRICE})(?:\s?(?:-|to)\s?(?:SIGN)?(?P<high>{_PRICE}))?{_MAGNITUDE}"
_A_NOUN_FOLLOWS = re.compile(
    r"[- ](?!(?:for|to|in|on|at|of|and|or|but|is|was|are|were|will|i|i'm|you|he|she|we|they|that|which|from|per|each"
    r"|off|more|less|by|with|if|when|so|a|an|the|it|now|then|today|tonight|because|as|just|not|this|my|your|ago|extra|plus"
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
    whole, _, cents = (low[:-3] + "." + low[-2:] if low[-3:-2] == "," else low).partition(".")
    minor = _MINOR.get(code)
    exact = minor and len(cents) == 2 and not (high or magnitude)
    if exact and one_thing and cents.strip("0"):
        return f" {whole} {_currency(code, one=True)} {cents}"
    if exact:
        parts = [f"{whole} {_currency(code, whole == '1')}"] if int(whole.replace(",", "")) else []
        if int(cents):
            many = "pence" if minor == "penny" else f"{minor}s"
            parts.append(f"{int(cents)} {minor if int(cents) == 1 else many}")
        if parts:
            return f" {' and '.join(parts)}"
    unit = _currency(code, bool(one_thing) or (low == "1" and not (high or magnitude)))
    amount = f"{low} to {high}" if high else low
    return " " + " ".join(filter(None, (amount, _MAGNITUDES.get(magnitude, magnitude), unit)))


_SIGN = alternatives(_SIGNS)
_MONEY = rules(
    (rf"(?<![^\W_])(?P<sign>{_SIGN})(?:(?=[0-9])|(?<![0-9] .)(?<![0-9] ..)\s){_AMOUNT.replace('SIGN', _SIGN)}(?![0-9])",
     _money),
    (rf"(?<![\w.]){_AMOUNT.replace('(?:SIGN)?', '')}\s?(?P<sign>{_SIGN})(?![\w$])", _money),
    (rf"(?<![\w.])({_NUMBER})\s?¢", lambda match: f"{match[1]} cent{'s' * (match[1] != '1')}"),
)  # fmt: skip
_MONEY_SIGN = re.compile(rf"[$¢]|{_SIGN}")


def money(text: str) -> str:
    """`text` with the names of currencies after their amounts: "$5m" -> "5 million dollars"."""
    return applied(_MONEY, text) if _MONEY_SIGN.search(text) else text
