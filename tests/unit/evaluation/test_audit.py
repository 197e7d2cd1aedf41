"""The audit of labels: planted errors are found, and the list holds what the rows say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from pandas import read_csv

from pipeline import audit
from pipeline.audit import AuditParams
from pipeline.engine.local import LocalEngine
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.audit_table import AUDIT_FILE
from pipeline.frame.stage import BaseParams, Context, Paths
from pipeline.networks import trained
from tests.damage import note_digests
from tests.project import TINY_MODEL

LABELS = ("anger", "happy", "hate", "sad")
ROWS = 120
WRONG = (3, 17, 58, 99)
PARAMS = AuditParams(model="net", doubtful_rows=5)
MODELS = {"net": dict(TINY_MODEL), "sentiment": {**TINY_MODEL, "rows": "clean"}}


def planted(without: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Class ids and probabilities of a network that is right and sure; the labels of `WRONG` are not its answers."""
    rng = np.random.default_rng(1)
    answers = np.arange(ROWS) % 4
    probabilities = rng.uniform(0.02, 0.08, (ROWS, 4))
    probabilities[np.arange(ROWS), answers] = 0.8
    probabilities[list(WRONG), answers[list(WRONG)]] = 1.2  # surer than the average of the class, as the rule asks
    truth = answers.copy()
    truth[list(WRONG)] = (answers[list(WRONG)] + 1) % 4
    keep = truth != without
    return truth[keep], (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)[keep]


def write(root: Path, truth: NDArray[np.int64], probabilities: NDArray[np.float32], folds: int = 2) -> Context:
    folder = root / "data" / "checkpoints" / "net"
    folder.mkdir(parents=True)
    fold = np.arange(len(truth)) % folds
    table = pa.table(
        {
            "id": [f"{900 - row}-0" for row in range(len(truth))], "seed": np.zeros_like(fold), "fold": fold,
            "label": [LABELS[place] for place in truth],
            **{f"p_{name}": probabilities[:, place] for place, name in enumerate(LABELS)},
        },
    ).cast(trained.predictions_schema(LABELS, runs=True))  # fmt: skip
    pq.write_table(table, folder / tables.OUT_OF_FOLD_FILE)
    training = {
        "rows": "sier", "labels": LABELS, "parameters": 1,
        "runs": [
            {"seed": 0, "fold": number, "validation_rows": int((fold == number).sum())} for number in range(folds)
        ],
    }  # fmt: skip
    (folder / tables.TRAINING_FILE).write_text(json.dumps(training))
    note_digests(folder)
    return Context(BaseParams(7, LABELS), Paths(root), LocalEngine(workers=1), sections={"models": MODELS})


def found(root: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((root / "reports" / "audit.json").read_bytes())
    return values


def test_planted_errors_are_the_issues_and_lead_the_list(tmp_path: Path) -> None:
    truth, probabilities = planted()
    report = audit.run(PARAMS, write(tmp_path, truth, probabilities))
    rows = pq.read_table(tmp_path / "data" / "audit" / AUDIT_FILE).to_pandas()
    assert report.rows_out == len(rows) == ROWS
    assert rows["id"].is_monotonic_increasing
    wrong = {f"{900 - row}-0" for row in WRONG}
    assert set(rows["id"][rows["is_issue"]]) == wrong
    assert set(read_csv(tmp_path / "reports" / "doubtful_rows.csv")["id"].head(len(WRONG))) == wrong
    assert found(tmp_path)["issues"] == len(WRONG)
    assert found(tmp_path)["estimated_label_noise"] == pytest.approx(len(WRONG) / ROWS, abs=0.01)


def test_quality_is_the_probability_of_the_label_and_the_suggestion_the_most_probable_one(tmp_path: Path) -> None:
    truth, probabilities = planted()
    audit.run(PARAMS, write(tmp_path, truth, probabilities))
    rows = pq.read_table(tmp_path / "data" / "audit" / AUDIT_FILE).to_pandas().set_index("id")
    for row in (0, 3, 58):
        of_row = rows.loc[f"{900 - row}-0"]
        assert of_row["label"] == LABELS[truth[row]]
        assert of_row["label_quality"] == pytest.approx(probabilities[row, truth[row]], rel=1e-5)
        assert of_row["suggested_label"] == LABELS[probabilities[row].argmax()]


def test_a_label_without_rows_costs_nothing_but_itself(tmp_path: Path) -> None:
    """IEMOCAP has two utterances of disgust: a fold may hold out no row of hate."""
    audit.run(PARAMS, write(tmp_path, *planted(without=2), folds=1))
    assert set(found(tmp_path)["labels"]) == {"anger", "happy", "sad"}
    histogram = read_csv(tmp_path / "reports" / "plots" / "label_quality.csv")
    assert histogram.groupby("series")["rows"].sum()["hate"] == 0
    assert histogram["rows"].sum() == found(tmp_path)["rows"]


def test_the_rows_are_said_to_have_chosen_the_epoch(tmp_path: Path) -> None:
    report = audit.run(PARAMS, write(tmp_path, *planted()))
    assert found(tmp_path)["rows_chose"].startswith("The same rows chose the epoch")
    assert found(tmp_path)["rows_chose"] in report.notes


def test_one_fold_is_said_to_be_one(tmp_path: Path) -> None:
    report = audit.run(PARAMS, write(tmp_path, *planted(), folds=1))
    assert any("only fold 0 was held out" in note for note in report.notes)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("none", r"^params.yaml: audit.model = none: expected a key of models: net, sentiment$"),
        ("sentiment", r"audit.model = sentiment: expected a network of rows: sier, found rows: clean$"),
    ],
)
def test_a_network_that_has_nothing_to_say_of_the_labels(tmp_path: Path, model: str, message: str) -> None:
    context = write(tmp_path, *planted())
    with pytest.raises(UserError, match=message):
        audit.run(AuditParams(model=model, doubtful_rows=1), context)
    assert not (tmp_path / "data" / "audit").exists()


def test_rows_of_one_label_raise_no_doubt(tmp_path: Path) -> None:
    """A tiny fold may hold out a single row."""
    truth, probabilities = planted()
    report = audit.run(PARAMS, write(tmp_path, np.zeros_like(truth), probabilities))
    assert (found(tmp_path)["issues"], found(tmp_path)["estimated_label_noise"]) == (0, None)
    assert any("their rows have one label only" in note for note in report.notes)
