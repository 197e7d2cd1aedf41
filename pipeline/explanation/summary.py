"""What explanations say of a network as a whole: which modality counts, what the two add only together, whether maps
point at what the network uses.

In   explanations of the rows of the report, a data frame of `REPORTED` columns, and `WEIGHTING` of the same rows
Out  reports/explain.json; reports/plots/modality_share.csv and {deletion,insertion}_{image,speech}.csv
     one sentence per finding

Labels take turns in the draw of rows, and right and wrong answers too, so each row counts as often as the test split
has rows of its kind (see `pipeline.explanation.selection.stand_for`). Intervals hold 95 % and are by group.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pipeline.explanation.faithfulness import KINDS, Curve
from pipeline.explanation.params import ExplainParams
from pipeline.explanation.table import ORDERS
from pipeline.frame.intervals import of_mean
from pipeline.frame.metrics_files import write_metrics, write_plot
from pipeline.frame.tables import MODALITIES

REPORTED = [
    "id", "method", "image_baseline", "speech_baseline", "label", "predicted", "explained", "residual",
    "max_difference", "image_value", "speech_value", "image_share", "speech_share", "synergy", "image_values",
    "speech_values", "interactions", "segments_silenced", "share_silenced", "curves",
]  # fmt: skip
WEIGHTING = ["weight", "group_id"]  # how many test rows a row stands for, and its group
ALL = "all"
PARTS = {"image": ("parts of the picture", "strongest edges"), "speech": ("parts of the speech", "loudest ones")}
TARGETS = {
    "predicted": "the label that the network predicts",
    "labelled": "the label that the row has, whatever the network predicts",
}
MEANING = {
    "sample": (
        "Rows are drawn by label and by whether the answer is right; each counts as often as the test split has rows "
        "of its kind, so that means are of the test split. Intervals are by group."
    ),
    "modality_share": (
        "|sum of a modality's values| / (|sum of image values| + |sum of speech values|) per row, by the label that is "
        "explained: how much of what moves its output comes from that modality, for or against."
    ),
    "synergy": (
        "v(both) - v(image) - v(speech) + v(nothing): what the two add only together; above 0 they need each other, "
        "below 0 they say the same twice."
    ),
    "synergy_ratio": "|synergy| / (|image| + |speech|): 0 where the modalities simply add up.",
    "interaction_strength": (
        "sum of |interaction| over all pairs of a cell and a segment, of rows with exact values only: how much the "
        "meaning of parts of one modality hangs on parts of the other."
    ),
    "silenced": (
        "How much of the speech lies below the percentile of its frames' values and is silenced before it is heard "
        "again. Whole segments go, so that the share is a multiple of a segment's: 25 % of 8 segments at percentile 30."
    ),
    "deletion": "Area under the output's change while parts go, best first: the lower, the better the order.",
    "insertion": "Area under the output's change while parts come, best first: the higher, the better the order.",
    "controls": (
        "random: any order; control: by strength of edges or loudness. A map that is no better than both says nothing "
        "of the network."
    ),
}


def report_on(explanations: pd.DataFrame, params: ExplainParams, scale: Mapping[str, Any], reports: Path) -> list[str]:
    """Write the report, which begins with `scale`, and its plots; returns a sentence per finding."""
    by_baselines = {
        f"{image} + {speech}": explanations[
            (explanations["image_baseline"] == image) & (explanations["speech_baseline"] == speech)
        ]
        for image, speech in params.baselines
    }
    # Figures have explanations by another method, perhaps.
    reported = {name: rows[rows["method"] == params.method] for name, rows in by_baselines.items()}
    results = {
        name: {
            "modality_share": _shares(reported[name]),
            **_together(reported[name], rows),
            **_silenced(reported[name], params.percentile),
            "faithfulness": _faithfulness(reported[name]),
        }
        for name, rows in by_baselines.items()
    }
    findings = {
        **scale,
        "target": params.target,
        "explained": TARGETS[params.target],
        "largest_residual": float(explanations["residual"].abs().max()),
        "largest_difference": float(explanations["max_difference"].max()),
        "baselines": results,
        "meaning": MEANING,
    }
    write_metrics(reports / "explain.json", findings)
    plots = reports / "plots"
    write_plot(
        plots / "modality_share.csv", ("series", "explained", "image_share", "low", "high", "rows"), _bars(results)
    )
    for kind in KINDS:
        for modality in MODALITIES:
            lines = _lines(reported, params.deletion_steps, kind, modality)
            write_plot(plots / f"{kind}_{modality}.csv", ("series", "share", "change", "rows"), lines)
    return list(_notes(results, params.target))


def mean_of(values: ArrayLike, rows: pd.DataFrame) -> dict[str, Any]:
    """Weighted mean of a value of `rows`, which have `WEIGHTING`, without NaN: rows, groups, mean, low, high.

    None where there are no rows, and for the interval of a single group.
    """
    numbers = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(numbers)
    weights, groups = rows["weight"].to_numpy()[known], rows["group_id"].to_numpy()[known]
    if not known.any():
        return {"rows": 0, "groups": 0, "mean": None, "low": None, "high": None}
    low, high = of_mean(numbers[known], weights, groups) or (None, None)
    mean = float(np.average(numbers[known], weights=weights))
    return {"rows": int(known.sum()), "groups": len(set(groups)), "mean": mean, "low": low, "high": high}


def _shares(rows: pd.DataFrame) -> dict[str, Any]:
    """Share of each modality over all rows and by the explained label, with its spread among the explained rows."""
    groups = {ALL: rows, **{str(label): group for label, group in rows.groupby("explained")}}
    return {
        name: {
            modality: {
                **mean_of(group[f"{modality}_share"], group),
                "standard_deviation": float(shares.std(ddof=1)) if len(shares) > 1 else None,
                "quartiles": np.percentile(shares, [25, 50, 75]).tolist(),
            }
            for modality in MODALITIES
            if len(shares := group[f"{modality}_share"].dropna().to_numpy())
        }
        for name, group in groups.items()
    }


def _together(reported: pd.DataFrame, rows: pd.DataFrame) -> dict[str, Any]:
    """Synergy, and interactions of all rows with exact values; nothing for a network of one modality."""
    both = reported[reported["synergy"].notna()]
    if both.empty:
        return {}
    total = both["image_value"].abs() + both["speech_value"].abs()
    results = {
        "synergy": mean_of(both["synergy"], both),
        "synergy_ratio": mean_of((both["synergy"].abs() / total).where(total > 0, np.nan), both),
    }
    exact = rows[rows["interactions"].notna()]
    if len(exact):
        strength = [float(np.abs(values).sum()) for values in exact["interactions"]]
        results["interaction_strength"] = mean_of(strength, exact)
    return results


def _silenced(rows: pd.DataFrame, percentile: float) -> dict[str, Any]:
    """What the percentile takes of the speech of these rows; nothing for a network that hears none."""
    heard = rows[rows["share_silenced"].notna()]
    if heard.empty:
        return {}
    gone = heard["segments_silenced"]
    return {
        "silenced": {
            "percentile": percentile,
            "rows_by_segments": {str(count): int(number) for count, number in gone.value_counts().sort_index().items()},
            "share": mean_of(heard["share_silenced"], heard),
        }
    }


def _faithfulness(rows: pd.DataFrame) -> dict[str, Any]:
    """Areas by modality and kind: of each order, and what the map has over the controls row by row."""
    first, *controls = ORDERS
    results: dict[str, Any] = {}
    for modality in MODALITIES:
        for kind in KINDS:
            by_order = {order: _curves(rows, modality, kind, order) for order in ORDERS}
            those = rows.iloc[[place for place, _ in by_order[first]]]
            areas = {order: np.array([curve.area for _, curve in found]) for order, found in by_order.items()}
            if len(those):
                results.setdefault(modality, {})[kind] = {
                    **{order: mean_of(values, those) for order, values in areas.items()},
                    **{f"{first}_minus_{other}": mean_of(areas[first] - areas[other], those) for other in controls},
                }
    return results


def _curves(rows: pd.DataFrame, modality: str, kind: str, order: str) -> list[tuple[int, Curve]]:
    """Place among the rows, and curve, of those that have one."""
    return [
        (place, Curve(np.asarray(curve["shares"]), np.asarray(curve["values"])))
        for place, curves in enumerate(rows["curves"])
        for curve in curves
        if (curve["modality"], curve["kind"], curve["order"]) == (modality, kind, order)
    ]


def _bars(results: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for baselines, result in results.items():
        for label, shares in result["modality_share"].items():
            if "image" in shares:
                yield baselines, label, *(shares["image"][key] for key in ("mean", "low", "high", "rows"))


def _lines(reported: Mapping[str, pd.DataFrame], steps: int, kind: str, modality: str) -> Iterator[tuple[Any, ...]]:
    """Mean change of the output along each order; rows with fewer parts are interpolated."""
    shares = np.linspace(0, 1, steps + 1)
    for baselines, rows in reported.items():
        for order in ORDERS:
            curves = _curves(rows, modality, kind, order)
            changes = [np.interp(shares, curve.shares, curve.values - curve.values[0]) for _, curve in curves]
            if changes:
                weights = rows["weight"].to_numpy()[[place for place, _ in curves]]
                for share, change in zip(shares, np.average(changes, axis=0, weights=weights), strict=True):
                    yield f"{order}, {baselines}", share, change, len(changes)


def _notes(results: Mapping[str, Any], target: str) -> Iterator[str]:
    """A sentence per finding and pair of baselines."""
    moved = "the answer" if target == "predicted" else "the output for the row's label"
    for baselines, result in results.items():
        share = result["modality_share"][ALL].get("image")
        if share is not None:
            yield f"against {baselines}: {_percent(share)} of {moved} rests on the picture, the rest on speech"
        if "synergy_ratio" in result:
            ratio = _percent(result["synergy_ratio"])
            yield f"against {baselines}: the effect of both together is {ratio} as large as those of each alone"
        for modality, kinds in result["faithfulness"].items():
            parts, control = PARTS[modality]
            gone, come = (_against(kinds[kind], control) for kind in ("deletion", "insertion"))
            yield (
                f"against {baselines}: {moved} changes by {gone} on average while {parts} go, best first, "
                f"and by {come} while they come; the map is {_verdict(kinds['deletion'], kinds['insertion'])}"
            )


def _percent(value: Mapping[str, Any]) -> str:
    interval = "" if value["low"] is None else f" [{value['low']:.1%}, {value['high']:.1%}]"
    return f"{value['mean']:.1%}{interval}"


def _against(areas: Mapping[str, Any], control: str) -> str:
    means = {order: areas[order]["mean"] for order in ORDERS}
    return f"{means['map']:+.3f} (in random order {means['random']:+.3f}, {control} first {means['control']:+.3f})"


def _verdict(deletion: Mapping[str, Any], insertion: Mapping[str, Any]) -> str:
    """Whether the map beats both controls on both curves beyond doubt."""
    below = all((deletion[f"map_minus_{other}"]["high"] or 0) < 0 for other in ORDERS[1:])
    above = all((insertion[f"map_minus_{other}"]["low"] or 0) > 0 for other in ORDERS[1:])
    if below and above:
        return "better than both controls"
    return "not better than both controls beyond chance" if not below and not above else "better on one of the curves"
