"""Dataset cards: README.md of `data/sier`, and what the published card (`pipeline.publishing.cards`) shares with it.

A card begins with the YAML header that the Hub and `load_dataset` read. Every number comes from the rows that it
describes; the words are in `card.md.j2`, those that both cards have in `card_parts.md.j2`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pandas as pd

from pipeline.dataset import terms
from pipeline.dataset.sources import Provenance
from pipeline.engine.shards import Marker
from pipeline.frame.intervals import accuracy_in_words
from pipeline.labels import rules

if TYPE_CHECKING:
    from datasets import Features

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Split:
    """The files of a split, by their name or a pattern."""

    name: str
    files: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Configuration:
    """What `load_dataset` can be asked for; `columns` where these are not all that the files have."""

    name: str
    features: Features
    splits: Sequence[Split]
    columns: list[str] | None = None

    @property
    def entry(self) -> dict[str, Any]:
        """As the header lists it."""
        data_files = [{"split": split.name, "path": split.files} for split in self.splits]
        chosen = {} if self.columns is None else {"columns": self.columns}
        return {"config_name": self.name, "data_files": data_files, **chosen}


def header(configurations: Sequence[Configuration], *, is_sample: bool, language: str, **values: Any) -> str:
    """The YAML header; `values` are further ones of `huggingface_hub.DatasetCardData`."""
    from datasets.info import DatasetInfo, DatasetInfosDict  # noqa: PLC0415
    from datasets.splits import SplitDict, SplitInfo  # noqa: PLC0415
    from huggingface_hub import DatasetCardData  # noqa: PLC0415

    infos = {}
    for configuration in configurations:
        splits = {split.name: SplitInfo(split.name, split.bytes, split.rows) for split in configuration.splits}
        size = sum(split.bytes for split in configuration.splits)
        infos[configuration.name] = DatasetInfo(
            features=configuration.features, splits=SplitDict(splits), download_size=size, dataset_size=size
        )
    data = DatasetCardData(
        language=[language],
        license="other",
        license_name="source-corpora-terms",
        pretty_name="IIT-R SIER" + (" (embedded sample)" if is_sample else ""),
        size_categories=[_size_category(sum(split.rows for split in configurations[0].splits))],
        **values,
    )
    DatasetInfosDict(infos).to_dataset_card_data(data)
    data["configs"] = [configuration.entry for configuration in configurations]
    return str(data.to_yaml())


def _size_category(rows: int) -> str:
    limits = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
    return next((name for limit, name in limits if rows < limit), "100K<n<1M")


def figures(
    rows: pd.DataFrame, decided_by_speech: float, label: Mapping[str, Any], provenance: Provenance
) -> dict[str, Any]:
    """What both cards say of the dataset's rows (label by name, decided_by, confidence, voice, word_error_rate).

    `label` is reports/label.json.
    """
    return {
        "verdict": label["verdict"],
        "meaning": label["validity"]["note"],
        "dominant": rules.dominant_modality(decided_by_speech),
        "dominant_share": max(decided_by_speech, 1 - decided_by_speech),
        "decided": pd.crosstab(rows["label"], rows["decided_by"]),
        "confidence": float(rows["confidence"].median()),
        "transcribed": int(rows["word_error_rate"].notna().sum()),
        "word_error_rate": float(rows["word_error_rate"].mean()),
        "provenance": provenance,
        "not_compared": terms.NOT_COMPARED,
        "corpora": provenance.corpora,
        "teachers": provenance.teachers,
        "sample": provenance.samples,
    }


def fill(template: str, values: Mapping[str, Any], folder: Path = FOLDER) -> str:
    """A template of `folder` with these values; a name that is not among them is an error."""
    environment = jinja2.Environment(  # noqa: S701 - Markdown
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        loader=jinja2.FileSystemLoader([folder, FOLDER]),
    )  # fmt: skip
    environment.filters["percent"] = lambda share, digits=0: f"{100 * share:.{digits}f} %"
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|")
    environment.filters["teacher_accuracy"] = accuracy_in_words
    environment.filters["figure"] = lambda value, digits=3: "none" if value is None else f"{float(value):.{digits}f}"
    return environment.get_template(template).render(**values)


def render(
    features: Features, markers: Sequence[Marker], names: Sequence[str], metrics: Mapping[str, Any],
    label: Mapping[str, Any], rows: pd.DataFrame, rule: rules.LabelParams, provenance: Provenance, normalised: bool,
    language: str,
) -> str:  # fmt: skip
    """README.md of `data/sier`, of whose files these are markers and names; `rows` as for `figures`, and agreement.

    `normalised`: whether the speech teacher normalised voices.
    """
    splits = []
    for split in ("train", "test"):
        parts = [marker.part for name, marker in zip(names, markers, strict=True) if name.startswith(f"data/{split}-")]
        size = sum(part.bytes for part in parts)
        splits.append(Split(split, f"data/{split}-*.parquet", sum(part.rows for part in parts), size))
    values = figures(rows, metrics["decided_by"]["speech"] / metrics["rows"], label, provenance) | {
        "header": header(
            [Configuration("default", features, splits)], is_sample=bool(provenance.samples), language=language,
            task_categories=["audio-classification", "image-classification"],
            tags=["emotion-recognition", "multimodal", "speech", "image", "pseudo-labels", "synthetic-speech"],
        ),
        "metrics": metrics, "rule": rule, "label": label, "normalised": normalised,
        "features": features, "labels": features["label"].names, "agreement": label["agreement"]["kept_rows"],
    }  # fmt: skip
    return fill("card.md.j2", values)
