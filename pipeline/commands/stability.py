"""How many labels change with another threshold, rule, seed, teacher or voice.

    sier stability                      thresholds, rules, one teacher alone, another seed of the teachers
    sier stability --rows 2000 --variant "another voice" "synthesize.voice={engine: piper, model: en_US-joe-medium}"
    sier stability --only "voice as it is" --variant "voice as it is" train_teacher.speech.normalise=none

In   params.yaml, data/clean to data/labels
Out  reports/stability.json, which the published card and sier summary show as long as the labels stay the same

Nothing in data/ changes. What a variant needs is made in .work/stability, by the stages behind what it changes and
those only; a run that was stopped goes on, and finished shards are used again.
"""

import argparse
import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import yaml

from pipeline.commands.check import SECTIONS, check
from pipeline.commands.command import UsageError
from pipeline.engine import lifecycle, parts
from pipeline.engine.environment import engine_from_environment, store_from_environment
from pipeline.errors import UserError
from pipeline.frame.metrics_files import write_metrics
from pipeline.frame.params import PARAMS_FILE, read_params, section
from pipeline.frame.running import say
from pipeline.frame.stage import BaseParams, Context, Paths
from pipeline.stability import report
from pipeline.stability.measuring import measure
from pipeline.stability.variants import Variant

NAME = re.compile(r"\w[\w .,+-]{0,39}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument(
        "--variant", action="append", default=[], nargs="+", metavar=("NAME", "KEY=VALUE"),
        help="one more: parameters by their dotted names, and values as in params.yaml; can be repeated",
    )  # fmt: skip
    parser.add_argument("--only", action="append", metavar="NAME", help="this variant, not all; can be repeated")
    parser.add_argument(
        "--rows", type=int, metavar="N", help="about as many rows, drawn by shards, where a voice has to speak again"
    )


def run(options: argparse.Namespace) -> None:
    """Measure, write the report, and print a line for each variant."""
    given = [_variant(*words) for words in options.variant]
    if options.rows is not None and options.rows < 1:
        raise UsageError("--rows: expected a number from 1")

    def choose(known: Sequence[Variant]) -> list[Variant]:
        names = [variant.name for variant in known]
        if again := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"--variant {again}: there is one of this name; expected another")
        if strange := sorted(set(options.only or []) - set(names)):
            raise UserError(f"--only {strange[0]}: no such variant; expected one of: {', '.join(names)}")
        return [variant for variant in known if variant.name in (options.only or names)]

    check(Path(PARAMS_FILE))
    sections, paths = read_params(Path(PARAMS_FILE)), Paths(Path(), store_from_environment())
    with lifecycle.only_run(paths.work / "stability.lock"), closing(engine_from_environment()) as engine:
        if engine.part is not None:
            raise UserError(f"{parts.VARIABLE} = {engine.part}: stability cannot be run in parts; run it without")
        context = Context(section(sections, "base", BaseParams), paths, engine, "", sections)
        found = measure(given, choose, SECTIONS, context, options.rows)
    write_metrics(paths.reports / report.FILE, found)
    say("\n".join([f"stability: {paths.reports / report.FILE}", *report.lines(found)]))


def _variant(name: str, *settings: str) -> Variant:
    if not NAME.fullmatch(name):
        raise UsageError(f"--variant {name}: expected a name of letters, digits, spaces and . , + - first")
    values = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        try:
            values[key] = yaml.safe_load(text)
        except yaml.YAMLError:
            equals = ""
        if not equals:
            raise UsageError(f"--variant {name}: {setting}: expected KEY=VALUE, the value as in {PARAMS_FILE}")
    if not values:
        raise UsageError(f"--variant {name}: expected KEY=VALUE after the name")
    return Variant(name, values)
