"""Make what a variant changes, in a folder of its own: `.work/stability/<digest of its settings>`.

Stages behind a changed parameter are run there as they are; all else is a link to the project's own data. They find
hard links to the project's unfinished and finished shards in their `.work`, so that their own fingerprints tell what
has to be made anew: another seed needs no new vectors, another limit of recognition no new speech.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.engine import files, shards
from pipeline.frame.params import section
from pipeline.frame.stage import BaseParams, Context, Paths
from pipeline.stability.variants import SEED, Variant

FOLDER = "stability"  # below .work


@dataclass(frozen=True)
class Step:
    """A stage of dvc.yaml: its folder of data/, and which of the others it reads."""

    out: str
    needs: tuple[str, ...] = ()


STEPS = {
    "synthesize": Step("speech"),
    "train_teacher@speech": Step("checkpoints/ser"),
    "train_teacher@image": Step("checkpoints/ier"),
    "score@speech": Step("scores/speech", ("synthesize", "train_teacher@speech")),
    "score@image": Step("scores/image", ("train_teacher@image",)),
}
SOURCES = ("clean", "corpora")


def stages_of(variant: Variant) -> list[str]:
    """The stages that a variant runs, in order."""
    chosen: list[str] = []
    for stage, step in STEPS.items():
        name = stage.replace("@", ".")
        keys = {"train_teacher" if key == SEED else key for key in variant.settings}
        changed = any(f"{key}.".startswith(f"{name}.") or f"{name}.".startswith(f"{key}.") for key in keys)
        if changed or set(step.needs) & set(chosen):
            chosen.append(stage)
    return chosen


def make(
    variant: Variant, sections: Mapping[str, Any], kinds: Mapping[str, Any], context: Context, rows: int | None
) -> Context:
    """Where the variant's scores lie: `context` itself if it needs no new ones. `sections` are the variant's.

    A killed run goes on. `kinds`: of the sections by name. Where a voice speaks anew, it says only the `rows` that
    shards, drawn at random, hold, or a few more. Raises UserError as the stages do.
    """
    stages = stages_of(variant)
    if not stages:
        return context
    limit = rows if "synthesize" in stages else None
    key = hashlib.sha256(json.dumps([dict(variant.settings), limit], sort_keys=True).encode()).hexdigest()[:16]
    ours, store = context.paths, context.paths.store
    paths = Paths(ours.work / FOLDER / key, None if store is None else store / FOLDER / key)
    for name in (*SOURCES, *(step.out for stage, step in STEPS.items() if stage not in stages)):
        _link(ours.data / name, paths.data / name)
    if limit is not None:
        _draw(ours.data / "clean", paths.data / "clean", limit, context.base.seed)
    base = section(sections, "base", BaseParams)
    for stage in stages:
        print(f"stability: {variant.name}: {stage}", file=sys.stderr, flush=True)
        module, _, item = stage.partition("@")
        name = stage.replace("@", ".")
        _share_shards(name, ours.work, paths.work)
        params = section(sections, name, kinds[name])
        import_module(f"pipeline.{module}").run(params, Context(base, paths, context.engine, item, sections))
    return replace(context, paths=paths)


def _link(source: Path, target: Path) -> None:
    files.remove_tree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source.resolve(), target_is_directory=True)


def _draw(source: Path, target: Path, rows: int, seed: int) -> None:
    """A folder of shards with as many of those of `source` as hold so many rows, in their order."""
    markers = shards.read_manifest(source, "clean")
    drawn, held = set[str](), 0
    for marker in sorted(markers, key=lambda one: hashlib.sha256(f"{seed} {one.shard}".encode()).digest()):
        if held < rows:
            drawn.add(marker.shard)
            held += marker.part.rows
    chosen = [marker for marker in markers if marker.shard in drawn]
    with files.replacing(target) as new:
        for marker in chosen:
            files.link_or_copy(source / marker.part.name, new / marker.part.name)
            files.link_or_copy(source / marker.rejects.name, new / marker.rejects.name)
        files.write_bytes(new / shards.MANIFEST, shards.manifest(chosen))


def _share_shards(name: str, source: Path, target: Path) -> None:
    """Hard links to what a stage's runs left in `source`; a stage never changes such a file in place."""
    for folder in source.glob(f"{name}*"):
        if folder.is_dir() and not (target / folder.name).exists():
            for path in folder.rglob("*"):
                if path.is_file():
                    files.link_or_copy(path, target / folder.name / path.relative_to(folder))
