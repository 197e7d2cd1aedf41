"""Everything a user may get wrong: one line that names the place, exit code 1, earlier outputs untouched.

Stages run without DVC here, which deletes a stage's outputs before it starts it.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.builders import build_b_t4sa, build_fi, build_iemocap, plain_turns, plain_tweets
from tests.integration.conftest import Run
from tests.project import Project, one_error_line

TAR, TEXTS, SENTIMENTS = "b-t4sa_imgs.tar", "raw_tweets_text.csv", "t4sa_text_sentiment.tsv"
OUTPUTS = ("data", "reports")


@dataclass(frozen=True)
class Fault:
    """`spoil(project, folder)` makes the mistake, in an empty folder if it needs one; `says` must be in the line."""

    name: str
    stage: str
    spoil: Callable[[Project, Path], object]
    says: tuple[str, ...]


def refused(project: Project, stage: str, *says: str, run: Run = Project.stage, **environment: str) -> str:
    """Run a stage that must fail, and compare all outputs before and after."""
    before = project.digests(*OUTPUTS)
    line = one_error_line(run(project, stage, **{"SIER_WORKERS": "1", **environment}))
    assert project.digests(*OUTPUTS) == before
    assert line.startswith(f"{stage}: error: ")
    assert [text for text in says if text not in line] == [], line
    return line


def set_param(name: str, value: Any) -> Callable[[Project, Path], None]:
    return lambda project, _: project.set_params({name: value})


def no_row_is_kept(project: Project, _: Path) -> None:
    project.set_params({"label.threshold": 1.0, "label.calibrate": "none"})


def tweets_at(break_it: Callable[[Path], object]) -> Callable[[Project, Path], None]:
    """A B-T4SA of one's own, broken."""

    def spoil(project: Project, folder: Path) -> None:
        break_it(build_b_t4sa(folder / "tweets"))
        project.set_params({"acquire.b_t4sa.path": str(folder / "tweets")})

    return spoil


def pictures_at(break_it: Callable[[Path], object]) -> Callable[[Project, Path], None]:
    """An FI of one's own, broken."""

    def spoil(project: Project, folder: Path) -> None:
        break_it(build_fi(folder / "pictures"))
        project.set_params({"acquire.fi.path": str(folder / "pictures")})

    return spoil


def swap_header(name: str, right: bytes, wrong: bytes) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes((root / name).read_bytes().replace(right, wrong, 1))


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def acquire_unknown_code(project: Project, folder: Path) -> None:
    turns = plain_turns()
    build_iemocap(folder / "speech", [*turns[:-1], replace(turns[-1], emotion="joy")])
    project.set_params({"acquire.iemocap.path": str(folder / "speech")})


def acquire_only_empty_texts(project: Project, folder: Path) -> None:
    build_b_t4sa(folder / "tweets", [replace(tweet, text="") for tweet in plain_tweets(8)])
    project.set_params({"acquire.b_t4sa.path": str(folder / "tweets")})
    assert project.stage("acquire@b_t4sa").returncode == 0


def leave_out_of(section: str, key: str) -> Callable[[Project, Path], None]:
    def spoil(project: Project, folder: Path) -> None:
        values = project.params()
        for part in section.split("."):
            values = values[part]
        project.set_params({section: {name: value for name, value in values.items() if name != key}})

    return spoil


def remove(name: str) -> Callable[[Project, Path], None]:
    def spoil(project: Project, folder: Path) -> None:
        path = project.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def shorten(name: str) -> Callable[[Project, Path], None]:
    def spoil(project: Project, folder: Path) -> None:
        path = project.root / name
        content = path.read_bytes()
        path.unlink()  # DVC's cache has the same file
        path.write_bytes(content[: len(content) // 2 + 7])  # not the end of a line

    return spoil


def write_params(text: str) -> Callable[[Project, Path], object]:
    return lambda project, _: (project.root / "params.yaml").write_text(text, encoding="utf-8")


FAULTS = [
    # Files of a corpus
    Fault("no_tar", "acquire@b_t4sa", tweets_at(lambda root: (root / TAR).unlink()), ("tweets", TAR)),
    Fault("no_csv", "acquire@b_t4sa", tweets_at(lambda root: (root / TEXTS).unlink()), ("tweets", TEXTS)),
    Fault("no_tsv", "acquire@b_t4sa", tweets_at(lambda root: (root / SENTIMENTS).unlink()), ("tweets", SENTIMENTS)),
    Fault(
        "misnamed_csv", "acquire@b_t4sa", tweets_at(lambda root: (root / TEXTS).rename(root / "raw_tweet_texts.csv")),
        (TEXTS, "raw_tweet_texts.csv", "rename"),
    ),
    Fault(
        "csv_header", "acquire@b_t4sa", tweets_at(swap_header(TEXTS, b"id,text", b"tweet,text")),
        (TEXTS, "id,text", "tweet,text"),
    ),
    Fault(
        "tsv_header", "acquire@b_t4sa", tweets_at(swap_header(SENTIMENTS, b"TWID\tNEG", b"TWID\tPOS")),
        (SENTIMENTS, "NEG"),
    ),
    Fault("no_tar_but_text", "acquire@b_t4sa", tweets_at(lambda root: (root / TAR).write_text("hello")), (TAR,)),
    Fault(
        "compressed_tar", "acquire@b_t4sa",
        tweets_at(lambda root: (root / TAR).write_bytes(gzip.compress((root / TAR).read_bytes()))), (TAR, "gunzip"),
    ),
    Fault(
        "truncated_tar", "acquire@b_t4sa", tweets_at(lambda root: cut_in_half(root / TAR)),
        ("tweets", TAR, "download it again"),
    ),
    Fault(
        "no_such_folder", "acquire@b_t4sa", set_param("acquire.b_t4sa.path", "/nowhere/b-t4sa"),
        ("acquire.b_t4sa.path", "/nowhere/b-t4sa"),
    ),
    Fault(
        "unknown_class_folder", "acquire@fi", pictures_at(lambda root: (root / "joy").mkdir()), ("pictures", "joy"),
    ),
    Fault(
        "missing_class_folder", "acquire@fi", pictures_at(lambda root: shutil.rmtree(root / "awe")),
        ("pictures", "no folder for awe"),
    ),
    Fault("unknown_emotion_code", "acquire@iemocap", acquire_unknown_code, ("Ses05M_impro01.txt:", "joy", "ang")),
    Fault("no_usable_row", "clean", acquire_only_empty_texts, ("data/corpora/b_t4sa", "text_empty")),
    # Parameters
    Fault("unknown_key", "clean", set_param("clean.image.min_side", 32), ("clean.image.min_side", "min_side_px")),
    Fault("impossible_value", "label", set_param("label.threshold", 1.5), ("label.threshold", "1.5")),
    Fault("wrong_type", "clean", set_param("clean.shard_rows", "many"), ("clean.shard_rows", "many")),
    Fault("no_params", "synthesize", remove("params.yaml"), ("params.yaml", "no such file")),
    Fault("params_are_no_yaml", "synthesize", write_params("label: {threshold: 0.5"), ("params.yaml", "YAML")),
    Fault(
        "class_map_misses_a_label", "train_teacher@speech", leave_out_of("train_teacher.speech.classes", "fru"),
        ("train_teacher.speech.classes", "fru"),
    ),
    Fault(
        "unknown_encoder", "train_teacher@image", set_param("train_teacher.image.encoder", "resnet9000"),
        ("train_teacher.image.encoder = resnet9000", "resnet50"),
    ),
    Fault(
        "normalise_pictures", "train_teacher@image", set_param("train_teacher.image.normalise", "voice"),
        ("train_teacher.image.normalise", "none"),
    ),
    Fault("no_row_is_kept", "label", no_row_is_kept, ("label.threshold = 1.0", "no row")),
    Fault(
        "no_temperature", "label", set_param("label.threshold", 1.0),
        ("label.calibrate = match", "the threshold 1.0", "change label.threshold"),
    ),
    Fault("remap_misses_a_class", "label", leave_out_of("label.remap", "anger"), ("label.remap", "anger")),
    Fault("remap_misses_a_rare_class", "label", leave_out_of("label.remap", "disgust"), ("label.remap", "disgust")),
    Fault("remap_to_no_label", "label", set_param("label.remap.anger", "rage"), ("label.remap", "rage", "anger")),
    Fault(
        "no_such_voice", "synthesize", set_param("synthesize.voice.model", "voices/ann.onnx"),
        ("synthesize.voice.model", "voices/ann.onnx", "one of: heart"),
    ),
    Fault(
        "no_such_recogniser", "synthesize", set_param("synthesize.recognition.model", "models/whisper"),
        ("synthesize.recognition.model = models/whisper", "model.bin", "not found"),
    ),
    Fault("too_small_a_sample", "acquire@b_t4sa", set_param("acquire.b_t4sa.sample_size", 5), ("5", "12")),
    # What an earlier stage should have left
    Fault("no_corpus", "clean", remove("data/corpora/b_t4sa"), ("data/corpora/b_t4sa", "acquire@b_t4sa")),
    Fault("no_teacher", "score@image", remove("data/checkpoints/ier"), ("data/checkpoints/ier", "train_teacher@image")),
    Fault("no_shard", "synthesize", remove("data/clean/part-00001.parquet"), ("data/clean/part-00001.parquet",)),
    Fault("cut_shard", "label", shorten("data/scores/image/part-00000.parquet"), ("data/scores/image/part-00000",)),
    Fault("no_manifest", "assemble", remove("data/speech/manifest.jsonl"), ("data/speech/manifest.jsonl",)),
    Fault("cut_manifest", "score@speech", shorten("data/speech/manifest.jsonl"), ("data/speech/manifest.jsonl",)),
]  # fmt: skip


FIRST = {fault.stage: fault for fault in reversed(FAULTS)}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_mistake_costs_one_line_and_no_output(
    tiny_links: Project, tmp_path: Path, run_here: Run, fault: Fault
) -> None:
    """The first mistake of each stage in a process of its own, the others in this one: that saves their imports."""
    folder = tmp_path / "given"
    folder.mkdir()
    fault.spoil(tiny_links, folder)
    run = Project.stage if fault is FIRST[fault.stage] else run_here
    refused(tiny_links, fault.stage, *fault.says, run=run)


@pytest.mark.parametrize(
    ("stage", "module", "content", "extra"),
    [
        ("synthesize", "hibari", "", "hibari"),
        ("acquire@iemocap", "hibari", "raise ImportError", "hibari"),
    ],
)
def test_a_voice_that_is_not_installed(
    tiny_links: Project, tmp_path: Path, stage: str, module: str, content: str, extra: str
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / f"{module}.py").write_text(content, encoding="utf-8")  # found before the installed one
    # Two workers: the sample's actors stand in processes of their own.
    refused(tiny_links, stage, "not installed", f".[{extra}]", PYTHONPATH=str(hidden), SIER_WORKERS="2")


@pytest.mark.parametrize(("name", "value"), [("SIER_WORKERS", "many"), ("SIER_ENGINE", "slurm")])
def test_a_wrong_setting(tiny_links: Project, name: str, value: str) -> None:
    setting: dict[str, Any] = {name: value}
    refused(tiny_links, "synthesize", f"{name} = {value}", **setting)


def test_unknown_arguments_are_a_usage_error(tiny_links: Project) -> None:
    done = tiny_links.run("python", "-m", "pipeline.acquire", "emodb")
    assert done.returncode == 2
    assert "b_t4sa" in done.stderr.splitlines()[-1]


# The disk


@pytest.mark.parametrize(
    "stage",
    ["acquire@fi", "acquire@iemocap", "clean", "synthesize", "label", "assemble"],
)
def test_a_full_disk(tiny_links: Project, stage: str) -> None:
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs a mount namespace: unshare -rm is not allowed here")
    before = tiny_links.digests(*OUTPUTS)
    module, _, item = stage.partition("@")
    size = {"label": "16k"}.get(stage, "128k")
    script = f"mount -t tmpfs -o size={size} tmpfs .work && exec python -m pipeline.{module} {item}"
    line = one_error_line(tiny_links.run("unshare", "-rm", "sh", "-c", script))
    assert "No space left on device" in line
    assert ".work" in line
    assert tiny_links.digests(*OUTPUTS) == before


def test_a_file_in_the_place_of_a_folder(tiny_links: Project) -> None:
    shutil.rmtree(tiny_links.root / "data" / "corpora")
    (tiny_links.root / "data" / "corpora").write_text("not a folder", encoding="utf-8")
    refused(tiny_links, "acquire@fi", "data/corpora")


def test_a_data_folder_that_may_not_be_written(tiny_links: Project) -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    (tiny_links.root / "data").chmod(0o555)
    try:
        refused(tiny_links, "label", "data")
    finally:
        (tiny_links.root / "data").chmod(0o755)


# Before DVC deletes anything


@pytest.mark.parametrize(
    ("name", "value"),
    [("label.treshold", 0.6), ("acquire.fi.sample_size", "all"), ("lable", {})],
)
def test_check_finds_a_bad_parameter_before_anything_is_deleted(tiny_links: Project, name: str, value: Any) -> None:
    tiny_links.set_params({name: value})
    before = tiny_links.digests(*OUTPUTS, "dvc.lock")
    line = one_error_line(tiny_links.run("sh", "-c", "sier check && python -m dvc repro"))
    assert line.startswith("check: error: params.yaml: ")
    assert name in line
    assert tiny_links.digests(*OUTPUTS, "dvc.lock") == before


def test_make_repro_checks_before_it_runs_dvc(tiny_links: Project) -> None:
    recipe = (tiny_links.root / "Makefile").read_text(encoding="utf-8").split("\nrepro:")[1]
    assert 0 < recipe.index("sier check") < recipe.index("dvc repro")
