"""Who says a row: named speakers only, the same in each build, and none of it by sentiment."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import UserError
from pipeline.frame.params import section
from pipeline.speech.params import SynthesizeParams
from pipeline.speech.script import (
    Cast,
    ProsodyParams,
    Script,
    SpeakerParams,
    Utterance,
    cast_of,
)
from pipeline.voices import PLAIN, Prosody, voice_of

KNOWN = ("ann", "bob", "cat")
LOUDER = ProsodyParams(Prosody(0.8, -6.0), PLAIN, Prosody(1.25, 0.0))
ROW = {"id": "7-1", "tweet_id": "7", "spoken_text": "Good day.", "sentiment": "negative"}


def test_a_tweet_keeps_its_speaker_in_all_its_rows_and_in_each_seed() -> None:
    casts = [cast_of(SpeakerParams("by_tweet", KNOWN), KNOWN, "model", seed) for seed in (1, 2)]
    for tweet in map(str, range(200)):
        assert len({cast.speaker(f"{tweet}-{image}", tweet) for cast in casts for image in range(4)}) == 1


@pytest.mark.parametrize("policy", ["by_tweet", "random"])
def test_speakers_share_the_rows_evenly(policy: str) -> None:
    cast = cast_of(SpeakerParams(policy, KNOWN), KNOWN, "model", 7)  # type: ignore[arg-type]
    found = Counter(cast.speaker(f"{tweet}-1", str(tweet)) for tweet in range(3_000))
    assert set(found) == set(KNOWN)
    assert all(900 < count < 1_100 for count in found.values())


def test_a_random_draw_is_another_one_with_another_seed_and_the_same_with_the_same() -> None:
    draws = [
        [cast_of(SpeakerParams("random"), KNOWN, "model", seed).speaker(f"{row}-1", str(row)) for row in range(50)]
        for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_one_speaker_is_the_voice_s_own_or_the_one_that_is_named() -> None:
    assert cast_of(SpeakerParams(), KNOWN, "model", 7).speaker("1-1", "1") is None
    assert cast_of(SpeakerParams("one", ("bob",)), KNOWN, "model", 7).speaker("1-1", "1") == "bob"


def test_without_names_all_speakers_of_the_voice_are_chosen_from() -> None:
    assert cast_of(SpeakerParams("by_tweet"), KNOWN, "model", 7).names == KNOWN


@pytest.mark.parametrize(
    ("params", "known", "message"),
    [
        (
            SpeakerParams("by_tweet", ("ann", "eve")), KNOWN,
            "synthesize.speakers.names: eve is no speaker of the voice model; expected one of: ann, bob, cat",
        ),
        (
            SpeakerParams("one", ("eve",)), tuple(map(str, range(100))),
            ("synthesize.speakers.names: eve is no speaker of the voice model; expected one of: 0, 1, 2, 3, 4, 5, 6, "
            "7, 8, 9 and 90 more"),
        ),
        (
            SpeakerParams("one", ("ann",)), (),
            ("synthesize.speakers.names: ann is no speaker of the voice model; expected no names: it has one speaker "
            "only"),
        ),
        (
            SpeakerParams("one", ("ann", "bob")), KNOWN,
            ("synthesize.speakers.names: 2 names with the policy one; expected one name, or the policy by_tweet or "
            "random"),
        ),
        (
            SpeakerParams("random"), (),
            ("synthesize.speakers.policy = random: the voice model offers 0 speakers to choose from; expected two or "
            "more, or the policy one"),
        ),
        (
            SpeakerParams("by_tweet", ("bob",)), KNOWN,
            ("synthesize.speakers.policy = by_tweet: the voice model offers 1 speakers to choose from; expected two or "
            "more, or the policy one"),
        ),
    ],
)  # fmt: skip
def test_a_cast_that_the_voice_cannot_give_is_one_line(
    params: SpeakerParams, known: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        cast_of(params, known, "model", 7)
    assert str(caught.value) == message


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="names that differ"):
        SpeakerParams("by_tweet", ("ann", "ann"))


def test_prosody_follows_the_sentiment_and_speakers_do_not() -> None:
    script = Script(Cast("by_tweet", KNOWN), LOUDER)
    said = [script.utterance({**ROW, "sentiment": sentiment}) for sentiment in ("negative", "neutral", "positive")]
    assert [one.prosody for one in said] == [Prosody(0.8, -6.0), PLAIN, Prosody(1.25, 0.0)]
    assert len({one.speaker for one in said}) == 1
    assert Script(Cast("one", ()), None).utterance(ROW) == Utterance("Good day.")


utterances = st.builds(
    Utterance,
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20),
    st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8),
    st.builds(Prosody, st.floats(0.5, 2.0), st.floats(-20.0, 0.0)),
)


@given(utterances, utterances)
def test_utterances_have_the_same_key_if_they_are_the_same(one: Utterance, other: Utterance) -> None:
    assert (one.key == other.key) == (one == other)
    assert Utterance(one.text).key != Utterance(one.text, "").key != Utterance(one.text, "ann").key


def test_a_plain_utterance_is_known_by_the_sha256_of_its_text() -> None:
    """So what earlier versions chose to transcribe is chosen still."""
    assert Utterance("abc").key == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_example_of_the_page_on_voices_is_valid() -> None:
    page = (PROJECT / "docs" / "how-to" / "voices.md").read_text(encoding="utf-8")
    shown = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert shown
    sections = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    sections["synthesize"] |= yaml.safe_load(shown[1])["synthesize"]
    params = section(sections, "synthesize", SynthesizeParams)
    assert params.speakers == SpeakerParams("by_tweet", ("p225", "p226", "p227"))
    assert params.prosody is not None
    assert params.prosody.of("negative") == Prosody(0.9, -3.0)


def test_the_column_voice_names_model_and_speaker() -> None:
    assert voice_of("facebook/mms-tts-eng", None) == "facebook/mms-tts-eng"
    assert voice_of("tts_models/en/vctk/vits", "p225") == "tts_models/en/vctk/vits:p225"
