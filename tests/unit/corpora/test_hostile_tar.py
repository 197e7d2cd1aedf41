"""A tar of B-T4SA made by an enemy: bounded memory, nothing unpacked, one row or one line each."""

from __future__ import annotations

import io
import tarfile
import tempfile
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.corpora import b_t4sa
from pipeline.corpora._tar import MEMBERS_LEFT_OUT, MEMBERS_TWICE, NAME_CHARACTERS_MAX
from pipeline.corpora._tar_members import HEADER_BYTES_MAX
from tests.builders import build_b_t4sa, plain_tweets
from tests.builders_pictures import jpeg
from tests.builders_tar import ANNOUNCING, BLOCK, END, NAME, header, member, pax, sparse_with_map
from tests.hostile import in_little_memory, outcome

SIZES = (HEADER_BYTES_MAX, 2**31, 10**12, 2**62)


def indexed(path: str) -> str:
    return outcome(lambda: b_t4sa.index_tar(Path(path)))


def warm_up() -> None:
    """Load what the first tar loads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tar"
        path.write_bytes(member() + END)
        assert indexed(str(path)) == "ok"


def index_all(folder: str) -> dict[str, str]:
    """Runs in little memory."""
    return {path.name: indexed(str(path)) for path in sorted(Path(folder).iterdir())}


def test_headers_that_announce_anything_take_no_memory(tmp_path: Path) -> None:
    for name, kind in ANNOUNCING.items():
        for size_bytes in SIZES:
            data = member() + header("x", size_bytes, kind) + bytes(BLOCK) + member("b-t4sa_imgs/data/1/1-1.jpg") + END
            (tmp_path / f"{name} {size_bytes}.tar").write_bytes(data)
    with (tmp_path / "a name of 1 GB.tar").open("wb") as file:  # it is really there, as a hole
        file.write(member() + header("x", 2**30, tarfile.GNUTYPE_LONGNAME))
        file.seek(2**30, 1)
        file.write(member() + END)
    (tmp_path / "sparse map.tar").write_bytes(member() + sparse_with_map(20_000) + END)
    (tmp_path / "chain of pax.tar").write_bytes(member() + pax({"a": b"b" * 100_000}) * 300 + member() + END)
    found = in_little_memory(index_all, tmp_path, extra_mib=100)
    assert len(found) == len(ANNOUNCING) * len(SIZES) + 3
    for name, line in found.items():
        assert line.startswith(f"error: {tmp_path / name}: not a readable plain tar ("), line


def test_a_terabyte_in_one_member_is_one_reject_and_the_next_image_is_read(tmp_path: Path) -> None:
    tweets = plain_tweets(4)
    root = build_b_t4sa(tmp_path, tweets, splits_in="folder")
    sound = member(f"b-t4sa_imgs/{tweets[1].member(1)}", jpeg(1))
    with (root / b_t4sa.TAR).open("wb") as file:
        file.write(header(f"b-t4sa_imgs/{tweets[0].member(1)}", 10**12))
        file.seek(-(-(10**12) // BLOCK) * BLOCK, 1)  # a hole: no disk is that large
        file.write(sound + END)
    found = in_little_memory(read_first_two, root, extra_mib=100)
    assert found == ["image_too_large_bytes", "ok"]


def read_first_two(root: str) -> list[str]:
    """Runs in little memory."""
    tar = Path(root) / b_t4sa.TAR
    rows = b_t4sa.read_rows(Path(root), b_t4sa.index_tar(tar)).rows.to_pylist()
    with b_t4sa.ImageReader(tar) as reader:
        return [outcome(partial(reader.read, row["offset_bytes"], row["size_bytes"], 2**20)) for row in rows]


def test_a_terabyte_that_is_not_there_is_a_truncated_tar(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(header(NAME, 10**12) + member() + END)
    assert "unexpected end of data" in indexed(str(tmp_path / "a.tar"))


def test_many_tiny_members_take_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "many.tar"
    count = 30_000  # of a million, the time would be 20 s
    with path.open("wb") as file:
        for number in range(count):
            file.write(header(f"b-t4sa_imgs/data/{number % 90_000:05d}/{number:018d}-1.jpg", 0))
        file.write(END)
    assert in_little_memory(count_members, path, extra_mib=85) == count


def count_members(path: str) -> int:
    """Runs in little memory; with all headers kept, it would take more."""
    return int(b_t4sa.index_tar(Path(path)).num_rows)


def test_no_member_is_written_anywhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    root = build_b_t4sa(tmp_path / "corpus", plain_tweets(4), splits_in="folder", hostile_members=True)
    names = (str(outside / "absolute-1.jpg"), "../outside/climbing-1.jpg", "b-t4sa_imgs/data/../../../outside/x-1.jpg")
    links = [header(NAME, 0, kind) for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)]
    whole = (root / b_t4sa.TAR).read_bytes()
    (root / b_t4sa.TAR).write_bytes(b"".join([*map(member, names), *links, whole]))
    before = sorted(tmp_path.rglob("*"))
    index = b_t4sa.index_tar(root / b_t4sa.TAR)
    rows = b_t4sa.read_rows(root, index)
    assert rows.rows.num_rows == rows.rows_in
    assert index.schema.metadata[MEMBERS_LEFT_OUT.encode()] == str(len(names) + len(links) + 8).encode()
    assert sorted(tmp_path.rglob("*")) == before
    assert not outside.exists()


@pytest.mark.parametrize(
    "records",
    [
        {"size": b"-1"}, {"size": b"9" * 30}, {"size": b"9" * 5000}, {"size": b"nan"}, {"path": b""},
        {"path": b"a\0b"}, {"path": b"\xff\xfe"}, {"path": b"x" * (NAME_CHARACTERS_MAX + 1)}, {"mtime": b"inf"},
        {"hdrcharset": b"BINARY", "path": b"\xff"}, {"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0"},
        {"GNU.sparse.map": b"9" * 5000}, {"GNU.sparse.size": b"x"}, {"GNU.sparse.realsize": b"-5"}, {"uid": b"1e999"},
    ],
    ids=",".join,
)  # fmt: skip
def test_extended_headers_of_nonsense_are_a_line_or_cost_their_member_only(
    tmp_path: Path, records: dict[str, bytes]
) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(member() + pax(records) + member("b-t4sa_imgs/data/2/2-1.jpg") + END)
    said = indexed(str(path))
    assert said == "ok" or said.startswith(f"error: {path}: ")
    if said == "ok":
        assert NAME.removeprefix("b-t4sa_imgs/") in b_t4sa.index_tar(path)["member"].to_pylist()


def test_a_name_twice_counts_once_and_a_link_does_not_replace_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(member(data=b"one") + member(data=b"three") + header(NAME, 0, tarfile.SYMTYPE) + END)
    index = b_t4sa.index_tar(path)
    assert index["size_bytes"].to_pylist() == [5]
    assert index.schema.metadata[MEMBERS_TWICE.encode()] == b"1"


def small_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in (NAME, "b-t4sa_imgs/data/1/" + "é" * 120 + "-1.jpg", "b-t4sa_imgs/b-t4sa_train.txt"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
    return buffer.getvalue().rstrip(b"\0") + END


SMALL = small_tar()
EDITS = st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EDITS, st.booleans())
def test_damaged_headers_give_an_index_or_one_line(
    tmp_path: Path, edits: list[tuple[int, int]], mend_checksums: bool
) -> None:
    damaged = bytearray(SMALL)
    for position, value in edits:
        damaged[position] = value
    if mend_checksums:  # or hardly any damage would get past the checksum
        for start in range(0, len(damaged), BLOCK):
            block = damaged[start : start + BLOCK]
            if block[257:262] == b"ustar":
                block[148:156] = b" " * 8
                damaged[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    path = tmp_path / "a.tar"
    path.write_bytes(damaged)
    said = indexed(str(path))
    assert said == "ok" or said.startswith("error: ")
