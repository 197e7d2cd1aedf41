"""The table of stage audit: its file, its columns, its reader."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import UserError

AUDIT_FILE = "audit.parquet"
AUDIT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("fold", pa.int8(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("suggested_label", pa.string(), nullable=False),  # the network's most probable one
        pa.field("label_quality", pa.float32(), nullable=False),  # its probability of the label: 1 is beyond doubt
        pa.field("is_issue", pa.bool_(), nullable=False),  # off the diagonal of the confident joint
    ]
)
AUDIT_COLUMNS = ["id", "label_quality", "is_issue"]


def read_audit(data: Path) -> pd.DataFrame | None:
    """Id, label_quality (0 to 1) and is_issue (bool) of the rows that stage audit looked at; None before it was run.

    Raises:
        UserError: the table is damaged.
    """
    path = data / "audit" / AUDIT_FILE
    if not path.is_file():
        return None
    try:
        audit: pd.DataFrame = pq.read_table(path, partitioning=None).select(AUDIT_COLUMNS).to_pandas()
    except (OSError, pa.ArrowException, KeyError):
        raise UserError(f"{path}: damaged or without {', '.join(AUDIT_COLUMNS)}; run: dvc repro audit") from None
    return audit
