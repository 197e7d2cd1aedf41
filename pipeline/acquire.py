"""acquire: put a source corpus in its place, checked and counted.

In   params `acquire.<corpus>`: path or url of a corpus; without either the sample maker writes a small stand-in
Out  data/corpora/<corpus>/files: the corpus in its format (a link to it, or the sample itself)
     data/corpora/<corpus>/manifest.json: origin and every file that is read, with bytes and sha256; but for the sample,
     counts and how they differ from those of the published corpus
     data/corpora/b_t4sa/tar_index.parquet: where each image lies in the tar (member, offset_bytes, size_bytes)
     data/corpora/fi/rejects.parquet: addresses without a picture, where pictures were downloaded (id, status, reason)

Nothing of a local copy is copied or changed; see `pipeline.downloads.sources` for archives and downloads.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

import pyarrow.parquet as pq
from pydantic import Field, field_validator, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from pipeline import sample
from pipeline.corpora import b_t4sa, counts
from pipeline.corpora.checks import CHECKS, FORMATS, expect_named, files_read
from pipeline.downloads import sources
from pipeline.engine import files
from pipeline.engine.progress import Progress
from pipeline.engine.rejects import rejects_table
from pipeline.errors import UserError
from pipeline.frame import acquired, tables
from pipeline.frame.params import HIDDEN, PARAMS_FILE, STRICT
from pipeline.frame.stage import Context, Report, stage_main


@dataclass(frozen=True, config=STRICT)
class AcquireParams:
    """Section `acquire.<corpus>`.

    Attributes:
        path: of a local copy in the published format: a folder or, but for b_t4sa, an archive; of format table also
            the table itself.
        url: where to download it: the folder of B-T4SA's files, or an archive. Without path and url the sample is made.
        sha256: hex digest by name, as in the manifest; or of the archive. Each is checked.
        max_lost_share: of the rows of a copy, for one reason; if more are lost, it is an error.
        format: which reader reads it, one of `FORMATS[corpus]`; null for that of the published corpus.
        sample_size: of the sample: tweets (b_t4sa), utterances (iemocap), images per class (fi), texts
            (emotion_texts).
    """

    path: Annotated[str, Field(min_length=1)] | None
    url: Annotated[str, Field(min_length=1)] | None
    sha256: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]
    max_lost_share: Annotated[float, Field(ge=0, le=1)]
    sample_size: Annotated[int, Field(ge=4, le=100_000)]
    format: str | None = None

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        try:
            parts = urlsplit(url or "http://none")
        except ValueError as error:
            raise ValueError(f"an address ({error})") from None
        if "@" in parts.netloc:
            raise PydanticCustomError(HIDDEN, "an address without user and password: those go into the environment")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("an address that starts with http:// or https://")
        return url

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if self.path is not None and self.url is not None:
            raise PydanticCustomError(HIDDEN, "path or url, not both")
        return self


def format_of(corpus: str, params: AcquireParams) -> str:
    """The reader's name; UserError if the corpus has no such format, or nothing to read in it."""
    chosen = params.format or corpus
    where = f"{PARAMS_FILE}: acquire.{corpus}.format = {chosen}"
    if chosen not in FORMATS[corpus]:
        raise UserError(f"{where}: expected one of {', '.join(FORMATS[corpus])}")
    if chosen != corpus and params.path is None and params.url is None:
        raise UserError(f"{where}: the sample is not made in it; give path or url")
    return chosen


def run(params: AcquireParams, context: Context) -> Report:
    """Raises UserError: the corpus cannot be had, is not in its published format, or differs from a given sha256."""
    corpus, paths = context.item, context.paths
    form = format_of(corpus, params)
    source = _given(params, form, context)
    new = paths.work / "acquire" / corpus
    # A sample that was interrupted is worthless, and made again in a minute: no shards, just a fresh folder.
    files.remove_tree(new)
    new.mkdir(parents=True)
    if source is None:
        root = new / acquired.FILES
        _make_sample(corpus, root, params.sample_size, context)
        CHECKS[corpus](root)
    else:
        root = source.root
        (new / acquired.FILES).symlink_to(root, target_is_directory=root.is_dir())
    index = b_t4sa.index_images(b_t4sa.images(root)) if form == "b_t4sa" else None
    if index is not None:
        pq.write_table(index, new / acquired.TAR_INDEX)
    counted = None if source is None else counts.count(form, root, index)
    rejects = [] if source is None else source.rejects
    if counted is not None:  # before the hashes, which take long
        counted.require_few_losses(corpus, params.max_lost_share, rejects)
        if form == acquired.TABLE:
            _expect_learnable(counted.numbers, context)
        _expect_classes(counted.labels, context)
    listed = [_describe(path, root) for path in Progress(files_read(form, root), desc="sha256")]
    _compare_sha256(corpus, params.sha256, listed, source)
    origin = acquired.SAMPLE if source is None else acquired.LOCAL_COPY
    manifest: dict[str, Any] = {"corpus": corpus, "format": form, "origin": origin, "files": listed}
    total = sum(int(file["bytes"]) for file in listed)
    notes = [f"{origin}: {len(listed)} files, {total:,} bytes"]
    if source is not None and counted is not None:
        manifest |= {"counts": counted.numbers, "differences": counted.differences}
        notes += [*source.notes, *counted.differences]
    if rejects:
        pq.write_table(rejects_table(rejects), new / acquired.REJECTS)
    files.write_bytes(new / acquired.MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    files.replace_folder(new, paths.data / "corpora" / corpus)
    rejected = dict(sorted(Counter(status for _, status, _ in rejects).items()))
    return Report(len(listed) + len(rejects), len(listed), rejected, tuple(notes))


def _given(params: AcquireParams, form: str, context: Context) -> sources.Source | None:
    wanted = sources.Wanted(context.item, form, CHECKS[form])
    if params.path is not None:
        return sources.from_path(wanted, params.path, context.paths)
    if params.url is not None:
        return sources.from_url(wanted, params.url, params.sha256, context.paths)
    return None


def _expect_learnable(counts: dict[str, int], context: Context) -> None:
    """Raises UserError if a network is to learn sentiments that the pairs do not have: it would fail after hours."""
    for name, model in context.sections.get("models", {}).items():
        if model.get("rows") != "clean":
            continue
        if missing := [one for one in (*tables.SENTIMENTS, *b_t4sa.SPLITS) if not counts.get(one)]:
            raise UserError(
                f"{PARAMS_FILE}: models.{name}.rows = clean: it learns the texts' sentiment, but of the rows none is "
                f"{missing[0]}; remove it from models"
            )


def _expect_classes(labels: tuple[str, ...], context: Context) -> None:
    """Raises UserError if the teacher that learns from the corpus has another map of classes: it comes hours later."""
    modality = {"iemocap": "speech", "fi": "image"}.get(context.item)
    if modality and (teacher := context.sections.get("train_teacher", {}).get(modality)):
        expect_named(labels, teacher["classes"], f"{PARAMS_FILE}: train_teacher.{modality}.classes")


def _compare_sha256(
    corpus: str, expected: dict[str, str], listed: list[dict[str, str | int]], source: sources.Source | None
) -> None:
    found = {str(file["name"]): str(file["sha256"]) for file in listed}
    if source is not None and source.archive is not None and source.archive.name in expected:
        found[source.archive.name] = files.sha256_of(source.archive)
    for name, digest in expected.items():
        if name not in found:
            raise UserError(f"acquire.{corpus}.sha256 names {name}: the corpus has no such file; correct or remove it")
        if found[name] != digest:
            raise UserError(
                f"{name}: sha256 is {found[name]}, acquire.{corpus}.sha256 expects {digest}; copy or download it "
                "again, or correct params.yaml"
            )


def _make_sample(corpus: str, target: Path, size: int, context: Context) -> None:
    target.mkdir()
    seed = context.base.seed
    if corpus == "b_t4sa":
        sample.make_b_t4sa(target, seed=seed, tweets=size)
    elif corpus == "iemocap":
        sample.make_iemocap(target, seed=seed, utterances=size, workers=context.engine.workers)
    elif corpus == "emotion_texts":
        sample.make_emotion_texts(target, seed=seed, texts=size)
    else:
        sample.make_fi(target, seed=seed, images_per_class=size)


def _describe(path: Path, root: Path) -> dict[str, str | int]:
    base = root if root.is_dir() else root.parent
    return {"name": path.relative_to(base).as_posix(), "bytes": path.stat().st_size, "sha256": files.sha256_of(path)}


if __name__ == "__main__":
    raise SystemExit(stage_main("acquire", dict.fromkeys(FORMATS, AcquireParams), run, kept="downloads are kept"))
