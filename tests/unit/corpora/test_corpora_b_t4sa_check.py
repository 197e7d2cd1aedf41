from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.corpora import b_t4sa
from pipeline.errors import UserError
from tests.builders import build_b_t4sa


def read(root: Path) -> b_t4sa.SourceRows:
    return b_t4sa.read_rows(root, b_t4sa.index_tar(root / b_t4sa.TAR))


def csv_of(root: Path) -> Path:
    return root / b_t4sa.TEXTS


def test_a_sound_corpus_passes_the_check(tmp_path: Path) -> None:
    b_t4sa.check(build_b_t4sa(tmp_path, newline="\r\n", bom=True, apple_double=True))


@pytest.mark.parametrize("name", b_t4sa.FILES)
@pytest.mark.parametrize("misname", [str.upper, lambda name: f"{name}.gz", lambda name: name.replace(".", " (1).")])
def test_a_misnamed_file_is_named_with_what_looks_like_it(
    tmp_path: Path, name: str, misname: Callable[[str], str]
) -> None:
    root = build_b_t4sa(tmp_path)
    (root / name).rename(root / misname(name))
    with pytest.raises(UserError) as error:
        b_t4sa.check(root)
    assert f"expected a file named {name}" in str(error.value)
    assert misname(name) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_corpus_one_folder_deeper_is_pointed_at(tmp_path: Path) -> None:
    build_b_t4sa(tmp_path / "b-t4sa")
    with pytest.raises(UserError, match=r"b-t4sa/b-t4sa_imgs\.tar"):
        b_t4sa.check(tmp_path)


def test_a_missing_root_a_file_as_root_and_a_folder_as_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: expected a folder .* found nothing"):
        b_t4sa.check(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="found a file"):
        b_t4sa.check(tmp_path / "file")
    root = build_b_t4sa(tmp_path / "corpus")
    csv_of(root).unlink()
    csv_of(root).mkdir()
    with pytest.raises(UserError, match="expected a file, found a folder"):
        b_t4sa.check(root)


@pytest.mark.parametrize(
    "header", [b"text,id", b"id;text", b"", b"id", b"784760943188189184,hello", b"<html>", b"ID,text"]
)
def test_a_wrong_csv_header_is_shown(tmp_path: Path, header: bytes) -> None:
    root = build_b_t4sa(tmp_path)
    csv_of(root).write_bytes(csv_of(root).read_bytes().replace(b"id,text", header, 1))
    with pytest.raises(UserError, match=r"expected the header 'id,text', found"):
        b_t4sa.check(root)
    with pytest.raises(UserError, match=r"raw_tweets_text\.csv"):
        read(root)


@pytest.mark.parametrize("header", [b"TWID NEG NEU POS", b"TWID\tPOS\tNEU\tNEG", b"", b"twid\tneg\tneu\tpos"])
def test_a_wrong_tsv_header_is_shown(tmp_path: Path, header: bytes) -> None:
    root = build_b_t4sa(tmp_path)
    tsv = root / b_t4sa.SENTIMENTS
    tsv.write_bytes(tsv.read_bytes().replace(b"TWID\tNEG\tNEU\tPOS", header, 1))
    with pytest.raises(UserError, match="expected the header 'TWID"):
        b_t4sa.check(root)
    with pytest.raises(UserError, match=r"t4sa_text_sentiment\.tsv"):
        read(root)


def test_a_quoted_header_is_accepted(tmp_path: Path) -> None:
    root = build_b_t4sa(tmp_path)
    csv_of(root).write_bytes(csv_of(root).read_bytes().replace(b"id,text", b'"id","text"', 1))
    assert read(root).rows.num_rows == 24
