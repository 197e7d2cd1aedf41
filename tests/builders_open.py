"""What `params.open.yaml` asks for, small: corpora in the layouts they are published in, and networks in a cache."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import soundfile
import timm
import torch
from safetensors.torch import save_file
from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

from pipeline import sample
from pipeline.media import audio
from pipeline.voices import HibariParams
from pipeline.voices.hibari import load
from tests import hub_cache
from tests.builders_fi import build_fi

# Codes of the four emotions that the teacher learns, and of one that it does not.
RAVDESS_CODES, CREMA_D_CODES = ("03", "04", "05", "07", "01"), ("HAP", "SAD", "ANG", "DIS", "NEU")
RAVDESS_SAYS, CREMA_D_SAYS = "Kids are talking by the door", "I would like a new alarm clock"


def build_corpora(root: Path) -> Mapping[str, Path]:
    """A folder for each corpus, by its name in section `acquire`."""
    b_t4sa, texts = root / "b_t4sa", root / "emotion_texts"
    b_t4sa.mkdir(parents=True)
    sample.make_b_t4sa(b_t4sa, seed=7, tweets=16)
    texts.mkdir()
    sample.make_emotion_texts(texts, seed=7, texts=80)
    shutil.rmtree(texts / "meld")
    return {
        "b_t4sa": b_t4sa, "emotion_texts": texts, "iemocap": build_speech(root / "speech"),
        "fi": build_fi(root / "emoset", form="emoset", per_class=6),
    }  # fmt: skip


def build_speech(root: Path) -> Path:
    """RAVDESS and CREMA-D: two actors each, who say one sentence at the loudness of each emotion."""
    voice = load(HibariParams("hibari", "heart"))
    ravdess, crema_d = (
        audio.resample(voice.speak(text), voice.sampling_rate_hz) for text in (RAVDESS_SAYS, CREMA_D_SAYS)
    )
    for (place, code), actor in product(enumerate(RAVDESS_CODES), ("01", "02")):
        _write(root / "ravdess" / f"Actor_{actor}" / f"03-01-{code}-01-01-01-{actor}.wav", ravdess, place, actor)
    for (place, code), actor in product(enumerate(CREMA_D_CODES), ("1001", "1002")):
        _write(root / "crema_d" / "AudioWAV" / f"{actor}_IWL_{code}_XX.wav", crema_d, place, actor)
    return root


def _write(path: Path, wave: audio.Waveform, place: int, actor: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng((place, int(actor))).normal(0, 0.001, len(wave))
    soundfile.write(path, (1 - 0.15 * place) * wave + noise, audio.SAMPLING_RATE_HZ, subtype="PCM_16")


def fill_cache(cache: Path, checkpoint: str, backbone: str) -> None:
    """A SigLIP and a network of timm of random weights, as the Hub has large ones."""
    torch.manual_seed(0)
    hub_cache.put(cache, checkpoint, _write_siglip)
    state = timm.create_model(backbone).state_dict()
    name = timm.get_pretrained_cfg(backbone).hf_hub_id
    hub_cache.put(cache, name, lambda place: save_file(state, place / "model.safetensors"))


def _write_siglip(folder: Path) -> None:
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    words = {**size, "vocab_size": 20, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    pictures = {**size, "image_size": 32, "patch_size": 16}
    SiglipModel(SiglipConfig(text_config=words, vision_config=pictures)).save_pretrained(folder)
    SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
