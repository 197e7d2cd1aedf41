"""Voters besides the two teachers: what a table that others made says of the rows to be labelled.

In   a voter of `label.further`, the ids of the rows
Out  `FurtherVoter`, with its probabilities at the temperature of the rule
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.frame import outside_scores, tables
from pipeline.labels.matching import at_temperature, matching_temperature
from pipeline.labels.rules import Further, LabelParams


@dataclass(frozen=True)
class FurtherVoter:
    """What a voter says; NaN in rows of which it says nothing."""

    params: Further  # with the digest of the table
    classes: tuple[str, ...]
    values: NDArray[np.float32]  # [rows, classes]
    temperature: float

    @property
    def voted(self) -> NDArray[np.bool_]:
        """Of which rows it says something, [rows]."""
        return np.asarray(~np.isnan(self.values[:, 0]), dtype=bool)

    @property
    def label(self) -> NDArray[np.str_]:
        """The class of its largest probability, [rows]; of no account where it has not voted."""
        return np.asarray(np.array(self.classes)[self.values.argmax(axis=1)])

    @property
    def certainty(self) -> NDArray[np.float32]:
        """That probability, [rows]; 0 where it has not voted."""
        return np.asarray(np.nan_to_num(self.values).max(axis=1))

    @property
    def columns(self) -> dict[str, NDArray[np.float32]]:
        """`p_<name>_<class>` -> [rows]."""
        prefix = f"{tables.PROBABILITY_PREFIX}{self.params.name}_"
        return {prefix + name: self.values[:, place] for place, name in enumerate(self.classes)}


def further_voter(params: Further, where: str, ids: "pd.Series[str]", rule: LabelParams) -> FurtherVoter:
    """Raises UserError as `outside_scores.read`, and where too many of the rows are not in the table."""
    found = outside_scores.read(params, where)
    places = pd.Index(found.ids).get_indexer(pd.Index(ids))
    absent = places < 0
    outside_scores.expect_few_lost(params, where, int(absent.sum()), len(ids), "rows to label are not in it")
    values = found.values[places]
    temperature = 1.0
    if rule.calibrate == "match" and not absent.all():
        temperature = matching_temperature(values[~absent], rule.threshold, params.name)
    values = at_temperature(values, temperature)
    values[absent] = np.nan
    told = replace(params, path=Path(params.path).name, digest=found.digest)
    return FurtherVoter(told, found.classes, values, temperature)


def described(
    voters: Sequence[FurtherVoter], parts: NDArray[np.float64], kept: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """For reports/label.json: of each voter where it came from, what it says, and how much it adds.

    `parts`: what each voter of the pool adds to a row's label, [2 + voters, rows].
    """
    total = 1 + sum(one.params.weight for one in voters)
    most = parts.argmax(axis=0)
    return [
        {
            "name": one.params.name, "licence": one.params.licence, "source": one.params.source,
            "digest": one.params.digest, "weight": one.params.weight, "share_of_weights": one.params.weight / total,
            "rows": int(one.voted.sum()), "rows_without": int((~one.voted).sum()),
            "predicted": pd.Series(one.label[one.voted]).value_counts().sort_index().to_dict(),
            "mean_confidence": float(one.certainty[one.voted].mean()) if one.voted.any() else None,
            "adds_most_to": int((kept & (most == place)).sum()),
        }
        for place, one in enumerate(voters, 2)
    ]  # fmt: skip
