"""All files of a repository, card included: of a dataset, or of a network."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from huggingface_hub import constants

from models.weights.whisper_weights import MODEL_FILE
from pipeline.dataset.sources import Source
from pipeline.engine import files as storage
from pipeline.errors import UserError
from pipeline.networks.params import WHISPER, InputParams
from pipeline.publishing import cards, citations, columns, croissant, lineage, pictures, results
from pipeline.publishing.columns import Mode
from pipeline.publishing.export import Exported, export
from pipeline.publishing.facts import Facts
from pipeline.publishing.gate import Gate
from pipeline.publishing.history import changelog, versions
from pipeline.publishing.history.receipts import Published
from pipeline.publishing.history.versions import Contents, Previous, Version
from pipeline.publishing.ownership import CARD

FOLDER = Path(__file__).parent
PROCESSOR = FOLDER.parents[1] / "models" / "parallelnet" / "processing_parallelnet.py"
# What the processor imports, besides what the network does.
OF_PROCESSOR = tuple(PROCESSOR.with_name(f"{name}.py") for name in ("word_frames", "explaining_parallelnet"))

Files = dict[str, Path | bytes]


def dataset_files(
    facts: Facts, data: Path, folder: Path, mode: Mode, repo_id: str, inputs: InputParams, gate: Gate = "none", *,
    keep_personal: bool, published: date, builder: str = versions.UNKNOWN, previous: Previous | None = None,
    dropped: Collection[str] = (),
) -> Files:  # fmt: skip
    """Write the Parquet files of a mode into `folder`, an empty one, and describe them.

    They are the version after `previous`, built by the commit `builder`, without the rows whose ids are `dropped`; one
    that is new is of the day `published`.
    """
    rows = facts.rows[~facts.rows["id"].isin(list(dropped))]
    facts = replace(facts, rows=rows, on_request=len(facts.rows) - len(rows))
    if rows.empty:
        raise UserError("no row is left to publish; all are on the list of --drop")
    exported = export(data, folder, mode, inputs, keep_personal=keep_personal, dropped=dropped)
    files: Files = {part.name: folder / part.name for parts in exported.parts.values() for part in parts}
    labels = dict(zip(rows["id"].astype(str), rows["label"].astype(str), strict=True))
    # With the version of nothing: what is the same then is the same in whatever version, on whatever day.
    undecided = _described(facts, versions.UNDECIDED, exported, repo_id, gate, keep_personal=keep_personal)
    types = versions.described({level: exported.features[level] for level in exported.parts})
    contents = Contents(types, _digest(files), _digest(undecided), lineage.sources(facts.params, data))
    record = versions.next_record(previous, contents, labels, builder, published, facts.on_request)
    files |= _described(facts, record.version, exported, repo_id, gate, keep_personal=keep_personal)
    columns.write(versions.labels_table(labels), folder / versions.LABELS)
    files[versions.LABELS] = folder / versions.LABELS
    files[versions.RECORD] = record.dump()
    files[changelog.CHANGELOG] = changelog.render(record)
    return files


def _described(
    facts: Facts, version: Version, exported: Exported, repo_id: str, gate: Gate, *, keep_personal: bool
) -> Files:
    """All files that tell of the rows: what changes in them alone makes a PATCH."""
    facts = replace(facts, version=version)
    metadata = exported.folder / "croissant.json"
    metadata.write_bytes(
        croissant.croissant(
            facts, exported, repo_id, constants.ENDPOINT, keep_personal=keep_personal, published=version.day
        )
    )
    croissant.check(metadata)
    return {
        "pictures/distributions.png": pictures.distributions(facts.rows, facts.labels),
        CARD: cards.dataset_card(facts, exported, repo_id, gate, keep_personal=keep_personal).encode(),
        "DATASHEET.md": cards.datasheet(facts, exported, gate, keep_personal=keep_personal).encode(),
        metadata.name: metadata.read_bytes(),
        **_terms(facts, "this dataset", facts.provenance.sources, ids_only=exported.mode == "no_media"),
    }


def _digest(files: Files) -> str:
    """Hex sha256 of files with their names."""
    sums = {
        name: hashlib.sha256(given).hexdigest() if isinstance(given, bytes) else storage.sha256_of(given)
        for name, given in files.items()
    }
    return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()


def model_files(
    facts: Facts, checkpoints: Path, name: str, repo_id: str, gate: Gate = "none", dataset: Published | None = None
) -> Files:
    """Weights, code, processor, snippet, card and figures of the network `name`; `dataset`: that of its rows."""
    from pipeline.networks.loading import expect_checkpoint  # noqa: PLC0415 - brings torch along

    folder = checkpoints / name
    expect_checkpoint(folder)
    config = json.loads((folder / "config.json").read_bytes())
    files: Files = {path.name: path for path in sorted(folder.glob("*.py"))}
    files |= {name: folder / name for name in ("config.json", "model.safetensors")}
    files |= {path.name: path for path in (PROCESSOR, *OF_PROCESSOR)}
    processor = processor_config(config)
    files["processor_config.json"] = (json.dumps(processor, indent=2, sort_keys=True) + "\n").encode()
    files["predict.py"] = FOLDER / "predict.py.txt"
    known_as = dataset.repo_id if dataset else cards.DATASET
    files[CARD] = cards.model_card(facts, repo_id, name, config, gate, known_as).encode()
    files |= _terms(facts, f"the network {name}", cards.model_sources(facts, name), ids_only=False)
    if dataset and facts.params["models"][name]["rows"] == "sier":
        files[results.PATH] = results.entries(facts.reports["evaluate"]["models"][name], dataset)
    return files


def _terms(facts: Facts, what: str, sources: Sequence[Source], *, ids_only: bool) -> Files:
    return {
        cards.LICENCE: cards.licence(facts, what, sources, ids_only=ids_only).encode(),
        citations.FILE.name: (citations.bibliography(sources) + "\n").encode(),
    }


def processor_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the processor of a network with this configuration needs to know."""
    processor = {key: config[key] for key in
                 ("image_size_px", "duration_seconds", "n_mels", "n_frames", "sampling_rate_hz")}  # fmt: skip
    if config.get("speech_backbone") == WHISPER and config["modalities"] != "image":
        names = ("distribution", "module", "relative", "sha256")
        processor["n_word_frames"] = config["n_word_frames"]
        processor["word_weights"] = {key: getattr(MODEL_FILE, key) for key in names}
    processor["auto_map"] = {"AutoProcessor": f"{PROCESSOR.stem}.ParallelNetProcessor"}
    processor["processor_class"] = "ParallelNetProcessor"
    return processor
