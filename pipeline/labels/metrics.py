"""What reports/label.json says of the labels."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.frame import acquired, tables
from pipeline.frame.stage import Context
from pipeline.labels import rules, validity

# What the paper reports (section 3.1), to print beside ours.
PAPER = {"rows_in": 470_586, "kept": 80_893, "happy": 42_958, "sad": 13_621, "hate": 4_401, "anger": 19_913}


def label_metrics(
    context: Context, rows: pd.DataFrame, votes: rules.Votes, labels: NDArray[np.str_], kept: NDArray[np.bool_]
) -> dict[str, Any]:
    by_speech = votes.speech_decides & kept
    speech = pd.DataFrame({"voice": rows["voice"], "label": votes.speech_label, "maximum": votes.speech_max})
    return {
        "rows_in": len(rows),
        "kept": int(kept.sum()),
        "labels": {name: int((labels[kept] == name).sum()) for name in context.base.labels},
        "decided_by": {"speech": int(by_speech.sum()), "image": int(kept.sum() - by_speech.sum())},
        "share_decided_by_speech": by_speech.sum() / kept.sum(),
        "dominant_modality": rules.dominant_modality(by_speech.sum() / kept.sum()),
        "agreement": {"all_rows": votes.agree.mean(), "kept_rows": votes.agree[kept].mean()},
        "rows_by_speech_and_image_label": _agreement(votes),
        # Before the rule: a voice's artefacts show here first.
        "speech_teacher_by_voice": {
            str(voice): {
                "rows": len(group),
                "predicted": group["label"].value_counts().sort_index().to_dict(),
                "mean_confidence": group["maximum"].mean(),
            }
            for voice, group in speech.groupby("voice")
        },
        "image_teacher": {
            "predicted": pd.Series(votes.image_label).value_counts().sort_index().to_dict(),
            "mean_confidence": votes.image_max.mean(),
        },
        "validity": _validity(context, rows["sentiment"].to_numpy(dtype=str), votes, labels, kept),
        "paper": PAPER,
    }


def _agreement(votes: rules.Votes) -> dict[str, dict[str, int]]:
    """Rows by what the speech teacher says, then by what the image teacher says, before the rule."""
    heard, seen = (
        {str(name): said == name for name in np.unique(said)} for said in (votes.speech_label, votes.image_label)
    )
    return {
        speech: {image: int((by_speech & by_image).sum()) for image, by_image in seen.items()}
        for speech, by_speech in heard.items()
    }


def _validity(
    context: Context,
    sentiments: NDArray[np.str_],
    votes: rules.Votes,
    labels: NDArray[np.str_],
    kept: NDArray[np.bool_],
) -> dict[str, Any]:
    """Of the kept labels, all and by decider; and of what each teacher says of all rows, before the rule."""
    origin = acquired.read_manifest(context.paths.data / "corpora" / "b_t4sa")["origin"]
    note = "by construction: the sample's texts and pictures were authored by sentiment"
    found: dict[str, Any] = {"note": note if origin == acquired.SAMPLE else "measured against B-T4SA's text sentiment"}
    by_speech = votes.speech_decides & kept
    every = np.ones(len(labels), dtype=np.bool_)
    for name, said, chosen in (
        ("all", labels, kept),
        ("decided_by_speech", labels, by_speech),
        ("decided_by_image", labels, kept & ~by_speech),
        ("speech_teacher", votes.speech_label, every),
        ("image_teacher", votes.image_label, every),
    ):
        names = context.base.labels if said is labels else sorted(set(said.tolist()))
        table = validity.contingency(said[chosen].tolist(), sentiments[chosen].tolist(), names, tables.SENTIMENTS)
        found[name] = asdict(validity.associate(table, context.base.seed))
    return found
