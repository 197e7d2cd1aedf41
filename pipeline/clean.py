"""clean: (tweet, image) pairs that can be spoken, seen and told apart.

In   data/corpora/b_t4sa: texts, sentiments and the tar with its index; or pairs of text and picture of another corpus
Out  data/clean: shards of `tables.CLEAN`, rejects with reasons
     reports/clean.json, reports/plots/rejects.csv

Three passes: examine each row by itself (shards), compare all rows by their hashes and texts, keep what stays (shards).
"""

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpora import b_t4sa
from pipeline.corpora.further import table
from pipeline.engine import files, shards, store
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.rejects import rejects_table
from pipeline.engine.store import Folder
from pipeline.engine.work import Work, finish, is_finished, run_shards, work_folder
from pipeline.errors import UserError
from pipeline.frame import acquired
from pipeline.frame.metrics_files import write_metrics, write_plot
from pipeline.frame.stage import ENGLISH, Context, Report, stage_main
from pipeline.tweets import duplicates, language
from pipeline.tweets.examine import Examiner
from pipeline.tweets.keep import Keeper
from pipeline.tweets.params import CleanParams

LARGEST_GROUPS = 5  # that the report lists: where they are large, it is a template or a picture that everybody uses
ENGLISH_ONLY = "what is said for numbers, signs, emoji and hashtags is English only"
LIBRARIES = (
    "babel", "datasketch", "emoji", "faiss-cpu", "ftfy", "imagehash", "num2words", "numpy", "phonenumbers", "pillow",
    "py3langid", "pyarrow", "regex", "tldextract", "wordsegment",
)  # fmt: skip
# Of whole files that are not what they should be, unlike pictures that are small or repeated.
LOST_PICTURES = (
    "image_not_a_photo_format", "image_unreadable", "image_truncated", "image_truncated_in_tar", "image_bomb",
    "image_too_large_bytes",
)  # fmt: skip


def run(params: CleanParams, context: Context) -> Report:
    """Raises UserError: the corpus is not there, or no row of it is usable."""
    params.text.expect_language(context.base.language)
    language.expect_known(params.text.languages)
    corpus = context.paths.data / "corpora" / "b_t4sa"
    origin = acquired.read_manifest(corpus)["origin"]
    mark = fingerprint(
        params=replace(params, image=replace(params.image, max_lost_share=1.0)),  # it changes no row
        seed=context.base.seed,
        code=code_version(__file__),
        libraries=library_versions(LIBRARIES),
        input=files.sha256_of(corpus / acquired.MANIFEST),
    )
    work = work_folder(context.paths.work, "clean", mark)
    stored = work_folder(context.paths.shards, "clean", mark)
    work.mkdir(parents=True, exist_ok=True)
    source, reader = _read(corpus, work / "pictures.bin")
    work_list = _work_list(source, work / "inputs.parquet", params.shard_rows)

    examiner = partial(Examiner, work / "inputs.parquet", reader, params)
    tasks = [shards.Task(index, rows, index) for index, rows in enumerate(work_list)]
    first = Work("clean: examine", stored / "examined", mark, examiner, tasks, last=False)
    keeper = partial(Keeper, first.folder, work / "decisions.parquet")
    last = Work("clean: keep", stored / "kept", mark, keeper, tasks)
    if not is_finished(last):  # else the pictures would be examined for nothing
        examined = run_shards(context.engine, first)
        _compare(examined, first.folder, work / "decisions.parquet", params, context.base.seed)
        tasks = [shards.Task(index, marker.rows_in, marker) for index, marker in enumerate(examined)]
        last = replace(last, tasks=tasks)
    markers = run_shards(context.engine, last)

    counts = shards.total_counts(markers)
    if not counts[shards.OK]:
        raise UserError(f"{corpus}: none of {source.rows_in} rows is usable: {counts}")
    if origin != acquired.SAMPLE:
        _require_few_losses(counts, source.rows_in, params.image.max_lost_share)
    out = context.paths.data / "clean"
    beside = {
        duplicates.GROUPING_FILE: duplicates.grouping_file(params.duplicates),
        acquired.SOURCE_FILE: acquired.source_file(corpus),
    }
    shards.publish(stored / "kept", markers, out, beside)
    finish(work, stored)
    store.remove_tree(first.folder)  # its pictures are in the kept shards now
    return _report(source, counts, out, markers, context)


def _read(corpus: Path, packed: Path) -> tuple[b_t4sa.SourceRows, b_t4sa.ImageReader]:
    """Rows of the corpus, and what reads their pictures; `packed` is for pictures that lie in tables."""
    root = corpus / acquired.FILES
    if acquired.read_format(corpus) == acquired.TABLE:
        return table.read_rows(root, packed), table.PictureReader(root, packed)
    return b_t4sa.read_rows(root, pq.read_table(corpus / acquired.TAR_INDEX)), b_t4sa.ImageReader(b_t4sa.images(root))


def _work_list(source: b_t4sa.SourceRows, path: Path, shard_rows: int) -> list[int]:
    """Write all source rows, usable or rejected, ordered by id, a row group per shard; returns rows per shard."""
    # A usable row has no status, and a rejected one may have no tweet id.
    parts = [
        part.cast(pa.schema([field.with_nullable(True) for field in part.schema]))
        for part in (source.rows, rejects_table(source.rejects))
    ]
    both = pa.concat_tables(parts, promote_options="default")
    both = both.sort_by([("tweet_id", "ascending"), ("image_index", "ascending"), ("id", "ascending")])
    files.write_atomically(path, lambda temporary: pq.write_table(both, temporary, row_group_size=shard_rows))
    layout = pq.ParquetFile(path).metadata
    return [layout.row_group(index).num_rows for index in range(layout.num_row_groups)]


def _compare(markers: list[shards.Marker], examined: Folder, target: Path, params: CleanParams, seed: int) -> None:
    parts = [shards.read_part(examined, marker, columns=duplicates.COMPARED) for marker in markers]
    numbered = [
        part.append_column("shard", pa.array([index] * part.num_rows, pa.int32())) for index, part in enumerate(parts)
    ]
    rows = pa.concat_tables(numbered)
    decided = duplicates.decide(rows, params.duplicates, seed).append_column("shard", rows["shard"])
    files.write_atomically(target, lambda temporary: pq.write_table(decided, temporary, row_group_size=10_000))


def _require_few_losses(counts: dict[str, int], rows_in: int, most: float) -> None:
    for status in LOST_PICTURES:
        if counts.get(status, 0) > most * rows_in:
            share = f"{counts[status]:,} of {rows_in:,} rows would be lost as {status}"
            allow = f"or allow it by clean.image.max_lost_share (now {most}); what is done is kept"
            raise UserError(f"b_t4sa: {share}; mend the pictures, {allow}")


def _report(
    source: b_t4sa.SourceRows, counts: dict[str, int], out: Path, markers: list[shards.Marker], context: Context
) -> Report:
    columns = ["sentiment", "source_split", "group_id", "spoken_text", "text_rules"]
    rows = shards.read_parts(out, markers, columns=columns)
    group_sizes = Counter(rows["group_id"].to_pylist())
    largest = [(group, size) for group, size in group_sizes.most_common(LARGEST_GROUPS) if size > 1]
    said: dict[str, set[str]] = {group: set() for group, _ in largest}
    for group, text in zip(rows["group_id"].to_pylist(), rows["spoken_text"].to_pylist(), strict=True):
        if group in said:
            said[group].add(text)
    rejected = {status: count for status, count in counts.items() if status != shards.OK}
    touched = Counter(name for rules in rows["text_rules"].to_pylist() for name in rules.split())
    metrics = {
        "rows_in": source.rows_in,
        "rows_out": counts[shards.OK],
        "rejected": rejected,
        "sentiment": dict(sorted(Counter(rows["sentiment"].drop_null().to_pylist()).items())),  # of rows that have one
        "source_split": dict(sorted(Counter(rows["source_split"].to_pylist()).items())),
        # Share of the kept texts that each rule changed on their way to the voice.
        "text_rules": {name: count / rows.num_rows for name, count in touched.most_common()},
        "groups": len(group_sizes),
        "largest_group_rows": max(group_sizes.values()),
        "largest_groups": [{"group_id": group, "rows": size, "texts": len(said[group])} for group, size in largest],
        "corpus_facts": source.facts,
    }
    write_metrics(context.paths.reports / "clean.json", metrics)
    write_plot(context.paths.reports / "plots" / "rejects.csv", ("reason", "rows"), sorted(rejected.items()))
    foreign = context.base.language != ENGLISH
    notes = (f"base.language = {context.base.language}: {ENGLISH_ONLY}",) if foreign else ()
    return Report(source.rows_in, counts[shards.OK], rejected, notes)


if __name__ == "__main__":
    raise SystemExit(stage_main("clean", CleanParams, run, sharded=True))
