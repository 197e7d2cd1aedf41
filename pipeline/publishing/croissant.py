"""Croissant metadata (mlcommons.org/croissant) of a published dataset: croissant.json beside the card."""

from __future__ import annotations

import json
import logging
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlcroissant as mlc

from pipeline.errors import UserError
from pipeline.publishing.citations import PAPER, entries
from pipeline.publishing.columns import default_columns
from pipeline.publishing.export import Exported
from pipeline.publishing.facts import Facts
from pipeline.publishing.history.versions import FIRST
from pipeline.publishing.responsible import responsible

logging.getLogger("absl").setLevel(logging.ERROR)  # what it recommends besides is looked at in a test

if TYPE_CHECKING:
    from datasets import Features

REPO = "repo"
CONFORMS_TO = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
# Croissant wants a sha256 of every file object; a git repository has none. The Hub's own metadata says so likewise.
NO_DIGEST = "https://github.com/mlcommons/croissant/issues/80"
# By the dtype of a feature: that of Audio is dict, that of ClassLabel int64.
MEDIA_TYPES = {"dict": mlc.DataType.AUDIO_OBJECT, "PIL.Image.Image": mlc.DataType.IMAGE_OBJECT}
TYPES = {
    "string": mlc.DataType.TEXT, "float32": mlc.DataType.FLOAT, "float16": mlc.DataType.FLOAT,
    "bool": mlc.DataType.BOOL, "int8": mlc.DataType.INTEGER, "int64": mlc.DataType.INTEGER, **MEDIA_TYPES,
}  # fmt: skip
DESCRIPTIONS = {
    "id": "number of the tweet and of its picture",
    "label": "emotion, class id: a pseudo-label by two teachers",
    "decided_by": "the teacher whose probability was larger, or adds more to the pool",
    "confidence": "that probability",
    "agreement": "whether both teachers named the same class",
    "sentiment": "the text's sentiment as its corpus has it",
    "group_id": "rows of one group are never torn apart by a split",
    "fold": "of cross-validation within train",
    "word_error_rate": "of what a recogniser hears",
    "label_quality": "how much an audit trusts the label, 0 to 1",
    "image_sha256": "of the decoded RGB pixels",
    "audio_sha256": "of the FLAC file",
}


def croissant(
    facts: Facts, exported: Exported, repo_id: str, endpoint: str, *, keep_personal: bool, published: date
) -> bytes:
    """The metadata as JSON; `published`: the day on which this version first is."""
    url = f"{endpoint}/datasets/{repo_id}"
    version = facts.version.number if facts.version else FIRST
    distribution: list[Any] = [
        mlc.FileObject(
            id=REPO, name=REPO, description="The repository on the Hugging Face Hub.",
            content_url=f"{url}/tree/main", encoding_formats=["git+https"], sha256=NO_DIGEST,
        )
    ]  # fmt: skip
    for level, parts in exported.parts.items():
        distribution += [
            mlc.FileSet(
                id=f"files-{level}-{split}", name=f"files-{level}-{split}", contained_in=[REPO],
                includes=[f"{level}/{split}-*.parquet"], encoding_formats=["application/x-parquet"],
            )
            for split in dict.fromkeys(part.split for part in parts)
        ]  # fmt: skip
    data = exported.features["data"]
    records = []
    for split in dict.fromkeys(part.split for part in exported.parts["data"]):
        records.append(_records(f"default-{split}", f"files-data-{split}", data, default_columns(list(data))))
        records.append(_records(f"full-{split}", f"files-data-{split}", data, list(data)))
    records += [
        _records(f"sentiment-{split}", f"files-sentiment-{split}", sentiment, list(sentiment))
        for sentiment in [exported.features["sentiment"]]
        for split in dict.fromkeys(part.split for part in exported.parts.get("sentiment", []))
    ]
    try:
        metadata = mlc.Metadata(
            name="IIT-R SIER", version=version, url=url, license=[f"{url}/blob/main/LICENSE"],
            in_language=[facts.language], creators=_creators(repo_id, endpoint),
            description=f"{len(facts.rows)} pairs of a synthetic utterance and a picture with emotion pseudo-labels.",
            keywords=["emotion recognition", "speech", "image", "pseudo-labels"], cite_as=entries()[PAPER],
            conforms_to=list(CONFORMS_TO), date_published=datetime.combine(published, time()),
            distribution=distribution, record_sets=records,
            **responsible(facts, exported.mode, keep_personal=keep_personal),
        )  # fmt: skip
    except KeyError as error:
        raise UserError(
            f"croissant.json cannot be written, a number was not measured: {error}; run: dvc repro"
        ) from None
    except mlc.ValidationError as error:
        raise UserError(f"croissant.json would not be valid: {' '.join(str(error).split())}") from None
    return (json.dumps(metadata.to_json(), indent=2, ensure_ascii=False, default=str) + "\n").encode()


def _creators(repo_id: str, endpoint: str) -> list[Any]:
    """Whose repository it is; nobody where the account is not known, as in a dry run without a Hub."""
    account, slash, _ = repo_id.partition("/")
    return [mlc.Organization(name=account, url=f"{endpoint}/{account}")] if slash else []


def _records(name: str, files: str, features: Features, columns: list[str]) -> Any:
    fields = []
    for column in columns:
        kind = features[column].dtype
        transforms = [mlc.Transform(json_path="bytes")] if kind in MEDIA_TYPES else []
        source = mlc.Source(file_set=files, extract=mlc.Extract(column=column), transforms=transforms)
        fields.append(
            mlc.Field(
                id=f"{name}/{column}", name=column, data_types=[TYPES[kind]], source=source,
                description=DESCRIPTIONS.get(column),
            )
        )  # fmt: skip
    return mlc.RecordSet(id=name, name=name, key=f"{name}/id", fields=fields)


def check(path: Path) -> None:
    """Refuse a file that mlcroissant does not accept."""
    try:
        mlc.Dataset(jsonld=path)
    except (mlc.ValidationError, ValueError) as error:
        raise UserError(f"{path}: not valid Croissant metadata: {' '.join(str(error).split())}") from None
