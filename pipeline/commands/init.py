"""Make a project folder of your own table: texts and pictures become a labelled dataset there.

    sier init mine --table my.csv    then: cd mine && dvc repro

In   a table (CSV, TSV, JSON lines, Parquet) with columns text and image, a path beside the table, and perhaps id,
     sentiment (negative, neutral, positive), group, split (train, val, test); or a folder with such tables
Out  mine/params.yaml, yours to change: that of the sample, with the table's name in it; the graph, DVC's settings, and
     links to the code of this installation. The table and its pictures stay where they are

Rows that cannot be used are counted at once. Without any sentiment, the network that learns it is left out.
"""

import argparse
import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

from pipeline.commands import check
from pipeline.corpora import b_t4sa
from pipeline.corpora._files import is_utf8
from pipeline.corpora.further import table
from pipeline.engine import files
from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import UserError
from pipeline.frame.acquired import TABLE
from pipeline.frame.params import PARAMS_FILE
from pipeline.frame.running import say
from pipeline.frame.tables import SENTIMENTS

LINKS = ("dvc.yaml", "models", "pipeline")  # so that a new version of the code reaches the project by itself
COPIES = (".dvcignore", ".gitignore", ".dvc/.gitignore", ".dvc/config", ".dvc/plots")
CORE = "[core]\n"  # of DVC's settings
WITHOUT_GIT = "    no_scm = true\n"  # git init is the user's to do, or not
# Of few rows, one or two that are lost are a large share.
MAX_LOST_SHARE = 0.2
_LEARNS_SENTIMENT = re.compile(r"  \w+: \{.*\brows: clean\b")
SHARES = ("acquire.b_t4sa.max_lost_share", "clean.image.max_lost_share")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("folder", type=Path, help="the project's folder; it is made")
    parser.add_argument("--table", required=True, type=Path, help="the table, or a folder with tables")


def run(options: argparse.Namespace) -> None:
    """Read the table, then write the folder; raises UserError if either cannot be done."""
    given: Path = options.table
    if not given.exists():
        raise UserError(f"{given}: no such file or folder; expected {table.EXPECTED}")
    source = table.read_rows(given.resolve())
    _expect_free(options.folder)
    params = _params(options.folder, given, source)
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in LINKS:
        (options.folder / name).symlink_to(os.path.relpath(PROJECT / name, options.folder.resolve()))
    for name in COPIES:
        target = options.folder / name
        target.parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copyfile
        copy(PROJECT / name, target)
    config = options.folder / ".dvc/config"
    config.write_text(config.read_text(encoding="utf-8").replace(CORE, CORE + WITHOUT_GIT), encoding="utf-8")
    files.write_bytes(options.folder / PARAMS_FILE, params.encode())
    check.check(options.folder / PARAMS_FILE)
    say("\n".join(_told(options.folder, given, source)))


def _expect_free(folder: Path) -> None:
    """UserError where something would be overwritten, or the folder would lie in the code."""
    if not (PROJECT / "dvc.yaml").is_file():
        raise UserError(f"{PROJECT}: no dvc.yaml beside the code; install it from a clone: pip install --editable .")
    inner = folder.resolve()
    if inner == PROJECT or any(inner.is_relative_to(PROJECT / name) for name in ("models", "pipeline", "sier", ".dvc")):
        raise UserError(f"{folder}: lies in the project's own code; name a folder beside it, such as ../mine")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: expected a new folder, found a file; name another")
    if taken := next((name for name in (PARAMS_FILE, *LINKS, *COPIES) if os.path.lexists(folder / name)), None):
        raise UserError(f"{folder / taken}: is there already; name another folder, or remove it")


def _params(folder: Path, given: Path, source: b_t4sa.SourceRows) -> str:
    """The sample's params.yaml with its comments, changed to read the table."""
    text = (PROJECT / PARAMS_FILE).read_text(encoding="utf-8")
    where = os.path.relpath(given.resolve(), folder.resolve())
    if not is_utf8(where):
        raise UserError(f"{given}: the name is not UTF-8, and cannot be written into {PARAMS_FILE}; rename it")
    changes = {"acquire.b_t4sa.format": TABLE, "acquire.b_t4sa.path": json.dumps(where, ensure_ascii=False)}
    for name, value in {**changes, **dict.fromkeys(SHARES, str(MAX_LOST_SHARE))}.items():
        text = _set(text, name, value)
    found = {*source.rows["sentiment"].to_pylist(), *source.rows["source_split"].to_pylist()}
    if not found.issuperset([*SENTIMENTS, *b_t4sa.SPLITS]):
        text = "".join(line for line in text.splitlines(keepends=True) if not _LEARNS_SENTIMENT.match(line))
    return text


def _set(text: str, name: str, value: str) -> str:
    """`text`, in YAML, with another value, in YAML too, at a dotted name; comments stay."""
    start = 0
    for depth, part in enumerate(name.split(".")):
        found = re.compile(rf"(?m)^{'  ' * depth}{part}:").search(text, start)
        assert found, name
        start = found.end()
    end = re.compile(r"$| +#", re.MULTILINE).search(text, start)
    assert end, name
    return f"{text[:start]} {value}{text[end.start() :]}"


def _told(folder: Path, given: Path, source: b_t4sa.SourceRows) -> list[str]:
    sentiments = source.rows.num_rows - source.rows["sentiment"].null_count
    lines = [
        f"init: {given}: {source.rows.num_rows} of {source.rows_in} rows can be used, {sentiments} have a sentiment"
    ]
    for status, count in sorted(Counter(status for _, status, _ in source.rejects).items()):
        where, _, reason = next(reject for reject in source.rejects if reject[1] == status)
        lines.append(f"init: {count} {status}, the first {where}: {reason}")
    if not sentiments:
        lines.append('init: so validity will say "not measured"; everything else works')
    lines.append(
        "init: both teachers learn from the made-up sample, and know little, until params.yaml names real corpora"
    )
    return [*lines, f"init: next: cd {folder} && dvc repro"]
