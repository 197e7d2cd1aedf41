"""Tiny VITS models with random weights, written as each library writes its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from pipeline.voices import CoquiParams, TransformersVitsParams, load_voice
from pipeline.voices.vits import VitsVoice

TEXTS = ("so happy today", "the rain is falling on the old town and nobody goes out", "no", "what a day it has been")
LETTERS = "_abcdefghijklmnopqrstuvwxyz '"


def write_transformers_vits(folder: Path, *, speakers: int = 1, seed: int = 0, stochastic: bool = True) -> Path:
    """A folder as `save_pretrained` of model and tokenizer write it; 16 kHz, 64 samples a frame."""
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    folder.mkdir(parents=True)
    config = VitsConfig(
        vocab_size=len(LETTERS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, flow_size=16,
        spectrogram_bins=9, use_stochastic_duration_prediction=stochastic, num_speakers=speakers,
        speaker_embedding_size=4 if speakers > 1 else 0, upsample_initial_channel=16, upsample_rates=[8, 8],
        upsample_kernel_sizes=[16, 16], resblock_kernel_sizes=[3, 5], resblock_dilation_sizes=[[1, 3], [1, 3]],
        prior_encoder_num_flows=2, prior_encoder_num_wavenet_layers=2, posterior_encoder_num_wavenet_layers=1,
        duration_predictor_num_flows=2, duration_predictor_filter_channels=16, depth_separable_num_layers=2,
        sampling_rate=16_000,
    )  # fmt: skip
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = VitsModel(config)
        for name, weights in model.named_parameters():
            if weights.dim() > 1 or "embed" in name:  # livelier than the library's start, or all would be silence
                torch.nn.init.normal_(weights, std=0.25)
    model.save_pretrained(folder)
    (folder / "letters.json").write_text(json.dumps({letter: index for index, letter in enumerate(LETTERS)}))
    VitsTokenizer(
        str(folder / "letters.json"), pad_token="_", unk_token="_", phonemize=False, language="eng"
    ).save_pretrained(folder)
    (folder / "letters.json").unlink()
    return folder


def write_coqui_vits(folder: Path, *, speakers: int = 1, seed: int = 0, stochastic: bool = True) -> Path:
    """A folder with `config.json`, `model_file.pth` and speakers as coqui-tts writes them; as small as the other."""
    from trainer.io import save_model
    from TTS.config.shared_configs import BaseAudioConfig
    from TTS.tts.configs.shared_configs import CharactersConfig
    from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
    from TTS.tts.models.vits import Vits

    folder.mkdir(parents=True)
    names = [f"p{225 + number}" for number in range(speakers)]
    arguments = VitsArgs(
        hidden_channels=16, hidden_channels_ffn_text_encoder=16, num_layers_text_encoder=1, out_channels=65,
        num_layers_posterior_encoder=1, num_layers_flow=2, resblock_kernel_sizes_decoder=[3, 5],
        resblock_dilation_sizes_decoder=[[1, 3, 5], [1, 3, 5]], upsample_rates_decoder=[8, 8],
        upsample_initial_channel_decoder=16, upsample_kernel_sizes_decoder=[16, 16], use_sdp=stochastic,
        init_discriminator=False, use_speaker_embedding=speakers > 1, speaker_embedding_channels=8,
    )  # fmt: skip
    letters = CharactersConfig(
        characters_class="TTS.tts.models.vits.VitsCharacters", pad="_", punctuations=" '", characters=LETTERS[1:27],
        phonemes="", blank="<BLNK>",
    )  # fmt: skip
    config = VitsConfig(
        model_args=arguments, characters=letters, use_phonemes=False, text_cleaner="basic_cleaners", add_blank=True,
        audio=BaseAudioConfig(sample_rate=16_000, fft_size=128, hop_length=64, win_length=128),
        speakers=names if speakers > 1 else None,
    )  # fmt: skip
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = Vits(config)
        for name, weights in model.named_parameters():
            if weights.dim() > 1 or "emb" in name:
                torch.nn.init.normal_(weights, std=0.25)
    config.save_json(str(folder / "config.json"))
    save_model(config, model, str(folder / "model_file.pth"), current_step=0, epoch=0)
    return folder


def voice_at(folder: Path, noise: float | None = 0.0, engine: str = "", **more: Any) -> VitsVoice:
    """The voice in a folder, without noise if none is asked for; of coqui where that engine is named or seen."""
    more |= {"noise_scale": noise, "noise_scale_duration": noise}
    voice = load_voice(
        CoquiParams("coqui", str(folder), **more)
        if engine == "coqui" or (folder / "model_file.pth").is_file()
        else TransformersVitsParams("transformers_vits", str(folder), **more)
    )
    assert isinstance(voice, VitsVoice)
    return voice
