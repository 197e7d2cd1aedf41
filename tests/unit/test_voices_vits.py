"""Batched VITS through each library's own loading code, on tiny models with random weights."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import RowError, UserError
from pipeline.voices import Request, Spoken, TransformersVitsParams, load_voice, vits
from pipeline.voices.vits import VitsVoice
from tests.vits import write_transformers_vits

TEXTS = ("so happy today", "the rain is falling on the old town and nobody goes out", "no", "what a day it has been")
TAIL_SAMPLES = 256
TOLERANCE = 5e-5  # peaks are at 0.8


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One voice of one speaker, one of three."""
    root = tmp_path_factory.mktemp("vits")
    return {
        "one": write_transformers_vits(root / "one"),
        "three": write_transformers_vits(root / "three", speakers=3, stochastic=False),
    }


def voice_at(folder: Path, noise: float | None = 0.0, **more: Any) -> VitsVoice:
    voice = load_voice(
        TransformersVitsParams("transformers_vits", str(folder), noise_scale=noise, noise_scale_duration=noise, **more)
    )
    assert isinstance(voice, VitsVoice)
    return voice


def requests_for(voice: VitsVoice) -> list[Request]:
    speakers = voice.speakers or (None,)
    return [
        Request(text, speaker, rate)
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
    batched = voice.speak_batch(requests)
    assert len({len(found) for found in batched if not isinstance(found, RowError)}) > 2
    for request, found in zip(requests, batched, strict=True):
        assert_same_to_the_last_sample(found, voice.speak(request.text, request.speaker, request.rate))


def test_alone_the_voice_says_what_its_library_says(folders: dict[str, Path]) -> None:
    from transformers import VitsModel, VitsTokenizer

    model = VitsModel.from_pretrained(folders["three"]).eval()
    model.noise_scale = model.noise_scale_duration = 0.0
    tokenizer = VitsTokenizer.from_pretrained(folders["three"])
    voice = voice_at(folders["three"])
    for request in requests_for(voice):
        inputs = tokenizer(request.text, return_tensors="pt")
        with torch.inference_mode():
            expected = model(**inputs, speaker_id=int(request.speaker or 0), speaking_rate=request.rate).waveform[0]
        scaled = expected.numpy() * vits.PEAK / np.abs(expected.numpy()).max()
        assert_same_to_the_last_sample(voice.speak(request.text, request.speaker, request.rate), scaled)


def test_speakers_and_rates_are_heard(folders: dict[str, Path]) -> None:
    voice = voice_at(folders["three"])
    assert voice.speakers == ("0", "1", "2")
    said = [voice.speak(TEXTS[1], speaker) for speaker in voice.speakers]
    shortest = min(map(len, said))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(said[one][:shortest] - said[other][:shortest]).max() > 0.05
    assert np.array_equal(voice.speak(TEXTS[1]), said[0])
    assert len(voice.speak(TEXTS[1], "0", 0.5)) > len(said[0]) > len(voice.speak(TEXTS[1], "0", 2.0))
    slow = voice_at(folders["three"], length_scale=2.0)
    assert np.array_equal(slow.speak(TEXTS[1], "0"), voice.speak(TEXTS[1], "0", 0.5))


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


def test_tokens_that_a_tweet_writes_are_letters(folders: dict[str, Path], tmp_path: Path) -> None:
    voice = voice_at(folders["one"])
    assert len(voice.ids_of("_a_")) == len(voice.ids_of("a")) + 4
    assert all(number < 30 for number in voice.ids_of("a <unk> <pad> 7 b"))


def test_memory_of_the_vocoder_is_bounded_and_changes_nothing(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = voice_at(folders["three"])
    requests = requests_for(voice)
    usual = voice.speak_batch(requests)
    sizes = []
    monkeypatch.setattr(voice.vocoder, "max_frames", 300)
    run = voice.vocoder._run

    def listening(latents: torch.Tensor, *rest: Any) -> Any:
        sizes.append(latents.shape[0] * latents.shape[2])
        return run(latents, *rest)

    monkeypatch.setattr(voice.vocoder, "_run", listening)
    for one, other in zip(usual, voice.speak_batch(requests), strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE)  # type: ignore[arg-type]
    assert len(sizes) > len(TEXTS)
    assert max(sizes) <= 300


def test_weights_under_the_names_of_older_versions_are_read(folders: dict[str, Path], tmp_path: Path) -> None:
    """As in facebook/mms-tts-eng."""
    folder = copy_of(folders["one"], tmp_path)
    weights = load_file(folder / "model.safetensors")
    old = {"original0": "weight_g", "original1": "weight_v"}
    renamed = {
        name.replace(f"parametrizations.weight.{new}", old[new]) if (new := name[-9:]) in old else name: values
        for name, values in weights.items()
    }
    assert set(renamed) != set(weights)
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    assert np.array_equal(voice_at(folder).speak(TEXTS[0]), voice_at(folders["one"]).speak(TEXTS[0]))


def test_the_digest_follows_from_files_and_sound(folders: dict[str, Path]) -> None:
    voice = voice_at(folders["one"])
    assert voice.name == "one"
    assert voice.digest == voice_at(folders["one"]).digest
    others = [voice_at(folders["three"]), voice_at(folders["one"], 0.5), voice_at(folders["one"], length_scale=1.1)]
    assert len({voice.digest, *(other.digest for other in others)}) == 4


def copy_of(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target / "voice"))


def _without_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _of_another_kind(folder: Path) -> None:
    _edit(folder, model_type="bert")


def _no_json(folder: Path) -> None:
    (folder / "config.json").write_text("[")


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"no weights")


def _wider(folder: Path) -> None:
    _edit(folder, vocab_size=50)


def _deeper(folder: Path) -> None:
    _edit(folder, num_hidden_layers=2)


def _of_phonemes(folder: Path) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"phonemize": True}))


def _edit(folder: Path, **changes: Any) -> None:
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | changes))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without_weights, "model.safetensors not found; expected a folder or a model of the Hub with"),
        (_of_another_kind, "config.json has model_type bert; expected vits"),
        (_no_json, "config.json is not a config: "),
        (_no_weights, "not a VITS of transformers: "),
        (_wider, "text_encoder.embed_tokens.weight"),
        (_deeper, "weights that its config asks for are not in model.safetensors"),
        (_of_phonemes, "its texts are prepared by phonemizer, which is not installed; install it, or choose a model"),
    ],
)
def test_a_folder_that_is_no_voice_is_one_line(
    damage: Callable[[Path], None], message: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    if damage is _of_phonemes and __import__("transformers").utils.is_phonemizer_available():
        pytest.skip("phonemizer is installed")
    folder = copy_of(folders["one"], tmp_path)
    damage(folder)
    with pytest.raises(UserError) as caught:
        voice_at(folder)
    assert str(caught.value).startswith("synthesize.voice.model = ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["no/such/model/anywhere", "nobody-here/no-such-voice"])
def test_a_name_that_cannot_be_had_says_what_to_give(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError) as caught:
        voice_at(Path(name))
    assert str(caught.value).startswith(f"synthesize.voice.model = {name}: neither a folder here nor to be had from")
    assert "\n" not in str(caught.value)


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
