"""Where a stage stands in the whole of `dvc repro`: how many stages come before it, and how long the rest may take.

In   dvc.yaml; dvc.lock is not needed: a stage is behind us if it has run since DVC was started, or if one that has run
     reads what it makes. Seconds of an earlier run in `.work/usage`, of `sier plan` where there was none
Out  `.work/run.json`: the DVC process, and the stages that are behind it

Nothing of this can fail a run: where dvc.yaml is not to be understood, nothing is said.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from pipeline.engine import files, lifecycle, usage

GRAPH = Path("dvc.yaml")
RUN_FILE = "run.json"

Graph = dict[str, set[str]]  # of each stage those whose outputs it reads


def duration(seconds: float) -> str:
    """Two units at most: `3 d 4 h`, `2 h 5 min`, `40 s`."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    return f"{minutes // 60} h {minutes % 60:02} min" if hours < 48 else f"{hours // 24:,} d {hours % 24} h"


def standing(name: str, sections: Mapping[str, Any], work: Path) -> str | None:
    """`[7/23] score@speech: ...` for the stage `name` that DVC has started; None if it has not, or nothing is known."""
    process = lifecycle.dvc_process()
    if process is None:
        return None
    try:
        graph = read_graph(yaml.safe_load(GRAPH.read_bytes()), sections)
        settled = behind(graph, name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, yaml.YAMLError):
        return None
    mark = [process.pid, process.create_time()]
    is_first = True
    with suppress(OSError, ValueError, KeyError, TypeError):  # of another run, damaged, or not there
        earlier = json.loads((work / RUN_FILE).read_bytes())
        if earlier["dvc"] == mark:
            settled |= set(earlier["settled"]) & graph.keys()
            is_first = False
    settled.discard(name)
    with suppress(OSError):
        run = {"dvc": mark, "settled": sorted({*settled, name})}
        files.write_bytes(work / RUN_FILE, json.dumps(run).encode())
    left = [stage for stage in graph if stage not in settled]
    times = _times(left, time.time() - mark[1], usage.expected(work), is_first)
    return f"[{len(settled) + 1}/{len(graph)}] {name}: {times}"


def _times(left: list[str], elapsed_seconds: float, expected: Mapping[str, float], is_first: bool) -> str:
    """`is_first`: of the stages of a run, the only one that need say why nothing is known of the rest."""
    known = [expected[stage] for stage in left if stage in expected]
    so_far = f"{duration(elapsed_seconds)} so far"
    if not known:
        why = "; how long the rest takes is not known before a first run, or sier plan"
        return f"{so_far}{why if is_first else ''}"
    unknown = f", besides {len(left) - len(known)} stages not measured yet" if len(known) < len(left) else ""
    return f"{so_far}, at most about {duration(sum(known))} left{unknown}, if it goes as before"


def behind(graph: Graph, name: str) -> set[str]:
    """All stages without which `name` could not run."""
    found: set[str] = set()
    todo = [name]
    while todo:
        new = graph[todo.pop()] - found
        found |= new
        todo += new
    return found


def read_graph(document: Any, sections: Mapping[str, Any]) -> Graph:
    """The stages of dvc.yaml by name, with `foreach` expanded; KeyError and the like where it is not as DVC has it."""
    reads: dict[str, list[str]] = {}
    makers: dict[str, str] = {}
    for name, stage, values in _stages(document["stages"], sections):
        reads[name] = [_filled(path, values) for path in stage.get("deps", ())]
        outs = (next(iter(out)) if isinstance(out, dict) else out for out in stage.get("outs", ()))
        makers |= {_filled(out, values): name for out in outs}
    return {
        name: {maker for out, maker in makers.items() if maker != name and any(_meet(out, path) for path in paths)}
        for name, paths in reads.items()
    }


def _stages(stages: Mapping[str, Any], sections: Mapping[str, Any]) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Name, body, and what `${...}` in it stands for."""
    for name, stage in stages.items():
        if "foreach" not in stage:
            yield name, stage, sections
            continue
        items = stage["foreach"]
        if isinstance(items, str):
            items = _looked_up(items.removeprefix("${").removesuffix("}"), sections)
        for key in items:
            item = items[key] if isinstance(items, dict) else key
            yield f"{name}@{key}", stage["do"], {**sections, "key": key, "item": item}


def _filled(path: str, values: Mapping[str, Any]) -> str:
    return re.sub(r"\$\{([^}]+)\}", lambda found: str(_looked_up(found[1], values)), path)


def _looked_up(name: str, values: Any) -> Any:
    for part in name.split("."):
        values = values[part]
    return values


def _meet(one: str, other: str) -> bool:
    """Whether they are the same path, or one lies in the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
