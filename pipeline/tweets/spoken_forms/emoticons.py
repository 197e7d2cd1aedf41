"""Emoticons and kaomoji to the emoji that say the same, whose names `emoji_words` knows; other faces to nothing.

In   text with its entities read, links and all
Out  ":'(" -> "😢", "<3" -> "❤️", "(´・ω・`)" -> " ": what no emoji says, nobody could name
"""

import re

# A face ends at a word or not: ":(this" opens a bracket, ":)thanks" lacks a space.
_EMOTICONS = tuple(
    (re.compile(pattern), f" {sign} ")
    for pattern, sign in (
        (r"(?<![\w:;=])>[:;=]-?[)\]D]", "😈"),
        (r"(?<![\w:;=])>[:=]-?[(\[]", "😠"),
        (r"(?<![\w:;=])[:=;]['’,]-?[(\[](?!\w)", "😢"),
        (r"(?<![\w:;=])[:=]['’]-?[)\]D](?!\w)", "😂"),
        (r"(?<![:\d])(?:[:=][-^o]?[)\]}]+(?!\d)|:-?>)|(?<![\w:;=)])\([-^]?[:=](?![\w:;=])", "🙂"),
        (r"(?<![:\d])[:=][-^o]?[(\[{]+(?!\w)|(?<![\w:;=)])\)[-^]?[:=](?![\w:;=)/])|(?<!\S):[cC](?!\S)", "☹️"),
        (r"(?<![:\d]);[-^]?\)+(?!\d)", "😉"),
        (r"(?<![\w:;=])(?:[:=;][-^]?D+)+\b|(?<!\S)8-?D\b", "😀"),
        (r"\b(?:XD+|xD+|xd|[xX]-D)\b", "😆"),
        (r"(?<![\w:;=])[:=][-^]?[pPb](?![\w/])", "😛"),
        (r"(?<![\w:;=]);[-^]?[pPb](?![\w/])", "😜"),
        (r"(?<![\w:;=])[:=][-^]?[oO0](?![\w/])", "😮"),
        (r"(?<![\w:;=])[:=][-^]?[/\\](?![\w/\\])", "😕"),
        (r"(?<![\w:;=])[:=][-^]?\*+(?!\w)", "😘"),
        (r"(?<![\w:;=])[:=][-^]?\|(?!\w)", "😐"),
        (r"(?<!\S):-?[sS](?!\S)|\(?(?<!\w)>[_.]+<(?!\w)\)?", "😖"),
        (r"(?<!\S):-?\$(?!\S)|(?<!\w)(?:[oO0][_.]O|O[_.][o0])(?!\w)", "😳"),
        (r"(?<!\S)(?:8-\)|B-?\))(?!\S)", "😎"),
        (r"(?<!\S):3(?!\S)|\(?(?<!\w)\^[_.-]?\^;*(?!\w)\)?", "😊"),
        (r"(?<![0-9<])(?:</+3+)+(?!\d)", "💔"),
        (r"(?<![0-9<])(?:<3+)+(?!\d)", "❤️"),
        (r"(?<![^\W_])(?:[Tt][_.][Tt]|ToT|[QPq]_+[Qqp]|;_+;)(?![^\W_])", "😭"),
        (r"\(?(?<!\w)-[_.]+-;*(?!\w)\)?", "😑"),
        (r"(?<!\w)(?:u_+u|U_+U)(?!\w)", "😔"),
        (r"(?<!\w)(?:[xX]_+[xX]|@_+@)(?!\w)", "😵"),
        (r"(?<![\w(])\([yY]\)(?!\w)", "👍"),
        (r"(?<!\S)\\[oO]/(?!\S)", "🙌"),
        (r"¯\\?\\?_?\\?\(?ツ\)?_?\\?/?¯", "🤷"),
        (r"[(（][^()（）]{0,6}□[^()（）]{0,6}[)）]\S?\s?︵\s?\S{1,5}", "😠"),
        (r"\(\s?͡°\s?͜ʖ\s?͡°\s?\)", "😏"),
        (r"ಠ_+ಠ", "😒"),
        (r"ʕ\S{1,7}ʔ", "🐻"),
    )
)  # fmt: skip
# What a text with any of them has; to ask takes less time than thirty patterns.
_MAY_BE_ONE = re.compile(
    r"[:=;][-^o'’,]?[)(\[\]{}>DpPboO0/\\*|$sScC3]|[)(][-^]?[:=]|[>:]-?[(<>]|<[/3]|[\w>;@^-][_.][\w<;@^-]|\^\^|[Tx]oT"
    r"|[xX]-?[dD]|8-|B-?\)|\([yY]\)|\\[oO]/|[ツ□͡ಠʔ]"
)
# Faces of signs, with their arms.
_KAOMOJI = re.compile(
    r"[ヽヾ╰╮ᕕ୧٩ლ＼\\~*]{0,2}[(（](?=[^()（）]{2,14}[)）])[^()（）A-Za-z0-9\n]+[)）][ノﾉづつシ╯︵┻━ᕗ୨۶ლ/\\~*:・゚゜✧☆]{0,9}"
)
_SIGN = re.compile(r"[^\w\s]")


def as_emoji(text: str) -> str:
    """`text` with emoji for its emoticons."""
    if _MAY_BE_ONE.search(text):
        for pattern, sign in _EMOTICONS:
            text = pattern.sub(sign, text)
    return text if text.isascii() else _KAOMOJI.sub(_face_or_words, text)


def _face_or_words(match: re.Match[str]) -> str:
    return " " if len(_SIGN.findall(match[0])) >= 4 else match[0]
