"""Voices: text-to-speech engines behind one small interface.

An adapter is one module of this package named after its engine; it offers `load(params) -> Voice`. The rest of the
project never imports an engine, so an engine's licence and weight stay behind its own extra.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from importlib import import_module
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.errors import RowError
from pipeline.frame import tables
from pipeline.frame.params import STRICT

Pace = Annotated[float, Field(ge=0.25, le=4.0)]
Noise = Annotated[float, Field(ge=0.0, le=2.0)]
BatchSize = Annotated[int, Field(ge=1, le=1024)]


@dataclass(frozen=True, config=STRICT)
class PiperParams:
    """A Piper voice.

    Attributes:
        model: a packaged voice by name, or the path of an .onnx file with its .onnx.json beside it.
        length_scale: duration of each phoneme relative to the voice's own pace; 2 is half as fast.
    """

    engine: Literal["piper"]
    model: Annotated[str, Field(min_length=1)]
    length_scale: Pace = field(default=1.0)


@dataclass(frozen=True, config=STRICT)
class VitsParams:
    """What the two engines of batched VITS have in common.

    Attributes:
        length_scale: see `PiperParams`.
        noise_scale: spread of the timbre's random draw; null for the model's own. With 0 in both, a text sounds the
            same whatever is spoken with it.
        noise_scale_duration: spread of the durations' random draw, likewise.
        batch_size: texts that are spoken at once; less where they are long.
    """

    length_scale: Pace = field(default=1.0, kw_only=True)
    noise_scale: Noise | None = field(default=None, kw_only=True)
    noise_scale_duration: Noise | None = field(default=None, kw_only=True)
    batch_size: BatchSize = field(default=16, kw_only=True)


@dataclass(frozen=True, config=STRICT)
class CoquiParams(VitsParams):
    """A VITS voice of coqui-tts.

    Attributes:
        model: a folder with `config.json` and one `.pth`, such a `.pth` file, or the name of one of Coqui's models,
            `tts_models/<language>/<data>/vits`, which is downloaded.
    """

    engine: Literal["coqui"]
    model: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, config=STRICT)
class TransformersVitsParams(VitsParams):
    """A `VitsModel` of transformers.

    Attributes:
        model: a folder with config, vocabulary and `model.safetensors`, or the name of such a model on the Hub.
    """

    engine: Literal["transformers_vits"]
    model: Annotated[str, Field(min_length=1)]


# Which voice speaks, and how: `engine` is the name of the adapter module in this package.
VoiceParams: TypeAlias = Annotated[PiperParams | CoquiParams | TransformersVitsParams, Field(discriminator="engine")]


@plain_dataclass(frozen=True)
class Request:
    """What is to be said, by whom (None: the voice's own speaker), and how fast (2 is twice the voice's pace)."""

    text: str
    speaker: str | None = None
    rate: float = 1.0


Spoken: TypeAlias = NDArray[np.float32] | RowError


class Voice(ABC):
    """A loaded voice.

    Attributes:
        name: of the model, without folders of the machine.
        digest: changes whenever the same text might sound different.
        sampling_rate_hz: of its waveforms.
        speakers: names to choose from; empty for a voice of one speaker.
        libraries: distributions whose versions decide what it sounds like, besides those in `digest`.
        requests_at_once: how many requests `speak_batch` should be given for good batches.
    """

    name: str
    digest: str
    sampling_rate_hz: int
    speakers: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    requests_at_once: int = 1

    @abstractmethod
    def speak(self, text: str, speaker: str | None = None, rate: float = 1.0) -> NDArray[np.float32]:
        """Mono waveform in [-1, 1], shape [samples], at `sampling_rate_hz`.

        Raises:
            RowError: the engine can say nothing for this text.
        """

    def speak_batch(self, requests: Sequence[Request]) -> list[Spoken]:
        """A waveform, or why there is none, for each request in order. May depend on nothing but `requests`."""
        spoken: list[Spoken] = []
        for request in requests:
            try:
                spoken.append(self.speak(request.text, request.speaker, request.rate))
            except RowError as error:
                spoken.append(error)
        return spoken


def load_voice(params: VoiceParams) -> Voice:
    """The voice that `params` names.

    Raises:
        UserError: the engine or its model is not installed, or the model file cannot be read.
    """
    voice: Voice = import_module(f"pipeline.voices.{params.engine}").load(params)
    return voice


def voice_of(model: str, speaker: str | None) -> str:
    """What the column `voice` holds: the model's name, and the speaker's if one was asked for."""
    return model if speaker is None else f"{model}{tables.SPEAKER_MARK}{speaker}"
