"""The columns of the dataset as Hugging Face features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import Features

from pipeline.media.audio import SAMPLING_RATE_HZ


def features(labels: Sequence[str], speech_classes: Sequence[str], image_classes: Sequence[str]) -> Features:
    """The dataset's columns as Hugging Face features; `fold` is null in test, `word_error_rate` where not measured."""
    from datasets import Audio, ClassLabel, Features, Image, Value  # noqa: PLC0415 - half a second, once

    columns: dict[str, Any] = {
        "id": Value("string"),
        "audio": Audio(sampling_rate=SAMPLING_RATE_HZ),
        "image": Image(),
        "text": Value("string"),
        "label": ClassLabel(names=list(labels)),
        "decided_by": Value("string"),
        "confidence": Value("float32"),
        "agreement": Value("bool"),
    }
    columns |= {f"p_speech_{name}": Value("float32") for name in speech_classes}
    columns |= {f"p_image_{name}": Value("float32") for name in image_classes}
    columns |= {
        "sentiment": Value("string"),
        "group_id": Value("string"),
        "voice": Value("string"),
        "word_error_rate": Value("float32"),
        "fold": Value("int8"),
    }
    return Features(columns)
