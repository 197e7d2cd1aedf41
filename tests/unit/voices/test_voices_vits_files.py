"""Folders of VITS voices: what is read, and one line for what is not a voice."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.errors import UserError
from pipeline.voices import CoquiParams, load_voice
from pipeline.voices.coqui import CoquiVoice
from tests.vits import TEXTS, voice_at, write_coqui_vits, write_transformers_vits


@pytest.fixture(scope="module")
def transformers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_transformers_vits(tmp_path_factory.mktemp("transformers") / "one")


@pytest.fixture(scope="module")
def coqui_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("TTS", reason="the extra coqui is not installed")
    return write_coqui_vits(tmp_path_factory.mktemp("coqui") / "three", speakers=3)


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
        (_deeper, "weights that config.json asks for are not in model.safetensors"),
        (_of_phonemes, "its texts are prepared by phonemizer, which is not installed; install it, or choose a model"),
    ],
)
def test_a_folder_that_is_no_voice_is_one_line(
    damage: Callable[[Path], None], message: str, transformers_folder: Path, tmp_path: Path
) -> None:
    if damage is _of_phonemes and __import__("transformers").utils.is_phonemizer_available():
        pytest.skip("phonemizer is installed")
    folder = copy_of(transformers_folder, tmp_path)
    damage(folder)
    with pytest.raises(UserError) as caught:
        voice_at(folder)
    assert str(caught.value).startswith("synthesize.voice.model = ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def _code(folder: Path) -> None:
    """A checkpoint that would write a file where it is unpickled."""
    torch.save({"model": Trap(folder / "run")}, folder / "model_file.pth")


class Trap:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


def _other_library(folder: Path) -> None:
    _edit(folder, model="xtts")


def _foreign_class(folder: Path) -> None:
    letters = json.loads((folder / "config.json").read_text())["characters"]
    _edit(folder, characters={**letters, "characters_class": "os.system"})


def _without_speakers(folder: Path) -> None:
    _edit(folder, speakers=None)


def _one_speaker_more(folder: Path) -> None:
    _edit(folder, speakers=["p225", "p226", "p227", "p228"])


def _vectors(folder: Path) -> None:
    _edit(folder, use_d_vector_file=True)


def _two_checkpoints(folder: Path) -> None:
    (folder / "model_file.pth").rename(folder / "best_1.pth")
    (folder / "best_2.pth").write_bytes(b"")


def _without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_code, "model_file.pth is not a checkpoint of Coqui that holds numbers only"),
        (_no_json, "config.json is not a config of Coqui: "),
        (_other_library, "config.json is of a model xtts; expected vits"),
        (_foreign_class, "its characters_class os.system is not Coqui's own"),
        (_without_speakers, "its list of speakers is not there; expected speaker_ids.json beside config.json"),
        (
            _one_speaker_more,
            "1 weights that config.json asks for are not in model_file.pth or have another shape",
        ),
        (_vectors, "a model of voices given as vectors (use_d_vector_file); expected one of speaker names, or of one"),
        (_two_checkpoints, "2 .pth files there; expected a folder with config.json and one .pth file"),
        (_without_config, "config.json not found; expected a folder with config.json"),
    ],
)
def test_a_folder_that_is_no_voice_of_coqui_is_one_line(
    damage: Callable[[Path], None], message: str, coqui_folder: Path, tmp_path: Path
) -> None:
    folder = copy_of(coqui_folder, tmp_path)
    damage(folder)
    with pytest.raises(UserError) as caught:
        voice_at(folder, engine="coqui")
    assert str(caught.value).startswith("synthesize.voice.model = ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (folder / "run").exists()


def test_a_coqui_checkpoint_is_found_by_its_file_and_its_speakers_beside_it(coqui_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(coqui_folder, tmp_path)
    _edit(folder, speakers=None, speakers_file="/home/trainer/run/speaker_ids.json")
    (folder / "speaker_ids.json").write_text(json.dumps({"p225": 0, "p226": 1, "p227": 2}))
    (folder / "model_file.pth").rename(folder / "mine.pth")
    voice = voice_at(folder / "mine.pth", engine="coqui")
    assert (voice.name, voice.speakers) == ("mine", ("p225", "p226", "p227"))
    expected = voice_at(coqui_folder).speak(TEXTS[0], "p226")
    assert np.array_equal(voice.speak(TEXTS[0], "p226"), expected)


def test_hyphens_cannot_become_options_of_espeak(coqui_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def listen(text: str) -> list[int]:
        asked.append(text)
        return []

    voice = voice_at(coqui_folder)
    assert isinstance(voice, CoquiVoice)
    monkeypatch.setattr(voice.model.tokenizer, "text_to_ids", listen)
    for text in ("-f /etc/passwd", "so, --stdin now", "well-known words - and more-", "a-b"):
        voice.ids_of(text)
    assert asked == [" f /etc/passwd", "so,  stdin now", "well-known words   and more ", "a-b"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "tts_models/multilingual/multi-dataset/xtts_v2",
            "under the terms CPML, which only you can agree to",
        ),
        ("tts_models/en/ljspeech/tacotron2-DDC", "only VITS models are spoken in batches"),
        ("tts_models/eng/fairseq/vits", "use the engine transformers_vits with the model facebook/mms-tts-eng"),
        ("tts_models/en/nobody/vits", "not one of Coqui's models; expected a folder with config.json"),
        ("https://example.org/model.pth", "not found; expected a folder with config.json"),
    ],
)
def test_a_name_that_coqui_should_not_be_asked_for_is_one_line(
    name: str, message: str, coqui_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COQUI_TOS_AGREED", raising=False)
    monkeypatch.setattr("builtins.input", None)  # nobody may be asked
    with pytest.raises(UserError) as caught:
        load_voice(CoquiParams("coqui", name))
    assert str(caught.value).startswith(f"synthesize.voice.model = {name}: ")
    assert message in str(caught.value)


def test_without_coqui_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "TTS", None)  # as Python marks a module that cannot be imported
    with pytest.raises(UserError, match=r"the voice engine coqui is not installed \(TTS is missing\); install it with"):
        voice_at(tmp_path, engine="coqui")


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


def test_weights_under_the_names_of_older_versions_are_read(transformers_folder: Path, tmp_path: Path) -> None:
    """As in facebook/mms-tts-eng."""
    folder = copy_of(transformers_folder, tmp_path)
    weights = load_file(folder / "model.safetensors")
    old = {"original0": "weight_g", "original1": "weight_v"}
    renamed = {
        name.replace(f"parametrizations.weight.{new}", old[new]) if (new := name[-9:]) in old else name: values
        for name, values in weights.items()
    }
    assert set(renamed) != set(weights)
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    assert np.array_equal(voice_at(folder).speak(TEXTS[0]), voice_at(transformers_folder).speak(TEXTS[0]))
