"""What lets people look further: other thresholds, the map of rows, galleries, spectrograms."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import label
from pipeline.labels import rules
from pipeline.labels.association import cramers_v
from pipeline.labels.rules import LabelParams, Rule
from pipeline.media.audio import SAMPLING_RATE_HZ
from pipeline.reporting import embedding, explanations, gallery, rows, threshold
from tests import builders_labels as built
from tests import builders_report as builder
from tests.builders_sier import LABELS

REMAP = dict(zip(builder.CLASSES, LABELS, strict=True))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("looking")
    builder.write_project(root)
    return root


@pytest.fixture(scope="module")
def dataset(project: Path) -> rows.Dataset:
    return rows.read(rows.Folders(project / "data", "parallelnet", LABELS, REMAP, 0.05))


@pytest.mark.parametrize(
    ("rule", "neutral"), [("max_probability", ("excitement",)), ("agreement", ()), ("disagreement", ())]
)
def test_every_threshold_counts_what_the_rule_would_keep(
    tmp_path: Path, rule: Rule, neutral: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.labels.association.DEALS", 9)
    rng = np.random.default_rng(3)
    speech, image = (rng.dirichlet(np.ones(4), 120).astype(np.float32) for _ in range(2))
    speech[0] = [0.7, 0.1, 0.1, 0.1]  # which is less than 0.7 in float64
    image[0] = [0.25, 0.25, 0.25, 0.25]
    remap = {name: label for name, label in built.REMAP.items() if name not in neutral}
    sentiments = [None if one == "" else str(one) for one in rng.choice(["negative", "positive", ""], 120)]
    scene = built.Scene(sentiments, speech.tolist(), image.tolist())
    label.run(LabelParams(rule, 0.555, remap, neutral=neutral), built.write(tmp_path, scene))

    applied = rules.read_rule(tmp_path / "data" / "labels")
    found = threshold.read(tmp_path / "data", list(built.LABELS), applied)
    assert found.grid[found.chosen] == 0.555
    assert len(found.grid) == 102
    votes = rules.votes(speech, built.CLASSES, image, built.CLASSES)
    labels = rules.remap(votes.source_label, remap, neutral)
    lines = dict(found.validity()["labels"])
    for place, at in enumerate(found.grid):
        kept = rules.drop_reasons(rule, at, votes, neutral) == ""
        cells = [cell for cell in found.cells if cell[0] >= place]
        assert sum(cell[5] for cell in cells) == kept.sum(), at
        assert sum(cell[5] for cell in cells if cell[2]) == (kept & votes.speech_decides).sum()
        assert sum(cell[5] for cell in cells if cell[3]) == (kept & votes.agree).sum()
        for number, name in enumerate(built.LABELS):
            assert sum(cell[5] for cell in cells if cell[1] == number) == (kept & (labels == name)).sum()
        if at in lines:
            told = kept & np.array([one is not None for one in sentiments])
            table = pd.crosstab(labels[told], np.array(sentiments)[told]).to_numpy()
            assert lines[at] == pytest.approx(float(cramers_v(table[np.newaxis])[0]))
    assert 0.555 in lines


def light(number: int) -> pd.DataFrame:
    """Rows of two kinds, which stand apart."""
    kinds = np.arange(number) % 2
    return pd.DataFrame(
        {
            "id": [f"{n}-0" for n in range(number)], "label": kinds, "decided_by": "image", "split": "test",
            "confidence": 0.5, "text": ["sunny day " * 12 if kind else "rain" for kind in kinds],
            "p_speech_a": np.where(kinds, 0.9, 0.1) + np.arange(number) / 1e4,
            "p_image_a": np.where(kinds, 0.8, 0.2),
        }
    )  # fmt: skip


def test_like_rows_stand_together_and_equal_rows_give_equal_maps() -> None:
    answers = {"0-0": {"correct": True}, "1-0": {"correct": False}}
    found = embedding.read(light(40), answers, ["3-0"], ["x", "y"], 7)
    assert found == embedding.read(light(40), answers, ["3-0"], ["x", "y"], 7)
    assert found.columns["answer"][:3] == ["right", "wrong", "not asked"]
    assert found.columns["label"][:2] == ["x", "y"]
    assert [key for key, shown in zip(found.columns["id"], found.columns["shown"], strict=True) if shown] == ["3-0"]
    assert max(map(len, found.columns["text"])) == embedding.TEXT_CHARACTERS + 1
    for xs, ys in found.places.values():
        points = np.column_stack([xs, ys])
        assert points.min() == 0
        assert points.max() == embedding.SIDE
    points = np.column_stack(found.places["teachers"])
    nearest = [np.argsort(np.linalg.norm(points - one, axis=1))[1] for one in points]
    assert np.mean([near % 2 == number % 2 for number, near in enumerate(nearest)]) > 0.9


def test_of_very_many_rows_some_are_on_the_map_and_those_with_a_card_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "MOST_ROWS", 12)
    found = embedding.read(light(60), {}, ["7-0", "59-0"], ["x", "y"], 7)
    assert len(found.columns["id"]) == 12
    assert {"7-0", "59-0"} <= set(found.columns["id"])
    assert found.rows == 60
    assert embedding.read(light(4), {}, [], ["x", "y"], 7).columns == {}


def test_rows_that_do_not_differ_have_a_map_all_the_same() -> None:
    same = light(10).assign(text="", p_speech_a=0.5, p_image_a=0.5)
    assert len(embedding.read(same, {}, [], ["x", "y"], 7).places["texts"][0]) == 10


def test_galleries_are_sorted_by_confidence_and_by_doubt(project: Path, dataset: rows.Dataset) -> None:
    found = gallery.read(project / "data", dataset, LABELS, REMAP)
    by_title = {one.title: one for one in found}
    assert [one.title for one in found[: len(LABELS)]] == list(LABELS)
    assert sum(one.rows for one in found[: len(LABELS)]) == len(dataset.light)
    for one in found:
        surest = [item.confidence for item in one.strips["surest"]]
        assert surest == sorted(surest, reverse=True)
        unsure = one.strips.get("least sure", [])
        assert not {item.id for item in unsure} & {item.id for item in one.strips["surest"]}
    doubted = by_title["anger"].strips["most doubted by the audit"]
    assert [(item.id, round(item.doubt or 0, 2)) for item in doubted] == [("900-0", 0.95)]
    apart = found[len(LABELS) :]
    assert apart
    assert all(one.title.startswith("speech says sad, the picture ") for one in apart)
    assert [one.rows for one in apart] == sorted((one.rows for one in apart), reverse=True)
    assert all(
        REMAP[item.speech] != REMAP[item.image] for one in apart for items in one.strips.values() for item in items
    )


def test_a_tone_is_a_line_at_its_height_and_silence_is_clear() -> None:
    times = np.arange(SAMPLING_RATE_HZ) / SAMPLING_RATE_HZ
    tone = np.sin(2 * np.pi * 2_000 * times).astype(np.float32)
    tone[SAMPLING_RATE_HZ // 2 :] = 0
    alpha = np.asarray(Image.open(io.BytesIO(explanations.spectrogram_png(tone))))[..., 1]
    assert alpha.shape[0] == explanations.SPECTROGRAM_ROWS
    early, late = alpha[:, alpha.shape[1] // 4], alpha[:, -alpha.shape[1] // 4]
    assert early.argmax() == pytest.approx(explanations.SPECTROGRAM_ROWS * 0.75, abs=1)
    assert early.max() == 255
    assert late.max() == 0
    assert Image.open(io.BytesIO(explanations.spectrogram_png(tone[:100]))).size[1] == explanations.SPECTROGRAM_ROWS
