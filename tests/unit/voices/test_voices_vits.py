"""Batched VITS through each library's own loading code, on tiny models with random weights."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import RowError, UserError
from pipeline.voices import PEAK, Prosody, Request, Spoken, vits
from pipeline.voices.vits import VitsVoice
from tests.vits import TEXTS, voice_at, write_coqui_vits, write_transformers_vits

TAIL_SAMPLES = 256
TOLERANCE = 5e-5  # peaks are at 0.8


WRITERS = {"transformers_vits": write_transformers_vits, "coqui": write_coqui_vits}


@pytest.fixture(scope="module", params=WRITERS)
def folders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of each library one voice of one speaker, one of three."""
    if request.param == "coqui":
        pytest.importorskip("TTS", reason="the extra coqui is not installed")
    root = tmp_path_factory.mktemp(request.param)
    write = WRITERS[request.param]
    return {"one": write(root / "one"), "three": write(root / "three", speakers=3, stochastic=False)}


@pytest.fixture(scope="module")
def transformers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_transformers_vits(tmp_path_factory.mktemp("transformers") / "one")


def requests_for(voice: VitsVoice) -> list[Request]:
    speakers = voice.speakers or (None,)
    return [
        Request(text, speaker, Prosody(rate))
        for speaker in speakers
        for text, rate in zip(TEXTS, (1.0, 1.25, 0.8, 1.0), strict=True)
    ]


def waveform(spoken: Spoken) -> NDArray[np.float32]:
    assert not isinstance(spoken, RowError)
    return spoken


def assert_same_to_the_last_sample(one: Any, other: Any) -> None:
    assert one.shape == other.shape
    np.testing.assert_allclose(one, other, atol=TOLERANCE)
    np.testing.assert_allclose(one[-TAIL_SAMPLES:], other[-TAIL_SAMPLES:], atol=TOLERANCE)
    assert np.abs(one[-TAIL_SAMPLES:]).max() > 0.01  # silence would be alike, whatever had been heard before


@pytest.mark.parametrize("kind", ["one", "three"])
def test_a_batch_says_what_its_texts_say_alone(kind: str, folders: dict[str, Path]) -> None:
    voice = voice_at(folders[kind])
    requests = requests_for(voice)
    voice.vocoder.max_frames = 10_000  # as on a GPU
    batched = voice.speak_batch(requests)
    assert len({len(found) for found in batched if not isinstance(found, RowError)}) > 2
    for request, found in zip(requests, batched, strict=True):
        assert_same_to_the_last_sample(found, voice.speak(request.text, request.speaker, request.prosody))


Library = Callable[[Request], Any]


def transformers_itself(folder: Path) -> Library:
    from transformers import VitsModel, VitsTokenizer

    model = VitsModel.from_pretrained(folder).eval()
    model.noise_scale = model.noise_scale_duration = 0.0
    tokenizer = VitsTokenizer.from_pretrained(folder)

    def speak(request: Request) -> Any:
        inputs = tokenizer(request.text, return_tensors="pt")
        with torch.inference_mode():
            return (
                model(**inputs, speaker_id=int(request.speaker or 0), speaking_rate=request.prosody.rate)
                .waveform[0]
                .numpy()
            )

    return speak


def coqui_itself(folder: Path) -> Library:
    from TTS.utils.synthesizer import PAD_SILENCE_SAMPLES, Synthesizer

    library = Synthesizer(tts_checkpoint=folder / "model_file.pth", tts_config_path=folder / "config.json")
    library.tts_model.inference_noise_scale = library.tts_model.inference_noise_scale_dp = 0.0

    def speak(request: Request) -> Any:
        library.tts_model.length_scale = 1 / request.prosody.rate
        said = library.tts(request.text, speaker_name=request.speaker, split_sentences=False)
        return np.array(said[:-PAD_SILENCE_SAMPLES], dtype=np.float32)

    return speak


def test_alone_the_voice_says_what_its_library_says(folders: dict[str, Path]) -> None:
    voice = voice_at(folders["three"])
    speak = (coqui_itself if type(voice).__name__ == "CoquiVoice" else transformers_itself)(folders["three"])
    for request in requests_for(voice):
        expected = speak(request)
        scaled = expected * PEAK / np.abs(expected).max()
        assert_same_to_the_last_sample(voice.speak(request.text, request.speaker, request.prosody), scaled)


def test_speakers_and_rates_are_heard(folders: dict[str, Path]) -> None:
    voice = voice_at(folders["three"])
    assert voice.speakers in {("0", "1", "2"), ("p225", "p226", "p227")}
    said = [voice.speak(TEXTS[1], speaker) for speaker in voice.speakers]
    shortest = min(map(len, said))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(said[one][:shortest] - said[other][:shortest]).max() > 0.05
    assert np.array_equal(voice.speak(TEXTS[1]), said[0])
    slower, faster = (voice.speak(TEXTS[1], None, Prosody(rate)) for rate in (0.5, 2.0))
    assert len(slower) > len(said[0]) > len(faster)
    slow = voice_at(folders["three"], length_scale=2.0)
    assert np.array_equal(slow.speak(TEXTS[1]), slower)


def test_noise_follows_from_the_batch_alone(folders: dict[str, Path]) -> None:
    requests = requests_for(voice_at(folders["one"]))
    voice = voice_at(folders["one"], 0.6)
    torch.manual_seed(1)
    first = voice.speak_batch(requests)
    state = torch.random.get_rng_state()
    voice.speak("something else in between")
    assert torch.equal(torch.random.get_rng_state(), state)
    for one, other in zip(first, voice_at(folders["one"], 0.6).speak_batch(requests), strict=True):
        assert np.array_equal(waveform(one), waveform(other))
    quiet = voice_at(folders["one"]).speak_batch(requests)
    assert not any(np.array_equal(waveform(one), waveform(other)) for one, other in zip(first, quiet, strict=True))


def test_what_cannot_be_said_does_not_keep_others_from_it(folders: dict[str, Path]) -> None:
    voice = voice_at(folders["one"], batch_size=2)
    texts = ["", TEXTS[0], "!?", "a " * 500, TEXTS[2], "漢字"]
    found = voice.speak_batch([Request(text) for text in texts])
    status = [answer.status if isinstance(answer, RowError) else "ok" for answer in found]
    assert status == ["speech_empty", "ok", "speech_empty", "speech_too_long", "ok", "speech_empty"]
    assert_same_to_the_last_sample(found[1], voice.speak(TEXTS[0]))
    with pytest.raises(RowError, match="nothing to pronounce"):
        voice.speak("")


def test_speech_without_end_is_a_reject(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vits, "MAX_SECONDS", 0.2)
    answers = voice_at(folders["one"]).speak_batch([Request(TEXTS[1]), Request(TEXTS[2])])
    assert isinstance(answers[0], RowError)
    assert answers[0].status == "speech_too_long"
    assert not isinstance(answers[1], RowError)


def test_tokens_that_a_tweet_writes_are_letters(transformers_folder: Path) -> None:
    voice = voice_at(transformers_folder)
    assert len(voice.ids_of("_a_")) == len(voice.ids_of("a")) + 4
    assert all(number < 30 for number in voice.ids_of("a <unk> <pad> 7 b"))


def test_memory_of_the_vocoder_is_bounded_and_changes_nothing(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = voice_at(folders["three"])
    requests = requests_for(voice)
    assert voice.vocoder.max_frames == (1 if voice.device == "cpu" else 12_000)
    usual = voice.speak_batch(requests)
    sizes = []
    monkeypatch.setattr(voice.vocoder, "max_frames", 450)
    run = voice.vocoder._run

    def listening(latents: torch.Tensor, *rest: Any) -> Any:
        sizes.append(latents.shape[0] * latents.shape[2])
        return run(latents, *rest)

    monkeypatch.setattr(voice.vocoder, "_run", listening)
    for one, other in zip(usual, voice.speak_batch(requests), strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE)  # type: ignore[arg-type]
    assert len(sizes) > len(TEXTS)
    assert max(sizes) <= 450


def test_the_digest_follows_from_files_and_sound(folders: dict[str, Path]) -> None:
    voice = voice_at(folders["one"])
    assert voice.name == "one"
    assert voice.digest == voice_at(folders["one"]).digest
    others = [voice_at(folders["three"]), voice_at(folders["one"], 0.5), voice_at(folders["one"], length_scale=1.1)]
    assert len({voice.digest, *(other.digest for other in others)}) == 4


def test_a_gpu_that_is_not_there_is_one_line(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.setenv("SIER_DEVICE", "cuda")
    with pytest.raises(UserError, match="torch finds no GPU"):
        voice_at(folders["one"])


def test_the_stage_does_not_import_torch() -> None:
    script = "import sys, pipeline.synthesize; print({'torch', 'transformers', 'TTS'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
