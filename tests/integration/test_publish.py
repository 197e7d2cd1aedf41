"""publish, and back: dataset and network on a small Hub, loaded by a fresh process, are what was built."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests import hub_server
from tests.hub_repositories import Repo
from tests.hub_server import TOKEN, USER, Hub
from tests.project import HERE, Project, one_error_line

# One process for all, for the time that imports take.
PUBLISH = """
from pipeline.commands.command import run_command

for arguments in (["--repo-id", "ids"], ["--repo-id", "media", "--mode", "full", "--private"],
                  ["--repo-id", "sound", "--mode", "features"], ["--repo-id", "net", "--model"], ["--space", "page"]):
    assert run_command("publish", [*arguments, "--allow-sample"]) == 0, arguments
assert run_command("rebuild", ["--source", "someone/ids", "--out", "rebuilt", "--rows-per-file", "5"]) == 0
"""
SPACE = """
import json, sys
import gradio, numpy as np
from PIL import Image
import app

picture, hum = Image.new("RGB", (80, 60), "red"), (np.sin(np.arange(44_100) * 0.1) * 9_000).astype(np.int16)
text, cells, segments = app.explain(picture, (22_050, hum))
refused = []
for given in ((None, (22_050, hum)), (picture, None), (picture, (22_050, 0 * hum)), (picture, (100, hum))):
    try:
        app.answer(*given)
    except gradio.Error as error:
        refused.append(str(error))
print(json.dumps([app.answer(picture, (22_050, np.stack([hum, hum], 1))), text, cells.size, segments.size, refused]))
"""
LOAD = """
import hashlib, io, json
import datasets, soundfile, torch
from PIL import Image
from transformers import AutoModel, AutoProcessor

datasets.disable_progress_bars()
found = {}
for repo in ("ids", "media", "sound"):
    for config in ("default", "full", "sentiment"):
        streams = datasets.load_dataset(f"someone/{repo}", config, streaming=True)
        for split, rows in streams.items():
            names = rows.column_names
            if "audio" in names:
                rows = rows.cast_column("audio", datasets.Audio(decode=False))
                rows = rows.cast_column("image", datasets.Image(decode=False))
            rows = list(rows)
            for row in rows:
                for name in ("audio", "image"):
                    if name in row:
                        row[name] = hashlib.sha256(row[name]["bytes"]).hexdigest()
                if "spectrogram" in row:
                    row["spectrogram"] = [len(row["spectrogram"]), len(row["spectrogram"][0])]
            found[f"{repo}/{config}/{split}"] = {"columns": names, "rows": rows}
whole = datasets.load_dataset("someone/media", "default")
assert whole["train"].features["label"].names == ["anger", "happy", "hate", "sad"]
raw = whole["test"].cast_column("audio", datasets.Audio(decode=False))[0]
waveform, rate = soundfile.read(io.BytesIO(raw["audio"]["bytes"]), dtype="float32")
torch.set_num_threads(1)
net = AutoModel.from_pretrained("someone/net", trust_remote_code=True).eval()
processor = AutoProcessor.from_pretrained("someone/net", trust_remote_code=True)
inputs = processor(images=raw["image"], audio=waveform, sampling_rate=rate)
with torch.inference_mode():
    found["answer"] = [raw["id"], net(**inputs).logits.softmax(-1)[0].tolist()]
explained = processor.explain(net, images=raw["image"], audio=waveform, sampling_rate=rate)
found["explained"] = [explained.label, explained.probability, explained.v_full - explained.v_empty,
                      sum(map(sum, explained.cells)) + sum(explained.segments)]
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Published:
    """A project whose dataset and network are on a Hub, and what a fresh process read there."""

    project: Project
    hub: Hub
    output: str
    loaded: Mapping[str, Any]


def run(project: Project, hub: Hub, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return project.run("python", *arguments, **hub.environment(str(project.root.parent / "home")), **more)


@pytest.fixture(scope="module")
def published(tiny_build: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    project = tiny_build.copy(tmp_path_factory.mktemp("published") / "project")
    with hub_server.serve() as hub:
        done = run(project, hub, "-c", PUBLISH)
        assert done.returncode == 0, done.stderr
        environment = {**project.variables(), **hub.environment(str(project.root.parent / "another home"))}
        loading = subprocess.run(
            [sys.executable, "-I", "-c", LOAD], cwd="/", env=environment, capture_output=True, text=True, check=False
        )
        assert loading.returncode == 0, loading.stderr
        yield Published(project, hub, done.stdout + done.stderr, json.loads(loading.stdout.splitlines()[-1]))


def repo_of(published: Published, name: str) -> Repo:
    """A dataset's repository."""
    return published.hub.repos["dataset", f"{USER}/{name}"]


def sier(project: Project, split: str) -> list[dict[str, Any]]:
    paths = sorted((project.root / "data" / "sier" / "data").glob(f"{split}-*.parquet"))
    rows: list[dict[str, Any]] = pa.concat_tables([pq.read_table(path) for path in paths]).to_pylist()
    for row in rows:
        row |= {name: hashlib.sha256(row[name]["bytes"]).hexdigest() for name in ("audio", "image")}
    return rows


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_loaded_back_is_what_was_built(published: Published, split: str) -> None:
    expected = sier(published.project, split)
    for config in ("default", "full"):
        found = published.loaded[f"media/{config}/{split}"]
        shared = [name for name in expected[0] if name in found["columns"] and name != "text"]
        assert [[row[name] for name in shared] for row in found["rows"]] == [
            [row[name] for name in shared] for row in expected
        ]
        assert ("p_speech_anger" in found["columns"]) == (config == "full")
    texts = [row["text"] for row in published.loaded[f"media/default/{split}"]["rows"]]
    assert texts
    assert not any("@" in text or "http" in text for text in texts)


def test_default_mode_holds_no_media_and_features_only_spectrograms(published: Published) -> None:
    for config in ("default", "full", "sentiment"):
        assert {"audio", "image", "text"}.isdisjoint(published.loaded[f"ids/{config}/train"]["columns"])
        assert {"audio", "image", "text"}.isdisjoint(published.loaded[f"sound/{config}/train"]["columns"])
    assert published.loaded["sound/default/train"]["rows"][0]["spectrogram"] == [64, 64]
    expected = {row["id"]: row["audio"] for row in sier(published.project, "train")}
    found = {row["id"]: row["audio_sha256"] for row in published.loaded["ids/full/train"]["rows"]}
    assert found == expected


def test_sentiment_has_every_row_in_its_own_split(published: Published) -> None:
    rows = pa.concat_tables(
        [pq.read_table(path, columns=["id", "source_split", "sentiment"])
         for path in sorted((published.project.root / "data" / "clean").glob("part-*.parquet"))]
    ).to_pylist()  # fmt: skip
    names = ["negative", "neutral", "positive"]
    for repo in ("ids", "media", "sound"):
        found = {
            row["id"]: (split, names[row["sentiment"]])
            for split in ("train", "validation", "test")
            for row in published.loaded[f"{repo}/sentiment/{split}"]["rows"]
        }
        expected = {row["id"]: (row["source_split"].replace("val", "validation"), row["sentiment"]) for row in rows}
        assert found.items() <= expected.items()
        assert len(found) >= len(expected) - 2  # speech that was not understood


def test_files_are_made_for_streaming(published: Published) -> None:
    files = published.hub.repos["dataset", f"{USER}/media"].files
    for path, content in files.items():
        if path.endswith(".parquet"):
            metadata = pq.ParquetFile(pa.BufferReader(content)).metadata
            groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
            assert max(group.num_rows for group in groups) <= 100
            assert groups[0].column(0).has_column_index
            assert groups[0].column(0).statistics.has_min_max


def test_rebuilt_from_ids_and_the_own_corpus_it_is_the_published_one(published: Published) -> None:
    files = published.hub.repos["dataset", f"{USER}/media"].files
    rebuilt = published.project.root / "rebuilt"
    assert (rebuilt / "rejects.csv").read_text(encoding="utf-8").splitlines() == ["id,status,reason"]
    data = sorted(path for path in files if path.startswith("data/"))
    assert data == sorted(path.relative_to(rebuilt).as_posix() for path in (rebuilt / "data").iterdir())
    assert [path for path in data if (rebuilt / path).read_bytes() != files[path]] == []


def test_the_network_answers_as_it_does_here(published: Published) -> None:
    identity, answer = published.loaded["answer"]
    path = published.project.root / "data" / "predictions" / "parallelnet.parquet"
    row = next(row for row in _predictions(published.project, path) if row["id"] == identity)
    expected = [row[f"p_{name}"] for name in ("anger", "happy", "hate", "sad")]
    assert answer == pytest.approx(expected, abs=1e-5)
    label, probability, effect, total = published.loaded["explained"]
    assert (row[f"p_{label}"], total) == (pytest.approx(probability, abs=1e-5), pytest.approx(effect, abs=1e-3))
    assert probability == pytest.approx(max(answer), abs=1e-5)
    stored = published.hub.repos["model", f"{USER}/net"].files
    weights = published.project.root / "data" / "checkpoints" / "parallelnet" / "model.safetensors"
    assert stored["model.safetensors"] == weights.read_bytes()
    assert {"README.md", "predict.py", "processing_parallelnet.py", "processor_config.json"} <= stored.keys()


def test_the_receipt_names_every_file_and_no_stage_depends_on_it(published: Published) -> None:
    receipt = json.loads((published.project.root / "reports" / "publish.json").read_bytes())
    for kind, name in (("dataset", "sound"), ("model", "net")):
        repo = published.hub.repos[kind, f"{USER}/{name}"]
        assert receipt[kind]["commit"] == repo.commits[-1][0]
        assert receipt[kind]["files"] == {
            path: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for path, content in repo.files.items()
        }
    version = receipt["dataset"]["version"]
    assert (version["number"], repo_of(published, "sound").tags) == ("1.0.0", {"v1.0.0": receipt["dataset"]["commit"]})
    card = repo_of(published, "sound").files["README.md"].decode()
    assert f"labels sha256 `{version['labels_sha256']}`, built by commit `{version['builder']}`" in card
    assert "\nversion: 1.0.0\n" in card
    assert "up to date" in published.project.run("dvc", "status").stdout


def test_the_token_is_nowhere(published: Published) -> None:
    assert TOKEN not in published.output
    kept = [path for path in published.project.root.rglob("*") if path.is_file() and ".dvc" not in path.parts]
    assert [path for path in kept if TOKEN.encode() in path.read_bytes()] == []
    assert not any(TOKEN.encode() in data for repo in published.hub.repos.values() for data in repo.files.values())


def test_private_only_where_asked(published: Published) -> None:
    repos = published.hub.repos
    assert [name for (_, name), repo in sorted(repos.items()) if repo.private] == [f"{USER}/media"]


def test_media_are_gated_and_every_repository_says_its_terms(published: Published) -> None:
    repos = {name.removeprefix(f"{USER}/"): repo for (_, name), repo in published.hub.repos.items()}
    gates = {name: repo.gated for name, repo in repos.items()}
    assert gates == {"ids": False, "media": "manual", "sound": "manual", "net": False, "page": False}
    page = repos.pop("page")  # holds nothing of corpora, voices or teachers, only a page's code
    assert "\nlicense: apache-2.0\n" in page.files["README.md"].decode()
    assert all({"LICENSE", "citation.bib"} <= repo.files.keys() for repo in repos.values())
    assert [name for name, repo in repos.items() if "DATASHEET.md" in repo.files] == ["ids", "media", "sound"]
    assert f"id: {USER}/sound" in repos["net"].files[".eval_results/sier.yaml"].decode()


def test_the_sample_is_refused_and_a_dry_run_changes_nothing(published: Published) -> None:
    before = len(published.hub.requests)
    done = run(published.project, published.hub, "-m", "pipeline", "publish", "--repo-id", "x/y")
    assert "--allow-sample" in one_error_line(done)
    assert len(published.hub.requests) == before
    shown = run(published.project, published.hub, "-m", "pipeline", "publish", "--repo-id", "x/y", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "data/train-00000-of-00001.parquet" in shown.stdout
    assert "# IIT-R SIER" in shown.stdout
    assert [operation for operation, _ in published.hub.requests[before:]] == ["whoami", "info"]


def test_what_verify_finds_broken_is_not_published(tiny_links: Project, published: Published) -> None:
    path = next((tiny_links.root / "data" / "sier" / "data").glob("test-*.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)
    before = len(published.hub.requests)
    done = run(tiny_links, published.hub, "-m", "pipeline", "publish", "--repo-id", "x/y", "--allow-sample")
    line = one_error_line(done)
    assert "verify finds" in line
    assert path.name in line
    # It has logged in and looked, lest hours of work be lost to a wrong token or name, and done nothing else.
    assert [operation for operation, _ in published.hub.requests[before:]] == ["whoami", "info"]


def _predictions(project: Project, path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def test_the_space_answers_and_explains_by_the_published_network_alone(published: Published, tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="needs: pip install -e '.[rate]'")
    files = published.hub.repos["space", f"{USER}/page"].files
    assert set(files) == {"README.md", "app.py", "model.json", "requirements.txt"}
    header = yaml.safe_load(files["README.md"].split(b"---\n")[1])
    assert header["sdk"] == "gradio" and header["app_file"] == "app.py" and header["models"] == [f"{USER}/net"]
    pins = (HERE / "constraints.txt").read_text(encoding="utf-8")
    assert f"gradio=={header['sdk_version']} " in pins
    for line in files["requirements.txt"].decode().split():
        assert f"\n{line}" in pins
    assert json.loads(files["model.json"])["revision"] == published.hub.repos["model", f"{USER}/net"].commits[-1][0]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    environment = {**published.project.variables(), **published.hub.environment(str(tmp_path / "home"))}
    environment["PYTHONPATH"] = str(tmp_path)  # the pipeline is not there
    done = subprocess.run(
        [sys.executable, "-c", SPACE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer, text, cells, segments, refused = json.loads(done.stdout.splitlines()[-1])
    assert sum(answer.values()) == pytest.approx(1, abs=1e-5)
    assert max(answer, key=answer.get) in text and cells == [80, 60] and segments == [800, 160]
    assert [words.split(".")[0] for words in refused] == [
        "'Choose a picture first", "'Record something, or choose a recording", "'This recording is silent",
        "'This recording is longer than 60 s",
    ]  # fmt: skip


def test_a_space_needs_the_network_on_the_hub(published: Published) -> None:
    done = run(published.project, published.hub, "-m", "pipeline", "publish", "--space", "page", "--model", "other",
               "--allow-sample")  # fmt: skip
    assert done.returncode == 1 and "other" in done.stderr and "sier publish --repo-id NAME" in done.stderr
