"""People judge rows of the dataset, as in the paper's human evaluation (section 3.1.1, Table 1).

    sier rate [--per-class 25]      a page for raters, on this machine; Ctrl-C ends it
    sier rate --results [--json]    Table 1: people's accuracy beside the paper's
    sier rate --export FILE.csv     every answer as a row
    sier rate --withdraw NAME       removes what is kept of a rater who asks for it

What people said is data of its own, kept in ratings.sqlite, and no run deletes it. Who serves
others than this machine must give SIER_RATE_SECRET a value; raters log in with it. An export
replaces an earlier one whose rows it all has, any other file only with --force.
"""

import argparse
import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.commands import output_files
from pipeline.commands.command import UsageError
from pipeline.engine import files, lifecycle
from pipeline.errors import UserError
from pipeline.frame.metrics_files import csv_bytes
from pipeline.frame.params import PARAMS_FILE, read_params, section
from pipeline.frame.stage import BaseParams, Paths
from pipeline.rating import store
from pipeline.rating.beginning import PER_CLASS, labels_of, prepare
from pipeline.rating.uploads import Uploads
from pipeline.tweets.params import TextParams

RATINGS = Path("ratings.sqlite")
PER_CLASS_MAX = 500  # their media are held in memory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("--ratings", type=Path, default=RATINGS, metavar="FILE", help="default: %(default)s")
    parser.add_argument(
        "--per-class", type=int, metavar="N",
        help=f"rows of each label, for a new file of ratings (default: {PER_CLASS})",
    )  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", help="address to serve (default: %(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="default: %(default)s")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--results", action="store_true", help="print Table 1")
    what.add_argument("--export", type=Path, metavar="FILE", help="write every answer to a CSV file")
    parser.add_argument("--json", action="store_true", help="with --results: one JSON object")
    what.add_argument("--withdraw", metavar="NAME", help="remove a rater's answers and recordings")
    output_files.add_force(parser)


def run(options: argparse.Namespace) -> None:
    """Serve the page, print Table 1, or write the answers."""
    if options.json and not options.results:
        raise UsageError("--json goes with --results")
    if options.force and not options.export:
        raise UsageError("--force goes with --export")
    if options.per_class is not None and not 1 <= options.per_class <= PER_CLASS_MAX:
        raise UsageError(f"--per-class {options.per_class}: expected 1 to {PER_CLASS_MAX}")
    if not 0 <= options.port <= 65_535:
        raise UsageError(f"--port {options.port}: expected 0 (any free one) to 65535")
    if options.results:
        _print_results(options.ratings, options.json)
    elif options.export:
        _export(options.ratings, options.export, force=options.force)
    elif options.withdraw is not None:
        _withdraw(options.ratings, options.withdraw)
    else:
        _serve(options, Paths(Path()))


def _serve(options: argparse.Namespace, paths: Paths) -> None:
    _expect_installed("gradio")
    from pipeline.rating import server  # noqa: PLC0415 - results and exports need no Gradio
    from pipeline.rating.session import READING_BYTES_MAX, Session  # noqa: PLC0415

    sections = read_params(paths.root / PARAMS_FILE)
    base, text = section(sections, "base", BaseParams), section(sections, "clean.text", TextParams)

    def build(uploads: Uploads, named_by_login: bool) -> Any:
        from pipeline.rating import app  # noqa: PLC0415 - imports Gradio, which takes seconds

        return app.build(Session(ratings, items, base.labels, seed, text), uploads, named_by_login)

    def look() -> dict[str, Any]:
        from pipeline.rating import app  # noqa: PLC0415

        return app.resources()

    site = server.Site("rate", build, look, READING_BYTES_MAX, "SIER_RATE_SECRET")
    listening, secret = server.listen(site, options.host, options.port)
    with listening, lifecycle.only_run(paths.work / "rate.lock"):
        ratings, items = prepare(options.ratings, paths.data / "sier", base, options.per_class)
        seed = int(ratings.settings()["seed"])
        counts = {label: sum(item.label == label for item in items) for label in base.labels}
        print(f"rate: {len(items)} rows ({', '.join(f'{label} {count}' for label, count in counts.items())})")
        if min(counts.values()) < max(counts.values()):
            print("rate: a label has fewer rows than the others; all that it has are drawn")
        shown = server.address(listening)
        print(f"rate: {shown} - answers are kept in {options.ratings}; Ctrl-C ends", flush=True)
        server.serve(site, listening, secret, paths.work / "rate")
        answers = ratings.ratings()
        print(f"rate: {options.ratings}: {len(answers)} answers, {answers['rater'].nunique()} raters")


def _expect_installed(name: str) -> None:
    if find_spec(name) is None:
        raise UserError(f"{name} is not installed; run: pip install -e '.[rate]'")


def _print_results(path: Path, as_json: bool) -> None:
    ratings = store.open_store(path)
    labels = labels_of(ratings)
    _expect_installed("krippendorff")
    from pipeline.rating import results  # noqa: PLC0415 - scipy takes a second

    columns = results.table(ratings.ratings(), labels)
    if as_json:
        print(json.dumps([asdict(column) for column in columns], indent=2))
    else:
        print(results.render(columns, labels))
        if withdrawn := ratings.withdrawals():
            print(f"Withdrawn: {withdrawn}, whose answers and recordings are in none of this.")


def _withdraw(path: Path, name: str) -> None:
    from pipeline.rating.session import RatingError, person  # noqa: PLC0415 - libraries of sound take a while

    ratings = store.open_store(path)
    if ratings.mode != store.READ_AND_WRITE:
        raise UserError(f"{path}: lies where you may not write, so nothing can be removed from it")
    store.upgrade(path)
    try:
        rater = person(name)
    except RatingError:
        raise UserError("--withdraw: expected the name of a rater, as given in the page") from None
    removed = ratings.withdraw(rater)
    if removed is None:
        raise UserError(f"{path}: holds nothing of {rater}; ask which name was given, or name the file with --ratings")
    print(
        f"rate: {path}: removed {removed.answers} answers, {removed.recordings} recordings, and "
        f"{removed.answers_of_others} answers of others to these; delete earlier exports and copies of the file too"
    )


def _export(path: Path, out: Path, *, force: bool) -> None:
    answers = store.open_store(path).ratings()
    table = csv_bytes(list(answers.columns), answers.itertuples(index=False))
    lines = set(table.splitlines())

    def nothing_is_lost(earlier: bytes) -> bool:
        return lines.issuperset(earlier.splitlines())

    database = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]
    files.write_bytes(output_files.target(out, database, nothing_is_lost, force=force), table)
    print(f"rate: {len(answers)} answers in {out}")
