"""Encoders: one vector per item, which depends on that item alone."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from models.errors import ItemError, ModelError
from models.teachers.encoders import create_encoder
from models.teachers.image_encoder import TimmEncoder
from models.teachers.speech_encoder import WhisperEncoder
from models.weights.backbones import create_backbone
from models.weights.packaged_weights import PackagedFile
from models.weights.whisper_weights import MODEL_FILE


@cache
def whisper() -> WhisperEncoder:
    return WhisperEncoder()


@cache
def lite0() -> TimmEncoder:
    torch.set_num_threads(1)
    return TimmEncoder()


def tone(samples: int, hz: float = 220.0, seed: int = 0) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(scale=0.02, size=samples)
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(samples) / 16_000) + noise).astype(np.float32)


def picture(width_px: int, height_px: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@given(st.lists(st.sampled_from([1_600, 4_000, 4_001, 8_160]), min_size=1, max_size=6))
@example([1_600] * 4)  # differed in the last bits when clips of equal length shared a batch
@settings(max_examples=8, deadline=None)
def test_vector_of_a_clip_is_bit_identical_alone_and_among_any_neighbours(lengths: list[int]) -> None:
    clips = [tone(samples, seed=number) for number, samples in enumerate(lengths)]
    together = whisper().encode(clips)
    alone = np.concatenate([whisper().encode([clip]) for clip in clips])
    assert together.dtype == np.float32
    assert together.shape == (len(clips), 768)
    np.testing.assert_array_equal(together, alone)


def test_number_of_threads_does_not_change_a_vector() -> None:
    clip = tone(24_000)
    np.testing.assert_array_equal(WhisperEncoder(cpu_threads=2).encode([clip]), whisper().encode([clip]))


def test_vectors_keep_the_order_of_the_batch() -> None:
    clips = [tone(9_000, 100), tone(3_000, 400), tone(9_000, 700), tone(3_000, 100)]
    np.testing.assert_array_equal(whisper().encode(clips)[::-1], whisper().encode(clips[::-1]))


def test_clip_is_not_padded_so_length_changes_the_vector_little() -> None:
    # One second of a steady tone against 25 s of it; padded to 30 s they would lie far apart.
    short, long, padded = (
        whisper().encode([clip])[0] for clip in (tone(16_000), tone(32_000), np.pad(tone(16_000), (0, 464_000)))
    )
    assert np.linalg.norm(short - long) < 0.5 * np.linalg.norm(short - padded)


def test_clip_longer_than_thirty_seconds_counts_by_its_first_thirty() -> None:
    clip = tone(31 * 16_000)
    np.testing.assert_array_equal(whisper().encode([clip]), whisper().encode([clip[: 30 * 16_000]]))


def test_mean_and_deviation_are_those_of_the_encoders_frames() -> None:
    vector = whisper().encode([tone(16_000)])[0]
    assert np.all(vector[384:] >= 0)
    assert vector[:384].min() < 0


def test_too_short_clip_costs_its_row() -> None:
    whisper().check(tone(1_600))
    with pytest.raises(ItemError, match=r"at least 0\.1 s") as caught:
        whisper().check(tone(1_599))
    assert caught.value.status == "audio_too_short"
    with pytest.raises(ItemError, match="audio_too_short"):
        whisper().encode([tone(4_000), tone(0)])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_clip_with_values_that_are_not_finite_costs_its_row(bad: float) -> None:
    clip = tone(4_000)
    clip[7] = bad
    with pytest.raises(ItemError, match="audio_not_finite"):
        whisper().encode([clip])


@pytest.mark.parametrize("wrong", [tone(4_000).astype(np.float64), tone(4_000).reshape(2, -1)])
def test_waveform_of_another_type_or_shape_is_the_callers_fault(wrong: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match=r"expected float32 \[samples\]"):
        whisper().encode([wrong])


def test_empty_batches_give_no_vectors() -> None:
    assert whisper().encode([]).shape == (0, 768)
    assert lite0().encode([]).shape == (0, 1280)


def test_digital_silence_has_a_finite_vector() -> None:
    assert np.isfinite(whisper().encode([np.zeros(8_000, dtype=np.float32)])).all()


def test_other_weights_than_the_pinned_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = MODEL_FILE
    other = PackagedFile(pinned.distribution, pinned.module, pinned.relative, "0" * 64)
    monkeypatch.setattr("models.teachers.speech_encoder.MODEL_FILE", other)
    with pytest.raises(ModelError, match="sha256 is 1a5afae0"):
        WhisperEncoder()


@pytest.mark.parametrize("module", ["speech_encoder", "probe"])
def test_speech_alone_imports_neither_torch_nor_scikit_learn(module: str) -> None:
    code = (
        f"import sys, models.teachers.{module}; from models.teachers.encoders import create_encoder;"
        "create_encoder('whisper-tiny.en');"
        "print(sorted({'torch', 'timm', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=5))
@settings(max_examples=6, deadline=None)
def test_vector_of_a_picture_is_bit_identical_alone_and_among_any_neighbours(sizes: list[tuple[int, int]]) -> None:
    pictures = [picture(width, height, seed) for seed, (width, height) in enumerate(sizes)]
    together = lite0().encode(pictures)
    assert together.dtype == np.float32
    assert together.shape == (len(pictures), 1280)
    np.testing.assert_array_equal(together, np.concatenate([lite0().encode([image]) for image in pictures]))


def test_bigger_passes_change_the_last_bits_only() -> None:
    pictures = [picture(64, 64, seed) for seed in range(5)]
    np.testing.assert_allclose(TimmEncoder(batch_size=4).encode(pictures), lite0().encode(pictures), atol=1e-4)


def test_picture_vector_is_the_average_of_the_backbones_features() -> None:
    # The whole way by hand, from a picture that needs no resampling.
    image = picture(224, 224)
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 255
    backbone: Any = create_backbone("tf_efficientnet_lite0", pretrained=True).eval()
    with torch.inference_mode():
        expected = backbone.forward_features((pixels - 0.5) / 0.5).mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(lite0().encode([image]), expected, atol=1e-4)


def test_picture_that_is_not_rgb_is_the_callers_fault() -> None:
    with pytest.raises(ValueError, match="mode L"):
        lite0().encode([picture(32, 32).convert("L")])


def test_encoders_carry_their_name_and_differ_in_digest() -> None:
    encoders = [create_encoder("whisper-tiny.en"), create_encoder("tf_efficientnet_lite0")]
    assert [encoder.name for encoder in encoders] == ["whisper-tiny.en", "tf_efficientnet_lite0"]
    assert [encoder.dimensions for encoder in encoders] == [768, 1280]
    assert encoders[0].digest != encoders[1].digest
    assert encoders[0].digest == whisper().digest
    assert encoders[1].digest == lite0().digest


def test_unknown_encoder_is_one_line() -> None:
    with pytest.raises(ModelError, match="'whisper-huge' is not a timm model"):
        create_encoder("whisper-huge")


@pytest.mark.parametrize("name", ["whisper-tiny.en", "tf_efficientnet_lite0"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(ModelError, match="device cuda: none was found"):
        create_encoder(name, device="cuda")
