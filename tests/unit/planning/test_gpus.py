"""Hours on a GPU: operations as counted by hand, classes by their peaks, and reports of `benchmarks.gpu`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import gpu, gpu_parts
from pipeline.commands import plan
from pipeline.commands.command import run_command
from pipeline.errors import UserError
from pipeline.frame.params import section
from pipeline.networks.params import TrainParams, read_models
from pipeline.planning import estimate, flops, gpus, needs, networks
from pipeline.planning.networks import Cost
from pipeline.planning.plan import Measured, keep, kept_path
from tests.project import HERE
from tests.unit.planning.test_plan import made_pilot

VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


@pytest.fixture
def paper() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((HERE / "params.paper.yaml").read_text(encoding="utf-8"))
    return values


def test_operations_are_those_of_a_count_by_hand(paper: dict[str, Any]) -> None:
    """VGG16 on 128 x 128: convolutions of 3 x 3 at a side that each block halves, then dense layers."""
    paper["models"] = {"net": {**paper["models"]["ser_only"]}}
    shape = networks.shape_of(read_models(paper)["net"])
    found = flops.count(shape, section(paper, "train", TrainParams), paper["base"]["labels"])
    side, width, multiplications = 128, 3, 3 * 128 * 128  # the 1 x 1 convolution from grey to three channels
    first = 9 * 3 * 64 * 128 * 128
    for block in VGG16:
        for channels in block:
            multiplications += 9 * width * channels * side * side
            width = channels
        side //= 2
    multiplications += 512 * side * side * 512 + 512 * 1024 + 1024 * 1024 + 1024 * 4
    assert found.predict == 2 * multiplications
    # Backward: as much again for weights and as much for what stands before, but for the first convolution's input.
    assert found.train == 3 * found.predict - 2 * 3 * 128 * 128
    assert found.train > 2 * first
    paper["models"]["net"]["freeze_backbone"] = True
    frozen = flops.count(
        networks.shape_of(read_models(paper)["net"]), section(paper, "train", TrainParams), paper["base"]["labels"]
    )
    assert frozen.predict == found.predict
    assert frozen.train < found.train


def test_the_papers_networks_are_as_heavy_as_known(paper: dict[str, Any]) -> None:
    model = networks.shape_of(read_models(paper)["parallelnet"])
    found = flops.count(model, section(paper, "train", TrainParams), paper["base"]["labels"])
    assert found.train == pytest.approx(98e9, rel=0.01)
    passes = estimate.passes(paper, "parallelnet", 80_893, 470_586)
    assert passes.rows == pytest.approx(80_893 * 0.7)
    assert (passes.held_out, passes.epochs) == (0.2, 30)
    assert passes.runs == 5 * (len(paper["train"]["seeds"]) + len(paper["train"]["further_seeds"]["parallelnet"]))
    cost = Cost(2.0, 1.0, 0, train_flops_per_row=30.0, predict_flops_per_row=10.0)
    seen = passes.runs * 30 * passes.rows
    assert passes.seconds(cost) == pytest.approx(seen * (0.8 * 2 + 0.2 * 1))
    assert passes.flops(cost) == pytest.approx(seen * (0.8 * 30 + 0.2 * 10))


def test_hours_go_by_the_best_precision_that_both_have() -> None:
    half = gpus.hours(5.4e18, {"mixed_precision": "bf16", "performance": {"tf32": True}})
    assert half["A100"] == pytest.approx(5.4e18 / (0.2 * 312e12) / 3600)
    assert half["Quadro P5000, the paper's"] == pytest.approx(5.4e18 / (0.5 * 8.9e12) / 3600)
    tf32 = gpus.hours(5.4e18, {"mixed_precision": None, "performance": {"tf32": True}})
    single = gpus.hours(5.4e18, {"mixed_precision": None, "performance": {"tf32": False}})
    assert tf32["A100"] == pytest.approx(2 * half["A100"])
    assert single["A100"] == pytest.approx(5.4e18 / (0.5 * 19.5e12) / 3600)


def write_report(path: Path, sections: dict[str, Any], **changes: Any) -> Path:
    costs = {
        name: asdict(Cost(0.001, 0.0005, 1000, train_flops_per_row=2e9, predict_flops_per_row=1e9))
        for name in sections["models"]
    }
    report = {"device": "Some GPU", "of": gpus.mark(sections), "networks": costs, **changes}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report), encoding="utf-8")
    return path


def test_a_report_that_is_none_or_of_other_networks_is_refused(paper: dict[str, Any], tmp_path: Path) -> None:
    good = write_report(tmp_path / "gpu.json", paper)
    assert gpus.read(good, paper).costs["vgg19"] == Cost(
        0.001, 0.0005, 1000, train_flops_per_row=2e9, predict_flops_per_row=1e9
    )
    paper["train"]["epochs"] = 7  # which no step depends on
    assert gpus.read(good, paper).device == "Some GPU"
    for broken in ({"networks": [1]}, {"networks": {"parallelnet": {"speed": 3}}}, {"device": None, "of": None}):
        path = write_report(tmp_path / "broken.json", paper, **broken)
        with pytest.raises(UserError, match=r"broken\.json: "):
            gpus.read(path, paper)
    with pytest.raises(UserError, match=r"none\.json: expected what python -m benchmarks\.gpu writes; cannot be read"):
        gpus.read(tmp_path / "none.json", paper)
    paper["train"]["performance"]["tf32"] = False
    with pytest.raises(UserError, match="measured with other networks or another section train"):
        gpus.read(good, paper)


def test_a_plan_takes_what_was_measured_on_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(needs, "disk", lambda *_: [])  # so many rows would not fit
    (tmp_path / ".dvc").mkdir()
    sections = yaml.safe_load((HERE / "params.yaml").read_text(encoding="utf-8"))
    Path("params.yaml").write_text(yaml.safe_dump(sections), encoding="utf-8")
    slow = dict.fromkeys(sections["models"], Cost(0.2, 0.1, 1000, train_flops_per_row=2e9, predict_flops_per_row=1e9))
    keep(Measured(made_pilot(sections), slow), kept_path(sections, plan.PILOT_TWEETS, Path()))

    def planned(*options: str) -> dict[str, Any]:
        assert run_command("plan", ["--rows", "1250000", "--kept-share", "0.5", "--json", *options]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    before = planned()["training"]
    assert before["networks"] == len(sections["models"])
    assert before["measured_on"] is None
    assert before["gpu_hours"]["A100"] > 0
    write_report(gpus.REPORT, sections)
    after = planned()["training"]
    assert (after["measured_on"], after["gpu_hours"], after["flops"]) == ("Some GPU", {}, before["flops"])
    assert after["seconds"] == pytest.approx(before["seconds"] / 200, rel=0.05)
    write_report(gpus.REPORT, sections, of="others")
    again = planned()
    assert again["training"] == before
    assert [need["what"] for need in again["needs"] if need["what"].startswith("not used: .work/gpu.json")]
    assert (
        planned("--measured", str(write_report(Path("mine.json"), sections)))["training"]["measured_in"] == "mine.json"
    )
    assert run_command("plan", ["--measured", "none.json"]) == 1
    assert capsys.readouterr().err.startswith("plan: error: none.json: expected what python -m benchmarks.gpu writes")


def test_the_measurement_runs_without_a_gpu_and_says_so(
    paper: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(**_: object) -> dict[str, float]:
        raise UserError("no engine here")

    monkeypatch.setenv("SIER_DEVICE", "cpu")  # the script sets it
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(gpu_parts, "synthesis", missing)
    target = tmp_path / "gpu.json"
    assert gpu.main(["--json", str(target)]) == 1
    assert "No GPU was found." in capsys.readouterr().out
    assert not target.exists()
    assert gpu.main(["--quick", "--json", str(target)]) == 0
    said = capsys.readouterr().out
    assert "No GPU was found. What follows is of this CPU." in said
    assert "synthesis\n  not measured: no engine here" in said
    found = json.loads(target.read_bytes())
    assert found["device"] == "cpu"
    assert found["agreement"]["agrees"]
    assert 0 < found["agreement"]["probability"] < gpu_parts.PROBABILITY_TOLERANCE
    assert set(found["switches"]) == set(gpu.SWITCHES) - {gpu.COMPILED}
    assert found["hours"]["total_seconds"] == pytest.approx(sum(found["hours"]["seconds"].values()))
    assert found["explanation"]["encodings_per_second"] > 0
    small = gpu.quick_sections(paper)
    assert gpus.read(target, small).costs.keys() == small["models"].keys()
    with pytest.raises(UserError, match="measured with other networks"):
        gpus.read(target, paper)
