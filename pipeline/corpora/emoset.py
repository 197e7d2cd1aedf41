"""Reader of EmoSet-118K (Yang et al. 2023), which stands in for FI where FI cannot be had.

In   `{train,val,test}.json`: lists of `[emotion, id, "image/<emotion>/<name>.jpg", "annotation/..."]`; the id is
     absent in some releases, the annotation in others. Pictures under `image/`.
Out  an `ImageCorpus` of form `emoset`
"""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.corpora import _files
from pipeline.corpora._files import Reject, is_utf8, require_file, require_folder, shown
from pipeline.corpora._images import ImageCorpus, LabelledImage, collect
from pipeline.errors import UserError

# In EmoSet's own order, which is not alphabetical: numbers in its files and models refer to it.
EMOTIONS = ("amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness")
FILES = ("train.json", "val.json", "test.json")
IMAGES = "image/"
_JSON_BYTES_MAX = 2**25  # the largest published list has 9 MB, and in memory a list may take 30 times its size


def is_emoset(root: Path) -> bool:
    """Whether `root` has one of the lists of EmoSet, or its folder of pictures."""
    return any(_files.is_file(root / name) for name in FILES) or (root / IMAGES).is_dir()


def check(root: Path) -> None:
    """Look for the lists and the folder of pictures; raises UserError if one is missing."""
    require_folder(root, f"EmoSet: {', '.join(FILES)} and {IMAGES}")
    for name in FILES:
        require_file(root, name)
    require_folder(root / IMAGES, "the pictures of EmoSet")


def read(root: Path) -> ImageCorpus:
    """The pictures of all three lists; `UserError` if a list is damaged, an emotion unknown or no picture usable.

    Statuses: `bad_json_row` and, for a path that leads out of the corpus, `unsafe_path` (their id is
    `<file>:<row number>`), `image_missing`, `duplicate_id` (the first row counts).
    """
    check(root)
    return collect(root, "emoset", [item for name in FILES for item in _read_list(root, name)])


def _read_list(root: Path, name: str) -> Iterator[LabelledImage | Reject]:
    path = root / name
    _files.require_small(path, _JSON_BYTES_MAX)
    with _files.open_text(path) as file:
        try:
            rows = json.load(file)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: not valid JSON ({error}); copy or download it again") from None
    if not isinstance(rows, list):
        kind = type(rows).__name__
        raise UserError(f"{path}: expected a JSON list of rows, found {kind}; give the file as published")
    for number, row in enumerate(rows, 1):
        where = f"{name}:{number}"
        if not isinstance(row, list) or not 2 <= len(row) <= 4 or not isinstance(row[0], str):
            yield where, "bad_json_row", f"expected [emotion, id, image, annotation], found {shown(json.dumps(row))}"
            continue
        emotion = row[0]
        if emotion not in EMOTIONS:
            raise UserError(f"{path}: row {number}: unknown emotion {shown(emotion)}; known are {', '.join(EMOTIONS)}")
        paths = [item.replace("\\", "/") for item in row[1:] if isinstance(item, str)]  # some copies: of Windows
        pictures = [item for item in paths if item.startswith(IMAGES)]
        if len(pictures) != 1 or not is_utf8(pictures[0]):
            yield where, "bad_json_row", f"expected one path under {IMAGES}, found {shown(json.dumps(row))}"
            continue
        yield _picture(root, where, emotion, PurePosixPath(pictures[0]))


def _picture(root: Path, where: str, emotion: str, inside: PurePosixPath) -> LabelledImage | Reject:
    if ".." in inside.parts:
        return where, "unsafe_path", f"{shown(str(inside))} leads out of the corpus"
    row_id = f"{emotion}/{inside.name}"
    if not _files.is_file(root / inside):
        return row_id, "image_missing", f"no file {inside}"
    return LabelledImage(row_id, root / inside, emotion)
