"""Archives of corpora: what is unpacked, what is left out, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipeline.downloads.archives import FILES, MARK, Limits, Unpacked, unpack
from pipeline.downloads.containers import is_archive
from pipeline.errors import UserError
from tests.damage import flip_bit
from tests.sample_helpers import digests

CONTENT = {"corpus/anger/a.jpg": b"aa", "corpus/awe/b.jpg": b"bbb" * 10_000}
KINDS = ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz")
HOSTILE = ("/tmp/evil.jpg", "../evil.jpg", "corpus/../../evil.jpg", "corpus\\..\\evil.jpg")


def everything(_: str) -> bool:
    return True


def build(path: Path, content: Mapping[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            warnings.simplefilter("ignore")  # of names that come twice
            for name, data in content.items():
                opened.writestr(name, data)
        return path
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in content.items():
            add(tar, name, data)
    pack: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    path.write_bytes(pack.get(path.suffix, bytes)(packed.getvalue()))
    return path


def add(tar: tarfile.TarFile, name: str, data: bytes, kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    tar.addfile(info, io.BytesIO(data))


def contents(folder: Path) -> dict[str, bytes]:
    top = folder / FILES
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_of_any_kind_gives_its_files_once(tmp_path: Path, kind: str) -> None:
    archive = build(tmp_path / f"a.{kind}", CONTENT)
    assert is_archive(archive)
    expected = Unpacked(2, 30_002, {})
    assert unpack(archive, tmp_path / "out", everything) == expected
    assert contents(tmp_path / "out") == CONTENT
    archive.unlink()
    assert unpack(archive, tmp_path / "out", everything) == expected


@pytest.mark.parametrize("spoil", ["no mark", "torn mark", "lost file", "flipped bit", "file more"])
def test_what_was_not_finished_is_unpacked_again(tmp_path: Path, spoil: str) -> None:
    archive, out = build(tmp_path / "a.zip", CONTENT), tmp_path / "out"
    unpack(archive, out, everything)
    (out / FILES / "of an earlier run").touch()
    if spoil == "flipped bit":
        (out / FILES / "of an earlier run").unlink()
        flip_bit(out / FILES / "corpus/awe/b.jpg")
    elif spoil == "no mark":
        (out / MARK).unlink()
    elif spoil == "torn mark":
        (out / MARK).write_bytes((out / MARK).read_bytes()[:10])
    elif spoil == "lost file":
        (out / FILES / "of an earlier run").unlink()
        (out / FILES / "corpus/awe/b.jpg").unlink()
    unpack(archive, out, everything)
    assert contents(out) == CONTENT


@pytest.mark.parametrize("kind", KINDS[:3])
def test_only_what_is_wanted_is_unpacked(tmp_path: Path, kind: str) -> None:
    more = {**CONTENT, "corpus/film.avi": b"x", "corpus/anger/._a.jpg": b"x", "__MACOSX/anger/c.jpg": b"x"}
    archive = build(tmp_path / f"a.{kind}", more)
    assert unpack(archive, tmp_path / "out", lambda name: name.endswith(".jpg")) == Unpacked(2, 30_002, {})
    assert contents(tmp_path / "out") == CONTENT


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_leads_out_is_left_out_and_counted(tmp_path: Path, kind: str, name: str) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    archive = build(inside / f"a.{kind}", {name: b"evil", **CONTENT})
    before = digests(tmp_path)
    assert unpack(archive, inside / "out", everything) == Unpacked(2, 30_002, {"unsafe_name": 1})
    assert {path: data for path, data in digests(tmp_path).items() if "/out/" not in path} == before
    assert not Path("/tmp/evil.jpg").exists()


def test_links_and_devices_of_a_tar_are_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)):
            add(tar, f"corpus/{number}.jpg", b"", kind, str(tmp_path))
        add(tar, "corpus/0.jpg/through_the_link.jpg", b"ok")
    found = unpack(tmp_path / "a.tar", tmp_path / "out", everything)
    assert found == Unpacked(1, 2, {"no_plain_file": 4})
    assert not (tmp_path / "through_the_link.jpg").exists()


def test_a_link_in_a_zip_is_left_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        link = zipfile.ZipInfo("corpus/link.jpg")
        link.external_attr = 0o120777 << 16
        opened.writestr(link, "/etc/passwd")
        opened.writestr("corpus/a.jpg", b"aa")
    assert unpack(tmp_path / "a.zip", tmp_path / "out", everything) == Unpacked(1, 2, {"no_plain_file": 1})


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_the_later_of_two_members_of_a_name_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as opened:
            warnings.simplefilter("ignore")
            opened.writestr("a.jpg", b"first, and longer")
            opened.writestr("a.jpg", b"second")
    else:
        with tarfile.open(path, "w:gz") as tar:
            add(tar, "a.jpg", b"first, and longer")
            add(tar, "a.jpg", b"second")
    assert unpack(path, tmp_path / "out", everything) == Unpacked(1, 6, {})
    assert contents(tmp_path / "out") == {"a.jpg": b"second"}


def refusal(archive: Path, out: Path, limits: Limits | None = None) -> str:
    with pytest.raises(UserError) as error:
        unpack(archive, out, everything, limits)
    assert not (out / MARK).exists()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [0.2, 0.3, 0.5, 0.6, 0.8])  # in a tar, 0.3 and 0.6 are ends of members
def test_a_cut_archive_is_refused(tmp_path: Path, kind: str, keep: float) -> None:
    noise = {
        f"corpus/{number}.jpg": bytes((number * step * step) % 251 for step in range(30_000)) for number in range(3)
    }
    archive = build(tmp_path / f"a.{kind}", noise)
    data = archive.read_bytes()
    archive.write_bytes(data[: int(keep * len(data))])
    assert "a." in refusal(archive, tmp_path / "out")


def test_a_damaged_picture_in_a_zip_is_noticed(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("a.jpg", b"picture" * 100)
    archive.write_bytes(archive.read_bytes().replace(b"picturepicture", b"picturePicture", 1))
    assert "Bad CRC-32" in refusal(archive, tmp_path / "out")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    archive = build(tmp_path / "a.tar.gz", {"a.jpg": b"aa", "b.jpg": bytes(10_000_000)})
    limits = Limits(free_of_ratio_bytes=1000)
    assert "unpacks to more than" in refusal(archive, tmp_path / "out", limits)
    assert not (tmp_path / "out" / FILES / "b.jpg").exists()
    unpack(archive, tmp_path / "out", everything)  # 10 MB are nothing to the limits that hold


def test_limits_of_files_and_of_their_size(tmp_path: Path) -> None:
    archive = build(tmp_path / "a.zip", CONTENT)
    assert "more than 1 files" in refusal(archive, tmp_path / "out", Limits(files=1))
    assert unpack(archive, tmp_path / "out", everything, Limits(member_bytes=100)).left_out == {"too_large": 1}


def test_too_little_room_for_a_member_that_is_announced(tmp_path: Path) -> None:
    with (tmp_path / "a.tar").open("wb") as file:
        info = tarfile.TarInfo("huge.jpg")
        info.size = 10**15
        file.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    limits = Limits(member_bytes=10**16, free_of_ratio_bytes=10**16)
    assert "bytes are free" in refusal(tmp_path / "a.tar", tmp_path / "out", limits)


def test_a_password_is_not_asked_for(tmp_path: Path) -> None:
    archive = build(tmp_path / "a.zip", CONTENT)
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1  # the flag in the first entry of the directory
    archive.write_bytes(data)
    assert "protected by a password" in refusal(archive, tmp_path / "out")


@pytest.mark.parametrize("content", [{}, {"../x.jpg": b"x"}])
def test_an_archive_without_use(tmp_path: Path, content: dict[str, bytes]) -> None:
    assert "no file of the corpus can be used" in refusal(build(tmp_path / "a.zip", content), tmp_path / "out")


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"hello" * 1000)
    assert not is_archive(tmp_path / "a.zip")
    assert "cannot be unpacked" in refusal(tmp_path / "a.zip", tmp_path / "out")


def test_a_damaged_header_is_not_the_end_of_a_tar(tmp_path: Path) -> None:
    archive = build(tmp_path / "a.tar", CONTENT)
    data = archive.read_bytes()
    archive.write_bytes(data.replace(b"corpus/awe/b.jpg", b"corpus/awe/c.jpg", 1))  # the checksum is that of b
    assert "no header" in refusal(archive, tmp_path / "out")
