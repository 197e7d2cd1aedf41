"""The whole stage on a tiny network with random weights: what it stores must follow from the network and the rows."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from models.parallelnet.parallelnet import ParallelNet
from pipeline import explain
from pipeline.engine import shards
from pipeline.engine.local import LocalEngine
from pipeline.errors import UserError
from pipeline.explanation import explainer
from pipeline.explanation.faithfulness import KINDS
from pipeline.explanation.preparation import sample_of
from pipeline.explanation.selection import read_predictions, stand_for
from pipeline.frame.stage import Report
from pipeline.media import audio
from pipeline.networks.decoding import read_image
from tests.builders_explain import context, params, write_project
from tests.builders_sier import LABELS
from tests.orders import Reordered

PAIRS = [("zero", "silence"), ("blur", "mean")]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    root = tmp_path_factory.mktemp("written")
    return root, write_project(root)


@pytest.fixture
def fresh(written: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> Path:
    shutil.copytree(written[0] / "data", tmp_path / "data")
    return tmp_path


@pytest.fixture(scope="module")
def project(
    written: tuple[Path, list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[dict[str, Any]], Report]:
    root = tmp_path_factory.mktemp("explain")
    shutil.copytree(written[0] / "data", root / "data")
    rows = written[1]
    return root, rows, explain.run(params(), context(root))


def stored(root: Path) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(root / "data/explanations/explanations.parquet").to_pandas()
    return frame


def records(frame: pd.DataFrame) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(**{str(name): value for name, value in record.items()}) for record in frame.to_dict("records")
    ]


def everything(root: Path) -> dict[str, str]:
    files = [path for name in ("data/explanations", "reports") for path in (root / name).rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_each_row_has_an_explanation_per_pair_of_baselines_and_figures_one_more(
    project: tuple[Path, list[dict[str, Any]], Report],
) -> None:
    root, rows, report = project
    frame = stored(root)
    assert (report.rows_in, report.rows_out, report.rejected) == (4, 4, {})
    order = [row["id"] for row in rows]
    assert sorted(frame["id"].unique(), key=order.index) == list(frame["id"].unique())
    drawn = {path.stem for path in (root / "data/explanations/figures").iterdir()}
    assert len(drawn) == 2
    for identity, group in frame.groupby("id"):
        level = group[group["method"] == "level"]
        assert list(zip(level["image_baseline"], level["speech_baseline"], strict=True)) == PAIRS
        exact = group[group["method"] == "exact"]
        assert len(exact) == (identity in drawn)
        if len(exact):
            assert (exact["image_baseline"].iloc[0], exact["speech_baseline"].iloc[0]) == PAIRS[0]


def test_values_sum_to_what_plain_forwards_of_the_untouched_and_the_empty_sample_differ_by(
    project: tuple[Path, list[dict[str, Any]], Report],
) -> None:
    root, rows, _ = project
    net = ParallelNet.from_pretrained(root / "data/checkpoints/parallelnet").eval()
    by_id = {row["id"]: row for row in rows}
    frame = stored(root)
    for found in records(frame[frame["image_baseline"] == "zero"]):
        row = by_id[found.id]
        sample = sample_of(read_image(row["image"]["bytes"]), audio.decode(row["audio"]["bytes"]), net.config)
        assert sample.pixel_values is not None and sample.spectrogram is not None
        pixels, sound = sample.pixel_values[None], sample.spectrogram[None]
        with torch.inference_mode():
            full, empty = (net(pixels * keep, sound * keep).logits[0].double() for keep in (1.0, 0.0))
        target = LABELS.index(str(found.predicted))
        assert int(full.argmax()) == target
        assert found.score == pytest.approx(float(full.softmax(0)[target]))
        assert found.v_full == pytest.approx(float(full[target]), abs=1e-4)
        assert found.v_empty == pytest.approx(float(empty[target]), abs=1e-4)
        assert found.label == LABELS[row["label"]]
        assert found.text == row["text"]
        assert abs(float(found.residual)) < 1e-4
        assert found.image_value + found.speech_value == pytest.approx(found.v_full - found.v_empty, abs=1e-4)
        assert np.sum(found.image_values) == pytest.approx(found.image_value)
        assert np.sum(found.image_map) == pytest.approx(found.image_value, abs=1e-5)
        assert np.sum(found.speech_map) == pytest.approx(found.speech_value)
        assert len(found.image_map) == 32 * 32
        assert len(found.speech_map) == 64
        assert found.image_share + found.speech_share == pytest.approx(1)
        assert (np.array(found.speech_map)[np.array(found.speech_players) < 0] == 0).all()


def test_exact_explanations_hold_interactions_and_figures_words_and_are_pictures(
    project: tuple[Path, list[dict[str, Any]], Report],
) -> None:
    root, _, _ = project
    frame = stored(root)
    exact = frame["method"] == "exact"
    assert {len(values) for values in frame.loc[exact, "interactions"]} == {16}
    assert frame.loc[~exact, "interactions"].isna().all()
    assert frame.loc[exact, "text_kept"].notna().all()
    assert set(frame.loc[exact, "image_encodings"]) == {16}
    # What exact values have encoded, divide and conquer needs not encode again.
    again = frame[~exact & frame["id"].isin(frame.loc[exact, "id"]) & (frame["image_baseline"] == "zero")]
    assert set(again["image_encodings"]) == {0}
    for path in (root / "data/explanations/figures").iterdir():
        assert Image.open(io.BytesIO(path.read_bytes())).size[0] == 1200


def test_curves_of_all_orders_begin_and_end_alike(project: tuple[Path, list[dict[str, Any]], Report]) -> None:
    frame = stored(project[0])
    curves = pd.DataFrame([curve for curves in frame["curves"] for curve in curves])
    assert len(curves) == 4 * len(PAIRS) * 2 * len(KINDS) * 3
    assert {len(shares) for shares in curves["shares"]} == {4}
    for found in records(frame[frame["method"] == "level"]):
        for curve in found.curves:
            ends = {"image": found.v_speech, "speech": found.v_image}
            begin, end = found.v_full, ends[curve["modality"]]
            if curve["kind"] == "insertion":
                begin, end = end, begin
            assert curve["values"][0] == pytest.approx(begin, abs=1e-4)
            assert curve["values"][-1] == pytest.approx(end, abs=1e-4)


def test_the_report_counts_rows_and_its_plots_have_both_baselines(
    project: tuple[Path, list[dict[str, Any]], Report],
) -> None:
    root, _, report = project
    found = json.loads((root / "reports/explain.json").read_text())
    assert (found["rows"], found["test_rows"], found["rejected"], found["figures"]) == (4, 6, 0, 2)
    assert list(found["baselines"]) == ["zero + silence", "blur + mean"]
    frame = stored(root)
    chosen = frame[(frame["method"] == "level") & (frame["image_baseline"] == "zero")].set_index("id")
    predictions = read_predictions(root / "data/predictions", "parallelnet", LABELS)
    weights = stand_for(predictions, set(chosen.index)).loc[chosen.index]
    assert found["test_rows_stood_for"] == round(weights.sum()) <= 6
    assert found["baselines"]["zero + silence"]["modality_share"]["all"]["image"]["mean"] == pytest.approx(
        np.average(chosen["image_share"], weights=weights), abs=1e-6
    )
    assert found["baselines"]["zero + silence"]["interaction_strength"]["rows"] == 2
    assert "interaction_strength" not in found["baselines"]["blur + mean"]
    for name in ("modality_share", "deletion_image", "deletion_speech", "insertion_image", "insertion_speech"):
        text = (root / f"reports/plots/{name}.csv").read_text()
        assert "zero + silence" in text and "blur + mean" in text
    assert len(report.notes) == 8


def test_equal_runs_give_equal_bytes_whatever_the_order(
    project: tuple[Path, list[dict[str, Any]], Report], fresh: Path
) -> None:
    explain.run(params(), context(fresh, Reordered(LocalEngine(workers=1), "reverse")))
    assert everything(fresh) == everything(project[0])
    assert len(everything(fresh)) == 2 + 2 + 1 + 5


def test_finished_rows_are_not_explained_again(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    explained = explainer.RowExplainer.__call__

    def killed(self: explainer.RowExplainer, task: shards.Task) -> shards.Output:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(task.payload.id)
        return explained(self, task)

    monkeypatch.setattr(explainer.RowExplainer, "__call__", killed)
    with pytest.raises(KeyboardInterrupt):
        explain.run(params(figures=0), context(fresh))
    assert not (fresh / "data/explanations").exists()
    done = list(asked)

    def noted(self: explainer.RowExplainer, task: shards.Task) -> shards.Output:
        asked.append(task.payload.id)
        return explained(self, task)

    monkeypatch.setattr(explainer.RowExplainer, "__call__", noted)
    explain.run(params(figures=0), context(fresh))
    assert len(asked) == len(set(asked)) == 4
    assert asked[:2] == done
    explain.run(params(figures=0, times=1), context(fresh))
    assert len(asked) == 8


def test_a_silent_row_is_rejected_and_named(tmp_path: Path) -> None:
    rows = write_project(tmp_path, silent=3)
    report = explain.run(params(figures=0, corpus_rows=None), context(tmp_path))
    assert (report.rows_in, report.rows_out, report.rejected) == (6, 5, {"speech_silent": 1})
    rejects = pq.read_table(tmp_path / "data/explanations/rejects.parquet").to_pylist()
    assert [reject["id"] for reject in rejects] == [rows[3]["id"]]
    assert rows[3]["id"] not in set(stored(tmp_path)["id"])


def test_speech_with_fewer_frames_than_segments_is_rejected(
    written: tuple[Path, list[dict[str, Any]]], fresh: Path
) -> None:
    rows = written[1]
    seconds = [len(audio.decode(row["audio"]["bytes"])) / audio.SAMPLING_RATE_HZ for row in rows]
    assert [place for place, duration in enumerate(seconds) if duration < 0.9] == [1]
    changes = {"figures": 0, "corpus_rows": None, "segments": 60, "method": "best", "max_evals": 20}
    report = explain.run(params(**changes), context(fresh))
    assert report.rejected == {"speech_too_short_to_cut": 1}
    assert rows[1]["id"] not in set(stored(fresh)["id"])
    assert {len(values) for values in stored(fresh)["speech_values"]} == {60}


@pytest.mark.parametrize(("model", "absent"), [("ier_only", "speech"), ("ser_only", "image")])
def test_a_network_of_one_modality_has_players_of_that_one_only(
    project: tuple[Path, list[dict[str, Any]], Report], model: str, absent: str, tmp_path: Path
) -> None:
    write_project(tmp_path, model)
    explain.run(params(model=model, figures=1), context(tmp_path))
    frame = stored(tmp_path)
    assert {len(values) for values in frame[f"{absent}_values"]} == {0}
    assert set(frame[f"{absent}_share"]) == {0.0}
    assert frame["synergy"].isna().all()
    assert {curve["modality"] for curves in frame["curves"] for curve in curves} == {"image", "speech"} - {absent}
    report = json.loads((tmp_path / "reports/explain.json").read_text())["baselines"]["zero + silence"]
    assert "synergy" not in report
    assert absent not in report["faithfulness"]
    assert len(list((tmp_path / "data/explanations/figures").iterdir())) == 1


def test_a_network_that_does_not_factor_is_explained_by_plain_forwards(tmp_path: Path) -> None:
    write_project(tmp_path, "early")
    explain.run(params(model="early", corpus_rows=2, times=1, figures=1), context(tmp_path))
    frame = stored(tmp_path)
    exact = frame[frame["method"] == "exact"].iloc[0]
    assert (exact["forwards"], exact["image_encodings"]) == (2**4, 0)
    assert frame["residual"].abs().max() < 1e-4


def test_segments_can_end_where_words_do(fresh: Path) -> None:
    explain.run(params(segmentation="words", figures=0, corpus_rows=2), context(fresh))
    # Noise has hardly a word, so that there are fewer segments than at most.
    assert all(1 <= len(values) <= 4 for values in stored(fresh)["speech_values"])


def test_the_rows_own_label_can_be_explained_in_the_place_of_the_answer(fresh: Path) -> None:
    explain.run(params(target="labelled", corpus_rows=None), context(fresh))
    frame = stored(fresh)
    assert (frame["explained"] == frame["label"]).all()
    assert (frame["explained"] != frame["predicted"]).any()
    net = ParallelNet.from_pretrained(fresh / "data/checkpoints/parallelnet").eval()
    rows = pq.read_table(fresh / "data/sier/data").to_pandas().set_index("id")
    for found in records(frame[frame["image_baseline"] == "zero"]):
        row = rows.loc[found.id]
        sample = sample_of(read_image(row["image"]["bytes"]), audio.decode(row["audio"]["bytes"]), net.config)
        assert sample.pixel_values is not None and sample.spectrogram is not None
        with torch.inference_mode():
            logits = net(sample.pixel_values[None], sample.spectrogram[None]).logits[0].double()
        assert found.v_full == pytest.approx(float(logits[row["label"]]), abs=1e-4)
        assert found.predicted == LABELS[int(logits.argmax())]  # which is the network's answer still
        assert found.score == pytest.approx(float(logits.softmax(0).max()))
    report = json.loads((fresh / "reports/explain.json").read_text())
    assert (report["target"], report["explained"][:14]) == ("labelled", "the label that")
    assert set(report["baselines"]["zero + silence"]["modality_share"]) == {"all", *frame["label"]}
    bars = pd.read_csv(fresh / "reports/plots/modality_share.csv")
    assert set(bars["explained"]) == {"all", *frame["label"]}


def test_speech_can_be_cut_into_cells_of_its_spectrogram(fresh: Path) -> None:
    explain.run(params(segmentation="cells", times=3, figures=1), context(fresh))
    frame = stored(fresh)
    # 32 mel bands and 64 frames: halved in time, in time again (of equal sides), then in frequency.
    assert {len(values) for values in frame["speech_values"]} == {8}
    assert set(frame["speech_bands"]) == {2}
    for found in records(frame):
        columns, values = np.array(found.speech_players), np.array(found.speech_values).reshape(2, 4)
        assert columns.max() == 3
        by_column = [np.sum(np.array(found.speech_map)[columns == column]) for column in range(4)]
        assert by_column == pytest.approx(values.sum(axis=0).tolist())
        assert np.sum(found.speech_map) == pytest.approx(found.speech_value)
        assert found.image_value + found.speech_value == pytest.approx(found.v_full - found.v_empty, abs=1e-4)
    exact = frame[frame["method"] == "exact"].iloc[0]
    assert len(exact["interactions"]) == 8 * 8
    assert exact["text_kept"] is not None


def test_what_the_percentile_silences_is_counted(project: tuple[Path, list[dict[str, Any]], Report]) -> None:
    root = project[0]
    frame = stored(root)
    for found in records(frame):
        columns = np.array(found.speech_players)[np.array(found.speech_players) >= 0]
        values = np.array(found.speech_map)[: len(columns)]
        gone = values < np.percentile(values, 30)
        assert found.share_silenced == pytest.approx(gone.mean())
        assert found.segments_silenced == len(set(columns[gone]))
        assert found.segments_silenced == 1  # of four; a second one would be half of the speech
    report = json.loads((root / "reports/explain.json").read_text())["baselines"]["zero + silence"]["silenced"]
    assert (report["percentile"], report["rows_by_segments"]) == (30.0, {"1": 4})
    assert 0.2 < report["share"]["mean"] < 0.3


def change_predictions(root: Path) -> None:
    path = root / "data/predictions/parallelnet.parquet"
    frame = pq.read_table(path).to_pandas()
    frame[[f"p_{label}" for label in LABELS]] = np.array([0.7, 0.1, 0.1, 0.1], dtype=np.float32)
    frame.to_parquet(path)


def other_rows(root: Path) -> None:
    path = root / "data/predictions/parallelnet.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)


@pytest.mark.parametrize(
    ("changes", "damage", "message"),
    [
        ({"model": "resnet"}, None, "explain.model = resnet: expected a key of models: parallelnet, early, ier_only"),
        ({"model": "sentiment"}, None, "expected a network of rows: sier, found rows: clean"),
        ({"model": "early", "times": 1}, None, "early/training.json: missing or damaged; run: dvc repro train@early"),
        ({}, lambda root: (root / "data/predictions/parallelnet.parquet").unlink(), "run: dvc repro evaluate"),
        ({}, lambda root: (root / "data/checkpoints/parallelnet/model.safetensors").unlink(), "--force train@"),
        ({}, change_predictions, "they are of another network; run: dvc repro evaluate"),
        ({}, other_rows, "its test rows are not those of data/predictions; run: dvc repro evaluate"),
        ({"grid": [40, 1]}, None, "rows of cells must number between 1 and the 32 rows of pixels, found 40"),
        ({"segments": 65}, None, "segments must number between 1 and the 64 frames of sound, found 65"),
        ({"model": "words", "segmentation": "cells"}, None, "words hears words, which have no frequency: expected seg"),
        ({"times": 4}, None, "exact values are for at most 20 parts, found 32"),
        ({"model": "early", "times": 3}, None, "a network that does not factor are for at most 12 parts, found 16"),
        ({"method": "sample", "max_evals": 10}, None, "2 permutations of 8 parts need 30 evaluations"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained_is_said_in_one_line(
    fresh: Path, changes: dict[str, Any], damage: Any, message: str
) -> None:
    if damage is not None:
        damage(fresh)
    with pytest.raises(UserError) as error:
        explain.run(params(**changes), context(fresh))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (fresh / "data/explanations").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_baselines": ["zero"]}, "as many image_baselines as speech_baselines"),
        ({"image_baselines": ["zero"] * 2, "speech_baselines": ["mean"] * 2}, "that differ from each other"),
        ({"figures": 5}, "no more figures than corpus_rows"),
        ({"percentile": 101.0}, "less than or equal to 100"),
        ({"segmentation": "cells", "segments": 4}, "segments null, since cells of the spectrogram are made by times"),
        ({"segmentation": "mels"}, "'time', 'words' or 'cells'"),
        ({"target": "truth"}, "'predicted' or 'labelled'"),
        ({"image_baselines": ["noise", "zero"]}, "'zero', 'mean' or 'blur'"),
        ({"colour": 1}, "not a known key"),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        params(**changes)
