"""Read everything that was built again, and say what is not as it should be.

    sier verify                               all folders, some of their media
    sier verify data/sier --media all
    sier verify --repair; dvc repro          remove damaged shards, and make just those anew

Checked are, in data/{clean,speech,scores/*,labels,sier}: size and sha256 of every file, Parquet and columns, counts,
reasons of rejects, pictures and recordings, ids, joins between stages, probabilities, labels (worked out anew from the
scores), the dataset's values, and that no group is torn between splits or folds. Where no folder is named, also all
other outputs: their bytes against dvc.lock, networks against what training noted, the rows that they held out, their
predictions (some worked out anew), the sums of explanations, the rows that card and report count. A fault hides no
other: what is whole is looked at, and joins say nothing of rows that may have stood in a damaged shard. A line per
fault on stdout; nothing is changed. With --repair damaged files are removed, so that `dvc repro` makes just those anew.
Exit code 1 if there is a fault, 0 if there is none.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UserError
from pipeline.frame.running import say
from pipeline.frame.stage import Paths
from pipeline.verification.folders import STAGES
from pipeline.verification.project import look_at, stages_of_outputs
from pipeline.verification.repair import repair
from pipeline.verification.shard_files import Fault

SHOWN = 20  # faults of a kind; the others are counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("folders", nargs="*", help="of data/; by default all that verify knows and that are there")
    parser.add_argument("--media", choices=("all", "sample", "none"), default="sample", help="what to decode")
    parser.add_argument("--repair", action="store_true", help="remove damaged shards, for dvc repro to make anew")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")


def run(options: argparse.Namespace) -> int:
    """Verify; returns 1 if there is a fault."""
    paths = Paths(Path())
    names = _chosen(options.folders, paths.data)
    look = look_at(paths, names, options.media, whole=not options.folders)
    faults = look.faults
    done = list(repair(faults, paths, stages_of_outputs(paths))) if options.repair else []
    looked = f"{look.shards} shards with {look.rows} rows in {', '.join(names)}"
    if not options.folders:
        looked += f", and {look.others} other outputs" if look.others else "; no dvc.lock to compare other outputs with"
    if options.json:
        _print_json(faults, done, looked)
    else:
        _print_lines(faults, done)
    print(f"verify: {looked}: {_count(faults)}", file=sys.stderr)
    return 1 if faults else 0


def _chosen(folders: Sequence[str], data: Path) -> list[str]:
    names = []
    for folder in folders:
        path = Path(folder).resolve()
        below = path.is_relative_to(data.resolve())
        names.append(path.relative_to(data.resolve()).as_posix() if below else folder)
        if names[-1] not in STAGES:
            raise UserError(f"{folder}: expected one of {', '.join(f'{data}/{known}' for known in STAGES)}")
    # Asked for all, what has not been built is no fault; what has a folder is looked at, with or without a manifest.
    chosen = [name for name in STAGES if (name in names if names else (data / name).is_dir())]
    if not chosen:
        raise UserError(f"{data}: nothing to verify there; run: dvc repro")
    return chosen


def _count(faults: Sequence[Fault]) -> str:
    if not faults:
        return "no faults"
    kinds = Counter(fault.kind for fault in faults)
    counts = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
    return f"{len(faults)} fault{'s' if len(faults) > 1 else ''} ({counts})"


def _print_lines(faults: Sequence[Fault], done: Sequence[str]) -> None:
    by_kind: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        by_kind[fault.kind].append(fault)
    for kind, alike in by_kind.items():
        for fault in alike[:SHOWN]:
            say(str(fault))
        if len(alike) > SHOWN:
            print(f"... and {len(alike) - SHOWN} more of kind {kind}; --json lists all")
    for line in done:
        say(line)


def _print_json(faults: Sequence[Fault], done: Sequence[str], looked: str) -> None:
    listed = [{"where": str(fault.where), "kind": fault.kind, "what": fault.what} for fault in faults]
    print(json.dumps({"looked_at": looked, "faults": listed, "repaired": list(done)}, indent=1))
