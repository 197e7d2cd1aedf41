"""Voices: text-to-speech engines behind one small interface.

An adapter is one module of this package named after its engine; it offers `load(params) -> Voice`. The rest of the
project never imports an engine, so an engine's licence and weight stay behind its own extra.
"""

from __future__ import annotations

from dataclasses import field
from importlib import import_module
from typing import Annotated, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.params import STRICT


@dataclass(frozen=True, config=STRICT)
class VoiceParams:
    """Which voice speaks, and how.

    Attributes:
        engine: name of the adapter module in `pipeline.voices`.
        model: a packaged voice by name, or the path of a model file in the engine's own format.
        length_scale: duration of each phoneme relative to the voice's own pace; 2 is half as fast.
    """

    engine: Literal["piper"]
    model: Annotated[str, Field(min_length=1)]
    length_scale: Annotated[float, Field(ge=0.25, le=4.0)] = field(default=1.0)


class Voice(Protocol):
    """A loaded voice. `digest` changes whenever the same text might sound different."""

    name: str
    digest: str
    sampling_rate_hz: int

    def speak(self, text: str) -> NDArray[np.float32]:
        """Mono waveform in [-1, 1], shape [samples], at `sampling_rate_hz`.

        Raises:
            RowError: the engine can say nothing for this text.
        """
        ...


def load_voice(params: VoiceParams) -> Voice:
    """The voice that `params` names.

    Raises:
        UserError: the engine or its model is not installed, or the model file cannot be read.
    """
    voice: Voice = import_module(f"pipeline.voices.{params.engine}").load(params)
    return voice
