"""The columns that stages hand to each other, declared once and checked at both ends.

One row = one (tweet, image) pair; its `id` is `<tweet id>-<n>`, a string everywhere: tweet ids exceed 2**53.
Units are in the names. `reject` rows say why an input row has no output row.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from pipeline.errors import UserError

SENTIMENTS = ("negative", "neutral", "positive")
MODALITIES = ("speech", "image")
CHECKPOINTS = {"speech": "ser", "image": "ier"}  # folder of each modality's teacher in data/checkpoints
VOICE_STATISTICS_FILE = "voice_statistics.parquet"  # in data/scores/speech, where the teacher normalises voices
SPEAKER_MARK = ":"  # in the column `voice`, between the model and its speaker


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


CLEAN = pa.schema(
    [
        _required("id", pa.string()),
        _required("tweet_id", pa.string()),
        _required("image_index", pa.int32()),
        _required("text", pa.string()),  # as published
        _required("spoken_text", pa.string()),  # what a voice is asked to say
        _required("image", pa.binary()),  # JPEG, RGB, upright, no EXIF
        _required("width_px", pa.int32()),
        _required("height_px", pa.int32()),
        _required("sentiment", pa.string()),  # one of SENTIMENTS
        _required("source_split", pa.string()),  # train, val or test of B-T4SA
        _required("group_id", pa.string()),  # rows that must not be torn apart by a split
        _required("image_sha256", pa.string()),  # of the decoded RGB pixels, hex
        _required("image_phash", pa.string()),  # 256-bit perceptual hash, hex
    ]
)

SPEECH = pa.schema(
    [
        _required("id", pa.string()),
        _required("audio", pa.binary()),  # FLAC, 16-bit, mono
        _required("sampling_rate_hz", pa.int32()),
        _required("duration_seconds", pa.float32()),
        pa.field("word_error_rate", pa.float32()),  # of what a recogniser hears; null where nothing was transcribed
        _required("voice", pa.string()),  # model, or model:speaker
        _required("voice_digest", pa.string()),
        _required("rate", pa.float32()),  # pace relative to the voice's; 2 is twice as fast
        _required("energy_db", pa.float32()),  # level relative to the voice's
    ]
)

LABELS = pa.schema(
    [
        _required("id", pa.string()),
        _required("speech_label", pa.string()),  # teacher class of the largest speech probability
        _required("speech_max", pa.float32()),
        _required("image_label", pa.string()),
        _required("image_max", pa.float32()),
        _required("decided_by", pa.string()),  # one of MODALITIES
        _required("source_label", pa.string()),  # teacher class before the remap
        _required("label", pa.string()),  # one of the dataset's labels
        _required("kept", pa.bool_()),
        _required("reason", pa.string()),  # empty where kept
    ]
)

REJECTS = pa.schema(
    [
        _required("id", pa.string()),
        _required("status", pa.string()),  # snake_case, what rejects are counted by
        _required("reason", pa.string()),  # for a person
    ]
)

PROBABILITY_PREFIX = "p_"
TRAINING_FILE = "training.json"  # in data/checkpoints/<model>: rows and the curve of each fold
OUT_OF_FOLD_FILE = "out_of_fold.parquet"  # likewise: id, fold, label, p_<label> of the rows held out
RULE_FILE = "rule.json"  # in data/labels: rule, threshold and remap, for those who describe the labels


def scores(classes: Sequence[str]) -> pa.Schema:
    """Schema of `data/scores/<modality>`: one probability column per teacher class; rows sum to 1."""
    return pa.schema(
        [
            _required("id", pa.string()),
            *(_required(PROBABILITY_PREFIX + name, pa.float32()) for name in classes),
            _required("teacher_digest", pa.string()),
        ]
    )


def score_classes(columns: Sequence[str]) -> tuple[str, ...]:
    """The teacher's classes, read back from the column names of a score table."""
    return tuple(name.removeprefix(PROBABILITY_PREFIX) for name in columns if name.startswith(PROBABILITY_PREFIX))


def conform(table: pa.Table, schema: pa.Schema, where: str) -> pa.Table:
    """`table` with exactly the columns and types of `schema`, in its order.

    Raises:
        UserError: a column is missing or superfluous, has another type or holds nulls; names `where` and the column.
    """
    if set(table.column_names) != set(schema.names):
        missing = sorted(set(schema.names) - set(table.column_names))
        extra = sorted(set(table.column_names) - set(schema.names))
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
