"""From a pilot to a run: what each stage will take at other amounts.

A stage costs what it takes to start and so much by the unit; both follow from its runs at two sizes. The growth of
stages that compare all rows is nearly even up to 470,586 rows (`make bench-scale`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.corpora import b_t4sa
from pipeline.corpora.counts import B_T4SA
from pipeline.planning.networks import Cost
from pipeline.planning.pilot import EXPLAIN, Pilot, Run

# B-T4SA's own splits, as published.
CLEAN_SHARES = {split: B_T4SA[split] / B_T4SA["listed images"] for split in b_t4sa.SPLITS}
CHANCE_SECONDS = 1.0
WEIGHTS_IN_A_CHECKPOINT = 3  # each, and Adam's two moments of it


@dataclass(frozen=True)
class Amounts:
    """What a run will work on."""

    rows: int  # pairs of tweet and picture that clean reads
    kept_share: float  # of the labelled rows, by the threshold
    items: Mapping[str, int]  # utterances or pictures that each teacher learns from
    corpus_bytes: Mapping[str, int]  # that acquire reads to take their sha256; 0 for a sample, which is made


@dataclass(frozen=True)
class StagePlan:
    """One line of the plan."""

    stage: str  # as DVC names it
    units: int  # see `pipeline.planning.pilot.Run`; of acquire, bytes to read or the size of the sample
    shards: int | None
    seconds: float | None  # None where the pilot could not measure them
    at_most: bool = False  # whether the seconds are an upper bound, as the pilot is too small for more
    workspace_bytes: int = 0  # of its outs
    work_peak_bytes: int = 0  # most of `.work` while it runs
    work_bytes: int = 0  # of `.work` that stay after it
    flops: float = 0.0  # of the networks that it trains
    checkpoint_bytes: int = 0  # that training writes, one after each epoch, and removes but for two
    memory_bytes: int = 0  # of all its processes in the pilot, which has few rows
    device_bytes: int = 0  # of memory of the GPU, of a network in training


@dataclass(frozen=True)
class Passes:
    """How often a network sees its rows in all epochs, folds and seeds."""

    rows: float  # of the dataset, train and held out
    held_out: float  # share of them
    runs: int  # folds and seeds
    epochs: int

    def seconds(self, cost: Cost) -> float:
        """Of all steps and of the validation after each epoch."""
        return self._sum(cost.train_seconds_per_row, cost.predict_seconds_per_row)

    def flops(self, cost: Cost) -> float:
        """Operations of the same."""
        return self._sum(cost.train_flops_per_row, cost.predict_flops_per_row)

    def _sum(self, train: float, predict: float) -> float:
        return self.runs * self.epochs * self.rows * (train * (1 - self.held_out) + predict * self.held_out)


def passes(sections: Mapping[str, Any], name: str, sier_rows: float, speech_rows: float) -> Passes:
    """Of network `name`, where so many rows are labelled and so many have speech."""
    train, assemble = sections["train"], sections["assemble"]
    if sections["models"][name]["rows"] == "sier":
        rows, held_out, folds = sier_rows * (1 - assemble["test_share"]), 1 / assemble["folds"], len(train["folds"])
    else:
        share = CLEAN_SHARES["train"] + CLEAN_SHARES["val"]
        rows, held_out, folds = speech_rows * share, CLEAN_SHARES["val"] / share, 1
    return Passes(rows, held_out, folds * _seeds(train, name), int(train["epochs"]))


def coefficients(points: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """What each of `base` and `units` costs: non-negative least squares through points (base, units, value).

    The base is 1, or the number of shards: small shards have more of what a file costs than of rows.
    """
    from scipy.optimize import nnls  # noqa: PLC0415 - half a second

    matrix = [[base, units] for base, units, _ in points]
    by_base, by_unit = nnls(matrix, [value for _, _, value in points])[0]
    return float(by_base), float(by_unit)


def seconds_at(runs: Sequence[Run], units: float) -> tuple[float, bool]:
    """Seconds of a stage with `units`, and whether that is only an upper bound.

    Two runs that differ by less than processes do by chance say no more than that a unit costs less than that.
    """
    few, many = runs[0], runs[1]
    if many.seconds - few.seconds < CHANCE_SECONDS and many.units > few.units:
        return few.seconds + CHANCE_SECONDS / (many.units - few.units) * units, True
    start, by_unit = coefficients([(1.0, run.units, run.seconds) for run in (few, many)])
    return start + by_unit * units, False


def counts(pilot: Pilot, amounts: Amounts) -> dict[str, int]:
    """Rows of every kind at `amounts.rows`, by the pilot's shares."""
    facts, scale = pilot.facts, amounts.rows / pilot.facts["rows"]
    speech = facts["speech_rows"] * scale
    return {
        "rows": amounts.rows,
        "clean_rows": round(facts["clean_rows"] * scale),
        "distinct_texts": round(facts["distinct_texts"] * scale),
        "speech_rows": round(speech),
        "sier_rows": round(speech * amounts.kept_share),
        "speech_seconds": round(facts["speech_seconds"] * scale),
    }


def plan(
    pilot: Pilot, costs: Mapping[str, Cost], amounts: Amounts, sections: Mapping[str, Any], sha256_bytes_a_second: float
) -> list[StagePlan]:
    """Every stage of the run, in order."""
    planner = _Planner(costs, amounts, sections, counts(pilot, amounts), sha256_bytes_a_second)
    return [line for stage, runs in pilot.runs.items() for line in planner.lines(stage, runs)]


@dataclass(frozen=True)
class _Planner:
    costs: Mapping[str, Cost]
    amounts: Amounts
    sections: Mapping[str, Any]
    rows: Mapping[str, int]  # of `counts`
    sha256_bytes_a_second: float

    def lines(self, stage: str, runs: Sequence[Run]) -> list[StagePlan]:
        if stage.startswith("acquire"):
            return [self._acquire(stage, runs)]
        if stage.startswith("train@"):
            return self._train(runs)
        return [self._with_networks(self._measured(stage, runs), runs)]

    def _units(self, stage: str) -> int:
        rows, explained = self.rows, int(self.sections["explain"]["corpus_rows"])
        units = {
            "clean": rows["rows"], "synthesize": rows["distinct_texts"], "score@speech": rows["speech_rows"],
            "score@image": rows["clean_rows"], "label": rows["speech_rows"], "assemble": rows["sier_rows"],
            "evaluate": rows["sier_rows"], "audit": rows["sier_rows"],
            "explain": explained or round(rows["sier_rows"] * self.sections["assemble"]["test_share"]),
            **{f"train_teacher@{modality}": count for modality, count in self.amounts.items.items()},
        }  # fmt: skip
        return units[stage]

    def _shards(self, stage: str) -> int | None:
        if stage == "assemble":
            return -(-self.rows["sier_rows"] // int(self.sections["assemble"]["shard_rows"]))
        if stage in {"clean", "synthesize", "score@speech", "score@image"}:
            return -(-self.rows["rows"] // int(self.sections["clean"]["shard_rows"]))
        return None

    def _measured(self, stage: str, runs: Sequence[Run]) -> StagePlan:
        units, shards = self._units(stage), self._shards(stage)
        if not _complete(runs):
            return StagePlan(stage, units, shards, None)
        pair = runs[:2]  # the third and fourth of the explanations have other amounts

        def size(name: str) -> int:
            by_base, by_unit = coefficients([(float(run.shards or 1), run.units, getattr(run, name)) for run in pair])
            return round(by_base * (shards or 1) + by_unit * units)

        seconds, at_most = seconds_at(pair, units)
        # A teacher is as large for many items as for few.
        out = pair[1].out_bytes if stage.startswith("train_teacher") else size("out_bytes")
        work = (size("work_peak_bytes"), size("work_bytes"))
        return StagePlan(stage, units, shards, seconds, at_most, out, *work, memory_bytes=_memory(pair))

    def _acquire(self, stage: str, runs: Sequence[Run]) -> StagePlan:
        corpus = stage.partition("@")[2]
        read = self.amounts.corpus_bytes[corpus]
        if read:
            return StagePlan(stage, read, None, read / self.sha256_bytes_a_second, memory_bytes=_memory(runs))
        size = int(self.sections["acquire"][corpus]["sample_size"])
        if not _complete(runs):
            return StagePlan(stage, size, None, None)
        seconds, at_most = seconds_at(runs, size)
        out = round(runs[1].out_bytes / runs[1].units * size)
        return StagePlan(stage, size, None, seconds, at_most, out, memory_bytes=_memory(runs))

    def _train(self, runs: Sequence[Run]) -> list[StagePlan]:
        """A line per network; networks of the same rows share their inputs in `.work`, and features of the same N2."""
        train = self.sections["train"]
        side, frames = train["inputs"]["image_size_px"], train["inputs"]["n_mels"] * train["inputs"]["n_frames"]
        plans: list[StagePlan] = []
        shared: set[Any] = set()
        for name, cost in self.costs.items():
            model = self.sections["models"][name]
            kind = model["rows"]
            done = passes(self.sections, name, self.rows["sier_rows"], self.rows["speech_rows"])
            rows, by_row = done.rows, cost.train_seconds_per_row * (1 - done.held_out)
            by_row += cost.predict_seconds_per_row * done.held_out
            # What a stage costs to start: the smaller pilot's, less its rows.
            start = max(0.0, runs[0].seconds - runs[0].units * by_row) if _complete(runs) else 0.0
            once = cost.hear_seconds_per_row + cost.feature_seconds_per_row
            seconds = start + done.seconds(cost) + once * rows
            inputs = 0 if kind in shared else round(rows * (3 * side * side + 2 * frames))
            n2 = (kind, str(model["image_backbone"]), str(model["speech_backbone"]), cost.feature_bytes_per_row)
            inputs += 0 if n2 in shared else round(rows * cost.feature_bytes_per_row)
            shared |= {kind, n2}
            checkpoint = WEIGHTS_IN_A_CHECKPOINT * cost.weight_bytes
            peak = inputs + 2 * checkpoint  # the last and the best
            kept = cost.weight_bytes * (done.runs if train["keep_networks"] == "all" else 1)
            peak += kept
            written = checkpoint * done.runs * done.epochs
            facts = (kept, peak, inputs, done.flops(cost), written, _memory(runs), cost.training_bytes)
            plans.append(StagePlan(f"train@{name}", round(rows), None, seconds, False, *facts))
        return plans

    def _with_networks(self, plan: StagePlan, runs: Sequence[Run]) -> StagePlan:
        """`evaluate` and `explain` take what their networks take, whose number and rows the pilot does not have."""
        if plan.seconds is None:
            return plan
        if plan.stage == "evaluate":
            seconds = runs[0].seconds
            tested = {
                "sier": self.rows["sier_rows"] * self.sections["assemble"]["test_share"],
                "clean": self.rows["speech_rows"] * CLEAN_SHARES["test"],
            }
            train = self.sections["train"]
            for name, cost in self.costs.items():
                kind = self.sections["models"][name]["rows"]
                folds = len(train["folds"]) if kind == "sier" else 1
                networks = folds * _seeds(train, name) if train["keep_networks"] == "all" else 1
                seconds += (networks * cost.predict_seconds_per_row + cost.hear_seconds_per_row) * tested[kind]
            return replace(plan, seconds=seconds)
        if plan.stage == "explain" and len(runs) == len(EXPLAIN) + 1:
            _, small, more_rows, more_figures = (run.seconds for run in runs)
            by_row = max(0.0, more_rows - small) / (EXPLAIN[1][1] - EXPLAIN[0][1])
            by_figure = max(0.0, more_figures - small) / (EXPLAIN[2][0] - EXPLAIN[0][0])
            figures = int(self.sections["explain"]["figures"])
            seconds = small + by_row * (plan.units - EXPLAIN[0][1]) + by_figure * (figures - EXPLAIN[0][0])
            size = round(runs[1].out_bytes / EXPLAIN[0][1] * plan.units)
            return replace(plan, seconds=max(seconds, small), workspace_bytes=size, work_peak_bytes=size, work_bytes=0)
        return plan


def _seeds(train: Mapping[str, Any], name: str) -> int:
    return len(train["seeds"]) + len(train["further_seeds"].get(name, ()))


def _memory(runs: Sequence[Run]) -> int:
    return max((run.memory_bytes for run in runs), default=0)


def _complete(runs: Sequence[Run]) -> bool:
    return len(runs) > 1 and all(run.error is None for run in runs)
