"""train_teacher: the speech teacher from IEMOCAP, the image teacher from FI.

In   data/corpora/iemocap or data/corpora/fi
Out  data/checkpoints/{ser,ier}: the teacher, and rejects.csv: utterances or pictures that could not be used
     reports/train_teacher_<modality>.json; reports/plots/teacher_<modality>_{confusion,reliability}.csv

Held-out figures: leave one session out for speech (a random split leaks speakers and reads some 10 points too high);
15 % of the pictures, stratified, for images. The speech teacher that is kept is trained on all sessions; the image
teacher that is kept is the one that was measured.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from models.calibration import reliability_bins
from models.classifier import Normalise, Probe
from models.encoders import Encoder, create_encoder
from pipeline import tables, teacher_corpora
from pipeline.engine import files, shards
from pipeline.engine.environment import device_from_environment
from pipeline.engine.fingerprint import code_version, fingerprint
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.errors import RowError, UserError
from pipeline.params import STRICT
from pipeline.reports import write_metrics, write_plot
from pipeline.stage import Context, Report, stage_main
from pipeline.teacher_training import Examples, Trained, train_image, train_speech

CORPORA = {"speech": "iemocap", "image": "fi"}
SHARD_ITEMS = 100
RELIABILITY_BINS = 10
# Fewer training rows than this and a class's figures say little; the metrics name such classes.
FEW_ROWS = 20

VECTORS = pa.schema([("id", pa.string()), ("content_sha256", pa.string()), ("vector", pa.list_(pa.float32()))])


@dataclass(frozen=True, config=STRICT)
class TeacherParams:
    """Section `train_teacher.<modality>`.

    Attributes:
        kind: of teacher; see `models.classifier`.
        encoder: see `models.encoders.create_encoder`.
        classes: label of the corpus -> class of the teacher, or null to leave it out; every label must be named.
        normalise: see `models.classifier.Probe`.
        regularisation: values of scikit-learn's C to choose from on validation rows.
        calibrate: whether to fit a temperature on validation rows.
    """

    kind: Literal["probe"]
    encoder: Annotated[str, Field(min_length=1)]
    classes: dict[str, str | None]
    normalise: Normalise
    regularisation: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
    calibrate: bool


class Embedder:
    """Worker: items of a corpus to vectors; a task's payload is a list of `teacher_corpora.Item`."""

    def __init__(self, modality: str, encoder: str) -> None:
        self.decode = teacher_corpora.DECODE[modality]
        self.encoder = create_encoder(encoder, device=device_from_environment())

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `VECTORS`, and a reject for each item that cannot be decoded or encoded."""
        rows, rejects = [], []
        for item in task.payload:
            try:
                content, sha256 = self.decode(item.path)
                self.encoder.check(content)
                vector = self.encoder.encode([content])[0]
                rows.append({"id": item.id, "content_sha256": sha256, "vector": vector})
            except RowError as error:
                rejects.append((item.id, error.status, error.reason))
        return shards.Output(pa.Table.from_pylist(rows, schema=VECTORS), rejects)


def run(params: TeacherParams, context: Context) -> Report:
    """See the module's docstring.

    Raises:
        UserError: the corpus is missing or too small, or the class map does not fit it.
    """
    modality = context.item
    if modality == "image" and params.normalise != "none":
        raise UserError(f"train_teacher.image.normalise = {params.normalise}: pictures have no voice; expected none")
    folder = context.paths.data / "corpora" / CORPORA[modality]
    corpus = teacher_corpora.read(CORPORA[modality], folder)
    classes = _classes(params, corpus.labels, f"train_teacher.{modality}.classes")
    wanted = [item for item in corpus.items if params.classes[item.label] is not None]
    if not wanted:
        raise UserError(f"{folder}: no item has a label that train_teacher.{modality}.classes keeps")
    encoder = _encoder(params, modality)
    rejects = list(corpus.rejects)
    vectors = _embed(params, context, wanted, folder, rejects)
    items = [item for item in wanted if item.id in vectors]
    labels = [str(params.classes[item.label]) for item in items]
    if not items:
        raise UserError(
            f"{folder}: none of {len(wanted)} items can be read: {dict(Counter(row[1] for row in rejects))}"
        )
    examples = Examples(encoder, np.stack([vectors[item.id] for item in items]), items, labels, classes)
    cs, calibrate, seed = params.regularisation, params.calibrate, context.base.seed
    if modality == "speech":
        trained = train_speech(examples, cs=cs, normalise=params.normalise, calibrate=calibrate, seed=seed)
    else:
        trained = train_image(examples, cs=cs, calibrate=calibrate, seed=seed)
    _save(trained.probe, rejects, context.paths.checkpoints / tables.CHECKPOINTS[modality])

    support = Counter(labels)
    few = [f"{name}: {support[name]} rows" for name in classes if support[name] < FEW_ROWS]
    metrics = {
        "rows_in": corpus.rows_in,
        "used": len(items),
        "left_out_by_the_class_map": len(corpus.items) - len(wanted),
        "rejected": dict(sorted(Counter(status for _, status, _ in rejects).items())),
        "support": {name: support[name] for name in classes},
        "too_few_to_learn": few,
        "held_out": trained.held_out,
        **trained.further,
        "regularisation": trained.probe.regularisation,
        "temperature": trained.probe.temperature,
        "corpus_warnings": corpus.warnings,
        "digest": trained.probe.digest,
    }
    _write_reports(metrics, trained, classes, modality, context.paths.reports)
    accuracy, recall = trained.held_out["accuracy"], trained.held_out["unweighted_average_recall"]
    notes = [f"held-out accuracy {accuracy:.1%}, unweighted recall {recall:.1%} on {len(trained.truth)} rows"]
    notes.append(f"{metrics['left_out_by_the_class_map']} rows have labels that the class map leaves out")
    notes += [f"too few to learn: {line}" for line in few]
    return Report(corpus.rows_in, len(items), metrics["rejected"], (*notes, *corpus.warnings))


def _classes(params: TeacherParams, labels: tuple[str, ...], where: str) -> tuple[str, ...]:
    missing = sorted(set(labels) - set(params.classes))
    unknown = sorted(set(params.classes) - set(labels))
    if missing or unknown:
        fault = f"does not name {missing[0]}" if missing else f"names {unknown[0]}, which the corpus does not have"
        raise UserError(f"{where} {fault}; its labels are {', '.join(labels)}")
    classes = tuple(dict.fromkeys(name for name in params.classes.values() if name is not None))
    if len(classes) < 2:
        raise UserError(f"{where} keeps the classes {list(classes)}; expected two or more")
    return tuple(sorted(classes))


def _encoder(params: TeacherParams, modality: str) -> Encoder:
    try:
        return create_encoder(params.encoder)
    except UserError as error:
        raise UserError(f"train_teacher.{modality}.encoder = {params.encoder}: {error}") from None


def _embed(
    params: TeacherParams,
    context: Context,
    items: list[teacher_corpora.Item],
    folder: Path,
    rejects: list[tuple[str, str, str]],
) -> dict[str, NDArray[np.float32]]:
    """Vectors by id; extends `rejects` by items that cannot be used or repeat another."""
    modality = context.item
    mark = fingerprint(
        encoder=params.encoder, items=[item.id for item in items], code=code_version(__file__),
        input=files.sha256_of(folder / "manifest.json"),
    )  # fmt: skip
    work = work_folder(context.paths.shards, f"train_teacher.{modality}", mark)
    chunks = [items[start : start + SHARD_ITEMS] for start in range(0, len(items), SHARD_ITEMS)]
    tasks = [shards.Task(index, len(chunk), chunk) for index, chunk in enumerate(chunks)]
    embedder = partial(Embedder, modality, params.encoder)
    markers = run_shards(context.engine, Work(f"train_teacher {modality}: encode", work, mark, embedder, tasks))
    finish(work)
    rows = [row for marker in markers for row in shards.read_part(work, marker, VECTORS).to_pylist()]
    rejects += shards.read_rejects(work, markers)
    if modality == "image":
        label_of = {item.id: item.label for item in items}
        repeated = teacher_corpora.repeated_pictures({row["id"]: row["content_sha256"] for row in rows}, label_of)
        rejects += repeated
        dropped = {identity for identity, _, _ in repeated}
        rows = [row for row in rows if row["id"] not in dropped]
    return {row["id"]: np.array(row["vector"], dtype=np.float32) for row in rows}


def _save(probe: Probe, rejects: list[tuple[str, str, str]], target: Path) -> None:
    new = target.with_name(f".{target.name}.new")
    files.remove_tree(new)
    probe.save(new)
    write_plot(new / "rejects.csv", ("id", "status", "reason"), sorted(rejects))
    files.replace_folder(new, target)


def _write_reports(
    metrics: dict[str, Any], trained: Trained, classes: tuple[str, ...], modality: str, reports: Path
) -> None:
    probabilities, truth = trained.probabilities, trained.truth
    write_metrics(reports / f"train_teacher_{modality}.json", metrics)
    predictions = [classes[place] for place in probabilities.argmax(axis=1)]
    pairs = zip(truth, predictions, strict=True)
    write_plot(reports / "plots" / f"teacher_{modality}_confusion.csv", ("actual", "predicted"), pairs)
    bins = reliability_bins(probabilities, truth, classes, RELIABILITY_BINS)
    rows = (tuple(row.values()) for row in bins.to_pylist())
    write_plot(reports / "plots" / f"teacher_{modality}_reliability.csv", bins.column_names, rows)


if __name__ == "__main__":
    raise SystemExit(stage_main("train_teacher", dict.fromkeys(tables.MODALITIES, TeacherParams), run, sharded=True))
