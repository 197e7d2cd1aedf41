"""What a reader should see before trusting the labels, as CSV files for `dvc plots`.

classes             the paper's Fig. 1, left: share of each label, ours and the paper's
modalities          the paper's Fig. 1, right: rows per label and deciding modality
speech_predictions  what the speech teacher says per voice, before the rule: artefacts of a voice show here
confidence          histogram of each teacher's largest probability
thresholds          kept rows per label, agreement and speech's share for thresholds that might be chosen
agreement           what both teachers say of a row, before the rule (of many rows, evenly chosen ones)
validity            label against B-T4SA's text sentiment, a row per kept row (of many, evenly chosen ones)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.frame.metrics_files import write_plot
from pipeline.labels import rules

THRESHOLDS = np.round(np.arange(0.25, 0.96, 0.05), 2)
SHOWN_ROWS = 10_000  # of plots that have a row per row; label.json counts them all
CONFIDENCE_BINS = np.round(np.arange(0.0, 1.01, 0.05), 2)


@dataclass(frozen=True)
class Labelled:
    """All scored rows: `rows` has id, sentiment and voice; the arrays are [rows]."""

    rows: pd.DataFrame
    votes: rules.Votes
    labels: NDArray[np.str_]
    kept: NDArray[np.bool_]
    label_names: tuple[str, ...]
    remap: tuple[tuple[str, str], ...]


def write_all(found: Labelled, rule: rules.Rule, paper: Mapping[str, int], folder: Path) -> None:
    """Write the seven files into `folder`."""
    kept, votes = found.kept, found.votes
    decided_by = np.where(votes.speech_decides, "speech", "image")
    count = {name: int((found.labels[kept] == name).sum()) for name in found.label_names}

    ours = [(name, "ours", count[name] / kept.sum()) for name in found.label_names]
    theirs = [(name, "paper", paper[name] / paper["kept"]) for name in found.label_names if name in paper]
    write_plot(folder / "classes.csv", ("label", "series", "share"), ours + theirs)

    modalities = [
        (name, modality, int((kept & (found.labels == name) & (decided_by == modality)).sum()))
        for name in found.label_names
        for modality in ("speech", "image")
    ]
    write_plot(folder / "modalities.csv", ("label", "series", "rows"), modalities)

    names = dict(found.remap)
    spoken = pd.DataFrame({"voice": found.rows["voice"], "label": votes.speech_label, "maximum": votes.speech_max})
    predicted = spoken.groupby(["voice", "label"], sort=True)["maximum"].agg(["size", "mean"]).reset_index()
    write_plot(
        folder / "speech_predictions.csv",
        ("series", "predicted", "label", "rows", "mean_confidence"),
        [(voice, label, names[str(label)], *rest) for voice, label, *rest in predicted.itertuples(index=False)],
    )

    bins = [
        (modality, low, int(number))
        for modality, maxima in (("speech", votes.speech_max), ("image", votes.image_max))
        for low, number in zip(CONFIDENCE_BINS, np.histogram(maxima, bins=CONFIDENCE_BINS)[0], strict=False)
    ]
    write_plot(folder / "confidence.csv", ("series", "confidence", "rows"), bins)
    write_plot(folder / "thresholds.csv", ("threshold", "series", "rows"), _curve(found, rule))
    shown = _shown(np.ones_like(kept))
    teachers = zip(votes.speech_label[shown], votes.image_label[shown], strict=True)
    write_plot(folder / "agreement.csv", ("speech", "image"), teachers)
    shown = _shown(kept)
    validity = zip(found.rows["sentiment"].iloc[shown], found.labels[shown], decided_by[shown], strict=True)
    write_plot(folder / "validity.csv", ("sentiment", "label", "decided_by"), validity)


def _shown(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Places of the chosen rows, or of `SHOWN_ROWS` of them at even distances."""
    places = np.flatnonzero(chosen)
    return places[:: -(-len(places) // SHOWN_ROWS)]


def _curve(found: Labelled, rule: rules.Rule) -> list[tuple[float, str, int]]:
    curve: list[tuple[float, str, int]] = []
    for threshold in THRESHOLDS:
        kept = rules.drop_reasons(rule, float(threshold), found.votes) == ""
        series = {name: kept & (found.labels == name) for name in found.label_names}
        series |= {"all": kept, "teachers agree": kept & found.votes.agree}
        series |= {"decided by speech": kept & found.votes.speech_decides}
        curve += [(float(threshold), name, int(chosen.sum())) for name, chosen in series.items()]
    return curve
