"""A tiny network with random weights, saved and read back by the command; pictures and recordings are real files."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging

from models.parallelnet.parallelnet import ParallelNet
from models.parallelnet.parallelnet_config import ParallelNetConfig
from pipeline.commands import predict
from pipeline.commands.command import run_command
from pipeline.errors import UserError
from pipeline.networks.inputs import collate, open_inputs
from pipeline.networks.params import InputParams
from tests.builders_sier import LABELS, context_at, write_sier

SIZES: dict[str, Any] = {"image_size_px": 32, "n_mels": 32, "n_frames": 32, "duration_seconds": 1.0}
INPUTS = InputParams(**SIZES)
PROJECT = Path(__file__).resolve().parents[3]


def save_net(folder: Path, **fields: Any) -> None:
    torch.manual_seed(3)
    config = ParallelNetConfig(
        image_backbone="test_resnet", speech_backbone="test_resnet", n1_channels=[4, 4], code_size=8, head_size=8,
        **SIZES, **fields,
    )  # fmt: skip
    ParallelNet(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nets")
    for modalities in ("both", "image", "speech"):
        save_net(folder / modalities, modalities=modalities)
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a picture.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.random.default_rng(2).uniform(-0.3, 0.3, (22_050 // 2, 2)), 22_050)
    return path


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.delenv("SIER_DEVICE", raising=False)


def error_line(arguments: list[str | Path], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run_command("predict", [str(argument) for argument in arguments]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert output.err.startswith("predict: error: ")
    return output.err.removeprefix("predict: error: ").rstrip("\n")


@pytest.mark.parametrize("name", ["both", "image", "speech"])
def test_a_row_of_the_dataset_gets_the_probabilities_of_its_decoded_inputs(
    nets: Path, name: str, tmp_path: Path
) -> None:
    rows = write_sier(tmp_path)
    inputs = open_inputs("sier_test", INPUTS, context_at(tmp_path))
    net = ParallelNet.from_pretrained(nets / name)
    for place, row in enumerate(rows[12:]):
        batch = collate([inputs.select([place])[0]])
        with torch.inference_mode():
            expected = net(**{key: batch[key] for key in ("pixel_values", "spectrogram")}).logits.softmax(-1)[0]
        files = {"image": tmp_path / "row.jpg", "speech": tmp_path / "row.flac"}
        for modality, column in (("image", "image"), ("speech", "audio")):
            files[modality].write_bytes(row[column]["bytes"])
        given = {key: files[key] if name in {"both", key} else None for key in files}
        answer = predict.predict(given["image"], given["speech"], nets / name)
        assert list(answer.probabilities.values()) == expected.tolist()
        assert tuple(answer.probabilities) == LABELS
        assert answer.label == LABELS[int(expected.argmax())]
        assert answer.inputs == {key: None if path is None else str(path) for key, path in given.items()}


def test_both_inputs_change_the_answer_and_a_missing_one_is_its_baseline(
    nets: Path, tmp_path: Path, image: Path, speech: Path
) -> None:
    black, silence = tmp_path / "black.png", tmp_path / "silence.wav"
    Image.new("RGB", (9, 9)).save(black)
    soundfile.write(silence, np.zeros(16_000), 16_000)
    full = predict.predict(image, speech, nets / "both")
    assert full.notes == ()
    without_speech = predict.predict(image, None, nets / "both")
    assert without_speech.notes == ("no speech was given; digital silence is in its place",)
    assert without_speech.inputs == {"image": str(image), "speech": "baseline"}
    without_image = predict.predict(None, speech, nets / "both")
    assert without_image.notes == ("no image was given; a black picture is in its place",)
    assert without_image.inputs == {"image": "baseline", "speech": str(speech)}
    assert without_speech.probabilities == predict.predict(image, silence, nets / "both").probabilities
    assert without_image.probabilities == predict.predict(black, speech, nets / "both").probabilities
    different = [full.probabilities, without_speech.probabilities, without_image.probabilities]
    assert all(one != other for place, one in enumerate(different) for other in different[:place])


def test_long_speech_is_cropped_and_the_answer_says_so(nets: Path, tmp_path: Path) -> None:
    waveform = np.random.default_rng(4).uniform(-0.3, 0.3, 40_000)
    for name, samples in (("long.flac", 40_000), ("cut.flac", 16_000)):
        soundfile.write(tmp_path / name, waveform[:samples], 16_000)
    long, cut = (predict.predict(None, tmp_path / name, nets / "speech") for name in ("long.flac", "cut.flac"))
    assert long.probabilities == cut.probabilities
    assert long.notes == ("speech lasts 2.5 s; the network heard its first 1 s",)
    assert cut.notes == ()


def test_json_holds_everything(nets: Path, image: Path, speech: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--image", str(image), "--speech", str(speech), "--json", "--model"]
    capsys.readouterr()
    assert run_command("predict", [*arguments, str(nets / "both")]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    answer = json.loads(output.out)
    assert list(answer) == ["label", "probabilities", "fusion_weights", "inputs", "notes"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0, abs=1e-6)
    assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
    w1, w2, w3 = ParallelNet.from_pretrained(nets / "both").fusion_weights.tolist()
    assert answer["fusion_weights"] == {"speech": w1, "image": w2, "product": w3}
    assert run_command("predict", ["--speech", str(speech), "--json", "--model", str(nets / "speech")]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["fusion_weights"] is None
    assert alone["inputs"] == {"image": None, "speech": str(speech)}
    assert alone["notes"] == []


def test_people_see_a_bar_per_class(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = predict.Answer(
        label="happy", probabilities={"sad": 0.25, "happy": 0.7375, "awe": 0.0125},
        fusion_weights={"speech": 0.5, "image": 0.3, "product": 0.2}, inputs={}, notes=("one", "two"),
    )  # fmt: skip
    assert predict._text(answer).splitlines() == [
        "happy",
        "",
        "  sad    " + "█" * 10 + " " * 30 + "  25.0%",
        "  happy  " + "█" * 29 + "▌" + " " * 10 + "  73.8%",
        "  awe    " + "▌" + " " * 39 + "   1.2%",
        "",
        "fusion weights: speech 0.500  image 0.300  product 0.200",
        "note: one",
        "note: two",
    ]


def test_a_terminal_without_blocks_gets_signs(nets: Path, tmp_path: Path, image: Path) -> None:
    """In a process of its own, from another folder, where the screen must show nothing but the answer."""
    command = [sys.executable, "-m", "pipeline", "predict", "--image", str(image), "--model", str(nets / "both")]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    answer = predict.predict(image, None, nets / "both")
    assert lines[0] == answer.label
    assert [line.split()[0] for line in lines[2:6]] == list(LABELS)
    assert [line.count("#") for line in lines[2:6]] == [round(40 * share) for share in answer.probabilities.values()]
    assert lines[-1] == "note: no speech was given; digital silence is in its place"


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--image"], ["--picture", "a.jpg"]])
def test_wrong_arguments_end_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run_command("predict", arguments)
    assert caught.value.code == 2
    assert "usage: sier predict" in capsys.readouterr().err


def test_files_that_cannot_be_used_are_named(
    nets: Path, tmp_path: Path, image: Path, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net: list[str | Path] = ["--model", nets / "both"]
    missing, empty, torn = tmp_path / "missing.jpg", tmp_path / "empty", tmp_path / "torn.png"
    empty.touch()
    torn.write_bytes(image.read_bytes()[:3000])
    assert error_line(["--image", missing, *net], capsys) == f"{missing}: no such file or directory"
    assert error_line(["--speech", missing, *net], capsys) == f"{missing}: no such file or directory"
    assert error_line(["--speech", tmp_path, *net], capsys) == f"{tmp_path}: is a directory"
    assert error_line(["--image", empty, *net], capsys) == f"{empty}: no usable picture: the file is empty"
    assert error_line(["--image", torn, *net], capsys).startswith(f"{torn}: no usable picture: ")
    assert error_line(["--image", speech, *net], capsys).startswith(f"{speech}: no usable picture: ")
    assert error_line(["--speech", image, *net], capsys) == f"{image}: no usable recording: Format not recognised."
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    assert error_line(["--image", image, "--speech", tmp_path / "none.wav", *net], capsys).endswith(": no samples")


def test_an_input_that_the_network_does_not_take_is_refused(
    nets: Path, image: Path, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = error_line(["--image", image, "--speech", speech, "--model", nets / "image"], capsys)
    assert line == f"{nets / 'image'}: this network takes image only; leave out speech"
    line = error_line(["--image", image, "--model", nets / "speech"], capsys)
    assert line == f"{nets / 'speech'}: this network takes speech only; leave out image"


def config_with(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def weights_with(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        change(state)
        save_file(state, folder / "model.safetensors", {"format": "pt"})

    return write


def torn_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "train@<model> makes it; found no model.safetensors"),
        (config_with(model_type="bert"), "found a config.json of kind bert"),
        (lambda folder: (folder / "config.json").write_text("{"), "found a config.json of kind damaged"),
        (config_with(fusion=9), "the network cannot be loaded: fusion: expected one of 1, 2, 3, found 9"),
        (config_with(fusion=2), "does not fit config.json: missing keys image_to_speech"),
        (config_with(modalities="image"), "does not fit config.json: unexpected keys grey_to_colour.bias and"),
        (config_with(head_size=9), "does not fit config.json: mismatched keys head_image.0.bias and"),
        (config_with(sampling_rate_hz=8000), "expected speech at 16000 Hz, found a network for 8000 Hz"),
        (torn_weights, "the network cannot be loaded: "),
        (weights_with(lambda state: state.pop("head_mul.0.bias")), "missing keys head_mul.0.bias"),
        (weights_with(lambda state: state["head_image.0.bias"].fill_(float("nan"))), "values that are no numbers"),
    ],
)  # fmt: skip
def test_a_damaged_network_is_never_used(
    nets: Path, tmp_path: Path, image: Path, capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None], message: str,
) -> None:  # fmt: skip
    folder = tmp_path / "net"
    shutil.copytree(nets / "both", folder)
    damage(folder)
    assert message in error_line(["--image", image, "--model", folder], capsys)


def test_transformers_says_nothing_of_its_own(nets: Path, tmp_path: Path, image: Path) -> None:
    records: list[str] = []

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    noting = Noting()
    transformers_logging.set_verbosity_warning()
    transformers_logging.add_handler(noting)
    try:
        shutil.copytree(nets / "both", tmp_path / "net")
        config_with(head_size=9)(tmp_path / "net")  # it would print a table of what does not fit
        with pytest.raises(UserError, match="does not fit"):
            predict.predict(image, None, tmp_path / "net")
    finally:
        transformers_logging.remove_handler(noting)
    assert records == []


def test_the_default_network_is_that_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nets: Path, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = error_line(["--image", image], capsys)
    assert line.startswith("data/checkpoints/parallelnet: expected a folder with config.json and model.safetensors")
    assert line.endswith("found no config.json and no model.safetensors")
    shutil.copytree(nets / "both", tmp_path / "data/checkpoints/parallelnet")
    assert run_command("predict", ["--image", str(image)]) == 0


def test_the_device_is_that_of_the_environment(
    nets: Path, image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments: list[str | Path] = ["--image", image, "--model", nets / "both"]
    monkeypatch.setenv("SIER_DEVICE", "gpu")
    assert error_line(arguments, capsys) == "SIER_DEVICE = gpu: expected cpu or cuda"
    if not torch.cuda.is_available():
        monkeypatch.setenv("SIER_DEVICE", "cuda")
        assert error_line(arguments, capsys).startswith("SIER_DEVICE = cuda: no such device was found")
