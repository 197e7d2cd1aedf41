"""Section explain of params.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from pipeline.frame.params import STRICT

Method = Literal["exact", "level", "best", "sample"]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=STRICT)
class ExplainParams:
    """Section `explain`; on values, parts and baselines see `explain`, `players`, `masked_inputs` of `models.pair`."""

    model: str  # a key of section `models` whose rows are sier
    figures: Annotated[int, Field(ge=0)]  # rows that get a picture
    figure_method: Method  # how these are explained; exact: 2^cells + 2^segments encodings where the network factors
    corpus_rows: Count | None  # test rows that the report is about, those with a picture among them; null for all
    method: Method  # how these are explained
    target: Literal["predicted", "labelled"]  # the class that is explained: the network's answer, or the row's label
    times: Annotated[int, Field(ge=0, le=8)]  # picture and speech are halved: 2^times cells and segments (Algorithm 1)
    grid: tuple[Count, Count] | None  # rows and columns of cells instead
    segments: Count | None  # of the speech instead, at most
    # Of speech: into equal parts, between words, or as cells of the spectrogram, which is halved as a picture is.
    segmentation: Literal["time", "words", "cells"]
    output: Literal["logit", "probability"]  # whose parts the values are; the paper's probability saturates
    image_baselines: Annotated[tuple[Literal["zero", "mean", "blur"], ...], Field(min_length=1)]  # figures: the first
    speech_baselines: Annotated[tuple[Literal["silence", "mean"], ...], Field(min_length=1)]  # one for each of these
    percentile: Annotated[float, Field(ge=0, le=100)]  # frames below are silenced for the second transcript (3.3)
    max_evals: Annotated[int, Field(ge=2)] | None  # of methods level and best; null for all
    permutations: Count  # pairs of orders of method sample
    deletion_steps: Count  # in which parts go and come for the curves, at most one part each
    batch_size: Count  # inputs given to the network at once

    @property
    def baselines(self) -> tuple[tuple[Literal["zero", "mean", "blur"], Literal["silence", "mean"]], ...]:
        """Pairs of image and speech baseline."""
        return tuple(zip(self.image_baselines, self.speech_baselines, strict=True))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.image_baselines) != len(self.speech_baselines):
            raise ValueError("as many image_baselines as speech_baselines")
        if len(set(self.baselines)) < len(self.baselines):
            raise ValueError("pairs of image_baselines and speech_baselines that differ from each other")
        if self.segmentation == "cells" and self.segments is not None:
            raise ValueError("segments null, since cells of the spectrogram are made by times")
        if self.corpus_rows is not None and self.figures > self.corpus_rows:
            raise ValueError("no more figures than corpus_rows")
        return self
