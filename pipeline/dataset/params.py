"""Section assemble of params.yaml."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.frame.params import STRICT


@dataclass(frozen=True, config=STRICT)
class AssembleParams:
    """Section `assemble`.

    Attributes:
        shard_rows: rows per Parquet file.
        test_share: of the rows of each label.
        folds: cross-validation folds within train.
    """

    shard_rows: Annotated[int, Field(ge=1)]
    test_share: Annotated[float, Field(gt=0, lt=1)]
    folds: Annotated[int, Field(ge=2, le=100)]
