"""One way to start, stop and fail for everything that people type: `sier <command>`, or `python -m pipeline <command>`.

A command is a module of this package, named as it is typed. Its docstring is what `--help` shows, with an example; it
offers `add_arguments(parser)` and `run(options)`, which returns an exit code, or None for 0. Only the module of the
command that is asked for is imported.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from pipeline.errors import UserError
from pipeline.frame.running import exit_code, fail

COMMANDS = {
    "init": "make a project folder of your own table of texts and pictures",
    "check": "read every section of params.yaml, before DVC deletes anything",
    "plan": "what a run will take on this machine, and what it lacks",
    "summary": "the finished run on one screen",
    "compare": "two runs side by side: settings, rows kept, labels flipped, figures",
    "stability": "how many labels change with another threshold, rule, seed, teacher or voice",
    "verify": "read everything that was built again, and say what is not as it should be",
    "predict": "what a network makes of a picture, a recording, or both",
    "explain": "what in a picture and in speech an answer rests on, as a picture",
    "demo": "a page where one can try all of it: picture, text or recording, answer and explanation",
    "rate": "let people judge rows of the dataset, and print how often they agree",
    "publish": "put the dataset, or a network, on the Hugging Face Hub",
    "rebuild": "join a dataset that was published without media with your own copy of B-T4SA",
}
DESCRIPTION = "The SIER pipeline's commands. The dataset itself is built by: dvc repro"


class UsageError(UserError):
    """Arguments that do not go together: exit code 2, as for those that argparse refuses itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; returns the exit code (see `pipeline.frame.running`)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in COMMANDS:
        return run_command(given[0], given[1:])
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="sier",
        usage="sier <command> [arguments]",
        description=DESCRIPTION,
        epilog="\n".join([
            "commands:", *(f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()),
            "\nexample: sier predict --help",
        ]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=version("sier-pipeline"))
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    command = parser.parse_known_args(given)[0].command
    parser.print_usage(sys.stderr)
    return fail("sier", f"expected a command: {', '.join(COMMANDS)}" + (f"; found {command}" if command else ""), 2)


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code."""

    def work() -> int:
        module = import_module(f"pipeline.commands.{name}")
        parser = argparse.ArgumentParser(
            prog=f"sier {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(parser)
        options = parser.parse_args(arguments)
        try:
            return module.run(options) or 0
        except UsageError as error:
            parser.error(str(error))

    return exit_code(name, work)
