"""Error of Shapley values against branch passes: our estimators, shap's and captum's, on the same games in one run.

    python -m benchmarks.shapley_error [--rows 8] [--seeds 5] [--threads 2]

Games are test rows of data/sier and the network of data/checkpoints (so run `dvc repro` first): 8 cells, 8 segments,
logit of the predicted class. Their exact Shapley values come from all 65,536 masks, factored. A branch pass is one
encoding of one picture or one spectrogram, whose cost is nearly all there is; a plain forward is two.

Error is |found - exact| / |exact| (Euclidean, over the 16 players), the mean over rows, and over seeds of what draws.
Errors and passes of all come from the tables of exact values, which answer as the network does; seconds are measured
with the network itself on the first row, unless a line says EXTRAPOLATED (from the seconds of a plain forward).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import captum.attr
import numpy as np
import shap
import torch
from numpy.typing import NDArray

from models.pair.game import PairGame
from models.shapley import Tree, exact_factored, tree_values
from models.shapley.game import BoolArray, FloatArray, Game
from pipeline.engine import shards
from pipeline.engine.progress import Progress
from pipeline.explanation.preparation import players_of, probabilities, sample_of
from pipeline.media import audio
from pipeline.networks.decoding import read_image
from pipeline.networks.loading import load_network

PARTS = 8
PLAYERS = 2 * PARTS
PARTITION_EVALS = (44, 100, 172)  # 172 expand the whole tree
CAPTUM_SAMPLES = (1, 4, 16, 64, 256)
PERMUTATIONS = (1, 4, 16, 64)  # with their reverses
SLOWEST_MEASURED = 600  # forwards; what takes more is extrapolated

Estimator = Callable[[Game, Tree, int], FloatArray]


class Counted:
    """A game that counts what a plain network would run, and what is encoded where codes are kept."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.forwards = 0
        self.parts: tuple[set[bytes], set[bytes]] = (set(), set())

    def __call__(self, masks: BoolArray) -> FloatArray:
        self.forwards += len(masks)
        for known, half in zip(self.parts, (masks[:, :PARTS], masks[:, PARTS:]), strict=True):
            known.update(map(bytes, np.packbits(half, axis=1)))
        return self.game(masks)

    @property
    def encodings(self) -> int:
        """Of distinct pictures and distinct spectrograms."""
        return sum(map(len, self.parts))


@dataclass(frozen=True)
class Row:
    """A game by its network, and by the table of all its values."""

    network_game: Callable[[bool], PairGame]
    table: NDArray[np.float64]
    tree: Tree
    exact: FloatArray
    exact_seconds: float

    def __call__(self, masks: BoolArray) -> FloatArray:
        weights = 1 << np.arange(PARTS)
        values: FloatArray = self.table[masks[:, :PARTS] @ weights, masks[:, PARTS:] @ weights]
        return values


def rows_of(checkpoint: Path, dataset: Path, number: int) -> list[Row]:
    net = load_network(checkpoint, "cpu")
    markers = [marker for marker in shards.read_manifest(dataset, "assemble") if marker.shard.startswith("test")]
    table = shards.read_part(dataset, markers[0], columns=["image", "audio"])
    step = max(1, table.num_rows // number)
    found = []
    for row in Progress(table.to_pylist()[::step][:number], desc="exact"):
        sample = sample_of(read_image(row["image"]["bytes"]), audio.decode(row["audio"]["bytes"]), net.config)
        players = players_of(sample, net.config, times=3)
        target = int(probabilities(net, sample).argmax())

        def game(factored: bool, sample=sample, players=players, target=target) -> PairGame:  # type: ignore[no-untyped-def]
            return PairGame(
                net, sample.pixel_values, sample.spectrogram, players, target=target, factored=factored
            )  # fmt: skip

        begin = time.perf_counter()
        values = game(True).table()
        exact = exact_factored(values).values
        found.append(Row(game, values, players.tree(), exact, time.perf_counter() - begin))
    return found


def by_shap(max_evals: int) -> Estimator:
    def estimate(game: Game, tree: Tree, _seed: int) -> FloatArray:
        masker = shap.maskers.Partition(np.zeros((1, PLAYERS)), clustering=tree.linkage())
        explainer = shap.explainers.Partition(lambda inputs: game(inputs > 0.5), masker)
        found: FloatArray = explainer(np.ones((1, PLAYERS)), max_evals=max_evals, batch_size=16, silent=True).values[0]
        return found

    return estimate


def by_captum(samples: int) -> Estimator:
    def estimate(game: Game, _tree: Tree, seed: int) -> FloatArray:
        torch.manual_seed(seed)
        method = captum.attr.ShapleyValueSampling(lambda inputs: torch.from_numpy(game(inputs.numpy() > 0.5)))
        with torch.inference_mode():
            found = method.attribute(
                torch.ones(1, PLAYERS, dtype=torch.float64), n_samples=samples, perturbations_per_eval=16
            )
        values: FloatArray = found[0].numpy()
        return values

    return estimate


def by_tree(order: str, **options: int) -> Estimator:
    def estimate(game: Game, tree: Tree, seed: int) -> FloatArray:
        rng = np.random.default_rng(seed)
        return tree_values(game, tree, order, rng=rng, batch_size=1 << 16, **options).leaf_values  # type: ignore[arg-type]

    return estimate


def error_of(found: FloatArray, exact: FloatArray) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def measure(name: str, estimate: Estimator, rows: list[Row], seeds: int, *, factored: bool) -> None:
    """A line of the table; `factored` for estimators of ours, whose codes are kept."""
    errors, passes, forwards = [], [], []
    for row in rows:
        for seed in range(seeds):
            counted = Counted(row)
            errors.append(error_of(estimate(counted, row.tree, seed), row.exact))
            passes.append(counted.encodings if factored else 2 * counted.forwards)
            forwards.append(counted.forwards)
    told = ""
    if factored or np.mean(forwards) <= SLOWEST_MEASURED:
        begin = time.perf_counter()
        estimate(rows[0].network_game(factored), rows[0].tree, 0)
        seconds = time.perf_counter() - begin
    else:
        plain = rows[0].network_game(False)
        some = np.random.default_rng(0).random((64, PLAYERS)) < 0.5
        begin = time.perf_counter()
        plain(some)
        seconds = (time.perf_counter() - begin) / len(some) * float(np.mean(forwards))
        told = "  EXTRAPOLATED"
    print(f"  {name:<48}{np.mean(passes):10,.0f}{np.mean(errors):10.1%}{seconds:10.2f} s{told}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=Path("data/checkpoints/parallelnet"))
    parser.add_argument("--dataset", type=Path, default=Path("data/sier"))
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = rows_of(options.checkpoint, options.dataset, options.rows)
    print(f"\n{len(rows)} rows of {options.dataset}, {options.checkpoint}; {options.seeds} seeds where chance decides")
    print(f"  {'':<48}{'passes':>10}{'error':>10}{'one row':>12}")
    print(f"  {'exact, factored':<48}{2 << PARTS:10,}{0:10.1%}{np.median([r.exact_seconds for r in rows]):10.2f} s")
    measure("divide and conquer, level order (the paper's)", by_tree("level"), rows, 1, factored=True)
    for evaluations in PARTITION_EVALS[:-1]:
        name = f"best first, {evaluations} evaluations"
        measure(name, by_tree("best", max_evals=evaluations), rows, 1, factored=True)
    for number in PERMUTATIONS:
        name = f"random orders of the tree, {2 * number}"
        measure(name, by_tree("sample", permutations=number), rows, options.seeds, factored=True)
    for evaluations in PARTITION_EVALS:
        measure(f"shap PartitionExplainer, {evaluations} evaluations", by_shap(evaluations), rows, 1, factored=False)
    for samples in CAPTUM_SAMPLES:
        name = f"captum ShapleyValueSampling, {samples} permutation{'s' if samples > 1 else ''}"
        measure(name, by_captum(samples), rows, options.seeds, factored=False)


if __name__ == "__main__":
    main()
