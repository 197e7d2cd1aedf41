"""Explaining one answer of the paper's ParallelNet: factored evaluation against one forward per mask, in one run.

    python -m benchmarks.shapley [--quick] [--threads 2] [--batch-size 16]

The network is of the paper's size (VGG19 for pictures, VGG16 for spectrograms, 128 x 128) with random weights, the
picture and the spectrogram are noise, the players 8 cells of 2 x 4 and 8 segments. Printed are measured seconds, unless
a line says EXTRAPOLATED, and how often each branch of the network ran.

Brute force, one forward for each of the 65,536 masks, is always extrapolated: from the seconds of plain batched
forwards that this run measured, of 172 before the exact values and of 32 after them the faster. With --quick so are
the exact values, from 32 + 32 of their 256 + 256 encodings and 16,384 of their 65,536 fusions, and the one-by-one
forwards, from a tenth of 172.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from models.pair.explain import explain
from models.pair.game import PairGame
from models.pair.players import grid_and_segments
from models.parallelnet.parallelnet import ParallelNet
from models.parallelnet.parallelnet_config import ParallelNetConfig
from models.shapley import subset_masks, tree_values
from models.shapley.game import BoolArray, FloatArray

GRID = (2, 4)
SEGMENTS = 8
ALL_MASKS = 1 << 16
ROUNDS = 3


def seconds_of(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def median_seconds(action: Callable[[], object]) -> float:
    """Of three rounds, after one that warms up."""
    return statistics.median([seconds_of(action) for _ in range(ROUNDS + 1)][1:])


def line(label: str, seconds: float, note: str = "") -> None:
    print(f"  {label:<44}{seconds:12.3f} s  {note}".rstrip(), flush=True)


class Bench:
    """One sample and one network."""

    def __init__(self, batch_size: int) -> None:
        torch.manual_seed(0)
        self.net = ParallelNet(ParallelNetConfig()).eval()
        self.pixels, self.sound = torch.rand(3, 128, 128), torch.rand(1, 128, 128)
        self.players = grid_and_segments(128, 128, 128, GRID, SEGMENTS)
        self.batch_size = batch_size

    def game(self, *, factored: bool = True, batch_size: int | None = None) -> PairGame:
        """A new one, that has encoded nothing."""
        return PairGame(
            self.net, self.pixels, self.sound, self.players,
            target=0, batch_size=batch_size or self.batch_size, factored=factored,
        )  # fmt: skip

    def parts(self) -> None:
        """Seconds of each part of a forward, per item of a batch."""
        n = self.batch_size
        layout = torch.channels_last
        pixels = torch.rand(n, 3, 128, 128).contiguous(memory_format=layout)
        sound = torch.empty(n, 1, 128, 128, memory_format=layout).uniform_()
        with torch.inference_mode():
            image_codes, speech_codes = self.net.encode_image(pixels), self.net.encode_speech(sound)
            few, many = (
                [code[:1].expand(4, 1, -1) for code in image_codes],
                [c[:1].expand(256, -1) for c in speech_codes],
            )
            print(f"\nOne item, in batches of {n} (median of {ROUNDS})")
            line("image encoding (N1 and VGG19)", median_seconds(lambda: self.net.encode_image(pixels)) / n)
            line("speech encoding (N1 and VGG16)", median_seconds(lambda: self.net.encode_speech(sound)) / n)
            fuse = median_seconds(lambda: self.net.fuse((few[0], few[1]), (many[0], many[1]))) / 1024
            print(f"  {'fuse, a pair of codes':<44}{1000 * fuse:12.3f} ms")
            line("full forward", median_seconds(lambda: self.net(pixels, sound)) / n)

    def level_order(self, *, quick: bool) -> float:
        """The paper's method for times = 3; returns the seconds of a plain batched forward."""
        tree = self.players.tree()
        masks: list[BoolArray] = []

        def recorded(asked: BoolArray) -> FloatArray:
            masks.append(asked)
            return np.zeros(len(asked))

        tree_values(recorded, tree, batch_size=1 << 16)
        asked = np.concatenate(masks)
        print(f"\nLevel order, times = 3: {len(asked)} masks ({ROUNDS} rounds, the three ways by turns)")
        plain, single = self.game(factored=False), self.game(factored=False, batch_size=1)
        few = asked[:: len(asked) // 18] if quick else asked
        factored, batched, one_by_one = [], 0.0, 0.0
        for some, fewer in zip(np.split(asked, [64, 128]), np.array_split(few, ROUNDS), strict=True):
            game = self.game()
            factored.append(seconds_of(partial(tree_values, game, tree, batch_size=1 << 16)))
            batched += seconds_of(partial(plain, some))
            one_by_one += seconds_of(partial(single, fewer)) * len(asked) / len(few)
        seconds = statistics.median(factored)
        line(
            "factored, level by level (median)", seconds,
            f"{game.image_encodings} image + {game.speech_encodings} speech encodings, {game.fusions} fusions",
        )  # fmt: skip
        line(
            f"the same masks, forwards in batches of {self.batch_size}", batched,
            f"{plain.forwards} forwards, {batched / seconds:.1f} x the factored time",
        )  # fmt: skip
        told = f" (EXTRAPOLATED from {len(few)} forwards)" if quick else ""
        line(
            "the same masks, one forward each (Algorithm 1)", one_by_one,
            f"{len(asked)} forwards, {one_by_one / seconds:.1f} x the factored time{told}",
        )  # fmt: skip
        return batched / len(asked)

    def exact(self, forward_seconds: float, *, quick: bool) -> None:
        """Exact values of 8 + 8 players; the plain way is extrapolated."""
        print(f"\nExact values and interactions of 8 + 8 players: {ALL_MASKS} masks")
        game = self.game()
        if quick:
            seconds = self._few_of_exact(game)
            note = (
                f"EXTRAPOLATED from {game.image_encodings} + {game.speech_encodings} encodings, {game.fusions} fusions"
            )
            encodings = 256 + 256
        else:
            begin = time.perf_counter()
            found = explain(game)
            seconds = time.perf_counter() - begin
            encodings = found.image_encodings + found.speech_encodings
            note = (
                f"{found.image_encodings} image + {found.speech_encodings} speech encodings, {found.fusions} fusions, "
                f"{found.direct_forwards} forwards to check them"
            )
        line("factored", seconds, note)
        # Again, as the machine may have been busy when the others were measured; the faster ones count.
        plain, some = self.game(factored=False), subset_masks(16)[:: ALL_MASKS // 32]
        forward_seconds = min(forward_seconds, seconds_of(lambda: plain(some)) / len(some))
        brute = forward_seconds * ALL_MASKS
        line(
            "brute force, forwards in batches", brute,
            f"= {brute / 3600:.1f} h, EXTRAPOLATED from {forward_seconds:.3f} s a forward",
        )  # fmt: skip
        print(f"  {'time':<44}{brute / seconds:12.0f} x less")
        ratio = 2 * ALL_MASKS / encodings
        print(f"  {'branch encodings':<44}{ratio:12.0f} x fewer  {2 * ALL_MASKS} / {encodings}")
        if not quick:
            effect = found.v_full - found.v_empty
            print(f"  v(full) - v(empty) by plain forwards {effect:.6f}; the sum of the values differs by", end=" ")
            print(f"{found.residual:.1e}, 16 random masks by at most {found.max_difference:.1e}")

    def _few_of_exact(self, game: PairGame) -> float:
        rng = np.random.default_rng(0)
        subsets = subset_masks(8)
        some = np.concatenate([subsets[rng.permutation(256)[:32]] for _ in range(2)], axis=1)
        encoding = seconds_of(lambda: game(some)) * 256 / 32
        pairs = np.concatenate([np.repeat(some[:, :8], 32, axis=0), np.tile(some[:, 8:], (32, 1))], axis=1)
        return encoding + seconds_of(lambda: game(np.tile(pairs, (16, 1)))) * ALL_MASKS / (16 * len(pairs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="extrapolate more")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"ParallelNet with VGG19 and VGG16, 128 x 128, float32, random weights; {options.threads} threads")
    bench = Bench(options.batch_size)
    bench.parts()
    forward_seconds = bench.level_order(quick=options.quick)
    bench.exact(forward_seconds, quick=options.quick)


if __name__ == "__main__":
    main()
