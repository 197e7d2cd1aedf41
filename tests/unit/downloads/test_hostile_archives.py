"""Archives made by an enemy: little memory, a bounded time, nothing elsewhere; an odd member costs itself, no more."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.corpora._tar_members import HEADER_BYTES_MAX
from pipeline.downloads.archives import FILES, MARK, Limits, unpack
from pipeline.downloads.containers import ZIP_DIRECTORY_BYTES_MAX, is_archive
from pipeline.errors import UserError
from tests.builders_tar import ANNOUNCING, BLOCK, END, header, member, pax, sparse_with_map
from tests.hostile import in_little_memory, outcome

PACK: Mapping[str, Callable[[bytes], bytes]] = {
    "tar": bytes, "tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress
}  # fmt: skip
GOOD = member("corpus/anger/a.jpg", b"aa")
MIB = 2**20


def wanted(name: str) -> bool:
    return name.endswith(".jpg")


def unpacked(path: str) -> str:
    archive = Path(path)
    with tempfile.TemporaryDirectory() as folder:
        said = outcome(lambda: unpack(archive, Path(folder), wanted) if is_archive(archive) else None)
        assert (Path(folder) / MARK).exists() == (said == "ok") or not is_archive(archive)
    return said


def unpack_all(folder: str) -> dict[str, str]:
    """Runs in little memory."""
    return {path.name: unpacked(str(path)) for path in sorted(Path(folder).iterdir())}


def warm_up() -> None:
    """Load what the first archives load."""
    with tempfile.TemporaryDirectory() as folder:
        for kind, pack in PACK.items():
            (Path(folder) / f"a.{kind}").write_bytes(pack(GOOD + END))
        with zipfile.ZipFile(Path(folder) / "a.zip", "w", zipfile.ZIP_DEFLATED) as opened:
            opened.writestr("a.jpg", b"aa")
        assert set(unpack_all(folder).values()) == {"ok"}


def in_gzip(*parts: bytes | tuple[bytes, int]) -> bytes:
    """Parts, or repeated parts, each a stream of its own: quickly packed, however much it unpacks to."""
    return b"".join(
        gzip.compress(part) if isinstance(part, bytes) else gzip.compress(part[0]) * part[1] for part in parts
    )


def refusals(folder: Path, archives: Mapping[str, bytes], extra_mib: int = 100) -> dict[str, str]:
    (folder / "archives").mkdir()
    for name, data in archives.items():
        (folder / "archives" / name).write_bytes(data)
    found: dict[str, str] = in_little_memory(unpack_all, folder / "archives", extra_mib=extra_mib)
    assert list(found) == sorted(archives)
    for name, line in found.items():
        assert line.startswith(f"error: {folder / 'archives' / name}: "), f"{name}: {line}"
    return found


def test_headers_that_announce_anything_take_no_memory(tmp_path: Path) -> None:
    archives = {
        f"{name} {size_bytes}.{kind}": pack(GOOD + header("x", size_bytes, tar_kind) + bytes(BLOCK) + GOOD + END)
        for name, tar_kind in ANNOUNCING.items()
        for size_bytes in (HEADER_BYTES_MAX, 2**31, 2**62)
        for kind, pack in PACK.items()
    }
    refusals(tmp_path, archives)


@pytest.mark.parametrize("place", ["first", "second"])
def test_a_name_of_2_gib_that_is_really_there(tmp_path: Path, place: str) -> None:
    before = b"" if place == "first" else GOOD
    data = in_gzip(before + header("x", 2**31, tarfile.GNUTYPE_LONGNAME), (bytes(16 * MIB), 128), GOOD + END)
    assert len(data) < 9_000_000
    (tmp_path / "a.tar.gz").write_bytes(data)
    found = in_little_memory(unpack_all, tmp_path, extra_mib=100)
    assert place == "first" or "bytes of headers" in found["a.tar.gz"]


def test_damaged_and_endless_headers_end_in_a_line(tmp_path: Path) -> None:
    digits = b"9" * (HEADER_BYTES_MAX - 4 * BLOCK)
    nested = pax({"a": b"b"}) * 1500
    archives = {
        "digits.tar": GOOD + pax({"comment": digits}) + GOOD,  # the square of them: 15 minutes in Python 3.11.7
        "digits only.tar": GOOD + member("x", digits, tarfile.XHDTYPE) + GOOD,
        "records without end.tar": GOOD + member("x", b"3 a" * (len(digits) // 3) + b"=", tarfile.XHDTYPE) + GOOD,
        "record of nothing.tar": GOOD + member("x", b"0 a=b\n", tarfile.XHDTYPE) + GOOD + END,
        "record too short.tar": GOOD + member("x", b"4 path=b\n", tarfile.XHDTYPE) + GOOD + END,
        "record too long.tar": GOOD + member("x", b"40 path=b\n", tarfile.XHDTYPE) + GOOD + END,
        "back.tar": GOOD + backwards() + GOOD + END,
        "nowhere.tar": GOOD + pax({"size": b"-1024"}) + GOOD + END,
        "a petabyte.tar": GOOD + pax({"size": b"9" * 15}) + GOOD + END,
        "a lot.tar": GOOD + pax({"size": b"9" * 4000}) + GOOD + END,
        "nested.tar": GOOD + nested + GOOD + END,
        "names only.tar": GOOD + member("x", b"n.jpg\0", tarfile.GNUTYPE_LONGNAME) * 1100 + GOOD + END,
        "a name of the end.tar": GOOD + member("x", b"n.jpg\0", tarfile.GNUTYPE_LONGNAME) + END,
        "sparse map.tar": GOOD + sparse_with_map(20_000) + END,
        "no end.tar": GOOD,
    }
    packed = {f"{name}.gz": gzip.compress(data) for name, data in archives.items()}
    refusals(tmp_path, archives | packed)


def backwards() -> bytes:
    """A member of -1,024 bytes, which leads back to the header before."""
    block = bytearray(header("corpus/x.jpg", 0))
    block[124:136] = b"\xff" + (-1024).to_bytes(11, "big", signed=True)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def test_bombs_are_refused_in_what_is_skipped_too(tmp_path: Path) -> None:
    size, limits = 64 * MIB, Limits(free_of_ratio_bytes=MIB)
    skipped = header("corpus/film.avi", size), (bytes(MIB), 64), GOOD + END
    for name, parts in (("skipped", skipped), ("after the end", (GOOD + END, (bytes(MIB), 64)))):
        (tmp_path / name).write_bytes(in_gzip(*parts))
        with pytest.raises(UserError, match=r"unpacks to more than .* bytes, which no corpus does; unpack it yourself"):
            unpack(tmp_path / name, tmp_path / "out", wanted, limits)


def test_packing_that_claims_memory(tmp_path: Path) -> None:
    greedy = bytearray(lzma.compress(GOOD + END, check=lzma.CHECK_CRC32))
    length = (greedy[12] + 1) * 4
    assert greedy[14:16] == b"\x21\x01"  # of the first block: the filter LZMA2, and one byte of properties
    greedy[16] = 40  # a dictionary of 4 GiB
    greedy[12 + length - 4 : 12 + length] = zlib.crc32(greedy[12 : 12 + length - 4]).to_bytes(4, "little")
    sound = lzma.compress(GOOD + member("corpus/anger/b.jpg", bytes(MIB)))
    found = refusals(tmp_path, {"at once.tar.xz": bytes(greedy), "later.tar.xz": sound + greedy})
    assert all("Memory usage limit exceeded" in line for line in found.values())


def zipped(content: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as opened:
        for name, data in content.items():
            opened.writestr(name, data)
    return buffer.getvalue()


def directory(data: bytes, change: Callable[[bytearray], object]) -> bytes:
    """A zip with each entry of its directory changed."""
    changed = bytearray(data)
    place = changed.find(b"PK\1\2")
    while place >= 0:
        entry = changed[place : place + 46]
        change(entry)
        changed[place : place + 46] = entry
        place = changed.find(b"PK\1\2", place + 46)
    return bytes(changed)


def without_sizes(entry: bytearray) -> None:
    """They are in the extra field, it says."""
    struct.pack_into("<LL", entry, 20, 2**32 - 1, 2**32 - 1)


def overlapping(count: int) -> bytes:
    """One member, in the directory `count` times: what makes the bombs that unpack 10 MB to terabytes."""
    data = zipped({"a.jpg": bytes(MIB)})
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entries = data[start:end] * count
    counts = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(entries), start, 0)
    return data[:start] + entries + counts


def test_zips_that_lie(tmp_path: Path) -> None:
    plain = zipped({"corpus/a.jpg": b"aa", "corpus/b.jpg": b"b" * 100_000})
    huge = struct.pack("<HHQQ", 1, 16, 2**63, 2**63)
    with_zip64 = io.BytesIO()
    with zipfile.ZipFile(with_zip64, "w") as opened:
        info = zipfile.ZipInfo("a.jpg")
        info.extra = huge
        opened.writestr(info, b"aa")
    end = plain.index(b"PK\5\6")
    found = refusals(
        tmp_path,
        {
            "overlap.zip": overlapping(500),
            "bzip2.zip": zipped({"a.jpg": b"aa"}, zipfile.ZIP_BZIP2),
            "lzma.zip": zipped({"a.jpg": b"aa"}, zipfile.ZIP_LZMA),
            "of another kind.zip": directory(plain, lambda entry: struct.pack_into("<H", entry, 10, 99)),
            "password.zip": directory(plain, lambda entry: struct.pack_into("<H", entry, 8, 0x41)),
            "larger.zip": directory(plain, lambda entry: struct.pack_into("<L", entry, 24, 2**31)),
            "smaller.zip": directory(plain, lambda entry: struct.pack_into("<L", entry, 24, 1)),
            "nowhere.zip": directory(plain, lambda entry: struct.pack_into("<L", entry, 42, 2**30)),
            "zip64.zip": directory(with_zip64.getvalue(), without_sizes),
            "no zip64.zip": directory(plain, without_sizes),
            "cut.zip": plain[: end - 20] + plain[end:],
        },
    )
    assert "overlap" in found["overlap.zip"]
    assert "unpack it yourself and give the folder" in found["bzip2.zip"]
    assert "password" in found["password.zip"]
    assert "unpacks to more than" in found["larger.zip"]


def test_a_directory_of_a_zip_that_announces_the_whole_file(tmp_path: Path) -> None:
    size = 3 * ZIP_DIRECTORY_BYTES_MAX
    with (tmp_path / "a.zip").open("wb") as file:
        file.write(b"PK")
        file.seek(size)
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0))
    found = in_little_memory(unpack_all, tmp_path, extra_mib=100)
    assert f"a directory of {size:,} bytes" in found["a.zip"]


ODD = {
    "a file in a folder's place": (["anger/x.jpg/b.jpg", "anger/x.jpg"], "name_taken"),
    "a folder in a file's place": (["anger/x.jpg", "anger/x.jpg/b.jpg"], "name_taken"),
    "deep in a file": (["anger/x.jpg", "anger/x.jpg/c/d/b.jpg"], "name_taken"),
    "300 characters": (["anger/x.jpg", "anger/" + "n" * 300 + ".jpg"], "name_too_long"),
    "300 bytes": (["anger/x.jpg", "anger/" + "é" * 140 + ".jpg"], "name_too_long"),
    "folder of 300": (["anger/x.jpg", "n" * 300 + "/b.jpg"], "name_too_long"),
    "5,000 in all": (["anger/x.jpg", ("n" * 199 + "/") * 25 + "b.jpg"], "name_too_long"),
    "2,000 folders": (["anger/x.jpg", "f/" * 2000 + "b.jpg"], "name_too_long"),
    "absolute": (["anger/x.jpg", "/tmp/b.jpg"], "unsafe_name"),
    "up": (["anger/x.jpg", "anger/../../b.jpg"], "unsafe_name"),
    "control": (["anger/x.jpg", "anger/\x1b[2Jb.jpg"], "bad_file_name"),
    "line": (["anger/x.jpg", "anger/\nb.jpg"], "bad_file_name"),
    "C1": (["anger/x.jpg", "anger/\x9b2Jb.jpg"], "bad_file_name"),
}


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_member_costs_itself(tmp_path: Path, kind: str, odd: str) -> None:
    names, reason = ODD[odd]
    content = {"anger/a.jpg": b"a", **{name: name.encode()[:600] for name in names}, "awe/z.jpg": b"z"}
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        archive.write_bytes(zipped(content))
    else:
        tar = b"".join(pax({"path": name.encode()}) + member("x", data) for name, data in content.items()) + END
        archive.write_bytes(PACK[kind](tar))
    done = unpack(archive, tmp_path / "out", wanted)
    assert done.left_out == {reason: 1}
    top = tmp_path / "out" / FILES
    found = {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    assert found == {name: content[name] for name in ("anger/a.jpg", names[0], "awe/z.jpg")}
    assert unpack(archive.rename(tmp_path / "elsewhere"), tmp_path / "out", wanted) == done
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "out"]


def test_names_that_some_disks_take_for_one(tmp_path: Path) -> None:
    names = ["a.jpg", "A.jpg", "é.jpg", unicodedata.normalize("NFD", "é.jpg")]
    (tmp_path / "a.zip").write_bytes(zipped({name: name.encode() for name in names}))
    done = unpack(tmp_path / "a.zip", tmp_path / "out", wanted)
    # All four, or the first of each pair, with its own bytes: never one under the name of the other.
    assert done.files + done.left_out.get("name_taken", 0) == 4
    found = {path.name: path.read_bytes() for path in (tmp_path / "out" / FILES).iterdir()}
    assert len(found) == done.files
    assert all(data.decode() in names for data in found.values())
    assert found["a.jpg"] == b"a.jpg"


def test_links_lead_nowhere_and_a_file_through_one_is_a_file(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    tar = b"".join(
        [
            linking("anger", outside, tarfile.SYMTYPE),
            member("anger/through.jpg", b"1"),
            linking("b.jpg", Path("/etc/passwd"), tarfile.SYMTYPE),
            member("b.jpg", b"2"),
            linking("c.jpg", Path("../../outside/x"), tarfile.LNKTYPE),
            member("c.jpg", b"3"),
            *(header(f"{number}.jpg", 10**6, kind) for number, kind in enumerate((b"3", b"4", b"6"))),  # no data follow
            member("Z.jpg", b"of a kind that nobody knows", b"Z"),
            END,
        ]
    )
    (tmp_path / "a.tar").write_bytes(tar)
    done = unpack(tmp_path / "a.tar", tmp_path / "out", wanted)
    assert (done.files, done.left_out) == (3, {"no_plain_file": 6})
    assert not list(outside.iterdir())
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


def linking(name: str, target: Path, kind: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, str(target)
    return info.tobuf(tarfile.GNU_FORMAT)


def test_sparse_members_are_left_out_and_the_next_is_read(tmp_path: Path) -> None:
    sparse = {"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.realsize": b"9999999999"}
    tar = [
        sparse_with_map(3),
        bytes(BLOCK),
        pax(sparse),
        member("s.jpg", b"1\n0\n1\n".ljust(BLOCK, b"\0") + b"x"),
        GOOD,
        END,
    ]
    (tmp_path / "a.tar").write_bytes(b"".join(tar))
    done = unpack(tmp_path / "a.tar", tmp_path / "out", lambda _: True)
    assert (done.files, done.bytes, done.left_out) == (1, 2, {"no_plain_file": 2})


def test_a_zip_within_a_tar_is_not_taken_for_the_archive(tmp_path: Path) -> None:
    inner = zipped({"corpus/anger/evil.jpg": b"evil"}, zipfile.ZIP_STORED)
    for kind, pack in PACK.items():
        archive = tmp_path / f"a.{kind}"
        archive.write_bytes(pack(GOOD + member("readme.zip", inner) + END))
        assert unpack(archive, tmp_path / kind, wanted).files == 1
        assert [path.name for path in (tmp_path / kind / FILES).rglob("*.*")] == ["a.jpg"]


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz"])
def test_a_flipped_bit_of_a_packed_tar_is_noticed(tmp_path: Path, kind: str) -> None:
    noise = member("corpus/anger/a.jpg", bytes((step * step) % 251 for step in range(30_000)))
    packed = PACK[kind](noise + END)
    for place in (len(packed) // 2, len(packed) - 6):
        changed = bytearray(packed)
        changed[place] ^= 4
        (tmp_path / f"a.{kind}").write_bytes(changed)
        with pytest.raises(UserError, match="cannot be unpacked"):
            unpack(tmp_path / f"a.{kind}", tmp_path / "out", wanted)


def test_more_members_than_any_corpus_has(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(header("skipped", 0) * 1000 + GOOD + END)
    with pytest.raises(UserError, match="holds more than 999 files"):
        unpack(tmp_path / "a.tar", tmp_path / "out", wanted, Limits(files=999))


SMALL_ZIP = zipped({"corpus/a.jpg": b"aa", "corpus/é.jpg": b"b" * 1000})
SMALL_TAR = GOOD + pax({"path": b"corpus/awe/b.jpg"}) + member("x", b"b" * 1000) + END


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6),
    st.sampled_from([("zip", SMALL_ZIP), *((kind, pack(SMALL_TAR)) for kind, pack in PACK.items())]),
    st.booleans(),
)
def test_any_damage_gives_files_or_one_line(
    tmp_path: Path, edits: list[tuple[int, int]], kind_and_data: tuple[str, bytes], mend_checksums: bool
) -> None:
    kind, data = kind_and_data
    damaged = bytearray(data)
    for position, value in edits:
        damaged[position % len(damaged)] = value
    if kind == "tar" and mend_checksums:
        for start in range(0, len(damaged) - BLOCK + 1, BLOCK):
            block = damaged[start : start + BLOCK]
            if block[257:262] == b"ustar":
                block[148:156] = b" " * 8
                damaged[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(damaged)
    said = unpacked(str(path))
    assert said == "ok" or said.startswith("error: ")
