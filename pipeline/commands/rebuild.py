"""Join a dataset that was published without media with your own copy of B-T4SA.

    sier rebuild --source owner/name --out FOLDER

In   a dataset published by `publish --mode no_media`; data/clean and data/speech, made from your copy by
     dvc repro synthesize
Out  FOLDER: the same rows with speech, picture and text, as `publish --mode full` writes them; rejects.csv: id, status,
     reason of rows that cannot be rebuilt

A picture of other pixels than the published digest names is a reject. Speech of other bytes is kept and counted: voices
differ in the last bit between kinds of processors. `--refresh FILE` leaves out the tweets or rows whose ids it lists,
one a line, `#` before comments: those that were deleted since.
"""

import argparse
from pathlib import Path

from pipeline.commands import output_files
from pipeline.commands.command import UsageError
from pipeline.frame.running import say
from pipeline.frame.stage import Paths
from pipeline.publishing.dropping import read_list
from pipeline.publishing.rebuilding import rebuild


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("--source", required=True, help="a repository of the Hub, or a folder with its files")
    parser.add_argument("--out", required=True, type=Path, help="a new folder, in one that is there")
    parser.add_argument("--rows-per-file", type=int, default=1_000, help="default: %(default)s")
    parser.add_argument("--keep-mentions", action="store_true", help="leave mentions, links and the like in texts")
    parser.add_argument("--refresh", type=Path, metavar="FILE", help="leave out the tweets or rows whose ids it lists")


def run(options: argparse.Namespace) -> None:
    """Rebuild, and count what became of the rows."""
    if options.rows_per_file < 1:
        raise UsageError("--rows-per-file: expected a number from 1")
    data = Paths(Path()).data
    out = output_files.new(options.out, [data, Path(options.source)])
    refresh = read_list(options.refresh) if options.refresh else ()
    counts, dropped = rebuild(
        options.source, data, out, options.rows_per_file, keep_personal=options.keep_mentions, refresh=refresh
    )
    if options.refresh:
        say(f"rebuild: {dropped.told(options.refresh)}")
    say(f"rebuild: {options.out}: " + ", ".join(f"{status} {count}" for status, count in counts.items()))
