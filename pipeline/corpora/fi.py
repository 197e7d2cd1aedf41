"""Reader of FI (You et al. 2016): photographs with one of eight emotions.

In   a folder per emotion (`<root>/<emotion>/*.jpg`), perhaps within folders of splits (`train`, `val`, `test`), which
     are merged; or the original lists (`agg/<emotion>_*.csv` and `images/`); or EmoSet-118K in its place
     (`train.json`, ...; see `emoset`)
Out  an `ImageCorpus`: pictures sorted by id, and a reject with status and reason for every one that cannot be used

Pictures are not opened here.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Self
from urllib.parse import unquote, urlsplit

from pipeline.corpora import _files, emoset
from pipeline.corpora._files import Reject, reading, require_folder, shown, visible_files, visible_names
from pipeline.corpora._images import ImageCorpus, LabelledImage, collect
from pipeline.errors import UserError

EMOTIONS = ("amusement", "anger", "awe", "contentment", "disgust", "excitement", "fear", "sadness")
SUFFIXES = (".jpg", ".jpeg", ".png")
LISTS = "agg"
IMAGES = "images"
_SPLITS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}
_COLUMNS = 4  # _, url, disagree, agree
_NAME_CHARACTERS_MAX = 255  # of a file, on any disk


def check(root: Path) -> None:
    """Look for the folders and lists of whichever form `root` has; raises UserError if one is missing or unknown."""
    require_folder(root, "FI: one folder per emotion")
    if emoset.is_emoset(root):
        emoset.check(root)
    elif _has_lists(root):
        _lists(root)
    else:
        _class_folders(root)


def read(root: Path) -> ImageCorpus:
    """The pictures of FI, in whichever form `root` has; `UserError` if an emotion is missing or no picture usable.

    Statuses, folder form: `not_an_image_name` (another suffix than jpg, jpeg, png, or a folder), `bad_file_name` (not
    UTF-8), `image_missing` (a link to nothing). Lists: `bad_csv_row` (its id is `<file>:<line number>`),
    `no_majority` (not more who agree than disagree), `image_missing`, `image_ambiguous` (several files of that name),
    `duplicate_id` (the first row counts).
    """
    require_folder(root, "FI: one folder per emotion")
    if emoset.is_emoset(root):
        return emoset.read(root)
    if not _has_lists(root):
        return collect(root, "folders", [item for place in _class_folders(root) for item in _read_folder(*place)])
    lists = _lists(root)
    by_name = _files_by_name(root / IMAGES)
    return collect(root, "agg", [item for emotion, path in lists for item in _read_list(emotion, path, by_name)])


def needs_pictures(root: Path) -> bool:
    """Whether `root` has the original lists but not the pictures."""
    with reading(root):
        return _has_lists(root) and not (root / IMAGES).exists()


def addresses(root: Path) -> dict[str, str]:
    """Addresses by id, in the order of the lists, of the pictures that `read` would use if they were there."""
    by_id: dict[str, str] = {}
    for emotion, path in list_files(root):
        for _, row in _list_rows(path):
            listed = _Listed.of(row)
            if listed and listed.name and listed.agree > listed.disagree:
                by_id.setdefault(f"{emotion}/{listed.name}", row[1].strip())
    return by_id


def files(root: Path) -> list[Path]:
    """Every file that `read` reads, and the pictures."""
    lists = [path for _, path in list_files(root)] if _has_lists(root) else []
    if emoset.is_emoset(root):
        lists = [root / name for name in emoset.FILES]
    return [*lists, *(image.path for image in read(root).images)]


def _class_folders(root: Path) -> list[tuple[str, Path]]:
    """The path below `root`, such as `awe` or `train/awe`, and folder of each emotion."""
    found = [(folder.name.lower(), folder) for folder in _folders(root)]
    if found and {name for name, _ in found} <= _SPLITS:
        found = [(f"{split}/{inner.name.lower()}", inner) for split, folder in found for inner in _folders(folder)]
    _expect_emotions(root, {PurePosixPath(name).name for name, _ in found}, "folder")
    return found


def _folders(root: Path) -> list[Path]:
    with reading(root):
        return [root / name for name in visible_names(root) if (root / name).is_dir()]


def _expect_emotions(where: Path, found: set[str], kind: str) -> None:
    known = f"the eight of FI are {', '.join(EMOTIONS)}"
    if unknown := sorted(found - set(EMOTIONS)):
        what = f"a {kind} each, or splits with such folders, and nothing else" if kind == "folder" else f"a {kind} each"
        raise UserError(f"{where}: unknown {kind} {shown(unknown[0])}; expected {what}; {known}")
    if missing := sorted(set(EMOTIONS) - found):
        raise UserError(f"{where}: no {kind} for {', '.join(missing)}; {known}")


def _read_folder(inside: str, folder: Path) -> Iterator[LabelledImage | Reject]:
    names = visible_names(folder)
    if not names:
        raise UserError(f"{folder}: expected pictures ({', '.join(SUFFIXES)}), found an empty folder")
    for name in names:
        row_id = f"{inside}/{name}"
        path = folder / name
        with reading(path):
            is_folder, is_file = path.is_dir(), path.is_file()
        if not _files.is_utf8(name):
            yield ascii(row_id)[1:-1], "bad_file_name", "the name is not UTF-8"
        elif is_folder or path.suffix.lower() not in SUFFIXES:
            yield row_id, "not_an_image_name", f"expected a file with one of {', '.join(SUFFIXES)}"
        elif not is_file:
            yield row_id, "image_missing", "a link to nothing"
        else:
            yield LabelledImage(row_id, path, PurePosixPath(inside).name)


def _has_lists(root: Path) -> bool:
    with reading(root):
        return (root / LISTS).is_dir()


def _lists(root: Path) -> list[tuple[str, Path]]:
    """(emotion, list) for each `agg/<emotion>_*.csv`, sorted by name."""
    require_folder(root / IMAGES, f"the pictures that the lists in {LISTS}/ name by URL")
    lists = list_files(root)
    _expect_emotions(root / LISTS, {emotion for emotion, _ in lists}, "list")
    return lists


def list_files(root: Path) -> list[tuple[str, Path]]:
    """(emotion, list) for whatever lists there are, sorted by name."""
    folder = root / LISTS
    paths = [folder / name for name in visible_names(folder) if name.lower().endswith(".csv")]
    return [(path.name.split("_")[0].removesuffix(path.suffix), path) for path in paths]


def _files_by_name(images: Path) -> dict[str, list[Path]]:
    """Files below `images`, at any depth; a picture's also under its name without suffix, as addresses have it."""
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in (images / name for name in visible_files(images)):
        if _files.is_file(path):
            for name in {path.name, path.stem if path.suffix.lower() in SUFFIXES else path.name}:
                by_name[name].append(path)
    return by_name


def _read_list(emotion: str, path: Path, files: dict[str, list[Path]]) -> Iterator[LabelledImage | Reject]:
    for line, row in _list_rows(path):
        yield _picture(emotion, f"{path.name}:{line}", row, files)


def _list_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of each row of a list; of a row that is no CSV the one field says why."""
    with _files.open_text(path) as file:
        reader = csv.reader(_files.bounded_lines(file))
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                row = [str(error)]
            if row:
                yield reader.line_num, row


def _picture(emotion: str, where: str, row: list[str], files: dict[str, list[Path]]) -> LabelledImage | Reject:
    listed = _Listed.of(row)
    if listed is None or not 0 < len(listed.name) <= _NAME_CHARACTERS_MAX:
        return where, "bad_csv_row", f"expected _, url, disagree, agree; found {shown(','.join(row))}"
    row_id = f"{emotion}/{listed.name}"
    if listed.agree <= listed.disagree:
        return row_id, "no_majority", f"{listed.agree} agree, {listed.disagree} disagree"
    paths = files.get(listed.name, [])
    # Two pictures of one name can only be told apart by folders named after emotions.
    if len(paths) > 1:
        paths = [path for path in paths if path.parent.name == emotion] or paths
    if len(paths) > 1:
        return row_id, "image_ambiguous", f"{len(paths)} files below {IMAGES}/ have this name"
    return LabelledImage(row_id, paths[0], emotion) if paths else (row_id, "image_missing", f"not below {IMAGES}/")


class _Listed(NamedTuple):
    """A well-formed row of a list; `name` is empty where the address has none."""

    name: str
    disagree: int
    agree: int

    @classmethod
    def of(cls, row: list[str]) -> Self | None:
        votes = [vote.strip() for vote in row[2:]]
        # Longer numbers are no votes, and int() refuses those of thousands of digits.
        if len(row) != _COLUMNS or not all(vote.isascii() and vote.isdigit() and len(vote) < 10 for vote in votes):
            return None
        try:
            name = PurePosixPath(unquote(urlsplit(row[1].strip()).path)).name
        except ValueError:  # such as an unclosed [ in the host
            name = ""
        return cls(name, int(votes[0]), int(votes[1]))
