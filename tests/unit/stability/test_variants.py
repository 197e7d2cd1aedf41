from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import UserError
from pipeline.stability.making import STEPS, stages_of
from pipeline.stability.variants import Variant, defaults

ROOT = Path(__file__).parents[3]
PARAMS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def with_label(**changes: Any) -> dict[str, Any]:
    return {**PARAMS, "label": {**PARAMS["label"], "rule": "max_probability", "threshold": 0.5, **changes}}


def test_what_needs_no_asking() -> None:
    found = {one.name: one for one in defaults(with_label(), ("max_probability", "agreement"))}
    seed = PARAMS["base"]["seed"] + 1
    assert {name: (dict(one.settings), one.alone) for name, one in found.items()} == {
        "threshold -0.05": ({"label.threshold": 0.45}, ""),
        "threshold +0.05": ({"label.threshold": 0.55}, ""),
        "rule agreement": ({"label.rule": "agreement"}, ""),
        "speech alone": ({}, "speech"),
        "image alone": ({}, "image"),
        "acoustic teacher": (
            {"train_teacher.speech.features": "acoustic", "train_teacher.speech.normalise": "voice"},
            "",
        ),
        "another seed": ({"base.seed": seed}, ""),
    }


def test_no_threshold_beyond_one() -> None:
    assert [one.name for one in defaults(with_label(threshold=0.98), ())][0:2] == ["threshold -0.05", "speech alone"]


def test_settings_change_a_copy_and_only_what_they_name() -> None:
    changed = Variant("x", {"label.threshold": 0.1, "train_teacher.speech.normalise": "voice"}).sections(PARAMS)
    assert (changed["label"]["threshold"], PARAMS["label"]["threshold"]) == (0.1, 0.5)
    assert changed["train_teacher"]["speech"].pop("normalise") == "voice"
    expected = {**PARAMS["train_teacher"]["speech"]}
    del expected["normalise"]
    assert changed["train_teacher"]["speech"] == expected


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("clean.shard_rows", "variant x: clean.shard_rows cannot be changed here; expected base.seed or a key of"),
        ("base.labels", "variant x: base.labels cannot be changed here"),
        ("synthesize.no.thing", "variant x: synthesize.no.thing: params.yaml has no section synthesize.no"),
        ("label.threshold.x", "variant x: label.threshold.x: params.yaml has no section label.threshold"),
    ],
)
def test_what_cannot_be_changed_is_named(key: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        Variant("x", {key: 1}).sections(PARAMS)
    assert str(caught.value).startswith(says)


SPEECH, IMAGE = ["train_teacher@speech", "score@speech"], ["train_teacher@image", "score@image"]


@pytest.mark.parametrize(
    ("keys", "stages"),
    [
        (["label.threshold"], []),
        (["synthesize.voice.model"], ["synthesize", "score@speech"]),
        (["train_teacher.speech"], SPEECH),
        (["train_teacher.image.encoder"], IMAGE),
        (["score.image.batch_size"], ["score@image"]),
        (["base.seed"], [SPEECH[0], IMAGE[0], SPEECH[1], IMAGE[1]]),
        (["label.rule", "score.speech.batch_size"], ["score@speech"]),
    ],
)
def test_only_stages_behind_a_change_are_run(keys: list[str], stages: list[str]) -> None:
    assert stages_of(Variant("x", dict.fromkeys(keys, 1))) == stages


def test_steps_are_those_of_dvc() -> None:
    """Every stage between clean and label is known, with its folder and what it needs of the others."""
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    found: dict[str, tuple[str, set[str]]] = {}
    for module in dict.fromkeys(name.split("@")[0] for name in STEPS):
        stage = graph[module]
        for key, values in stage.get("foreach", {"": {}}).items():
            text = yaml.safe_dump(stage.get("do", stage)).replace("${key}", key)
            for name, value in values.items():
                text = text.replace("${item." + name + "}", value)
            written = yaml.safe_load(text)
            (out,) = [out for out in written["outs"] if isinstance(out, str)]
            found[f"{module}@{key}" if key else module] = (out, {dep for dep in written["deps"] if dep[:5] == "data/"})
    maker = {out: stage for stage, (out, _) in found.items()}
    needs = {stage: {maker[dep] for dep in deps if dep in maker} for stage, (_, deps) in found.items()}
    assert {stage: (f"data/{step.out}", set(step.needs)) for stage, step in STEPS.items()} == {
        stage: (out, needs[stage]) for stage, (out, _) in found.items()
    }
    elsewhere = {dep for _, deps in found.values() for dep in deps if dep not in maker}
    assert {Path(dep).parts[1] for dep in elsewhere} == {"clean", "corpora"}
    read_by_label = {dep for dep in graph["label"]["deps"] if dep.startswith("data/")}
    assert read_by_label <= {*maker, "data/clean", "data/corpora/b_t4sa/manifest.json"}
