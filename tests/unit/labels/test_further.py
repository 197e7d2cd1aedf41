"""Voters besides the two teachers: the pool of three by hand, and stages that go by one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import label
from pipeline.dataset.features import features
from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.evaluation.baselines import teacher_copies
from pipeline.labels import association
from pipeline.labels.matching import scores_at
from pipeline.labels.pool import pool
from pipeline.labels.rules import Further, LabelParams, read_rule
from pipeline.labels.soft import soft_labels
from pipeline.verification.rows import check_labels
from tests.builders_labels import CLASSES, LABELS, REMAP, say, scene, write

BOTH = ("anger", "excitement")
ROWS = 60


@pytest.fixture(autouse=True)
def fewer_deals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(association, "DEALS", 199)


def rows(*said: list[float]) -> np.ndarray:
    return np.array(said, dtype=np.float32)


def test_three_voters_worked_by_hand() -> None:
    speech, image, other = rows([0.9, 0.1], [0.6, 0.4]), rows([0.2, 0.8], [0.6, 0.4]), rows([0.3, 0.7], [np.nan] * 2)
    found = pool(speech, BOTH, image, BOTH, 0.5, (), [((other, BOTH), 1.0)])
    # Weights .25, .25, .5: (.9 * .2)^.25 * .3^.5 = .3568, (.1 * .8)^.25 * .7^.5 = .4450: .4450 / .8018.
    assert found.source_label.tolist() == ["excitement", "anger"]
    # In the other row the third says nothing: sqrt(.6 * .6) to sqrt(.4 * .4).
    assert found.confidence == pytest.approx([0.5550, 0.6], abs=1e-4)
    # Logs above their mean, times the weight: ln(.1 / .9) / 2 / 4, ln(.8 / .2) / 2 / 4, ln(.7 / .3) / 2 / 2.
    assert found.parts[:, 0] == pytest.approx([-0.27465, 0.17329, 0.21182], abs=1e-4)
    assert found.parts[2, 1] == 0
    assert found.speech_decides.tolist() == [False, True]
    # Twice the same voter of half the weight is one of the whole.
    twice = pool(speech, BOTH, image, BOTH, 0.5, (), [((other, BOTH), 0.5), ((other, BOTH), 0.5)])
    assert twice.pooled == pytest.approx(found.pooled)
    assert np.array_equal(
        pool(speech, BOTH, image, BOTH, 0.3, ()).pooled, pool(speech, BOTH, image, BOTH, 0.3, (), []).pooled
    )


def table(path: Path, ids: list[str], said: np.ndarray, classes: tuple[str, ...] = CLASSES) -> Path:
    pd.DataFrame({"id": ids, **{f"p_{name}": said[:, place] for place, name in enumerate(classes)}}).to_csv(path)
    return path


def params(path: Path, **changes: Any) -> LabelParams:
    voter = Further(kind="scores", path=str(path), name="crowd", weight=0.5, max_lost_share=0.2)
    return replace(LabelParams("log_pool", 0.5, REMAP, "match", 0.4, (), (voter,)), **changes)


def labelled(root: Path, **changes: Any) -> dict[str, Any]:
    """The metrics of the stage; one row in ten is missing in the table of the further voter."""
    rng = np.random.default_rng(5)
    made = scene(
        ROWS, speech=rng.dirichlet(np.full(4, 0.5), ROWS).tolist(), image=rng.dirichlet(np.full(4, 0.5), ROWS).tolist()
    )
    said = rng.dirichlet(np.full(4, 0.5), ROWS)
    path = table(
        root / "crowd.csv", [one for row, one in enumerate(made.ids) if row % 10], said[np.arange(ROWS) % 10 > 0]
    )
    label.run(params(path, **changes), write(root, made))
    metrics: dict[str, Any] = json.loads((root / "reports" / "label.json").read_text())
    return metrics


def read(root: Path, name: str) -> pd.DataFrame:
    folder = root / "data" / name
    table: pd.DataFrame = shards.read_parts(folder, shards.read_manifest(folder, "label")).to_pandas()
    return table


@pytest.mark.parametrize("calibrate", ["none", "match"])
def test_a_further_voter_is_kept_described_verified_and_asked_again(tmp_path: Path, calibrate: str) -> None:
    metrics = labelled(tmp_path, calibrate=calibrate)
    rule = read_rule(tmp_path / "data" / "labels")
    (voter,) = metrics["further"]
    assert (voter["name"], voter["rows"], voter["rows_without"]) == ("crowd", 54, 6)
    assert voter["share_of_weights"] == pytest.approx(1 / 3, abs=1e-6)
    assert 0 < voter["adds_most_to"] < metrics["kept"]
    assert (rule.further[0].path, rule.further[0].digest) == ("crowd.csv", voter["digest"])
    assert {one["over"] for one in metrics["validity"]["table"] if one["of"] == "voter crowd"} >= {"all rows"}
    said = read(tmp_path, "labels")
    assert said[rule.further_columns].isna().all(axis=1).sum() == 6
    speech, image = (
        scores_at(read(tmp_path, f"scores/{name}"), rule.temperatures.of(name)) for name in ("speech", "image")
    )
    where = tmp_path / "data" / "labels"
    assert list(check_labels(where, said, speech, image, rule, whole=True)) == []
    damaged = said.copy()
    damaged.loc[1, rule.further_columns] = [0.97, 0.01, 0.01, 0.01]
    assert "the scores and rule.json give" in " ".join(
        fault.what for fault in check_labels(where, damaged, speech, image, rule, whole=False)
    )
    # Whoever has the dataset's rows comes to the same pool.
    kept = said[said["kept"]].reset_index(drop=True)
    for name, scores in (("speech", speech), ("image", image)):
        theirs = scores.set_index("id").loc[kept["id"]].reset_index(drop=True)
        kept = kept.join(theirs.filter(regex="^p_").add_prefix(f"p_{name}_"))
    kept.columns = kept.columns.str.replace("_p_", "_", regex=False)
    soft = soft_labels(kept, rule, LABELS)
    assert soft.max(axis=1) == pytest.approx(kept["confidence"].to_numpy(), abs=1e-6)
    copies = teacher_copies(kept, rule, LABELS)
    assert [LABELS[place] for place in copies["surer_teacher"]] == kept["label"].tolist()
    assert set(rule.further_columns) <= set(features(LABELS, CLASSES, CLASSES, rule.further_columns))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rule": "max_probability"}, "label.rule = max_probability: it asks the two teachers only"),
        ({"further": ()}, None),
    ],
)
def test_a_rule_that_asks_no_further_voter_says_so(tmp_path: Path, changes: dict[str, Any], said: str | None) -> None:
    if said is None:
        assert labelled(tmp_path, **changes)["further"] == []
        assert not [name for name in read(tmp_path, "labels").columns if name.startswith("p_")]
        return
    with pytest.raises(UserError, match=said):
        labelled(tmp_path, **changes)


def test_faults_of_a_further_voter_are_said_in_one_line(tmp_path: Path) -> None:
    made = scene(12)
    context = write(tmp_path, made)
    sure = np.array([say("anger")] * 12)
    half = table(tmp_path / "half.csv", made.ids[:6], sure[:6])
    with pytest.raises(UserError, match=r"6 of 12 rows to label are not in it; .* label.further.0.max_lost_share"):
        label.run(params(half), context)
    other = table(tmp_path / "other.csv", made.ids, sure, ("joy", "fear", "awe", "anger"))
    with pytest.raises(UserError, match=r"expected two classes that all voters have, found .*'awe'"):
        label.run(params(other), context)
    twice = params(half, further=params(half).further * 2)
    with pytest.raises(UserError, match="the name crowd is taken"):
        label.run(twice, context)
