"""What in a text points at a person: links, mentions, e-mail addresses, telephone numbers, accounts elsewhere.

In   the text of a tweet as published (any Unicode)
Out  `redacted`: the same text without any of these, as it is published
     `without`: a text in NFKC without those of some kinds, for the voice, which reads mentions in their context

Both look at what a reader sees: entities are read, invisible characters left out, letters in other guises (NFKC) taken
for what they stand for. Hosts are those under a public suffix, numbers those that some country could give out. Names
and places in plain words are not looked for.
"""

import functools
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import phonenumbers
import regex
from phonenumbers import Leniency, PhoneNumberMatcher

from pipeline.tweets.hashtags import word_counts

# Of a published text, what is looked at. A tweet has 280 characters, in HTML some hundreds more; a field of a csv may
# have 131,072, and the time that the rules below take grows faster than the text.
MOST_CHARACTERS = 2_000

Span = tuple[int, int]

# Format characters, and others that show nothing; thin spaces only where they part a handle from its sign.
INVISIBLE = regex.compile(r"\p{Default_Ignorable_Code_Point}|\p{Cf}|(?<=@[^\w\s]*)[\u2000-\u200a\u202f\u205f\u2800]+")
# With the dots that other networks allow; after a space only what is no word: "Live @ Wimbledon".
MENTION = r"@(?:\w+(?:\.[a-z0-9_]+)*|\s[^\W\d_]+_\w+)"

_ENTITY = re.compile(r"&(?:#[0-9]{1,32};?|#[xX][0-9a-fA-F]{1,32};?|[A-Za-z][A-Za-z0-9]{1,30};)|&(?:amp|lt|gt|quot)\b")
_RETWEET = re.compile(r"^\s*RT\s*:?\s+(?=\S)")


def unescaped(text: str) -> str:
    """`text` with its entities read once: `&amp;#64;` becomes `&#64;`."""
    return _ENTITY.sub(lambda match: html.unescape(match[0].removesuffix(";") + ";"), text)


def redacted(text: str) -> str:
    """At most `MOST_CHARACTERS` of `text`, its entities read, without what points at a person.

    What taking something out joins is looked at again, so applying it twice changes nothing more.
    """
    text = text[:MOST_CHARACTERS]
    while True:
        while (following := unescaped(text)) != text:
            text = following
        seen, positions = _seen(text)
        spans = [(positions[start], positions[end - 1] + 1) for start, end in _found(seen, tuple(_DETECTORS))]
        if not spans:
            return text
        text = _RETWEET.sub("", " ".join(_cut_out(text, spans).split()))


def without(text: str, *kinds: str) -> str:
    """`text` (NFKC, without invisible characters) with a space for each find of the given kinds."""
    return _cut_out(text, _found(text, kinds))


def _seen(text: str) -> tuple[str, list[int]]:
    """What a reader sees of a text, and the position in it that each character comes from."""
    hidden = {index for match in INVISIBLE.finditer(text) for index in range(*match.span())}
    shown = [
        (letter, index)
        for index, character in enumerate(text)
        if index not in hidden
        for letter in unicodedata.normalize("NFKC", character)
    ]
    return "".join(letter for letter, _ in shown), [index for _, index in shown]


def _found(text: str, kinds: tuple[str, ...]) -> list[Span]:
    return [span for kind in kinds for span in _DETECTORS[kind](text)]


def _cut_out(text: str, spans: list[Span]) -> str:
    pieces, end = [], 0
    for start, following in sorted(spans):
        if start > end:
            pieces.append(text[end:start])
        end = max(end, following)
    return " ".join([*pieces, text[end:]]) if spans else text


# -- links ------------------------------------------------------------------------------------------------------------

_TO_ITS_END = r"(?:[^\s\"“”«»<>)\]。、]|[)\]](?=[\w/]))*"
_SCHEME = re.compile(
    r"(?i)(?:[a-z][a-z0-9+.-]{0,19}://(?:\[[\da-f:.]+\])?|\b(?:https?|hxxps?|ftp)\s?://|\b(?:https?|ftp):"
    rf"|\b(?:mailto|tel|sms):(?=[\w+])|\bwww\.|www\.(?=[\w-]+[./])){_TO_ITS_END}"  # but not "awww.so cute"
)
_MARK = r"[^\w\s,.;:!?'\"@#/]"
_DOT = rf"(?:[.。]|\s?{_MARK}\s?(?:\.|dot)\s?{_MARK}\s?)"
_SPELT_DOT = rf"(?:{_DOT}|\s\.\s|\sdot\s)"
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_HOST = re.compile(
    rf"(?i)(?<![\w@-])(?<!\w\.)({_LABEL}(?:{_DOT}{_LABEL}){{1,9}})(?![\w@-])"
    rf"((?::\d+)?(?:(?:/|\?\w+=){_TO_ITS_END})?)(?:#{_TO_ITS_END})?"
)
# Suffixes that make a host of two words with a full stop between them, as which others read: "home.it", "so.me".
_UNMISTAKABLE = frozenset(
    "com org net edu gov mil info biz io co app dev xyz online site blog de fr nl uk eu ca au nz ru jp br pl ie"
    " za".split()
)


def _links(text: str) -> Iterator[Span]:
    yield from (match.span() for match in _SCHEME.finditer(text))
    for match in _HOST.finditer(text):
        if _is_host(match[1], certain=bool(match[2])):
            yield match.span()


def _is_host(written: str, *, certain: bool) -> bool:
    """Whether this could be a host; unless that is `certain` by its surroundings, more than a full stop must say so."""
    parts = _suffixes()(_plain(written))
    if parts.ipv4:  # else the number of a version
        return certain
    return bool(parts.domain and parts.suffix) and (certain or "." in parts.suffix or parts.suffix in _UNMISTAKABLE)


def _plain(host: str) -> str:
    return re.sub(_SPELT_DOT, ".", host, flags=re.IGNORECASE)


@functools.cache
def _suffixes() -> Callable[[str], Any]:
    """Splits hosts by the packaged list of public suffixes; loaded on first use, and never from a network."""
    from tldextract import TLDExtract  # noqa: PLC0415

    return TLDExtract(cache_dir=None, suffix_list_urls=())


# -- e-mail addresses -------------------------------------------------------------------------------------------------

_EMAIL = re.compile(r"@?(?<![\w.+%-])[\w.+%-]+(?:@|%40)[\w-]+[.。][\w.。-]+")
_SPELT_EMAIL = re.compile(
    rf"(?i)(?<![\w.+-])(?:[\w+-]+{_SPELT_DOT}){{0,3}}[\w.+-]*[^\W_]"
    rf"(?P<at>\s?{_MARK}\s?(?:at|@)\s?{_MARK}\s?|_at_|\s(?:at|@)\s)"
    rf"(?P<host>{_LABEL}(?:{_SPELT_DOT}{_LABEL}){{1,5}})(?!\w)"
)
_MAIL_HOSTS = re.compile(r"(?i)(?:gmail|googlemail|hotmail|outlook|yahoo|icloud|aol|protonmail|gmx|live|msn)\W")


def _emails(text: str) -> Iterator[Span]:
    yield from (match.span() for match in _EMAIL.finditer(text))
    for match in _SPELT_EMAIL.finditer(text):
        sign, host = match["at"].strip().lower(), match["host"]
        # "meet at example.com" is about a site, "jane at example dot com" an address.
        spelt = sign != "at" or _plain(host) != host or _MAIL_HOSTS.match(host)
        if spelt and _is_host(host, certain=sign not in {"at", "@"}):
            yield match.span()


# -- telephone numbers ------------------------------------------------------------------------------------------------

_SEVEN_DIGITS = re.compile(r"(?:\d[^\w\n]{0,4}){6}\d")
_REGIONS = ("US", "GB", "AU")  # whose numbers are known without their country code, if grouped as is usual there
_CALLED = re.compile(
    r"(?i)\b(?:call|text|txt|sms|phone|ring|cell|mobile|tel|whatsapp)(?: me| us)?(?: at| on)?\s?:?\s?"
    r"((?!(?:19|20)\d\d\b)\(?\d(?:[\s().-]{0,2}\d){6,11})(?![\w:])"
)


def _phones(text: str) -> Iterator[Span]:
    if not _SEVEN_DIGITS.search(text):
        return
    for region in _REGIONS:
        for match in PhoneNumberMatcher(text, region, Leniency.STRICT_GROUPING, max_tries=100):
            yield match.start, match.end
    # Numbers of a plausible length, where a sign or zeros in front tell them from others.
    for match in PhoneNumberMatcher(text, "GB", Leniency.POSSIBLE, max_tries=100):
        digits = phonenumbers.normalize_digits_only(match.raw_string)
        if match.raw_string.startswith(("+", "00")) or (digits[0] == "0" and len(digits) == 11):
            yield match.start, match.end
    yield from (match.span(1) for match in _CALLED.finditer(text))


# -- accounts ---------------------------------------------------------------------------------------------------------

_NETWORK = (
    r"(?:ig|insta(?:gram)?|sc|snap(?:chat)?|kik|telegram|whatsapp|discord|twitter|tik ?tok|tumblr|fb|facebook|skype|psn"
    r"|gamertag|twitch|venmo|cash ?app|paypal)"
)
_ACCOUNT = r"(?P<name>[@$]?(?:live:)?(?!(?:" + _NETWORK + r"|\d[\d.,]*[^\W\d]{0,2})\b)[^\W_][\w.-]+\w)(?!['’\w])"
_ADD = r"(?:add|follow|find|dm|message)"
# What leads to a name -> what a name must be.
_LEADS = {
    rf"\b{_NETWORK}(?: (?:name|id|handle|user(?:name)?))?(?:\s?[:=|>»→~]|\s-)\s?{_ACCOUNT}": "no word, or the last",
    rf"\b{_NETWORK}(?:[;/-]| me:)\s?{_ACCOUNT}": "no word",
    rf"\b(?:{_ADD}(?: me| us)?(?: on)?|my)\s{_NETWORK}(?:\s?:|'s| is)?\s{_ACCOUNT}": "no word",
    rf"\b{_ADD}\s{_ACCOUNT}\son\s{_NETWORK}\b": "no word",
    rf"\b{_NETWORK}(?: is)?\s{_ACCOUNT}": "two parts",
    rf"(?<![\w#@]){_ACCOUNT}\son\s{_NETWORK}\b": "two parts",
}
_LED = [(re.compile(pattern, re.IGNORECASE), must_be) for pattern, must_be in _LEADS.items()]
_ANY_NETWORK = re.compile(rf"\b{_NETWORK}", re.IGNORECASE)  # without which no lead is there
_GOES_ON = re.compile(rf"(?i)[\s,]*(?!{_NETWORK}\b)\w")
_NO_WORD = re.compile(r"[\d@$]|\w\.\w")
_TAGGED = re.compile(
    r"(?i)(?<![\w#])(?!(?:no|nr|number|order|room|apt|flight|ticket|case|item|lot|bus|unit|suite|ref|page|ep|episode)#)"
    r"[\w.]{2,32}#(?!(?:19|20)\d\d\b)\d{4}\b|(?<![\w/])/?u/[\w-]{3,20}"
)


def _accounts(text: str) -> Iterator[Span]:
    if "#" in text or "/" in text:
        yield from (match.span() for match in _TAGGED.finditer(text))
    for pattern, must_be in _LED if _ANY_NETWORK.search(text) else ():
        for match in pattern.finditer(text):
            name = match["name"]
            no_word = must_be != "two parts" and (_NO_WORD.search(name) or name.lower() not in word_counts())
            # "Facebook: why though" goes on, and is no name.
            last = must_be == "no word, or the last" and not _GOES_ON.match(text, match.end())
            if "_" in name or no_word or last:
                yield match.span("name")


def _mentions(text: str) -> Iterator[Span]:
    yield from (match.span() for match in re.finditer(MENTION, text))


_DETECTORS: dict[str, Callable[[str], Iterator[Span]]] = {
    "link": _links, "email": _emails, "phone": _phones, "account": _accounts, "mention": _mentions
}  # fmt: skip
