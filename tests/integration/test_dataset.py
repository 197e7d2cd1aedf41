"""`data/sier` as its users meet it: `load_dataset`, the card, the media; and the check that guards its splits."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from datasets import Audio, ClassLabel, DatasetDict, Features, Image, Value, load_dataset
from huggingface_hub import DatasetCard
from PIL import Image as Picture

from pipeline.dataset.splits import split_groups
from pipeline.engine import shards
from pipeline.labels.matching import at_temperature
from tests.integration.conftest import Run
from tests.project import HERE, Project, one_error_line

LABELS = ["anger", "happy", "hate", "sad"]
CLASSES = ["anger", "disgust", "excitement", "sadness"]
REMAP = {"anger": "anger", "disgust": "hate", "excitement": "happy", "sadness": "sad"}
MEDIA = ("audio", "image")


@pytest.fixture(scope="module")
def loaded(tiny_build: Project, tmp_path_factory: pytest.TempPathFactory) -> DatasetDict:
    """As published, but for the decoding: that of audio asks for FFmpeg."""
    found = load_dataset(str(tiny_build.root / "data" / "sier"), cache_dir=str(tmp_path_factory.mktemp("cache")))
    assert isinstance(found, DatasetDict)
    return found


@pytest.fixture(scope="module")
def rows(loaded: DatasetDict) -> pd.DataFrame:
    """All rows without media; labels by name, and a column `split`."""
    parts = [loaded[split].remove_columns(list(MEDIA)).to_pandas().assign(split=split) for split in loaded]
    table: pd.DataFrame = pd.concat(parts, ignore_index=True)
    table["label"] = [LABELS[number] for number in table["label"]]
    return table


@pytest.fixture(scope="module")
def media(loaded: DatasetDict) -> list[dict[str, Any]]:
    raw = [loaded[split].cast_column("audio", Audio(decode=False)).cast_column("image", Image(decode=False))
           for split in loaded]  # fmt: skip
    return [row for part in raw for row in part]


def probabilities(rows: pd.DataFrame, modality: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    return rows[[f"p_{modality}_{name}" for name in CLASSES]].to_numpy(dtype=np.float32)


def read_shards(folder: Path) -> pd.DataFrame:
    parts = [pq.read_table(path).to_pandas() for path in sorted(folder.glob("part-*.parquet"))]
    table: pd.DataFrame = pd.concat(parts, ignore_index=True).set_index("id")
    return table


def test_it_opens_with_the_declared_features(loaded: DatasetDict) -> None:
    assert sorted(loaded) == ["test", "train"]
    expected = Features({
        "id": Value("string"),
        "audio": Audio(sampling_rate=16_000),
        "image": Image(),
        "text": Value("string"),
        "label": ClassLabel(names=LABELS),
        "decided_by": Value("string"),
        "confidence": Value("float32"),
        "agreement": Value("bool"),
        **{f"p_{modality}_{name}": Value("float32") for modality in ("speech", "image") for name in CLASSES},
        "sentiment": Value("string"),
        "group_id": Value("string"),
        "voice": Value("string"),
        "word_error_rate": Value("float32"),
        "fold": Value("int8"),
    })  # fmt: skip
    for split in loaded.values():
        assert split.features == expected
        assert list(split.features) == list(expected)


def test_no_group_is_torn_apart(rows: pd.DataFrame) -> None:
    assert rows["id"].is_unique
    assert rows.groupby("group_id")["split"].nunique().max() == 1
    assert (rows.groupby("group_id").size() > 1).any()  # otherwise nothing could be torn
    train, test = rows[rows["split"] == "train"], rows[rows["split"] == "test"]
    assert test["fold"].isna().all()
    assert train["fold"].isin(range(5)).all()
    assert train.groupby("group_id")["fold"].nunique().max() == 1


def test_probabilities_sum_to_one_and_explain_each_decision(rows: pd.DataFrame, tiny_build: Project) -> None:
    speech, image = probabilities(rows, "speech"), probabilities(rows, "image")
    for found in (speech, image):
        assert found.min() >= 0
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    by_speech = speech.max(axis=1) >= image.max(axis=1)
    assert rows["decided_by"].tolist() == np.where(by_speech, "speech", "image").tolist()
    assert set(rows["decided_by"]) == {"speech", "image"}
    confidence = np.maximum(speech.max(axis=1), image.max(axis=1))
    np.testing.assert_array_equal(rows["confidence"].to_numpy(dtype=np.float32), confidence)
    assert (confidence >= np.float32(tiny_build.params()["label"]["threshold"])).all()
    assert rows["agreement"].tolist() == (speech.argmax(axis=1) == image.argmax(axis=1)).tolist()
    winners = np.where(by_speech, speech.argmax(axis=1), image.argmax(axis=1))
    assert rows["label"].tolist() == [REMAP[CLASSES[winner]] for winner in winners]


def test_rows_hold_what_the_stages_before_made(
    rows: pd.DataFrame, media: list[dict[str, Any]], tiny_build: Project
) -> None:
    data = tiny_build.root / "data"
    clean, speech, labels = (read_shards(data / name) for name in ("clean", "speech", "labels"))
    scores = {modality: read_shards(data / "scores" / modality) for modality in ("speech", "image")}
    assert sorted(rows["id"]) == sorted(labels.index[labels["kept"]])
    assert rows["label"].tolist() == labels.loc[rows["id"], "label"].tolist()
    for column in ("text", "sentiment", "group_id"):
        assert rows[column].tolist() == clean.loc[rows["id"], column].tolist()
    assert rows["voice"].tolist() == speech.loc[rows["id"], "voice"].tolist()
    rates = speech.loc[rows["id"], "word_error_rate"].to_numpy()
    np.testing.assert_array_equal(rows["word_error_rate"].to_numpy(), rates)
    assert 0 <= np.nanmin(rates) < np.nanmax(rates)
    temperatures = json.loads((data / "labels" / "rule.json").read_bytes())["temperatures"]
    for modality, table in scores.items():
        found = table.loc[rows["id"], [f"p_{name}" for name in CLASSES]].to_numpy()
        expected = at_temperature(found, temperatures[modality])
        np.testing.assert_array_equal(probabilities(rows, modality), expected)
    assert [row["id"] for row in media] == rows["id"].tolist()
    for row in media:
        assert row["image"] == {"bytes": clean.loc[row["id"], "image"], "path": f"{row['id']}.jpg"}
        assert row["audio"] == {"bytes": speech.loc[row["id"], "audio"], "path": f"{row['id']}.flac"}


def test_audio_is_16_khz_mono_flac_and_pictures_are_rgb_jpeg(media: list[dict[str, Any]]) -> None:
    assert media
    for row in media:
        with soundfile.SoundFile(io.BytesIO(row["audio"]["bytes"])) as file:
            assert (file.format, file.subtype, file.samplerate, file.channels) == ("FLAC", "PCM_16", 16_000, 1)
            samples = file.read(dtype="float32")
        assert 0.4 <= len(samples) / 16_000 <= 30.0
        assert np.abs(samples).max() > 0.01
        with Picture.open(io.BytesIO(row["image"]["bytes"])) as picture:
            picture.load()
            assert (picture.format, picture.mode) == ("JPEG", "RGB")
            assert max(picture.size) <= 512


def test_the_card_describes_the_files_that_are_there(rows: pd.DataFrame, tiny_build: Project) -> None:
    folder = tiny_build.root / "data" / "sier"
    card = DatasetCard.load(folder / "README.md")
    header = card.data.to_dict()
    assert header["license"] == "other"
    (config,) = header["configs"]
    assert config["config_name"] == "default"
    listed = {item["split"]: sorted(folder.glob(item["path"])) for item in config["data_files"]}
    assert sorted(path for paths in listed.values() for path in paths) == sorted(folder.rglob("*.parquet"))
    sizes = rows["split"].value_counts().to_dict()
    assert {split["name"]: split["num_examples"] for split in header["dataset_info"]["splits"]} == sizes
    for split, paths in listed.items():
        assert sum(pq.read_metadata(path).num_rows for path in paths) == sizes[split]
        assert [path.name for path in paths] == [
            f"{split}-{number:05d}-of-{len(paths):05d}.parquet" for number in range(len(paths))
        ]
    assert [feature["name"] for feature in header["dataset_info"]["features"]][:4] == ["id", "audio", "image", "text"]


def test_the_card_counts_what_the_rows_say(rows: pd.DataFrame, tiny_build: Project) -> None:
    text = DatasetCard.load(tiny_build.root / "data" / "sier" / "README.md").text
    assert re.search(r"\{\{|\}\}|\{%|%\}|\{#|#\}|Undefined", text) is None
    assert f"{len(rows)} pairs of a synthetic utterance and a picture" in text
    for label in LABELS:
        chosen = rows[rows["label"] == label]
        counts = [
            len(chosen),
            *((chosen["decided_by"] == name).sum() for name in ("speech", "image")),
            *((chosen["split"] == name).sum() for name in ("train", "test")),
        ]
        assert f"| {label} | {' | '.join(str(count) for count in counts)} |" in text
    assert f"below {tiny_build.params()['label']['threshold']}." in text
    assert "Hibari voice heart" in text


# The guard


def rewrite_clean(project: Project, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Overwrite columns of rows of `data/clean` by id, as if stage clean had written them so."""
    folder = project.root / "data" / "clean"
    markers = []
    for marker in shards.read_manifest(folder, "clean"):
        path = folder / marker.part.name
        table = pq.read_table(path)
        rows = [{**row, **changes.get(row["id"], {})} for row in table.to_pylist()]
        path.unlink()
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
        content = path.read_bytes()
        part = replace(marker.part, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        markers.append(replace(marker, part=part))
    (folder / "manifest.jsonl").unlink()
    (folder / "manifest.jsonl").write_bytes(shards.manifest(markers))


def other_side(project: Project, kept: pd.DataFrame, identity: str) -> str:
    """A group of its own for one row, such that the split puts it on the other side than its former group."""
    salt = f"sier {project.params()['base']['seed']}"
    labels, place, fellow = kept["label"].tolist(), kept.index.get_loc(identity), kept["group_id"][identity]
    for number in range(1000):
        groups = [f"planted {number}" if row == place else group for row, group in enumerate(kept["group_id"])]
        train = split_groups(groups, labels, salt, train_fraction=0.7)
        if train[place] != train[groups.index(fellow)]:
            return f"planted {number}"
    raise AssertionError("no name of a group lands on the other side")


def assemble_refuses(project: Project, run: Run, *ids: str) -> str:
    before = project.digests("data/sier", "reports")
    line = one_error_line(run(project, "assemble", SIER_WORKERS="1"))
    assert project.digests("data/sier", "reports") == before
    assert [identity for identity in ids if identity not in line] == []
    return line


def test_rewritten_shards_without_a_planted_pair_pass(tiny_links: Project) -> None:
    before = tiny_links.digests("data/sier/data")
    rewrite_clean(tiny_links, {})
    done = tiny_links.stage("assemble", SIER_WORKERS="1")
    assert done.returncode == 0, done.stderr
    assert tiny_links.digests("data/sier/data") == before


def test_a_pair_with_two_groups_instead_of_one_is_found(tiny_links: Project, run_here: Run) -> None:
    clean, labels = (read_shards(tiny_links.root / "data" / name) for name in ("clean", "labels"))
    kept = clean.join(labels.loc[labels["kept"], ["label"]], how="inner").sort_index()
    pairs = kept.groupby("group_id").filter(lambda group: len(group) == 2)
    fellow, moved = pairs.index[pairs["group_id"] == pairs["group_id"].iloc[0]]
    rewrite_clean(tiny_links, {moved: {"group_id": other_side(tiny_links, kept, moved)}})
    assert "(same_tweet)" in assemble_refuses(tiny_links, run_here, fellow, moved)


@pytest.mark.parametrize("kind", ["same_tweet", "similar_image", "similar_text"])
def test_likeness_that_the_grouping_missed_is_found(
    tiny_links: Project, rows: pd.DataFrame, run_here: Run, kind: str
) -> None:
    clean = read_shards(tiny_links.root / "data" / "clean")
    train, test = (rows.loc[rows["split"] == name, "id"].iloc[0] for name in ("train", "test"))
    nearly = bytearray.fromhex(clean.loc[train, "image_phash"])
    for place in range(40):  # bits, of the 46 up to which pictures belong together
        nearly[place // 8 * 4] ^= 1 << place % 8
    change = {
        "same_tweet": {"tweet_id": clean.loc[train, "tweet_id"]},
        "similar_image": {"image_phash": nearly.hex()},
        "similar_text": {"text": f"{clean.loc[train, 'text']} https://t.co/AbC123xyz0"},
    }[kind]
    rewrite_clean(tiny_links, {test: change})
    assert f"({kind})" in assemble_refuses(tiny_links, run_here, train, test)


def test_what_the_first_tutorial_does_with_the_dataset_works(tiny_build: Project, tmp_path: Path) -> None:
    page = (HERE / "docs" / "tutorials" / "sample.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python run\n(.*?)```", page, re.DOTALL)
    done = tiny_build.run("python", "-c", code, HF_DATASETS_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{LABELS}\n")
    assert re.search(r" (speech|image) 0\.\d+$", done.stdout)
