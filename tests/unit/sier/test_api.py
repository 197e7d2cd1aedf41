"""The Python API: its page runs, any form of an input gives one answer, and bad ones are said in one line."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

import sier
from pipeline.frame import tables
from pipeline.labels.rules import RULES
from tests.builders_emotion_texts import good_rows, table
from tests.builders_further import build_acted, write_csv
from tests.builders_nets import tiny_net
from tests.builders_sier import LABELS, write_sier

PAGE = Path(__file__).parents[3] / "docs/reference/python-api.md"
CLASSES = ["anger", "excitement", "disgust", "sadness"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, a network, a picture, a recording and a table, where the page looks for them."""
    root = tmp_path_factory.mktemp("project")
    row = write_sier(root)[12]
    (root / "picture.jpg").write_bytes(row["image"]["bytes"])
    waveform, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
    soundfile.write(root / "speech.wav", waveform, rate)
    net = tiny_net(duration_seconds=1.0, id2label=dict(enumerate(LABELS)))
    net.save_pretrained(root / "data/checkpoints/parallelnet")
    write_csv(root / "my.csv", [("text", "image"), ("a text", "picture.jpg"), ("a lost one", "no.jpg")])
    return root


@pytest.fixture(autouse=True)
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.delenv("SIER_DEVICE", raising=False)


def test_every_example_of_the_page_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", project / "cache")
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python run\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert "[2.  0.5 0.5]" in printed
    assert Image.open("explanation.png").size[0] == 1200
    assert "file_missing" in printed
    assert names["labels"]["label"].tolist() == ["happy", "anger"]
    assert names["labels"]["kept"].tolist() == [True, False]
    headings = set(re.findall(r"(?m)^## (\w+)", text)) - {"With"}
    assert headings == {name for name in sier.__all__ if name[0].islower()}
    assert all(f"`{name}`" in text or f"`sier.{name}`" in text for name in sier.__all__ if name[0].isupper())


def test_importing_costs_nothing_and_every_name_is_there() -> None:
    script = "import sys, sier; print(sorted({'numpy', 'torch', 'pandas'} & set(sys.modules)), dir(sier)); sier.other"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("[] "), done.stderr
    assert done.stderr.rstrip().splitlines()[-1].startswith("AttributeError: module 'sier' has no attribute 'other'")
    for name in sier.__all__:
        assert f"'{name}'" in done.stdout
        assert getattr(sier, name) is getattr(sier, name)


def test_one_input_gives_one_answer_in_whatever_form_it_comes(project: Path) -> None:
    picture, speech = project / "picture.jpg", project / "speech.wav"
    expected = sier.predict(picture, speech).probabilities
    network = sier.load_network("data/checkpoints/parallelnet")
    opened = Image.open(picture)
    samples, rate = soundfile.read(speech, dtype="float32")
    whole, _ = soundfile.read(speech, dtype="int16")
    pictures: list[Any] = ["picture.jpg", picture.read_bytes(), {"bytes": picture.read_bytes(), "path": "a.jpg"},
                           {"bytes": None, "path": "picture.jpg"}, opened, np.asarray(opened)]  # fmt: skip
    for given in pictures:
        assert sier.predict(given, speech, network).probabilities == expected
    for sound in ("speech.wav", speech.read_bytes(), (samples, rate), (whole, rate), (samples[:, None], rate)):
        found = sier.predict(picture, sound, network)
        assert found.probabilities == expected
    assert found.inputs == {"image": str(picture), "speech": "given"}


def test_a_picture_of_another_kind_is_seen_as_its_file_is(project: Path, tmp_path: Path) -> None:
    turned = Image.open(project / "picture.jpg").copy()
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    clear = Image.open(project / "picture.jpg").convert("RGBA")
    clear.putalpha(90)
    clear.save(tmp_path / "clear.png")
    clear.convert("P").save(tmp_path / "palette.png", transparency=3)
    Image.fromarray(np.arange(2500, dtype=np.uint16).reshape(50, 50) * 20).save(tmp_path / "grey.png")
    network = sier.load_network("data/checkpoints/parallelnet")
    for path in tmp_path.iterdir():
        opened = sier.predict(Image.open(path), model=network)
        assert opened.probabilities == sier.predict(path, model=network).probabilities, path.name


def test_labels_are_those_of_the_stage() -> None:
    rng = np.random.default_rng(5)
    speech, image = (rng.dirichlet([1, 1, 1, 1], 40).astype(np.float32) for _ in range(2))
    tables_of = [
        pd.DataFrame(scores, columns=[f"p_{name}" for name in CLASSES]).assign(
            id=[f"{n}-1" for n in range(40)], teacher_digest="d"
        )
        for scores in (speech, image)
    ]
    for rule in RULES:
        found = sier.label_rows(tables_of[0], tables_of[1][::-1], rule=rule)
        assert list(found.reset_index().columns) == tables.LABELS.names
        assert found.index.tolist() == tables_of[0]["id"].tolist()
        plain = sier.label_rows(speech, image, rule=rule, classes=CLASSES)
        pd.testing.assert_frame_equal(found.reset_index(drop=True), plain.reset_index(drop=True))
    best = np.maximum(speech.max(axis=1), image.max(axis=1))
    found = sier.label_rows(speech, image, classes=CLASSES, threshold=0.6)
    assert found["kept"].tolist() == (best >= np.float32(0.6)).tolist()
    matched = sier.label_rows(speech, image, classes=CLASSES, calibrate="match", threshold=0.4)
    assert 1 not in matched.attrs["temperatures"].values()
    assert matched["speech_max"].mean() == pytest.approx(0.4, abs=1e-4)


def test_corpora_are_read_in_their_formats(tmp_path: Path) -> None:
    acted = sier.read_corpus("ravdess", build_acted(tmp_path / "acted", "ravdess"))
    assert sorted(acted.rows["label"]) == ["angry", "calm", "happy"]
    assert all(path.is_file() for path in acted.rows["path"])
    texts = sier.read_corpus("emotion_texts", table(tmp_path / "texts", *good_rows(4), "words number 1,joy,g9"))
    assert (len(texts.rows), texts.rejects["status"].tolist(), texts.rows_in) == (4, ["duplicate_text"], 5)


def test_what_cannot_be_used_is_said_in_one_line(project: Path, tmp_path: Path) -> None:
    one = np.array([[0.5, 0.5]])
    both = {"classes": ["anger", "sadness"]}
    named = pd.DataFrame({"anger": [0.5], "sadness": [0.5]}, index=["1-1"])
    cases: list[tuple[Any, tuple[Any, ...], dict[str, Any], str]] = [
        (sier.predict, (), {}, "expected an image, speech or both"),
        (sier.predict, ("no.jpg",), {}, "no.jpg: no such file or directory"),
        (sier.predict, (b"nothing",), {}, "given: no usable picture: "),
        (sier.predict, (np.zeros((2, 2, 7), np.uint8),), {}, "given ndarray: cannot be taken as a file would be: "),
        (sier.predict, (None, (np.zeros((2, 2, 2)), 16_000)), {}, "given tuple: cannot be taken as a file would be: "),
        (sier.predict, (None, (np.full(9, np.nan), 16_000)), {}, "given: no usable recording: samples that are not"),
        (sier.predict, ("picture.jpg",), {"model": tmp_path}, "expected a folder with config.json"),
        (sier.predict, ("picture.jpg",), {"model": 7}, "expected the folder of a ParallelNet or the network itself"),
        (sier.explain, ("picture.jpg",), {}, "this network takes image and speech; give speech too"),
        (sier.explain, ("picture.jpg", (np.zeros(16_000), 16_000)), {}, "given: the recording is silent"),
        (sier.load_dataset, ("nowhere/at all",), {}, "nowhere/at all: no dataset can be loaded: "),
        (sier.read_corpus, ("fl", "x"), {}, "format fl: expected one of b_t4sa, "),
        (sier.read_corpus, ("fi", project), {}, f"{project}: "),
        (sier.label_rows, (one, one), {}, "speech: expected classes, which name the columns of arrays; found [1, 2]"),
        (sier.label_rows, (one, one[0]), both, "image: expected an array [rows, 2]; found [2]"),
        (sier.label_rows, (one, one * 3), both, "image: row 0: expected probabilities from 0 to 1"),
        (sier.label_rows, (one, one), {**both, "threshold": 2.0}, "label.threshold = 2.0"),
        (sier.label_rows, (one, one), {**both, "rule": "mean"}, "label.rule = \"mean\": expected 'max_probability'"),
        (sier.label_rows, (one, one), {"classes": ["anger", "joy"]}, "label.remap has no entry for"),
        (sier.label_rows, (named, one), both, "no row has both a speech and an image score"),
        (sier.label_rows, (pd.concat([named, named]), named), {}, "speech: id 1-1 stands there twice"),
        (sier.label_rows, (named.assign(anger="much"), named), {}, "speech: expected a number of each class: anger"),
    ]
    for function, arguments, options, message in cases:
        with pytest.raises(sier.UserError) as error:
            function(*arguments, **options)
        assert message in str(error.value)
        assert "\n" not in str(error.value)
