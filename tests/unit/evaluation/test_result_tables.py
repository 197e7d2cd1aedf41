from __future__ import annotations

import csv
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.engine.fingerprint import PROJECT
from pipeline.evaluation import plots, result_tables
from pipeline.frame.metrics_files import write_plot
from pipeline.frame.paper import TABLE_2, TABLE_3, WITHOUT_FIGURES


def figures(accuracy: float, rows: int = 66, kappa: float | None = 0.25) -> dict[str, Any]:
    return {
        "rows": rows,
        "accuracy": accuracy,
        "macro_f1": 0.4,
        "cohen_kappa": kappa,
        "per_class": {"happy": {"precision": 0.5, "support": 4}},
        "intervals": {
            "accuracy": (accuracy - 0.1, accuracy + 0.1),
            "macro_f1": (0.3, 0.5),
            "cohen_kappa": None if kappa is None else (0.125, 0.375),
        },
    }


def network(rows: str, accuracy: float, deviation: float | None = None, like: str = "") -> dict[str, Any]:
    return {
        "rows": rows,
        "same_design_as": like,
        "validation": {
            "seeds": 1,
            "folds": 1 if deviation is None else 5,
            "accuracy": {"mean": accuracy + 0.01, "standard_deviation": deviation},
            "per_run": [{"rows": 30}] * (1 if deviation is None else 5),
            "best_by": "loss",
            "best_epoch": 2,
        },
        "test": figures(accuracy),
        "runs": None,
    }


FINDINGS: dict[str, Any] = {
    "origin": "sample",
    "rows": {
        "sier": {"train": 154, "test": 66, "majority_class": "happy"},
        "clean": {"train": 1234, "test": 66, "majority_class": "neutral"},
    },
    "models": {
        "parallelnet": {
            **network("sier", 0.6, 0.03, like="parallelnet"),
            "runs": {
                "networks": 2,
                "accuracy": {"mean": 0.58, "standard_deviation": 0.0283},
                "ensemble": figures(0.62),
            },
        },
        "ser_only": network("sier", 0.5, 0.02, like="ser_only"),
        "baseline_3": network("sier", 0.6, like="parallelnet"),
        "a|b": network("sier", 0.55, like="a|b"),
        "parallelnet_sentiment": network("clean", 0.45, like="parallelnet_sentiment"),
    },
    "comparisons": [],
    "without_training": {
        "sier": {
            "majority_class": figures(0.375, kappa=None),
            "speech_teacher": figures(0.65),
            "image_teacher": figures(0.6),
            "surer_teacher": {**figures(1.0), "intervals": {**figures(1.0)["intervals"], "accuracy": (1.0, 1.0)}},
        },
        "clean": {"majority_class": figures(0.35, kappa=None)},
    },
}

for sentiment_test in (
    FINDINGS["models"]["parallelnet_sentiment"]["test"], FINDINGS["without_training"]["clean"]["majority_class"],
):  # fmt: skip
    sentiment_test["without_crossing_groups"] = {
        "rows": 60, "groups": 50, "accuracy": 0.4, "low": 0.3, "high": 0.5, "crossing_rows": 6,
    }  # fmt: skip

NEVER, ALWAYS = {"precision": None, "support": 1}, {"precision": 0.5, "support": 4}
FINDINGS["models"]["ser_only"]["validation"]["best_epoch"] = 1
FINDINGS["models"]["ser_only"]["test"]["per_class"] = {"happy": ALWAYS, "hate": NEVER, "sad": NEVER}
FINDINGS["models"]["a|b"]["test"]["per_class"] = {"hate": NEVER, "sad": {"precision": None, "support": 0}}

TABLE_2_PAGE = """\
# Table 2: emotion recognition (section 4.3.2)

| Model | Paper (%) | Ours, validation (%) | Ours, test (%) | Macro F1 | Cohen's kappa | Test rows | \
Networks | Their test mean (%) | Ensemble, test (%) |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| SER only | 60.17 | 51.00 ± 2.00 | 50.00 [40.00, 60.00] | 0.40 [0.30, 0.50] | 0.25 [0.12, 0.38] | 66 | 1 |  |  |
| IER only | 66.93 | not trained |  |  |  |  |  |  |  |
| Baseline 1 | 63.93 | not trained |  |  |  |  |  |  |  |
| Baseline 2 | 61.81 | not trained |  |  |  |  |  |  |  |
| Baseline 3 | 67.70 | 61.00 (one run) | 60.00 [50.00, 70.00] | 0.40 [0.30, 0.50] | 0.25 [0.12, 0.38] | 66 | 1 |  |  |
| ParallelNet | 83.29 | 61.00 ± 3.00 | 60.00 [50.00, 70.00] | \
0.40 [0.30, 0.50] | 0.25 [0.12, 0.38] | 66 | 2 | 58.00 ± 2.83 | 62.00 [52.00, 72.00] |
| a\\|b |  | 56.00 (one run) | 55.00 [45.00, 65.00] | 0.40 [0.30, 0.50] | 0.25 [0.12, 0.38] | 66 | 1 |  |  |

| Without training | Ours, test (%) | Macro F1 | Cohen's kappa | Test rows |
| --- | ---: | ---: | ---: | ---: |
| Majority class of train (happy) | 37.50 [27.50, 47.50] | 0.40 [0.30, 0.50] | not defined | 66 |
| Copy of the speech teacher's label | 65.00 [55.00, 75.00] | 0.40 [0.30, 0.50] | 0.25 [0.12, 0.38] | 66 |
| Copy of the image teacher's label | 60.00 [50.00, 70.00] | 0.40 [0.30, 0.50] | 0.25 [0.12, 0.38] | 66 |
| Copy of the surer teacher's label | 100.00 [100.00, 100.00] | 0.40 [0.30, 0.50] | 0.25 [0.12, 0.38] | 66 |

Run on the embedded sample: 154 rows in train and 66 in test, where the paper's dataset has 80,893; \
that shows that everything runs, not how good a network is. \
Brackets hold 95 % intervals by groups of test rows (rows of a group share a tweet or a picture); \
± is the sample standard deviation over runs, which differ in fold or seed.

The paper reports validation accuracy. Ours is that of the rows which each run, with its fold and seed, held out; \
they also decided when training stopped, so the test figures are the stricter ones. Those are of the network that is \
published, of fold 0 and the first seed; beside them stand the mean of all networks that were kept and what their \
mean answer, the ensemble, gets.

In the paper's dataset 42,958 of 80,893 rows are happy: always saying so is right in 53.1%, beside which its \
accuracies are to be read.

Labels are those of the teacher that is surer, so its copy is right in every row by construction. The paper's section \
5.4 expects 100 % of either teacher; one teacher alone gets what is shown.

Kept as they were after their first epoch, whose validation loss was the best, and so hardly trained: `ser_only` \
(`train.best_by`, `train.learning_rate`).

Classes of the test rows that a network names in none of them: `ser_only` hate, sad; `a|b` hate.

The same network with two seeds, by `params.yaml`: `parallelnet` and `baseline_3`.
"""

TABLE_3_PAGE = """\
# Table 3: sentiment classification (section 5.3)

| Model | Author | Paper (%) | Ours, validation (%) | Ours, test (%) | Macro F1 | Cohen's kappa | Test rows | \
Networks | Their test mean (%) | Ensemble, test (%) |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| Cross-Modal Learning | Vadicamo et al., 2017 | 51.30 |  |  |  |  |  |  |  |  |
| Multimodal Sentiment Analysis | Gaspar et al., 2019 | 60.42 |  |  |  |  |  |  |  |  |
| Hybrid Fusion | Kumar et al., 2021 | 86.70 |  |  |  |  |  |  |  |  |
| ParallelNet |  | 89.68 | 46.00 (one run) | 45.00 [35.00, 55.00] | \
0.40 [0.30, 0.50] | 0.25 [0.12, 0.38] | 66 | 1 |  |  |

| Without training | Ours, test (%) | Macro F1 | Cohen's kappa | Test rows |
| --- | ---: | ---: | ---: | ---: |
| Majority class of train (neutral) | 35.00 [25.00, 45.00] | 0.40 [0.30, 0.50] | not defined | 66 |

Run on a local copy of B-T4SA: 1,234 rows in train and 66 in test, where B-T4SA has 470,586 in all. \
Brackets hold 95 % intervals by groups of test rows (rows of a group share a tweet or a picture); \
± is the sample standard deviation over runs, which differ in fold or seed.

The splits are the corpus's own; its validation split decided when training stopped.

6 of 66 test rows are of a group (one tweet, nearly the same words or picture) that also has rows in train or val: \
these splits were not made by group. Test accuracy on the other 60: parallelnet_sentiment 40.00 [30.00, 50.00] %; \
the majority class 40.00 [30.00, 50.00] %.
"""


def test_table_2_has_the_papers_rows_in_its_order_then_ours_then_what_needs_no_training() -> None:
    assert result_tables.markdown(result_tables.table_2(FINDINGS)) == TABLE_2_PAGE


def test_table_3_has_other_peoples_rows_without_figures_of_ours() -> None:
    local = {**FINDINGS, "origin": "local copy"}
    assert result_tables.markdown(result_tables.table_3(local)) == TABLE_3_PAGE


def test_tables_without_networks_hold_the_papers_figures_only() -> None:
    empty = {"origin": "sample", "rows": {}, "models": {}, "without_training": {}}
    for table, paper in ((result_tables.table_2(empty), TABLE_2), (result_tables.table_3(empty), TABLE_3)):
        page = result_tables.markdown(table)
        assert page.count(result_tables.NOT_TRAINED) == sum(not row.author for row in paper)
        assert "No network of `params.yaml` is trained on these rows." in page
        assert "surer" not in page
        values = result_tables.csv_rows(table)
        assert [row[3] for row in values] == [row.accuracy for row in paper]
        assert all(cell is None for row in values for cell in row[4:])


def written(path: Path, table: result_tables.ResultTable) -> list[dict[str, str]]:
    write_plot(path, result_tables.COLUMNS, result_tables.csv_rows(table))
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_holds_shares_and_leaves_empty_what_is_not_there(tmp_path: Path) -> None:
    rows = {row["name"]: row for row in written(tmp_path / "table_2.csv", result_tables.table_2(FINDINGS))}
    assert list(rows) == [row.name for row in TABLE_2] + ["a|b", *(
        "Majority class of train (happy)", "Copy of the speech teacher's label", "Copy of the image teacher's label",
        "Copy of the surer teacher's label",
    )]  # fmt: skip
    assert rows["SER only"] == {
        "kind": "network", "name": "SER only", "author": "", "paper_accuracy": "0.6017", "seeds": "1", "folds": "5",
        "validation_accuracy": "0.51", "validation_accuracy_sd": "0.02", "test_rows": "66", "test_accuracy": "0.5",
        "test_accuracy_low": "0.4", "test_accuracy_high": "0.6", "test_macro_f1": "0.4", "test_macro_f1_low": "0.3",
        "test_macro_f1_high": "0.5", "test_cohen_kappa": "0.25", "test_cohen_kappa_low": "0.125",
        "test_cohen_kappa_high": "0.375", "networks": "1", "networks_test_accuracy": "",
        "networks_test_accuracy_sd": "", "ensemble_test_accuracy": "", "ensemble_test_accuracy_low": "",
        "ensemble_test_accuracy_high": "",
    }  # fmt: skip
    assert rows["Baseline 3"]["validation_accuracy_sd"] == ""
    of_runs = ("networks", "networks_test_accuracy", "networks_test_accuracy_sd", "ensemble_test_accuracy")
    assert [rows["ParallelNet"][name] for name in of_runs] == ["2", "0.58", "0.0283", "0.62"]
    assert set(list(rows["IER only"].values())[4:]) == {""}
    assert rows["a|b"]["paper_accuracy"] == ""
    majority = rows["Majority class of train (happy)"]
    assert (majority["kind"], majority["folds"], majority["test_cohen_kappa_low"]) == ("baseline", "", "")


def test_csv_of_table_3_says_whose_work_a_row_is(tmp_path: Path) -> None:
    rows = written(tmp_path / "table_3.csv", result_tables.table_3(FINDINGS))
    assert [row["kind"] for row in rows] == ["published"] * 3 + ["network", "baseline"]
    assert [row["author"].split(" ")[0] for row in rows] == ["Vadicamo", "Gaspar", "Kumar", "", ""]


@pytest.mark.parametrize(("kappa", "shown"), [(None, "not defined"), (-0.004, "0.00 [0.12, 0.38]")])
def test_a_figure_that_is_not_defined_is_called_so(kappa: float | None, shown: str) -> None:
    findings = deepcopy(FINDINGS)
    findings["models"] = {"parallelnet": {**network("sier", 0.6), "same_design_as": "parallelnet"}}
    findings["models"]["parallelnet"]["test"] = figures(0.6, kappa=kappa)
    found = result_tables.markdown(result_tables.table_2(findings)).splitlines()
    assert found[9].split(" | ")[5] == shown
    assert not found[-1].startswith("One network")


def test_the_paper_is_quoted_as_it_prints_its_tables() -> None:
    assert {row.name: round(100 * row.accuracy, 2) for row in TABLE_2} == {
        "SER only": 60.17, "IER only": 66.93, "Baseline 1": 63.93, "Baseline 2": 61.81, "Baseline 3": 67.70,
        "ParallelNet": 83.29,
    }  # fmt: skip
    assert [round(100 * row.accuracy, 2) for row in TABLE_3] == [51.30, 60.42, 86.70, 89.68]


def test_plots_of_accuracy_have_the_paper_validation_test_and_what_needs_no_training(tmp_path: Path) -> None:
    histories = {"ser_only": [{"epoch": 1, "train_loss": 1.5, "validation_loss": 1.25, "validation_accuracy": 0.5}]}
    plots.write_all(FINDINGS, histories, [("sad", "happy"), ("sad", "sad")], tmp_path)
    texts = {path.stem: path.read_text(encoding="utf-8").splitlines() for path in tmp_path.iterdir()}
    assert texts["model_accuracy"][:4] == [
        "series,model,accuracy,low,high,rows",
        "paper,parallelnet,0.8329,,,",
        "validation,parallelnet,0.61,,,150",
        "test,parallelnet,0.6,0.5,0.7,66",
    ]
    assert "validation,ser_only,0.51,,,150" in texts["model_accuracy"]
    assert "without training,majority_class (clean),0.35,0.25,0.45,66" in texts["model_accuracy"]
    assert not [line for line in texts["model_accuracy"] if line.startswith("paper,a|b")]
    assert texts["evaluate_confusion"] == ["actual,predicted", "sad,happy", "sad,sad"]
    assert texts["curves"][0].startswith("series,epoch,train_loss,validation_loss,validation_accuracy")
    assert texts["curves"][1:] == ["ser_only,1,1.5,1.25,0.5,,"]
    assert [len(texts[name]) for name in ("accuracy_by_confidence", "accuracy_by_agreement")] == [1, 1]


def test_what_the_paper_tried_without_a_figure_is_named() -> None:
    findings = deepcopy(FINDINGS)
    findings["models"] |= {
        "vgg19": network("sier", 0.6, like="vgg19"),
        "resnet34": network("sier", 0.5, like="resnet34"),
    }
    named = [note for note in result_tables.table_2(findings).notes if "no figure" in note]
    assert named == ["Tried by the paper too (sections 3.2.1 and 4.3.2), which prints no figure: `vgg19`, `resnet34`."]
    assert not any("no figure" in note for note in result_tables.table_2(FINDINGS).notes)


def test_networks_without_a_figure_are_those_of_the_papers_params() -> None:
    paper = yaml.safe_load((PROJECT / "params.paper.yaml").read_text(encoding="utf-8"))
    assert set(WITHOUT_FIGURES) <= set(paper["models"])
    with_figures = {row.model for row in (*TABLE_2, *TABLE_3)}
    assert set(paper["models"]) - set(WITHOUT_FIGURES) <= with_figures
