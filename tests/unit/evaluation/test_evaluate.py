"""A whole evaluation of tiny random networks: every figure must follow from the rows and the weights."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from scipy.special import softmax
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, f1_score

from pipeline import evaluate
from pipeline.engine import shards
from pipeline.engine.local import LocalEngine
from pipeline.errors import UserError
from pipeline.evaluation import baselines, unseen
from pipeline.evaluation.params import EvaluateParams
from pipeline.frame import tables
from pipeline.frame.params import section
from pipeline.frame.stage import BaseParams, Context, Paths, stage_main
from pipeline.labels.rules import RULES, LabelParams
from pipeline.media import audio
from pipeline.networks import params, trained
from pipeline.networks.build import build
from pipeline.networks.inputs import collate, open_inputs
from pipeline.networks.loading import load_net, predict
from tests.builders import jpeg, tone
from tests.damage import Damage, empty, flip_bit, note_digests

LABELS = ("anger", "happy", "sad")
CLASSES = ("anger", "excitement", "sadness")
REMAP = dict(zip(CLASSES, LABELS, strict=True))
RULE = {
    "rule": "max_probability", "threshold": 0.5, "remap": REMAP, "temperatures": {"speech": 1.0, "image": 1.0},
}  # fmt: skip
TEST_ROWS, TRAIN_ROWS, CLEAN_ROWS = 9, 8, 9
PARAMS = EvaluateParams(batch_size=4, bootstrap_samples=200, confidence_bins=(0.5, 0.7, 0.9))

SMALL = {"name": "test_efficientnet", "pretrained": False, "weights": None}  # the smallest that timm has
TINY = {
    "rows": "sier", "modalities": "both", "fusion": 3, "fusion_op": "multiply", "image_backbone": SMALL,
    "speech_backbone": SMALL, "freeze_backbone": False, "n1_channels": [2], "code_size": 16, "head_size": 16,
}  # fmt: skip
SECTIONS: dict[str, Any] = {
    "base": {"seed": 7, "labels": list(LABELS)},
    "train": {
        "inputs": {"image_size_px": 32, "n_mels": 32, "n_frames": 32, "duration_seconds": 1.0},
        "folds": [0, 1], "epochs": 1, "batch_size": 2, "learning_rate": 0.1, "focal_weight": 0.5, "focal_gamma": 2.0,
        "early_stopping_patience": 5, "plateau_patience": 2, "plateau_factor": 0.1, "balance": "none",
        "mixed_precision": None,
    },
    "evaluate": {"batch_size": 4, "bootstrap_samples": 200, "confidence_bins": [0.5, 0.7, 0.9]},
    "models": {
        "ser_only": {**TINY, "modalities": "speech"},
        "parallelnet": TINY,
        "parallelnet_words": {
            **TINY, "speech_backbone": {"name": "whisper-tiny.en", "pretrained": True, "weights": None}
        },
        "parallelnet_sentiment": {**TINY, "rows": "clean"},
    },
}  # fmt: skip
MODELS = params.read_models(SECTIONS)
TRAIN = section(SECTIONS, "train", params.TrainParams)


def context(root: Path) -> Context:
    return Context(section(SECTIONS, "base", BaseParams), Paths(root), LocalEngine(workers=1), sections=SECTIONS)


def recording(place: int) -> bytes:
    return audio.encode_flac(tone(200 + 60 * place, 0.5), audio.SAMPLING_RATE_HZ)


def published(folder: Path, rows: Sequence[dict[str, Any]], names: Sequence[str] | None = None) -> None:
    work = folder.with_name(f"{folder.name}.work")
    size = len(rows) if names is None else TEST_ROWS
    chunks = [rows[start : start + size] for start in range(0, len(rows), size)]
    markers = [
        shards.commit(work, shards.Task(place, len(chunk), None), shards.Output(pa.Table.from_pylist(chunk)), "")
        for place, chunk in enumerate(chunks)
    ]
    shards.publish(work, markers, folder, names=names)


def sier_row(place: int, test: bool, probabilities: np.ndarray) -> dict[str, Any]:
    """Rows of test come first; each is labelled by the surer of two teachers that differ."""
    speech, image = probabilities[place]
    surer = speech if speech.max() >= image.max() else image
    row = {
        "id": f"{place}-1",
        "audio": {"bytes": recording(place), "path": "a.flac"},
        "image": {"bytes": jpeg(place, 40, 40), "path": "a.jpg"},
        "label": int(surer.argmax()),
        "decided_by": "speech" if speech.max() >= image.max() else "image",
        "confidence": np.float32(surer.max()),
        "agreement": bool(speech.argmax() == image.argmax()),
        "fold": None if test else place % 2,
        "group_id": f"group {place // 2}",
    }
    for modality, values in (("speech", speech), ("image", image)):
        row |= {f"p_{modality}_{name}": value for name, value in zip(CLASSES, values, strict=True)}
    return row


def centre(net: Any, batch: dict[str, torch.Tensor]) -> None:
    """Or a random network would call all rows the same, and constants would be compared."""
    heads = [module for name, module in net.named_children() if name.startswith("head_")]
    with torch.no_grad():
        logits = net.eval()(**{key: value for key, value in batch.items() if key != "labels"}).logits
        for head in heads:
            [layer for layer in head.modules() if isinstance(layer, torch.nn.Linear)][-1].bias.sub_(logits.mean(dim=0))


def trained_folder(root: Path, name: str, seed: int) -> None:
    """ParallelNet has a second seed, whose network lies beside the first one's."""
    folder = root / "data" / "checkpoints" / name
    model = MODELS[name]
    labels = LABELS if model.rows == "sier" else tables.SENTIMENTS
    source: Any = "sier_test" if model.rows == "sier" else "clean"
    inputs = open_inputs(source, TRAIN.inputs, context(root), words=model.hears_words)
    tested = np.flatnonzero(inputs.rows["split"] == "test")
    seeds = (0, 1) if name == "parallelnet" else (0,)
    for repetition, place in zip(seeds, (folder, folder / "runs" / "seed-1-fold-0"), strict=False):
        torch.manual_seed(seed + 100 * repetition)
        net = build(model, TRAIN, labels)
        centre(net, collate([inputs.select(tested)[place] for place in range(len(tested))]))
        net.save_pretrained(place)
    random = np.random.default_rng(seed)
    ids = [f"{TEST_ROWS + place}-1" for place in range(TRAIN_ROWS)]
    folds = [0] * 8 if model.rows == "clean" else [0] * 5 + [1] * 3
    rows = TRAIN_ROWS * len(seeds)
    probabilities = softmax(random.normal(size=(rows, len(labels))), axis=1).astype(np.float32)
    columns = {f"p_{label}": probabilities[:, place] for place, label in enumerate(labels)}
    truth = [labels[place % len(labels)] for place in range(TRAIN_ROWS)]
    table = pa.table({
        "id": ids * len(seeds), "seed": np.repeat(seeds, TRAIN_ROWS), "fold": folds * len(seeds),
        "label": truth * len(seeds), **columns,
    })  # fmt: skip
    pq.write_table(table, folder / "out_of_fold.parquet")
    epochs = [{"epoch": epoch, "train_loss": 2 / epoch, "validation_loss": 3 / epoch} for epoch in (1, 2)]
    told = {"history": epochs, "best_epoch": 2, "epochs": 2, "never_predicted": [], "cut_rows": 0}
    runs = [
        {"seed": repetition, "fold": fold, "validation_rows": folds.count(fold), **told}
        for repetition in seeds
        for fold in sorted(set(folds))
    ]
    training = {"rows": model.rows, "labels": list(labels), "parameters": 123, "best_by": "loss", "runs": runs}
    (folder / "training.json").write_text(json.dumps(training))
    note_digests(folder)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluate")
    data = root / "data"
    random = np.random.default_rng(5)
    probabilities = softmax(random.normal(size=(TEST_ROWS + TRAIN_ROWS, 2, 3)), axis=2).astype(np.float32)
    rows = [sier_row(place, place < TEST_ROWS, probabilities) for place in range(TEST_ROWS + TRAIN_ROWS)]
    names = ["data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"]
    published(data / "sier", rows, names)
    ids = [f"{place}-1" for place in range(CLEAN_ROWS)]
    clean = [
        {
            "id": identity, "image": jpeg(place, 40, 40), "sentiment": tables.SENTIMENTS[place % 3],
            "source_split": "test" if place < 5 else "train", "group_id": f"group {place // 2}",
        }
        for place, identity in enumerate(ids)
    ]  # fmt: skip
    published(data / "clean", clean)
    published(data / "speech", [{"id": identity, "audio": recording(place)} for place, identity in enumerate(ids)])
    (data / "corpora" / "b_t4sa").mkdir(parents=True)
    (data / "corpora" / "b_t4sa" / "manifest.json").write_text(json.dumps({"origin": "sample"}))
    (data / "labels").mkdir()
    (data / "labels" / tables.RULE_FILE).write_text(json.dumps(RULE))
    for seed, name in enumerate(MODELS):
        trained_folder(root, name, seed)
    return root


@pytest.fixture(scope="module")
def evaluated(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = evaluate.run(PARAMS, context(project))
    assert (report.rows_in, report.rows_out) == (3 * TEST_ROWS + 5, 3 * TEST_ROWS + 5)
    assert [note.split(":")[0] for note in report.notes[:-1]] == list(MODELS)
    assert report.notes[-1].startswith("parallelnet_words on ")
    return project


def findings(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "reports" / "evaluate.json").read_bytes())
    return found


def plot(root: Path, name: str) -> list[dict[str, str]]:
    with (root / "reports" / "plots" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(root: Path) -> dict[str, str]:
    paths = [*(root / "reports").rglob("*"), *(root / "data" / "predictions").rglob("*")]
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()
    }


def test_it_writes_the_files_that_the_graph_lists(evaluated: Path) -> None:
    plots = ("accuracy_by_agreement", "accuracy_by_confidence", "curves", "evaluate_confusion", "model_accuracy")
    assert sorted(digests(evaluated)) == sorted(
        [
            *(f"data/predictions/{name}.parquet" for name in MODELS),
            "data/predictions/runs/parallelnet.parquet",
            "reports/comparisons.csv",
            "reports/comparisons.md",
            "reports/evaluate.json",
            *(f"reports/table_{number}.{kind}" for number in (2, 3) for kind in ("csv", "md")),
            *(f"reports/plots/{name}.csv" for name in plots),
        ]
    )


@pytest.mark.parametrize("name", sorted(MODELS))
def test_predictions_are_those_of_the_saved_network_for_the_test_rows(evaluated: Path, name: str) -> None:
    from models.parallelnet.parallelnet import ParallelNet

    rows = MODELS[name].rows
    source: Any = "sier_test" if rows == "sier" else "clean"
    inputs = open_inputs(source, TRAIN.inputs, context(evaluated), words=MODELS[name].hears_words)
    chosen = (inputs.rows["split"] == "test").to_numpy()
    batch = collate([inputs.select(chosen)[place] for place in range(chosen.sum())])
    net = ParallelNet.from_pretrained(evaluated / "data" / "checkpoints" / name).eval()
    with torch.inference_mode():
        logits = net(**{key: value for key, value in batch.items() if key != "labels"}).logits
    found = pq.read_table(evaluated / "data" / "predictions" / f"{name}.parquet").to_pydict()
    assert list(found) == ["id", "label", *(f"p_{label}" for label in inputs.labels)]
    assert found["id"] == inputs.rows.loc[chosen, "id"].tolist()
    assert found["label"] == [inputs.labels[place] for place in inputs.rows.loc[chosen, "label"]]
    shown = np.array([found[f"p_{label}"] for label in inputs.labels]).T
    np.testing.assert_allclose(shown, torch.softmax(logits, dim=1).numpy(), atol=2e-6)
    np.testing.assert_array_equal(shown, np.round(shown, 6).astype(np.float32))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_test_figures_follow_from_the_predictions(evaluated: Path, name: str) -> None:
    columns = pq.read_table(evaluated / "data" / "predictions" / f"{name}.parquet").to_pydict()
    labels = [column.removeprefix("p_") for column in columns if column.startswith("p_")]
    best = np.array([columns[f"p_{label}"] for label in labels]).argmax(axis=0)
    truth, predicted = columns["label"], [labels[place] for place in best]
    found = findings(evaluated)["models"][name]["test"]
    assert found["rows"] == len(truth)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, predicted), abs=1e-6)
    assert found["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"), abs=1e-6)
    assert found["cohen_kappa"] == pytest.approx(cohen_kappa_score(truth, predicted), abs=1e-6)
    assert found["confusion_matrix"] == confusion_matrix(truth, predicted, labels=labels).tolist()
    low, high = found["intervals"]["accuracy"]
    assert low <= found["accuracy"] <= high


def test_random_networks_do_not_call_all_rows_the_same(evaluated: Path) -> None:
    """Or the tests above would compare constants."""
    for result in findings(evaluated)["models"].values():
        assert sum(map(any, zip(*result["test"]["confusion_matrix"], strict=True))) > 1


def test_validation_figures_are_those_of_the_rows_that_each_fold_held_out(evaluated: Path) -> None:
    for name, result in findings(evaluated)["models"].items():
        frame = pq.read_table(evaluated / "data" / "checkpoints" / name / "out_of_fold.parquet").to_pandas()
        probabilities = frame.filter(like="p_")
        right = probabilities.columns[probabilities.to_numpy().argmax(axis=1)] == "p_" + frame["label"]
        per_run = right.groupby([frame["seed"], frame["fold"]]).mean()
        found = result["validation"]
        assert (found["seeds"], found["folds"]) == tuple(frame[key].nunique() for key in ("seed", "fold"))
        assert [(run["seed"], run["fold"]) for run in found["per_run"]] == list(per_run.index)
        assert [run["accuracy"] for run in found["per_run"]] == pytest.approx(per_run.tolist(), abs=1e-6)
        assert found["accuracy"]["mean"] == pytest.approx(per_run.mean(), abs=1e-6)
        deviation = per_run.std() if len(per_run) > 1 else None
        assert found["accuracy"]["standard_deviation"] == pytest.approx(deviation, abs=1e-6)
        assert result["parameters"] == 123


def test_each_kept_network_is_asked_and_so_is_their_mean_answer(evaluated: Path) -> None:
    frame = pq.read_table(evaluated / "data" / "predictions" / "runs" / "parallelnet.parquet").to_pandas()
    first = pq.read_table(evaluated / "data" / "predictions" / "parallelnet.parquet").to_pandas()
    columns = [f"p_{name}" for name in LABELS]
    of_seeds = dict(iter(frame.groupby("seed")))
    assert of_seeds[0][columns].to_numpy().tolist() == first[columns].to_numpy().tolist()
    assert of_seeds[1][columns].to_numpy().tolist() != first[columns].to_numpy().tolist()
    truth = first["label"].to_numpy()
    right = [
        float((np.array(LABELS)[rows[columns].to_numpy().argmax(axis=1)] == truth).mean()) for rows in of_seeds.values()
    ]
    found = findings(evaluated)["models"]
    runs = found["parallelnet"]["runs"]
    assert [run["accuracy"] for run in runs["per_run"]] == pytest.approx(right, abs=1e-6)
    assert runs["accuracy"]["mean"] == pytest.approx(np.mean(right), abs=1e-6)
    assert runs["accuracy"]["standard_deviation"] == pytest.approx(np.std(right, ddof=1), abs=1e-6)
    mean = frame.groupby("id")[columns].mean().loc[first["id"]].to_numpy()
    ensemble = (np.array(LABELS)[mean.argmax(axis=1)] == truth).mean()
    assert runs["ensemble"]["accuracy"] == pytest.approx(ensemble, abs=1e-6)
    assert found["ser_only"]["runs"] is None


def test_networks_are_compared_on_the_same_rows(evaluated: Path) -> None:
    said = {name: pq.read_table(evaluated / f"data/predictions/{name}.parquet").to_pandas() for name in MODELS}
    right = {
        name: np.array([column.removeprefix("p_") for column in frame.filter(like="p_").idxmax(axis=1)])
        == frame["label"]
        for name, frame in said.items()
    }
    with (evaluated / "reports" / "comparisons.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["rows_of"], row["model"], row["against"]) for row in rows] == [
        ("clean", "majority_class", "parallelnet_sentiment"), ("sier", "ser_only", "parallelnet"),
        ("sier", "parallelnet_words", "parallelnet"), ("sier", "majority_class", "parallelnet"),
    ]  # fmt: skip
    ser = rows[1]
    ours, theirs = right["ser_only"].to_numpy(), right["parallelnet"].to_numpy()
    assert float(ser["difference"]) == pytest.approx(ours.mean() - theirs.mean(), abs=1e-6)
    assert int(ser["only_right"]) == (ours & ~theirs).sum()
    assert int(ser["only_other_right"]) == (theirs & ~ours).sum()
    assert (ser["low"], ser["high"]) == ("", "")  # of five groups
    assert "| sier | ser_only | parallelnet |" in (evaluated / "reports" / "comparisons.md").read_text()


def test_accuracy_by_kind_of_row_follows_from_the_datasets_columns(evaluated: Path) -> None:
    frame = pq.read_table(evaluated / "data" / "sier" / "data" / "test-00000-of-00001.parquet").to_pandas()
    for name in ("parallelnet", "ser_only"):
        predicted = pq.read_table(evaluated / "data" / "predictions" / f"{name}.parquet").to_pandas()
        right = predicted.filter(like="p_").to_numpy().argmax(axis=1) == frame["label"]
        test = findings(evaluated)["models"][name]["test"]
        kinds = [(test["by_agreement"][str(value).lower()], frame["agreement"] == value) for value in (True, False)]
        kinds += [(test["by_decided_by"][value], frame["decided_by"] == value) for value in ("speech", "image")]
        bounds = [(0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.1)]
        kinds += [
            (group, (frame["confidence"] >= low) & (frame["confidence"] < high))
            for group, (low, high) in zip(test["by_confidence"], bounds, strict=True)
        ]
        assert {bool(chosen.any()) for _, chosen in kinds[:4]} == {True}
        for group, chosen in kinds:
            assert group["rows"] == chosen.sum()
            expected = right[chosen].mean() if chosen.any() else None
            assert group["accuracy"] == pytest.approx(expected, abs=1e-6)
    assert "by_confidence" not in findings(evaluated)["models"]["parallelnet_sentiment"]["test"]


def test_copies_of_teachers_and_the_majority_of_train(evaluated: Path) -> None:
    rows = [pq.read_table(path).to_pandas() for path in sorted((evaluated / "data" / "sier" / "data").iterdir())]
    test, train = rows
    found = findings(evaluated)["without_training"]
    assert set(found["sier"]) == {baselines.MAJORITY, *baselines.COPIES}
    assert found["sier"]["surer_teacher"]["accuracy"] == 1
    shares = {}
    for modality in tables.MODALITIES:
        columns = test[[f"p_{modality}_{name}" for name in CLASSES]].to_numpy()
        shares[modality] = (columns.argmax(axis=1) == test["label"]).mean()
        assert found["sier"][f"{modality}_teacher"]["accuracy"] == pytest.approx(shares[modality], abs=1e-6)
    assert max(shares.values()) < 1
    most = train["label"].value_counts().sort_index().idxmax()
    assert findings(evaluated)["rows"]["sier"] == {
        "train": TRAIN_ROWS, "test": TEST_ROWS, "majority_class": LABELS[most],
    }  # fmt: skip
    assert found["sier"][baselines.MAJORITY]["accuracy"] == pytest.approx((test["label"] == most).mean(), abs=1e-6)
    assert set(found["clean"]) == {baselines.MAJORITY}


def test_plots_show_parallelnets_confusion_and_the_curves_of_all(evaluated: Path) -> None:
    pairs = [(row["actual"], row["predicted"]) for row in plot(evaluated, "evaluate_confusion")]
    matrix = confusion_matrix(*zip(*pairs, strict=True), labels=list(LABELS))
    assert matrix.tolist() == findings(evaluated)["models"]["parallelnet"]["test"]["confusion_matrix"]
    curves = [(row["series"], row["epoch"], row["validation_loss"]) for row in plot(evaluated, "curves")]
    assert curves == [(name, epoch, loss) for name in MODELS for epoch, loss in (("1", "3.0"), ("2", "1.5"))]
    agreement = plot(evaluated, "accuracy_by_agreement")
    assert {row["model"] for row in agreement} == {"parallelnet", "parallelnet_words", "ser_only"}
    assert {row["series"] for row in agreement} >= {"decided by speech", "decided by image", "teachers disagree"}
    confidence = plot(evaluated, "accuracy_by_confidence")
    assert all(float(row["lower"]) <= float(row["confidence"]) <= float(row["upper"]) for row in confidence)


def test_tables_name_the_scale_and_both_tasks(evaluated: Path) -> None:
    pages = [(evaluated / "reports" / f"table_{number}.md").read_text(encoding="utf-8") for number in (2, 3)]
    assert f"the embedded sample: {TRAIN_ROWS} rows in train and {TEST_ROWS} in test" in pages[0]
    assert "the embedded sample: 4 rows in train and 5 in test" in pages[1]
    assert pages[0].count("not trained") == 4
    assert pages[1].count("not trained") == 0


def test_the_same_inputs_give_the_same_bytes(evaluated: Path) -> None:
    before = digests(evaluated)
    shutil.rmtree(evaluated / "reports")
    torch.set_num_threads(2)
    evaluate.run(PARAMS, context(evaluated))
    assert digests(evaluated) == before


def test_a_network_of_the_dataset_is_needed_neither_for_table_3_nor_for_the_plots(
    evaluated: Path, tmp_path: Path
) -> None:
    shutil.copytree(evaluated, tmp_path / "copy")
    models = {"parallelnet_sentiment": SECTIONS["models"]["parallelnet_sentiment"]}
    shutil.rmtree(tmp_path / "copy" / "data" / "sier")
    one = replace(context(tmp_path / "copy"), sections={**SECTIONS, "models": models})
    assert evaluate.run(PARAMS, one).rows_in == 5
    assert plot(tmp_path / "copy", "evaluate_confusion") == []
    assert [path.name for path in (tmp_path / "copy" / "data" / "predictions").iterdir()] == [
        "parallelnet_sentiment.parquet"
    ]


def without_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({name: weights[name] for name in sorted(weights)[:-1]}, folder / "model.safetensors", {"format": "pt"})


def cut(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:50])

    return change


def edited(name: str, **changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


OTHER_LABELS = {"0": "anger", "1": "sad", "2": "happy"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "training.json: missing or damaged"),
        (removed("training.json"), "training.json: missing or damaged"),
        (cut("training.json"), "training.json: missing or damaged"),
        (edited("training.json", runs=[]), "training.json: missing or damaged"),
        (
            edited("training.json", labels=["sad", "happy", "anger"]),
            "trained on rows of sier with the labels sad, happy, anger; expected rows of sier with anger, happy, sad",
        ),
        (edited("training.json", rows="clean"), "trained on rows of clean"),
        (removed("out_of_fold.parquet"), "out_of_fold.parquet: missing"),
        (cut("out_of_fold.parquet"), "out_of_fold.parquet: missing, damaged or"),
        (
            edited("training.json", runs=[{"seed": 0, "fold": 0, "validation_rows": 9}]),
            "expected 9 rows of 1 runs with labels of the dataset, found 16 of 4",
        ),
        (removed("model.safetensors"), "the network cannot be loaded"),
        (removed("config.json"), "the network cannot be loaded"),
        (cut("model.safetensors"), "the network cannot be loaded"),
        (cut("config.json"), "the network cannot be loaded"),
        (edited("config.json", fusion=4), "the network cannot be loaded"),
        (edited("config.json", code_size=5), "does not fit config.json: mismatched keys head_image.0.weight and "),
        (without_a_weight, "does not fit config.json: missing keys n2_speech.norm.weight"),
        (
            edited("config.json", id2label=OTHER_LABELS, label2id={}),
            "the network knows the labels anger, sad, happy; the dataset's are anger, happy, sad",
        ),
        (edited("config.json", duration_seconds=2.0), "duration_seconds is 2.0, train.inputs.duration_seconds is 1.0"),
    ],
)
def test_a_network_that_is_missing_damaged_or_of_another_kind_is_named_with_what_to_run(
    project: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "parallelnet"
    shutil.copytree(project / "data" / "checkpoints" / "parallelnet", folder)
    damage(folder)
    with suppress(OSError, ValueError):  # as if it had been trained so; what changes later is told before anything else
        note_digests(folder)
    with pytest.raises(UserError) as caught:
        load_net(trained.read(tmp_path, "parallelnet", "sier", LABELS), TRAIN.inputs, "cpu")
    assert message in str(caught.value)
    assert str(folder) in str(caught.value)
    assert str(caught.value).endswith("; run: dvc repro train@parallelnet")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "out_of_fold.parquet"])
@pytest.mark.parametrize("damage", [flip_bit, empty, Path.unlink])
def test_a_file_of_a_network_that_changed_after_training_is_named(
    project: Path, tmp_path: Path, name: str, damage: Damage
) -> None:
    folder = tmp_path / "parallelnet"
    shutil.copytree(project / "data" / "checkpoints" / "parallelnet", folder)
    damage(folder / name)
    with pytest.raises(UserError) as caught:
        trained.read(tmp_path, "parallelnet", "sier", LABELS)
    assert str(caught.value).startswith(f"{folder / name}: ")
    assert ", expected the sha256 " in str(caught.value)


def test_a_network_that_gives_no_numbers_is_refused(project: Path) -> None:
    left = trained.read(project / "data" / "checkpoints", "parallelnet", "sier", LABELS)
    net = load_net(left, TRAIN.inputs, "cpu")
    with torch.no_grad():
        next(net.head_image.parameters()).fill_(float("nan"))
    rows = open_inputs("sier_test", TRAIN.inputs, context(project)).select(np.arange(2))
    with pytest.raises(UserError, match="no number"):
        predict(net, rows, batch_size=2, device="cpu", progress=lambda _rows: None)


def test_the_command_tells_a_missing_network_in_one_line_and_leaves_no_reports(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    monkeypatch.setattr("pipeline.engine.lifecycle.on_sigterm_stop", lambda: None)
    shutil.copytree(project / "data" / "checkpoints", tmp_path / "data" / "checkpoints")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(SECTIONS))
    shutil.rmtree(tmp_path / "data" / "checkpoints" / "ser_only")
    assert stage_main("evaluate", EvaluateParams, evaluate.run, []) == 1
    message = "data/checkpoints/ser_only/training.json: missing or damaged; run: dvc repro train@ser_only"
    assert capsys.readouterr().err == f"evaluate: error: {message}\n"
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("edges", [[0.7, 0.5], [0.5, 0.5], [1.5], [-0.1]])
def test_bins_that_do_not_rise_within_0_and_1_are_refused(edges: list[float]) -> None:
    with pytest.raises(UserError, match=r"evaluate\.confidence_bins"):
        section({"evaluate": {**SECTIONS["evaluate"], "confidence_bins": edges}}, "evaluate", EvaluateParams)


def test_a_remap_to_an_unknown_label_is_refused(project: Path) -> None:
    rows = unseen.read_sier(project / "data" / "sier", "test", teachers=True)
    with pytest.raises(UserError, match=r"rule\.json: grief is not a label"):
        baselines.teacher_copies(rows, LabelParams("max_probability", 0.5, {**REMAP, "sadness": "grief"}), LABELS)


def test_copies_follow_a_pool_and_a_neutral_answer_is_none() -> None:
    # Pool: sqrt(.3 * .9 * 2 / 3) = .424 of excitement, sqrt(.5 / 3) = .408 of neutral.
    rows = pd.DataFrame({
        "p_speech_anger": [0.2], "p_speech_excitement": [0.3], "p_speech_neutral": [0.5], "p_image_anger": [0.1],
        "p_image_excitement": [0.9],
    }).astype(np.float32)  # fmt: skip
    remap, labels = {"anger": "anger", "excitement": "happy"}, ("anger", "happy")
    for rule in RULES:
        found = baselines.teacher_copies(rows, LabelParams(rule, 0.0, remap, neutral=("neutral",)), labels)
        assert {name: ids.tolist() for name, ids in found.items()} == {name: [1] for name in baselines.COPIES}
    rows = pd.DataFrame({
        "p_speech_anger": [0.9], "p_speech_excitement": [0.1], "p_image_anger": [0.05], "p_image_excitement": [0.95],
    }).astype(np.float32)  # fmt: skip
    # sqrt(.9 * .05) = .212 of anger, sqrt(.1 * .95) = .308 of excitement; with .8 on speech .505 and .157.
    for weight, answer in ((0.5, 1), (0.8, 0)):
        params = LabelParams("log_pool", 0.0, remap, speech_weight=weight)
        assert baselines.teacher_copies(rows, params, labels)["surer_teacher"].tolist() == [answer]


def test_of_two_equally_frequent_classes_the_majority_is_the_first() -> None:
    assert baselines.majority(np.array([2, 1, 1, 2]), 4) == 1


def test_reading_the_datasets_columns_reads_no_media(project: Path) -> None:
    folder = project / "data" / "sier"
    assert list(unseen.read_sier(folder, "train", teachers=False)) == ["id", "label"]
    columns = [f"p_{modality}_{name}" for modality in tables.MODALITIES for name in CLASSES]
    assert list(unseen.read_sier(folder, "test", teachers=True)) == ["id", "label", *columns]
    with pytest.raises(UserError, match="no file of split holdout"):
        unseen.read_sier(folder, "holdout", teachers=False)


def test_a_network_that_hears_words_is_set_beside_its_counterpart_on_the_same_rows(evaluated: Path) -> None:
    (pair,) = findings(evaluated)["paired"]
    assert (pair["model"], pair["against"]) == ("parallelnet_words", "parallelnet")
    said = {}
    for name in (pair["model"], pair["against"]):
        columns = pq.read_table(evaluated / "data" / "predictions" / f"{name}.parquet").to_pydict()
        best = np.array([columns[f"p_{label}"] for label in LABELS]).argmax(axis=0)
        said[name] = np.array([LABELS[place] for place in best]) == np.array(columns["label"])
    right, other = said.values()
    rows = open_inputs("sier_test", TRAIN.inputs, context(evaluated)).rows
    for kind, chosen in (("all", rows["id"] != ""), ("speech", rows["decided_by"] == "speech")):
        found, mask = pair[kind], chosen.to_numpy()
        assert found["rows"] == mask.sum() > 0
        assert found["groups"] == len({int(key.split("-")[0]) // 2 for key in rows["id"][mask]})
        assert found["accuracy"]["value"] == pytest.approx(right[mask].mean(), abs=1e-6)
        assert found["other_accuracy"]["value"] == pytest.approx(other[mask].mean(), abs=1e-6)
        assert found["only_right"] == (right & ~other)[mask].sum()
    table = (evaluated / "reports" / "table_2.md").read_text(encoding="utf-8")
    assert "| parallelnet_words (beyond the paper) |  |" in table
    assert "exact McNemar test p = " in table
    assert "beyond" not in (evaluated / "reports" / "table_3.md").read_text(encoding="utf-8").lower()
