"""The recogniser and a voice that says known sentences, whole and damaged."""

from __future__ import annotations

from pathlib import Path

import ctranslate2
import numpy as np
import pytest

from models.weights.whisper_weights import MODEL_FILE
from pipeline.errors import UserError
from pipeline.media import audio
from pipeline.speech import recogniser as module
from pipeline.speech.intelligibility import compare
from pipeline.speech.recogniser import Recogniser, digest_of
from tests import voice

pytestmark = voice.needs_hibari
SENTENCE = "I missed the last train home, so now I am walking along the river in the rain."


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser()


@pytest.fixture(scope="module")
def spoken() -> audio.Waveform:
    return voice.spoken(SENTENCE)


@pytest.mark.parametrize("thorough", [False, True])
def test_a_spoken_sentence_is_heard(recogniser: Recogniser, spoken: audio.Waveform, thorough: bool) -> None:
    heard = recogniser.text(spoken, thorough=thorough)
    assert compare(SENTENCE, heard).word_error_rate == 0
    assert recogniser.text(spoken, thorough=thorough) == heard


def test_the_end_of_a_recording_that_is_cut_off_is_missing(recogniser: Recogniser, spoken: audio.Waveform) -> None:
    hearing = compare(SENTENCE, recogniser.text(spoken[: len(spoken) // 2]))
    assert hearing.missing_end_words > 3


def test_another_sentence_and_noise_are_mostly_wrong(recogniser: Recogniser, spoken: audio.Waveform) -> None:
    other = compare("Bins not emptied for three weeks, maggots everywhere.", recogniser.text(spoken)).word_error_rate
    assert other is not None
    assert other > 0.8
    noise = np.random.default_rng(1).normal(0, 0.2, len(spoken)).astype(np.float32)
    rate = compare(SENTENCE, recogniser.text(noise)).word_error_rate
    assert rate is not None
    assert rate > 0.8


@pytest.mark.parametrize("thorough", [False, True])
def test_words_do_not_depend_on_what_is_heard_with_them(
    recogniser: Recogniser, spoken: audio.Waveform, thorough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among recordings of its length, of others, of silence and of noise, in batches of any size."""
    noise = np.random.default_rng(1).normal(0, 0.1, len(spoken)).astype(np.float32)
    clips = [
        spoken, spoken[: len(spoken) // 2], np.zeros(9_000, np.float32), noise, spoken[2_000:], spoken[::-1].copy(),
        spoken * np.float32(0.3), spoken[: len(spoken) // 3], np.concatenate([spoken] * 7), spoken[:-2_000],
    ]  # fmt: skip
    alone = [recogniser.text(clip, thorough=thorough) for clip in clips]
    assert alone[2] == ""
    assert len(set(alone)) > 4
    assert recogniser.texts(clips, thorough=thorough) == alone
    assert recogniser.texts(clips[::-1], thorough=thorough) == alone[::-1]
    monkeypatch.setattr(module, "BATCH_RECORDINGS", 2)
    assert recogniser.texts(clips, thorough=thorough) == alone
    assert recogniser.texts([], thorough=thorough) == []


def test_nothing_is_heard_in_silence(recogniser: Recogniser) -> None:
    assert recogniser.text(np.zeros(16_000, dtype=np.float32)) == ""


def test_of_a_long_recording_the_first_half_minute_is_heard(recogniser: Recogniser, spoken: audio.Waveform) -> None:
    limit = 30 * 16_000
    long = np.concatenate([spoken, np.zeros(limit, dtype=np.float32)])
    assert recogniser.text(np.concatenate([long[:limit], spoken])) == recogniser.text(long[:limit])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The packaged model as a folder of one's own, whose files can be replaced."""
    for name in MODEL_FILE.digests:
        (tmp_path / name).symlink_to(MODEL_FILE.path().with_name(name))
    return tmp_path


def test_the_same_files_elsewhere_hear_the_same_and_make_nothing_stale(
    recogniser: Recogniser, spoken: audio.Waveform, folder: Path
) -> None:
    assert digest_of(str(folder)) == digest_of(None)
    assert Recogniser(str(folder)).text(spoken) == recogniser.text(spoken)


@pytest.mark.parametrize("name", list(MODEL_FILE.digests))
def test_another_file_gives_another_digest(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).write_bytes(b"other")
    first = digest_of(str(folder))
    (folder / name).write_bytes(b"another")
    assert len({digest_of(None), first, digest_of(str(folder))}) == 3


@pytest.mark.parametrize("name", ["config.json", "model.bin", "tokenizer.json"])
def test_a_folder_that_lacks_a_file_is_refused_before_any_work(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UserError, match=rf"^synthesize\.recognition\.model = .*: {name} not found; expected a folder"):
        digest_of(str(folder))


@pytest.mark.parametrize("model", ["missing", "config.json", "\0", "x" * 5_000])
def test_what_is_no_folder_is_refused(folder: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match=r"config\.json, model\.bin, tokenizer\.json not found|name too long") as caught:
        digest_of(model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.bin", "tokenizer.json", "vocabulary.txt"])
@pytest.mark.parametrize("content", [b"", b"no model", b"\xff\xfe{", b"[]"])
def test_files_that_are_no_model_are_one_line(folder: Path, name: str, content: bytes) -> None:
    (folder / name).unlink()
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=r"^synthesize\.recognition\.model = .*: not a Whisper model") as caught:
        Recogniser(str(folder))
    assert "\n" not in str(caught.value)


def test_english_models_and_unknown_languages_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"= null: the packaged Whisper knows English only, and base\.language = de"):
        Recogniser(None, "de")
    with pytest.raises(UserError, match=r"does not know base\.language = de; expected a Whisper of many languages"):
        Recogniser(str(folder), "de")
    monkeypatch.setattr(ctranslate2.models.Whisper, "is_multilingual", True)
    with pytest.raises(UserError, match=r"does not know base\.language = qq"):
        Recogniser(str(folder), "qq")


def test_another_language_has_another_digest() -> None:
    assert digest_of(None) == digest_of(None, "en") != digest_of(None, "de")
