"""Emoji and emoticons to the words a person would say for them, or to nothing."""

import re
from typing import Any

import emoji

# Signs that count as emoji but that nobody reads out, and the double marks.
_SIGNS: dict[int, str | None] = {
    **dict.fromkeys(map(ord, "©®™℠"), " "),
    **dict.fromkeys(range(0xE000, 0xF900)),  # private use: speak_emoji needs two of them for itself
    **dict.fromkeys(map(ord, "♡❥❦ღ"), "❤"),
    **dict.fromkeys(map(ord, "‼❗❕"), "!"),
    **dict.fromkeys(map(ord, "⁉❓❔"), "?"),
}
_OPEN, _CLOSE = "\ue000", "\ue001"
_EMOJI_RUN = re.compile(f"(?:{_OPEN}[^{_CLOSE}]*{_CLOSE}\\s*)+")
_SKIN_TONE = re.compile(r"[ ,:]*(?:medium-light|medium-dark|light|medium|dark) skin tone")
_UNSPOKEN_EMOJI = re.compile(r"\b(?:arrow|button|square|circle|diamond|mark|sign|dash|loop|skin tone)\b")
# An emoticon -> the emoji that has its name, in the languages that the library knows.
_EMOTICONS = tuple(
    (re.compile(pattern), sign)
    for pattern, sign in (
        (r"(?<![\w:;=])>:-?[(\[]", "😠"),
        (r"(?<![\w:;=])[:=;]['’,]-?[(\[](?!\w)", "😢"),
        (r"(?<![\w:;=])[:=]['’]-?[)\]D](?!\w)", "😂"),
        (r"(?<![:\d])[:=][-^o]?(?:[)\]}]+|>)(?!\w)|(?<![\w:;=)])\([-^]?[:=](?![\w:;=])", "🙂"),
        (r"(?<![:\d])[:=][-^o]?(?:[(\[{]+|c\b|<(?!\d))(?!\w)|(?<![\w:;=)])\)[-^]?[:=](?![\w:;=)/])", "☹️"),
        (r"(?<![:\d]);[-^]?\)+(?!\w)", "😉"),
        (r"(?<![\w:;=])(?:[:=;][-^]?D+\b|8-?D\b)", "😀"),
        (r"\b(?:XD+|xD+|[xX]-D)\b", "😆"),
        (r"(?<![\w:;=])[:=][-^]?[pPb](?![\w/])", "😛"),
        (r"(?<![\w:;=]);[-^]?[pPb](?![\w/])", "😜"),
        (r"(?<![\w:;=])[:=][-^]?[oO0](?![\w/])", "😮"),
        (r"(?<![\w:;=])[:=][-^]?[/\\](?![\w/\\])", "😕"),
        (r"(?<![\w:;=])[:=][-^]?\*+(?!\w)", "😘"),
        (r"(?<![\w:;=])[:=][-^]?\|(?!\w)", "😐"),
        (r"(?<![\w<])</+3+", "💔"),
        (r"(?<![\w<])<3+(?!\d)", "❤️"),
        (r"(?<![^\W_])(?:[Tt][_.][Tt]|ToT|[QPq]_+[Qqp]|;_+;)(?![^\W_])", "😭"),
        (r"\(?(?<!\w)\^[_.-]?\^;*(?!\w)\)?", "😊"),
        (r"\(?(?<!\w)-[_.]+-;*(?!\w)\)?", "😑"),
        (r"(?<!\w)(?:[oO0][_.]O|O[_.][o0])(?!\w)", "😳"),
        (r"\(?(?<!\w)>[_.]+<(?!\w)\)?", "😖"),
        (r"¯\\?\\?_?\\?\(?ツ\)?_?\\?/?¯", "🤷"),
        (r"[(（][^()（）]{0,6}□[^()（）]{0,6}[)）]\S?\s?︵\s?\S{1,5}", "😠"),
        (r"\(\s?͡°\s?͜ʖ\s?͡°\s?\)", "😏"),
        (r"ಠ_+ಠ", "😒"),
    )
)  # fmt: skip
_MAY_BE_EMOTICON = re.compile(r"[:=;8<>^(]['’,^)\](\[{}pPbDoO0/\\*|3_.:;<>=/c-]|[TtQqPp;o0O>-][_.]|To|[xX]-?D|ಠ|ツ|°|□")
# Faces of signs, which nobody could name.
_KAOMOJI = re.compile(r"\S{0,2}[(（](?=[^()（）]{2,14}[)）])[^()（）A-Za-z0-9\n]+[)）][^\w\s,.!?:;]{0,3}")
_FACE = re.compile(r"[^\w\s]")


def _face_or_words(match: re.Match[str]) -> str:
    return " " if len(_FACE.findall(match[0])) >= 4 else match[0]


def speak_emoji(text: str, words: bool, language: str = "en") -> str:
    """`text` with each run of emoji as at most three different names between commas, or as a space.

    Skin tones are not said; flags are said by country, keycaps as their digit; arrows, buttons and marks that serve
    as bullets are left out. Without `words` no emoji is said.
    """
    text = text.translate(_SIGNS)
    if _MAY_BE_EMOTICON.search(text):
        for pattern, sign in _EMOTICONS:
            text = pattern.sub(f" {sign} ", text)
    if text.isascii():  # no emoji, then: looking for them would take a third of the time of a text
        return text

    def name_of(signs: str, data: dict[str, Any]) -> str:
        name = str(data[language]).strip(":").replace("_", " ")
        if "\U0001f1e6" <= signs[0] <= "\U0001f1ff":
            name += " flag"
        if name.startswith("keycap "):
            return f"{name.removeprefix('keycap ')} "
        return f"{_OPEN}{name}{_CLOSE}"

    def run_of(match: re.Match[str]) -> str:
        names = [_SKIN_TONE.sub("", name).strip() for name in match[0].replace(_CLOSE, "").split(_OPEN)]
        spoken = [name for name in dict.fromkeys(names) if name and not _UNSPOKEN_EMOJI.search(name)]
        return f", {', '.join(spoken[:3])}, " if words and spoken else " "

    return _EMOJI_RUN.sub(run_of, emoji.replace_emoji(_KAOMOJI.sub(_face_or_words, text), name_of))
