"""Room on the disk for what is downloaded and unpacked."""

import shutil
from pathlib import Path

from pipeline.errors import UserError

RESERVE_BYTES = 2**28  # stay free for everything else on the disk


def require_room(folder: Path, name: str, need_bytes: int) -> None:
    """Raises UserError if the disk of `folder` has too little room for so many more bytes of `name`."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < need_bytes + RESERVE_BYTES:
        raise UserError(
            f"{folder}: {free_bytes:,} bytes are free, {name} needs {need_bytes + RESERVE_BYTES:,}; free some space or "
            "set SIER_DOWNLOADS to a folder on a larger disk"
        )
