"""What was said, as networks that hear words read it: the frames of Whisper's encoder, from its packaged weights.

In   waveform: float32 [samples], mono, 16 kHz
Out  float16 [n_word_frames, 384], see `models.parallelnet.word_frames`
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.parallelnet import word_frames
from models.parallelnet.parallelnet_config import WORD_FRAMES
from models.parallelnet.word_frames import WordEncoder
from models.weights.whisper_weights import MODEL_FILE
from pipeline.errors import UserError
from pipeline.media.audio import Waveform

SHAPE = (WORD_FRAMES, word_frames.CHANNELS)


@cache
def word_encoder() -> WordEncoder:
    """The encoder, once per process.

    Raises UserError, or ModelError of the weights: a package is missing, or holds other weights.
    """
    folder = MODEL_FILE.path().parent
    try:
        return WordEncoder(folder)
    except ImportError as error:
        raise UserError(str(error)) from None


def word_frame_array(waveform: Waveform, duration_seconds: float) -> NDArray[np.float16]:
    """Word frames of one waveform, float16 `SHAPE`; UserError: see `word_encoder`."""
    found = word_encoder()([waveform], duration_seconds=duration_seconds, n_word_frames=WORD_FRAMES)
    return np.asarray(found[0])
