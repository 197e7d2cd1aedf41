"""The report page from small data: what stands in it, and what must not."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import report
from pipeline.engine import usage
from pipeline.errors import UserError
from pipeline.explanation.maps import AGAINST, FOR
from pipeline.frame.params import section
from pipeline.media import audio
from pipeline.reporting import closest, explanations, left_out, provenance, rows, stage_reports
from pipeline.reporting.figures import Matrix
from tests import builders_report as builder
from tests.builders_sier import LABELS

LIMIT_BYTES = 20_000_000


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    builder.write_project(root)
    return root


@pytest.fixture(scope="module")
def page(project: Path) -> str:
    """With all rows and all rejects."""
    return made(project)


def made(root: Path, changes: dict[str, Any] | None = None, **params: Any) -> str:
    values = {"rows": 14, "rejects": 3, "measured": False, "model": "parallelnet", **params}
    report.run(section({"report": values}, "report", report.ReportParams), builder.context(root, **(changes or {})))
    return (root / "reports" / report.PAGE).read_text(encoding="utf-8")


def folders(root: Path) -> rows.Folders:
    remap = dict(zip(builder.CLASSES, LABELS, strict=True))
    return rows.Folders(root / "data", "parallelnet", LABELS, remap, 0.05)


def sampled(root: Path, number: int, seed: int = 7) -> list[rows.Row]:
    return rows.sample(folders(root), rows.read(folders(root)), number, seed)


def test_equal_inputs_give_equal_bytes(project: Path, page: str) -> None:
    assert made(project) == page


def test_a_tweet_and_a_reason_stay_text(page: str) -> None:
    assert builder.SCRIPT_TEXT not in page
    assert "&lt;script&gt;document.title = &#39;owned&#39;" in page
    assert page.count("<script>") == 1
    assert builder.REJECTED not in page
    assert "&lt;b&gt;&amp;lt;hostile&lt;/b&gt;" in page


def without_scripts(page: str) -> str:
    """The page without Vega and its charts, which name addresses that nothing asks for."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_nothing_is_asked_of_a_network(page: str) -> None:
    page = without_scripts(page)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) > 30
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "url(" not in re.sub(r"url\(#", "", page)
    assert "default-src 'none'" in page


def test_every_id_is_there_once_and_every_link_leads_somewhere(page: str) -> None:
    page = without_scripts(page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_rows_with_words_come_first_then_each_label_and_split_by_turns(project: Path) -> None:
    found = sampled(project, 10)
    assert len(rows.read(folders(project)).light) == builder.TRAIN_ROWS + builder.TEST_ROWS
    assert [row.id for row in found[:2]] == list(builder.EXPLAINED)
    assert len({row.id for row in found}) == 10
    assert {(row.columns["label"], row.split) for row in found[2:]} == {
        (label, split) for label in LABELS for split in ("train", "test")
    }
    assert [row.id for row in found] == [row.id for row in sampled(project, 10, 7)]
    assert [row.id for row in found] != [row.id for row in sampled(project, 10, 8)]


def test_a_row_has_all_that_is_known_of_it(project: Path) -> None:
    found = {row.id: row for row in sampled(project, 500, 7)}
    assert len(found) == builder.TRAIN_ROWS + builder.TEST_ROWS
    train, explained = found["900-0"], found[builder.EXPLAINED[0]]
    assert train.split == "train"
    assert train.prediction is None
    assert train.audit is not None
    assert train.audit["suggested_label"] == "sad"
    assert [one.value for one in train.speech] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert [one.name for one in train.speech if one.largest] == ["sadness"]
    assert [one.label for one in train.speech if one.largest] == ["sad"]
    assert explained.explanation is not None
    assert explained.explanation.words == [("a<b", -1.0, 1.0)]
    assert [one.value for one in explained.explanation.stretches] == [0.0, 0.25, 0.25, -1.0]
    test = found["891-0"]
    assert test.prediction == {"label": "happy", "p": 1.0, "correct": test.columns["label"] == "happy"}


def test_cells_of_a_spectrogram_are_drawn_as_their_sum_along_the_recording() -> None:
    numbers = builder.explanation("1-0", words=False)
    numbers |= {
        "image_map": [], "speech_players": numbers["speech_players"].tolist(), "speech_bands": 2,
        "speech_values": [1.0, 0.0, -2.0, 0.5, 0.25, 0.5, 1.0, -0.5],
    }  # fmt: skip
    seconds = 0.25
    recording = audio.encode_flac(np.full(16_000, 0.5, dtype=np.float32), audio.SAMPLING_RATE_HZ)
    drawn = explanations.draw_explanation(numbers, recording, seconds / (builder.FRAMES // builder.SEGMENTS))
    assert [(one.start_seconds, one.value) for one in drawn.stretches] == [
        (0.0, 1.25), (0.25, 0.5), (0.5, -1.0), (0.75, 0.0),
    ]  # fmt: skip


def test_media_are_left_out_where_they_would_fill_the_page(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sampled(project, 10, 7)
    monkeypatch.setattr(rows, "MEDIA_CHARACTERS", sum(row.characters for row in whole[:4]))
    assert [row.id for row in sampled(project, 10, 7)] == [row.id for row in whole[:4]]


def test_what_counts_of_a_row_is_what_it_adds_to_the_page(project: Path) -> None:
    found = sampled(project, 5, 7)
    grown = len(made(project, rows=5)) - len(made(project, rows=4))  # of both, two are explained
    assert found[4].characters < grown < found[4].characters + 4_000


def test_the_page_with_most_media_is_below_its_limit() -> None:
    assert rows.MEDIA_CHARACTERS < LIMIT_BYTES - 6_000_000


def test_the_closest_pairs_across_splits_are_shown_with_both_texts_and_pictures(project: Path, page: str) -> None:
    pairs = closest.read(project / "data", stage_reports.read(project / "reports").tables["closest_pairs"])
    told = [(pair.kind, pair.similarity, pair.train.id, pair.test.id) for pair in pairs]
    assert told == [("text", 0.9876, "900-0", "892-0"), ("image", 0.8765, "893-0", "887-0")]
    assert pairs[0].train.text == builder.SCRIPT_TEXT
    assert pairs[0].test.text == "text 8"
    shown = page[page.index('<section id="splits"') : page.index('<section id="left-out"')]
    for pair in pairs:
        assert f"{pair.similarity:.3f}</th>" in shown
        for one in (pair.train, pair.test):
            assert f'src="{one.photo}" alt="Picture of row {one.id}"' in shown
            assert f"<small>{one.id}</small>" in shown
    assert len({one.photo for pair in pairs for one in (pair.train, pair.test)}) == 4


def test_what_the_leakage_check_compared_is_told(page: str) -> None:
    assert "all 6 test rows against all 8 of train" in page
    assert "at most 46 of 256 bits of the perceptual hashes differ; the nearest pair differs in 71" in page
    assert "Jaccard index of the words is at least 0.8; 5 pairs share" in page


def test_a_closest_pair_of_another_dataset_is_refused(project: Path) -> None:
    record = {"kind": "text", "train_id": "900-0", "test_id": "no-such", "similarity": 0.5}
    with pytest.raises(
        UserError, match=r"closest_pairs\.csv: row no-such is not in data/sier; run: dvc repro assemble"
    ):
        closest.read(project / "data", [record])
    assert closest.read(project / "data", []) == []


def test_rejects_of_all_stages_are_counted_and_the_first_are_named(project: Path) -> None:
    found = left_out.read(project / "data", 1)
    assert [(one.stage, one.status, one.rows) for one in found] == [
        ("clean", "text_empty", 2), ("clean", "image_bomb", 1), ("label", "below_threshold", 1),
        ("train_teacher@image", "image_truncated", 1),
    ]  # fmt: skip
    assert found[0].examples == [("1-0", builder.REJECTED)]
    assert found[2].examples == [("4-0", "speech: anger 0.40; picture: sadness 0.30")]


def test_a_run_that_leaves_nothing_out_has_no_reasons(tmp_path: Path) -> None:
    builder.write_project(tmp_path)
    for name in ("clean", "labels"):
        builder.write_whole(tmp_path, name)
    (tmp_path / "data" / "checkpoints" / "ier" / "rejects.csv").write_text("id,status,reason\n")
    assert left_out.read(tmp_path / "data", 1) == []
    assert "None was." in made(tmp_path)


def test_speech_that_nobody_listened_to_has_no_error_rate(project: Path, page: str, tmp_path: Path) -> None:
    shutil.copytree(project, tmp_path / "copy")
    reports = tmp_path / "copy" / "reports"
    metrics = json.loads((reports / "synthesize.json").read_text())
    metrics["recognition"] = {"transcribed_texts": 0, "rejected_texts": {}}
    (reports / "synthesize.json").write_text(json.dumps(metrics))
    (reports / "plots" / "word_error_rate.csv").write_text("series,word_error_rate,texts\n")
    assert "word error rate, median" in page
    assert "word error rate, median" not in made(tmp_path / "copy")


def test_shares_of_a_matrix_are_of_its_rows() -> None:
    assert Matrix("t", "d", "a", ["x", "y"], ["x", "y"], [[1, 3], [0, 0]]).shares == [[0.25, 0.75], [0.0, 0.0]]


def test_a_waveform_is_cut_where_segments_end_and_its_padding_is_left_out() -> None:
    players = np.array([0, 0, 1, 1, -1], dtype=np.int16)
    waveform = np.sin(np.arange(56_000) / 160).astype(np.float32)
    found = explanations.stretches(waveform, players, np.array([-2.0, 1.0]), 1.0)
    assert [(one.start_seconds, one.end_seconds, one.value, one.strength) for one in found] == [
        (0.0, 2.0, -2.0, 1.0), (2.0, 3.5, 1.0, 0.5),
    ]  # fmt: skip
    assert all(re.fullmatch(r"M\d+ \d+(L\d+ \d+)+Z", one.path) for one in found)


def test_an_empty_cell_is_clear_and_the_strongest_one_is_not() -> None:
    from io import BytesIO

    from PIL import Image

    found = np.asarray(Image.open(BytesIO(explanations.overlay_png(np.array([[1.0, 0.0], [-0.5, 0.0]])))))
    assert found[0, 0].tolist() == [*FOR, 204]
    assert found[-1, 0].tolist() == [*AGAINST, 102]
    assert found[0, -1, 3] == 0


def test_paths_and_log_ins_are_not_printed() -> None:
    told = provenance.parameters(
        {"acquire": {"fi": {"path": "/home/someone/FI"}, "url": "https://me:secret@x.org/a?token=1"}}
    )
    assert told["acquire"] == "fi:\n  path: …/FI\nurl: https://x.org/a"


def test_times_and_memory_are_told_where_they_are_asked_for(project: Path, page: str) -> None:
    work = project / ".work"
    usage.record(work, "clean", 12.34)
    usage.record(work, "train@parallelnet", 61.0)
    (work / usage.FOLDER / "damaged.json").write_text("{")
    peak = usage.read(work)["clean"][1]
    assert 50e6 < peak < 50e9
    told = made(project, measured=True)
    assert re.search(rf"clean</th>.*?<td>12.3</td><td>{peak / 1e6:,.1f} MB</td>", told)
    assert "<td>73.3</td>" in told
    assert "damaged" not in told
    assert "<td>12.3</td>" not in page


def test_a_modality_that_decides_nearly_all_is_named_first(project: Path, page: str) -> None:
    path = project / "reports" / "label.json"
    before = path.read_text()
    path.write_text(re.sub(r'"share_decided_by_speech": [\d.]+', '"share_decided_by_speech": 0.953', before))
    told = made(project)
    path.write_text(before)
    found = told.index("One modality decides")
    assert "95%" in told[found : found + 300]
    assert found < told.index('class="tiles"')
    assert "One modality decides" not in page


def test_labels_that_go_with_nothing_but_the_recording_are_told_first(project: Path) -> None:
    path = project / "reports" / "label.json"
    before = path.read_text()
    metrics = json.loads(before)
    said = "labels do not go with the texts' sentiment: V 0.08, by chance 0.06, p 0.240; they go with <the voice>"
    metrics["verdict"] = {"holds": False, "words": said}
    undefined = dict.fromkeys(("cramers_v", "corrected_v", "low", "high", "by_chance", "p_value"))
    metrics["validity"]["table"][1] |= undefined
    path.write_text(json.dumps(metrics))
    told = made(project)
    metrics["validity"]["table"][0] |= undefined
    path.write_text(json.dumps(metrics))
    unmeasured = made(project)
    path.write_text(before)
    first = told.index("<b>Warning.</b> These pseudo-labels do not go with the texts&#39; sentiment: V 0.08, by chance")
    assert first < told.index('class="tiles"') < told.index("</b> pseudo-labels do not go with the texts")
    assert "&lt;the voice&gt;" in told
    assert "not measured: one class or one group only" in told
    assert "<b>No V</b> pseudo-labels" in unmeasured


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reports/evaluate.json", "reports/evaluate.json: missing or damaged; run: dvc repro"),
        ("reports/plots/curves.csv", "curves.csv: missing or damaged; run: dvc repro"),
        ("data/sier/manifest.jsonl", "not found; run: dvc repro assemble"),
        ("data/audit/audit.parquet", "missing or damaged; run: dvc repro audit --force"),
        ("data/explanations/explanations.parquet", "run: dvc repro explain --force"),
        ("data/labels/rule.json", "rule.json: missing or damaged; run: dvc repro label"),
        ("data/checkpoints/ier/rejects.csv", "run: dvc repro"),
        ("data/corpora/fi/manifest.json", "run: dvc repro acquire@fi"),
    ],
)
def test_what_is_missing_is_told_in_one_line(project: Path, tmp_path: Path, name: str, message: str) -> None:
    shutil.copytree(project, tmp_path / "copy")
    (tmp_path / "copy" / name).unlink()
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        made(tmp_path / "copy")
    assert "\n" not in str(caught.value)


def test_a_teacher_that_nobody_measured_and_a_further_voter_are_told(project: Path, page: str) -> None:
    folder, rule = project / "reports", project / "data" / "labels" / "rule.json"
    path = folder / "train_teacher_speech.json"
    plots = [folder / "plots" / f"teacher_speech_{name}.csv" for name in ("confusion", "reliability")]
    kept = {one: one.read_bytes() for one in (path, rule, *plots)}
    unmeasured = {"shown": None, "reliability": None, "held_out": {"protocol": "not measured", "rows": 0}}
    path.write_text(json.dumps(json.loads(kept[path]) | unmeasured))
    voter = {"kind": "scores", "path": "votes.csv", "name": "crowd", "weight": 0.2}
    rule.write_text(json.dumps(json.loads(kept[rule]) | {"rule": "log_pool", "further": [voter]}))
    for one in plots:
        one.write_bytes(kept[one].splitlines(keepends=True)[0])
    other = made(project)
    for one, content in kept.items():
        one.write_bytes(content)
    assert "Speech teacher on held-out utterances" in page
    assert "Speech teacher on held-out utterances" not in other
    assert "speech (not measured) / picture (" in other
    assert "accuracy not measured" in other
    assert "of both teachers and of crowd make one, in which speech weighs 0.5 beside 0.5 of pictures and 0.2" in other


def test_a_network_of_sentiments_is_refused(project: Path) -> None:
    with pytest.raises(
        UserError, match=r"report\.model = parallelnet_sentiment: expected a network of rows: sier, found rows: clean"
    ):
        made(project, model="parallelnet_sentiment")


def test_cells_are_numbers_but_ids_are_not(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("train_id,test_id\n12,013\n")
    assert stage_reports._records(tmp_path / "b.csv") == [{"train_id": "12", "test_id": "013"}]
    (tmp_path / "a.csv").write_text("id,n,x,on,name\n12,3,0.5,True,b\n13,,,False,c\n")
    assert stage_reports._records(tmp_path / "a.csv") == [
        {"id": "12", "n": 3, "x": 0.5, "on": True, "name": "b"},
        {"id": "13", "n": None, "x": None, "on": False, "name": "c"},
    ]


def test_a_share_of_few_rows_has_no_interval(project: Path, page: str) -> None:
    shares = pd.read_csv(project / "reports" / "plots" / "modality_share.csv")
    assert shares["rows"].min() < 5 <= shares["rows"].max()
    said = re.search(r"<caption>Share of the picture in what an answer rests on.*?</table>", page, re.DOTALL)
    assert said is not None
    assert said[0].count("too few rows") == (shares["rows"] < 5).sum()
    assert len(re.findall(r"\d+% to \d+%", said[0])) == (shares["rows"] >= 5).sum()
