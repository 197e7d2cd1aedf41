"""Readers of anybody's labelled recordings and pictures: a table of paths, or a folder of pictures per class.

speech_table     columns path (or file_name, audio), label (or emotion), speaker
picture_table    columns path (or file_name, image, picture), label (or emotion) and, if pictures belong together, group
picture_folders  `<label>/*.jpg`, `images/<label>/*.jpg`, `{train,val,test}/<label>/*.jpg`

Tables are CSV, TSV, JSON lines or Parquet; paths are those beside the table. Several rows of one file are votes.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.corpora._files import Reject, files_below, is_file, reading, require_folder, shown, visible_names
from pipeline.corpora.further import _labelled, _tables
from pipeline.corpora.further._labelled import PICTURES, LabelledFile, LabelledFiles
from pipeline.corpora.further._tables import Row, field, file_beside
from pipeline.errors import RowError, UserError

LABEL = ("label", "emotion")
COLUMNS = {
    "speech_table": {"path": ("path", "file_name", "audio"), "label": LABEL, "speaker": ("speaker",)},
    "picture_table": {"path": ("path", "file_name", "image", "picture"), "label": LABEL, "group": ("group",)},
}
OPTIONAL = ("group",)
_FOLDERS = "pictures in a folder per label"


def check_table(name: str, root: Path) -> None:
    """Look at the tables' columns; raises UserError if there is no table, or one without a column that is needed."""
    for _ in _tables.chosen_columns(root, COLUMNS[name], OPTIONAL, _expected(name)):
        pass


def read_table(name: str, root: Path) -> LabelledFiles:
    """The files that all tables below `root` list, with speaker or group.

    Statuses: `bad_row`, `path_missing`, `file_missing`, `file_empty`, `unsafe_path`, `label_missing`,
    `speaker_missing`, `bad_<column>`, their id being `<file>:<number of the row>`; and those of `collect`.
    """
    rows = _tables.made_of_rows(root, COLUMNS[name], OPTIONAL, _expected(name), partial(_listed, root))
    items = ((where, row.status, row.reason) if isinstance(row, RowError) else row for where, row in rows)
    return _labelled.collect(root, items)


def _expected(name: str) -> str:
    return f"a table with columns {' and '.join(what for what in COLUMNS[name] if what not in OPTIONAL)}"


def _listed(root: Path, table: Path, _: int, row: Row) -> LabelledFile:
    path = file_beside(root, table, field(row, "path", "path"))
    label = field(row, "label", "label")
    more = {what: field(row, what, what) for what in ("speaker", "group") if what in row}
    for what, text in (("label", label), *more.items()):
        if not text and what not in OPTIONAL:
            raise RowError(f"{what}_missing", f"no {what}")
        if not text.isprintable():
            raise RowError(f"bad_{what}", f"expected a line of text, found {shown(text)}")
    return LabelledFile(path.relative_to(root).as_posix(), path, label, **more)


def check_folders(root: Path) -> None:
    """Raises UserError unless two folders have pictures."""
    found = {path.parent.name for path in _pictures(root) if path.suffix.lower() in PICTURES}
    if len(found) < 2:
        what = f"only {next(iter(found))}" if found else "none"
        raise UserError(f"{root}: expected {_FOLDERS}, for two labels or more; found {what}")


def read_folders(root: Path) -> LabelledFiles:
    """Statuses: `bad_file_name`, `not_an_image_name` (another suffix), `file_missing` (a link to nothing)."""
    check_folders(root)
    return _labelled.collect(root, [_picture(root, path) for path in _pictures(root)])


def _pictures(root: Path) -> Iterator[Path]:
    """Files in the folders of `root`; loose ones beside these are no rows."""
    for name in visible_names(require_folder(root, _FOLDERS)):
        with reading(root / name):
            is_folder = (root / name).is_dir()
        if is_folder:
            yield from files_below(root / name, lambda _: True, depth=1)


def _picture(root: Path, path: Path) -> LabelledFile | Reject:
    identity = path.relative_to(root).as_posix()
    if not all(map(_labelled.is_readable_name, (path, path.parent))):
        return ascii(identity)[1:-1], "bad_file_name", "a name that is not UTF-8, or has control characters"
    if path.suffix.lower() not in PICTURES:
        return identity, "not_an_image_name", f"expected a file with one of {', '.join(PICTURES)}"
    if not is_file(path):
        return identity, "file_missing", "a link to nothing, or no plain file"
    return LabelledFile(identity, path, path.parent.name)
