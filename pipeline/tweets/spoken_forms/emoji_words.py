"""Emoji and emoticons to the words a person would say for them, or to nothing."""

import re
from typing import Any

import emoji

from pipeline.tweets.spoken_forms.emoticons import as_emoji

# Signs that count as emoji but that nobody reads out, and the double marks.
_SIGNS: dict[int, str | None] = {
    **dict.fromkeys(map(ord, "©®™℠"), " "),
    **dict.fromkeys(range(0xE000, 0xF900)),  # private use: speak_emoji needs two of them for itself
    **dict.fromkeys(map(ord, "♡♥❥❦ღ"), "❤"),
    **dict.fromkeys(map(ord, "‼❗❕"), "!"),
    **dict.fromkeys(map(ord, "⁉❓❔"), "?"),
}
_OPEN, _CLOSE = "\ue000", "\ue001"
_EMOJI_RUN = re.compile(f"(?:{_OPEN}[^{_CLOSE}]*{_CLOSE}\\s*)+")
_SKIN_TONE = re.compile(r"[ ,:]*(?:medium-light|medium-dark|light|medium|dark) skin tone")
_UNSPOKEN_EMOJI = re.compile(r"\b(?:arrow|button|square|circle|diamond|mark|sign|dash|loop|skin tone)\b")


def speak_emoji(text: str, words: bool, language: str = "en") -> str:
    """`text` with each run of emoji as at most three different names between commas, or as a space.

    Skin tones are not said; flags are said by country, keycaps as their digit; arrows, buttons and marks that serve
    as bullets are left out. Without `words` no emoji is said.
    """
    text = as_emoji(text).translate(_SIGNS)
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

    return _EMOJI_RUN.sub(run_of, emoji.replace_emoji(text, name_of))
