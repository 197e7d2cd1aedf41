"""The teacher for `kind: scores`: tables that others made, as CSV and Parquet, sound and not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.errors import ItemError, ModelError
from models.teachers.loading import load_teacher
from models.teachers.scores_teacher import ScoresTeacher
from pipeline import score, train_teacher
from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame.intervals import accuracy_in_words
from pipeline.frame.outside_scores import OutsideParams, read
from pipeline.frame.params import section
from pipeline.teachers import corpora
from pipeline.teachers.params import SECTION, ScoreParams
from tests import builders_teachers as tiny
from tests.builders_sier import write_folder

CSV = "id,p_sad,p_joy,note\nb-0,0.25,0.75,x\na-0,0.5,0.505,y\n"


def given(path: Path, **changes: Any) -> OutsideParams:
    return OutsideParams(kind="scores", path=str(path), name="a model", **changes)


def test_csv_and_parquet_of_any_order_are_the_same_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    columns = {"p_joy": [0.505, 0.75], "id": ["a-0", "b-0"], "p_sad": pa.array([0.5, 0.25], pa.float32())}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    one, other = (read(given(tmp_path / name), "label") for name in ("a.csv", "a.parquet"))
    assert (one.ids, one.classes, one.digest) == (other.ids, other.classes, other.digest)
    assert one.ids == ["a-0", "b-0"] and one.classes == ("joy", "sad")
    assert one.values == pytest.approx(np.array([[0.505 / 1.005, 0.5 / 1.005], [0.75, 0.25]]))
    assert read(given(tmp_path / "a.csv", digest=one.digest[:12]), "label").digest == one.digest
    (tmp_path / "a.csv").write_text(CSV.replace("0.25,0.75", "0.2,0.8"))
    with pytest.raises(UserError, match=r"its content has the digest [0-9a-f]{64}, expected "):
        read(given(tmp_path / "a.csv", digest=one.digest), "label")


HEAD = "id,p_a,p_b\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,p_a\n1-0,1\n", "expected columns id and p_<class> for two classes or more, found 'id, p_a'"),
        ("name,p_a,p_b\n1-0,1,0\n", "expected columns id and p_<class>"),
        ("id,p_a,p_b,p_b\n1-0,1,0,0\n", "two columns are called 'p_b'; expected one"),
        ("id,p_a,p_<b>\n1-0,1,0\n", "column 'p_<b>': expected p_ and a class"),
        (f"{HEAD}1-0,.5\n", "CSV parse error: Row #2: Expected 3 columns, got 2"),
        (f"{HEAD}1-0,.5,.5\n2-0,.5,half\n", "Row #3: CSV conversion error to double: invalid value 'half'"),
        (f"{HEAD}1-0,.5,.5\n1-0,.5,.5\n", "id '1-0' stands in rows 1 and 2; expected one"),
        (f"{HEAD}1-0,.5,.7\n", r"1 of 1 of its rows are rejected \(sum_not_one\), first '1-0': row 1: its prob"),
        (f"{HEAD}1-0,-.5,1.5\n", r"rejected \(not_a_probability\), first '1-0': row 1: a value is missing or not b"),
        (f"{HEAD}1-0,.5,\n", "not_a_probability"),
        (f"{HEAD}1-0,nan,.5\n", "not_a_probability"),
        (f"{HEAD},.5,.5\n", "bad_id"),
        (HEAD, "no row with an id and probabilities"),
        ("", "Empty CSV file"),
        (HEAD + "x" * 3_000_000 + ",.5,.5\n", "expected CSV with commas"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=said) as caught:
        read(given(path), "train_teacher.speech")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


def test_hostile_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    half, long = [0.5] * 1000, ["a" * 100_000] * 1000
    for content, said in (
        (b"PAR1 and nothing", "damaged, or no Parquet"),
        (pa.table({"id": ["1-0"], "p_a": ["half"], "p_b": [0.5]}), "column p_a is string, expected numbers"),
        (pa.table({"id": long, "p_a": half, "p_b": half}), "an id of 100,000 bytes"),
    ):
        path.write_bytes(content) if isinstance(content, bytes) else pq.write_table(content, path)
        with pytest.raises(UserError, match=said):
            read(given(path), "label")
    with pytest.raises(UserError, match="no such file"):
        read(given(tmp_path / "none.csv"), "label")


def params(path: Path, classes: dict[str, str | None], **changes: Any) -> dict[str, Any]:
    return {"kind": "scores", "path": str(path), "name": "a model", "classes": classes, **changes}


def train(root: Path, modality: str, given_params: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    read_params = section({"train_teacher": {modality: given_params}}, f"train_teacher.{modality}", SECTION)
    report = train_teacher.run(read_params, tiny.context(root, modality))
    metrics: dict[str, Any] = json.loads((root / "reports" / f"train_teacher_{modality}.json").read_bytes())
    return metrics, report.notes


def score_ids(root: Path, ids: list[str]) -> tuple[pa.Table, list[tuple[str, str, str]]]:
    write_folder(root, "clean", [pa.table({"id": ids, "image": [b"no picture, and nobody looks"] * len(ids)})])
    score.run(ScoreParams(2, 100), tiny.context(root, "image"))
    folder = root / "data" / "scores" / "image"
    markers = shards.read_manifest(folder, "score")
    return shards.read_parts(folder, markers), list(shards.read_rejects(folder, markers))


def test_scores_of_ids_are_looked_up_and_what_they_lack_is_rejected(tmp_path: Path) -> None:
    tiny.write_corpora(tmp_path)
    path = tmp_path / "s.csv"
    path.write_text("id,p_anger,p_sadness\n1-0,0.25,0.75\n2-0,1,0\n3-0,0.5,0.9\n")
    given_params = params(path, tiny.IMAGE_CLASSES, max_lost_share=0.5)
    metrics, notes = train(tmp_path, "image", given_params)
    assert metrics["shown"] is metrics["reliability"] is None
    assert metrics["held_out"] == {"protocol": "not measured", "rows": 0}
    assert (metrics["used"], metrics["too_few_to_learn"], metrics["outside"]["rows"]) == (0, [], 2)
    assert notes[0].startswith("not measured: ")
    assert accuracy_in_words(metrics["shown"]) == "not measured"
    checkpoint = tmp_path / "data" / "checkpoints" / "ier"
    assert "3-0,sum_not_one" in (checkpoint / "rejects.csv").read_text()
    table, rejects = score_ids(tmp_path, ["2-0", "3-0", "1-0"])
    assert table.select(["id", "p_anger", "p_sadness"]).to_pylist() == [
        {"id": "2-0", "p_anger": 1.0, "p_sadness": 0.0}, {"id": "1-0", "p_anger": 0.25, "p_sadness": 0.75},
    ]  # fmt: skip
    assert table["teacher_digest"].unique().to_pylist() == [metrics["digest"]]
    assert [reject[:2] for reject in rejects] == [("3-0", "not_in_the_scores")]
    with pytest.raises(UserError, match=r"the scores of a model lack 2 of its 3 rows; .*max_lost_share \(now 0.5\)"):
        score_ids(tmp_path, ["1-0", "3-0", "4-0"])
    # The same table elsewhere, in another order, is the same teacher.
    path.write_text("p_sadness,id,p_anger\n0,2-0,1\n0.75,1-0,0.25\n")
    assert train(tmp_path, "image", given_params)[0]["digest"] == metrics["digest"]


def test_a_table_with_the_ids_of_the_corpus_is_measured_on_them(tmp_path: Path) -> None:
    tiny.write_corpora(tmp_path)
    corpus = corpora.read("iemocap", tmp_path / "data" / "corpora" / "iemocap")
    classes = tiny.SPEECH_CLASSES
    items = [item for item in corpus.items if classes[item.label]]
    names = sorted({str(classes[item.label]) for item in items})
    lines = [
        ",".join([item.id, *("0.8" if name == classes[item.label] else str(0.2 / (len(names) - 1)) for name in names)])
        for item in items[1:]
    ]
    path = tmp_path / "s.csv"
    path.write_text("\n".join([",".join(["id", *(f"p_{name}" for name in names)]), *lines, ""]))
    metrics, notes = train(tmp_path, "speech", params(path, classes))
    assert metrics["held_out"]["accuracy"] == 1
    assert metrics["shown"]["rows"] == metrics["used"] == metrics["outside"]["corpus_rows"] == len(items) - 1
    assert metrics["reliability"]["ece"]["value"] == pytest.approx(0.2, abs=1e-6)
    assert "what made the scores may have been trained on" in notes[0]
    with pytest.raises(UserError, match=r"gives the class delight, of which .* has no column"):
        train(tmp_path, "speech", params(path, {**classes, "hap": "delight"}))


def test_a_saved_table_knows_itself(tmp_path: Path) -> None:
    values = np.array([[0.25, 0.75], [1, 0]], dtype=np.float32)
    ScoresTeacher(("id", "b"), ["1-0", "2-0"], values, {"name": "a model"}).save(tmp_path)
    teacher = load_teacher(tmp_path)
    assert teacher.predict_proba(["2-0", "1-0"]).tolist() == values[::-1].tolist()
    with pytest.raises(ItemError, match="the scores of a model have no sound row with this id"):
        teacher.check("3-0")
    with pytest.raises(ModelError, match="holds a table of scores, which torch cannot compile"):
        load_teacher(tmp_path, compiled=True)
    ScoresTeacher(("id", "b"), ["1-0", "2-0"], values[::-1], {"name": "a model"}).save(tmp_path / "other")
    (tmp_path / "scores.parquet").write_bytes((tmp_path / "other" / "scores.parquet").read_bytes())
    with pytest.raises(ModelError, match="the scores are not those that were saved"):
        load_teacher(tmp_path)
