"""Do networks, predictions and explanations belong together, and do the dataset's card and reports count its rows?

What can be worked out anew is: for a few rows of each network its probabilities, for every explanation its sum.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from huggingface_hub import DatasetCard

from models.pair.explanation import TOLERANCE
from pipeline.errors import UserError, first_line
from pipeline.explanation import table as explanations
from pipeline.frame import tables
from pipeline.frame.stage import Paths
from pipeline.networks import trained
from pipeline.networks.params import ModelParams, TrainParams
from pipeline.verification.shard_files import Fault

ROWS = 4  # of each network, asked again
PROBABILITY_TOLERANCE = 1e-3  # of one row alone, where `evaluate` took batches


def check_networks(
    paths: Paths, models: Mapping[str, ModelParams], train: TrainParams, labels: Sequence[str], sier: pd.DataFrame
) -> Iterator[Fault]:
    """Networks that are there, rows that they were not trained on, and their predictions.

    `sier` has the columns id, split, fold and label (a name) of the dataset.
    """
    for name, model in models.items():
        folder = paths.checkpoints / name
        if not folder.is_dir():
            continue
        of_rows = labels if model.rows == "sier" else tables.SENTIMENTS
        try:
            left = trained.read(paths.checkpoints, name, model.rows, tuple(of_rows))
        except UserError as error:
            yield _network_fault(error)
            continue
        if model.rows == "sier":
            yield from _check_out_of_fold(left, sier)
        path = paths.data / "predictions" / f"{name}.parquet"
        if path.is_file():
            yield from _check_predictions(path, left, model, train, paths, sier)


def _network_fault(error: UserError) -> Fault:
    where, _, what = str(error).partition(": ")
    return Fault(Path(where), "network", what)


def _check_out_of_fold(left: trained.Trained, sier: pd.DataFrame) -> Iterator[Fault]:
    of_seeds = [
        pd.DataFrame({"id": found.ids, "held_out": found.fold, "truth": [left.labels[label] for label in found.truth]})
        for found in left.held_out
    ]
    joined = pd.concat(of_seeds, ignore_index=True).merge(sier, on="id", how="left")
    wrong = (joined["split"] != "train") | (joined["fold"] != joined["held_out"]) | (joined["label"] != joined["truth"])
    if wrong.any():
        first = joined["id"][wrong].iloc[0]
        what = f"{wrong.sum()} rows are not those of the dataset's train split, its folds and labels, first {first}"
        yield Fault(left.folder / tables.OUT_OF_FOLD_FILE, "out_of_fold", f"{what}; run: dvc repro train@{left.name}")


def _check_predictions(
    path: Path, left: trained.Trained, model: ModelParams, train: TrainParams, paths: Paths, sier: pd.DataFrame
) -> Iterator[Fault]:
    from pipeline.networks.loading import load_net  # noqa: PLC0415 - torch takes seconds

    columns = trained.predictions_schema(left.labels, runs=False).names
    try:
        stated = pq.read_table(path, columns=columns, partitioning=None).to_pandas().set_index("id")
    except (OSError, pa.ArrowException) as error:
        yield Fault(path, "predictions", f"cannot be read: {first_line(error)}; run: dvc repro evaluate")
        return
    if model.rows == "sier":
        tested = sier[sier["split"] == "test"].set_index("id")["label"]
        if not stated["label"].sort_index().equals(tested.sort_index()):
            yield Fault(path, "predictions", "not the rows and labels of the test split; run: dvc repro evaluate")
            return
    chosen = sorted(stated.index, key=lambda key: hashlib.sha256(key.encode()).digest())[:ROWS]
    try:
        net = load_net(left, train.inputs, "cpu")
    except UserError as error:
        yield _network_fault(error)
        return
    for key, item in _items(paths.data, model.rows, chosen, train, words=model.hears_words):
        found = _ask(net, item)
        expected = stated.loc[key, columns[2:]].to_numpy(dtype=np.float64)
        if not np.abs(found - expected).max() <= PROBABILITY_TOLERANCE:
            said = f"{expected.max():.4f}, the network in {left.folder} says {found[expected.argmax()]:.4f}"
            yield Fault(path, "predictions", f"row {key}: a probability is {said}; run: dvc repro evaluate")


def _items(
    data: Path, rows: str, ids: Sequence[str], train: TrainParams, *, words: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the network reads of these rows."""
    from pipeline.media import audio  # noqa: PLC0415
    from pipeline.networks.decoding import image_array, read_image, spectrogram_array  # noqa: PLC0415
    from pipeline.networks.words import word_frame_array  # noqa: PLC0415

    folders = {"image": "sier/data", "audio": "sier/data"} if rows == "sier" else {"image": "clean", "audio": "speech"}
    media = {column: _column(data / folder, column, ids) for column, folder in folders.items()}
    inputs = train.inputs
    for key in ids:
        waveform = audio.decode(media["audio"][key])
        item = {
            "pixel_values": image_array(read_image(media["image"][key]), inputs.image_size_px),
            "spectrogram": spectrogram_array(
                waveform, duration_seconds=inputs.duration_seconds, n_mels=inputs.n_mels, n_frames=inputs.n_frames
            ),
        }
        if words:
            item["word_frames"] = word_frame_array(waveform, inputs.duration_seconds)
        yield key, item


def _column(folder: Path, column: str, ids: Sequence[str]) -> dict[str, bytes]:
    parts = sorted(folder.glob("*.parquet"))
    read = (pq.read_table(path, columns=["id", column], filters=[("id", "in", list(ids))]) for path in parts)
    rows = [row for part in read for row in part.to_pylist()]
    return {row["id"]: row[column]["bytes"] if isinstance(row[column], dict) else row[column] for row in rows}


def _ask(net: Any, item: dict[str, Any]) -> np.ndarray:
    """Probabilities float64 [classes] of one row."""
    import torch  # noqa: PLC0415

    from pipeline.networks.inputs import collate  # noqa: PLC0415

    with torch.inference_mode():
        logits = net(**collate([item])).logits[0].double()
    probabilities: np.ndarray = torch.softmax(logits, dim=0).numpy()
    return probabilities


def check_explanations(folder: Path) -> Iterator[Fault]:
    """Every explanation's values, and each map, sum to what the network's answers differ by."""
    path = folder / explanations.FILE
    if not folder.is_dir():
        return
    columns = ["id", "v_full", "v_empty", "image_value", "speech_value", "image_values", "speech_values"]
    try:
        rows = pq.read_table(path, columns=columns, partitioning=None).to_pandas()
    except (OSError, pa.ArrowException) as error:
        yield Fault(path, "explanations", f"cannot be read: {first_line(error)}; run: dvc repro explain")
        return
    effect = rows["v_full"] - rows["v_empty"]
    allowed = TOLERANCE * np.maximum(1.0, effect.abs())
    for modality in tables.MODALITIES:
        total = rows[f"{modality}_values"].map(lambda values: float(np.sum(values)))
        yield from _sums(path, rows["id"], total - rows[f"{modality}_value"], allowed, f"its {modality} values")
    yield from _sums(path, rows["id"], rows["image_value"] + rows["speech_value"] - effect, allowed, "its values")


def _sums(path: Path, ids: pd.Series, off: pd.Series, allowed: pd.Series, what: str) -> Iterator[Fault]:
    wrong = ~(off.abs() <= allowed)  # also of what is no number
    if wrong.any():
        said = f"row {ids[wrong].iloc[0]}: {what} do not sum to what they should, by {off[wrong].iloc[0]:.3g}"
        yield Fault(path, "explanations", f"{said} ({wrong.sum()} such rows); run: dvc repro explain")


def check_counts(paths: Paths, sier: pd.DataFrame) -> Iterator[Fault]:
    """The card's and the report's numbers of rows are those of the dataset."""
    counted = {split: int(rows) for split, rows in sier["split"].value_counts().items()}
    card, report = paths.data / "sier" / "README.md", paths.reports / "assemble.json"
    for path, read in ((card, _rows_of_card), (report, _rows_of_report)):
        if not path.is_file():
            continue  # not built, or told by the check of files
        try:
            told = read(path)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, yaml.YAMLError):
            told = {}
        if told != counted:
            what = f"tells of {told or 'no'} rows, the dataset has {counted}"
            yield Fault(path, "counts", f"{what}; run: dvc repro --single-item --force assemble")


def _rows_of_card(path: Path) -> dict[str, int]:
    splits = DatasetCard.load(path).data["dataset_info"]["splits"]
    return {split["name"]: split["num_examples"] for split in splits}


def _rows_of_report(path: Path) -> dict[str, int]:
    return {name: split["rows"] for name, split in json.loads(path.read_bytes())["splits"].items()}
