"""What a rater's clicks do, and what pages are given: without a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.frame.stage import BaseParams
from pipeline.media import audio
from pipeline.rating import consent, view
from pipeline.rating import session as sessions
from pipeline.rating.beginning import prepare
from pipeline.rating.session import RatingError, Session, Ticket, person
from pipeline.rating.turns import Progress, Task
from pipeline.tweets.params import TextParams
from tests.builders_sier import LABELS, write_sier

BASE = BaseParams(seed=0, labels=LABELS)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    write_sier(tmp_path)
    ratings, items = prepare(tmp_path / "r.sqlite", tmp_path / "data" / "sier", BASE, 2)
    begun = Session(ratings, items, LABELS, 0, TextParams(emoji="words", max_characters=300))
    for name in ("ada", "eve", "kim"):
        begun.agree(name, consent.VERSION)
    return begun


def spoken(path: Path, seconds: float = 1.0, level: float = 0.3, rate_hz: int = 44_100) -> Path:
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    tone = level * np.sin(2 * np.pi * 220 * time)
    soundfile.write(path, np.stack([tone, tone], axis=1), rate_hz)
    return path


def test_a_session_ends_when_all_is_judged(session: Session) -> None:
    seen = []
    while (shown := session.next("ada")).ticket is not None:
        seen.append(shown.ticket.task)
        assert session.answer("ada", Ticket.load(shown.ticket.dump()), "sad")
    assert len(set(seen)) == 8 * 3
    assert shown.progress == Progress(24, 0, 16)
    answers = session.store.ratings()
    assert len(answers) == 24
    assert answers["label"].value_counts().to_dict() == dict.fromkeys(LABELS, 6)


def test_a_page_shows_what_is_to_be_judged_and_nothing_that_tells_the_answer(session: Session) -> None:
    session.add_reading("eve", next(iter(session.items)), spoken(session.store.path.with_name("a.wav")))
    kinds = set()
    while (shown := session.next("ada")).ticket is not None:
        task = shown.ticket.task
        page = view.task(shown)
        kinds.add(task.condition)
        assert ("<img" in page) == ("image" in task.condition)
        assert ("<audio" in page) == ("speech" in task.condition)
        words = re.sub(r'src="[^"]*"', "", page).lower()
        item = session.items[task.id]
        assert not any(told in words for told in (*LABELS, item.id, item.text.lower()))
        session.answer("ada", shown.ticket, None)
    assert kinds == {"image", "synthetic_speech", "synthetic_speech_image", "human_speech", "human_speech_image"}


def test_the_voice_of_a_person_is_the_reading(session: Session) -> None:
    key = next(iter(session.items))
    recording = spoken(session.store.path.with_name("a.wav"), seconds=1.5)
    session.add_reading("eve", key, recording)
    kept = session.store.recording(session.store.readings()[key][0][0])
    waveform = audio.decode(kept)
    assert len(waveform) == pytest.approx(1.5 * audio.SAMPLING_RATE_HZ, abs=2)
    assert float(np.sqrt(np.mean(waveform**2))) == pytest.approx(0.3 / 2**0.5, rel=0.01)
    heard = {}
    while (shown := session.next("ada")).ticket is not None:
        heard[shown.ticket.task.condition, shown.ticket.task.id] = shown.speech
        session.answer("ada", shown.ticket, "sad")
    assert heard["human_speech", key] == heard["human_speech_image", key] == kept
    assert heard["synthetic_speech", key] == session.items[key].speech
    assert set(session.store.ratings().query("id == @key and condition == 'human_speech'")["reader"]) == {"eve"}


def test_who_has_not_agreed_is_asked_nothing_and_nothing_is_kept(session: Session, tmp_path: Path) -> None:
    ticket = session.next("ada").ticket
    assert ticket is not None
    key, path = next(iter(session.items)), spoken(tmp_path / "a.wav")
    attempts: list[Callable[[], object]] = [
        lambda: session.next("mallory"), lambda: session.answer("mallory", ticket, "sad"),
        lambda: session.take_back("mallory"), lambda: session.next_text("mallory"),
        lambda: session.add_reading("mallory", key, path),
    ]  # fmt: skip
    for attempt in attempts:
        with pytest.raises(RatingError, match="please agree"):
            attempt()
    for version, says in (("", "tick that you agree"), ("0" * 16, "load the page again"), ("true", "load the page")):
        with pytest.raises(RatingError, match=says):
            session.agree("mallory", version)
    assert (len(session.store.ratings()), session.store.readings()) == (0, {})


def test_another_text_is_asked_anew(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    assert session.has_agreed("ada")
    monkeypatch.setattr(consent, "VERSION", "f" * 16)
    with pytest.raises(RatingError, match="please agree"):
        session.next("ada")
    session.agree("ada", "f" * 16)
    assert session.next("ada").ticket is not None


def test_a_page_that_is_open_when_its_rater_withdraws_keeps_nothing(session: Session, tmp_path: Path) -> None:
    ticket = session.next("ada").ticket
    assert ticket is not None
    session.add_reading("ada", next(iter(session.items)), spoken(tmp_path / "a.wav"))
    assert session.store.withdraw("ada") is not None
    with pytest.raises(RatingError, match="please agree"):
        session.answer("ada", ticket, "sad")
    assert (len(session.store.ratings()), session.store.readings()) == (0, {})


def test_the_text_says_why_what_where_and_how_to_withdraw() -> None:
    for word in ("Purpose", "What is kept", "Where, and for how long", "Withdrawing", "recordings of your voice"):
        assert word in consent.TEXT


def test_a_double_click_and_an_old_page_change_nothing(session: Session) -> None:
    first = session.next("ada").ticket
    assert first is not None
    assert session.answer("ada", first, "sad")
    assert not session.answer("ada", first, "hate")
    assert session.store.ratings()["answer"].tolist() == ["sad"]


@pytest.mark.parametrize("heard", [False, True])
def test_who_has_read_a_text_does_not_judge_it_by_a_page_that_was_open(
    session: Session, tmp_path: Path, heard: bool
) -> None:
    path = spoken(tmp_path / "a.wav")
    for key in session.items if heard else ():
        session.add_reading("eve", key, path)
    tickets = []
    while (shown := session.next("ada")).ticket is not None:
        tickets.append(shown.ticket)
        session.answer("ada", shown.ticket, None)
    while session.take_back("ada"):
        pass
    assert any(ticket.task.reading for ticket in tickets) == heard
    own = tickets[0].task.id
    session.add_reading("ada", own, path)
    for ticket in tickets:
        assert session.answer("ada", ticket, "sad") == (ticket.task.id != own)
    assert own not in set(session.store.ratings()["id"])


def test_an_answer_whose_text_was_read_aloud_since_stays(session: Session, tmp_path: Path) -> None:
    shown = session.next("ada").ticket
    assert shown is not None
    assert session.answer("ada", shown, "sad")
    session.add_reading("ada", shown.task.id, spoken(tmp_path / "a.wav"))
    assert session.take_back("ada") is None
    assert session.store.ratings()["answer"].tolist() == ["sad"]


def test_an_answer_taken_back_is_asked_again(session: Session) -> None:
    assert session.take_back("ada") is None
    first = session.next("ada").ticket
    assert first is not None
    session.answer("ada", first, "sad")
    shown = session.take_back("ada")
    assert shown is not None
    assert shown.ticket is not None
    assert shown.ticket.task == first.task
    assert session.answer("ada", shown.ticket, "hate")
    assert session.store.ratings()["answer"].tolist() == ["hate"]


@given(st.one_of(st.text(), st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps)))
def test_a_page_that_sends_nonsense_is_told_to_load_again(text: str) -> None:
    with pytest.raises(RatingError, match="load it again"):
        Ticket.load(text)


@pytest.mark.parametrize(
    "changed",
    [
        {"task": {"id": 1, "condition": "image"}}, {"task": {"id": "1-0", "condition": "smell"}},
        {"task": {"id": "1-0", "condition": "human_speech", "reading": True}}, {"shown_at": float("nan")},
        {"task": {"id": "1-0", "condition": "image", "label": "sad"}}, {"shown_at": "0"}, {"more": 1},
    ],
)  # fmt: skip
def test_a_ticket_with_other_kinds_of_values_is_none(changed: dict[str, object]) -> None:
    ticket = {"task": {"id": "1-0", "condition": "image"}, "shown_at": 0}
    assert Ticket.load(json.dumps(ticket)) == Ticket(Task("1-0", "image"), 0.0)
    with pytest.raises(RatingError, match="load it again"):
        Ticket.load(json.dumps(ticket | changed))


@pytest.mark.parametrize(
    "task",
    [
        Task("../../etc/passwd", "image"), Task("nowhere", "image"), Task("900-0", "human_speech"),
        Task("900-0", "human_speech", 7), Task("900-0", "image", 1),
    ],
)  # fmt: skip
def test_a_forged_ticket_is_refused(session: Session, task: Task) -> None:
    key = next(iter(session.items))
    session.add_reading("eve", key, spoken(session.store.path.with_name("a.wav")))
    forged = Task(key if task.id == "900-0" else task.id, task.condition, task.reading)
    with pytest.raises(RatingError, match="load it again"):
        session.answer("ada", Ticket(forged, 0.0), "sad")
    shown = session.next("ada").ticket
    assert shown is not None
    with pytest.raises(RatingError, match="load it again"):
        session.answer("ada", shown, "joy")
    assert not len(session.store.ratings())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be used"), (b"RIFF but no sound at all", "cannot be used"),
        ((0.2, 0.3), "at least 0.5 s"), ((1.0, 0.0), "root mean square"), ((121.0, 0.3), "at most 120"),
    ],
)  # fmt: skip
def test_what_is_no_reading_is_refused_and_not_kept(
    session: Session, tmp_path: Path, content: bytes | tuple[float, float], says: str
) -> None:
    path = tmp_path / "recording.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        spoken(path, *content, rate_hz=8_000)
    with pytest.raises(RatingError, match=says):
        session.add_reading("eve", next(iter(session.items)), path)
    assert session.store.readings() == {}


def test_a_reading_of_another_row_or_too_large_or_a_second_one_is_refused(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = next(iter(session.items))
    path = spoken(tmp_path / "recording.wav")
    with pytest.raises(RatingError, match="another draw"):
        session.add_reading("eve", "../r.sqlite", path)
    session.add_reading("eve", key, path)
    with pytest.raises(RatingError, match="already"):
        session.add_reading("eve", key, path)
    monkeypatch.setattr(sessions, "READING_BYTES_MAX", 1_000)
    with pytest.raises(RatingError, match="larger than"):
        session.add_reading("kim", key, path)


def test_readers_are_given_the_words_that_the_voice_says(session: Session) -> None:
    item = session.next_text("eve")
    assert item is not None
    changed = type(item)(item.id, item.label, "RT @ada: so &amp; so https://t.co/x", item.image, item.speech)
    assert session.words(changed) == "so and so"
    assert "<script>" not in view.text("<script>alert(1)</script>")


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "a\x00b", "a\u202eb"])
def test_names_that_the_eye_cannot_tell_from_others_are_refused(name: str) -> None:
    with pytest.raises(RatingError, match="name"):
        person(name)


@pytest.mark.parametrize("name", ["  Zoë \t Lovelace ", "ZOË LOVELACE", "zoe\u0308 lovelace"])
def test_one_person_is_one_however_the_name_is_written(name: str) -> None:
    assert person(name) == "zoë lovelace"


def test_ratings_of_another_dataset_or_draw_are_not_mixed(tmp_path: Path) -> None:
    write_sier(tmp_path)
    path, folder = tmp_path / "r.sqlite", tmp_path / "data" / "sier"
    first, items = prepare(path, folder, BASE, 2)
    assert prepare(path, folder, BASE, None)[1] == items
    with pytest.raises(UserError, match="begun with --per-class 2"):
        prepare(path, folder, BASE, 3)
    assert prepare(path, folder, BaseParams(seed=5, labels=LABELS), 2)[1] == items  # the draw stays
    assert first.settings()["seed"] == "0"
    with pytest.raises(
        UserError, match=r"begun with the labels anger, happy, hate, sad, and base\.labels .* is anger, joy"
    ):
        prepare(path, folder, BaseParams(seed=0, labels=("anger", "joy")), 2)
    other = tmp_path / "other"
    write_sier(other, seed=1)  # a row less, which was not drawn, and one more
    assert prepare(path, other / "data" / "sier", BASE, 2)[1] == items
    write_sier(tmp_path / "third", seed=8)
    with pytest.raises(UserError, match="of its 8 rows are not in"):
        prepare(path, tmp_path / "third" / "data" / "sier", BASE, 2)
