"""Every file that a reader reads is in the corpus's manifest, for each form of each corpus."""

from __future__ import annotations

import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import acquire
from pipeline.corpora import b_t4sa, counts, emotion_texts, fi, iemocap
from pipeline.corpora.checks import FILES, files_read
from tests.builders import build_b_t4sa, build_fi, build_iemocap
from tests.builders_emotion_texts import goemotions, good_rows, isear, meld, table

_opened: set[str] | None = None


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _opened is not None and isinstance(arguments[0], str):
        _opened.add(arguments[0])


sys.addaudithook(_note)  # for the life of the process: there is no way to take it back


@contextmanager
def opened_below(root: Path) -> Iterator[set[Path]]:
    """The files below `root` that Python opens."""
    global _opened  # noqa: PLW0603
    found: set[Path] = set()
    _opened = set()
    try:
        yield found
    finally:
        paths = {Path(name) for name in _opened}
        _opened = None
        found |= {path for path in paths if path.is_relative_to(root) and path.is_file()}


def unpacked(root: Path) -> None:
    build_b_t4sa(root)
    with tarfile.open(root / b_t4sa.TAR) as tar:
        tar.extractall(root, filter="data")
    (root / b_t4sa.TAR).unlink()


def odd_iemocap(root: Path) -> None:
    build_iemocap(root / "a" / "b", empty_wavs=True)
    release = root / "a" / "b" / iemocap.RELEASE
    release.rename(root / f"{iemocap.RELEASE}_withoutVideos")
    release = root / f"{iemocap.RELEASE}_withoutVideos"
    (release / "Session5").rename(release / "session5")
    for path in (release / "Session3").rglob("*.wav"):
        path.rename(path.with_suffix(".WAV"))
    for path in (release / "Session2" / "dialog" / "EmoEvaluation").iterdir():
        shutil.copyfile(path, path.with_name(f"{path.stem} (1).txt"))


def splits_of_fi(root: Path) -> None:
    for split in ("train", "Test"):
        build_fi(root / split)


def deep_lists_of_fi(root: Path) -> None:
    build_fi(root / "inside", form="agg")
    (root / "inside" / "images" / "part0").rename(root / "elsewhere")
    (root / "inside" / "images" / "deep" / "deeper").mkdir(parents=True)
    (root / "inside" / "images" / "deep" / "deeper" / "part0").symlink_to(root / "elsewhere")


def texts(root: Path) -> None:
    goemotions(root, "a fine day\t0\tx1", "a bad day\t1\tx2")
    isear(root, "1|9|1|x|I was glad.|1|", "2|9|3|x|I was cross.|1|")
    meld(root, "1,Well said,A,joy,positive,0,0", "2,Do go away,B,anger,negative,0,1")
    table(root, *good_rows(4), name="Mine.Csv")
    pq.write_table(pa.table({"text": ["quite well", "rather ill"], "label": ["joy", "fear"]}), root / "more.PARQUET")


FORMS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "tar": ("b_t4sa", build_b_t4sa, "."),
    "tar and lists": ("b_t4sa", lambda root: build_b_t4sa(root, splits_in="both"), "."),
    "unpacked": ("b_t4sa", unpacked, "."),
    "release": ("iemocap", lambda root: build_iemocap(root, empty_wavs=True), "."),
    "sessions": ("iemocap", lambda root: build_iemocap(root, empty_wavs=True, release_folder=False), "."),
    "odd release": ("iemocap", odd_iemocap, "."),
    "folders": ("fi", build_fi, "."),
    "splits": ("fi", splits_of_fi, "."),
    "lists": ("fi", lambda root: build_fi(root, form="agg"), "."),
    "deep lists": ("fi", deep_lists_of_fi, "inside"),
    "emoset": ("fi", lambda root: build_fi(root, form="emoset"), "."),
    "texts": ("emotion_texts", texts, "."),
}


def read_all(corpus: str, root: Path) -> set[Path]:
    """Read and open all; returns what is opened by libraries that Python does not see."""
    if corpus == "b_t4sa":
        index = b_t4sa.index_images(b_t4sa.images(root))
        counts.count(corpus, root, index)
        with b_t4sa.ImageReader(b_t4sa.images(root)) as reader:
            assert all(reader.read_row(row, 10**7) for row in b_t4sa.read_rows(root, index).rows.to_pylist())
        return set()
    if corpus == "iemocap":
        return {utterance.path for utterance in iemocap.read(root).utterances}
    if corpus == "fi":
        assert all(image.path.read_bytes() for image in fi.read(root).images)
        return set()
    emotion_texts.read(root)
    return set(root.rglob("*.PARQUET"))


@pytest.mark.parametrize("form", FORMS)
def test_a_byte_of_any_file_that_is_read_changes_the_manifest(tmp_path: Path, form: str) -> None:
    corpus, build, inside = FORMS[form]
    build(tmp_path)
    root = tmp_path / inside
    with opened_below(tmp_path) as opened:
        unseen = read_all(corpus, root)
    read = {path.resolve() for path in opened | unseen}
    assert len(read) >= 3
    listed = files_read(corpus, root)
    assert listed == sorted(set(listed))
    assert read == {path.resolve() for path in listed}
    assert set(FILES) == {"b_t4sa", "iemocap", "fi", "emotion_texts", "table"}  # of the last, see further/test_table.py
    before = [acquire._describe(path, root) for path in listed]
    for number, path in enumerate(listed):
        data = path.read_bytes()
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:] if data else b"x")
        assert acquire._describe(path, root) != before[number]
        path.write_bytes(data)
