"""acquire: put a source corpus in its place, checked and counted.

In   params `acquire.<corpus>`: the path of a local copy; without one the sample maker writes a small stand-in
Out  data/corpora/<corpus>/files: the corpus in its published format (a link to the local copy, or the sample itself)
     data/corpora/<corpus>/manifest.json: origin and every file that is read, with bytes and sha256
     data/corpora/b_t4sa/tar_index.parquet: where each image lies in the tar (member, offset_bytes, size_bytes)

Nothing of a local copy is copied, unpacked or changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
from pydantic import Field
from pydantic.dataclasses import dataclass
from tqdm import tqdm

from pipeline.corpora import acquired, b_t4sa, fi, iemocap, sample
from pipeline.engine import files
from pipeline.errors import UserError
from pipeline.params import STRICT
from pipeline.stage import Context, Report, stage_main

CHECKS = {"b_t4sa": b_t4sa.check, "iemocap": iemocap.check, "fi": fi.check}

# The files that readers read, seen from the corpus's root; their hashes make a change of the corpus visible.
READ = {
    "b_t4sa": ("*.tar", "*.txt", "*.csv", "*.tsv"),
    "iemocap": tuple(
        f"{release}Session*/{part}"
        for release in ("", "IEMOCAP_full_release/")
        for part in ("dialog/EmoEvaluation/*.txt", "dialog/transcriptions/*.txt", "sentences/wav/*/*.wav")
    ),
    "fi": ("*.json", "*/*", "images/*/*", "images/*/*/*"),
}


@dataclass(frozen=True, config=STRICT)
class AcquireParams:
    """Section `acquire.<corpus>`.

    Attributes:
        path: folder of a local copy in the published format; null makes the sample.
        sample_size: of the sample: tweets (b_t4sa), utterances (iemocap), images per class (fi).
    """

    path: Annotated[str, Field(min_length=1)] | None
    sample_size: Annotated[int, Field(ge=4, le=100_000)]


def run(params: AcquireParams, context: Context) -> Report:
    """See the module's docstring.

    Raises:
        UserError: the path does not hold the corpus in its published format.
    """
    corpus = context.item
    out = context.paths.data / "corpora" / corpus
    if params.path is None:
        # A sample that was interrupted is worthless, and made again in a minute: no shards, just a fresh folder.
        new = context.paths.work / "acquire" / corpus
        files.remove_tree(new)
        new.mkdir(parents=True)
        root = new / acquired.FILES
        _make_sample(corpus, root, params.sample_size, context)
        CHECKS[corpus](root)
    else:
        # Read by its own name and not through the link, so that an error names what the user knows.
        root = (context.paths.root / Path(params.path).expanduser()).resolve()
        if not root.is_dir():
            raise UserError(f"acquire.{corpus}.path = {params.path}: no such folder; expected the corpus, or null")
        CHECKS[corpus](root)
        new = context.paths.work / "acquire" / corpus
        files.remove_tree(new)
        new.mkdir(parents=True)
        (new / acquired.FILES).symlink_to(root, target_is_directory=True)
    if corpus == "b_t4sa":
        pq.write_table(b_t4sa.index_tar(root / b_t4sa.TAR), new / acquired.TAR_INDEX)
    listed = [_describe(path, root) for path in tqdm(_files(corpus, root), desc="sha256", disable=None)]
    manifest = {
        "corpus": corpus,
        "origin": acquired.SAMPLE if params.path is None else acquired.LOCAL_COPY,
        "files": listed,
    }
    files.write_bytes(new / acquired.MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    files.replace_folder(new, out)
    total = sum(int(file["bytes"]) for file in listed)
    return Report(len(listed), len(listed), notes=(f"{manifest['origin']}: {len(listed)} files, {total:,} bytes",))


def _make_sample(corpus: str, target: Path, size: int, context: Context) -> None:
    target.mkdir()
    seed = context.base.seed
    if corpus == "b_t4sa":
        sample.make_b_t4sa(target, seed=seed, tweets=size)
    elif corpus == "iemocap":
        sample.make_iemocap(target, seed=seed, utterances=size, workers=context.engine.workers)
    else:
        sample.make_fi(target, seed=seed, images_per_class=size)


def _files(corpus: str, root: Path) -> list[Path]:
    found: Iterable[Path] = (path for pattern in READ[corpus] for path in root.glob(pattern))
    return sorted({path for path in found if path.is_file() and not path.name.startswith("._")})


def _describe(path: Path, root: Path) -> dict[str, str | int]:
    return {"name": path.relative_to(root).as_posix(), "bytes": path.stat().st_size, "sha256": files.sha256_of(path)}


if __name__ == "__main__":
    raise SystemExit(stage_main("acquire", dict.fromkeys(CHECKS, AcquireParams), run))
