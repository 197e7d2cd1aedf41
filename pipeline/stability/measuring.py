"""What every variant makes of the labels: the records of reports/stability.json, see `report`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.errors import ModelError
from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame.params import PARAMS_FILE, read_params, section
from pipeline.frame.stage import Context
from pipeline.labels import rules
from pipeline.labels.joining import read_scored
from pipeline.labels.rules import LabelParams
from pipeline.stability import variants
from pipeline.stability.comparison import compare
from pipeline.stability.making import STEPS, make, stages_of
from pipeline.stability.report import digest
from pipeline.stability.variants import Variant

LOCK = "dvc.lock"
REMEDY = "run: dvc repro label"

Choose = Callable[[Sequence[Variant]], Sequence[Variant]]


def measure(
    given: Sequence[Variant], choose: Choose, kinds: Mapping[str, Any], context: Context, rows: int | None
) -> dict[str, Any]:
    """The content of the report; `choose` takes its pick of the variants that need no asking and those `given`.

    `kinds`: of the sections of params by name; `rows`: see `making.make`.
    Raises UserError: labels are missing or not those of params.yaml, a variant is not possible, a stage fails.
    """
    folder = context.paths.data / "labels"
    sections, params = context.sections, section(context.sections, "label", LabelParams)
    markers = shards.read_manifest(folder, "label")
    before = shards.read_parts(folder, markers, columns=["id", "label", "kept"]).to_pandas().set_index("id")
    _expect_current(sections, context.paths.root / LOCK)
    if not _labelling(params, context, "").equals(before):
        raise UserError(f"{folder}: other labels than data/scores and label of {PARAMS_FILE} give; {REMEDY}")
    chosen = choose([*variants.defaults(sections, read_scored(params, context).possible_rules), *given])
    changed = []
    for variant in chosen:
        with _named(variant):
            changed.append(variant.sections(sections))
            for name in ("label", *(stage.replace("@", ".") for stage in stages_of(variant))):
                section(changed[-1], name, kinds[name])
    records = []
    for variant, theirs in zip(chosen, changed, strict=True):
        with _named(variant):
            made = make(variant, theirs, kinds, context, rows)
            after = _labelling(section(theirs, "label", LabelParams), made, variant.alone)
            clean = made.paths.data / "clean"
            facts = shards.read_parts(
                clean, shards.read_manifest(clean, "clean"), columns=["id", "sentiment", "group_id"]
            )
            compared = compare(before, after, facts.to_pandas().set_index("id"), context.base.seed)
            records.append(asdict(variant) | {"made_anew": stages_of(variant)} | compared)
    return {"labels_sha256": digest(folder), "rows_asked_of_voices": rows, "variants": records}


def _labelling(params: LabelParams, context: Context, alone: str) -> pd.DataFrame:
    """Columns label and kept by id, as stage label has them, or by one teacher `alone`."""
    params.expect_labels(context.base.labels)
    scored = read_scored(params, context)
    votes, rule = scored.votes(params.rule), params.rule
    if alone:
        nothing = np.full_like(scored.alone.speech_max, -1)
        rule, votes = "max_probability", scored.alone
        votes = replace(votes, image_max=nothing) if alone == "speech" else replace(votes, speech_max=nothing)
    kept = rules.drop_reasons(rule, params.threshold, votes, params.neutral) == ""
    labels = rules.remap(votes.source_label, params.remap, params.neutral)
    return pd.DataFrame({"label": pd.array(labels, dtype="str"), "kept": kept}, index=scored.rows["id"])


def _expect_current(sections: Mapping[str, Any], lock: Path) -> None:
    """Raises UserError where data/ was made with other parameters, as far as DVC noted them."""
    stages = read_params(lock).get("stages", {}) if lock.is_file() else {}
    for stage in (*STEPS, "label"):
        for name, value in stages.get(stage, {}).get("params", {}).get(PARAMS_FILE, {}).items():
            found: Any = sections
            for part in name.split("."):
                found = found.get(part) if isinstance(found, dict) else None
            if found != value:
                raise UserError(f"{PARAMS_FILE}: section {name} has changed since {stage} was run; {REMEDY}")


@contextmanager
def _named(variant: Variant) -> Iterator[None]:
    try:
        yield
    except (UserError, ModelError) as error:
        if str(error).startswith("variant "):
            raise
        raise UserError(f"variant {variant.name}: {error}") from None
