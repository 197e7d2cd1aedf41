"""`sier stability` on twelve scored rows, and who shows what it says."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from pipeline import label
from pipeline.commands.command import run_command
from pipeline.engine import shards
from pipeline.frame import tables
from pipeline.frame.params import read_params, section
from pipeline.labels.rules import LabelParams
from pipeline.stability import report
from tests.builders_sier import context_at, flac, write_folder

ROOT = Path(__file__).parents[3]
# Of [anger, excitement]: speech is sure of the first four, pictures of the next four, nobody of the last.
SPEECH = [0.9, 0.2, 0.8, 0.1, 0.6, 0.4, 0.55, 0.45, 0.52, 0.52, 0.47, 0.5]
IMAGE = [0.6, 0.6, 0.4, 0.4, 0.9, 0.1, 0.8, 0.2, 0.5, 0.5, 0.5, 0.5]
BY_RULE = ["threshold -0.05", "threshold +0.05", "rule agreement", "rule log_pool", "speech alone", "image alone"]
ONLY = [word for name in BY_RULE for word in ("--only", name)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labels by the larger of both, from 0.6 on: the first eight rows."""
    monkeypatch.chdir(tmp_path)
    values = read_params(ROOT / "params.yaml")
    values["label"] |= {"rule": "max_probability", "threshold": 0.6, "calibrate": "none"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    ids = [f"{number}-0" for number in range(12)]
    clean = [
        {**dict.fromkeys(tables.CLEAN.names, ""), "id": identity, "group_id": f"g{number}", "image": b"",
         "sentiment": tables.SENTIMENTS[0 if SPEECH[number] > 0.5 else 2],
         "image_index": 0, "width_px": 1, "height_px": 1}
        for number, identity in enumerate(ids)
    ]  # fmt: skip
    write_folder(tmp_path, "clean", [pa.Table.from_pylist(clean, schema=tables.CLEAN)])
    speech = [
        {"id": identity, "audio": flac(0), "duration_seconds": 1.0, "voice": "v", "heard": "so it is"}
        for identity in ids
    ]
    write_folder(tmp_path, "speech", [pa.Table.from_pylist(speech)])
    for modality, anger in (("speech", SPEECH), ("image", IMAGE)):
        rows = {"id": ids, "p_anger": anger, "p_excitement": [1 - p for p in anger], "teacher_digest": ["t"] * 12}
        write_folder(tmp_path, f"scores/{modality}", [pa.table(rows, schema=tables.scores(["anger", "excitement"]))])
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "score_speech.json").write_text('{"features": "acoustic"}')
    corpus = tmp_path / "data" / "corpora" / "b_t4sa"
    corpus.mkdir(parents=True)
    (corpus / "manifest.json").write_text('{"origin": "sample"}')
    label.run(section(read_params(tmp_path / "params.yaml"), "label", LabelParams), context_at(tmp_path))
    return tmp_path


def digests(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def records(project: Path) -> dict[str, dict[str, Any]]:
    found = json.loads((project / "reports" / "stability.json").read_bytes())
    return {record["name"]: record for record in found["variants"]}


def test_what_becomes_of_twelve_rows(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = digests(project / "data")
    assert run_command("stability", ONLY) == 0
    assert digests(project / "data") == before
    found = records(project)
    assert list(found) == BY_RULE
    counts = {
        name: (one["kept"]["both"], one["changed"]["rows"], one["dropped"], one["gained"])
        for name, one in found.items()
    }
    assert counts == {
        "threshold -0.05": (8, 0, 0, 0),
        "threshold +0.05": (8, 0, 0, 0),
        "rule agreement": (6, 0, 2, 0),  # 1 and 2 are contradicted by the picture
        "rule log_pool": (8, 0, 0, 0),  # it is sure of 1 and 2 by .62
        "speech alone": (6, 0, 2, 0),  # which is not sure of 6 and 7
        "image alone": (8, 2, 0, 0),  # pictures say the opposite of 1 and 2
    }  # fmt: skip
    assert found["image alone"]["changed"]["share"] == 0.25
    assert found["image alone"]["cohen_kappa"] == 0.5
    assert all(one["rows"] == 12 for one in found.values())
    validity = found["image alone"]["validity"]
    assert (validity["before"]["cramers_v"], validity["after"]["cramers_v"]) == (1.0, 0.5)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "stability: reports/stability.json"
    assert out[-1].startswith(
        "  image alone              25.0% (7.1% to 59.1%) of 8 labels differ, 0 dropped, 0 gained; V 0.50,"
    )


def test_equal_runs_give_equal_bytes(project: Path) -> None:
    arguments = [*ONLY, "--variant", "low", "label.threshold=0.5", "label.rule=agreement", "--only", "low"]
    texts = []
    for _ in range(2):
        assert run_command("stability", arguments) == 0
        texts.append((project / "reports" / "stability.json").read_bytes())
    assert texts[0] == texts[1]
    assert records(project)["low"]["settings"] == {"label.threshold": 0.5, "label.rule": "agreement"}


def test_figures_of_other_labels_are_called_stale(project: Path) -> None:
    reports, labels = project / "reports", project / "data" / "labels"
    assert report.read(reports, labels) is None
    assert run_command("stability", ONLY) == 0
    found = report.read(reports, labels)
    assert found is not None
    assert found["current"]
    assert len(report.lines(found)) == len(BY_RULE)
    label.run(LabelParams("agreement", 0.5, {"anger": "anger", "excitement": "happy"}), context_at(project))
    found = report.read(reports, labels)
    assert found is not None
    assert not found["current"]


def test_settings_are_said_as_they_were_given() -> None:
    values = {"label.threshold": 0.4, "synthesize.voice": {"engine": "piper", "model": "a b"}}
    assert report.settings({"settings": values}) == (
        'label.threshold = 0.4, synthesize.voice = {"engine": "piper", "model": "a b"}'
    )
    assert report.settings({"settings": {}}) == ""


def only(*settings: str) -> list[str]:
    return ["--variant", "x", *settings, "--only", "x"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (only("label.treshold=0.4"), "variant x: params.yaml: label.treshold = 0.4: not a known key; expected rule"),
        (only("label.threshold=2"), "variant x: params.yaml: label.threshold = 2: expected less than or equal to 1"),
        (only("label.rule=vote"), "variant x: params.yaml: label.rule = \"vote\": expected 'max_probability'"),
        (only("synthesize.voice.engine=x"), 'variant x: params.yaml: synthesize.voice.engine = "x": expected'),
        (only("label.threshold="), "variant x: params.yaml: label.threshold = null: expected a valid number"),
        (only("clean.shard_rows=3"), "variant x: clean.shard_rows cannot be changed here; expected base.seed or"),
        (only("label.neutral=[joy]"), "variant x: params.yaml: label.neutral: joy is no class of a teacher"),
        (only("label.remap={anger: anger, excitement: glad}"), "variant x: params.yaml: label.remap: glad is not a"),
        (["--only", "x"], "--only x: no such variant; expected one of: threshold -0.05, threshold +0.05, rule"),
        (["--variant", "another seed", "base.seed=1"], "--variant another seed: there is one of this name; expected"),
    ],
)
def test_a_variant_that_is_not_possible_is_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert run_command("stability", arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"stability: error: {says}")
    assert not (project / "reports" / "stability.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--variant", "x"], ["--variant", "x", "label.threshold"], ["--variant", "x", "label.threshold={"],
        ["--variant", "|", "label.threshold=1"], ["--variant", "label.threshold=1", "label.rule=agreement"],
        ["--rows", "0"], ["--rows", "many"],
    ],
)  # fmt: skip
def test_wrong_arguments_have_a_code_of_their_own(project: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run_command("stability", arguments)
    assert stop.value.code == 2


def damage_labels(project: Path) -> None:
    path = project / "data" / "labels" / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-9])


def swap_scores(project: Path) -> None:
    (table,) = (shards.read_part(project / "data" / "scores" / "speech", marker)
                for marker in shards.read_manifest(project / "data" / "scores" / "speech", "score"))  # fmt: skip
    write_folder(project, "scores/speech", [table.slice(0, 11)])


def changed_since(project: Path) -> None:
    noted = {"stages": {"score@image": {"params": {"params.yaml": {"score.image": {"batch_size": 1}}}}}}
    (project / "dvc.lock").write_text(yaml.safe_dump(noted))


def other_threshold(project: Path) -> None:
    values = read_params(project / "params.yaml")
    values["label"]["threshold"] = 0.9
    (project / "params.yaml").write_text(yaml.safe_dump(values))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda project: shutil.rmtree(project / "data" / "labels"),
         "data/labels/manifest.jsonl: not found; run: dvc repro label"),
        (damage_labels, "data/labels/part-00000.parquet: missing or not"),
        (swap_scores, "data/labels: other labels than data/scores and label of params.yaml give; run: dvc repro label"),
        (other_threshold, "data/labels: other labels than data/scores and label of params.yaml give; run: dvc repro"),
        (changed_since, "params.yaml: section score.image has changed since score@image was run; run: dvc repro label"),
    ],
)  # fmt: skip
def test_labels_that_are_not_there_or_not_those_of_the_parameters_are_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], spoil: Any, says: str
) -> None:
    spoil(project)
    assert run_command("stability", ONLY) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert captured.err.startswith(f"stability: error: {says}")


def test_it_is_not_run_in_parts(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIER_SHARD", "1/2")
    assert run_command("stability", []) == 1
    assert "cannot be run in parts" in capsys.readouterr().err
