"""What a row costs each network of section `models`: in a step of training, and in predicting.

Measured on noise in the shape of the inputs, with random weights; networks of one shape once. Trainer's own share of a
step is small (see `make bench`) and left out.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.engine.environment import device_from_environment, threads_from_environment
from pipeline.engine.progress import Progress
from pipeline.frame.params import section
from pipeline.frame.stage import BaseParams
from pipeline.media.audio import SAMPLING_RATE_HZ
from pipeline.networks import params
from pipeline.networks.build import build
from pipeline.planning import flops

STEPS = {"cpu": 2, "cuda": 20}  # after those that warm up
WARM_UP = {"cpu": 1, "cuda": 5}
LONGEST_SECONDS = 3.0  # after it no further step is begun, on a slow GPU
CPU_BATCH = 8  # a row of a larger batch costs no less there


@dataclass(frozen=True)
class Cost:
    """Of one network: seconds and operations per row, and bytes of its weights as float32."""

    train_seconds_per_row: float
    predict_seconds_per_row: float
    weight_bytes: int
    hear_seconds_per_row: float = 0.0  # to make the word frames of a network that hears words, once for all networks
    # Of features of frozen backbones, made once for all epochs, folds and networks that have them.
    feature_seconds_per_row: float = 0.0
    feature_bytes_per_row: int = 0
    train_flops_per_row: float = 0.0
    predict_flops_per_row: float = 0.0
    training_bytes: int = 0  # of the device's memory in a step of `train.batch_size` rows; see `measure_one`


def measure(sections: Mapping[str, Any]) -> dict[str, Cost]:
    """A `Cost` for every key of section `models`."""
    models = params.read_models(dict(sections))
    train = section(sections, "train", params.TrainParams)
    base = section(sections, "base", BaseParams)
    known: dict[tuple[params.ModelParams, tuple[params.Modality, ...]], Cost] = {}
    costs = {}
    for name, model in Progress(models.items(), desc="networks", unit="network"):
        shape, kept = shape_of(model), tuple(train.kept_features(model))
        if (shape, kept) not in known:
            known[shape, kept] = measure_one(shape, train, base, kept)
        costs[name] = known[shape, kept]
    return costs


def shape_of(model: params.ModelParams) -> params.ModelParams:
    """The same network with random weights, which compute as long; equal for networks that cost the same."""
    return replace(
        model, rows="sier",
        image_backbone=replace(model.image_backbone, pretrained=False, weights=None),
        speech_backbone=model.speech_backbone if model.hears_words
        else replace(model.speech_backbone, pretrained=False, weights=None),
    )  # fmt: skip


def measure_one(
    model: params.ModelParams, train: params.TrainParams, base: BaseParams, kept: Sequence[params.Modality] = ()
) -> Cost:
    """Of a network as `shape_of` has it, on the device that `SIER_DEVICE` asks for; `kept` features are made before.

    The memory of a step is measured on a GPU. On a CPU it is counted: weights, for those that learn their gradient and
    Adam's two moments as well, and what the forward pass keeps for the backward one, of as many rows as a batch has.
    """
    import torch  # noqa: PLC0415 - seconds, which a plan from an earlier pilot need not wait for

    from pipeline.networks import performance  # noqa: PLC0415 - as above

    device = device_from_environment()
    torch.set_num_threads(threads_from_environment())
    torch.manual_seed(base.seed)
    rows = min(train.batch_size, CPU_BATCH) if device == "cpu" else train.batch_size
    net: Any = build(model, train, base.labels).to(device)
    performance.prepare(net, train, device)
    size = train.inputs
    pixels = torch.rand(rows, 3, size.image_size_px, size.image_size_px, device=device)
    mels = torch.rand(rows, 1, size.n_mels, size.n_frames, device=device)
    given = {"pixel_values": pixels, "spectrogram": mels}
    hear = 0.0
    if model.hears_words:
        from pipeline.networks import words  # noqa: PLC0415

        given["word_frames"] = torch.rand(rows, *words.SHAPE, device=device)
        hear = _hear_seconds(size.duration_seconds)
    features = {name: torch.rand(rows, *getattr(net, f"n2_{name}").feature_shape, device=device) for name in kept}
    in_training = given | {f"{name}_features": made for name, made in features.items()}
    truth = torch.arange(rows, device=device) % len(base.labels)
    kind, arguments = performance.optimizer_of(train)
    optimizer = kind((weight for weight in net.parameters() if weight.requires_grad), **arguments)
    computed = torch.compile(net) if train.performance.compile else net

    def step() -> None:
        optimizer.zero_grad()
        with performance.autocast(train, device):
            loss = computed(**in_training, labels=truth).loss
        torch.autograd.backward(loss)
        optimizer.step()

    def predict() -> None:
        with torch.inference_mode(), performance.autocast(train, device):
            net(**given)

    def extract() -> None:
        with torch.inference_mode():
            for name in kept:
                getattr(net, f"n2_{name}").features(pixels if name == "image" else mels.expand(-1, 3, -1, -1))

    net.train()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    trained = _seconds(step, device) / rows
    if device == "cuda":
        training_bytes = torch.cuda.max_memory_allocated()
    else:
        with performance.autocast(train, device):
            kept_bytes = saved_bytes(lambda: net(**in_training, labels=truth).loss, list(net.parameters()))
        training_bytes = _weight_bytes(net) + round(kept_bytes / rows * train.batch_size)
    net.eval()
    counted = flops.count(model, train, base.labels, kept)
    size_bytes = sum(4 * made[0].numel() for made in features.values())
    return Cost(
        trained, _seconds(predict, device) / rows, 4 * sum(one.numel() for one in net.parameters()), hear,
        _seconds(extract, device) / rows if kept else 0.0, size_bytes, counted.train, counted.predict, training_bytes,
    )  # fmt: skip


def _weight_bytes(net: Any) -> int:
    """Of the weights, and of the gradient and Adam's two moments of those that learn."""
    return sum(weight.nbytes * (4 if weight.requires_grad else 1) for weight in net.parameters())


def saved_bytes(forward: Callable[[], Any], weights: Sequence[Any]) -> int:
    """Bytes that a forward pass keeps for the backward one, besides the weights, each storage once."""
    import torch  # noqa: PLC0415 - as above

    known = {weight.untyped_storage().data_ptr() for weight in weights}
    found: dict[int, Any] = {}  # the storages stay alive, so that no address is given to another

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return sum(storage.nbytes() for storage in found.values())


def _seconds(action: Callable[[], None], device: str) -> float:
    """Of one call, after some that warm up."""
    import torch  # noqa: PLC0415 - as above

    def now() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    for _ in range(WARM_UP[device]):
        action()
    begin, done = now(), 0
    while done < STEPS["cpu"] or (done < STEPS[device] and time.perf_counter() - begin < LONGEST_SECONDS):
        action()
        done += 1
    return (now() - begin) / done


def _hear_seconds(duration_seconds: float) -> float:
    """Of the second of two recordings."""
    import torch  # noqa: PLC0415 - as above

    from pipeline.networks import words  # noqa: PLC0415 - as above

    noise = torch.rand(round(duration_seconds * SAMPLING_RATE_HZ)).numpy()
    words.word_frame_array(noise, duration_seconds)
    begin = time.perf_counter()
    words.word_frame_array(noise, duration_seconds)
    return time.perf_counter() - begin
