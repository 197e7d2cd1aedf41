"""The dataset card: README.md of `data/sier`, with the YAML header that the Hub and `load_dataset` read.

Every number in it comes from the rows it describes; the words are in `card.md.j2` beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pandas as pd

from pipeline.engine.shards import Marker
from pipeline.frame import acquired, tables
from pipeline.labels import rules

if TYPE_CHECKING:
    from datasets import Features

TEMPLATE = Path(__file__).with_name("card.md.j2")

# Named voices whose terms we know. Others are described by the name only.
VOICE_TERMS = {
    "en_US-joe-medium": (
        "Piper voice en_US-joe-medium. Its training recordings are CC0; its weights were fine-tuned from the voice "
        "lessac, whose terms differ."
    ),
}


def voice_terms(voice: str) -> str:
    """What is known about the terms of a value of the column `voice`."""
    model, _, speaker = voice.partition(tables.SPEAKER_MARK)
    if model not in VOICE_TERMS:
        return f"{voice}."
    return f"Speaker {speaker}. {VOICE_TERMS[model]}" if speaker else VOICE_TERMS[model]


def render(
    features: Features,
    markers: Sequence[Marker],
    names: Sequence[str],
    metrics: Mapping[str, Any],
    rows: pd.DataFrame,
    rule: Mapping[str, Any],
    origin: str,
    normalised: bool,
) -> str:
    """The card as text.

    Args:
        features: of the dataset.
        markers: of its Parquet files.
        names: of those files, `data/<split>-...`.
        metrics: what stage assemble reports.
        rows: all rows without their media; columns label, decided_by, confidence, agreement, voice,
            word_error_rate.
        rule: section `label` of the parameters, as stage label recorded it.
        origin: of the tweets, `sample` or `local copy`.
        normalised: whether the speech teacher normalised voices.
    """
    by_speech = metrics["decided_by"]["speech"] / metrics["rows"]
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - Markdown
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        header=_header(features, markers, names, origin),
        metrics=metrics,
        rule=rule,
        normalised=normalised,
        is_sample=origin == acquired.SAMPLE,
        dominant=rules.dominant_modality(by_speech),
        dominant_share=max(by_speech, 1 - by_speech),
        features=features,
        decided=pd.crosstab(rows["label"], rows["decided_by"]),
        agreement=float(rows["agreement"].mean()),
        confidence=float(rows["confidence"].median()),
        transcribed=int(rows["word_error_rate"].notna().sum()),
        word_error_rate=float(rows["word_error_rate"].mean()),
        voices={voice: voice_terms(voice) for voice in sorted(rows["voice"].unique())},
    )


def _header(features: Features, markers: Sequence[Marker], names: Sequence[str], origin: str) -> str:
    from datasets.info import DatasetInfo, DatasetInfosDict  # noqa: PLC0415
    from datasets.splits import SplitDict, SplitInfo  # noqa: PLC0415
    from huggingface_hub import DatasetCardData  # noqa: PLC0415

    files = list(zip(names, markers, strict=True))
    splits = {}
    for split in ("train", "test"):
        parts = [marker.part for name, marker in files if name.startswith(f"data/{split}-")]
        size = sum(part.bytes for part in parts)
        splits[split] = SplitInfo(split, num_bytes=size, num_examples=sum(part.rows for part in parts))
    total = sum(split.num_bytes for split in splits.values())
    rows = sum(split.num_examples for split in splits.values())
    info = DatasetInfo(features=features, splits=SplitDict(splits), download_size=total, dataset_size=total)
    header = DatasetCardData(
        language=["en"],
        license="other",
        license_name="source-corpora-terms",
        pretty_name="IIT-R SIER" + (" (embedded sample)" if origin == acquired.SAMPLE else ""),
        size_categories=[_size_category(rows)],
        task_categories=["audio-classification", "image-classification"],
        tags=["emotion-recognition", "multimodal", "speech", "image", "pseudo-labels", "synthetic-speech"],
    )
    DatasetInfosDict({"default": info}).to_dataset_card_data(header)
    header["configs"] = [
        {
            "config_name": "default",
            "data_files": [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits],
        }
    ]
    return str(header.to_yaml())


def _size_category(rows: int) -> str:
    limits = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
    return next((name for limit, name in limits if rows < limit), "100K<n<1M")
