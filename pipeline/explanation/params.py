"""Section explain of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from pipeline.frame.params import STRICT

Method = Literal["exact", "level", "best", "sample"]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=STRICT)
class ExplainParams:
    """Section `explain`. What the values are: `models.pair.explain`; parts and baselines: `models.pair.players` and
    `models.pair.masked_inputs`.

    Attributes:
        model: a key of section `models` whose rows are sier.
        figures: how many rows get a picture.
        figure_method: how they are explained; exact takes 2^cells + 2^segments encodings where the network factors.
        corpus_rows: how many test rows the report is about, those with a picture among them; null for all.
        method: how they are explained.
        times: picture and speech are halved this many times each (Algorithm 1): 2^times cells and segments.
        grid: rows and columns of cells instead; null follows `times`.
        segments: of the speech instead, at most; null follows `times`.
        segmentation: of speech, into equal parts of `time` or between `words`.
        output: whose parts the values are; the paper uses the probability, which saturates.
        image_baselines: what stands for absent parts of pictures; figures use the first.
        speech_baselines: likewise for speech; the first goes with the first, the second with the second.
        percentile: frames below this one are silenced for the second transcript (section 3.3).
        max_evals: the most evaluations of methods level and best; null for all.
        permutations: pairs of orders of method sample.
        deletion_steps: in how many steps parts go and come for the curves, at most one part each.
        bootstrap_samples: draws for each interval.
        batch_size: inputs given to the network at once.
    """

    model: str
    figures: Annotated[int, Field(ge=0)]
    figure_method: Method
    corpus_rows: Count | None
    method: Method
    times: Annotated[int, Field(ge=0, le=8)]
    grid: tuple[Count, Count] | None
    segments: Count | None
    segmentation: Literal["time", "words"]
    output: Literal["logit", "probability"]
    image_baselines: Annotated[tuple[Literal["zero", "mean", "blur"], ...], Field(min_length=1)]
    speech_baselines: Annotated[tuple[Literal["silence", "mean"], ...], Field(min_length=1)]
    percentile: Annotated[float, Field(ge=0, le=100)]
    max_evals: Annotated[int, Field(ge=2)] | None
    permutations: Count
    deletion_steps: Count
    bootstrap_samples: Annotated[int, Field(ge=100)]
    batch_size: Count

    @property
    def baselines(self) -> tuple[tuple[Literal["zero", "mean", "blur"], Literal["silence", "mean"]], ...]:
        """Pairs of image and speech baseline."""
        return tuple(zip(self.image_baselines, self.speech_baselines, strict=True))

    @model_validator(mode="after")
    def _fits_together(self) -> ExplainParams:
        if len(self.image_baselines) != len(self.speech_baselines):
            raise ValueError("as many image_baselines as speech_baselines")
        if len(set(self.baselines)) < len(self.baselines):
            raise ValueError("pairs of image_baselines and speech_baselines that differ from each other")
        if self.corpus_rows is not None and self.figures > self.corpus_rows:
            raise ValueError("no more figures than corpus_rows")
        return self
