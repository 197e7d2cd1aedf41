from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.corpora import b_t4sa
from pipeline.errors import RowError, UserError
from tests.builders import Tweet, build_b_t4sa, plain_tweets

LIMIT = 10**7


def read(root: Path) -> b_t4sa.SourceRows:
    return b_t4sa.read_rows(root, b_t4sa.index_tar(root / b_t4sa.TAR))


def status_of(source: b_t4sa.SourceRows) -> dict[str, str]:
    return {row_id: status for row_id, status, _ in source.rejects}


def raw_tar(path: Path, members: Sequence[tuple[tarfile.TarInfo, bytes]], fmt: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(path, "w", format=fmt) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_the_index_agrees_with_tarfile(tmp_path: Path) -> None:
    root = build_b_t4sa(tmp_path, plain_tweets(8))
    with tarfile.open(root / b_t4sa.TAR) as tar:
        expected = {m.name.removeprefix("b-t4sa_imgs/"): (m.offset_data, m.size) for m in tar if m.isfile()}
    rows = b_t4sa.index_tar(root / b_t4sa.TAR).to_pylist()
    assert {row["member"]: (row["offset_bytes"], row["size_bytes"]) for row in rows} == expected
    assert [row["member"] for row in rows] == sorted(expected)


def test_hostile_and_hidden_members_are_not_indexed(tmp_path: Path) -> None:
    plain = b_t4sa.index_tar(build_b_t4sa(tmp_path / "a") / b_t4sa.TAR)
    hostile = b_t4sa.index_tar(build_b_t4sa(tmp_path / "b", hostile_members=True, apple_double=True) / b_t4sa.TAR)
    assert hostile["member"].equals(plain["member"])


def test_a_link_in_the_place_of_an_image_is_a_missing_image(tmp_path: Path) -> None:
    line = "data/66666/666660000000000001-1.jpg 0"
    tweets = [*plain_tweets(1), Tweet("666660000000000001", "look at /etc/passwd", [])]
    source = read(build_b_t4sa(tmp_path, tweets, hostile_members=True, extra_split_lines={"train": [line]}))
    assert status_of(source) == {"666660000000000001-1": "image_missing"}


@pytest.mark.parametrize("fmt", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_tar_dialects_long_names_and_a_leading_dot_are_read(tmp_path: Path, fmt: int) -> None:
    long = f"data/{'d' * 60}/{'9' * 60}-1.jpg"
    names = ["./b-t4sa_imgs/data/1/1-1.jpg", f"b-t4sa_imgs/{long}", "data/2/2-1.jpg"]
    tar = raw_tar(tmp_path / "x.tar", [(tarfile.TarInfo(name), name.encode()) for name in names], fmt)
    index = b_t4sa.index_tar(tar)
    assert index["member"].to_pylist() == sorted(["data/1/1-1.jpg", long, "data/2/2-1.jpg"])
    with b_t4sa.ImageReader(tar) as reader:
        read_back = {reader.read(row["offset_bytes"], row["size_bytes"], LIMIT).decode() for row in index.to_pylist()}
    assert read_back == set(names)


def test_the_last_member_of_a_name_wins(tmp_path: Path) -> None:
    members = [(tarfile.TarInfo("data/1/1-1.jpg"), data) for data in (b"first", b"the second")]
    index = b_t4sa.index_tar(raw_tar(tmp_path / "x.tar", members))
    assert index["size_bytes"].to_pylist() == [len(b"the second")]
    assert index.schema.metadata[b"tar_members_twice"] == b"1"


def test_sparse_members_and_undecodable_names_are_left_out(tmp_path: Path) -> None:
    sparse = tarfile.TarInfo("data/1/2-1.jpg")
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "99"}
    foreign = tarfile.TarInfo(b"data/1/3\xff-1.jpg".decode("utf-8", "surrogateescape"))
    members = [
        (tarfile.TarInfo("data/1/1-1.jpg"), b"x"),
        (sparse, b"1\n0\n1\n".ljust(512, b"\0") + b"x"),
        (foreign, b"x"),
    ]
    index = b_t4sa.index_tar(raw_tar(tmp_path / "x.tar", members, tarfile.PAX_FORMAT))
    assert index["member"].to_pylist() == ["data/1/1-1.jpg"]
    assert index.schema.metadata[b"tar_members_left_out"] == b"2"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_tar_cut_anywhere_is_refused_and_never_half_read(tmp_path: Path, data: st.DataObject) -> None:
    whole = build_b_t4sa(tmp_path, plain_tweets(4)) / b_t4sa.TAR
    content = whole.read_bytes()
    with tarfile.open(whole) as tar:
        last = tar.getmembers()[-1]
    end = last.offset_data + (last.size + 511) // 512 * 512
    cut = tmp_path / "cut.tar"
    cut.write_bytes(
        content[: data.draw(st.one_of(st.integers(0, end), st.integers(0, end // 512).map(lambda b: b * 512)))]
    )
    with pytest.raises(UserError, match=r"cut\.tar"):
        b_t4sa.index_tar(cut)


def test_damage_in_the_middle_is_refused(tmp_path: Path) -> None:
    tar_path = build_b_t4sa(tmp_path) / b_t4sa.TAR
    content = bytearray(tar_path.read_bytes())
    with tarfile.open(tar_path) as tar:
        offset = tar.getmembers()[10].offset
    content[offset : offset + 512] = b"\x55" * 512
    tar_path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        b_t4sa.index_tar(tar_path)


def test_a_member_of_negative_size_does_not_loop(tmp_path: Path) -> None:
    tar_path = build_b_t4sa(tmp_path) / b_t4sa.TAR
    content = bytearray(tar_path.read_bytes())
    with tarfile.open(tar_path) as tar:
        info = tar.getmembers()[10]
    header = bytearray(content[info.offset : info.offset + 512])
    header[124:136] = b"\xff" + (-1024).to_bytes(11, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content[info.offset : info.offset + 512] = header
    tar_path.write_bytes(content)
    with pytest.raises(UserError, match=r"impossible size|not a readable"):
        b_t4sa.index_tar(tar_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable plain tar"),
        (b"<html>401 Unauthorized</html>" * 100, "not a readable plain tar"),
        (b"\x1f\x8b" + bytes(2000), "gunzip"),
        (bytes(1024), "no file at all"),
    ],
)
def test_what_is_no_tar_with_images_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    root = build_b_t4sa(tmp_path)
    (root / b_t4sa.TAR).write_bytes(content)
    with pytest.raises(UserError, match=message):
        b_t4sa.index_tar(root / b_t4sa.TAR)
    with pytest.raises(UserError, match=r"b-t4sa_imgs\.tar"):
        b_t4sa.check(root)


def test_a_tar_without_data_members_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    root = build_b_t4sa(tmp_path, tar_prefix="elsewhere/")
    with pytest.raises(UserError, match=r"b-t4sa_imgs/data/.*elsewhere"):
        b_t4sa.index_tar(root / b_t4sa.TAR)
    with pytest.raises(UserError, match="b-t4sa_imgs/data/"):
        b_t4sa.check(root)


def test_a_tar_without_the_top_folder_is_read(tmp_path: Path) -> None:
    assert read(build_b_t4sa(tmp_path, tar_prefix="")).rows.num_rows == 24


def test_the_reader_refuses_large_and_cut_images_and_a_vanished_tar(tmp_path: Path) -> None:
    tar = build_b_t4sa(tmp_path) / b_t4sa.TAR
    size = tar.stat().st_size
    with b_t4sa.ImageReader(tar) as reader:
        assert len(reader.read(0, 100, 100)) == 100
        with pytest.raises(RowError, match="101 bytes, at most 100") as too_large:
            reader.read(0, 101, 100)
        with pytest.raises(RowError) as cut:
            reader.read(size - 10, 20, 100)
        assert (too_large.value.status, cut.value.status) == ("image_too_large_bytes", "image_truncated_in_tar")
    tar.unlink()
    with pytest.raises(UserError, match=r"b-t4sa_imgs\.tar"):
        b_t4sa.ImageReader(tar).read(0, 1, 1)
