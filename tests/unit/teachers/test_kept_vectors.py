"""Vectors are computed once for each item, whatever is learnt from them, and believed only as they were sealed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from models.teachers.encoder_settings import EncoderSettings
from models.teachers.loading import load_teacher
from models.teachers.pretrained_encoder import PretrainedEncoder
from pipeline import score, train_teacher
from pipeline.engine import shards
from pipeline.frame.params import section
from pipeline.teachers import corpora
from pipeline.teachers.corpora import Item
from pipeline.teachers.kept_vectors import encoder_of, vectors_by
from pipeline.teachers.material import Material
from pipeline.teachers.params import SECTION, ScoreParams
from pipeline.teachers.vectors import encode
from tests import builders_teachers as tiny
from tests.builders_encoders import save_clip, save_wavlm
from tests.builders_pictures import jpeg
from tests.builders_sier import write_folder

KEPT = ("anger", "sadness")
PROBE: dict[str, Any] = {
    "kind": "probe", "encoder": "openai/clip-vit-base-patch32", "normalise": "none", "regularisation": [0.1],
    "calibrate": "none",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tiny.write_corpora(tmp_path)
    save_clip(tmp_path / "clip")
    save_wavlm(tmp_path / "wavlm")
    return tmp_path


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many items each call has encoded."""
    counts: list[int] = []

    def counted(material: Material, items: list[Item], *others: Any) -> Any:
        counts.append(len(items))
        return encode(material, items, *others)

    monkeypatch.setattr("pipeline.teachers.kept_vectors.encode", counted)
    return counts


def params(root: Path, **changes: Any) -> Any:
    values = {**PROBE, "classes": tiny.IMAGE_CLASSES, "weights": str(root / "clip"), **changes}
    return section({"train_teacher": {"image": values}}, "train_teacher.image", SECTION)


def material(root: Path, kept: tuple[str, ...] = KEPT) -> Material:
    folder = root / "data" / "corpora" / "fi"
    items = [item for item in corpora.read("fi", folder).items if item.label in kept]
    return Material(tiny.context(root, "image"), folder, items, {name: name for name in kept}, kept, [])


def found(root: Path, given: Material) -> tuple[list[Item], Any]:
    return vectors_by(encoder_of(params(root), given), given)


def test_another_regularisation_calibration_or_class_map_encodes_only_what_is_new(
    root: Path, encoded: list[int]
) -> None:
    for changes in ({}, {"regularisation": [3.0]}, {"calibrate": "held_out"}):
        train_teacher.run(params(root, **changes), tiny.context(root, "image"))
    assert encoded == [12]  # six pictures of two classes
    wider = {**tiny.IMAGE_CLASSES, "awe": "awe"}
    train_teacher.run(params(root, classes=wider), tiny.context(root, "image"))
    train_teacher.run(params(root), tiny.context(root, "image"))
    assert encoded == [12, 6]
    train_teacher.run(params(root, layers=[0, 1]), tiny.context(root, "image"))
    train_teacher.run(params(root, layers="last"), tiny.context(root, "image"))
    assert encoded == [12, 6, 12]  # those of another encoder are kept beside


def test_each_vector_is_that_of_its_item_also_of_several_blocks(root: Path, encoded: list[int]) -> None:
    found(root, material(root, ("anger",)))
    given = material(root, ("anger", "awe", "sadness"))
    torn, *others = given.items
    torn.path.write_bytes(b"\xff\xd8torn")
    shutil.copy(others[1].path, others[0].path)  # the same picture, which goes
    items, vectors = found(root, given)
    assert encoded == [6, 13]  # and the torn one anew, for it is another file
    assert {(identity, status) for identity, status, _ in given.rejects} == {
        (torn.id, "image_unreadable"), (max(others[0].id, others[1].id), "image_duplicate"),
    }  # fmt: skip
    assert len(items) == 16
    encoder = encoder_of(params(root), given)
    expected = encoder.encode([Image.open(item.path).convert("RGB") for item in items])
    np.testing.assert_array_equal(vectors, expected)
    again = material(root, ("anger", "awe", "sadness"))
    np.testing.assert_array_equal(found(root, again)[1], expected)
    assert (encoded, again.rejects) == ([6, 13], given.rejects)
    kept = [np.load(path, mmap_mode="r") for path in root.glob(".work/vectors.image.*/*/*/vectors.npy")]
    assert {str(block.dtype) for block in kept} == {"float16"}


@pytest.mark.parametrize("file", ["vectors.npy", "rows.parquet", "seal.json"])
def test_a_damaged_block_is_made_anew(root: Path, encoded: list[int], file: str) -> None:
    _, vectors = found(root, material(root))
    path = next(root.glob(f".work/vectors.image.*/*/*/{file}"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    np.testing.assert_array_equal(found(root, material(root))[1], vectors)
    assert encoded == [12, 12]


def test_a_speech_encoder_teaches_and_scores_with_the_settings_it_was_trained_with(root: Path) -> None:
    values = {
        **PROBE, "encoder": "microsoft/wavlm-base", "weights": str(root / "wavlm"), "layers": "all", "pooling": "mean",
        "normalise": "voice", "classes": tiny.SPEECH_CLASSES,
    }  # fmt: skip
    read = section({"train_teacher": {"speech": values}}, "train_teacher.speech", SECTION)
    train_teacher.run(read, tiny.context(root, "speech"))
    probe: Any = load_teacher(root / "data" / "checkpoints" / "ser")
    assert probe.encoder.settings == EncoderSettings(str(root / "wavlm"), None, "all", "mean")
    assert probe.encoder.dimensions == 16


def scores(root: Path) -> list[dict[str, Any]]:
    """Of three pictures, two of them the same."""
    rows = [{"id": f"{n}-0", "image": jpeg(place, 40)} for n, place in enumerate((1, 2, 1))]
    write_folder(root, "clean", [pa.Table.from_pylist(rows)])
    score.run(ScoreParams(2, 100), tiny.context(root, "image"))
    folder = root / "data" / "scores" / "image"
    return [row for part in shards.read_manifest(folder, "score") for row in shards.read_part(folder, part).to_pylist()]


def test_another_teacher_on_the_same_encoder_scores_without_encoding(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_teacher.run(params(root), tiny.context(root, "image"))
    first = scores(root)
    train_teacher.run(params(root, regularisation=[3.0]), tiny.context(root, "image"))
    with monkeypatch.context() as patched:
        patched.delattr(PretrainedEncoder, "encode")
        second = scores(root)
    assert [row["p_anger"] for row in second] != [row["p_anger"] for row in first]
    for path in root.glob(".work/score.image*"):
        shutil.rmtree(path)
    assert scores(root) == second
