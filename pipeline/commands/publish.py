"""Put the dataset, a network, or a page that asks it, on the Hugging Face Hub.

    sier publish --repo-id NAME --dry-run         what would be sent and deleted, and the card
    sier publish --repo-id NAME                   ids, labels and scores; --mode full: with media
    sier publish --repo-id NAME --model
    sier publish --space NAME                     a page where visitors ask the network that was published
    sier publish --repo-id NAME --gated manual    ask for access first (default of the modes full and features)

Nothing is sent before `verify` has found no fault. One commit makes the repository hold these files and no others; a
publish that was stopped goes on, files that the Hub has are not sent again. A repository is refused without --replace
unless it is empty, or holds what the same account published there by this command, the same mode or network, untouched
since then. The token comes from HF_TOKEN or the Hub's own log-in, and is in no message. reports/publish.json says
what was published.

A dataset gets a version, by what differs from the one that lies there: a tag of the commit, a line of the card, a
section of CHANGELOG.md. `--drop FILE` leaves out the tweets or rows whose ids it lists, one a line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.command import UsageError
from pipeline.engine import files as storage
from pipeline.engine import lifecycle
from pipeline.errors import UserError
from pipeline.frame.params import PARAMS_FILE, read_params, section
from pipeline.frame.running import printable, say
from pipeline.frame.stage import Paths
from pipeline.networks.params import TrainParams
from pipeline.publishing import facts as measured
from pipeline.publishing.columns import MODES
from pipeline.publishing.dropping import Dropped, of_build
from pipeline.publishing.gate import GATES, Gate, default_of
from pipeline.publishing.history import receipts
from pipeline.publishing.history.versions import BYTES_MAX, Previous, read_version
from pipeline.publishing.ownership import CARD
from pipeline.verification.folders import STAGES
from pipeline.verification.project import look_at

if TYPE_CHECKING:
    from pipeline.publishing.hub import Found, Kind

DEFAULT_MODEL = "parallelnet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--repo-id", metavar="NAME", help="owner/name, or a name of your own")
    where.add_argument("--space", metavar="NAME", help="make a Space there, for the published network (--model)")
    parser.add_argument(
        "--mode", choices=MODES, default=MODES[0],
        help="no_media: ids, labels, scores (default); full: with media; features: spectrograms only",
    )  # fmt: skip
    parser.add_argument(
        "--model", nargs="?", const=DEFAULT_MODEL, metavar="NETWORK",
        help=f"publish a network instead of the dataset (default: {DEFAULT_MODEL})",
    )  # fmt: skip
    parser.add_argument(
        "--gated", choices=GATES,
        help="manual: you answer each request for access (default of full and features); auto: whoever agrees to the "
        "terms has it; none: everybody has it (default of all else, where a gate that is there stays)",
    )  # fmt: skip
    parser.add_argument("--private", action="store_true", help="a repository that only its owner sees")
    parser.add_argument("--dry-run", action="store_true", help="list files and show the card; change nothing")
    parser.add_argument("--replace", action="store_true", help="delete what is in the repository, whoever put it there")
    parser.add_argument("--allow-sample", action="store_true", help="publish what was made of the embedded sample")
    parser.add_argument("--keep-mentions", action="store_true", help="leave mentions, links and the like in texts")
    parser.add_argument("--drop", type=Path, metavar="FILE", help="leave out the tweets or rows whose ids it lists")


def run(options: argparse.Namespace) -> None:
    """Publish; one at a time."""
    if options.drop and options.model:
        raise UsageError("--drop is for a dataset; it does not go with --model")
    if options.space and (options.drop or options.gated or options.keep_mentions or options.mode != MODES[0]):
        raise UsageError("--space goes with --model, --private, --replace, --allow-sample and --dry-run only")
    paths = Paths(Path())
    with lifecycle.only_run(paths.work / "publish.lock"):
        _publish_space(options, paths) if options.space else _publish(options, paths)


def _publish(options: argparse.Namespace, paths: Paths) -> None:
    facts = measured.gather(paths)
    sample = facts.sample_corpora
    _expect_no_sample(sample, options)
    # Not before: huggingface_hub, transformers and mlcroissant take seconds.
    from huggingface_hub import constants  # noqa: PLC0415

    from pipeline.publishing import hub, lineage, packages  # noqa: PLC0415

    kind: Kind = "model" if options.model else "dataset"
    what = options.model or options.mode
    repo_id, unseen, found = options.repo_id, "", None
    hub.expect_name(repo_id)
    try:
        found = hub.look(options.repo_id, kind, what, wanted=BYTES_MAX if kind == "dataset" else {})
        repo_id = found.repo_id
    except UserError as error:
        if not options.dry_run:
            raise
        unseen = str(error)
    if found and not (options.replace or options.dry_run):
        found.expect_ours()
    previous = _previous(found, paths, go_on=options.replace or options.dry_run)
    dropped = _dropped(options.drop, paths, previous)
    _verify(paths)

    folder = paths.work / "publish"
    storage.remove_tree(folder)  # what a stopped run has left
    folder.mkdir(parents=True)
    gate: Gate = options.gated or default_of(what)
    if options.model:
        dataset = receipts.published(paths.reports / receipts.RECEIPT, constants.ENDPOINT)
        contents = packages.model_files(facts, paths.checkpoints, options.model, repo_id, gate, dataset)
    else:
        inputs = section(read_params(paths.root / PARAMS_FILE), "train", TrainParams).inputs
        contents = packages.dataset_files(
            facts, paths.data, folder, options.mode, repo_id, inputs, gate, keep_personal=options.keep_mentions,
            published=datetime.now(UTC).date(), builder=lineage.builder(paths.root), previous=previous,
            dropped=dropped.ids,
        )  # fmt: skip
    version = read_version(contents)
    if options.dry_run:
        _show(contents, found.gone(contents) if found else [])
        if found is None:
            print(f"publish: what would be deleted is not known: {printable(unseen)}", file=sys.stderr)
            if version:
                print("publish: nor which version it would be; shown is a first one", file=sys.stderr)
        elif found.objection and not options.replace:
            print(f"publish: {printable(f'{repo_id} {found.objection}')}: needs --replace", file=sys.stderr)
        if sample and not options.allow_sample:
            print(f"publish: made of the embedded sample ({', '.join(sample)}): needs --allow-sample", file=sys.stderr)
    else:
        # A gate that somebody has set by hand is not opened by a default.
        asked = options.gated or (gate if gate != "none" else None)
        receipt = hub.upload(
            contents, repo_id, kind, what, private=options.private, replace=options.replace, gate=asked,
            seen=found.commit if found else None, tag=version.tag if version else None,
        )  # fmt: skip
        receipts.write(paths.reports / receipts.RECEIPT, receipt, None if options.model else options.mode, version)
        named = f" as {version.tag}" if version else ""
        print(f"{receipt.address} at {receipt.commit}{named}")
    storage.remove_tree(folder)


def _publish_space(options: argparse.Namespace, paths: Paths) -> None:
    network = options.model or DEFAULT_MODEL
    sample = measured.gather(paths).sample_corpora
    _expect_no_sample(sample, options)
    from huggingface_hub import constants  # noqa: PLC0415 - as above

    from pipeline.publishing import hub  # noqa: PLC0415
    from pipeline.publishing.space import package  # noqa: PLC0415

    told, checkpoint, what = paths.reports / receipts.RECEIPT, paths.checkpoints / network, f"space-{network}"
    hub.expect_name(options.space)
    model = package.expect_published(told, checkpoint, constants.ENDPOINT)
    dataset = receipts.published(told, constants.ENDPOINT)
    contents = package.space_files(model, dataset, checkpoint, sample)
    found = hub.look(options.space, "space", what)
    if options.dry_run:
        _show(contents, found.gone(contents))
        if found.objection and not options.replace:
            print(f"publish: {printable(f'{found.repo_id} {found.objection}')}: needs --replace", file=sys.stderr)
        return
    receipt = hub.upload(
        contents, found.repo_id, "space", what, private=options.private, replace=options.replace, seen=found.commit
    )
    receipts.write(told, receipt, None, None)
    print(f"{receipt.address} at {receipt.commit}")


def _expect_no_sample(sample: Sequence[str], options: argparse.Namespace) -> None:
    if sample and not (options.allow_sample or options.dry_run):
        raise UserError(
            f"this build is made of the embedded sample ({', '.join(sample)}); put your corpora into {PARAMS_FILE}, or "
            "publish it all the same with --allow-sample"
        )


def _previous(found: Found | None, paths: Paths, *, go_on: bool) -> Previous | None:
    """The version that lies there; of one that cannot be read a line on the screen if `go_on`, else UserError."""
    try:
        return receipts.previous(found, paths.reports / receipts.RECEIPT) if found else None
    except UserError as error:
        if not go_on:
            raise
        print(f"publish: {printable(str(error))}", file=sys.stderr)
        return None


def _dropped(path: Path | None, paths: Paths, previous: Previous | None) -> Dropped:
    """The rows that are left out; UserError where the last version left some out, and nobody says which."""
    if path:
        dropped = of_build(path, paths.data)
        say(f"publish: {dropped.told(path)}")
        return dropped
    if previous and previous.record.changes[0].on_request:
        raise UserError(
            f"version {previous.record.version.number} there leaves out rows on request, which would come back; name "
            "the list of them with --drop"
        )
    return Dropped()


def _verify(paths: Paths) -> None:
    """Raises UserError, which names the first fault, if something is not as it should be."""
    names = [name for name in STAGES if (paths.data / name).is_dir()]
    faults = look_at(paths, names, "sample", whole=True).faults
    if faults:
        raise UserError(f"verify finds {len(faults)} faults, first: {faults[0]}; run: sier verify")


def _show(contents: Mapping[str, Path | bytes], gone: Sequence[str]) -> None:
    sizes = {path: len(value) if isinstance(value, bytes) else value.stat().st_size for path, value in contents.items()}
    for path, size in sorted(sizes.items()):
        say(f"{size:>14,}  {path}")
    print(f"{sum(sizes.values()):>14,}  bytes in {len(sizes)} files")
    for path in gone:
        say(f"{'deleted there':>14}  {path}")
    print()
    text = contents[CARD]
    say(text.decode() if isinstance(text, bytes) else "")
