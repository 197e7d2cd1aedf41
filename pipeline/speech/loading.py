"""What stage synthesize must have before the first word: a voice, speakers and a recogniser as `SynthesizeParams` ask.

In   section `synthesize` and `base`
Out  `Loaded`; UserError about the first that is not there, or cannot do what is asked of it
"""

from dataclasses import dataclass

from pipeline.frame.stage import BaseParams
from pipeline.speech import recogniser
from pipeline.speech.params import SynthesizeParams
from pipeline.speech.script import Script, cast_of, expect_language, expect_pitch
from pipeline.voices import Voice, load_voice


@dataclass(frozen=True)
class Loaded:
    """`recogniser` is its digest, None where nothing is transcribed."""

    voice: Voice
    script: Script
    recogniser: str | None


def load(params: SynthesizeParams, base: BaseParams) -> Loaded:
    """Of the recogniser, files are looked at only."""
    voice = load_voice(params.voice)
    expect_pitch(params.prosody, voice)
    expect_language(voice, base.language)
    script = Script(cast_of(params.speakers, voice.speakers, voice.name, base.seed), params.prosody)
    heard = recogniser.digest_of(params.recognition.model, base.language) if params.recognition.share else None
    return Loaded(voice, script, heard)
