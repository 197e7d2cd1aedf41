from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import yaml

from models.parallelnet.networks import N2
from pipeline.commands import plan
from pipeline.commands.command import run_command
from pipeline.corpora import iemocap
from pipeline.frame.params import section
from pipeline.labels.rules import LabelParams
from pipeline.planning import estimate, needs, networks, pilot
from pipeline.planning.estimate import Amounts, StagePlan
from pipeline.planning.networks import Cost
from pipeline.planning.pilot import Pilot, Run
from pipeline.planning.plan import Measured, items_by_label, keep, kept_path
from pipeline.planning.show import duration, show, size
from pipeline.teachers.params import SECTION
from tests.builders_fi import build_fi
from tests.hub_cache import COMMIT, put
from tests.project import HERE, TINY, TINY_MODEL, TINY_NET


@pytest.fixture
def sections() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((HERE / "params.yaml").read_text(encoding="utf-8"))
    return values


def made_pilot(sections: dict[str, Any]) -> Pilot:
    """Every stage takes 5 s and 0.1 s a unit, and writes 1 kB a shard and 10 bytes a unit, in 4 and 6 shards."""
    sizes = ((40, 4), (120, 6))
    runs = {}
    for stage in pilot.stages(sections):
        runs[stage] = [Run(stage, 5 + units / 10, units, shards, 1000 * shards + 10 * units) for units, shards in sizes]
    runs["explain"] += [Run("explain", 9 + more, 120) for more in (4, 6)]
    facts = {
        "rows": 125, "clean_rows": 100, "distinct_texts": 80, "speech_rows": 100, "speech_seconds": 400, "kept_rows": 50
    }  # fmt: skip
    return Pilot(100, runs, facts)


def plan_arguments(sections: dict[str, Any], cost: Cost) -> tuple[Any, ...]:
    names = ("parallelnet", "ser_only", "parallelnet_sentiment")
    chosen = {**sections, "models": {name: sections["models"][name] for name in names}}
    amounts = Amounts(
        1250, 0.5, {"speech": 1000, "image": 2000}, {"b_t4sa": 10**9, "iemocap": 0, "fi": 0, "emotion_texts": 0}
    )
    return made_pilot(sections), dict.fromkeys(names, cost), amounts, chosen, 10**8


def planned(sections: dict[str, Any], made: Pilot, rows: int = 1250) -> dict[str, StagePlan]:
    costs = {"parallelnet": Cost(0.2, 0.1, 1000), "parallelnet_sentiment": Cost(0.2, 0.1, 1000)}
    chosen = {**sections, "models": {name: sections["models"][name] for name in costs}}
    amounts = Amounts(
        rows, 0.5, {"speech": 1000, "image": 2000}, {"b_t4sa": 10**9, "iemocap": 0, "fi": 0, "emotion_texts": 0}
    )
    return {one.stage: one for one in estimate.plan(made, costs, amounts, chosen, 10**8)}


def test_a_line_tells_what_shards_cost_from_what_rows_cost() -> None:
    assert estimate.coefficients([(4, 40, 4400), (12, 60, 12600)]) == pytest.approx((1000, 10))


def test_runs_that_differ_by_chance_give_an_upper_bound() -> None:
    few, many = Run("label", 2.0, 20), Run("label", 1.8, 60)
    seconds, at_most = estimate.seconds_at([few, many], 4000)
    assert at_most
    assert seconds == pytest.approx(2 + 4000 * estimate.CHANCE_SECONDS / 40)
    seconds, at_most = estimate.seconds_at([few, replace(many, seconds=6.0)], 4000)
    assert not at_most
    assert seconds == pytest.approx(400)


def test_stages_scale_by_their_own_units(sections: dict[str, Any]) -> None:
    found = planned(sections, made_pilot(sections))
    assert found["clean"].units == 1250
    assert found["synthesize"].units == 800
    assert found["score@image"].units == found["label"].units == 1000
    assert found["assemble"].units == 500
    assert found["clean"].seconds == pytest.approx(5 + 125)
    assert found["synthesize"].seconds == pytest.approx(5 + 80)
    assert found["train_teacher@image"].seconds == pytest.approx(5 + 200)
    assert found["acquire@b_t4sa"].seconds == pytest.approx(10)
    # 1,250 rows in shards of 50: 25 shards; a teacher does not grow with its corpus.
    assert found["clean"].workspace_bytes == 1000 * 25 + 10 * 1250
    assert found["train_teacher@image"].workspace_bytes == 1000 * 6 + 10 * 120


def test_training_takes_folds_times_epochs_times_rows(sections: dict[str, Any]) -> None:
    sections["train"] |= {"epochs": 3, "folds": [0, 1], "seeds": [0], "further_seeds": {}}
    sections["assemble"] |= {"test_share": 0.3, "folds": 5}
    found = planned(sections, made_pilot(sections))["train@parallelnet"]
    # 350 rows, of which a fifth is held out: 280 x 0.2 s and 70 x 0.1 s; before it what the smaller pilot
    # took beyond its 40 rows, 9 - 40 x 0.18 s.
    assert found.units == 350
    assert found.seconds == pytest.approx(1.8 + 2 * 3 * (56 + 7))
    assert found.checkpoint_bytes == 2 * 3 * 3 * 1000  # folds, epochs; weights and Adam's two moments


def test_explaining_knows_figures_from_rows(sections: dict[str, Any]) -> None:
    sections["explain"] |= {"corpus_rows": 100, "figures": 5}
    found = planned(sections, made_pilot(sections))["explain"]
    # 17 s with 1 figure and 4 rows; 4 rows more took 13 s: less, so nothing by the row; 2 figures more 15 s: nothing.
    assert found.seconds == pytest.approx(17)
    runs = made_pilot(sections).runs
    runs["explain"][2:] = [Run("explain", 21, 120), Run("explain", 27, 120)]
    found = planned(sections, Pilot(100, runs, made_pilot(sections).facts))["explain"]
    assert found.seconds == pytest.approx(17 + 96 * 1 + 4 * 5)


def test_a_stage_that_failed_has_no_time_and_is_missing(sections: dict[str, Any]) -> None:
    made = made_pilot(sections)
    failed = Run("synthesize", 1.0, error="synthesize: error: no voice")
    made = replace(made, runs={**made.runs, "synthesize": [failed]})
    assert planned(sections, made)["synthesize"].seconds is None
    assert needs.pilot_failures(made) == [needs.Need("synthesize: error: no voice", fatal=True)]


def test_a_pilot_changes_amounts_only(sections: dict[str, Any]) -> None:
    made = pilot.pilot_sections(sections, 60)
    assert list(made) == list(sections)
    for name in ("synthesize", "train_teacher", "label"):
        assert made[name] == sections[name]
    assert list(made["models"]) == [sections["explain"]["model"]]
    assert made["train"]["inputs"] == sections["train"]["inputs"]


def test_a_probe_stands_in_for_scores_that_know_no_row_of_a_pilot(sections: dict[str, Any]) -> None:
    scores = {"kind": "scores", "path": "x.csv", "name": "x", "classes": sections["train_teacher"]["image"]["classes"]}
    sections["train_teacher"]["image"] = scores
    sections["label"] |= {
        "rule": "log_pool",
        "further": [{"kind": "scores", "path": "v.csv", "name": "v", "weight": 1}],
    }
    made = pilot.pilot_sections(sections, 24)
    assert section(made, "train_teacher.image", SECTION).kind == "probe"
    assert section(made, "label", LabelParams).further == ()


def test_corpora_that_are_not_there_stop_a_run(sections: dict[str, Any], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("FI_USER", raising=False)
    (tmp_path / "empty").mkdir()
    sections["acquire"]["b_t4sa"]["path"] = "empty"
    sections["acquire"]["iemocap"]["path"] = "nowhere"
    sections["acquire"]["fi"]["url"] = "https://example.org/fi.zip"
    tweets, speech, pictures, _ = needs.corpora(sections, tmp_path)
    assert tweets.fatal
    assert "empty" in tweets.what
    assert speech.fatal
    assert "acquire.iemocap.path = nowhere" in speech.what
    assert not pictures.fatal
    assert "FI_USER" in pictures.what


def test_a_sample_is_told_and_stops_nothing(sections: dict[str, Any], tmp_path: Path) -> None:
    found = needs.corpora(sections, tmp_path)
    assert [need.fatal for need in found] == [False] * 4


def test_weights_of_the_hub_stop_a_run_that_is_offline(
    sections: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert needs.weights(sections) == []
    sections["models"]["parallelnet"]["image_backbone"] = {"name": "vgg19", "pretrained": True, "weights": "hub"}
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    for offline in (True, False):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
        (need,) = needs.weights(sections)
        assert need.fatal is offline
        assert "vgg19" in need.what
    sections["train_teacher"]["speech"] |= {"encoder": "lab/net", "weights": "hub", "revision": COMMIT}
    assert "weights of lab/net will be downloaded from the Hub (lab/net)" in [
        need.what for need in needs.weights(sections)
    ]
    put(tmp_path, "lab/net", lambda folder: (folder / "pytorch_model.bin").touch())
    assert len(needs.weights(sections)) == 1


def test_weights_of_torchvision_are_one_file_for_all_cuts(
    sections: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    model = sections["models"]["parallelnet"]
    model["image_backbone"] = {"name": "googlenet_3a", "pretrained": True, "weights": "torchvision"}
    model["speech_backbone"] = {**model["image_backbone"], "name": "googlenet_4a"}
    (need,) = needs.weights(sections)
    assert not need.fatal
    assert "googlenet-1378be20.pth will be downloaded from https://download.pytorch.org/" in need.what
    model["image_backbone"] = {**model["image_backbone"], "name": "vgg16"}
    wrong = needs.weights(sections)
    assert [need.fatal for need in wrong] == [False, True]
    assert wrong[1].what.startswith("backbone vgg16: weights torchvision are those of googlenet_3a")


def test_too_little_disk_stops_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIER_DOWNLOADS", raising=False)
    free = shutil.disk_usage(tmp_path).free
    assert needs.disk(free // 4, free // 4, tmp_path) == []
    (need,) = needs.disk(free // 4, free, tmp_path)  # together too much
    assert need.fatal
    assert "GB are needed" in need.what


def test_the_table_says_what_is_missing(sections: dict[str, Any]) -> None:
    made = made_pilot(sections)
    stages = [vars(one) | {"cache_bytes": 0} for one in planned(sections, made).values()]
    text = show(
        {
            "params": "params.yaml", "pilot_tweets": 60, "machine": {"cores": 2, "workers": 2, "device": "cpu"},
            "rows": {"rows": 1250, "clean_rows": 1000, "distinct_texts": 800, "speech_seconds": 7200, "sier_rows": 500},
            "kept_share": {"used": 0.5, "paper": 0.17}, "cache_is_linked": True, "stages": stages,
            "disk": dict.fromkeys(("workspace_bytes", "work_peak_bytes", "cache_bytes", "required_bytes"), 10**9)
            | {"downloads_bytes": 0},
            "needs": [{"what": "no voice", "fatal": True}],
            "training": {
                "networks": 2, "flops": 3e15, "checkpoint_bytes": 27 * 10**11, "seconds": 60.0,
                "measured_on": None, "measured_in": None,
                "gpu_hours": {"L4": 0.5},
            },
        }
    )  # fmt: skip
    assert "2.0 hours of speech" in text
    assert "2 networks to train, 3.0e+15 operations with all folds, seeds and epochs, up to 2.7 TB of" in text
    assert "written in turn. On a GPU: L4 30 min" in text
    assert "Assumed: 20% of the peak" in text
    assert "- no voice" in text
    assert text.endswith("The run cannot succeed as things are.")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "?"), (99, "99 s"), (600, "10 min"), (7500, "2 h 05 min"), (3 * 86_400, "3 d 0 h")]
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_sizes() -> None:
    assert [size(count) for count in (0, 2500, 2_500_000, 63 * 10**9)] == ["-", "2 kB", "2.5 MB", "63.0 GB"]


@pytest.mark.parametrize(
    "option", [("--rows", "0"), ("--rows", "many"), ("--kept-share", "1.5"), ("--pilot-tweets", "3")]
)
def test_wrong_options_are_refused(option: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run_command("plan", list(option))
    assert stop.value.code == 2
    assert option[1] in capsys.readouterr().err


def test_wrong_parameters_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command("plan", ["--params", "nowhere.yaml"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("plan: error: nowhere.yaml: no such file")


def test_the_command_plans_from_a_kept_pilot_and_fails_where_something_is_missing(
    sections: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    costs = dict.fromkeys(sections["models"], Cost(0.2, 0.1, 1000))
    for path, expected in ((None, 0), ("nowhere", 1)):
        sections["acquire"]["fi"]["path"] = path
        Path("params.yaml").write_text(yaml.safe_dump(sections), encoding="utf-8")
        keep(Measured(made_pilot(sections), costs), kept_path(sections, plan.PILOT_TWEETS, Path()))
        assert run_command("plan", ["--rows", "1250", "--kept-share", "0.5", "--json"]) == expected
        found = json.loads(capsys.readouterr().out)
        seconds = {stage["stage"]: stage["seconds"] for stage in found["stages"]}
        assert seconds["clean"] == pytest.approx(5 + 125)
        assert ["nowhere" in need["what"] for need in found["needs"] if need["fatal"]] == [True] * expected
        assert found["rows"]["sier_rows"] == 500
        assert found["disk"]["required_bytes"] >= sum(stage["workspace_bytes"] for stage in found["stages"])


def test_every_network_is_measured(sections: dict[str, Any]) -> None:
    tiny = {**TINY_MODEL, "image_backbone": {**TINY_NET}, "speech_backbone": {**TINY_NET}}
    sections["models"] = {"one": tiny, "same": {**tiny, "rows": "clean"}, "larger": {**tiny, "code_size": 64}}
    sections["train"] |= {"inputs": TINY["train.inputs"], "batch_size": 4}
    found = networks.measure(sections)
    assert found["one"] is found["same"]
    assert found["larger"].weight_bytes > found["one"].weight_bytes
    assert all(0 < cost.predict_seconds_per_row < cost.train_seconds_per_row for cost in found.values())
    assert all(0 < cost.predict_flops_per_row < cost.train_flops_per_row for cost in found.values())
    assert not any(cost.feature_bytes_per_row for cost in found.values())  # nothing is frozen


def test_features_of_frozen_backbones_are_measured_apart_from_a_step(
    sections: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = {**TINY_NET, "pretrained": True, "weights": "hub"}  # a plan's networks have random weights
    frozen = {**TINY_MODEL, "image_backbone": backbone, "speech_backbone": backbone, "freeze_backbone": True}
    sections["models"] = {"learnt": frozen, "grey": {**frozen, "learn_colours": False}}
    sections["train"] |= {"inputs": TINY["train.inputs"], "batch_size": 4}
    in_training: list[bool] = []
    work = N2.features

    def noting(self: N2, pictures: Any) -> Any:
        in_training.append(self.training and not pictures.is_meta)  # where operations are counted
        return work(self, pictures)

    monkeypatch.setattr(N2, "features", noting)
    found = networks.measure(sections)
    # Only the N2 of speech behind the convolution that learns is run: in each of three steps, and to count its memory.
    assert in_training.count(True) == 4
    assert found["grey"].feature_bytes_per_row == 2 * found["learnt"].feature_bytes_per_row > 0
    assert all(cost.feature_seconds_per_row > 0 for cost in found.values())
    assert (
        networks.measure({**sections, "train": {**sections["train"], "cache_features": False}})[
            "grey"
        ].feature_bytes_per_row
        == 0
    )


def test_memory_of_a_step_is_what_the_forward_pass_keeps() -> None:
    torch.manual_seed(0)
    inner, outer = torch.nn.Linear(10, 20), torch.nn.Linear(20, 3)
    rows = torch.rand(5, 10)
    weights = [*inner.parameters(), *outer.parameters()]
    kept = networks.saved_bytes(lambda: outer(torch.relu(inner(rows))), weights)
    # The rows for the inner weights, and what relu gives, for relu and for the outer weights alike: once.
    assert kept == 4 * (5 * 10 + 5 * 20)


def test_memory_of_training_grows_by_the_row(sections: dict[str, Any]) -> None:
    tiny = {**TINY_MODEL, "image_backbone": {**TINY_NET}, "speech_backbone": {**TINY_NET}}
    sections["models"] = {"one": tiny}
    sections["train"] |= {"inputs": TINY["train.inputs"]}
    cost = [networks.measure({**sections, "train": sections["train"] | {"batch_size": n}})["one"] for n in (8, 16, 32)]
    sizes = [one.training_bytes for one in cost]
    assert sizes[2] - sizes[1] == pytest.approx(2 * (sizes[1] - sizes[0]), rel=0.01)
    assert 2 * sizes[0] - sizes[1] == pytest.approx(4 * cost[0].weight_bytes, rel=0.1)  # gradient, two moments


def test_too_little_memory_stops_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIER_DEVICE", "cpu")
    (need,) = needs.memory([StagePlan("clean", 1, 1, 1.0), StagePlan("label", 1, 1, 1.0, memory_bytes=10**15)])
    assert need.fatal
    assert need.what.startswith("label: 1,000,000.0 GB of memory are needed, there are ")


def test_features_are_counted_once_in_time_and_on_disk(sections: dict[str, Any]) -> None:
    plain = estimate.plan(*plan_arguments(sections, Cost(0.2, 0.1, 1000)))
    kept = estimate.plan(*plan_arguments(sections, Cost(0.2, 0.1, 1000, 0.0, 0.5, 300)))
    before, after = ({line.stage: line for line in lines} for lines in (plain, kept))
    for name, shared in (("parallelnet", False), ("ser_only", True), ("parallelnet_sentiment", False)):
        one, other = before[f"train@{name}"], after[f"train@{name}"]
        assert one.seconds is not None and other.seconds is not None
        assert other.seconds - one.seconds == pytest.approx(0.5 * one.units, abs=1)
        assert other.work_bytes - one.work_bytes == pytest.approx(0 if shared else 300 * one.units, abs=300)


def test_items_to_learn_from_are_those_of_the_corpus_in_its_format(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert sum(items_by_label("ravdess_crema_d", nowhere).values()) == 1440 + 7442
    assert items_by_label("fi", nowhere)["anger"] == 1255
    assert items_by_label("picture_folders", nowhere) == {}
    assert set(items_by_label("fi", build_fi(tmp_path / "emoset", form="emoset", per_class=3)).values()) == {3}
    assert items_by_label("picture_folders", build_fi(tmp_path / "own", per_class=2))["awe"] == 2


def test_a_pilot_of_another_format_learns_the_labels_of_the_sample(sections: dict[str, Any]) -> None:
    sections["acquire"]["iemocap"] |= {"format": "emodb", "path": "x"}
    sections["train_teacher"]["speech"]["classes"] = {"wut": "anger", "freude": "joy", "neutral": None}
    made = pilot.pilot_sections(sections, 24)
    assert made["acquire"]["iemocap"]["format"] is None
    classes = made["train_teacher"]["speech"]["classes"]
    assert set(classes) == set(iemocap.EMOTIONS)
    assert set(classes.values()) == {"anger", "joy"}
    assert made["train_teacher"]["image"]["classes"] == sections["train_teacher"]["image"]["classes"]


def test_a_pilot_runs_stages_as_they_are(
    sections: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIER_WORKERS", "1")  # more would load the same libraries again
    found = pilot.measure(sections, 24, tmp_path / "pilot", ["acquire@b_t4sa", "clean"])
    small, large = found.runs["clean"]
    assert 12 <= small.units < large.units
    assert 0 < small.out_bytes < large.out_bytes
    assert large.shards > 4
    assert small.memory_bytes > 30 * 10**6  # an interpreter with pyarrow has more
    # Every finished shard is a link to the one in data.
    assert large.work_bytes < large.out_bytes / 4


def test_a_pilot_stops_at_a_stage_that_fails(sections: dict[str, Any], tmp_path: Path) -> None:
    found = pilot.measure(sections, 24, tmp_path / "pilot", ["clean", "label"])
    (failed,) = found.failures
    assert failed.stage == "clean"
    assert failed.error
    assert "b_t4sa" in failed.error
    assert found.runs["label"] == []
