"""Encoders of the transformers library and of timm, tiny and randomly initialised, in each library's own layout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from transformers import AutoModel, BertConfig, BertModel

from models.errors import ItemError, ModelError
from models.teachers.encoder_settings import EncoderSettings
from models.teachers.encoders import Encoder, create_encoder
from models.teachers.probe import LinearModel, Probe
from models.teachers.standardise import Statistics
from tests import hub_cache
from tests.builders_encoders import PICTURES, SPEECH, save_clip, save_wavlm, save_whisper
from tests.builders_teachers import save_timm
from tests.unit.models.teachers.test_encoders import picture, tone

ALL = {**SPEECH, **PICTURES}
ONE_SECOND = 16_000


def made(name: str, folder: Path, modality: Any = None, **changes: Any) -> Encoder:
    return create_encoder(name, EncoderSettings(weights=str(folder), **changes), modality=modality)


def items(name: str) -> list[Any]:
    if name in SPEECH:
        return [tone(8_000, 200), tone(5_001, 400, seed=1), tone(8_000, 700, seed=2)]
    return [picture(40, 60), picture(50, 33, seed=1), picture(32, 32, seed=2)]


@pytest.mark.parametrize(("name", "save"), ALL.items())
def test_each_encodes_is_saved_by_its_settings_and_loaded_as_the_same(
    tmp_path: Path, name: str, save: Callable[[Path], str]
) -> None:
    save(tmp_path / "net")
    modality = "speech" if name in SPEECH else "image"
    encoder = made(name, tmp_path / "net", modality, layers="all", pooling="mean_std")
    batch = items(name)
    vectors = encoder.encode(batch)
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, encoder.dimensions) == (3, 32)
    assert np.ptp(vectors, axis=0).max() > 1e-3  # items differ
    np.testing.assert_array_equal(vectors, vectors.astype(np.float16))
    np.testing.assert_array_equal(vectors, np.concatenate([encoder.encode([item]) for item in batch]))
    classes = ("anger", "sadness")
    statistics = Statistics.of(vectors)
    probe = Probe(encoder, classes, LinearModel(np.ones((2, 32)), np.zeros(2)), "none", statistics)
    probe.save(tmp_path / "teacher")
    loaded = Probe.load(tmp_path / "teacher")
    assert loaded.digest == probe.digest
    assert loaded.encoder.settings == encoder.settings
    np.testing.assert_array_equal(loaded.predict_proba(batch), probe.predict_proba(batch))


@pytest.mark.parametrize(("name", "save"), ALL.items())
def test_layers_and_pooling_are_those_that_are_asked_for(
    tmp_path: Path, name: str, save: Callable[[Path], str]
) -> None:
    """The mean of all three is the mean of each alone; `last` is not the embeddings."""
    save(tmp_path / "net")
    batch = items(name)

    def vectors(**changes: Any) -> Any:
        return made(name, tmp_path / "net", pooling="mean", **changes).encode(batch)

    each = [vectors(layers=(layer,)) for layer in range(3)]
    np.testing.assert_allclose(vectors(layers="all"), np.mean(each, axis=0), atol=2e-3)
    np.testing.assert_allclose(vectors(layers=(0, 2)), (each[0] + each[2]) / 2, atol=2e-3)
    assert np.abs(vectors(layers="last") - each[0]).max() > 1e-2
    digests = {made(name, tmp_path / "net", layers=layers).digest for layers in ("last", "all", (1,))}
    assert len(digests) == 3
    with pytest.raises(ModelError, match=r"layers \(3,\).*it has layers 0 to 2"):
        vectors(layers=(3,))


@pytest.mark.parametrize(("name", "save"), list(PICTURES.items()))
def test_a_tower_pools_as_it_does_itself(tmp_path: Path, name: str, save: Callable[[Path], str]) -> None:
    save(tmp_path / "net")
    encoder: Any = made(name, tmp_path / "net")
    network = AutoModel.from_pretrained(tmp_path / "net").eval()
    pixels = encoder._preprocessor(items(name)[:1], return_tensors="pt")
    with torch.inference_mode():
        expected = getattr(network, "vision_model", network)(**pixels).pooler_output
    np.testing.assert_allclose(encoder.encode(items(name)[:1]), expected.numpy(), atol=2e-3)
    assert encoder._graph._run is not None  # and so by ONNX Runtime
    encoder._graph._shape = (1, 3, 8, 8)  # as if pictures were of several sizes
    np.testing.assert_allclose(encoder.encode(items(name)[:1]), expected.numpy(), atol=2e-3)


@pytest.mark.parametrize("samples", [5_001, 40_000])
def test_whisper_hears_a_clip_at_its_own_length(tmp_path: Path, samples: int) -> None:
    """Silence up to its 50 positions would make up most of the mean; what is beyond them is cut."""
    save_whisper(tmp_path / "net")
    encoder = made("openai/whisper-base", tmp_path / "net")
    clip = tone(samples)
    vector = encoder.encode([clip])
    np.testing.assert_array_equal(vector, encoder.encode([clip[:ONE_SECOND]]))
    padded = encoder.encode([np.pad(clip, (0, 16_000))])
    assert (np.abs(vector - padded).max() > 1e-2) == (samples < ONE_SECOND)


def test_too_short_and_broken_clips_cost_their_rows(tmp_path: Path) -> None:
    save_wavlm(tmp_path / "net")
    encoder = made("microsoft/wavlm-base", tmp_path / "net")
    for bad, status in ((tone(1_599), "audio_too_short"), (tone(4_000) * np.float32(np.nan), "audio_not_finite")):
        with pytest.raises(ItemError, match=status):
            encoder.encode([tone(4_000), bad])


def test_a_network_of_timm_from_a_file_pools_its_maps(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "net.safetensors")
    own, both = (made("test_resnet", tmp_path / "net.safetensors", pooling=pooling) for pooling in ("own", "mean_std"))
    vectors = both.encode(items("picture"))
    assert own.dimensions * 2 == both.dimensions
    np.testing.assert_array_equal(vectors[:, : own.dimensions], own.encode(items("picture")))
    assert vectors[:, own.dimensions :].min() >= 0
    assert own.digest != both.digest
    save_timm(tmp_path / "vit")
    assert made("lab/vit", tmp_path / "vit", "image").encode(items("picture")).shape[0] == 3


def test_a_transformer_of_timm_gives_what_its_head_reads(tmp_path: Path) -> None:
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "net.safetensors")
    encoder = made("test_vit", tmp_path / "net.safetensors")
    assert encoder.encode(items("picture")).shape == (3, encoder.dimensions)
    with pytest.raises(ModelError, match="no feature maps"):
        made("test_vit", tmp_path / "net.safetensors", pooling="mean_std")


@pytest.mark.parametrize(("name", "write"), [("microsoft/wavlm-base", save_wavlm), ("test_resnet", None)])
def test_a_repository_of_the_hub_is_kept_at_the_commit_that_was_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: Any
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    whole = timm.create_model("test_resnet").state_dict()
    repository = name if write else timm.get_pretrained_cfg(name).hf_hub_id
    folder = hub_cache.put(tmp_path, repository, write or (lambda place: save_file(whole, place / "model.safetensors")))
    encoder = create_encoder(name, EncoderSettings("hub"))
    assert encoder.settings == EncoderSettings("hub", hub_cache.COMMIT)
    assert create_encoder(name, encoder.settings).digest == encoder.digest
    assert made(name, folder if write else folder / "model.safetensors").digest != encoder.digest
    with pytest.raises(ModelError, match="other"):
        create_encoder(name, EncoderSettings("hub", "other"))


def without_weights(folder: Path) -> None:
    save_wavlm(folder)
    (folder / "model.safetensors").unlink()


def of_another(folder: Path) -> None:
    """WavLM's configuration, HuBERT's weights."""
    SPEECH["facebook/hubert-base"](folder)
    save_wavlm(folder / "other")
    shutil.copy(folder / "other" / "config.json", folder / "config.json")


def with_code(folder: Path) -> None:
    save_wavlm(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "code.Config", "AutoModel": "code.Net"}}
    (folder / "config.json").write_text(json.dumps(config))


def of_words(folder: Path) -> None:
    BertModel(BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)).save_pretrained(
        folder
    )


def pickled_code(folder: Path) -> None:
    without_weights(folder)
    torch.save({"hook": print}, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("name", "modality", "write", "says"),
    [
        ("microsoft/wavlm-base", "speech", lambda _: None, "no such folder"),
        ("microsoft/wavlm-base", "speech", Path.mkdir, "expected config.json of a network"),
        ("microsoft/wavlm-base", "speech", without_weights, "has no weights that can be read"),
        ("microsoft/wavlm-base", "speech", of_another, "found no weights for"),
        ("facebook/hubert-base", "speech", save_wavlm, "are those of a wavlm network, expected hubert"),
        ("lab/net", "speech", with_code, "has code of its own, which is not run"),
        ("lab/net", "speech", pickled_code, "expected a pickle of nothing but tensors"),
        ("lab/net", "speech", save_clip, "a clip_vision_model network, which takes pixel_values; expected waveforms"),
        ("lab/net", "image", save_wavlm, "a wavlm network, which takes input_values; expected pictures"),
        ("lab/net", "image", of_words, "a bert network, which takes input_ids; expected pictures"),
        ("resnet50", "image", lambda _: None, "no such file"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_encoder_is_one_line(
    tmp_path: Path, name: str, modality: Any, write: Callable[[Path], object], says: str
) -> None:
    write(tmp_path / "net")
    with pytest.raises(ModelError) as caught:
        made(name, tmp_path / "net", modality)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "modality", "changes", "says"),
    [
        ("microsoft/wavlm-base", "speech", {}, "no packaged weights (only whisper-tiny.en)"),
        ("resnet50", "image", {}, "no packaged weights (only tf_efficientnet_lite0)"),
        ("resnet-50", "image", {}, "is not a timm model"),
        ("whisper-tiny.en", "image", {}, "hears speech"),
        ("whisper-tiny.en", "speech", {"layers": "all"}, "with layers last"),
        ("tf_efficientnet_lite0", "image", {"layers": (1,)}, "of a timm network expected last"),
        ("nobody/nothing", "speech", {"weights": "hub"}, "nobody/nothing: no folder here, and cannot be had"),
        ("resnet50", "image", {"weights": "hub"}, "cannot fetch timm/resnet50"),
    ],
)  # fmt: skip
def test_what_is_not_to_be_had_is_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, modality: Any, changes: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError) as caught:
        create_encoder(name, EncoderSettings(**changes), modality=modality)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
