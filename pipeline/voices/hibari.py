"""Hibari, the embedded default voice, distilled from Kokoro-82M.

A graph gives spectrum and pitch of each frame, signal processing the waveform. Part of the sound is noise. It is drawn
from the seed and the text alone, so that a text always gives the same samples, whatever is spoken before it. Pitch is
changed between graph and waveform, where each frame (12.5 ms) has its fundamental frequency as a number. hibari-tts is
imported only when this voice is asked for, and installed by the extra `hibari`; it would download voices by name, so it
is only ever given a file.
"""

import hashlib
import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.engine.files import sha256_of
from pipeline.errors import RowError, UserError, first_line
from pipeline.voices import PEAK, PLAIN, HibariParams, Prosody, Voice, at_peak, model_error

PACKAGE, MODULE = "hibari-tts", "hibari"
INSTALL_HINT = "install it with: pip install -c constraints.txt '.[hibari]'"

PACKAGED = {"heart": "hibari.onnx"}  # voices by name
# What is read of the package: voices, and what turns the text of any voice into phonemes.
PINNED = {
    "hibari.onnx": "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
    "lexicon_gb_gold.json.gz": "66e675f23eb007d6707d23fe6603ba5e19f3513aefe42e3c8cd6c078a85f2ce0",
    "lexicon_gb_silver.json.gz": "637f887dd557d193af8c106f5c26624850db3e7bf0ec751ba917aac6d75e948d",
    "lexicon_us_gold.json.gz": "63ae94f8ef0e906d5b24fe9b59ffcbd1529aca5686a774610e43973cbaa86ad2",
    "lexicon_us_silver.json.gz": "c4c2546ebf1eb07010331e7ef785a431aa17ba8e7bfb6b4af8d654ee96a71fd3",
    "normalize.json": "d478ff05404bc43ac3e0468e306674e51085f1b1afc94cdef7c7ea4fb0d56bd8",
    "oov.json": "b462e6e5dbdf0e7346c732385d0dd844f612f1770871441c56932bff4ca75d8c",
    "oov.onnx": "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
    "oov_gb.json": "e29077fc3548f08f2fab82a87e03309f614658d91d0ba464e653265e9a4d0cad",
    "oov_gb.onnx": "0997e3219543247de5646078d770f8ca77011d8fd0abb29fe48d12c60f53e9e1",
    "tagger.json.gz": "d2da7502284bbbe45d49e0b7ce3ce67bdab82254150f4317f1b8559b4d38d0eb",
    "tokenizer_exceptions.json": "ddf3a3da07bdcf5144270ea4530191d8580fb4fd6f5ae93296e87916e795659a",
    "vocab.json": "70abefbe8a1c8865e43e0a43bbdc25b91a33e4aa053479d443ccf23e20a59e5d",
}

OUTPUTS = ["lh", "theta", "ln", "lr", "phi", "f0"]
TRIAL = "Hello."

# A sentence's memory grows with its speech: 5.5 MB a second, and 700 ids at the voice's own pace are about 40 s.
MAX_IDS = 700

_UNHEARD = frozenset(';:,.!?—…"()“” ˈˌ')
# hibari reads [word](/phonemes/), which a tweet must not be able to write; as punctuation both kinds are the same.
_BRACKETS = str.maketrans("[]", "()")
# Its time grows with the cube of what stands without a space: 300 signs took 5 s.
_LONG_WORD = re.compile(r"\S{40}(?=\S)")

LOWEST_HZ, HIGHEST_HZ = 50.0, 800.0  # of a voice; what is below 40 Hz the engine takes for unvoiced


class HibariVoice(Voice):
    """One Hibari model on one thread; the engine runs a process per core instead."""

    libraries = ("onnxruntime", "scipy")
    pitched = True
    language = "en"  # the engine has no other

    def __init__(self, model: Path, params: HibariParams, *, name: str, digest: str) -> None:
        try:
            from hibari import Hibari, dsp  # noqa: PLC0415 - an optional dependency
            from hibari.g2p import G2P  # noqa: PLC0415
        except ImportError as error:
            missing = f"{error.name} is missing"
            raise UserError(f"the voice engine hibari is not installed ({missing}); {INSTALL_HINT}") from None
        self.name, self.digest, self.sampling_rate_hz = name, digest, int(Hibari.sample_rate)
        self._params = params
        self._waveform = dsp.synth
        try:
            self._engine = Hibari(model=str(model), g2p=G2P(british=params.british))
            self.speak(TRIAL)  # another graph's names and shapes fail at first use
        except Exception as error:  # noqa: BLE001 - onnxruntime's own exception types share no public base class
            raise UserError(f"{model}: not a Hibari voice: {first_line(error)}") from None

    def speak(self, text: str, speaker: str | None = None, prosody: Prosody = PLAIN) -> NDArray[np.float32]:  # noqa: ARG002
        """See `Voice.speak`."""
        speed = prosody.rate / self._params.length_scale
        sentences = [self._engine.ids(phonemes) for phonemes in self.phonemes(text)]
        longest = max(map(len, sentences)) / speed
        if longest > MAX_IDS:
            reason = f"a sentence of {longest:,.0f} phonemes at the voice's pace, at most {MAX_IDS:,} are spoken"
            raise RowError("speech_too_long", reason)
        noise = hashlib.sha256(f"{self._params.seed}\0{text}".encode()).digest()
        draw = np.random.default_rng(int.from_bytes(noise[:16], "big"))
        return at_peak(np.concatenate([self._sentence(ids, speed, prosody, draw) for ids in sentences]))

    def phonemes(self, text: str) -> list[str]:
        """Of each sentence; raises RowError if there are none, or hibari cannot read the text."""
        plain = _LONG_WORD.sub(r"\g<0> ", text.translate(_BRACKETS))
        known = ValueError, ArithmeticError, LookupError, TypeError, AttributeError  # of its rules, for odd numbers
        try:
            sentences = self._engine.phonemize(plain)
        except known as error:
            raise RowError("speech_unreadable", f"the voice cannot read it: {first_line(error)}") from None
        if not (heard := [phonemes for phonemes in sentences if set(phonemes) - _UNHEARD]):
            raise RowError("speech_empty", "the voice found nothing to pronounce")
        return heard

    def _sentence(
        self, ids: list[int], speed: float, prosody: Prosody, draw: np.random.Generator
    ) -> NDArray[np.float32]:
        inputs = {"ids": np.array([ids], np.int64), "speed": np.array([speed], np.float32)}
        *spectrum, f0_hz = (part[0] for part in self._engine.sess.run(OUTPUTS, inputs))
        waveform: NDArray[np.float32] = self._waveform(*spectrum, at_pitch(f0_hz, prosody), draw)
        return waveform


def at_pitch(f0_hz: NDArray[np.float32], prosody: Prosody) -> NDArray[np.float32]:
    """The fundamental frequency [frames], 0 where unvoiced, as the prosody has it.

    Its logarithm's distance from the mean over the voiced frames is scaled by `pitch_range`, all of it by `pitch`.
    """
    voiced = f0_hz >= LOWEST_HZ
    if (prosody.pitch, prosody.pitch_range) == (1.0, 1.0) or not voiced.any():
        return f0_hz
    log = np.log(f0_hz[voiced])
    changed = f0_hz.copy()
    spread = log.mean() + (log - log.mean()) * prosody.pitch_range
    changed[voiced] = np.clip(np.exp(spread) * prosody.pitch, LOWEST_HZ, HIGHEST_HZ)
    return changed


def load(params: HibariParams) -> HibariVoice:
    """The voice of that name or path; UserError if it is not installed, not found, or not the file that was pinned."""
    spec = find_spec(MODULE)
    try:
        engine_version = version(PACKAGE)
    except PackageNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"the voice engine hibari is not installed; {INSTALL_HINT}")
    assets = Path(spec.submodule_search_locations[0]) / "assets"
    for file, expected in PINNED.items():
        actual = sha256_of(assets / file) if (assets / file).is_file() else "of no file"
        if actual != expected:
            remedy = f"reinstall the package {PACKAGE}"
            raise UserError(f"{assets / file}: sha256 is {actual}, expected {expected}; {remedy}")
    packaged = params.model in PACKAGED
    model = assets / PACKAGED[params.model] if packaged else Path(params.model)
    if not model.is_file():
        expected = f"an .onnx file of a Hibari voice, or one of: {', '.join(PACKAGED)}"
        raise model_error(params.model, f"not found; give {expected}")
    facts: list[Any] = [
        sha256_of(model),
        sorted(PINNED.items()),
        params.british,
        params.length_scale,
        params.seed,
        PEAK,
        engine_version,
    ]
    return HibariVoice(
        model,
        params,
        name=params.model if packaged else model.stem,
        digest=hashlib.sha256(repr(facts).encode()).hexdigest(),
    )
