"""What a run will take on this machine, and what it lacks, before days of computing.

    sier plan                                               of params.yaml
    sier plan --params params.paper.yaml --rows 470586

In   a params file; a pilot of every stage on a few tweets of the sample, some minutes, kept in `.work/plan`
Out  a table of stages: units, shards, hours, disk; then hours of speech, hours of training on a GPU, what is missing.
     Nothing else is changed

Exit code 1 if the run cannot succeed as things are.
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

from pipeline.commands.check import check
from pipeline.engine import usage
from pipeline.frame import places
from pipeline.frame.params import PARAMS_FILE
from pipeline.frame.running import say
from pipeline.planning.gpus import REPORT
from pipeline.planning.plan import Wanted, make_plan
from pipeline.planning.show import show

PILOT_TWEETS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    rows, tweets = _number("rows, 1 or more", 1), _number("tweets, 24 to 10000", 24, 10_000)
    parser.add_argument("--params", type=Path, default=Path(PARAMS_FILE), help=f"by default {PARAMS_FILE}")
    parser.add_argument("--rows", type=rows, help="pairs of tweet and picture; by default those of the corpus")
    parser.add_argument("--kept-share", type=_share, help="of labelled rows over the threshold; the pilot's by default")
    parser.add_argument("--pilot-tweets", type=tweets, default=PILOT_TWEETS, help=f"by default {PILOT_TWEETS}")
    parser.add_argument("--measured", type=Path, help=f"report of python -m benchmarks.gpu; {REPORT} if it is there")
    parser.add_argument("--again", action="store_true", help="measure anew, even if there is a pilot of these params")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the plan; returns 1 if the run cannot succeed as things are."""
    check(options.params)
    wanted = Wanted(
        options.params, options.rows, options.kept_share, options.pilot_tweets, options.again, options.measured
    )
    plan = make_plan(wanted, Path())
    if options.params == Path(PARAMS_FILE):  # what `dvc repro` will run
        seconds = {stage["stage"]: stage["seconds"] for stage in plan["stages"] if stage["seconds"] is not None}
        usage.write_plan(places.WORK, seconds)
    print(json.dumps(plan, indent=1)) if options.json else say(show(plan))
    return 1 if any(need["fatal"] for need in plan["needs"]) else 0


def _number(what: str, least: int, most: float = math.inf) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text}: expected a number of {what}")
        return int(text)

    return parse


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a share above 0 and at most 1")
    return share
