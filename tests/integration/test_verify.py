"""Every promise about `data/` broken once, on copies of a real build; and repaired."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline.commands.command import run_command
from pipeline.engine import shards
from pipeline.verification.folders import STAGES
from tests.damage import Damage, empty, flip_bit, note_digests
from tests.project import Project

Change = Callable[[pa.Table], pa.Table]
KEPT_IN_COPIES = ("checkpoints/ser", "checkpoints/ier", *STAGES)


@pytest.fixture
def built(tiny_build: Project, tmp_path: Path) -> Project:
    """The parts of a build that verify reads, to be damaged."""
    root = tmp_path / "project"
    for name in KEPT_IN_COPIES:
        shutil.copytree(tiny_build.root / "data" / name, root / "data" / name)
    for path in root.rglob("*"):
        path.chmod(path.stat().st_mode | 0o200)
    shutil.copy(tiny_build.root / "params.yaml", root)
    return Project(root)


class Verify:
    """The command in this process, which has its libraries loaded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch = monkeypatch
        self.capsys = capsys

    def __call__(self, project: Project, *options: str) -> tuple[int, list[str], str]:
        """Exit code, lines on stdout, and the one line on stderr."""
        with self.monkeypatch.context() as patch:
            patch.chdir(project.root)
            code = run_command("verify", options)
        out, err = self.capsys.readouterr()
        (summary,) = err.splitlines()
        return code, out.splitlines(), summary


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verify:
    return Verify(monkeypatch, capsys)


def rewrite(project: Project, name: str, change: Change, shard: int = 0, *, rejects: bool = False) -> str:
    """Change a shard's table together with its manifest, as a stage with a defect would; returns the file's name."""
    folder = project.root / "data" / name
    markers = shards.read_manifest(folder, name)
    marker = markers[shard]
    file = marker.rejects if rejects else marker.part
    path = folder / file.name
    table = change(pq.read_table(path, partitioning=None))
    pq.write_table(table, path)
    data = path.read_bytes()
    new = replace(file, rows=table.num_rows, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    if rejects:
        markers[shard] = replace(marker, rejects=new)
    else:
        counts = {**marker.counts, shards.OK: table.num_rows}
        markers[shard] = replace(marker, part=new, counts=counts, rows_in=sum(counts.values()))
    (folder / shards.MANIFEST).write_bytes(shards.manifest(markers))
    return f"data/{name}/{file.name}"


def put(column: str, value: Any, row: int = 0) -> Change:
    """The table with another value in a row of a column."""

    def change(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[row] = value(values[row]) if callable(value) else value
        place = table.column_names.index(column)
        return table.set_column(place, table.schema.field(column), pa.array(values, table.schema.field(column).type))

    return change


def test_a_whole_build_has_no_faults(built: Project, verify: Verify) -> None:
    code, lines, summary = verify(built, "--media", "all")
    assert (code, lines) == (0, [])
    folders = "in clean, speech, scores/speech, scores/image, labels, sier"
    assert summary.endswith(f"{folders}; no dvc.lock to compare other outputs with: no faults")


@pytest.mark.parametrize(
    ("name", "damage", "kind", "said"),
    [
        ("clean/part-00001.parquet", flip_bit, "sha256", "manifest.jsonl says"),
        ("scores/image/rejects/part-00000.parquet", flip_bit, "sha256", "manifest.jsonl says"),
        ("sier/data/train-00000-of-", flip_bit, "sha256", "manifest.jsonl says"),
        ("speech/part-00000.parquet", lambda path: os.truncate(path, 100), "size", "100 bytes, manifest.jsonl says"),
        ("labels/part-00000.parquet", Path.unlink, "missing", "missing, manifest.jsonl lists it"),
        ("labels/rule.json", lambda path: os.truncate(path, 20), "rule", "missing or damaged"),
        ("labels/rule.json", Path.unlink, "rule", "missing or damaged"),
        ("clean/part-00000.parquet", lambda path: shutil.copy(path, path.with_name("part-9.parquet")), "unlisted", ""),
        ("scores/speech/manifest.jsonl", lambda path: os.truncate(path, 50), "manifest", "damaged"),
        ("speech/manifest.jsonl", Path.unlink, "manifest", "not found"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_line(
    built: Project, verify: Verify, name: str, damage: Callable[[Path], object], kind: str, said: str
) -> None:
    path = next((built.root / "data").glob(f"{name}*"))
    damage(path)
    code, lines, summary = verify(built)
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith(f"data/{name.partition('-')[0]}")
    assert said in lines[0]
    assert summary.endswith(f": 1 fault ({kind} 1)")


def lengthened(table: pa.Table) -> pa.Table:
    return put("duration_seconds", lambda seconds: seconds + 1)(table)


def nulled(table: pa.Table, column: str) -> pa.Table:
    """A null in the first row, as a file without declared nullability may hold it."""
    values = pa.array([None, *table[column].to_pylist()[1:]])
    return table.set_column(table.column_names.index(column), pa.field(column, values.type), values)


def swapped_pictures(table: pa.Table) -> pa.Table:
    pictures = table["image"].to_pylist()
    return put("image", pictures[1], 0)(table)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("clean", lambda table: table.drop_columns(["image_phash"]), "column image_phash is missing"),
        ("clean", lambda table: table.append_column("more", table["id"]), "column more is not in the contract"),
        ("scores/image", lambda table: put_type(table, "p_anger", pa.float64()), "p_anger is double, expected float"),
        ("sier", lambda table: put_type(table, "fold", pa.int64()), "column fold is int64, expected int8"),
        ("clean", lambda table: nulled(table, "text"), "column text holds 1 nulls"),
        ("clean", lambda table: nulled(table, "sentiment"), "its sentiment is none of negative, neutral, positive"),
        ("clean", put("image", lambda data: data[: len(data) // 2]), "the picture cannot be decoded"),
        ("clean", put("width_px", 17), "made smaller"),
        ("speech", put("audio", b"fLaC"), "the recording cannot be decoded"),
        ("speech", lengthened, "the row says"),
        ("sier", put("audio", {"bytes": b"", "path": "x.flac"}), "the recording cannot be decoded"),
        ("speech", put("id", "no id"), "expected <tweet id>-<n>"),
        ("clean", put("tweet_id", "1"), "its id is not its tweet id and image number"),
        ("clean", put("sentiment", "so-so"), "its sentiment is none of negative, neutral, positive"),
        ("speech", lambda table: pa.concat_tables([table, table.slice(0, 1)]), "its id stands there twice"),
        ("speech", lambda table: table.slice(1), "rows of data/clean are neither here nor rejected, first"),
        ("scores/image", put("p_anger", 7.0), "a probability is not between 0 and 1"),
        ("scores/image", put("p_anger", float("nan")), "a probability is not between 0 and 1"),
        ("scores/image", put("p_anger", lambda p: p / 2 + 0.3), "its probabilities do not sum to 1"),
        ("scores/speech", put("teacher_digest", "another"), "scored by another teacher than data/checkpoints/ser"),
        ("labels", put("label", lambda label: "sad" if label != "sad" else "hate"), "data/labels: row"),
        ("labels", put("kept", lambda kept: not kept), "kept is"),
        ("labels", put("speech_max", np.float32(0.111)), "speech_max is"),
        ("labels", lambda table: table.slice(1), "rows of data/scores are neither here nor rejected, first"),
        ("sier", lambda table: table.slice(1), "rows of data/labels are neither here nor rejected, first"),
        ("sier", put("label", lambda label: (label + 1) % 4), "its label is not that of its source"),
        ("sier", put("label", None), "its label is not that of its source"),
        ("sier", put("label", 99), "its label is not that of its source"),
        ("sier", swapped_pictures, "its image is not the picture of data/clean"),
        ("sier", put("confidence", 0.99), "its confidence is not that of its source"),
        ("sier", put("p_image_anger", 0.99), "its p_image_anger is not that of its source"),
        ("sier", put("text", "other words"), "its text is not that of its source"),
        ("sier", put("fold", None), "fold and split differ"),
    ],
)  # fmt: skip
def test_a_table_that_contradicts_itself_or_its_sources_is_named(
    built: Project, verify: Verify, name: str, change: Change, said: str
) -> None:
    rewrite(built, name, change)
    code, lines, _ = verify(built, "--media", "all")
    assert code == 1
    found = [line for line in lines if said in line]
    assert found, lines
    assert all(line.startswith("data/") for line in lines)


def put_type(table: pa.Table, column: str, kind: pa.DataType) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, table[column].cast(kind))


def test_a_group_that_is_torn_between_train_and_test_is_named(built: Project, verify: Verify) -> None:
    markers = shards.read_manifest(built.root / "data" / "sier", "assemble")
    test = next(number for number, marker in enumerate(markers) if marker.shard.startswith("test"))
    group = pq.read_table(built.root / "data" / "sier" / markers[test].part.name)["group_id"][0].as_py()
    rewrite(built, "sier", put("group_id", group))
    _, lines, summary = verify(built)
    assert any("its group is torn between train and test" in line for line in lines)
    assert "leak" in summary


def test_rows_of_one_tweet_in_two_groups_are_named(built: Project, verify: Verify) -> None:
    folder = built.root / "data" / "clean"
    parts = [shards.read_part(folder, marker) for marker in shards.read_manifest(folder, "clean")]
    counts = pc.value_counts(pa.concat_tables(parts)["tweet_id"]).to_pylist()
    tweet = next(entry["values"] for entry in counts if entry["counts"] > 1)
    shard, rows = next(
        (number, found) for number, part in enumerate(parts) if (found := row_of(part, tweet)) is not None
    )
    rewrite(built, "clean", put("group_id", "alone", rows), shard)
    _, lines, _ = verify(built)
    assert any("another row of its tweet is in another group" in line for line in lines)


def row_of(part: pa.Table, tweet: str) -> int | None:
    ids = part["tweet_id"].to_pylist()
    return ids.index(tweet) if tweet in ids else None


def test_rejects_need_reasons_and_counts(built: Project, verify: Verify) -> None:
    folder = built.root / "data" / "clean"
    markers = shards.read_manifest(folder, "clean")
    shard = next(number for number, marker in enumerate(markers) if marker.rejects.rows)
    where = rewrite(built, "clean", put("reason", " "), shard, rejects=True)
    assert verify(built)[1] == [f"{where}: 1 rejects without a reason"]
    rewrite(built, "clean", put("status", "another"), shard, rejects=True)
    assert any(line.startswith(f"{where}: rejects {{") for line in verify(built)[1])


def test_a_fault_does_not_hide_those_of_other_folders_and_json_lists_all(built: Project, verify: Verify) -> None:
    flip_bit(built.root / "data" / "clean" / "part-00000.parquet")
    rewrite(built, "scores/image", put("p_anger", 7.0))
    _, lines, _ = verify(built, "--json")
    found = json.loads("\n".join(lines))
    assert {fault["kind"] for fault in found["faults"]} >= {"sha256", "probabilities"}
    assert {fault["where"] for fault in found["faults"]} >= {"data/clean/part-00000.parquet", "data/scores/image"}


def test_only_the_folders_asked_for_are_looked_at(built: Project, verify: Verify) -> None:
    flip_bit(built.root / "data" / "clean" / "part-00000.parquet")
    code, lines, summary = verify(built, "data/speech", "data/labels")
    assert (code, lines) == (0, [])
    assert "in speech, labels: no faults" in summary


def test_a_damaged_shard_hides_no_fault_of_another_and_makes_none_up(built: Project, verify: Verify) -> None:
    rewrite(built, "clean", put("tweet_id", "1"), shard=1)
    rewrite(built, "sier", put("text", "other words"))
    for name in ("clean/part-00000.parquet", "scores/image/part-00000.parquet", "speech/part-00000.parquet"):
        flip_bit(built.root / "data" / name)
    _, lines, summary = verify(built)
    assert "faults (sha256 3, ids 1" in summary
    assert sum("manifest.jsonl says" in line for line in lines) == 3
    assert any("its id is not its tweet id and image number" in line for line in lines)
    assert not any("neither here nor rejected" in line or "rows are not in" in line for line in lines), lines


def test_a_lost_teacher_hides_no_fault_of_its_scores(built: Project, verify: Verify) -> None:
    (built.root / "data" / "checkpoints" / "ier" / "teacher.json").unlink()
    rewrite(built, "scores/image", put("p_anger", 7.0))
    _, lines, _ = verify(built)
    assert any(line.startswith("data/checkpoints/ier/teacher.json: missing or damaged") for line in lines)
    assert any("a probability is not between 0 and 1" in line for line in lines)


@pytest.mark.parametrize("folder", ["data/corpora", "/", "nowhere"])
def test_a_folder_that_nobody_can_verify_is_one_line(built: Project, verify: Verify, folder: str) -> None:
    code, lines, error = verify(built, folder)
    assert (code, lines) == (1, [])
    assert error.startswith(f"verify: error: {folder}: expected one of data/clean, ")


def test_repair_lets_dvc_make_the_damaged_shard_again_and_no_other(tiny_copy: Project, verify: Verify) -> None:
    before = tiny_copy.digests("data/clean", "data/speech", "data/sier")
    part = tiny_copy.root / "data" / "clean" / "part-00001.parquet"
    content = part.read_bytes()
    # Damaged everywhere and with its old time, as by a disk: the copies are hard links of one another in a real run.
    work = next((tiny_copy.root / ".work" / "clean").glob("*/kept/part-00001.parquet"))
    cached = [path for path in (tiny_copy.root / ".dvc" / "cache" / "files").rglob("*") if path.is_file()]
    copies = [part, work, *(path for path in cached if path.read_bytes() == content)]
    assert len(copies) == 3
    for path in copies:
        times = path.stat().st_atime_ns, path.stat().st_mtime_ns
        path.chmod(0o644)
        flip_bit(path)
        os.utime(path, ns=times)

    code, lines, _ = verify(tiny_copy, "--repair")
    assert code == 1
    assert lines[0].startswith("data/clean/part-00001.parquet: sha256")
    assert lines[1:] == [
        "removed data/clean/part-00001.parquet",
        f"removed shard {work.with_suffix('.json').relative_to(tiny_copy.root)}",
        "run: dvc repro (it makes what was removed of clean anew)",
    ]
    said = tiny_copy.run("python", "-m", "dvc", "repro", "assemble")
    assert said.returncode == 0, said.stderr
    shards_in_all = len(shards.read_manifest(tiny_copy.root / "data" / "clean", "clean"))
    assert f"clean: keep: {shards_in_all - 1} of {shards_in_all} shards were finished by an earlier run" in said.stderr
    assert "Stage 'synthesize' didn't change, skipping" in said.stdout
    assert tiny_copy.digests("data/clean", "data/speech", "data/sier") == before
    assert verify(tiny_copy)[0] == 0


def test_a_whole_project_has_no_faults(tiny_build: Project, verify: Verify) -> None:
    code, lines, summary = verify(tiny_build)
    assert (code, lines) == (0, [])
    named = len({out["path"] for stage in tiny_build.lock()["stages"].values() for out in stage["outs"]})
    assert summary.endswith(f", and {named - len(STAGES)} other outputs: no faults")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("data/checkpoints/parallelnet/model.safetensors", flip_bit),
        ("data/checkpoints/parallelnet/model.safetensors", empty),
        ("data/checkpoints/parallelnet_sentiment/out_of_fold.parquet", flip_bit),
        ("data/checkpoints/parallelnet/parallelnet.py", flip_bit),
        ("data/checkpoints/ser/*.safetensors", flip_bit),
        ("data/checkpoints/ier/rejects.csv", Path.unlink),
        ("data/predictions/parallelnet.parquet", flip_bit),
        ("data/audit/*.parquet", empty),
        ("data/explanations/explanations.parquet", flip_bit),
        ("data/explanations/figures/*.png", flip_bit),
        ("data/sier/README.md", flip_bit),
        ("data/clean/grouping.json", Path.unlink),
        ("reports/index.html", flip_bit),
        ("reports/table_2.md", empty),
        ("reports/evaluate.json", flip_bit),
        ("reports/curves/parallelnet/seed-0-fold-0/metrics.json", flip_bit),
    ],
)
def test_damage_to_any_output_is_told_with_its_name(
    tiny_links: Project, verify: Verify, name: str, damage: Damage
) -> None:
    (path,) = list(tiny_links.root.glob(name))[:1]
    damage(tiny_links.own(path))
    code, lines, _ = verify(tiny_links)
    assert code == 1
    place = path.relative_to(tiny_links.root)
    if place.is_relative_to("reports/curves"):  # DVC caches none, and so knows the files of a folder as a whole only
        place = place.parents[-4]
    told = [line for line in lines if line.startswith(f"{place}: ")]
    assert told, lines
    assert all("dvc.lock says; run: dvc repro --single-item --force " in line for line in told[:1])


def change(path: Path, column: str, value: Callable[[Any], Any]) -> None:
    path.chmod(0o644)
    pq.write_table(put(column, value)(pq.read_table(path, partitioning=None)), path)


def test_values_that_contradict_each_other_are_told_without_dvc(tiny_copy: Project, verify: Verify) -> None:
    (tiny_copy.root / "dvc.lock").unlink()
    assert verify(tiny_copy)[:2] == (0, [])
    data, network = tiny_copy.root / "data", tiny_copy.root / "data" / "checkpoints" / "parallelnet"
    change(data / "predictions" / "parallelnet_sentiment.parquet", "label", lambda label: label)  # no change
    assert verify(tiny_copy)[:2] == (0, [])
    predictions = data / "predictions" / "parallelnet.parquet"
    table = pq.read_table(predictions)
    first, second = (table[name] for name in ("p_anger", "p_sad"))
    swapped = table.set_column(2, "p_anger", second).set_column(table.column_names.index("p_sad"), "p_sad", first)
    predictions.chmod(0o644)
    pq.write_table(swapped, predictions)
    change(data / "explanations" / "explanations.parquet", "image_value", lambda value: value + 0.1)
    change(network / "out_of_fold.parquet", "id", lambda _: "1-1")
    (network / "training.json").chmod(0o644)
    note_digests(network)
    report = json.loads((tiny_copy.root / "reports" / "assemble.json").read_bytes())
    report["splits"]["test"]["rows"] += 1
    (tiny_copy.root / "reports" / "assemble.json").write_text(json.dumps(report))
    code, lines, summary = verify(tiny_copy)
    assert code == 1
    for said in (
        "data/predictions/parallelnet.parquet: row ", "explanations.parquet: row ", "its values do not sum",
        "out_of_fold.parquet: 1 rows are not those of the dataset", "reports/assemble.json: tells of {",
    ):  # fmt: skip
        assert any(said in line for line in lines), (said, lines)
    assert "no dvc.lock to compare other outputs with" in summary


def test_a_damaged_network_is_repaired_to_the_same_bytes(tiny_copy: Project, verify: Verify) -> None:
    before = tiny_copy.digests("data", "reports")
    weights = tiny_copy.root / "data" / "checkpoints" / "parallelnet" / "model.safetensors"
    content = weights.read_bytes()
    copies = [
        path
        for folder in ("data", ".work", ".dvc/cache")
        for path in (tiny_copy.root / folder).rglob("*")
        if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
    ]
    assert len(copies) >= 3
    for inode in {path.stat().st_ino: path for path in copies}.values():
        times = inode.stat().st_atime_ns, inode.stat().st_mtime_ns
        flip_bit(inode)
        os.utime(inode, ns=times)
    code, lines, _ = verify(tiny_copy, "--repair")
    assert code == 1
    assert f"removed {weights.relative_to(tiny_copy.root)}" in lines
    tiny_copy.dvc("repro", "train@parallelnet")
    assert verify(tiny_copy)[0] == 0
    assert tiny_copy.digests("data", "reports") == before
