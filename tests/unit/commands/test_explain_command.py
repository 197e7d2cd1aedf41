"""The command for any pair, on tiny random networks and real files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from pipeline.commands import predict
from pipeline.commands.command import run_command
from pipeline.commands.explain import explain_pair
from tests.builders_nets import tiny_net
from tests.builders_sier import LABELS


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nets")
    kinds: dict[str, dict[str, Any]] = {
        "both": {},
        "early": {"fusion": 2},
        "image": {"modalities": "image"},
        "speech": {"modalities": "speech"},
    }
    for name, changes in kinds.items():
        net = tiny_net(
            duration_seconds=1.0,
            id2label=dict(enumerate(LABELS)),
            label2id=dict(zip(LABELS, range(4), strict=True)),
            **changes,
        )
        for part in net.children():
            if type(part).__name__ == "Head":
                list(part.parameters())[-2].data.mul_(0.02)
        net.save_pretrained(folder / name)
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a picture.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.random.default_rng(2).uniform(-0.3, 0.3, 16_000) * np.linspace(0, 1, 16_000), 16_000)
    return path


def error_line(arguments: list[str | Path], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run_command("explain", [str(argument) for argument in arguments]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert output.err.startswith("explain: error: ")
    return output.err.removeprefix("explain: error: ").rstrip("\n")


def test_a_pair_gets_the_label_of_predict_and_a_picture(
    nets: Path, tmp_path: Path, image: Path, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "picture.png"
    arguments: list[str | Path] = ["--image", image, "--speech", speech, "--model", nets / "both", "--out", out]
    assert run_command("explain", [str(argument) for argument in arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    answer = predict.predict(image, speech, nets / "both")
    assert lines[0] == f"{answer.label}  {answer.probabilities[answer.label]:.1%}"
    shares = [float(line.split()[1].rstrip("%")) for line in lines[2:4]]
    assert [line.split()[0] for line in lines[2:5]] == ["image", "speech", "of"]
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert any(line.startswith("words that speak most for it:") for line in lines)
    assert lines[-1] == f"picture: {out}"
    first = out.read_bytes()
    assert Image.open(io.BytesIO(first)).size[0] == 1200
    assert run_command("explain", [str(argument) for argument in arguments]) == 0  # over its own picture
    assert out.read_bytes() == first
    out.write_bytes(first + b"edited")
    assert "exists, and is not as this command left it" in error_line(arguments, capsys)
    assert out.read_bytes() == first + b"edited"
    assert run_command("explain", [str(argument) for argument in [*arguments, "--force"]]) == 0
    assert out.read_bytes() == first


@pytest.mark.parametrize("name", ["early", "image", "speech"])
def test_every_kind_of_network_is_explained(nets: Path, name: str, image: Path, speech: Path) -> None:
    given = (image if name != "speech" else None, speech if name != "image" else None)
    found = explain_pair(*given, nets / name).content
    assert sum(found.modality_values.values()) == pytest.approx(found.v_full - found.v_empty, abs=1e-4)
    assert list(found.modality_values) == (["image", "speech"] if name == "early" else [name])
    assert (found.synergy is None) == (name != "early")
    assert found.predicted == predict.predict(*given, nets / name).label


def silent(path: Path) -> None:
    soundfile.write(path, np.zeros(8_000), 16_000)


def test_what_cannot_be_explained_is_said_in_one_line(
    nets: Path, tmp_path: Path, image: Path, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both, broken, sound, short, folder = (
        nets / "both",
        tmp_path / "x",
        tmp_path / "s.wav",
        tmp_path / "t.wav",
        tmp_path / "d",
    )
    broken.write_bytes(b"nothing")
    silent(sound)
    soundfile.write(short, np.full(400, 0.5), 16_000)
    empty = tmp_path / "e.wav"
    soundfile.write(empty, np.zeros(0), 16_000)
    folder.mkdir()
    link = tmp_path / "another.png"
    link.hardlink_to(speech)
    pair: list[str | Path] = ["--image", image, "--speech", speech, "--model"]
    cases: list[tuple[list[str | Path], str]] = [
        (["--image", image, "--model", both], f"{both}: this network takes image and speech; give speech too"),
        ([*pair, nets / "image"], "this network takes image only; leave out speech"),
        (["--image", tmp_path / "no.jpg", "--speech", speech, "--model", both], "no.jpg: no such file or directory"),
        (["--image", broken, "--speech", speech, "--model", both], f"{broken}: no usable picture: "),
        (["--image", image, "--speech", broken, "--model", both], f"{broken}: no usable recording: "),
        (["--image", image, "--speech", empty, "--model", both], f"{empty}: no usable recording: no samples"),
        (["--image", image, "--speech", sound, "--model", both], f"{sound}: the recording is silent as far as"),
        (["--image", image, "--speech", short, "--model", both], "frames cannot be cut into 8 segments"),
        ([*pair, folder], "expected a folder with config.json and model.safetensors"),
        ([*pair, both, "--out", folder], f"{folder}: is there and no file"),
        ([*pair, both, "--out", folder / "new" / "a.png"], "there is no folder"),
        ([*pair, both, "--out", image, "--force"], f"is {image}, which this command reads"),
        ([*pair, both, "--out", link], f"is {speech}, which this command reads"),
        ([*pair, both, "--out", broken], f"{broken}: exists"),
        ([*pair, both, "--out", both / "config.json", "--force"], f"lies in {both}, which this command reads"),
    ]
    before = {path: path.read_bytes() for path in (image, speech, broken, both / "config.json")}
    for arguments, message in cases:
        assert message in error_line(arguments, capsys)
    assert {path: path.read_bytes() for path in before} == before
    assert list(folder.iterdir()) == []


def test_without_any_file_the_arguments_are_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run_command("explain", ["--out", "a.png"])
    assert stop.value.code == 2
    assert "expected an image, speech or both" in capsys.readouterr().err
