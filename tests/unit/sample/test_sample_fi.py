"""The sample of FI: same bytes everywhere, a folder per emotion, placeholders and a broken file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.corpora import fi as fi_reader
from pipeline.errors import UserError
from pipeline.sample import make_fi
from pipeline.sample.pictures import EMOTIONS, EVERYDAY, draw_picture
from tests.sample_helpers import SEED, digests, elsewhere, size_bytes

IMAGES = 6


@pytest.fixture(scope="module")
def fi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sample") / "fi"
    make_fi(target, seed=SEED, images_per_class=IMAGES)
    return target


def test_fi_has_the_same_bytes_elsewhere_and_others_with_another_seed(fi: Path, tmp_path: Path) -> None:
    with elsewhere(tmp_path) as folder:
        make_fi(folder, seed=SEED, images_per_class=IMAGES)
        assert digests(folder) == digests(fi)
        make_fi(folder / "other", seed=SEED + 1, images_per_class=IMAGES)
        other, first = digests(folder / "other"), digests(fi)
        assert other.keys() == first.keys()
        assert other["awe/awe_0001.jpg"] != first["awe/awe_0001.jpg"]


def test_too_small_a_sample_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"images_per_class = 3: expected at least 4$"):
        make_fi(tmp_path, seed=1, images_per_class=3)
    assert not list(tmp_path.iterdir())


def test_fi_at_full_size_is_small(fi: Path) -> None:
    assert size_bytes(fi) / IMAGES * 24 < 10e6


def test_fi_has_a_folder_per_emotion_and_the_asked_number_of_distinct_pictures(fi: Path) -> None:
    assert sorted(path.name for path in fi.iterdir()) == sorted(EMOTIONS)
    for emotion in EMOTIONS:
        files = sorted(path for path in (fi / emotion).iterdir() if not path.name.startswith("._"))
        assert [path.name for path in files] == [f"{emotion}_{i:04d}.jpg" for i in range(1, len(files) + 1)]
        assert len({path.read_bytes() for path in files} - {placeholder_of(fi)}) >= IMAGES
        assert (fi / emotion / f"._{emotion}_0001.jpg").is_file()


def placeholder_of(fi: Path) -> bytes:
    times = Counter(path.read_bytes() for path in fi.glob("*/[!.]*.jpg"))
    return times.most_common(1)[0][0]


def test_fi_placeholder_has_several_names_in_several_classes(fi: Path) -> None:
    holders = [path.parent.name for path in fi.glob("*/[!.]*.jpg") if path.read_bytes() == placeholder_of(fi)]
    assert len(holders) >= 3
    assert len(set(holders)) >= 2


def test_fi_has_one_truncated_file_and_the_rest_are_small_photographs(fi: Path) -> None:
    broken = 0
    for path in fi.glob("*/[!.]*.jpg"):
        with Image.open(path) as image:
            assert image.format == "JPEG"
            assert image.mode == "RGB"
            assert 180 <= min(image.size) <= max(image.size) <= 320
            try:
                image.load()
            except OSError:
                broken += 1
    assert broken == 1


def test_fi_reader_takes_all_but_the_shadow_files(fi: Path) -> None:
    corpus = fi_reader.read(fi)
    assert corpus.rows_in == len(list(fi.glob("*/[!.]*.jpg"))) == len(corpus.images)
    assert {image.emotion for image in corpus.images} == set(EMOTIONS)


def test_colours_lean_towards_the_emotion() -> None:
    def mean_hsv(emotion: str) -> list[float]:
        pictures = [draw_picture(emotion, np.random.default_rng([9, index])) for index in range(25)]
        return list(np.mean([np.asarray(image.convert("HSV")).mean(axis=(0, 1)) for image in pictures], axis=0))

    sad, excited, afraid, content = map(mean_hsv, ("sadness", "excitement", "fear", "contentment"))
    assert excited[1] > 1.3 * sad[1]
    assert content[2] > 1.3 * afraid[2]


@pytest.mark.parametrize("emotion", [*EMOTIONS, EVERYDAY])
def test_every_subject_can_be_drawn_and_is_no_blank(emotion: str) -> None:
    for index in range(12):
        pixels = np.asarray(draw_picture(emotion, np.random.default_rng([5, index])))
        assert pixels.dtype == np.uint8
        assert pixels.std() > 5
