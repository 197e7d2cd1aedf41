"""The columns of the dataset as Hugging Face features."""

from collections.abc import Sequence

from datasets import Audio, ClassLabel, Features, Image, Value

from pipeline.media.audio import SAMPLING_RATE_HZ


def features(
    labels: Sequence[str], speech_classes: Sequence[str], image_classes: Sequence[str], further: Sequence[str] = ()
) -> Features:
    """All columns, in order; `fold` is null in test, `word_error_rate` where it was not measured.

    `further`: columns of probabilities of voters besides the teachers, null where one says nothing of a row.
    """
    return Features({
        "id": Value("string"),
        "audio": Audio(sampling_rate=SAMPLING_RATE_HZ),
        "image": Image(),
        "text": Value("string"),
        "label": ClassLabel(names=list(labels)),
        "decided_by": Value("string"),
        "confidence": Value("float32"),
        "agreement": Value("bool"),
        **{f"p_speech_{name}": Value("float32") for name in speech_classes},
        **{f"p_image_{name}": Value("float32") for name in image_classes},
        **{name: Value("float32") for name in further},
        "sentiment": Value("string"),
        "group_id": Value("string"),
        "voice": Value("string"),
        "word_error_rate": Value("float32"),
        "fold": Value("int8"),
    })  # fmt: skip
