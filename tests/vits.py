"""Tiny VITS models with random weights, written as each library writes its own."""

from __future__ import annotations

import json
from pathlib import Path

import torch

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
