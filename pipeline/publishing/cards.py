"""What a published dataset and network say of themselves: README.md, LICENSE and, of a dataset, DATASHEET.md.

README.md begins with the header that the Hub and its libraries read.

Words are in the `*.md.j2` beside this file and in `pipeline.dataset`; every number comes from `facts`. What is not
measured cannot be named: an unknown name in a template is an error.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path, PurePath
from typing import Any

import jinja2
import yaml
from huggingface_hub import EvalResult, ModelCardData

from pipeline.dataset import card
from pipeline.dataset.card import Configuration, Split
from pipeline.dataset.sources import Source, backbones
from pipeline.errors import UserError
from pipeline.publishing import columns
from pipeline.publishing import gate as gates
from pipeline.publishing.citations import bibliography
from pipeline.publishing.export import Exported
from pipeline.publishing.facts import Facts
from pipeline.publishing.gate import Gate
from pipeline.publishing.responsible import REMOVAL, responsible
from pipeline.stability.report import settings

FOLDER = Path(__file__).parent
LICENCE = "LICENSE"
UNSCREENED = "not-for-all-audiences"  # the Hub asks whether one wants to see it
DATASET = "iit-r-sier"
METRICS = {
    "accuracy": ("accuracy", "accuracy"),
    "macro_f1": ("f1", "macro F1"),
    "cohen_kappa": ("cohen_kappa", "Cohen's kappa"),
}
DATASET_SECTIONS = ("base", "clean", "synthesize", "train_teacher", "score", "label", "assemble", "audit")
LOCAL = ("/", "~", "\\", "./", "../", "file:")  # starts of a path on this machine; so is a drive's letter
LEVELS = {"default": "data", "full": "data", "sentiment": "sentiment"}  # configuration -> folder of its files
SPLIT_ORDER = ("train", "validation", "test")


def dataset_card(
    facts: Facts, exported: Exported, repo_id: str, gate: Gate = "none", *, keep_personal: bool
) -> str:  # fmt: skip
    """README.md of the dataset; UserError where a number that it tells was not measured."""
    media = exported.mode == "full"
    tags = ["emotion-recognition", "multimodal", "pseudo-labels", "synthetic-speech", "croissant"]
    if media and facts.provenance.holds_posts:
        tags.append(UNSCREENED)
    header = card.header(
        _configurations(exported), is_sample=bool(facts.sample_corpora), language=facts.language,
        task_categories=["audio-classification", "image-classification"] if media else ["other"],
        annotations_creators=["machine-generated"], source_datasets=["extended"], tags=tags, license_link=LICENCE,
        **gates.header(gate, facts.provenance),
    )  # fmt: skip
    default_columns = columns.default_columns(list(exported.features["data"]))
    values = {"exported": exported, "default_columns": default_columns, "keep_personal": keep_personal}
    sources = facts.provenance.sources
    return _fill("dataset_card.md.j2", facts, sources, _front(header, repo_id, DATASET_SECTIONS, facts) | values)


def datasheet(facts: Facts, exported: Exported, gate: Gate, *, keep_personal: bool) -> str:
    """DATASHEET.md of the dataset; UserError where a number that it tells was not measured."""
    try:
        said = responsible(facts, exported.mode, keep_personal=keep_personal)
    except KeyError as error:
        raise _not_measured(str(error)) from None
    values = {"exported": exported, "gate": gate, "said": said, "rows": facts.rows}
    return _fill("datasheet.md.j2", facts, facts.provenance.sources, values)


def licence(facts: Facts, what: str, sources: Sequence[Source], *, ids_only: bool) -> str:
    """LICENSE of `what`, which was made with these things."""
    return _fill("licence.md.j2", facts, sources, {"what": what, "ids_only": ids_only})


def model_card(
    facts: Facts, repo_id: str, name: str, config: Mapping[str, Any], gate: Gate = "none", dataset: str = DATASET
) -> str:
    """README.md of the network `name` with the configuration `config`; `dataset`: that of its test rows, on the Hub."""
    measured = facts.reports.get("evaluate", {}).get("models", {}).get(name)
    if measured is None:
        raise UserError(f"reports/evaluate.json does not tell of {name}; run: dvc repro evaluate")
    rows = facts.params["models"][name]["rows"]
    results = [
        EvalResult(
            task_type="audio-classification", dataset_type=dataset, dataset_name="IIT-R SIER",
            dataset_config="sentiment" if rows == "clean" else "default", dataset_split="test", metric_type=kind,
            metric_name=words, metric_value=_measured(measured, "test", key),
        )
        for key, (kind, words) in METRICS.items()
    ]  # fmt: skip
    header = ModelCardData(
        language=facts.language,
        license="other",
        license_name="source-corpora-terms",
        license_link=LICENCE,
        library_name="transformers",
        tags=["emotion-recognition", "multimodal", "audio-classification", "image-classification", "custom_code"],
        model_name=name + (" (embedded sample)" if facts.sample_corpora else ""),
        eval_results=results,
        **gates.header(gate, facts.provenance),
    ).to_yaml()
    sections = {"train": facts.params["train"], name: facts.params["models"][name]}
    values = {
        "name": name,
        "measured": measured,
        "majority": _measured(facts.reports["evaluate"], "without_training", rows, "majority_class"),
        "config": config,
        "parameters": _yaml(sections),
    }
    return _fill("model_card.md.j2", facts, model_sources(facts, name), _front(header, repo_id, (), facts) | values)


def model_sources(facts: Facts, name: str) -> list[Source]:
    """What of others' a network derives from: all that its rows do, and the weights that it starts from."""
    return [*facts.provenance.sources, *backbones(facts.params["models"][name])]


def _front(header: str, repo_id: str, sections: tuple[str, ...], facts: Facts) -> dict[str, Any]:
    shown = {name: facts.params[name] for name in sections if name in facts.params}
    return {"header": header, "repo_id": repo_id, "parameters": _yaml(shown)}


def _fill(template: str, facts: Facts, sources: Sequence[Source], values: Mapping[str, Any]) -> str:
    label = facts.reports["label"]
    for needed in (("verdict", "holds"), ("verdict", "words"), ("validity", "note"), ("validity", "table")):
        _measured(label, *needed)
    by_speech = _measured(label, "share_decided_by_speech")
    shared = card.figures(facts.rows, by_speech, label, facts.provenance) | {
        "reports": facts.reports,
        "metrics": facts.reports["assemble"],
        "rule": facts.rule,
        "label": facts.reports["label"],
        "labels": facts.labels,
        "normalised": facts.normalised,
        "audit": facts.audit,
        "settings": lambda variant: settings(without_folders(variant)).replace("|", "\\|"),
        "language": facts.language,
        "removal": REMOVAL,
        "sources": sources,
        "citation": bibliography(sources),
    }
    try:
        return card.fill(template, {**shared, **values}, FOLDER) + "\n"
    except (jinja2.UndefinedError, KeyError) as error:
        raise _not_measured(str(error)) from None


def _not_measured(what: str) -> UserError:
    return UserError(f"the card cannot be written, a number was not measured: {what}; run: dvc repro")


def _measured(values: Mapping[str, Any], *keys: str) -> Any:
    try:
        return reduce(getitem, keys, values)
    except (KeyError, TypeError):
        raise UserError(f"the card cannot be written, {'.'.join(keys)} was not measured; run: dvc repro") from None


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # of any value
        return True


def _yaml(parameters: Mapping[str, Any]) -> str:
    plain = without_folders(parameters)
    return yaml.dump(plain, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100).rstrip()


def without_folders(value: Any) -> Any:
    """Parameters with files and folders of this machine, which hold names of people and hosts, by their last part."""
    if isinstance(value, Mapping):
        return {key: without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_folders(inner) for inner in value]
    if isinstance(value, str) and (value.startswith(LOCAL) or value[1:3] == ":\\"):
        return PurePath(value.replace("\\", "/")).name
    return value


def configurations(exported: Exported) -> list[dict[str, Any]]:
    """What `load_dataset` can be asked for, as headers list it: `default` and `full` are columns of the same files."""
    return [configuration.entry for configuration in _configurations(exported)]


def _configurations(exported: Exported) -> list[Configuration]:
    found = []
    for name, level in LEVELS.items():
        if level not in exported.parts:  # no text has a sentiment
            continue
        splits = []
        for split in SPLIT_ORDER:
            parts = [part for part in exported.parts[level] if part.split == split]
            size = sum((exported.folder / part.name).stat().st_size for part in parts)
            if parts:
                splits.append(Split(split, f"{level}/{split}-*.parquet", sum(part.rows for part in parts), size))
        features, chosen = exported.features[level], None
        if name == "default":
            chosen = columns.default_columns(list(features))
            features = features.__class__({column: features[column] for column in chosen})
        found.append(Configuration(name, features, splits, chosen))
    return found
