"""Which weights a frozen encoder has, and which of its layers and positions make an item's vector."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

PACKAGED = "packaged"
HUB = "hub"
Modality = Literal["speech", "image"]
# The last layer, the mean of all, from the embeddings before the first one (0) on, or the mean of some.
Layers = Literal["last", "all"] | tuple[int, ...]
# Over frames or patches. `own`: as the encoder does it: of speech `mean_std`, of pictures its pooled output or `mean`.
Pooling = Literal["own", "mean", "mean_std"]


@dataclass(frozen=True)
class EncoderSettings:
    """The defaults are those of the packaged encoders, which have no others."""

    weights: str = PACKAGED  # or `HUB`, or the path of a folder (transformers) or a file (timm)
    revision: str | None = None  # of a repository of the Hub: branch, tag or commit; once it is fetched, its commit
    layers: Layers = "last"
    pooling: Pooling = "own"

    @property
    def kept_as(self) -> str:
        """Type in which vectors can be kept without loss: those of packaged encoders are what they were before others
        came.
        """
        return "<f4" if self.weights == PACKAGED else "<f2"

    def rounded(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors that can be kept so."""
        if self.weights == PACKAGED:
            return vectors
        limit = np.finfo(np.float16).max
        return np.clip(vectors, -limit, limit).astype(np.float16).astype(np.float32)

    @property
    def changed(self) -> dict[str, Any]:
        """What is not as by default, as JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(EncoderSettings, name)}

    @classmethod
    def of(cls, changed: Mapping[str, Any]) -> Self:
        """The inverse of `changed`; TypeError for other names."""
        found = cls(**changed)
        return found if isinstance(found.layers, str) else cls(**{**asdict(found), "layers": tuple(found.layers)})
