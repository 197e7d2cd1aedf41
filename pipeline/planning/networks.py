"""What a row costs each network of section `models`: in a step of training, and in predicting.

Measured on noise in the shape of the inputs, with random weights; networks of one shape once. Trainer's own share of a
step is small (see `make bench`) and left out.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from tqdm import tqdm

from pipeline.engine.environment import device_from_environment, threads_from_environment
from pipeline.frame.params import section
from pipeline.frame.stage import BaseParams
from pipeline.media.audio import SAMPLING_RATE_HZ
from pipeline.networks import params
from pipeline.networks.build import build

STEPS = 2
CPU_BATCH = 8  # a row of a larger batch costs no less there


@dataclass(frozen=True)
class Cost:
    """Of one network: seconds per row, and bytes of its weights as float32."""

    train_seconds_per_row: float
    predict_seconds_per_row: float
    weight_bytes: int
    hear_seconds_per_row: float = 0.0  # to make the word frames of a network that hears words, once for all networks
    # Of features of frozen backbones, made once for all epochs, folds and networks that have them.
    feature_seconds_per_row: float = 0.0
    feature_bytes_per_row: int = 0


def measure(sections: Mapping[str, Any]) -> dict[str, Cost]:
    """A `Cost` for every key of section `models`."""
    models = params.read_models(dict(sections))
    train = section(sections, "train", params.TrainParams)
    base = section(sections, "base", BaseParams)
    known: dict[tuple[params.ModelParams, tuple[params.Modality, ...]], Cost] = {}
    costs = {}
    for name, model in tqdm(models.items(), desc="networks", unit="network", disable=None):
        shape = replace(
            model, rows="sier",
            image_backbone=replace(model.image_backbone, pretrained=False, weights=None),
            speech_backbone=model.speech_backbone if model.hears_words
            else replace(model.speech_backbone, pretrained=False, weights=None),
        )  # fmt: skip
        kept = tuple(model.kept_features) if train.cache_features else ()
        if (shape, kept) not in known:
            known[shape, kept] = _measure(shape, kept, train, base)
        costs[name] = known[shape, kept]
    return costs


def _measure(
    model: params.ModelParams, kept: tuple[params.Modality, ...], train: params.TrainParams, base: BaseParams
) -> Cost:
    import torch  # noqa: PLC0415 - seconds, which a plan from an earlier pilot need not wait for

    device = device_from_environment()
    torch.set_num_threads(threads_from_environment())
    torch.manual_seed(base.seed)
    rows = min(train.batch_size, CPU_BATCH) if device == "cpu" else train.batch_size
    net = build(model, train, base.labels).to(device)
    size = train.inputs
    pixels = torch.rand(rows, 3, size.image_size_px, size.image_size_px, device=device)
    mels = torch.rand(rows, 1, size.n_mels, size.n_frames, device=device)
    given = {"pixel_values": pixels, "spectrogram": mels}
    hear = 0.0
    if model.hears_words:
        from pipeline.networks import words  # noqa: PLC0415

        given["word_frames"] = torch.rand(rows, *words.SHAPE, device=device)
        noise = torch.rand(round(size.duration_seconds * SAMPLING_RATE_HZ)).numpy()
        words.word_frame_array(noise, size.duration_seconds)
        begin = time.perf_counter()
        words.word_frame_array(noise, size.duration_seconds)
        hear = time.perf_counter() - begin
    features = {name: torch.rand(rows, *getattr(net, f"n2_{name}").feature_shape, device=device) for name in kept}
    in_training = given | {f"{name}_features": made for name, made in features.items()}
    truth = torch.arange(rows, device=device) % len(base.labels)
    optimizer = torch.optim.Adam((weight for weight in net.parameters() if weight.requires_grad), train.learning_rate)
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16, None: None}[train.mixed_precision]

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device, dtype=kind) if kind else nullcontext():
            loss = net(**in_training, labels=truth).loss
        torch.autograd.backward(loss)
        optimizer.step()

    def predict() -> None:
        with torch.inference_mode():
            net(**given)

    def extract() -> None:
        with torch.inference_mode():
            for name in kept:
                getattr(net, f"n2_{name}").features(pixels if name == "image" else mels.expand(-1, 3, -1, -1))

    def now() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def seconds(action: Callable[[], None]) -> float:
        action()
        begin = now()
        for _ in range(STEPS):
            action()
        return (now() - begin) / STEPS / rows

    net.train()
    trained = seconds(step)
    net.eval()
    weights = sum(weight.numel() for weight in net.parameters())
    size_bytes = sum(4 * made[0].numel() for made in features.values())
    return Cost(trained, seconds(predict), 4 * weights, hear, seconds(extract) if kept else 0.0, size_bytes)
