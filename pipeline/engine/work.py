"""Map a function over the shards of a stage: resume, count, show progress, publish.

Finished shards wait in `.work/<stage>/<fingerprint>/`, outside DVC's outs, which DVC deletes before each run, or at the
same place of the store that `SIER_WORK` names. The folders of other fingerprints are removed when a run completes;
until then a change of mind does not cost finished work.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipeline.engine import files, parts, shards, store
from pipeline.engine.progress import LOADING, Progress
from pipeline.engine.store import Folder
from pipeline.engine.worker import Engine, Job, MakeWorker

F = TypeVar("F", bound=Folder)


@dataclass(frozen=True)
class Work:
    """One pass over shards."""

    name: str  # shown in progress bars and messages
    folder: Folder  # of `work_folder`, or a folder below it for the pass of a stage that has several
    fingerprint: str
    make_worker: MakeWorker
    tasks: Sequence[shards.Task] = ()
    last: bool = True  # whether the stage only publishes after it; see `pipeline.engine.parts`


def run_shards(engine: Engine, work: Work) -> list[shards.Marker]:
    """Commit every shard of `work` that is not committed yet; returns all markers in order of shards.

    Committed shards stay for the next run, whatever it raises: errors of `Engine.run`, or PartDone where the engine
    does a part of the shards, and the stage cannot go on with that.
    """
    store.prepare(work.folder)
    ready = _committed(work)
    missing = [task for task in work.tasks if task.index not in ready]
    wanted = [task for task in missing if engine.part is None or engine.part.has(task.index)]
    if ready and missing:
        print(f"{work.name}: {len(ready)} of {len(work.tasks)} shards were finished by an earlier run", file=sys.stderr)
    job = Job(work.make_worker, work.folder, work.fingerprint)
    rows_ready = sum(marker.rows_in for marker in ready.values())
    total = rows_ready + sum(task.rows for task in wanted)
    with Progress(total=total, initial=rows_ready, desc=work.name, unit="row", smoothing=0.1) as bar:
        rejected = 0
        bar.set_postfix_str(LOADING if wanted else "")
        for marker in engine.run(job, wanted):
            ready[shards.shard_index(marker)] = marker
            rejected += marker.rejects.rows
            bar.set_postfix(rejected=rejected, refresh=False)
            bar.update(marker.rows_in)
    if engine.part is not None:
        _stop_part(engine.part, work, missing, len(wanted))
    elif isinstance(work.folder, Path):  # nobody else works here
        for left_behind in work.folder.rglob(files.TEMPORARY.format(name="*", process="*")):  # by killed workers
            left_behind.unlink()
    return [ready[task.index] for task in work.tasks]


def is_finished(work: Work) -> bool:
    """Whether every shard of `work` is committed, so that `run_shards` would do nothing."""
    # Not by `_committed`: the first shard that is missing spares the hashes of all others.
    return all(shards.committed(work.folder, task.index, work.fingerprint) for task in work.tasks)


def _committed(work: Work) -> dict[int, shards.Marker]:
    markers = {task.index: shards.committed(work.folder, task.index, work.fingerprint) for task in work.tasks}
    return {index: marker for index, marker in markers.items() if marker is not None}


def _stop_part(part: parts.Part, work: Work, missing: list[shards.Task], done: int) -> None:
    """Let a part end here, unless the pass was complete before and another one follows."""
    if not missing:
        if work.last:
            raise parts.PartDone(f"all shards are done; run without {parts.VARIABLE} to publish")
        return
    others = [task for task in missing if not part.has(task.index)]
    unfinished = [task for task in others if shards.committed(work.folder, task.index, work.fingerprint) is None]
    mine = sum(part.has(task.index) for task in work.tasks)
    what = f"{work.name}: part {part}: {done} shards done now, {mine} of {mine} in all; "
    again = f"run without {parts.VARIABLE}, which joins and publishes"
    if unfinished:
        then = again if work.last else f"all parts again for the pass after this one, or {again}"
        raise parts.PartDone(f"{what}{len(unfinished)} of {len(work.tasks)} are other parts'; run those, then {then}")
    then = again if work.last else f"run all parts again for the next pass, or {again}"
    raise parts.PartDone(f"{what}all {len(work.tasks)} shards are done; {then}")


def work_folder(root: F, stage: str, fingerprint: str) -> F:
    """Where a stage's shards of this fingerprint are committed."""
    return root / stage / fingerprint[:16]  # type: ignore[return-value]


def finish(*folders: Folder) -> None:
    """After success: remove the stage's folders of other fingerprints."""
    for folder in folders:
        for other in store.folders_in(folder.parent):
            if other != folder:
                store.remove_tree(other)
