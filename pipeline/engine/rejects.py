"""Tables that every sharded stage has: what a column must be, and rejects with their reasons."""

from collections.abc import Sequence

import pyarrow as pa

from pipeline.errors import UserError


def required(name: str, kind: pa.DataType) -> pa.Field:
    """A column without nulls."""
    return pa.field(name, kind, nullable=False)


REJECTS = pa.schema(
    [
        required("id", pa.string()),
        required("status", pa.string()),  # snake_case, what rejects are counted by
        required("reason", pa.string()),  # for a person
    ]
)


def conform(table: pa.Table, schema: pa.Schema, where: str) -> pa.Table:
    """`table` with exactly the columns and types of `schema`, in its order; else UserError, which names `where`."""
    missing = sorted(set(schema.names) - set(table.column_names))
    extra = sorted(set(table.column_names) - set(schema.names))
    if missing or extra:
        raise UserError(f"{where}: columns differ from the contract: missing {missing}, unexpected {extra}")
    table = table.select(schema.names)
    for field in schema:
        column = table.column(field.name)
        if column.null_count and not field.nullable:
            raise UserError(f"{where}: column {field.name} holds {column.null_count} nulls")
        if column.type != field.type:
            raise UserError(f"{where}: column {field.name} is {column.type}, expected {field.type}")
    return table.cast(schema)


def rejects_table(rejects: Sequence[tuple[str, str, str]]) -> pa.Table:
    """Reject rows from (id, status, reason) triples."""
    rows = [dict(zip(REJECTS.names, reject, strict=True)) for reject in rejects]
    return pa.Table.from_pylist(rows, schema=REJECTS)
