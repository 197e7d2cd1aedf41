"""Map a function over the shards of a stage: resume, count, show progress, publish.

Finished shards wait in `.work/<stage>/<fingerprint>/`, outside DVC's outs, which DVC deletes before each run. The
folders of other fingerprints are removed when a run completes; until then a change of mind does not cost finished
work.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from pipeline.engine import files, shards
from pipeline.engine.pool import Job, LocalEngine, MakeWorker


@dataclass(frozen=True)
class Work:
    """One pass over shards.

    Attributes:
        name: shown in progress bars and messages.
        folder: `.work/<stage>/<fingerprint>`, or a folder below it for the pass of a stage that has several.
    """

    name: str
    folder: Path
    fingerprint: str
    make_worker: MakeWorker
    tasks: Sequence[shards.Task] = field(default_factory=tuple)


def run_shards(engine: LocalEngine, work: Work) -> list[shards.Marker]:
    """Commit every shard of `work` that is not committed yet; returns all markers in order of shards.

    Raises:
        UserError, RetryableError: see `LocalEngine.run`; committed shards stay for the next run.
    """
    work.folder.mkdir(parents=True, exist_ok=True)
    done = {task.index: shards.committed(work.folder, task.index, work.fingerprint) for task in work.tasks}
    ready = {index: marker for index, marker in done.items() if marker is not None}
    missing = [task for task in work.tasks if task.index not in ready]
    if ready and missing:
        print(f"{work.name}: {len(ready)} of {len(work.tasks)} shards were finished by an earlier run", file=sys.stderr)
    job = Job(work.make_worker, work.folder, work.fingerprint)
    total = sum(task.rows for task in work.tasks)
    with tqdm(total=total, desc=work.name, unit="row", disable=None, smoothing=0.1) as bar:
        skipped = 0
        bar.update(sum(marker.rows_in for marker in ready.values()))
        for marker in engine.run(job, missing):
            ready[int(marker.shard.removeprefix("part-"))] = marker
            skipped += marker.rejects.rows
            bar.set_postfix(rejected=skipped, refresh=False)
            bar.update(marker.rows_in)
    for left_behind in work.folder.rglob(files.TEMPORARY.format(name="*", process="*")):  # by workers that were killed
        left_behind.unlink()
    return [ready[task.index] for task in work.tasks]


def work_folder(root: Path, stage: str, fingerprint: str) -> Path:
    """Where a stage's shards of this fingerprint are committed."""
    return root / stage / fingerprint[:16]


def finish(folder: Path) -> None:
    """After success: remove the stage's folders of other fingerprints."""
    for other in folder.parent.iterdir():
        if other.is_dir() and other != folder:
            files.remove_tree(other)
