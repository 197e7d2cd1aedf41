"""`dvc repro` on a tiny project: complete, repeatable, and no more work than a change asks for."""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.engine import shards
from tests.project import Project

STAGES = [
    "acquire@b_t4sa", "acquire@iemocap", "acquire@fi", "acquire@emotion_texts", "clean", "synthesize",
    "train_teacher@speech", "train_teacher@image", "score@speech", "score@image", "label", "assemble",
    "train@parallelnet", "train@parallelnet_sentiment", "evaluate", "audit", "explain", "report",
]  # fmt: skip
FOLDERS = {
    "clean": "data/clean",
    "synthesize": "data/speech",
    "score@speech": "data/scores/speech",
    "score@image": "data/scores/image",
    "label": "data/labels",
}

# Runs a module as `python -m` does and then tells which heavy libraries it has loaded.
SPY = """
import runpy, sys
module = sys.argv.pop(1)
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as stop:
    code = stop.code
print("loaded:", *sorted({"torch", "torchvision", "timm", "transformers", "tensorflow"} & set(sys.modules)))
raise SystemExit(code)
"""


def stages_run(output: str) -> list[str]:
    return re.findall(r"^Running stage '(.+)':$", output, re.MULTILINE)


def report(project: Project, name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((project.root / "reports" / f"{name}.json").read_bytes())
    return values


def counts(project: Project, stage: str) -> dict[str, int]:
    """Rows per status of a folder of shards, after a comparison of its manifest with its files."""
    folder = project.root / FOLDERS[stage]
    markers = shards.read_manifest(folder, stage)
    for marker in markers:
        assert pq.read_metadata(folder / marker.part.name).num_rows == marker.part.rows == marker.counts[shards.OK]
        assert marker.part.rows + marker.rejects.rows == marker.rows_in == sum(marker.counts.values())
    assert len(shards.read_rejects(folder, markers)) == sum(marker.rejects.rows for marker in markers)
    return shards.total_counts(markers)


def test_a_build_from_scratch_makes_every_output_of_every_stage(tiny_build: Project) -> None:
    stages = tiny_build.lock()["stages"]
    assert sorted(stages) == sorted(STAGES)
    outs = [out["path"] for stage in stages.values() for out in stage["outs"]]
    assert "data/sier" in outs
    assert [out for out in outs if not (tiny_build.root / out).exists()] == []


def test_a_second_repro_does_nothing(tiny_copy: Project) -> None:
    before = tiny_copy.digests("data", "reports", "dvc.lock")
    output = tiny_copy.dvc("repro")
    assert "Data and pipelines are up to date." in output
    assert stages_run(output) == []
    assert tiny_copy.digests("data", "reports", "dvc.lock") == before


def test_a_new_threshold_reruns_label_and_what_reads_its_rows_only(tiny_copy: Project) -> None:
    kept = report(tiny_copy, "label")["kept"]
    tiny_copy.set_params({"label.threshold": 0.0, "label.calibrate": "none"})
    assert stages_run(tiny_copy.dvc("repro", "assemble", SIER_WORKERS="1")) == ["label", "assemble"]
    # What comes after takes a minute; DVC's own list of what it would run is enough.
    assert set(json.loads(tiny_copy.dvc("status", "--json"))) == {"train@parallelnet", "evaluate", "explain", "report"}
    assert report(tiny_copy, "label")["kept"] == report(tiny_copy, "label")["rows_in"] > kept
    assert report(tiny_copy, "assemble")["rows"] == report(tiny_copy, "label")["kept"]


def test_a_build_elsewhere_in_another_order_gives_the_same_bytes(tiny_build: Project, elsewhere_build: Project) -> None:
    expected = tiny_build.digests("data", "reports")
    found = elsewhere_build.digests("data", "reports")
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert sum(name.endswith(".parquet") for name in expected) > 40  # there was something to compare


def test_rows_add_up_from_stage_to_stage(tiny_build: Project) -> None:
    found = {stage: counts(tiny_build, stage) for stage in FOLDERS}
    usable = {stage: count[shards.OK] for stage, count in found.items()}
    assert sum(found["clean"].values()) == report(tiny_build, "clean")["rows_in"] > usable["clean"] > 0
    assert report(tiny_build, "clean")["rejected"] == {name: n for name, n in found["clean"].items() if name != "ok"}
    assert sum(found["synthesize"].values()) == usable["clean"]
    assert sum(found["score@speech"].values()) == usable["synthesize"]
    assert sum(found["score@image"].values()) == usable["clean"]
    ids = {
        stage: {
            identity
            for path in sorted((tiny_build.root / folder).glob("part-*.parquet"))
            for identity in pq.read_table(path, columns=["id"])["id"].to_pylist()
        }
        for stage, folder in FOLDERS.items()
    }
    assert {stage: len(names) for stage, names in ids.items()} == usable
    assert ids["label"] == ids["score@speech"] & ids["score@image"]
    labels = pq.read_table(tiny_build.root / "data/labels/part-00000.parquet", columns=["kept"])["kept"].to_pylist()
    assert sum(labels) == report(tiny_build, "label")["kept"] == report(tiny_build, "assemble")["rows"]
    assert 0 < sum(labels) < len(labels)  # the threshold decided something


def test_the_tiny_build_has_several_shards_and_both_modalities_decide(tiny_build: Project) -> None:
    """Otherwise the other tests of this folder would prove less than they say."""
    assert len(list((tiny_build.root / "data/speech").glob("part-*.parquet"))) >= 4
    assert len(list((tiny_build.root / "data/sier/data").glob("train-*.parquet"))) >= 2
    assert min(report(tiny_build, "label")["decided_by"].values()) > 0


def test_metrics_plots_and_graph_can_be_shown(tiny_copy: Project) -> None:
    metrics = json.loads(tiny_copy.dvc("metrics", "show", "--json"))[""]["data"]
    with (tiny_copy.root / "dvc.yaml").open(encoding="utf-8") as file:
        declared = yaml.safe_load(file)
    assert sorted(metrics) == sorted(declared["metrics"])
    told = metrics["reports/assemble.json"]["data"]
    sizes = {name: split["rows"] for name, split in told["splits"].items()}
    assert told["leaks"]["found"] == 0
    assert told["leaks"]["compared"]["rows"] == sizes
    assert {told["leaks"]["compared"][kind]["pairs"] for kind in ("tweets", "images", "texts")} == {
        sizes["train"] * sizes["test"]
    }

    tiny_copy.dvc("plots", "show")
    page = (tiny_copy.root / "dvc_plots" / "index.html").read_text(encoding="utf-8")
    names = [name for plot in declared["plots"] for name in plot]
    assert len(names) >= 10
    assert [name for name in names if not (tiny_copy.root / name).is_file()] == []
    assert [name for name in names if f'id = "{re.sub("[/.]", "_", name)}"' not in page] == []

    graph = tiny_copy.dvc("dag", "--dot")
    assert [stage for stage in STAGES if f'"{stage}"' not in graph] == []


@pytest.mark.parametrize("stage", ["clean", "synthesize", "label", "assemble"])
def test_stage_does_its_work_without_torch(tiny_links: Project, stage: str) -> None:
    for marker in sorted((tiny_links.root / ".work").rglob("part-00000.json")):
        marker.unlink()  # so that a worker has something to do; with one worker it does it in the process we watch
    done = tiny_links.run("python", "-c", SPY, f"pipeline.{stage}", SIER_WORKERS="1")
    assert done.returncode == 0, done.stderr
    # synthesize normalises texts by a module of transformers, which by itself loads no network and no torch.
    assert done.stdout.splitlines()[-1] == ("loaded: transformers" if stage == "synthesize" else "loaded:")
