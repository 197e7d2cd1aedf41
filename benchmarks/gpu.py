"""What the paper's run takes on the GPU of this machine, in 8 minutes: no data, no downloads, random weights.

    python -m benchmarks.gpu [--params params.paper.yaml] [--rows 470586] [--quick] [--json .work/gpu.json]

In turn: whether steps in bfloat16 agree with those in float32; a step of every network of section models as it will be
trained, and hours of the whole training by the paper's share of rows over the threshold; explanations, scoring, batched
speech; a step of ParallelNet at the batch of section train with each switch of train.performance. `sier plan` uses what
is written. `--quick` measures tiny networks, on a CPU too: that it runs.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import gpu_parts, measure
from pipeline.corpora.counts import B_T4SA
from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import UserError
from pipeline.frame.paper import B_T4SA_ROWS, LABELLED_ROWS
from pipeline.frame.params import read_params, section
from pipeline.frame.stage import BaseParams
from pipeline.networks.params import PerformanceParams, TrainParams, read_models
from pipeline.planning import estimate, gpus, networks
from pipeline.planning.show import duration

LIMIT_SECONDS = 400.0  # after it no further part is begun, so that all ends within 8 minutes
KEPT_SHARE = LABELLED_ROWS["kept"] / LABELLED_ROWS["rows_in"]
NETWORK = "parallelnet"
# Each alone, then together.
SWITCHES: Mapping[str, dict[str, Any]] = {
    "float32": {},
    "TF32": {"tf32": True},
    "channels_last": {"channels_last": True},
    "fused Adam": {"fused_adam": True},
    "bf16": {"mixed_precision": "bf16"},
    "bf16, channels_last": {"mixed_precision": "bf16", "channels_last": True},
    "all but compile": {"mixed_precision": "bf16", "tf32": True, "channels_last": True, "fused_adam": True},
    "all": {"mixed_precision": "bf16", "tf32": True, "channels_last": True, "fused_adam": True, "compile": True},
}
COMPILED = "all"


def quick_sections(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Two small networks at 32 x 32, in batches of 4."""
    small: dict[str, Any] = copy.deepcopy(dict(sections))
    tiny = {"name": "test_efficientnet", "pretrained": False, "weights": None}
    for name in (NETWORK, "ser_only"):
        small["models"][name] |= {
            "image_backbone": tiny, "speech_backbone": tiny, "n1_channels": [4], "code_size": 16, "head_size": 16,
        }  # fmt: skip
    small["models"] = {name: small["models"][name] for name in (NETWORK, "ser_only")}
    small["train"]["inputs"] |= {"image_size_px": 32, "n_mels": 32, "n_frames": 32}
    small["train"] |= {"batch_size": 4, "further_seeds": {}}
    return small


def with_switches(train: TrainParams, switches: Mapping[str, Any]) -> TrainParams:
    """Section `train` with these switches on, and no others."""
    performance = {name: value for name, value in switches.items() if name != "mixed_precision"}
    precision = switches.get("mixed_precision")
    return replace(train, mixed_precision=precision, performance=PerformanceParams(**performance))


class Bench:
    """Parts of the measurement, until time is up."""

    def __init__(self, sections: Mapping[str, Any], *, quick: bool) -> None:
        self.sections, self.quick, self.begin = sections, quick, time.perf_counter()
        self.train, self.base = section(sections, "train", TrainParams), section(sections, "base", BaseParams)
        self.model = networks.shape_of(read_models(dict(sections))[NETWORK])
        self.found: dict[str, Any] = {}

    def part(self, name: str, action: Callable[[], Any]) -> None:
        """Add what `action` finds; a part that this machine lacks something for is left out, and says so."""
        if time.perf_counter() - self.begin > LIMIT_SECONDS:
            print(f"\n{name}: not measured, as time is up")
            return
        print(f"\n{name}", flush=True)
        try:
            self.found[name] = action()
        except (UserError, ImportError, RuntimeError, ValueError) as error:
            print(f"  not measured: {' '.join(str(error).split())[:200]}")

    def switches(self) -> dict[str, float]:
        """Milliseconds of a step by switches."""
        found: dict[str, float] = {}
        rows = gpu_parts.step_rows(self.train)
        for label, switches in SWITCHES.items():
            if self.quick and label == COMPILED:
                print(f"  {label:<24} left out: compiling takes minutes on a CPU")
                continue
            cost = networks.measure_one(self.model, with_switches(self.train, switches), self.base)
            found[label] = 1000 * rows * cost.train_seconds_per_row
            speed = cost.train_flops_per_row / cost.train_seconds_per_row / 1e12
            gain = found["float32"] / found[label]
            print(
                f"  {label:<24}{found[label]:10.1f} ms a step of {rows} rows, {speed:8.2f} TF/s, {gain:6.2f} x",
                flush=True,
            )
        return found

    def networks(self) -> dict[str, Any]:
        """Every `Cost`."""
        costs = networks.measure(self.sections)
        for name, cost in costs.items():
            speed = cost.train_flops_per_row / cost.train_seconds_per_row / 1e12
            print(f"  {name:<24}{1000 * cost.train_seconds_per_row:10.3f} ms a row, {speed:8.2f} TF/s")
        return {name: asdict(cost) for name, cost in costs.items()}

    def hours(self, rows: int) -> dict[str, Any]:
        """Of the whole training, by the networks' costs."""
        if "networks" not in self.found:
            raise UserError("no network was measured")
        costs = {name: networks.Cost(**cost) for name, cost in self.found["networks"].items()}
        done = {name: estimate.passes(self.sections, name, rows * KEPT_SHARE, rows) for name in costs}
        seconds = {name: done[name].seconds(cost) for name, cost in costs.items()}
        for name, of_it in seconds.items():
            print(f"  {name:<24}{duration(of_it):>12}  {done[name].runs} runs of {done[name].epochs} epochs")
        operations = sum(done[name].flops(cost) for name, cost in costs.items())
        total = sum(seconds.values())
        print(f"  {'all':<24}{duration(total):>12}  {len(costs)} networks, {operations:.1e} operations")
        return {"rows": rows, "seconds": seconds, "total_seconds": total, "operations": operations}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=PROJECT / "params.paper.yaml")
    parser.add_argument(
        "--rows", type=int, default=B_T4SA_ROWS, help=f"of B-T4SA; {B_T4SA['listed images']:,} are listed"
    )
    parser.add_argument("--quick", action="store_true", help="tiny networks, on a CPU too: that it runs")
    parser.add_argument("--json", type=Path, default=gpus.REPORT, help=f"where it is written; {gpus.REPORT}")
    options = parser.parse_args(arguments)
    found = torch.cuda.is_available()
    os.environ["SIER_DEVICE"] = "cuda" if found else "cpu"
    device = torch.cuda.get_device_name() if found else "cpu"
    if not found:
        print("No GPU was found." + (" What follows is of this CPU." if options.quick else ""))
        if not options.quick:
            print("The networks would take hours here; --quick shows that it runs, sier plan what a CPU takes.")
            return 1
    facts = measure.machine()
    try:
        sections = read_params(options.params)
        sections = quick_sections(sections) if options.quick else sections
        bench = Bench(sections, quick=options.quick)
    except UserError as error:
        print(f"gpu: error: {error}", file=sys.stderr)
        return 1
    print(f"{device}, torch {torch.__version__}; {options.params.name}, random weights")
    bench.part("agreement", lambda: gpu_parts.agreement(bench.model, bench.train, bench.base))
    bench.part("networks", bench.networks)
    bench.part("hours", lambda: bench.hours(options.rows))
    bench.part("explanation", lambda: gpu_parts.explanation(bench.model, bench.train, bench.base))
    bench.part("scoring", lambda: gpu_parts.scoring(quick=options.quick))
    bench.part("synthesis", lambda: gpu_parts.synthesis(quick=options.quick))
    bench.part("switches", bench.switches)
    results = {"device": device, "of": gpus.mark(sections), "torch": str(torch.__version__), **bench.found}
    measure.write_json("gpu", facts, results, options.json)
    agreed = bench.found.get("agreement", {}).get("agrees", False)
    if not agreed:
        print("bfloat16 and float32 do not agree: set train.mixed_precision to null")
    return 0 if agreed and "networks" in bench.found else 1


if __name__ == "__main__":
    sys.exit(main())
