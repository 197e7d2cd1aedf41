"""From a pilot to a run: what each stage will take at other amounts.

In   a `Pilot`, a `Cost` per network, `Amounts` of the run, all sections of its params file
Out  a `StagePlan` per stage: units, seconds, bytes in the workspace, in `.work` and in the DVC cache

A stage costs what it takes to start and so much by the unit; both follow from its runs at two sizes. The growth of
stages that compare all rows is nearly even up to 470,586 rows (`make bench-scale`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.planning.networks import Cost
from pipeline.planning.pilot import EXPLAIN, Pilot, Run

# B-T4SA's own splits, as published.
CLEAN_SHARES = {"train": 368_586 / 470_586, "val": 51_000 / 470_586, "test": 51_000 / 470_586}
CHANCE_SECONDS = 1.0
WEIGHTS_IN_A_CHECKPOINT = 3  # each, and Adam's two moments of it


@dataclass(frozen=True)
class Amounts:
    """What a run will work on.

    Attributes:
        rows: pairs of tweet and picture that clean reads.
        kept_share: of the labelled rows that the threshold leaves.
        items: utterances or pictures that each teacher learns from.
        corpus_bytes: that acquire reads to take their sha256; 0 for a sample, which is made.
    """

    rows: int
    kept_share: float
    items: Mapping[str, int]
    corpus_bytes: Mapping[str, int]


@dataclass(frozen=True)
class StagePlan:
    """One line of the plan.

    Attributes:
        stage: as DVC names it.
        units: see `pipeline.planning.pilot.Run`; of acquire, bytes to read or the size of the sample.
        shards: None for a stage without.
        seconds: None where the pilot could not measure them.
        at_most: whether the seconds are an upper bound, as the pilot is too small for more.
        workspace_bytes: of its outs.
        work_peak_bytes: most of `.work` while it runs.
        work_bytes: of `.work` that stay after it.
    """

    stage: str
    units: int
    shards: int | None
    seconds: float | None
    at_most: bool = False
    workspace_bytes: int = 0
    work_peak_bytes: int = 0
    work_bytes: int = 0


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
    rows = counts(pilot, amounts)
    units = {
        "clean": rows["rows"], "synthesize": rows["distinct_texts"], "score@speech": rows["speech_rows"],
        "score@image": rows["clean_rows"], "label": rows["speech_rows"], "assemble": rows["sier_rows"],
        "evaluate": rows["sier_rows"], "audit": rows["sier_rows"], "explain": sections["explain"]["corpus_rows"],
        **{f"train_teacher@{modality}": count for modality, count in amounts.items.items()},
    }  # fmt: skip
    units["explain"] = units["explain"] or round(rows["sier_rows"] * sections["assemble"]["test_share"])
    plans = []
    for stage, runs in pilot.runs.items():
        if stage.startswith("acquire"):
            plans.append(_acquired(stage, runs, amounts, sections, sha256_bytes_a_second))
        elif stage.startswith("train@"):
            plans += _trained(costs, rows, sections, runs)
        else:
            made = _measured(stage, runs, units[stage], _shards(stage, rows, sections))
            plans.append(_with_networks(made, stage, runs, costs, rows, sections))
    return plans


def _shards(stage: str, rows: Mapping[str, int], sections: Mapping[str, Any]) -> int | None:
    if stage == "assemble":
        return -(-rows["sier_rows"] // int(sections["assemble"]["shard_rows"]))
    if stage in {"clean", "synthesize", "score@speech", "score@image"}:
        return -(-rows["rows"] // int(sections["clean"]["shard_rows"]))
    return None


def _complete(runs: Sequence[Run]) -> bool:
    return len(runs) > 1 and all(run.error is None for run in runs)


def _measured(stage: str, runs: Sequence[Run], units: int, shards: int | None) -> StagePlan:
    if not _complete(runs):
        return StagePlan(stage, units, shards, None)
    pair = runs[:2]  # the third and fourth of the explanations have other amounts

    def size(name: str) -> int:
        points = [(float(run.shards or 1), run.units, getattr(run, name)) for run in pair]
        by_base, by_unit = coefficients(points)
        return round(by_base * (shards or 1) + by_unit * units)

    seconds, at_most = seconds_at(pair, units)
    # A teacher is as large for many items as for few.
    out = pair[1].out_bytes if stage.startswith("train_teacher") else size("out_bytes")
    return StagePlan(stage, units, shards, seconds, at_most, out, size("work_peak_bytes"), size("work_bytes"))


def _acquired(
    stage: str, runs: Sequence[Run], amounts: Amounts, sections: Mapping[str, Any], sha256_bytes_a_second: float
) -> StagePlan:
    corpus = stage.partition("@")[2]
    read = amounts.corpus_bytes[corpus]
    if read:
        return StagePlan(stage, read, None, read / sha256_bytes_a_second)
    size = int(sections["acquire"][corpus]["sample_size"])
    if not _complete(runs):
        return StagePlan(stage, size, None, None)
    seconds, at_most = seconds_at(runs, size)
    return StagePlan(stage, size, None, seconds, at_most, round(runs[1].out_bytes / runs[1].units * size))


def _trained(
    costs: Mapping[str, Cost], rows: Mapping[str, int], sections: Mapping[str, Any], runs: Sequence[Run]
) -> list[StagePlan]:
    """A line per network; networks of the same rows share their inputs in `.work`."""
    train, assemble = sections["train"], sections["assemble"]
    side, frames = train["inputs"]["image_size_px"], train["inputs"]["n_mels"] * train["inputs"]["n_frames"]
    plans: list[StagePlan] = []
    shared: set[str] = set()
    for name, cost in costs.items():
        kind = sections["models"][name]["rows"]
        if kind == "sier":
            everything = rows["sier_rows"] * (1 - assemble["test_share"])
            folds, held_out = len(train["folds"]), 1 / assemble["folds"]
        else:
            everything = rows["speech_rows"] * (CLEAN_SHARES["train"] + CLEAN_SHARES["val"])
            folds, held_out = 1, CLEAN_SHARES["val"] / (CLEAN_SHARES["train"] + CLEAN_SHARES["val"])
        by_row = cost.train_seconds_per_row * (1 - held_out) + cost.predict_seconds_per_row * held_out
        # What a stage costs to start: the smaller pilot's, less its rows.
        start = max(0.0, runs[0].seconds - runs[0].units * by_row) if _complete(runs) else 0.0
        seconds = start + folds * int(train["epochs"]) * everything * by_row
        inputs = 0 if kind in shared else round(everything * (3 * side * side + 2 * frames))
        shared.add(kind)
        checkpoints = 2 * WEIGHTS_IN_A_CHECKPOINT * cost.weight_bytes  # the last and the best
        plans.append(
            StagePlan(
                f"train@{name}",
                round(everything),
                None,
                seconds,
                workspace_bytes=cost.weight_bytes,
                work_peak_bytes=inputs + checkpoints,
                work_bytes=inputs,
            )
        )
    return plans


def _with_networks(
    made: StagePlan,
    stage: str,
    runs: Sequence[Run],
    costs: Mapping[str, Cost],
    rows: Mapping[str, int],
    sections: Mapping[str, Any],
) -> StagePlan:
    """`evaluate` and `explain` take what their networks take, whose number and rows the pilot does not have."""
    if made.seconds is None:
        return made
    if stage == "evaluate":
        tested = {
            "sier": rows["sier_rows"] * sections["assemble"]["test_share"],
            "clean": rows["speech_rows"] * CLEAN_SHARES["test"],
        }
        predicted = sum(
            cost.predict_seconds_per_row * tested[sections["models"][name]["rows"]] for name, cost in costs.items()
        )
        return replace(made, seconds=runs[0].seconds + predicted)
    if stage == "explain" and len(runs) == len(EXPLAIN) + 1:
        _, small, more_rows, more_figures = (run.seconds for run in runs)
        by_row = max(0.0, more_rows - small) / (EXPLAIN[1][1] - EXPLAIN[0][1])
        by_figure = max(0.0, more_figures - small) / (EXPLAIN[2][0] - EXPLAIN[0][0])
        figures = int(sections["explain"]["figures"])
        seconds = small + by_row * (made.units - EXPLAIN[0][1]) + by_figure * (figures - EXPLAIN[0][0])
        size = round(runs[1].out_bytes / EXPLAIN[0][1] * made.units)
        return replace(made, seconds=max(seconds, small), workspace_bytes=size, work_peak_bytes=size, work_bytes=0)
    return made
