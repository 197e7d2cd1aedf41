"""Tables and lists of the corpora made by an enemy: no long line is held in memory, and each row costs itself only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.corpora import b_t4sa, fi, iemocap
from pipeline.corpora._files import LINE_CHARACTERS_MAX, TEXT_BYTES_MAX, bounded_lines, open_text
from pipeline.corpora._tweets import read_sentiments, read_texts
from tests.builders import build_b_t4sa, build_fi, build_iemocap, plain_turns, plain_tweets
from tests.hostile import in_little_memory, outcome

HOLE_BYTES = 2**28
IDS = ("784760943188189184", "784760943188189191", "784760943188189198")


def with_hole(path: Path, before: bytes, after: bytes) -> None:
    """`before`, 256 MiB of NUL, `after`; the hole takes no disk."""
    with path.open("wb") as file:
        file.write(before)
        file.seek(HOLE_BYTES, 1)
        file.write(after)


def read_holes(folder: str) -> dict[str, object]:
    """Runs in little memory."""
    root = Path(folder)
    texts, facts = read_texts(root / "field.csv", IDS)
    best, counts = read_sentiments(root / "line.tsv", IDS)
    return {
        "texts": texts,
        "broken": facts["csv_rows_broken"],
        "sentiments": sorted(best),
        "tsv_broken": counts["tsv_rows_broken"],
        "columns": outcome(lambda: read_texts(root / "columns.csv", IDS)),
        "quotes": len(read_texts(root / "quotes.csv", IDS)[0]),
        "no line end": outcome(
            lambda: b_t4sa.read_rows(root / "corpus", b_t4sa.index_tar(root / "corpus" / b_t4sa.TAR))
        ),
        "split file": outcome(lambda: b_t4sa.read_rows(root / "large", b_t4sa.index_tar(root / "large" / b_t4sa.TAR))),
        "fi": outcome(lambda: fi.read(root / "fi")),
        "emoset": outcome(lambda: fi.read(root / "emoset")),
        "iemocap": outcome(lambda: iemocap.read(root / "iemocap")),
    }


def test_files_of_one_endless_line_take_no_memory(tmp_path: Path) -> None:
    with_hole(tmp_path / "field.csv", f'id,text\n{IDS[0]},"'.encode(), f'"\n{IDS[1]},sound\n'.encode())
    with_hole(tmp_path / "line.tsv", b"TWID\tNEG\tNEU\tPOS\n" + IDS[0].encode(), f"\n{IDS[1]}\t1\t0\t0\n".encode())
    (tmp_path / "columns.csv").write_bytes(b"id,text\n" + b"1," * 20_000_000 + f"\n{IDS[1]},sound\n".encode())
    (tmp_path / "quotes.csv").write_bytes(b"id,text\n" + b'"' * 40_000_000 + f"\n{IDS[1]},sound\n".encode())
    sound = build_b_t4sa(tmp_path / "corpus", plain_tweets(4), splits_in="folder")
    shutil.copytree(sound, tmp_path / "large")
    with_hole(tmp_path / "large" / "b-t4sa_val.txt", b"", b"\n")
    with (sound / "b-t4sa_val.txt").open("ab") as file:
        file.truncate(TEXT_BYTES_MAX)
    build_fi(tmp_path / "fi", form="agg")
    with_hole(next(iter(sorted((tmp_path / "fi" / "agg").glob("anger_*.csv")))), b"_,", b"\n")
    build_fi(tmp_path / "emoset", form="emoset")
    with_hole(tmp_path / "emoset" / "val.json", b"[", b"]")
    build_iemocap(tmp_path / "iemocap", plain_turns())
    annotations = sorted((tmp_path / "iemocap").rglob("EmoEvaluation/*.txt"))[0]
    with_hole(annotations, annotations.read_bytes(), b"\n")
    found = in_little_memory(read_holes, tmp_path, extra_mib=160)
    assert found["texts"] == {IDS[1]: "sound"}
    assert found["broken"] == 1
    assert (found["sentiments"], found["tsv_broken"]) == ([IDS[1]], 1)
    assert (found["columns"], found["quotes"], found["no line end"], found["fi"]) == ("ok", 1, "ok", "ok")
    for name in ("split file", "emoset", "iemocap"):
        assert "bytes, expected at most" in found[name]


def test_a_line_that_is_cut_does_not_move_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("a" * 10 + "\n" + "b" * 11 + "\nc\n\n" + "d" * 25, encoding="utf-8", newline="")
    with open_text(path) as file:
        assert list(bounded_lines(file, 10)) == ["a" * 10, "b" * 10, "c\n", "\n", "d" * 10]


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        (b'5,"' + b"x" * LINE_CHARACTERS_MAX + b'"', 1),
        (b"5," + b"x" * 140_000, 1),
        (b"5" + b",x" * 100_000, 1),
        (b'5,"never closed', 1),
        (b'5,"closed" twice"', 1),
        (b"5,a\rb,c\rd", 1),
        (b"\xef\xbb\xbf5,a", 1),
        (b"5" * 5000 + b",a", 0),
        (b"5,\0\0\0", 0),
        (b'5,"' + b"\n" * 1000 + b'"', 0),
    ],
    ids=["long", "no quotes", "columns", "open", "quotes", "cr", "bom", "id", "nul", "lines"],
)
def test_a_hostile_row_of_the_csv_costs_itself_only(tmp_path: Path, line: bytes, broken: int) -> None:
    path = tmp_path / b_t4sa.TEXTS
    path.write_bytes(f"id,text\n{IDS[0]},before\n".encode() + line + f'\n{IDS[1]},"after"\n{IDS[2]},end'.encode())
    texts, facts = read_texts(path, IDS)
    assert texts == {IDS[0]: "before", IDS[1]: "after", IDS[2]: "end"}
    assert facts["csv_rows_broken"] == broken


def test_quotes_that_are_never_closed_cost_time_in_proportion(tmp_path: Path) -> None:
    # Each would take the following 131,072 characters with it, to be read again: 4 GB for these.
    path = tmp_path / b_t4sa.TEXTS
    count = 30_000
    rows = "".join(f'{784760943188189184 + number},"{"text " * 20}\n' for number in range(count))
    path.write_text(f"id,text\n{rows}", encoding="utf-8")
    texts, facts = read_texts(path, IDS)
    assert (texts, facts["csv_rows"], facts["csv_rows_broken"]) == ({}, count, count)


def test_a_file_of_carriage_returns_only_has_another_header(tmp_path: Path) -> None:
    path = tmp_path / b_t4sa.TEXTS
    path.write_bytes(f"id,text\r{IDS[0]},a\r".encode() * 1000)
    assert "expected the header" in outcome(lambda: read_texts(path, IDS))


PIECES = st.sampled_from(
    [b'"', b",", b"\n", b"\r", b"\0", b"a", b"7", IDS[0].encode(), b"\xff", "é".encode(), b"\t", b" "]
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, max_size=40))
def test_any_bytes_are_rows_or_broken_rows_and_the_row_after_them_is_read(tmp_path: Path, pieces: list[bytes]) -> None:
    path = tmp_path / b_t4sa.TEXTS
    path.write_bytes(b"id,text\n" + b"".join(pieces) + f"\n{IDS[1]},after\n".encode())
    texts, facts = read_texts(path, IDS)
    assert texts[IDS[1]] == "after"
    kept = len(texts) + facts["texts_twice"] + facts["texts_without_image"]
    assert facts["csv_rows"] == kept + facts["csv_rows_broken"]
    path.write_bytes(b"TWID\tNEG\tNEU\tPOS\n" + b"".join(pieces) + f"\n{IDS[1]}\t0\t0\t1\n".encode())
    assert read_sentiments(path, IDS)[0][IDS[1]] == ("positive",)


@pytest.mark.parametrize("line", ["x" * 10**6, f"data/1/{'9' * 10**6}-1.jpg 0", "data/1/1-1.jpg " + "0" * 10**6])
def test_a_split_line_of_a_million_characters_is_one_short_reject(tmp_path: Path, line: str) -> None:
    root = build_b_t4sa(tmp_path, plain_tweets(4), extra_split_lines={"val": [line]})
    rejects = b_t4sa.read_rows(root, b_t4sa.index_tar(root / b_t4sa.TAR)).rejects
    assert [reject[1] for reject in rejects] == ["bad_split_line"]
    assert all(len(field) < 300 for field in rejects[0])


@pytest.mark.parametrize(
    "row",
    [
        "_,http://x/a.jpg,0," + "9" * 5000,
        "_,http://x/" + "a" * 1000 + ".jpg,0,5",
        "_,http://[/a.jpg,0,5",
        "_" + ",x" * 100_000,
        '_,"http://x/a.jpg,0,5',
    ],
    ids=["votes", "name", "address", "columns", "quote"],
)
def test_a_hostile_row_of_a_list_of_fi_is_one_reject(tmp_path: Path, row: str) -> None:
    root = build_fi(tmp_path, form="agg")
    before = fi.read(root)
    with sorted((root / "agg").glob("anger_*.csv"))[0].open("a", encoding="utf-8") as file:
        file.write(row + "\n")
    after = fi.read(root)
    assert after.images == before.images
    (reject,) = set(after.rejects) - set(before.rejects)
    assert reject[1] == "bad_csv_row"


@pytest.mark.parametrize("name", ["a" * 5000 + ".jpg", "a\0.jpg", "../" * 20 + "etc/passwd", "/etc/passwd", ""])
def test_a_hostile_path_of_emoset_is_one_reject(tmp_path: Path, name: str) -> None:
    root = build_fi(tmp_path, form="emoset")
    before = fi.read(root)
    rows = json.loads((root / "val.json").read_text(encoding="utf-8"))
    rows.append(["anger", f"image/{name}", "annotation/x.json"])
    (root / "val.json").write_text(json.dumps(rows), encoding="utf-8")
    after = fi.read(root)
    assert after.images == before.images
    (reject,) = set(after.rejects) - set(before.rejects)
    assert reject[1] in {"image_missing", "unsafe_path"}


@pytest.mark.parametrize("data", ["[" * 100_000, "9" * 10_000, "[1e999, NaN]", '{"a": 1}', "\0", '[["anger"]]', "[{}]"])
def test_json_of_nonsense_is_a_line_or_rejects(tmp_path: Path, data: str) -> None:
    root = build_fi(tmp_path, form="emoset")
    (root / "val.json").write_text(data, encoding="utf-8")
    said = outcome(lambda: fi.read(root))
    assert said == "ok" or said.startswith(f"error: {root / 'val.json'}: ")


def test_a_turn_whose_name_no_disk_can_hold_is_one_reject(tmp_path: Path) -> None:
    root = build_iemocap(tmp_path, plain_turns())
    before = iemocap.read(root)
    file = sorted(root.rglob("Session1/dialog/EmoEvaluation/*.txt"))[0]
    with file.open("a", encoding="utf-8") as out:
        out.write(f"[1.0 - 2.0]\tSes01F_impro01_F{'0' * 5000}\tneu\t[1, 1, 1]\n")
    after = iemocap.read(root)
    assert after.utterances == before.utterances
    assert [reject[1] for reject in after.rejects if reject not in before.rejects] == ["wav_missing"]
