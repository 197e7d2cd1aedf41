"""The cards of a published dataset and network: README.md with the header that the Hub and its libraries read.

Words are in the `*.md.j2` beside this file; every number comes from `facts`. What is not measured cannot be named: an
unknown name in a template is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

import jinja2
import yaml
from huggingface_hub import DatasetCardData, EvalResult, ModelCardData

from pipeline.dataset.card import _size_category, voice_terms
from pipeline.errors import UserError
from pipeline.labels import rules
from pipeline.publishing import columns
from pipeline.publishing.export import Exported
from pipeline.publishing.facts import Facts

FOLDER = Path(__file__).parent
CITATION = FOLDER / "citation.bib"
DATASET_SECTIONS = ("base", "clean", "synthesize", "train_teacher", "score", "label", "assemble", "audit")
LOCAL = ("/", "~", "\\", "./", "../", "file:")  # starts of a path on this machine; so is a drive's letter
SPLIT_ORDER = ("train", "validation", "test")


def dataset_card(facts: Facts, exported: Exported, repo_id: str, *, keep_personal: bool) -> str:
    """README.md of the dataset.

    Raises:
        UserError: a number that the card tells was not measured.
    """
    values = _values(facts, repo_id)
    values |= {
        "header": _dataset_header(facts, exported),
        "mode": exported.mode,
        "keep_personal": keep_personal,
        "columns": {level: list(kinds) for level, kinds in exported.features.items()},
        "default_columns": columns.default_columns(list(exported.features["data"])),
        "parts": {level: [asdict(part) for part in parts] for level, parts in exported.parts.items()},
        "sentiment_rows": sum(part.rows for part in exported.parts["sentiment"]),
    }
    return _render("dataset_card.md.j2", values)


def model_card(facts: Facts, repo_id: str, name: str, config: Mapping[str, Any]) -> str:
    """README.md of the network `name` with the configuration `config`.

    Raises:
        UserError: it has not been evaluated.
    """
    measured = facts.reports.get("evaluate", {}).get("models", {}).get(name)
    if measured is None:
        raise UserError(f"reports/evaluate.json does not tell of {name}; run: dvc repro evaluate")
    values = _values(facts, repo_id)
    values |= {"header": _model_header(facts, name, measured), "name": name, "measured": measured, "config": config,
               "parameters": _yaml({"train": facts.params["train"], name: facts.params["models"][name]})}  # fmt: skip
    return _render("model_card.md.j2", values)


def _values(facts: Facts, repo_id: str) -> dict[str, Any]:
    share = _measured(facts.reports, "label", "share_decided_by_speech")
    return {
        "facts": facts,
        "reports": facts.reports,
        "repo_id": repo_id,
        "audited": facts.audit,
        "sample": facts.sample_corpora,
        "dominant": rules.dominant_modality(share),
        "dominant_share": max(share, 1 - share),
        "voices": {voice: voice_terms(voice) for voice in sorted(facts.rows["voice"].unique())},
        "transcribed": int(facts.rows["word_error_rate"].notna().sum()),
        "word_error_rate": float(facts.rows["word_error_rate"].mean()),
        "confidence": float(facts.rows["confidence"].median()),
        "parameters": _yaml({name: facts.params[name] for name in DATASET_SECTIONS if name in facts.params}),
        "citation": CITATION.read_text(encoding="utf-8").rstrip(),
    }


def _measured(values: Mapping[str, Any], *keys: str) -> Any:
    """A number that a card tells.

    Raises:
        UserError: it was not measured.
    """
    found: Any = values
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            raise UserError(f"the card cannot be written, {'.'.join(keys)} was not measured; run: dvc repro")
        found = found[key]
    return found


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # of any value
        return True


def _yaml(parameters: Mapping[str, Any]) -> str:
    return yaml.dump(
        without_folders(parameters), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100
    ).rstrip()


def without_folders(value: Any) -> Any:
    """Parameters with files and folders of this machine, which hold names of people and hosts, by their last part."""
    if isinstance(value, Mapping):
        return {key: without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_folders(inner) for inner in value]
    if isinstance(value, str) and (value.startswith(LOCAL) or value[1:3] == ":\\"):
        return PurePath(value.replace("\\", "/")).name
    return value


def _render(template: str, values: Mapping[str, Any]) -> str:
    environment = jinja2.Environment(  # noqa: S701 - Markdown
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        loader=jinja2.FileSystemLoader(FOLDER),
    )  # fmt: skip
    environment.filters["percent"] = lambda share, digits=0: f"{100 * share:.{digits}f} %"
    environment.filters["figure"] = lambda value, digits=3: "none" if value is None else f"{float(value):.{digits}f}"
    try:
        return environment.get_template(template).render(**values)
    except jinja2.UndefinedError as error:
        raise UserError(f"the card cannot be written, a number was not measured: {error}; run: dvc repro") from None


def configurations(exported: Exported) -> list[dict[str, Any]]:
    """What `load_dataset` can be asked for: `default` and `full` are columns of the same files."""
    entries = []
    for config, level in (("default", "data"), ("full", "data"), ("sentiment", "sentiment")):
        there = {part.split for part in exported.parts[level]}
        files = [{"split": split, "path": f"{level}/{split}-*.parquet"} for split in SPLIT_ORDER if split in there]
        chosen = columns.default_columns(list(exported.features["data"])) if config == "default" else None
        entries.append({"config_name": config, "data_files": files, **({"columns": chosen} if chosen else {})})
    return entries


def _dataset_header(facts: Facts, exported: Exported) -> str:
    from datasets.info import DatasetInfo, DatasetInfosDict  # noqa: PLC0415
    from datasets.splits import SplitDict, SplitInfo  # noqa: PLC0415

    kinds, parts = exported.features["data"], exported.parts["data"]
    infos = {}
    for entry in configurations(exported):
        config = entry["config_name"]
        level = "sentiment" if config == "sentiment" else "data"
        features = exported.features[level]
        if config == "default":
            features = kinds.__class__({name: kinds[name] for name in entry["columns"]})
        splits = {}
        for split in (files["split"] for files in entry["data_files"]):
            own = [part for part in exported.parts[level] if part.split == split]
            size = sum((exported.folder / part.name).stat().st_size for part in own)
            splits[split] = SplitInfo(split, num_bytes=size, num_examples=sum(part.rows for part in own))
        total = sum(split.num_bytes for split in splits.values())
        infos[config] = DatasetInfo(
            features=features, splits=SplitDict(splits), download_size=total, dataset_size=total
        )
    media = exported.mode == "full"
    header = DatasetCardData(
        language=["en"],
        license="other",
        license_name="source-corpora-terms",
        pretty_name="IIT-R SIER" + (" (embedded sample)" if facts.sample_corpora else ""),
        size_categories=[_size_category(sum(part.rows for part in parts))],
        task_categories=["audio-classification", "image-classification"] if media else ["other"],
        annotations_creators=["machine-generated"],
        source_datasets=["extended"],
        tags=["emotion-recognition", "multimodal", "pseudo-labels", "synthetic-speech", "croissant"],
    )
    DatasetInfosDict(infos).to_dataset_card_data(header)
    header["configs"] = configurations(exported)
    return str(header.to_yaml())


def _model_header(facts: Facts, name: str, measured: Mapping[str, Any]) -> str:
    results = [
        EvalResult(
            task_type="audio-classification", dataset_type="iit-r-sier", dataset_name="IIT-R SIER, test split",
            dataset_split="test", metric_type=kind, metric_value=_measured(measured, "test", key),
        )
        for kind, key in (("accuracy", "accuracy"), ("f1", "macro_f1"))
    ]  # fmt: skip
    header = ModelCardData(
        language="en",
        license="other",
        license_name="source-corpora-terms",
        library_name="transformers",
        tags=["emotion-recognition", "multimodal", "audio-classification", "image-classification", "custom_code"],
        model_name=f"{name}" + (" (embedded sample)" if facts.sample_corpora else ""),
        eval_results=results,
    )
    return str(header.to_yaml())
