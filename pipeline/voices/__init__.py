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
SILENCE = 0.01  # of full scale; what has a lower peak is not made louder

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


@dataclass(frozen=True, config=STRICT)
class HibariParams:
    """A Hibari voice: the packaged one by its name, or the path of an .onnx file of another.

    `british` reads words by British rules, for voices that were trained so; `seed` is of the breath in the sound, which
    is noise.
    """

    engine: Literal["hibari"]
    model: Name
    british: bool = field(default=False)
    length_scale: Pace = field(default=1.0)
    seed: Annotated[int, Field(ge=0)] = field(default=0)


# Which voice speaks, and how: `engine` is the name of the adapter module in this package.
VoiceParams: TypeAlias = Annotated[
    PiperParams | CoquiParams | TransformersVitsParams | HibariParams, Field(discriminator="engine")
]


@dataclass(frozen=True, config=STRICT)
class Prosody:
    """How a text is said, relative to the voice's own way."""

    rate: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0  # 2 is twice as fast
    energy_db: Annotated[float, Field(ge=-20.0, le=0.0)] = 0.0  # at most 0: voices speak near full scale
    pitch: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0  # of the fundamental frequency; 2 is an octave higher
    pitch_range: Annotated[float, Field(ge=0.0, le=3.0)] = 1.0  # of its spread around the sentence's mean; 0: monotone


PLAIN = Prosody()


@plain_dataclass(frozen=True)
class Request:
    """What is to be said, by whom (None: the voice's own speaker), and how.

    The level is not a voice's matter: it is set once peaks are at `PEAK`, which would undo it.
    """

    text: str
    speaker: str | None = None
    prosody: Prosody = PLAIN


Spoken: TypeAlias = NDArray[np.float32] | RowError


class Voice(ABC):
    """A loaded voice."""

    name: str  # of the model, without folders of the machine
    digest: str  # changes whenever the same text might sound different
    sampling_rate_hz: int
    speakers: tuple[str, ...] = ()  # names to choose from; empty for a voice of one speaker
    pitched: bool = False  # whether it follows `pitch` and `pitch_range`; all follow `rate`
    language: str | None = None  # code of the one that it speaks; None where the model does not say
    libraries: tuple[str, ...] = ()  # whose versions decide what it sounds like, besides those in `digest`
    requests_at_once: int = 1  # how many `speak_batch` should be given for good batches

    @abstractmethod
    def speak(self, text: str, speaker: str | None = None, prosody: Prosody = PLAIN) -> NDArray[np.float32]:
        """Mono waveform in [-1, 1], [samples], at `sampling_rate_hz`; RowError if there is nothing to say."""

    def speak_batch(self, requests: Sequence[Request]) -> list[Spoken]:
        """A waveform, or why there is none, for each request in order. May depend on nothing but `requests`."""
        spoken: list[Spoken] = []
        for request in requests:
            try:
                spoken.append(self.speak(request.text, request.speaker, request.prosody))
            except RowError as error:
                spoken.append(error)
        return spoken


def load_voice(params: VoiceParams) -> Voice:
    """The voice that `params` names; UserError if engine or model are not installed, or the model cannot be read."""
    voice: Voice = import_module(f"pipeline.voices.{params.engine}").load(params)
    return voice


def at_peak(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """The waveform with its peak at `PEAK`, as all voices have it; silence stays silence."""
    peak = float(np.abs(waveform).max(initial=0.0))
    return waveform * np.float32(PEAK / peak) if peak > SILENCE else waveform


def model_error(model: str, problem: str) -> UserError:
    """What is wrong with the model that the parameters name."""
    return UserError(f"synthesize.voice.model = {model}: {problem}")


def voice_of(model: str, speaker: str | None) -> str:
    """What the column `voice` holds: the model's name, and the speaker's if one was asked for."""
    return model if speaker is None else f"{model}{tables.SPEAKER_MARK}{speaker}"
