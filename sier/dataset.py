"""A finished dataset, whose rows can be read where FFmpeg is not installed."""

import os
from typing import Any

import datasets

from pipeline.errors import UserError, first_line


def load_dataset(source: str | os.PathLike[str], config: str | None = None) -> Any:
    """The splits of a dataset, a `datasets.DatasetDict`; its audio stays a file: {"bytes": ..., "path": ...}.

    Args:
        source: a folder that stage assemble wrote, such as data/sier, or the name of a published one on the Hub.
        config: of a published one: `default`, `full` or `sentiment`.

    Raises:
        UserError: there is no dataset of that name.
    """
    try:
        found = datasets.load_dataset(os.fspath(source), config)
    except (OSError, ValueError) as error:
        raise UserError(f"{os.fspath(source)}: no dataset can be loaded: {first_line(error)}") from None
    for split, rows in found.items():
        if "audio" in rows.column_names:
            found[split] = rows.cast_column("audio", datasets.Audio(decode=False))
    return found
