"""Section `synthesize` of the parameters."""

from dataclasses import field

from pydantic.dataclasses import dataclass

from pipeline.frame.params import STRICT
from pipeline.media import audio
from pipeline.speech.intelligibility import RecognitionParams
from pipeline.speech.script import ProsodyParams, SpeakerParams
from pipeline.voices import VoiceParams


@dataclass(frozen=True, config=STRICT)
class SynthesizeParams:
    """Section `synthesize`.

    Attributes:
        voice: the engine and its model.
        speakers: which of the voice's speakers says a row.
        prosody: pace, level and pitch by sentiment; null for the voice's own throughout.
        limits: what speech must be like to be kept.
        recognition: what a recogniser must understand.
    """

    voice: VoiceParams
    limits: audio.SpeechLimits
    recognition: RecognitionParams
    speakers: SpeakerParams = field(default=SpeakerParams())
    prosody: ProsodyParams | None = field(default=None)
