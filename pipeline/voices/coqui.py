"""VITS of coqui-tts: a folder, a file, or one of Coqui's models by name.

Checkpoints are read with `weights_only`, so they hold numbers and no code. coqui-tts is imported only when this voice
is asked for, and installed by the extra `coqui`; models of phonemes need the program espeak-ng besides.
"""

from __future__ import annotations

import logging
import pickle
import re
from pathlib import Path

import torch

from pipeline.errors import UserError, first_line
from pipeline.voices import CoquiParams
from pipeline.voices.coqui_files import CONFIG, KEY, SPEAKERS, find, read_config
from pipeline.voices.vits import Tap, VitsVoice, Vocoder, digest_of

INSTALL_HINT = "install it with: pip install -c constraints.txt '.[coqui]'"

# A hyphen that begins or ends a word. espeak-ng is run as a program, and would take "-f" for an option.
_LOOSE_HYPHENS = re.compile(r"(?<!\w)-+|-+(?!\w)")


class CoquiVoice(VitsVoice):
    """See the module's docstring."""

    def __init__(self, checkpoint: Path, name: str, params: CoquiParams) -> None:
        from TTS.tts.models.vits import Vits  # noqa: PLC0415 - seconds, only for who asks for it

        logging.getLogger("TTS").setLevel(logging.ERROR)  # it warns of every letter that a model does not know
        config = read_config(checkpoint.with_name(CONFIG), params.model)
        try:
            model = Vits(config)
        except Exception as error:  # noqa: BLE001 - of the phonemiser, or of whatever a config asks for
            raise UserError(f"{KEY} = {params.model}: cannot be built: {first_line(error)}") from None
        _check_weights(checkpoint, model, params.model)
        model.load_checkpoint(config, str(checkpoint), eval=True, strict=False)
        ids = {} if model.speaker_manager is None else dict(model.speaker_manager.name_to_id)
        files = [checkpoint, checkpoint.with_name(CONFIG), *map(checkpoint.with_name, SPEAKERS)]
        super().__init__(
            name=name,
            digest=digest_of(filter(Path.is_file, files), params, ("coqui-tts", "torch")),
            sampling_rate_hz=int(config.audio.sample_rate),
            speakers=sorted(ids, key=ids.__getitem__) if len(ids) > 1 else [],
            # With latents of another rate than the vocoder's, the end of a clip follows from what is beyond it.
            batch_size=params.batch_size if model.args.encoder_sample_rate is None else 1,
        )
        self._speaker_ids = [ids[speaker] for speaker in self.speakers] or sorted(ids.values())
        self.pace = model.length_scale * params.length_scale
        model.max_inference_len = None
        if params.noise_scale is not None:
            model.inference_noise_scale = params.noise_scale
        if params.noise_scale_duration is not None:
            model.inference_noise_scale_dp = params.noise_scale_duration
        self.model = model.to(self.device).eval()
        samples_per_frame = int(torch.tensor(model.args.upsample_rates_decoder).prod())
        self.vocoder = Vocoder(self.model.waveform_decoder, samples_per_frame, self.sampling_rate_hz)
        self.tap = self.model.waveform_decoder = Tap()

    def ids_of(self, text: str) -> list[int]:
        """See `VitsVoice.ids_of`."""
        tokenizer = self.model.tokenizer
        characters = tokenizer.characters
        ids = tokenizer.text_to_ids(_LOOSE_HYPHENS.sub(" ", text))
        silent = {characters.pad, characters.blank, characters.bos, characters.eos, *characters.punctuations}
        heard = (character for number in ids if (character := characters.id_to_char(number)) not in silent)
        return ids if any(map(str.strip, heard)) else []

    def latents(
        self, ids: torch.Tensor, lengths: torch.Tensor, speakers: list[int], rates: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """See `VitsVoice.latents`."""
        self.model.length_scale = self.pace / rates
        numbers = [self._speaker_ids[speaker] for speaker in speakers] if self._speaker_ids else None
        answer = self.model.inference(
            ids,
            {
                "x_lengths": lengths,
                "speaker_ids": None if numbers is None else torch.tensor(numbers, device=ids.device),
                "d_vectors": None,
                "language_ids": None,
                "durations": None,
            },
        )
        return self.tap.latents, answer["y_mask"].sum([1, 2]).long(), self.tap.condition


def _check_weights(checkpoint: Path, model: torch.nn.Module, name: str) -> None:
    """The library makes up what a checkpoint lacks of its speakers, and tells a part of what else is wrong."""
    try:
        found = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
        shapes = {key: weights.shape for key, weights in found.items()}
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, AttributeError, pickle.UnpicklingError):
        raise UserError(
            f"{KEY} = {name}: {checkpoint.name} is not a checkpoint of Coqui that holds numbers only"
        ) from None
    wrong = sorted(key for key, weights in model.state_dict().items() if shapes.get(key) != weights.shape)
    if wrong:
        raise UserError(
            f"{KEY} = {name}: {len(wrong)} weights that {CONFIG} asks for are not in {checkpoint.name} or have another "
            f"shape, such as {wrong[0]}"
        )


def load(params: CoquiParams) -> CoquiVoice:
    """The model in that folder, of that file or of that name.

    Raises:
        UserError: not installed, not found, not complete, not a VITS, or it needs what is not installed.
    """
    try:
        import TTS  # noqa: F401, PLC0415 - an optional dependency
    except ImportError as error:
        missing = error.name or first_line(error)
        raise UserError(f"the voice engine coqui is not installed ({missing} is missing); {INSTALL_HINT}") from None
    checkpoint, name = find(params.model)
    return CoquiVoice(checkpoint, name, params)
