"""Put the dataset, or a network, on the Hugging Face Hub.

    sier publish --repo-id NAME --dry-run         what would be sent and deleted, and the card
    sier publish --repo-id NAME                   ids, labels and scores; --mode full: with media
    sier publish --repo-id NAME --model
    sier publish --repo-id NAME --gated manual    ask for access first (default of the modes full and features)

Nothing is sent before `verify` has found no fault. One commit makes the repository hold these files and no others; a
publish that was stopped goes on, files that the Hub has are not sent again. A repository is refused without --replace
unless it is empty, or holds what the same account published there by this command, the same mode or network, untouched
since then. The token comes from HF_TOKEN or the Hub's own log-in, and is in no message. reports/publish.json says what
was published.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engine import files as storage
from pipeline.engine import lifecycle
from pipeline.errors import UserError
from pipeline.frame.params import PARAMS_FILE, read_params, section
from pipeline.frame.running import printable, say
from pipeline.frame.stage import Paths
from pipeline.networks.params import TrainParams
from pipeline.publishing import facts as measured
from pipeline.publishing.columns import MODES
from pipeline.publishing.gate import GATES, Gate, default_of
from pipeline.publishing.ownership import CARD
from pipeline.verification.folders import STAGES
from pipeline.verification.project import look_at

if TYPE_CHECKING:
    from pipeline.publishing.hub import Kind, Receipt
    from pipeline.publishing.results import Published

RECEIPT = "publish.json"
DEFAULT_MODEL = "parallelnet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("--repo-id", required=True, metavar="NAME", help="owner/name, or a name of your own")
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


def run(options: argparse.Namespace) -> None:
    """Publish; one at a time."""
    paths = Paths(Path())
    with lifecycle.only_run(paths.work / "publish.lock"):
        _publish(options, paths)


def _publish(options: argparse.Namespace, paths: Paths) -> None:
    facts = measured.gather(paths)
    sample = facts.sample_corpora
    if sample and not (options.allow_sample or options.dry_run):
        raise UserError(
            f"this build is made of the embedded sample ({', '.join(sample)}); put your corpora into {PARAMS_FILE}, or "
            "publish it all the same with --allow-sample"
        )
    # Not before: huggingface_hub, transformers and mlcroissant take seconds.
    from pipeline.publishing import hub, packages  # noqa: PLC0415

    kind: Kind = "model" if options.model else "dataset"
    what = options.model or options.mode
    repo_id, unseen, found = options.repo_id, "", None
    hub.expect_name(repo_id)
    try:
        found = hub.look(options.repo_id, kind, what)
        repo_id = found.repo_id
    except UserError as error:
        if not options.dry_run:
            raise
        unseen = str(error)
    if found and not (options.replace or options.dry_run):
        found.expect_ours()
    _verify(paths)

    folder = paths.work / "publish"
    storage.remove_tree(folder)  # what a stopped run has left
    folder.mkdir(parents=True)
    gate: Gate = options.gated or default_of(what)
    if options.model:
        dataset = _published(paths.reports / RECEIPT)
        contents = packages.model_files(facts, paths.checkpoints, options.model, repo_id, gate, dataset)
    else:
        inputs = section(read_params(paths.root / PARAMS_FILE), "train", TrainParams).inputs
        contents = packages.dataset_files(
            facts, paths.data, folder, options.mode, repo_id, inputs, gate, keep_personal=options.keep_mentions,
            published=datetime.now(UTC).date(),
        )  # fmt: skip
    if options.dry_run:
        _show(contents, found.gone(contents) if found else [])
        if found is None:
            print(f"publish: what would be deleted is not known: {printable(unseen)}", file=sys.stderr)
        elif found.objection and not options.replace:
            print(f"publish: {printable(f'{repo_id} {found.objection}')}: needs --replace", file=sys.stderr)
        if sample and not options.allow_sample:
            print(f"publish: made of the embedded sample ({', '.join(sample)}): needs --allow-sample", file=sys.stderr)
    else:
        # A gate that somebody has set by hand is not opened by a default.
        asked = options.gated or (gate if gate != "none" else None)
        receipt = hub.upload(
            contents, repo_id, kind, what, private=options.private, replace=options.replace, gate=asked
        )
        _write_receipt(paths.reports / RECEIPT, receipt, None if options.model else options.mode)
        print(f"{receipt.endpoint}/{'datasets/' if kind == 'dataset' else ''}{receipt.repo_id} at {receipt.commit}")
    storage.remove_tree(folder)


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


def _published(receipt: Path) -> Published | None:
    """Where the dataset was published last, on the Hub that is asked now; None where it was not."""
    from huggingface_hub import constants  # noqa: PLC0415 - a second

    from pipeline.publishing.results import Published  # noqa: PLC0415

    try:
        told = json.loads(receipt.read_bytes())["dataset"]
        if told["endpoint"] != constants.ENDPOINT:
            return None
        return Published(str(told["repo_id"]), str(told["commit"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_receipt(path: Path, receipt: Receipt, mode: str | None) -> None:
    """One entry per kind of repository: a dataset's receipt stays when its network is published."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        value = {}
    value = value if isinstance(value, dict) else {}
    value[receipt.kind] = {
        "repo_id": receipt.repo_id, "endpoint": receipt.endpoint, "commit": receipt.commit,
        "files": {name: {"bytes": size, "sha256": digest} for name, (size, digest) in receipt.files.items()},
        **({"mode": mode} if mode else {}),
    }  # fmt: skip
    storage.write_bytes(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())
