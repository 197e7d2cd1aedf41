"""Labels of two teachers' probabilities, as stage `label` gives them, for tables that lie in memory."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.params import PARAMS_FILE, section
from pipeline.labels.joining import scored
from pipeline.labels.rules import LabelParams, Rule

PAPERS_MAP = {"anger": "anger", "excitement": "happy", "disgust": "hate", "sadness": "sad"}


def label_rows(
    speech: pd.DataFrame | NDArray[Any],
    image: pd.DataFrame | NDArray[Any],
    *,
    rule: Rule = "max_probability",
    threshold: float = 0.5,
    classes: Sequence[str] | None = None,
    remap: Mapping[str, str] | None = None,
    calibrate: str = "none",
    speech_weight: float = 0.5,
    neutral: Collection[str] = (),
) -> pd.DataFrame:
    """A label for each row that both teachers scored, or the reason why there is none; columns as in `data/labels`.

    `attrs["temperatures"]` of the answer tells what `calibrate` made of the probabilities.

    Args:
        speech: the speech teacher's probabilities: a column per class, named as the class or `p_<class>`, rows known by
            the index or a column `id`, as in `data/scores/speech`; or an array [rows, classes], with `classes`.
        image: the image teacher's, likewise; both arrays have their rows in the same order.
        rule: `max_probability` (the paper's), `agreement`, `disagreement` or `log_pool`.
        threshold: least confidence of a kept row.
        classes: of the columns of arrays.
        remap: what label each class becomes; default: the paper's four.
        calibrate: `match` brings both teachers to the same mean confidence, the threshold; or `none`.
        speech_weight: of rule `log_pool`.
        neutral: classes that leave a row out where they win.

    Raises:
        UserError: a parameter, class or row cannot be used, or no row has both scores.
    """
    given = {
        "rule": rule, "threshold": threshold, "remap": dict(PAPERS_MAP if remap is None else remap),
        "calibrate": calibrate, "speech_weight": speech_weight, "neutral": list(neutral),
    }  # fmt: skip
    of_speech, of_image = _probabilities(speech, classes, "speech"), _probabilities(image, classes, "image")
    shared = of_speech.index.intersection(of_image.index, sort=False)
    if shared.empty:
        raise UserError("no row has both a speech and an image score; expected the same ids in both tables")
    try:
        params = section({"label": given}, "label", LabelParams)
        found = scored(
            params, pd.DataFrame({"id": shared}),
            of_speech.loc[shared].to_numpy(), list(of_speech.columns), of_image.loc[shared].to_numpy(),
            list(of_image.columns),
        )  # fmt: skip
        decided = pd.DataFrame(found.decisions(params), index=shared.rename("id"))
    except UserError as error:  # of the stage, whose parameters lie in a file
        raise UserError(str(error).removeprefix(f"{PARAMS_FILE}: ")) from None
    decided.attrs["temperatures"] = {name: found.temperatures.of(name) for name in tables.MODALITIES}
    return decided


def _probabilities(scores: pd.DataFrame | NDArray[Any], classes: Sequence[str] | None, teacher: str) -> pd.DataFrame:
    """float32, a column per class, by id."""
    if isinstance(scores, pd.DataFrame):
        frame = scores.set_index("id") if "id" in scores else scores
        if known := tables.score_classes(list(map(str, frame.columns))):
            frame = frame[[tables.PROBABILITY_PREFIX + name for name in known]].set_axis(list(known), axis=1)
    else:
        array = np.asarray(scores)
        if array.ndim != 2 or classes is None or array.shape[1] != len(classes):
            expected = f"an array [rows, {len(classes)}]" if classes else "classes, which name the columns of arrays"
            raise UserError(f"{teacher}: expected {expected}; found {list(array.shape)}")
        frame = pd.DataFrame(array, columns=list(classes))
    if not frame.index.is_unique:
        raise UserError(f"{teacher}: id {frame.index[frame.index.duplicated()][0]} stands there twice; keep one")
    try:
        frame = frame.astype(np.float32)
    except (ValueError, TypeError):
        raise UserError(f"{teacher}: expected a number of each class: {', '.join(map(str, frame.columns))}") from None
    bad = ~frame.ge(0).all(axis=1) | ~frame.le(1).all(axis=1)
    if bad.any():
        raise UserError(f"{teacher}: row {frame.index[bad][0]}: expected probabilities from 0 to 1; correct or drop it")
    return frame
