"""What stage audit says of the labels, where it has been run.

In   data/audit/audit.parquet: id, label_quality, is_issue
Out  the table; rows that were not audited are not in it
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import UserError

AUDIT_FILE = Path("audit") / "audit.parquet"
COLUMNS = ["id", "label_quality", "is_issue"]


def read(data: Path) -> pd.DataFrame | None:
    """Columns id (str), label_quality (0 to 1) and is_issue (bool); None where there is no audit.

    Raises:
        UserError: the table is damaged.
    """
    path = data / AUDIT_FILE
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path, partitioning=None)
        found: pd.DataFrame = table.select(COLUMNS).to_pandas()
    except (OSError, pa.ArrowException, KeyError):
        raise UserError(f"{path}: damaged or without {', '.join(COLUMNS)}; run: dvc repro audit") from None
    return found
