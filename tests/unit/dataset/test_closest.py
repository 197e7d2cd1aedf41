"""The closest pairs across splits: what the groups' own measures do not see, and what is said of it."""

from __future__ import annotations

import ast
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from pipeline.dataset import closest, likeness
from pipeline.dataset.leakage import Side, find_leaks
from pipeline.errors import UserError
from pipeline.media.images import perceptual_hash
from tests.builders_sier import write_folder

SCENES = 12
KINDS = ("text", "image")


def scene(seed: int) -> Image.Image:
    """Soft blots of colour, 300 x 200."""
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((300, 200), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(3))


def recoloured_crop(picture: Image.Image) -> Image.Image:
    """Less by a tenth on two sides, and as through yellowed glass."""
    width, height = picture.size
    pixels = np.asarray(picture.crop((width // 10, 0, width, height * 9 // 10))).astype(np.float64)
    return Image.fromarray((pixels * [0.9, 0.85, 0.6] + [20, 15, 0]).clip(0, 255).astype(np.uint8))


def jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def write_splits(root: Path, train: Sequence[dict[str, Any]], test: Sequence[dict[str, Any]]) -> Path:
    import pyarrow as pa

    half = len(train) // 2
    names = [
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
        "data/test-00000-of-00001.parquet",
    ]
    parts = [pa.Table.from_pylist(list(rows)) for rows in (train[:half], train[half:], test)]
    write_folder(root, "sier", parts, names)
    return root / "data" / "sier"


def row(identity: str, text: str, picture: bytes) -> dict[str, Any]:
    return {"id": identity, "text": text, "image": {"bytes": picture, "path": "a.jpg"}}


TRAIN_TEXT = "Waiting for the evening ferry to Stornoway with my brother and his dog"
SWAPPED = "Watiing for teh evening ferryy to Stornoway wiht mi brother adn hiss dogg"
OTHERS = [
    "Nothing beats a quiet library on a rainy Tuesday", "Traffic again and the concert starts at eight",
    "My grandmother bakes bread better than any shop", "Who left the garden gate open last night",
    "Five goals and still they lost the championship", "New shoes that hurt after a hundred yards",
]  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> closest.Closest:
    """Train has a text and a picture that test has too, spelt and cut another way."""
    pictures = [jpeg(scene(seed)) for seed in range(SCENES)]
    train = [row(f"train-{place}", text, pictures[place]) for place, text in enumerate([*OTHERS[:4], TRAIN_TEXT])]
    train.append(row("train-5", f"{TRAIN_TEXT} https://t.co/abc", pictures[5]))  # the same text with another picture
    test = [
        row("test-0", OTHERS[4], pictures[8]), row("test-1", SWAPPED, pictures[9]),
        row("test-2", OTHERS[5], jpeg(recoloured_crop(scene(2)))),
    ]  # fmt: skip
    return closest.closest_pairs(write_splits(tmp_path_factory.mktemp("closest"), train, test), workers=2)


def test_the_first_measures_miss_swapped_letters_and_a_recoloured_crop() -> None:
    hashes = [np.frombuffer(perceptual_hash(one), dtype=np.uint8) for one in (scene(2), recoloured_crop(scene(2)))]
    sides = [
        Side([name], phash[None], [text.lower()], [name])
        for name, phash, text in zip("ab", hashes, (TRAIN_TEXT, SWAPPED), strict=True)
    ]
    check = find_leaks(*sides, max_distance_bits=46, min_jaccard=0.3)
    assert check.leaks == []
    assert check.compared["images"]["nearest_bits"] > 46


def test_the_others_find_both_and_nothing_else_is_near(found: closest.Closest) -> None:
    text, picture = ([pair for pair in found.pairs.to_dict("records") if pair["kind"] == kind] for kind in KINDS)
    assert (text[0]["train_id"], text[0]["test_id"]) == ("train-4", "test-1")
    assert (picture[0]["train_id"], picture[0]["test_id"]) == ("train-2", "test-2")
    assert text[0]["similarity"] > 0.4 > 2 * text[1]["similarity"]
    assert picture[0]["similarity"] > 0.75 > picture[1]["similarity"] + 0.2


def test_a_test_row_is_in_one_pair_of_a_kind_and_what_was_compared_is_told(found: closest.Closest) -> None:
    for _, pairs in found.pairs.groupby("kind"):
        assert sorted(pairs["test_id"]) == ["test-0", "test-1", "test-2"]
        assert pairs["similarity"].is_monotonic_decreasing
    similarity = {kind: pairs["similarity"] for kind, pairs in found.pairs.groupby("kind")}
    assert {kind: told["compared"] for kind, told in found.compared.items()} == {
        "text": {"train": 5, "test": 3}, "image": {"train": 6, "test": 3},
    }  # fmt: skip
    for kind, told in found.compared.items():
        assert told["highest"] == similarity[kind].max()
        assert told["median_of_nearest"] == sorted(similarity[kind])[1]


def test_no_more_pairs_are_shown_than_people_look_at(tmp_path: Path) -> None:
    picture = jpeg(scene(0))
    train = [row(f"a{place}", f"text number {place}", picture) for place in range(4)]
    test = [row(f"b{place}", f"text of number {place}", picture) for place in range(closest.SHOWN + 3)]
    pairs = closest.closest_pairs(write_splits(tmp_path, train, test), workers=1).pairs
    assert pairs["kind"].value_counts().to_dict() == {"text": closest.SHOWN, "image": closest.SHOWN}
    # Of equals the first ids, whatever the order of the rows.
    assert (
        pairs.loc[pairs["kind"] == "image", "test_id"].tolist() == sorted(f"b{n}" for n in range(13))[: closest.SHOWN]
    )


def test_what_is_written_can_be_read_by_a_spreadsheet(found: closest.Closest, tmp_path: Path) -> None:
    closest.write(found, tmp_path)
    lines = (tmp_path / closest.FILE).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "kind,train_id,test_id,similarity"
    assert lines[1].startswith("text,train-4,test-1,0.")
    assert len(lines) == 1 + len(found.pairs) == 7


def test_a_picture_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    rows = [row("1-1", "a text", jpeg(scene(0))), row("2-1", "another", b"no picture")]
    folder = write_splits(tmp_path, rows, [row("3-1", "a third", jpeg(scene(1)))])
    with pytest.raises(UserError, match=r"picture of row 2-1 cannot be decoded .*run: dvc repro clean --force"):
        closest.closest_pairs(folder, workers=2)


# The measures


def test_texts_without_a_trigram_are_like_nothing() -> None:
    train, test = likeness.text_vectors(["", "some words"], ["", "some words"])
    places, cosines = likeness.nearest(train, test)
    assert cosines.tolist() == pytest.approx([0, 1])
    assert places[1] == 1
    nothing = likeness.text_vectors([""], [""])
    assert likeness.nearest(*nothing)[1].tolist() == [0]


def test_trigrams_of_many_texts_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likeness, "FREQUENT_TEXTS", 2)
    train, test = likeness.text_vectors(["abc xyz", "abc"], ["abc uvw", "uvw"])
    product = (test @ train.T).toarray()
    assert np.count_nonzero(product) == 0  # "abc" is in three of four texts
    assert (test @ test.T).toarray()[0, 1] > 0.5


def test_a_picture_of_one_colour_is_like_nothing_and_a_filter_changes_nothing() -> None:
    pixels = np.random.default_rng(0).integers(50, 100, (2, 192), dtype=np.uint8)
    tinted = (pixels.reshape(2, 64, 3) + np.array([40, 0, 100], dtype=np.uint8)).reshape(2, 192)
    plain = np.full((1, 192), 7, dtype=np.uint8)
    vectors = likeness.picture_vectors(np.concatenate([pixels, plain]))
    assert np.linalg.norm(vectors, axis=1).tolist() == pytest.approx([1, 1, 0])
    np.testing.assert_allclose(likeness.picture_vectors(tinted), vectors[:2], atol=1e-6)


def test_a_thumbnail_has_the_mean_colour_of_each_place() -> None:
    pixels = np.zeros((64, 128, 3), dtype=np.uint8)
    pixels[:, 64:] = (200, 100, 50)
    found = likeness.thumbnail(jpeg(Image.fromarray(pixels))).reshape(8, 8, 3)
    assert np.abs(found[:, :4].astype(int)).max() < 8
    assert np.abs(found[:, 4:].astype(int) - [200, 100, 50]).max() < 8


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(0, 9), st.integers(0, 1_000), st.sampled_from([1, 7, 10_000]))
def test_the_nearest_is_that_of_a_plain_double_loop(n_train: int, n_test: int, seed: int, at_a_time: int) -> None:
    from scipy.sparse import csr_array

    rng = np.random.default_rng(seed)
    train, test = (rng.integers(0, 3, (n, 4)).astype(np.float32) for n in (n_train, n_test))
    products = [[float(one @ other) for other in train] for one in test]
    expected = [line.index(max(line)) for line in products]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(likeness, "_COSINES_AT_A_TIME", at_a_time)
        for places, cosines in (likeness.nearest(train, test), likeness.nearest(csr_array(train), csr_array(test))):
            assert places.tolist() == expected
            assert cosines.tolist() == [max(line) for line in products]


def test_without_a_training_row_nothing_can_be_near() -> None:
    with pytest.raises(ValueError, match="no training row"):
        likeness.nearest(np.zeros((0, 3), dtype=np.float32), np.zeros((1, 3), dtype=np.float32))


def test_they_share_no_code_with_the_grouping() -> None:
    for path in (closest.__file__, likeness.__file__):
        assert path is not None
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
        imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not any(name.startswith(("pipeline.tweets", "pipeline.dataset.leakage")) for name in imported)
