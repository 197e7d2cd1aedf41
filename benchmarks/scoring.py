"""Scoring: the stage's worker against a bare batched loop, and against transformers.pipeline, row by row.

    python -m benchmarks.scoring [--data data] [--rows 100] [--rounds 3] [--quick] [--json FILE]

One thread, one process, by turns, on the same rows of data/speech and data/clean with the teachers of data/checkpoints
(run `make repro` before). All three read the shard, decode the media and end with probabilities. The bare loop uses the
same networks by their own libraries: pictures in batches of 16; log-mel and encoder clip by clip, unpadded, since clips
of different lengths share no batch without padding. transformers.pipeline gets networks of the same architecture with
random weights, takes as long, and pads speech to 30 s, as Whisper was trained. Where the speech teacher of
data/checkpoints goes by words, which were heard before it scores, a probe of sound with random weights is measured in
its place.

Pictures on the CPU run as a graph of ONNX Runtime; how far its vectors are from PyTorch's is printed too.
"""

from __future__ import annotations

import io
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pyarrow as pa
import soundfile
import timm
import timm.data
import torch
import transformers
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from benchmarks import measure
from models.teachers.loading import load_teacher
from models.teachers.probe import LinearModel, Probe
from models.teachers.speech_encoder import WhisperEncoder
from models.teachers.standardise import Statistics
from models.weights.backbones import create_backbone
from models.weights.whisper_weights import MODEL_FILE
from pipeline import score
from pipeline.engine import shards
from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import UserError
from pipeline.frame.tables import CHECKPOINTS, VOICE_STATISTICS_FILE
from pipeline.teachers.params import ScoreParams
from pipeline.teachers.scoring import IMAGE, SPEECH, Scorer

SOURCES = {"speech": SPEECH["acoustic"], "image": IMAGE}

BATCH = 16
OF_BARE_LOOP, TIMES_ONE_BY_ONE = 0.9, 2.0
WINDOW_SAMPLES = 30 * 16_000

Encode = Callable[[list[bytes]], list[NDArray[np.float32]]]


def copy_rows(data: Path, folder: Path, modality: str, rows: int) -> None:
    """The first rows with distinct media, as one shard of a folder of their own."""
    source = SOURCES[modality]
    media = source.columns[1]
    found: list[dict[str, Any]] = []
    seen: set[bytes] = set()
    for marker in shards.read_manifest(data / source.folder, source.stage):
        for row in shards.read_part(data / source.folder, marker, columns=list(source.columns)).to_pylist():
            if row[media] not in seen and len(found) < rows:
                seen.add(row[media])
                found.append(row)
    table = pa.Table.from_pylist(found)
    made = shards.commit(folder / "made", shards.Task(0, len(table), None), shards.Output(table), "")
    shards.publish(folder / "made", [made], folder / source.folder)


def speech_encoder() -> Encode:
    """Whisper's encoder by CTranslate2."""
    model = ctranslate2.models.Whisper(
        str(MODEL_FILE.path().parent), device="cpu", compute_type="float32", intra_threads=1, inter_threads=1
    )
    features = FeatureExtractor()

    def encode(batch: list[bytes]) -> list[NDArray[np.float32]]:
        vectors = []
        for data in batch:
            waveform, _ = soundfile.read(io.BytesIO(data), dtype="float32")
            mel = np.ascontiguousarray(features(waveform, padding=0), dtype=np.float32)
            states = np.asarray(model.encode(ctranslate2.StorageView.from_array(mel[np.newaxis]), to_cpu=True))[0]
            vectors.append(np.concatenate([states.mean(axis=0), states.std(axis=0)]))
        return vectors

    return encode


def image_encoder(name: str) -> Encode:
    """A timm backbone as fast as it goes."""
    model: Any = create_backbone(name, pretrained=True).eval().to(memory_format=torch.channels_last)
    config = timm.data.resolve_model_data_config(model)
    side = config["input_size"][-1]
    mean, std = (np.asarray(config[key], dtype=np.float32) for key in ("mean", "std"))

    def encode(batch: list[bytes]) -> list[NDArray[np.float32]]:
        pictures = [Image.open(io.BytesIO(data)).convert("RGB") for data in batch]
        resized = [picture.resize((side, side), Image.Resampling.BICUBIC) for picture in pictures]
        values = (np.stack([np.asarray(picture, dtype=np.float32) for picture in resized]) / 255 - mean) / std
        with torch.inference_mode():
            pixels = torch.from_numpy(values).permute(0, 3, 1, 2)
            return list(model.forward_features(pixels).mean(dim=(2, 3)).numpy())

    return encode


def speech_pipeline(classes: int) -> Callable[[bytes], object]:
    """Audio classification on Whisper tiny."""
    config = transformers.WhisperConfig(
        d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536, num_labels=classes
    )
    model = transformers.WhisperForAudioClassification(config).eval()
    classify = transformers.pipeline(
        "audio-classification", model=model, feature_extractor=transformers.WhisperFeatureExtractor()
    )

    def score_one(data: bytes) -> object:
        waveform, rate = soundfile.read(io.BytesIO(data), dtype="float32")
        return classify({"raw": waveform, "sampling_rate": rate})

    return score_one


def image_pipeline(name: str, classes: int) -> Callable[[bytes], object]:
    """Image classification on a timm backbone."""
    settings = timm.create_model(name).pretrained_cfg
    config = transformers.TimmWrapperConfig(architecture=name, num_labels=classes, pretrained_cfg=settings)
    model = transformers.TimmWrapperForImageClassification(config).eval()
    processor = transformers.TimmWrapperImageProcessor(settings, architecture=name)
    classify = transformers.pipeline("image-classification", model=model, image_processor=processor)
    return lambda data: classify(Image.open(io.BytesIO(data)).convert("RGB"))


def probe_of_sound() -> Probe:
    """Of four classes, with random weights."""
    encoder = WhisperEncoder(cpu_threads=1)
    weights = np.random.default_rng(0).normal(size=(4, encoder.dimensions))
    spread = Statistics(np.zeros(encoder.dimensions), np.ones(encoder.dimensions))
    classes = ("anger", "excitement", "sadness", "disgust")
    return Probe(encoder, classes, LinearModel(weights, np.zeros(4)), "none", spread)


def furthest_from_pytorch(data: Path, rows: int) -> float:
    """The largest difference of a picture's probabilities between the worker's graph and PyTorch, over some rows."""
    checkpoint = data / "checkpoints" / CHECKPOINTS["image"]
    teacher = load_teacher(checkpoint)
    encode = image_encoder(score.read_teacher_card(checkpoint, "image")["encoder"]["name"])
    with tempfile.TemporaryDirectory(prefix="sier-scoring-") as name:
        copy_rows(data, Path(name), "image", rows)
        media = read_media(Path(name), "image")
    ours = teacher.predict_proba([Image.open(io.BytesIO(one)).convert("RGB") for one in media])
    return float(np.abs(ours - teacher.classify(np.stack(encode(media)), None)).max())


def read_media(folder: Path, modality: str) -> list[bytes]:
    """The items of the shard, undecoded."""
    source = SOURCES[modality]
    (marker,) = shards.read_manifest(folder / source.folder, source.stage)
    media: list[bytes] = shards.read_part(folder / source.folder, marker, columns=[source.columns[1]])[0].to_pylist()
    return media


def bare_loop(folder: Path, modality: str, teacher: Any, statistics_of_voice: Any, encode: Encode) -> None:
    """Read, encode and classify in batches."""
    media = read_media(folder, modality)
    for start in range(0, len(media), BATCH):
        teacher.classify(np.stack(encode(media[start : start + BATCH])), statistics_of_voice)


def one_by_one(folder: Path, modality: str, score_one: Callable[[bytes], object]) -> None:
    """Read, and give each item to a pipeline."""
    for data in read_media(folder, modality):
        score_one(data)


def measure_modality(data: Path, folder: Path, modality: str, rows: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each round."""
    copy_rows(data, folder, modality, rows)
    checkpoint = data / "checkpoints" / CHECKPOINTS[modality]
    voices = data / "scores" / modality / VOICE_STATISTICS_FILE
    if score.read_teacher_card(checkpoint, modality)["features"] != "acoustic":
        checkpoint, voices = folder / "probe", folder / "none"
        probe_of_sound().save(checkpoint)
    params = ScoreParams(BATCH, 100)
    scorer = Scorer(modality, folder, checkpoint, voices if voices.is_file() else None, params)
    voice = next(iter(scorer.statistics.values())) if scorer.statistics else None
    source = SOURCES[modality]
    (marker,) = shards.read_manifest(folder / source.folder, source.stage)
    classes = len(scorer.teacher.classes)
    if modality == "speech":
        encode, naive = speech_encoder(), speech_pipeline(classes)
    else:
        name = score.read_teacher_card(checkpoint, modality)["encoder"]["name"]
        encode, naive = image_encoder(name), image_pipeline(name, classes)
    return measure.by_turns(
        {
            "worker": partial(scorer, shards.Task(0, marker.part.rows, marker)),
            "bare loop": partial(bare_loop, folder, modality, scorer.teacher, voice, encode),
            "transformers.pipeline": partial(one_by_one, folder, modality, naive),
        },
        rounds,
    )


def main() -> None:
    parser = measure.arguments("scoring", __doc__, "16 rows, one round: that it runs")
    parser.add_argument("--data", type=Path, default=PROJECT / "data")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    facts = measure.machine()
    wanted, rounds = (16, 1) if options.quick else (options.rows, options.rounds)
    torch.set_num_threads(1)
    found: dict[str, dict[str, list[float]]] = {}
    checked: list[measure.Target] = []
    for modality in SOURCES:
        with tempfile.TemporaryDirectory(prefix="sier-scoring-") as name, threadpool_limits(limits=1):
            try:
                seconds = measure_modality(options.data, Path(name), modality, wanted, rounds)
            except UserError as error:
                sys.exit(str(error))
        found[modality] = seconds
        print(f"\n{modality}: {wanted} rows, medians of {rounds} rounds by turns; one thread, one process")
        for label, of_label in seconds.items():
            faster = measure.median_ratio(of_label, seconds["worker"])
            rate = wanted / statistics.median(of_label)
            print(f"  {label:<24}{rate:8.1f} rows/s  worker is {faster:5.2f} x as fast")
        for other, least in (("bare loop", OF_BARE_LOOP), ("transformers.pipeline", TIMES_ONE_BY_ONE)):
            ratio = measure.median_ratio(seconds[other], seconds["worker"])
            checked.append(measure.Target(f"{modality} worker, over {other}", ratio, least))
    difference = furthest_from_pytorch(options.data, wanted)
    print(f"\nprobabilities of {wanted} pictures are at most {difference:.1e} from those of PyTorch's vectors")
    measure.tell(checked)
    measure.write_json(
        "scoring", facts, {"seconds": found, "furthest": difference} | measure.as_json(checked), options.json
    )


if __name__ == "__main__":
    main()
