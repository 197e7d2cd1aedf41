"""A training step by Trainer against the same step in a bare PyTorch loop, and what the loader could deliver.

    python -m benchmarks.training_step [--rows 160] [--batch-size 16] [--rounds 5] [--network parallelnet] [--grey]
    python -m benchmarks.training_step --switches [--params params.paper.yaml] [--batch-size 4] [--compile]

All train the same network on the same rows in the same process, by turns; ratios are those of the medians. Trainer's
evaluation and checkpoints, once per epoch, are not part of a step and are left out. The third line is Trainer again on
features of frozen backbones that were computed before, where the network has such (`train.cache_features`); `--grey`
lets no convolution learn before N2 of speech (`learn_colours: false`), so that its features are among them.

With `--switches` a bare step instead, as it is and with each of what section train has to make it faster, by turns; the
ratio is the median of those of the rounds. `--compile` adds torch.compile, which takes minutes before its first step.
Weights are random, and no features are kept. On a GPU, benchmarks.gpu measures the same.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainingArguments

from benchmarks import measure
from benchmarks.gpu import with_switches
from models.parallelnet.losses import CombinedLoss
from models.parallelnet.parallelnet import ParallelNet
from pipeline.engine.fingerprint import PROJECT
from pipeline.frame.params import PARAMS_FILE, read_params, section
from pipeline.frame.stage import BaseParams
from pipeline.networks import performance, words
from pipeline.networks.build import build
from pipeline.networks.fold import arguments
from pipeline.networks.inputs import MEDIA, InputRows, Inputs, collate
from pipeline.networks.job import Job
from pipeline.networks.params import InputParams, ModelParams, TrainParams, read_models
from pipeline.networks.trainers import LossTrainer
from pipeline.planning import networks

# TF32 is of GPUs only.
SWITCHES: dict[str, dict[str, Any]] = {
    "float32": {},
    "channels_last": {"channels_last": True},
    "fused Adam": {"fused_adam": True},
    "bf16": {"mixed_precision": "bf16"},
    "all of these": {"mixed_precision": "bf16", "channels_last": True, "fused_adam": True},
}


def random_rows(folder: Path, rows: int, params: InputParams, labels: tuple[str, ...]) -> Inputs:
    """Noise in the layout of `pipeline.networks.inputs`."""
    rng = np.random.default_rng(0)
    size = params.image_size_px
    np.save(folder / MEDIA["image"], rng.integers(0, 256, (rows, 3, size, size), dtype=np.uint8))
    mels = rng.random((rows, params.n_mels, params.n_frames), dtype=np.float32).astype(np.float16)
    np.save(folder / MEDIA["spectrogram"], mels)
    np.save(folder / MEDIA["word_frames"], rng.random((rows, *words.SHAPE), dtype=np.float32).astype(np.float16))
    table = pd.DataFrame({"id": [str(place) for place in range(rows)], "label": np.arange(rows) % len(labels)})
    return Inputs(folder, table, labels)


def with_features(rows: InputRows, net: ParallelNet) -> tuple[InputRows, float]:
    """Rows with the features that never change, and the seconds that it took to compute them."""
    paths, begin = {}, time.perf_counter()
    for modality in net.config.fixed_features:
        found = []
        for batch in DataLoader(rows, 16, collate_fn=collate):
            pictures = batch["pixel_values"] if modality == "image" else batch["spectrogram"].expand(-1, 3, -1, -1)
            with torch.inference_mode():
                found.append(getattr(net, f"n2_{modality}").features(pictures).numpy())
        paths[f"{modality}_features"] = rows.folder / f"{modality}_features.npy"
        np.save(paths[f"{modality}_features"], np.concatenate(found))
    return replace(rows, features=paths), time.perf_counter() - begin


class Clock(TrainerCallback):  # type: ignore[misc]
    """When each step began and ended."""

    def __init__(self) -> None:
        self.begin = self.seconds = 0.0

    def on_train_begin(self, *_: object, **__: object) -> None:
        self.begin = 0.0

    def on_step_end(self, *_: object, **__: object) -> None:
        # The first step warms up, in both loops.
        if not self.begin:
            self.begin = time.perf_counter()
        self.seconds = time.perf_counter() - self.begin


def bare_epoch(net: ParallelNet, loader: DataLoader[dict[str, torch.Tensor]], loss: CombinedLoss, lr: float) -> float:
    """Seconds from the end of the first step to the end of the last."""
    optimizer = torch.optim.Adam(net.parameters(), lr)
    net.train()
    begin = 0.0
    for batch in loader:
        optimizer.zero_grad()
        labels = batch.pop("labels")
        torch.autograd.backward(loss(net(**batch).logits, labels))
        optimizer.step()
        begin = begin or time.perf_counter()
    return time.perf_counter() - begin


def switched_step(model: ModelParams, train: TrainParams, base: BaseParams, rows: int) -> Callable[[], None]:
    """A step on noise, computed as `train` says."""
    torch.manual_seed(base.seed)
    net: Any = build(model, train, base.labels).train()
    performance.prepare(net, train, "cpu")
    kind, settings = performance.optimizer_of(train)
    optimizer = kind((weight for weight in net.parameters() if weight.requires_grad), **settings)
    computed = torch.compile(net) if train.performance.compile else net
    size = train.inputs
    pixels = torch.rand(rows, 3, size.image_size_px, size.image_size_px)
    mels, truth = torch.rand(rows, 1, size.n_mels, size.n_frames), torch.arange(rows) % len(base.labels)

    def step() -> None:
        optimizer.zero_grad()
        with performance.autocast(train, "cpu"):
            loss = computed(pixel_values=pixels, spectrogram=mels, labels=truth).loss
        torch.autograd.backward(loss)
        optimizer.step()

    return step


def compare_switches(
    model: ModelParams, train: TrainParams, base: BaseParams, rows: int, rounds: int, *, compiled: bool
) -> None:
    """Print the median step of each, and how many times as fast it is."""
    model = networks.shape_of(model)
    switches = {**SWITCHES, **({"compile": {"compile": True}} if compiled else {})}
    steps = {
        label: switched_step(model, with_switches(train, chosen), base, rows) for label, chosen in switches.items()
    }
    seconds = measure.by_turns(steps, rounds)
    plain, *others = seconds
    print(
        f"{plain:<24}{1000 * statistics.median(seconds[plain]):8.0f} ms a step of {rows} rows, {rounds} rounds by turns"
    )
    for label in others:
        ratio = measure.median_ratio(seconds[plain], seconds[label])
        print(f"{label:<24}{1000 * statistics.median(seconds[label]):8.0f} ms, {ratio:5.2f} x as fast")


def parsed() -> argparse.Namespace:
    """What was given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=160)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--switches", action="store_true", help="what makes a step faster, instead of Trainer")
    parser.add_argument("--compile", action="store_true", help="with --switches: torch.compile as well")
    parser.add_argument("--params", type=Path, default=PROJECT / PARAMS_FILE, help="by default params.yaml")
    parser.add_argument("--network", default="parallelnet", help="a key of section models")
    parser.add_argument("--grey", action="store_true", help="learn_colours: false")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    sections = read_params(options.params)
    train = replace(section(sections, "train", TrainParams), batch_size=options.batch_size)
    model, base = read_models(sections)[options.network], section(sections, "base", BaseParams)
    if options.grey:
        model = replace(model, learn_colours=False)
    if options.switches:
        compare_switches(model, train, base, options.batch_size, options.rounds, compiled=options.compile)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = random_rows(folder, options.rows, train.inputs, base.labels)
        rows = replace(inputs, words=folder if model.hears_words else None).select(np.arange(options.rows))
        net = build(model, train, base.labels)
        loss = CombinedLoss(train.focal_weight, train.focal_gamma, alpha=train.focal_alpha)
        job = Job("benchmark", model, train, base, 0, 0, "cpu", folder)
        settings = arguments(job).to_dict() | {
            "num_train_epochs": 1, "eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False,
            "lr_scheduler_type": "constant", "lr_scheduler_kwargs": {}, "disable_tqdm": True,
        }  # fmt: skip
        loader = DataLoader(rows, options.batch_size, shuffle=True, collate_fn=collate)
        with_kept, computing = with_features(rows, net)

        def trainer_epoch(dataset: InputRows) -> float:
            clock = Clock()
            trainer = LossTrainer(
                model=net, args=TrainingArguments(**settings), loss=loss, train_dataset=dataset, data_collator=collate,
                callbacks=[clock],
                optimizer_cls_and_kwargs=(torch.optim.Adam, {"lr": train.learning_rate}),
            )  # fmt: skip
            trainer.train()
            return clock.seconds

        bare, ours, kept = [], [], []
        for _ in range(options.rounds):
            bare.append(bare_epoch(net, loader, loss, train.learning_rate))
            ours.append(trainer_epoch(rows))
            if with_kept.features:
                kept.append(trainer_epoch(with_kept))
        begin = time.perf_counter()
        for _ in range(options.rounds):
            delivered = sum(len(batch["labels"]) for batch in loader)
        loading = options.rounds * delivered / (time.perf_counter() - begin)
    steps = (options.rows - 1) // options.batch_size
    trained = options.rows - options.batch_size
    for label, seconds in (("bare loop", bare), ("Trainer", ours), ("on features", kept)):
        if not seconds:
            print(f"{label:<11} none: something that learns stands before every backbone, or it learns itself")
            continue
        middle = statistics.median(seconds)
        spread = f"{options.rounds} rounds, {min(seconds):.2f} to {max(seconds):.2f} s"
        print(f"{label:<11} {1000 * middle / steps:8.1f} ms a step, {trained / middle:8.1f} rows/s  ({spread})")
    print(f"ratio       {statistics.median(ours) / statistics.median(bare):8.3f}  (Trainer / bare loop, medians)")
    if kept:
        names, once = " and ".join(net.config.fixed_features), 1000 * computing / options.rows
        print(f"ratio       {statistics.median(kept) / statistics.median(ours):8.3f}  (on features / Trainer, medians)")
        print(f"features    of {names}: {once:.1f} ms a row, once")
    print(f"loader      {loading:8.1f} rows/s without a network, in the training process")


if __name__ == "__main__":
    main()
