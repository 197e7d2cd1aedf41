"""Texts are published, and spoken, without what points at people."""

import csv
import json
import os
import re
import unicodedata
from pathlib import Path
from socket import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import RowError
from pipeline.tweets import personal
from pipeline.tweets.personal import redacted, unescaped
from pipeline.tweets.text import TextOptions, spoken_text

# 100 forms that point at a person, made up here around example domains and numbers reserved for fiction, hard ones
# among them; 100 look-alikes that do not. `personal`: what must not be left, be it in another guise.
FORMS = json.loads((Path(__file__).parent / "personal_forms.json").read_text(encoding="utf-8"))
PERSONAL = [(form["text"], form["personal"]) for form in FORMS if form["kind"] != "harmless"]
HARMLESS = [form["text"] for form in FORMS if form["kind"] == "harmless"]
OPTIONS = TextOptions(emoji="words", max_characters=280)

PIECES = st.sampled_from(
    ["@user", "@", "&#64;", "amp;", "&amp;#64;someone", "http://t.co/x", "https://", "www.a.b/c", "hello", "RT ", " ",
     "a@b.org", "t.co/abc", "😀", "\n", ":", "x"]
)  # fmt: skip


def spoken_or_nothing(text: str) -> str:
    try:
        return spoken_text(text, OPTIONS)
    except RowError:
        return ""


def letters(text: str) -> str:
    """In lower case, without what the eye does not see, the voice does not say, or both read as something else."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).lower()


@pytest.mark.parametrize("as_shown", [redacted, spoken_or_nothing])
def test_of_200_forms_the_personal_are_found_and_the_harmless_are_left(as_shown) -> None:  # type: ignore[no-untyped-def]
    assert (len(PERSONAL), len(HARMLESS), len({form["text"] for form in FORMS})) == (100, 100, 200)
    missed = [text for text, name in PERSONAL if letters(name) in letters(as_shown(text))]
    alarms = [text for text in HARMLESS if redacted(text) != unescaped(text)]
    found = len(PERSONAL) - len(missed)
    assert found / len(PERSONAL) >= 0.95, missed
    assert found / (found + len(alarms)) >= 0.99, alarms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RT @some_body: look https://t.co/AbC123 now", "look now"),
        ("mail me.too@example.org or @me, at 5 @ home", "mail or , at 5 @ home"),
        ("&#64;hidden &amp; seen", "& seen"),
        ("no handle here, 3 < 4", "no handle here, 3 < 4"),
        ("www.example.org/a?b=c pic.twitter.com/xyz", ""),
        ("you&nothing but an &eacute;", "you&nothing but an é"),
        ("🏳️‍🌈 ﬁne ½ @jane ½", "🏳️‍🌈 ﬁne ½ ½"),  # what is no one's stays as it was written
        ("wowww. awww.so cute", "wowww. awww.so cute"),
        ('seen (https://example.org/a) and "https://example.org/b"mirrored', 'seen ( ) and " "mirrored'),
    ],
)
def test_mentions_and_addresses_go_and_words_stay(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "bit。ly/jane", "bit．ly/jane", "bіt.ly/jane", "instagram.com?u=jane", "example.com#jane",
        "xn--e1afmkfd.com/jane",
        "https://[2001:db8::1]/jane", "https://example.org/a(b)jane", "jane＠example。com", "jane%40example.com",
        "jane dot doe at example dot com", "jane *at* example.com", "jane|at|example.com", "𝓳𝓪𝓷𝓮@𝓮𝔁𝓪𝓶𝓹𝓵𝓮.com",
        "&#00000000064;jane", "@\u3164jane", "@\u034fjane", "@\U000e0061jane", "@\u2800jane", "@\u00a0jane_doe",
        "IG:\njane_doe", "ig/janedoe", "IG-janedoe", "IG | janedoe", "snap me: janedoe", "my twitter is janedoe",
        "dm janedoe on ig", "jane_doe on instagram", "IG: jane, snap: jane99", "Ⓘⓖ: jane_doe", "cashapp: $janedoe",
    ],
)  # fmt: skip
def test_no_disguise_lets_a_name_through(text: str) -> None:
    assert "jane" not in letters(redacted(text))
    assert "jane" not in letters(spoken_or_nothing(text))


@pytest.mark.parametrize(
    "number",
    ["202 - 555 - 0143", "(202)555-0143 x12", "+1.202.555.0143", "٢٠٢-٥٥٥-٠١٤٣", "call:5550143", "tel. 0161 496 0143"],
)
def test_no_disguise_lets_a_number_through(number: str) -> None:
    for shown in (redacted(number), spoken_or_nothing(number)):
        assert not re.search(r"\d", shown)


@settings(deadline=None)
@given(st.lists(PIECES | st.text(max_size=8), max_size=12).map("".join))
def test_nothing_is_left_however_pieces_are_put_together(text: str) -> None:
    found = redacted(text)
    assert redacted(found) == found
    assert re.search(r"[@＠]\w|https?://\S|www\.\S", found, re.IGNORECASE) is None


def test_suffixes_are_known_without_a_network_and_without_a_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "connect", refused)
    personal._suffixes.cache_clear()
    assert redacted("see example.co.uk now") == "see now"
    assert not list(tmp_path.iterdir())


def test_in_real_tweets_nothing_but_links_and_handles_is_found() -> None:
    root = os.environ.get("SIER_REAL_CORPORA")
    if not root:
        pytest.skip("SIER_REAL_CORPORA is not set")
    with (Path(root) / "b_t4sa" / "raw_tweets_text.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    assert len(texts) == 315
    for text in texts:
        kept = re.sub(r"https?:[^\s\")]*|@user", " ", unescaped(text))
        if kept != unescaped(text):
            kept = re.sub(r"^RT :? ?(?=\S)", "", " ".join(kept.split()))
        assert redacted(text) == kept.strip() or redacted(text) == kept
