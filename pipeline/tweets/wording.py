"""Rules of wording: what Twitter adds, what a lossy export leaves, hashtags, signs that are words, pauses.

In   text without links and addresses, in NFKC
Out  groups of rules, which `pipeline.tweets.text` applies in their order
"""

import re

from pipeline.tweets.hashtags import hashtag_words
from pipeline.tweets.personal import MENTION
from pipeline.tweets.spoken_forms.rules import rules

_FUNCTION_WORDS = re.compile(
    r"(?i)(?:a|an|the|my|your|our|his|her|its|their|this|that|some|any|no|of|in|at|on|to|for|from|by|with|as|and|or|but"
    r"|is|are|was|be|so|very|too)"
)


def _hashtag_run(match: re.Match[str]) -> str:
    """Hashtags as words: part of the sentence where it goes on after them, else a list set off from it."""
    tags = [words for words in map(hashtag_words, _HASHTAG.findall(match[0])) if words]
    before = match.string[: match.start()].split()
    if before and _SENTENCE_GOES_ON.match(match.string, match.end()):
        return f" {' '.join(tags)} "
    listed = len(tags) > 1 and before and not _FUNCTION_WORDS.fullmatch(before[-1])
    return f"{', ' if listed else ' '}{', '.join(tags)} "


_HASHTAG = re.compile(r"#(\w+)")
_SENTENCE_GOES_ON = re.compile(r"\s*(?!(?:and|or)\b)[a-z]")
_QUESTION_WORDS = (
    r"\b(?:who|whose|what|when|where|which|why|how|is|are|was|were|do|does|did|can|could|will|would|should|have|has"
    r"|isn't|aren't|don't|doesn't|didn't|can't|won't)\b"
)
_LAST_SENTENCE = re.compile(r"[^.!?]*$")
_OPENING_QUESTION = re.compile(rf"\W*(?:(?:and|but|so|oh|hey|ok|well|now) )?{_QUESTION_WORDS}", re.IGNORECASE)


def _detached_question_mark(match: re.Match[str]) -> str:
    # A question mark after a space is what a lossy export leaves of an emoji, unless the sentence asks something.
    sentence = _LAST_SENTENCE.search(match.string[max(0, match.start() - 200) : match.start()])
    return "? " if sentence and _OPENING_QUESTION.match(sentence[0]) else " "


def _inches(match: re.Match[str]) -> str:
    # 7" is a length unless the mark closes a quotation.
    return f"{match[1]} inch" if match.string.count('"', 0, match.start()) % 2 == 0 else match[0]


RETWEETS = rules(
    (rf"(?:(?<![>\s])[>\s]++)?\b(?:RT|MT)\s*+(?::\s*+)?{MENTION}\s*:?", ". ", "@"),
    (rf"(?i)\b(?:via|cc)\s*:?\s*(?:{MENTION}[\s,]*)+", " ", "@"),
    (rf"\"\s*{MENTION}\s*:", " ", "@"),
)

LOST_CHARACTERS = rules(  # an apostrophe, an emoji, an accent
    (r"(?<=[a-z])[?\ufffd](?=(?:t|s|re|ll|ve|m|d)\b)", "'"),
    (r"(?<=\s)\?+(?=[\w#@])", " ", "?"),
    (r"(?<=\s)[?\ufffd]{2,}(?=\s|$)|(?<=\s)\?(?=\s|$)", _detached_question_mark),
    (r"(?<=[^\W_])\?+(?=[^\W_])", " ", "?"),
)

HASHTAGS = rules(
    (r"#([0-9]{1,3})\b", r" number \1 ", "#"),
    (r"(?<=[.!?])(?=#)|(?<=\w)-(?=#)", " ", "#"),
    (r"(#\w+)'(?=\w{3})", r"\1"),  # whati'mloving
    (r"#\w+(?:[\s,]*#\w+)*", _hashtag_run, "#"),
)

_SHORT = {"w/o": "without", "b/c": "because", "s/o": "shout out to", "ft.": "featuring", "feat.": "featuring"}

_PER = {"hr": "hour", "wk": "week", "mo": "month", "yr": "year"}
_PER |= {word: word for word in ("hour", "day", "night", "week", "month", "year", "person")}

SIGNS = rules(
    (r"(?:^|\s)@\s", " at ", "@"),
    (r"\bRT\s*\+\s*F\b", "retweet and follow", "+"),
    (r"\bRTs\b", "retweets", "RT"),
    (r"\bRT\b", "retweet", "RT"),
    (r"(?i)(?<![\w/])(w/o|b/c|s/o|ft\.|feat\.)(?=\s)(?:(?<=s/o)\sto\b)?", lambda match: _SHORT[match[1].lower()]),
    (r"(?i)\bw/\s*", "with ", "/"),
    (r"(?i)(?<=\s)(?:vs\.?|v\.)(?=\s)", "versus"),
    (r"\b(St|Mt)\. (?=[A-Z][a-z])", lambda match: {"St": "Saint", "Mt": "Mount"}[match[1]] + " ", "t. "),
    (r"\b(Dr|Mr|Mrs|Ms)\. (?=[A-Z])", r"\1 "),  # a voice would end its sentence
    (r"(?<=[A-Za-z])\$(?=[A-Za-z])", "s", "$"),
    (r"\s*&\s*", " and ", "&"),
    (r"(?<=[A-Za-z])\+\+(?!\w)", " plus plus", "+"),
    (r"(?<=\w)\+(?!\w)", " plus", "+"),
    (r"(?<=\b[a-z0-9])\s\+\s|(?<=squared)\s\+\s|(?<=cubed)\s\+\s", " plus ", "+"),
    (r"\s\+\s", " and ", "+"),
    (r"\b([A-D])-(?= (?:on|in|for|from|average|grade|student)\b|$)", r"\1 minus", "-"),
    (r"\s=\s|(?<=\w)=(?=\w)", " equals ", "="),
    (rf"(?<=\w)/({'|'.join(_PER)})\b", lambda match: f" per {_PER[match[1]]}", "/"),
    (r"\bNo\. ?(?=[0-9])|\bno\.(?=[0-9])", "number ", "o."),
    (r"\b([0-9]{1,3})\"(?=\s)", _inches, '"'),
    (r"(?i)(?<!\.)\.(com|org|net)\b", r" dot \1", "."),
    (r"(?<=\w)\(([a-z]{1,2})\)", r"\1", "("),  # tab(s)
)

PAUSES = rules(  # line ends, brackets, dashes, ellipses
    (r"\s*[\r\n\x0b\x0c\x85\u2028\u2029]+\s*", ", "),
    (r"\s*[()\[\]{}|•·~]+\s*|\s-+\s|-{2,}|(?<=[^\W\d_])-(?=\s)", ", "),
    (r"(?:(?<!\s)\s++)?(?<!\.)(?<!\.\s)(?:\.\s?+){2,}+(?=\s*+[a-z])", ", ", "."),
    (r"(?:(?<!\s)\s++)?(?:\.\s?+){2,}+", ". ", "."),
    (r"(?<![0-9])/|/(?![0-9])", " ", "/"),
    (r"\"", " ", '"'),
)


def _strongest(match: re.Match[str]) -> str:
    return next(mark for mark in "?!.;:," if mark in match[0]) + " "


TIDY = rules(
    (r"(?i)\b(ha|he|lo|la)\1{2,}h?\b", r"\1 \1"),  # hahahaha
    (r"(?<!\w)'(\w[^']*\w)'(?!\w)", r"\1", "'"),
    (r"(?<![^\W_])'+(?![^\W_])|'{2,}", " ", "'"),
    (r"(?<!\w)-+|-+(?!\w)|(?<!\w)/+|/+(?!\w)", " "),
    (r"\s+(?=[.,!?;:](?:\s|$))", ""),
    (r"[.,!?;:](?:\s*[.,!?;:])+(?=\s|$)", _strongest),
    (r"([!?,;])\1+", r"\1"),
    (r"([!?;,])(?=[^\W\d_])|(?<=[a-z]{2})([:.])(?=[A-Z][a-z])", r"\1\2 "),
    (r"\s+", " "),
)
