"""Texts of a Parquet file that an enemy may have made: of bounded size once unpacked, whatever the file says of itself.

In   a file with columns of text, one of them perhaps of numbers
Out  `rows`: the fields of each row
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import UserError, first_line

FILE_BYTES_MAX = 2**28  # of a file of texts, and of what is in it; GoEmotions has 4 MB
TEXT_CHARACTERS_MAX = 5_000
_BATCH_ROWS = 1_000


def open_file(path: Path, columns: Sequence[str] = ()) -> pq.ParquetFile:
    """The file; its `columns` are read as dictionaries, so that a text takes memory once however often it stands."""
    with damage(path):
        return pq.ParquetFile(path, read_dictionary=list(columns))


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn what Arrow says of a damaged file into a `UserError`."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:  # Arrow has both for damage, some of several lines
        kind = "Arrow" if path.suffix.lower() == ".arrow" else "Parquet"
        raise UserError(f"{path}: cannot be read as {kind} ({first_line(error)}); copy or make it again") from None


def rows(path: Path, columns: Sequence[str]) -> Iterator[list[str] | None]:
    """Text, label and group of each row, the group empty where it is null or the column missing.

    None where text or label is null, or text is far too long. Raises UserError: damaged, too large, not of text.
    """
    names = open_file(path).schema_arrow.names
    if double := next((name for name in columns if names.count(name) > 1), None):
        raise UserError(f"{path}: two columns are called {double}; expected one")
    wanted = [name for name in columns if name in names]
    file = open_file(path, wanted)
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    unpacked = sum(
        group.column(place).total_uncompressed_size for group in groups for place in range(group.num_columns)
    )
    if unpacked > FILE_BYTES_MAX:
        raise UserError(f"{path}: {unpacked:,} bytes once unpacked, expected at most {FILE_BYTES_MAX:,}; divide it")
    with damage(path):
        for batch in file.iter_batches(_BATCH_ROWS, columns=wanted):
            for text, label, *group in zip(*(_texts(path, batch, name) for name in wanted), strict=True):
                yield None if text is None or label is None else [text, label, (group[0] if group else None) or ""]


def _texts(path: Path, batch: pa.RecordBatch, name: str) -> list[str | None]:
    column = batch.column(name)
    words = column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()
    kind = words.type.value_type
    entries = words.dictionary
    if pa.types.is_integer(kind) and name not in {"text", "Utterance"}:
        entries = entries.cast(pa.string())
    elif not pa.types.is_string(kind) and not pa.types.is_large_string(kind):
        raise UserError(f"{path}: column {name} is {kind}, expected text")
    # As bytes: a file may say of anything that it is UTF-8.
    raw = entries.cast(pa.large_binary())
    short = pc.less_equal(pc.binary_length(raw), 4 * TEXT_CHARACTERS_MAX)
    values = pc.if_else(short, raw, pa.scalar(None, raw.type)).to_pylist()
    decoded = {place: value.decode("utf-8", "replace") for place, value in enumerate(values) if value is not None}
    return [decoded.get(place) for place in words.indices.to_pylist()]  # a damaged file may point elsewhere
