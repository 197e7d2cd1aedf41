"""Which weights a frozen encoder has, and which of its layers and positions make an item's vector."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

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
    def changed(self) -> dict[str, Any]:
        """What is not as by default, as JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(EncoderSettings, name)}

    @classmethod
    def of(cls, changed: Mapping[str, Any]) -> Self:
        """The inverse of `changed`; TypeError for other names."""
        found = cls(**changed)
        return found if isinstance(found.layers, str) else cls(**{**asdict(found), "layers": tuple(found.layers)})
