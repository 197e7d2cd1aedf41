"""The picture of a dataset card: labels by who decided them, confidence, and labels against the texts' sentiment."""

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.frame import tables

COLOURS = {"speech": "#4c72b0", "image": "#dd8452"}
BINS = 20


def distributions(rows: pd.DataFrame, labels: Sequence[str]) -> bytes:
    """A PNG of rows with columns label, decided_by, confidence and sentiment; equal rows give equal bytes."""
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    counts, confidence, sentiment = figure.subplots(1, 3)
    below = np.zeros(len(labels))
    for modality in tables.MODALITIES:
        own = rows[rows["decided_by"] == modality]
        heights = own["label"].value_counts().reindex(list(labels), fill_value=0).to_numpy()
        counts.bar(labels, heights, bottom=below, label=f"by {modality}", color=COLOURS[modality])
        below += heights
        confidence.hist(own["confidence"], bins=BINS, range=(0, 1), label=modality, color=COLOURS[modality], alpha=0.6)
    counts.set(title="labels, by who decided", ylabel="rows")
    counts.legend()
    confidence.set(title="confidence", xlabel="probability", ylabel="rows")
    confidence.legend()
    table = pd.crosstab(rows["label"], rows["sentiment"]).reindex(
        index=list(labels), columns=list(tables.SENTIMENTS), fill_value=0
    )
    shares = table.div(table.sum(axis=1).clip(lower=1), axis=0)
    sentiment.imshow(shares, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    sentiment.set(title="texts' sentiment by label", xticks=range(3), yticks=range(len(labels)))
    sentiment.set_xticklabels(tables.SENTIMENTS)
    sentiment.set_yticklabels(labels)
    for (row, column), share in np.ndenumerate(shares.to_numpy()):
        sentiment.text(column, row, f"{share:.0%}", ha="center", va="center", color="white" if share > 0.5 else "black")
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=100, metadata={"Software": None})
    return target.getvalue()
