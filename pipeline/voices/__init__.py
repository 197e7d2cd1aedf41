"""Voices: text-to-speech engines behind one small interface.

An adapter is one module of this package named after its engine; it offers `load(params) -> Voice`. The rest of the
project never imports an engine, so an engine's licence and weight stay behind its own extra.
"""

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

from pipeline.errors import RowError, UserError
from pipeline.frame import tables
from pipeline.frame.params import STRICT

PEAK = 0.8  # of what a voice says: below 1, so that resampling cannot overshoot full scale

Name = Annotated[str, Field(min_length=1)]
Pace = Annotated[float, Field(ge=0.25, le=4.0)]  # duration of each phoneme relative to the model's; 2 is half as fast
Noise = Annotated[float, Field(ge=0.0, le=2.0)]


@dataclass(frozen=True, config=STRICT)
class PiperParams:
    """A Piper voice: a packaged one by name, or the path of an .onnx file with its .onnx.json beside it."""

    engine: Literal["piper"]
    model: Name
    length_scale: Pace = field(default=1.0)


@dataclass(frozen=True, config=STRICT)
class VitsParams:
    """What the two engines of batched VITS have in common.

    Noise is the spread of a random draw; null for the model's own. With 0 in both, a text sounds the same whatever is
    spoken with it.
    """

    length_scale: Pace = field(default=1.0, kw_only=True)
    noise_scale: Noise | None = field(default=None, kw_only=True)  # of the timbre
    noise_scale_duration: Noise | None = field(default=None, kw_only=True)
    batch_size: Annotated[int, Field(ge=1, le=1024)] = field(default=16, kw_only=True)  # less where texts are long


@dataclass(frozen=True, config=STRICT)
class CoquiParams(VitsParams):
    """A VITS voice of coqui-tts: a folder with `config.json` and one `.pth`, such a `.pth` file, or the name of one of
    Coqui's models, `tts_models/<language>/<data>/vits`, which is downloaded.
    """

    engine: Literal["coqui"]
    model: Name


@dataclass(frozen=True, config=STRICT)
class TransformersVitsParams(VitsParams):
    """A `VitsModel` of transformers: a folder with config, vocabulary and `model.safetensors`, or a name on the Hub."""

    engine: Literal["transformers_vits"]
    model: Name


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
    """A loaded voice."""

    name: str  # of the model, without folders of the machine
    digest: str  # changes whenever the same text might sound different
    sampling_rate_hz: int
    speakers: tuple[str, ...] = ()  # names to choose from; empty for a voice of one speaker
    libraries: tuple[str, ...] = ()  # whose versions decide what it sounds like, besides those in `digest`
    requests_at_once: int = 1  # how many `speak_batch` should be given for good batches

    @abstractmethod
    def speak(self, text: str, speaker: str | None = None, rate: float = 1.0) -> NDArray[np.float32]:
        """Mono waveform in [-1, 1], [samples], at `sampling_rate_hz`; RowError if there is nothing to say."""

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
    """The voice that `params` names; UserError if engine or model are not installed, or the model cannot be read."""
    voice: Voice = import_module(f"pipeline.voices.{params.engine}").load(params)
    return voice


def model_error(model: str, problem: str) -> UserError:
    """What is wrong with the model that the parameters name."""
    return UserError(f"synthesize.voice.model = {model}: {problem}")


def voice_of(model: str, speaker: str | None) -> str:
    """What the column `voice` holds: the model's name, and the speaker's if one was asked for."""
    return model if speaker is None else f"{model}{tables.SPEAKER_MARK}{speaker}"
