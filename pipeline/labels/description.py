"""What a reader should see before trusting the labels: reports/label.json, and CSV files for `dvc plots`.

classes             the paper's Fig. 1, left: share of each label, ours and the paper's
modalities          the paper's Fig. 1, right: rows per label and deciding modality
speech_predictions  what the speech teacher says per voice, before the rule: artefacts of a voice show here
confidence          histogram of each teacher's largest probability
thresholds          kept rows per label, agreement and speech's share for thresholds that might be chosen
agreement           what both teachers say of a row, before the rule (of many rows, evenly chosen ones)
validity            label against B-T4SA's text sentiment, a row per kept row (of many, evenly chosen ones)
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.frame import acquired, tables
from pipeline.frame.metrics_files import write_plot
from pipeline.frame.paper import LABELLED_ROWS
from pipeline.frame.stage import Context
from pipeline.labels import confounds, further, rules, validity, words
from pipeline.labels.joining import Scored
from pipeline.labels.pool import PooledVotes

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
    params: rules.LabelParams

    @property
    def kept_by_label(self) -> dict[str, int]:
        """Number of kept rows."""
        return {name: int((self.labels[self.kept] == name).sum()) for name in self.label_names}

    def by_label(self, chosen: Mapping[str, NDArray[np.bool_]], labels: NDArray[np.str_]) -> dict[str, dict[str, int]]:
        """For each label, the number of rows of each choice that have it in `labels`."""
        return {
            name: {modality: int((rows & (labels == name)).sum()) for modality, rows in chosen.items()}
            for name in self.label_names
        }

    @property
    def named(self) -> dict[str, dict[str, int]]:
        """For each label, the number of all rows in which each teacher names it by itself."""
        every, params = np.ones_like(self.kept), self.params
        said = {"speech": self.votes.speech_label, "image": self.votes.image_label}
        found = {
            modality: self.by_label({modality: every}, rules.remap(classes, params.remap, params.neutral))
            for modality, classes in said.items()
        }
        return {name: found["speech"][name] | found["image"][name] for name in self.label_names}

    @property
    def heard(self) -> pd.DataFrame:
        """What the speech teacher says of each row, before the rule: voice, label, maximum."""
        votes = self.votes
        return pd.DataFrame({"voice": self.rows["voice"], "label": votes.speech_label, "maximum": votes.speech_max})


def label_metrics(labelled: Labelled, scored: Scored, context: Context) -> dict[str, Any]:
    """The content of reports/label.json."""
    votes, kept = labelled.votes, labelled.kept
    by_speech = votes.speech_decides & kept
    share_by_speech = by_speech.sum() / kept.sum()
    by_label = labelled.by_label({"speech": by_speech, "image": kept & ~votes.speech_decides}, labelled.labels)
    return {
        "rows_in": len(kept),
        "kept": int(kept.sum()),
        "labels": labelled.kept_by_label,
        "decided_by": {"speech": int(by_speech.sum()), "image": int(kept.sum() - by_speech.sum())},
        "decided_by_label": by_label,
        "decided_alone": words.alone(by_label, labelled.named, len(kept)),
        "share_decided_by_speech": share_by_speech,
        "dominant_modality": rules.dominant_modality(share_by_speech),
        "agreement": {"all_rows": _agreement(votes, np.ones_like(kept)), "kept_rows": _agreement(votes, kept)},
        "rows_by_speech_and_image_label": pd.crosstab(votes.speech_label, votes.image_label).to_dict("index"),
        # Before the rule: a voice's artefacts show here first.
        "speech_teacher_by_voice": {
            str(voice): {
                "rows": len(group),
                "predicted": group["label"].value_counts().sort_index().to_dict(),
                "mean_confidence": group["maximum"].mean(),
            }
            for voice, group in labelled.heard.groupby("voice")
        },
        "image_teacher": {
            "predicted": pd.Series(votes.image_label).value_counts().sort_index().to_dict(),
            "mean_confidence": votes.image_max.mean(),
        },
        "temperatures": asdict(scored.temperatures),
        "further": further.described(scored.further, votes.parts, kept) if isinstance(votes, PooledVotes) else [],
        **_meaning(labelled, scored, context),
        "paper": LABELLED_ROWS,
    }


def _agreement(votes: rules.Votes, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    """Share of the chosen rows where both teachers name one class, what chance gives of it, and Cohen's kappa."""
    from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415 - takes a second

    speech, image = votes.speech_label[chosen], votes.image_label[chosen]
    by_speech, by_image = (pd.Series(said).value_counts(normalize=True) for said in (speech, image))
    by_chance = float(by_speech.mul(by_image, fill_value=0).sum())
    kappa = float(cohen_kappa_score(speech, image)) if by_chance < 1 else None
    return {"rows": len(speech), "share": float((speech == image).mean()), "by_chance": by_chance, "cohen_kappa": kappa}


def _meaning(labelled: Labelled, scored: Scored, context: Context) -> dict[str, Any]:
    """Validity with its confounds, and the verdict in words."""
    corpus = context.paths.data / "corpora" / "b_t4sa"
    is_sample = acquired.read_manifest(corpus)["origin"] == acquired.SAMPLE
    note = words.BY_CONSTRUCTION if is_sample else words.TEXT_AGAINST_TEXT
    if acquired.read_format(corpus) == acquired.TABLE:
        note = words.ITS_OWN if scored.rows["sentiment"].notna().any() else words.WITHOUT_SENTIMENT
    measure = validity.Measure(scored.rows["group_id"], context.base.seed)
    table = validity.validity_table(labelled.params, scored, measure)
    every = np.ones_like(labelled.kept)
    said = {
        "labels": (validity.numbers(labelled.labels), labelled.kept),
        "speech teacher": (validity.numbers(labelled.votes.speech_label), every),
        "picture teacher": (validity.numbers(labelled.votes.image_label), every),
    }
    rivals = confounds.confound_table(scored.rows, context.paths.data / "speech", said, measure)
    return {
        "verdict": words.verdict(table[0], rivals, is_sample=is_sample),
        "validity": {"note": note, "table": table},
        "confounds": rivals,
    }


def write_plots(labelled: Labelled, paper: Mapping[str, int], folder: Path) -> None:
    """Write the seven files; `paper` has the paper's numbers of rows by label, and of those kept."""
    kept, votes = labelled.kept, labelled.votes
    decided_by = np.where(votes.speech_decides, "speech", "image")

    ours = [(name, "ours", rows / kept.sum()) for name, rows in labelled.kept_by_label.items()]
    theirs = [(name, "paper", paper[name] / paper["kept"]) for name in labelled.label_names if name in paper]
    write_plot(folder / "classes.csv", ("label", "series", "share"), ours + theirs)

    modalities = [
        (name, modality, int((kept & (labelled.labels == name) & (decided_by == modality)).sum()))
        for name in labelled.label_names
        for modality in tables.MODALITIES
    ]
    write_plot(folder / "modalities.csv", ("label", "series", "rows"), modalities)

    params = labelled.params
    remap = {**params.remap, **{name: name for name in params.neutral}}
    predicted = labelled.heard.groupby(["voice", "label"], sort=True)["maximum"].agg(["size", "mean"]).reset_index()
    write_plot(
        folder / "speech_predictions.csv",
        ("series", "predicted", "label", "rows", "mean_confidence"),
        [(voice, label, remap[str(label)], *rest) for voice, label, *rest in predicted.itertuples(index=False)],
    )

    bins = [
        (modality, low, int(rows))
        for modality, maxima in (("speech", votes.speech_max), ("image", votes.image_max))
        for low, rows in zip(CONFIDENCE_BINS, np.histogram(maxima, bins=CONFIDENCE_BINS)[0], strict=False)
    ]
    write_plot(folder / "confidence.csv", ("series", "confidence", "rows"), bins)
    write_plot(folder / "thresholds.csv", ("threshold", "series", "rows"), _threshold_curves(labelled))
    shown = _shown(np.ones_like(kept))
    teachers = zip(votes.speech_label[shown], votes.image_label[shown], strict=True)
    write_plot(folder / "agreement.csv", ("speech", "image"), teachers)
    shown = _shown(kept)
    sentiments = zip(labelled.rows["sentiment"].iloc[shown], labelled.labels[shown], decided_by[shown], strict=True)
    write_plot(folder / "validity.csv", ("sentiment", "label", "decided_by"), sentiments)


def _shown(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Indices of the chosen rows, or of `SHOWN_ROWS` of them at even distances."""
    indices = np.flatnonzero(chosen)
    return indices[:: -(-len(indices) // SHOWN_ROWS)]


def _threshold_curves(labelled: Labelled) -> list[tuple[float, str, int]]:
    params, curves = labelled.params, list[tuple[float, str, int]]()
    for threshold in THRESHOLDS:
        kept = rules.drop_reasons(params.rule, float(threshold), labelled.votes, params.neutral) == ""
        series = {name: kept & (labelled.labels == name) for name in labelled.label_names}
        series |= {"all": kept, "teachers agree": kept & labelled.votes.agree}
        series |= {"decided by speech": kept & labelled.votes.speech_decides}
        curves += [(float(threshold), name, int(chosen.sum())) for name, chosen in series.items()]
    return curves
