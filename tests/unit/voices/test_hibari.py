"""The packaged voice: the same samples for the same text, pitch and pace as asked for, a row for each odd text."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import RowError, UserError
from pipeline.speech.script import ProsodyParams, expect_pitch
from pipeline.voices import PEAK, PLAIN, HibariParams, Prosody, Voice, hibari, load_voice
from tests.voice import needs_hibari

PARAMS = HibariParams("hibari", "heart")
SENTENCE = "I missed the last train home, so now I am walking along the river in the rain."
HINT = "install it with: pip install -c constraints.txt '.[hibari]'"


@pytest.fixture(scope="module")
def voice() -> hibari.HibariVoice:
    return hibari.load(PARAMS)


@pytest.fixture(scope="module")
def model() -> Path:
    """The packaged voice's file."""
    package = pytest.importorskip("hibari")
    return Path(package.__file__).parent / "assets" / hibari.PACKAGED["heart"]


def octaves(voice: Voice, prosody: Prosody) -> NDArray[np.float64]:
    """The fundamental frequency [frames] as base-2 logarithm of Hz, as an estimator of others hears it in the sound."""
    waveform = voice.speak(SENTENCE, None, prosody)
    hz, _, certainty = librosa.pyin(waveform, fmin=70, fmax=900, sr=voice.sampling_rate_hz, hop_length=300)
    found: NDArray[np.float64] = np.log2(hz[(certainty > 0.1) & ~np.isnan(hz)])
    assert len(found) > 50
    return found


@needs_hibari
def test_the_same_text_is_the_same_samples_whatever_was_said_before_and_on_two_threads(
    voice: hibari.HibariVoice, model: Path
) -> None:
    from hibari import Hibari

    first = voice.speak(SENTENCE)
    assert (voice.name, voice.sampling_rate_hz, first.dtype, first.ndim) == ("heart", 24_000, np.dtype("float32"), 1)
    assert np.abs(first).max() == pytest.approx(PEAK, abs=1e-4)
    voice.speak("Something else in between, to move any state there may be.")
    assert np.array_equal(voice.speak(SENTENCE), first)
    two = hibari.load(PARAMS)
    two.__dict__["_engine"] = Hibari(model=str(model), g2p=voice._engine.g2p, threads=2)
    assert np.array_equal(two.speak(SENTENCE), first)
    script = (
        "import hashlib; from pipeline.voices import HibariParams, load_voice\n"
        "voice = load_voice(HibariParams('hibari', 'heart'))\n"
        f"print(voice.digest, hashlib.sha256(voice.speak({SENTENCE!r}).tobytes()).hexdigest())"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [voice.digest, hashlib.sha256(first.tobytes()).hexdigest()]


@needs_hibari
def test_another_seed_draws_other_noise_for_the_same_words(voice: hibari.HibariVoice) -> None:
    other = hibari.load(replace(PARAMS, seed=1))
    assert other.digest != voice.digest
    said, again = voice.speak(SENTENCE), other.speak(SENTENCE)
    assert len(said) == len(again)
    assert 0 < np.abs(said - again).max() < PEAK


@needs_hibari
def test_a_pitch_of_two_is_an_octave_and_a_range_of_zero_is_monotone(voice: hibari.HibariVoice) -> None:
    usual, high, flat, wide = (
        octaves(voice, prosody)
        for prosody in (PLAIN, Prosody(pitch=2.0), Prosody(pitch_range=0.0), Prosody(pitch_range=2.0))
    )
    assert np.median(high) - np.median(usual) == pytest.approx(1.0, abs=0.1)
    spread, none, double = (np.subtract(*np.percentile(found, [75, 25])) for found in (usual, flat, wide))
    assert none < 0.1 * spread
    assert double > 1.5 * spread


@given(
    st.lists(st.floats(0, 600, width=32), max_size=20), st.floats(0.5, 2.0), st.floats(0.0, 3.0)
)  # fmt: skip
def test_a_changed_pitch_is_a_voice_s_and_leaves_what_has_none(
    hz: list[float], pitch: float, pitch_range: float
) -> None:
    before = np.array(hz, dtype=np.float32)
    after = hibari.at_pitch(before, Prosody(pitch=pitch, pitch_range=pitch_range))
    voiced = before >= hibari.LOWEST_HZ
    assert np.array_equal(after[~voiced], before[~voiced])
    assert (after[voiced] >= hibari.LOWEST_HZ * 0.999).all()
    assert (after[voiced] <= hibari.HIGHEST_HZ * 1.001).all()
    assert np.array_equal(hibari.at_pitch(before, PLAIN), before)


def test_pitch_is_scaled_around_the_mean_of_its_logarithm() -> None:
    """100 and 400 Hz: the mean is 200; twice the distance is 50 and 800, half of it 141 and 283."""
    before = np.array([0, 100, 400], dtype=np.float32)
    assert hibari.at_pitch(before, Prosody(pitch_range=2.0)).tolist() == pytest.approx([0, 50, 800])
    assert hibari.at_pitch(before, Prosody(pitch=1.5, pitch_range=0.0)).tolist() == pytest.approx([0, 300, 300])
    assert hibari.at_pitch(before, Prosody(pitch=2.0, pitch_range=0.5)).tolist() == pytest.approx(
        [0, 200 * 2**0.5, 400 * 2**0.5]
    )


@needs_hibari
def test_pace_is_that_of_the_voice_times_the_row_s(voice: hibari.HibariVoice) -> None:
    usual, fast = voice.speak(SENTENCE), voice.speak(SENTENCE, None, Prosody(rate=2.0))
    assert 0.45 < len(fast) / len(usual) < 0.6  # a phoneme has one frame at least
    slow = hibari.load(replace(PARAMS, length_scale=2.0))
    assert 1.9 < len(slow.speak(SENTENCE)) / len(usual) < 2.1
    assert np.array_equal(slow.speak(SENTENCE, None, Prosody(rate=2.0)), usual)
    assert slow.digest != voice.digest


ODD = [
    *("", " ", "\n", "🎉🎉🎉", "!!!", "...", "\u200b", "日本", "<b>", "\x00", "½ €5 100%", "()()((((", "Mr. J. K."),
    *("a" * 300, "7" * 200, "1234567890" * 30, "a.m." * 60, "10^10^10", "1e400 nan inf", "٣٤ ⑨ ⅷ ²", "ſ ǅ ß İ ﬃ"),
    *("word " * 4_000, "a,b;c:d " * 300, "$1,000,000,000,000,000.999", "3rd of 1999s 25:61 1/0", "I'll've 'tis ''''"),
]  # fmt: skip


@needs_hibari
@pytest.mark.parametrize("text", ODD, ids=lambda text: ascii(text[:12]))
def test_odd_texts_are_speech_or_rejects_but_never_a_crash(voice: hibari.HibariVoice, text: str) -> None:
    try:
        waveform = voice.speak(text)
    except RowError as error:
        assert error.status in {"speech_empty", "speech_too_long", "speech_unreadable"}
        assert "\n" not in error.reason
    else:
        assert len(waveform) > 0
        assert np.isfinite(waveform).all()


@needs_hibari
@settings(deadline=None)
@given(text=st.text(st.characters(codec="utf-8") | st.sampled_from("0123456789.,:/-+$€£%'[]()# "), max_size=60))
def test_any_text_is_read_or_rejected(voice: hibari.HibariVoice, text: str) -> None:
    try:
        assert voice.phonemes(text)
    except RowError as error:
        assert error.status in {"speech_empty", "speech_unreadable"}


@needs_hibari
def test_a_tweet_cannot_write_phonemes(voice: hibari.HibariVoice) -> None:
    injected = "[so](/hˈI/)"
    assert voice._engine.phonemize(injected) == ["hˈI"]  # the engine does read them
    assert voice.phonemes(injected) == voice.phonemes("(so)(/hˈI/)") != ["hˈI"]


@needs_hibari
def test_a_slow_voice_speaks_shorter_sentences_only(voice: hibari.HibariVoice) -> None:
    text = "word " * 75
    assert len(voice.speak(text)) > 10 * voice.sampling_rate_hz
    with pytest.raises(RowError, match=r"a sentence of 902 phonemes at the voice's pace, at most 700 are spoken"):
        voice.speak(text, None, Prosody(rate=0.5))


@needs_hibari
def test_a_model_file_is_loaded_by_its_path_with_the_same_voice(
    voice: hibari.HibariVoice, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.onnx").symlink_to(model)
    mine = load_voice(replace(PARAMS, model=str(tmp_path / "mine.onnx")))
    assert (mine.name, mine.digest) == ("mine", voice.digest)
    british = hibari.load(replace(PARAMS, british=True))
    assert british.digest != voice.digest
    assert british.phonemes("A bath and a tomato.") != voice.phonemes("A bath and a tomato.")


@needs_hibari
@pytest.mark.parametrize("model", ["missing.onnx", "emma", ".", "folder"])
def test_a_missing_model_says_what_to_give(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    with pytest.raises(UserError) as caught:
        load_voice(replace(PARAMS, model=model))
    expected = "an .onnx file of a Hibari voice, or one of: heart"
    assert str(caught.value) == f"synthesize.voice.model = {model}: not found; give {expected}"


@needs_hibari
@pytest.mark.parametrize("other", ["", "no model", "oov.onnx"])
def test_a_file_that_is_no_voice_is_a_user_error(other: str, model: Path, tmp_path: Path) -> None:
    content = model.with_name(other).read_bytes() if other.endswith(".onnx") else other.encode()
    (tmp_path / "mine.onnx").write_bytes(content)
    with pytest.raises(UserError, match=r"mine\.onnx: not a Hibari voice: [^\n]+$"):
        load_voice(replace(PARAMS, model=str(tmp_path / "mine.onnx")))


@needs_hibari
@pytest.mark.parametrize("file", ["hibari.onnx", "tagger.json.gz"])
def test_a_package_with_other_bytes_is_refused(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hibari.PINNED, file, "0" * 64)
    with pytest.raises(UserError, match=r"sha256 is [0-9a-f]{64}, expected 0{64}; reinstall the package hibari-tts"):
        load_voice(PARAMS)


def test_a_package_that_lacks_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hibari.PINNED, "absent.onnx", "0" * 64)
    with pytest.raises(UserError, match=r"absent\.onnx: sha256 is of no file, expected 0{64}; reinstall"):
        load_voice(PARAMS)


def test_an_engine_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(hibari, "MODULE", "no_such_engine")
        with pytest.raises(UserError) as caught:
            load_voice(PARAMS)
        assert str(caught.value) == f"the voice engine hibari is not installed; {HINT}"

    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    with monkeypatch.context() as patched:  # a folder of that name that is no package
        patched.setattr(hibari, "version", version)
        with pytest.raises(UserError, match=r"^the voice engine hibari is not installed; install it with"):
            load_voice(PARAMS)


@needs_hibari
def test_an_engine_that_lacks_what_it_needs_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hibari.g2p", None)  # as Python marks a module that cannot be imported
    with pytest.raises(
        UserError, match=r"the voice engine hibari is not installed \(hibari\.g2p is missing\); install"
    ):
        load_voice(PARAMS)


@needs_hibari
def test_only_a_voice_that_can_change_pitch_may_be_asked_to(voice: hibari.HibariVoice) -> None:
    params = ProsodyParams(negative=PLAIN, neutral=Prosody(pitch_range=0.5), positive=Prosody(pitch=1.2))
    expect_pitch(params, voice)

    class Plain(Voice):
        name = "plain"

        def speak(self, text: str, speaker: str | None = None, prosody: Prosody = PLAIN) -> NDArray[np.float32]:
            raise NotImplementedError

    expect_pitch(None, Plain())
    expect_pitch(ProsodyParams(PLAIN, Prosody(rate=2.0, energy_db=-3.0), PLAIN), Plain())
    with pytest.raises(UserError) as caught:
        expect_pitch(params, Plain())
    assert str(caught.value) == (
        "synthesize.prosody.neutral.pitch_range = 0.5: the voice plain cannot change it; expected 1, "
        "or the engine hibari"
    )
