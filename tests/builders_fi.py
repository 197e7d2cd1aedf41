"""Builders of tiny FI corpora (three forms) and of EmoSet; see `tests.builders`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tests.builders_pictures import encode, picture

FI_EMOTIONS = ("amusement", "anger", "awe", "contentment", "disgust", "excitement", "fear", "sadness")
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Picture:
    """A picture of FI. `data` None lists it without a file; votes are those of the original lists."""

    emotion: str
    name: str
    data: bytes | None
    disagree: int = 1
    agree: int = 4


@dataclass(frozen=True)
class EmoSetRow:
    """A row of EmoSet's lists, as JSON, and the file it names (if any)."""

    split: str
    row: object
    files: Mapping[str, bytes] = field(default_factory=dict)


def plain_pictures(per_class: int = 2, emotions: Sequence[str] = FI_EMOTIONS) -> list[Picture]:
    """Pictures named as in FI; those of one emotion share a tint."""
    tint = {emotion: np.random.default_rng(number).integers(0, 256, 3) for number, emotion in enumerate(emotions)}
    pictures = []
    for place, emotion in enumerate(emotions):
        for number in range(1, per_class + 1):
            mixed = 0.6 * np.asarray(picture(1000 * place + number)) + 0.4 * tint[emotion]
            data = encode(Image.fromarray(mixed.astype(np.uint8)))
            pictures.append(Picture(emotion, f"{emotion}_{number:04d}.jpg", data))
    return pictures


def build_fi(
    root: Path,
    pictures: Sequence[Picture] | None = None,
    *,
    form: str = "folders",
    per_class: int = 2,
    apple_double: bool = False,
    extra_csv_lines: Sequence[str] = (),
    newline: str = "\n",
    bom: bool = False,
) -> Path:
    """Write FI below `root`.

    Args:
        root: new or empty folder.
        pictures: `plain_pictures(per_class)` unless given.
        form: `folders`, `agg` or `emoset`.
        per_class: pictures per emotion, where `pictures` is not given.
        apple_double: hidden files and folders as macOS leaves them.
        extra_csv_lines: raw lines at the end of the list of anger (form `agg`).
        newline: line end of the lists (form `agg`).
        bom: put a byte order mark before the lists (form `agg`).
    """
    pictures = plain_pictures(per_class) if pictures is None else pictures
    root.mkdir(parents=True, exist_ok=True)
    if form == "emoset":
        return build_emoset(root, [_emoset_row(number, item) for number, item in enumerate(pictures)])
    where = "images/part{place}" if form == "agg" else "{emotion}"
    for number, item in enumerate(pictures):
        folder = root / where.format(place=number % 2, emotion=item.emotion)
        folder.mkdir(parents=True, exist_ok=True)
        if item.data is not None:
            (folder / item.name).write_bytes(item.data)
    if form == "agg":
        (root / "agg").mkdir()
        for emotion in dict.fromkeys(item.emotion for item in pictures):
            rows = [
                f"{number},http://farm9.static.example.com/{number}/{item.name},{item.disagree},{item.agree}"
                for number, item in enumerate(pictures)
                if item.emotion == emotion
            ] + (list(extra_csv_lines) if emotion == "anger" else [])
            text = "".join(row + newline for row in rows)
            (root / "agg" / f"{emotion}_5agg.csv").write_bytes((BOM if bom else b"") + text.encode())
    if apple_double:
        for folder in (path for path in sorted(root.iterdir()) if path.is_dir()):
            (folder / "._anger_0001.jpg").write_bytes(b"\0\5\x16\7")
        (root / "._anger").write_bytes(b"\0\5\x16\7")
        (root / ".Spotlight-V100").mkdir()
    return root


def _emoset_row(number: int, item: Picture) -> EmoSetRow:
    path = f"image/{item.emotion}/{item.name}"
    annotation = f"annotation/{item.emotion}/{Path(item.name).stem}.json"
    row = [item.emotion, item.name, path, annotation] if number % 2 else [item.emotion, path, annotation]
    split = ("train", "train", "val", "test")[number % 4]
    return EmoSetRow(split, row, {path: item.data} if item.data is not None else {})


def build_emoset(root: Path, rows: Sequence[EmoSetRow]) -> Path:
    """Write EmoSet's three lists and the files of `rows` below `root`."""
    (root / "image").mkdir(parents=True, exist_ok=True)
    for split in ("train", "val", "test"):
        listed = [row.row for row in rows if row.split == split]
        (root / f"{split}.json").write_text(json.dumps(listed), encoding="utf-8")
    for name, data in (pair for row in rows for pair in row.files.items()):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root
