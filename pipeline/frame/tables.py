"""The columns that stages hand to each other, declared once and checked at both ends.

One row = one (tweet, image) pair; its `id` is `<tweet id>-<n>`, a string everywhere: tweet ids exceed 2**53.
Units are in the names. `reject` rows say why an input row has no output row.
"""

from collections.abc import Sequence

import pyarrow as pa

from pipeline.engine.rejects import required

SENTIMENTS = ("negative", "neutral", "positive")
MODALITIES = ("speech", "image")
CHECKPOINTS = {"speech": "ser", "image": "ier"}  # folder of each modality's teacher in data/checkpoints
VOICE_STATISTICS_FILE = "voice_statistics.parquet"  # in data/scores/speech, where the teacher normalises voices
SPEAKER_MARK = ":"  # in the column `voice`, between the model and its speaker


CLEAN = pa.schema(
    [
        required("id", pa.string()),
        required("tweet_id", pa.string()),
        required("image_index", pa.int32()),
        required("text", pa.string()),  # as published
        required("spoken_text", pa.string()),  # what a voice is asked to say
        required("text_rules", pa.string()),  # between spaces, names of the rules that changed the text into it
        required("image", pa.binary()),  # JPEG, RGB, upright, no EXIF
        required("width_px", pa.int32()),
        required("height_px", pa.int32()),
        pa.field("sentiment", pa.string()),  # one of SENTIMENTS; null where the corpus says none
        required("source_split", pa.string()),  # train, val or test of B-T4SA
        required("group_id", pa.string()),  # rows that must not be torn apart by a split
        required("image_sha256", pa.string()),  # of the decoded RGB pixels, hex
        required("image_phash", pa.string()),  # 256-bit perceptual hash, hex
    ]
)

SPEECH = pa.schema(
    [
        required("id", pa.string()),
        required("audio", pa.binary()),  # FLAC, 16-bit, mono
        required("sampling_rate_hz", pa.int32()),
        required("duration_seconds", pa.float32()),
        pa.field("heard", pa.string()),  # the words that a recogniser hears; null where nobody listened
        pa.field("word_error_rate", pa.float32()),  # of these; null also where the text has no word to compare
        required("voice", pa.string()),  # model, or model:speaker
        required("voice_digest", pa.string()),
        required("rate", pa.float32()),  # pace relative to the voice's; 2 is twice as fast
        required("energy_db", pa.float32()),  # level relative to the voice's
        required("pitch", pa.float32()),  # and the fundamental frequency; 2 is an octave higher
        required("pitch_range", pa.float32()),  # and how far it moves around its mean
    ]
)

LABELS = pa.schema(
    [
        required("id", pa.string()),
        required("speech_label", pa.string()),  # teacher class of the largest speech probability
        required("speech_max", pa.float32()),
        required("image_label", pa.string()),
        required("image_max", pa.float32()),
        required("decided_by", pa.string()),  # one of MODALITIES; of a pool, that which adds more to the label
        required("source_label", pa.string()),  # teacher class before the remap
        required("label", pa.string()),  # one of the dataset's labels; where `reason` is neutral, the class
        required("confidence", pa.float32()),  # of the rule in the label
        required("kept", pa.bool_()),
        required("reason", pa.string()),  # empty where kept
    ]
)


def labels(further: Sequence[str] = ()) -> pa.Schema:
    """Schema of `data/labels`: `LABELS`, and the columns of `further` voters' probabilities, if there are any."""
    return pa.schema([*LABELS, *(pa.field(name, pa.float32()) for name in further)])


PROBABILITY_PREFIX = "p_"
TRAINING_FILE = "training.json"  # in data/checkpoints/<model>: rows and the curve of each run
OUT_OF_FOLD_FILE = "out_of_fold.parquet"  # likewise: id, seed, fold, label, p_<label> of the rows held out
RUNS_FOLDER = "runs"  # likewise: networks of further folds and seeds, for evaluate
RULE_FILE = "rule.json"  # in data/labels: section `label`, for those who describe the labels


def scores(classes: Sequence[str]) -> pa.Schema:
    """Schema of `data/scores/<modality>`: one probability column per teacher class; rows sum to 1."""
    return pa.schema(
        [
            required("id", pa.string()),
            *(required(PROBABILITY_PREFIX + name, pa.float32()) for name in classes),
            required("teacher_digest", pa.string()),
        ]
    )


def score_classes(columns: Sequence[str]) -> tuple[str, ...]:
    """The teacher's classes, read back from the column names of a score table."""
    return tuple(name.removeprefix(PROBABILITY_PREFIX) for name in columns if name.startswith(PROBABILITY_PREFIX))
