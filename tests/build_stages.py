"""Run the stages of the project in this folder, in the order of the graph, in one process.

`python -m tests.build_stages [last stage]` calls each as its command line does; only what `dvc repro` does around it
is missing. That saves a build some twenty times the imports of torch and transformers. A stage whose outputs are all
there is left alone. Prints a line for each output of those that ran.
"""

from __future__ import annotations

import runpy
import shlex
import sys

import networkx as nx
from dvc.repo import Repo


def main(last: str | None = None) -> int:
    with Repo() as repo:
        graph = repo.index.graph  # arrows go from a stage to those that it needs
        stages = {stage.addressing: stage for stage in graph}
        wanted = set(graph) if last is None else {stages[last], *nx.descendants(graph, stages[last])}
        by_name = nx.lexicographical_topological_sort(graph.reverse(copy=True), key=lambda stage: stage.addressing)
        wanted = {stage for stage in wanted if not all(out.exists for out in stage.outs)}
        commands = [(stage.addressing, shlex.split(stage.cmd)) for stage in by_name if stage in wanted]
        outs = [out.def_path for stage in wanted for out in stage.outs]
    for name, (_python, _flag, module, *arguments) in commands:
        sys.argv = [module, *arguments]
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            if stop.code:
                print(f"{name} ended with {stop.code}", file=sys.stderr)
                return 1
    print("\n".join(outs))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
