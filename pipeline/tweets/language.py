"""Texts in the languages that the voice speaks: others are rejected, mixed ones keep the part that it can say.

In   a tweet as published, and the codes (ISO 639, as "en") of the languages to keep; None keeps any
Out  what is said of it; RowError `text_language` names the language that was found

Letters of another script are told by Unicode. Of Latin letters py3langid judges (4.5 MB, 0.1 ms a text, 139 languages;
Lingua takes 96 MB, 1.1 GB of memory and 8 ms). It is believed where it finds another language a hundred times as likely
in fifteen letters or more: so 106 of 110 made-up short tweets in eleven languages are found, and of 8,420 English ones,
comments and lines of dialogue 2 are rejected ("hasta la vista baby" is one), none of them a tweet.
"""

import html
from collections.abc import Collection
from functools import cache
from typing import Any

import regex

from pipeline.errors import RowError, UserError
from pipeline.frame.stage import ENGLISH
from pipeline.tweets.text import TextOptions, spoken_by_rules, spoken_text

LEAST_LETTERS = 15  # of a text or sentence that is judged
SURELY = 0.9  # of so likely a text the sentences are not judged
LEAST_ODDS = 100.0  # of another language, before a text is rejected for it
ENOUGH_WORDS = 3  # of a mixed text; they must also be its larger part
_LEAST_SHARE = 1e-30

_SCRIPTS = {
    **dict.fromkeys(("be", "bg", "kk", "ky", "mk", "mn", "ru", "sr", "tg", "uk"), "Cyrillic"),
    **dict.fromkeys(("ar", "fa", "ps", "ur"), "Arabic"), **dict.fromkeys(("hi", "mr", "ne", "sa"), "Devanagari"),
    "am": "Amharic", "bn": "Bengali", "el": "Greek", "gu": "Gujarati", "he": "Hebrew", "hy": "Armenian",
    "ja": "Han Hiragana Katakana", "ka": "Georgian", "km": "Khmer", "kn": "Kannada", "ko": "Hangul", "lo": "Lao",
    "ml": "Malayalam", "my": "Myanmar", "pa": "Gurmukhi", "si": "Sinhala", "ta": "Tamil", "te": "Telugu", "th": "Thai",
    "zh": "Han",
}  # fmt: skip
_NO_WORDS = regex.compile(r"(?:https?://|www\.|[@#])\S*|\b\S+\.(?:com|co|net|org)/\S*")
_LETTERS = regex.compile(r"\p{L}[\p{L}\p{M}ー]*(?:['’]\p{L}+)*")
# Written without spaces, so that a word of Latin letters may be glued to them; each stands for two of others.
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー]")
_SYMBOL = regex.compile(r"\p{Greek}")  # pi, alpha
_SENTENCE_END = regex.compile(r"(?<=[.!?…])\s+|\s*\n\s*|\s+[|/~–—-]\s+")


def said_text(text: str, options: TextOptions, languages: Collection[str] | None) -> tuple[str, list[str]]:
    """`spoken_by_rules`, without what is in no language of `languages`; RowError if too little is left."""
    spoken, rules = spoken_by_rules(text, options)
    if languages is not None:
        own = _in_language(text, spoken, options, languages)
        if own != spoken:
            spoken, rules = own, [*rules, "language"]
    if not any(map(str.isalpha, spoken)):
        raise RowError("text_empty", f"no word, only {spoken[:20]!r}, is left of {text[:60]!r}")
    return spoken, rules


def expect_known(languages: Collection[str] | None) -> None:
    """UserError for a code of a language that cannot be told."""
    for language in languages or ():
        # English is known; to ask costs half a second and 110 MB.
        if language != ENGLISH and language not in _identifier().labels:
            known = ", ".join(sorted(set(_identifier().labels) - {"zxx"}))
            raise UserError(f"clean.text.languages: {language} is no language that is told; expected of {known}")


def _in_language(text: str, spoken: str, options: TextOptions, languages: Collection[str]) -> str:
    published = html.unescape(text)
    foreign = _foreign_letters(frozenset(languages))
    if foreign.search(published):
        words = _LETTERS.findall(_without_addresses(published))
        left = " ".join(_own_part(word, foreign) for word in words).split()
        if not _enough(left, words):
            raise _reject(text, _found(" ".join(words), ()) or "an unknown script", languages)
        spoken = spoken_text(_LETTERS.sub(lambda match: _own_part(match[0], foreign) or " ", spoken), options)
        published = _LETTERS.sub(lambda match: _own_part(match[0], foreign) or " ", published)
    judged = _judged(published)
    if _is_short(judged):
        return spoken
    sentences = _SENTENCE_END.split(published)
    best, share = _identifier().classify(judged)
    own = best in languages
    if own and (share > SURELY or len(sentences) == 1):
        return spoken
    found = None if own else _found(judged, languages)
    if found:
        kept = [sentence for sentence in sentences if _is_in(sentence, languages)]
    else:
        kept = [sentence for sentence in sentences if not _found(_judged(sentence), languages)]
    if len(kept) < len(sentences):
        if _enough(_judged(" ".join(kept)).split(), judged.split()):
            return spoken_text(" ".join(kept), options)
        if found:
            raise _reject(text, found, languages)
    return spoken


def _reject(text: str, found: str, languages: Collection[str]) -> RowError:
    return RowError("text_language", f"{found}, where {' or '.join(languages)} is spoken: {text[:60]!r}")


def _without_addresses(text: str) -> str:
    return str(_NO_WORDS.sub(lambda match: match[0] if match[0].startswith("#") else " ", text))


def _judged(text: str) -> str:
    """The words of the sentence; its hashtags are often in another language."""
    return " ".join(_LETTERS.findall(_NO_WORDS.sub(" ", text))).lower()


def _own_part(word: str, foreign: regex.Pattern[str]) -> str:
    """`word` without foreign letters: none of it if all are; single ones inside a word only look like its own."""
    if not foreign.search(word) or _SYMBOL.fullmatch(word):
        return word
    spaced = " ".join(_UNSPACED.sub(" ", word).split())
    rest = word if foreign.search(spaced) else spaced
    return rest if any(letter.isalpha() and not foreign.match(letter) for letter in rest) else ""


def _enough(left: Collection[str], of: Collection[str]) -> bool:
    def weight(words: Collection[str]) -> int:
        return sum(len(word) + len(_UNSPACED.findall(word)) for word in words)

    return len(left) >= ENOUGH_WORDS and 2 * weight(left) >= weight(of)


def _found(text: str, languages: Collection[str]) -> str | None:
    """The language of `text` if it is surely none of `languages`."""
    if languages and _is_short(text):
        return None
    best, odds = _judge(text, languages)
    return best if best not in languages and odds > LEAST_ODDS else None


def _is_in(sentence: str, languages: Collection[str]) -> bool:
    text = _judged(sentence)
    return not _is_short(text) and _judge(text, languages)[0] in languages


def _is_short(text: str) -> bool:
    return len(text) - text.count(" ") < LEAST_LETTERS


def _judge(text: str, languages: Collection[str]) -> tuple[str, float]:
    """The likeliest language, and how many times as likely it is as the likeliest of `languages`."""
    likely = {code: float(share) for code, share in _identifier().rank(text)}
    best = max(likely, key=lambda code: likely[code])
    return best, likely[best] / max([_LEAST_SHARE, *(likely[code] for code in languages)])


@cache
def _identifier() -> Any:
    # A second to load, which only who cleans tweets needs.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415

    whole = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    # Its own `set_languages` keeps the whole table beside its part, 28 MB each, and that part by columns: 1.6 times as
    # long for each text.
    places = [place for place, label in enumerate(whole.nb_classes) if label != "zxx"]  # "no language"
    classes = [whole.nb_classes[place] for place in places]
    table, prior = whole.nb_ptc.take(places, axis=1), whole.nb_pc[places]
    return LanguageIdentifier(
        table, prior, classes, whole.tk_nextmove, whole.tk_output, norm_probs=True, tk_row=whole.tk_row
    )


@cache
def _foreign_letters(languages: frozenset[str]) -> regex.Pattern[str]:
    """A letter of none of the scripts of `languages`; signs such as the letters of formulas have no script."""
    own = {"Common", "Inherited", "Latin"} | {
        script for code in languages for script in _SCRIPTS.get(code, "Latin").split()
    }
    return regex.compile("(?V1)[\\p{L}&&[^" + "".join(f"\\p{{Script={name}}}" for name in sorted(own)) + "]]")
