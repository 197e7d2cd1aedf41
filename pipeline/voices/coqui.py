"""VITS of coqui-tts: a folder, a file, or one of Coqui's models by name.

Checkpoints are read with `weights_only`, so they hold numbers and no code. A config names files of the machine that
trained the model, and addresses, which the library would open: only what lies beside the config is used, and what asks
for more than a speaker's name is refused. coqui-tts is imported only when this voice is asked for, and installed by the
extra `coqui`; models of phonemes need the program espeak-ng besides.
"""

import logging
import os
import pickle
import re
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import UserError, first_line
from pipeline.voices import CoquiParams, model_error
from pipeline.voices.model_files import digest_of, expect_weights, find_folder
from pipeline.voices.vits import VitsVoice

CONFIG = "config.json"
WEIGHTS = ("model_file.pth", "model.pth", "best_model.pth", "checkpoint.pth")
SPEAKERS = ("speaker_ids.json", "speaker_ids.pth", "speakers.json", "speakers.pth")
TERMS = "COQUI_TOS_AGREED"
EXPECTED = (
    f"expected a folder with {CONFIG} and one .pth file, such a file, or the name of one of Coqui's models such as "
    "tts_models/en/vctk/vits"
)
INSTALL_HINT = "install it with: pip install -c constraints.txt '.[coqui]'"

# A hyphen that begins or ends a word. espeak-ng is run as a program, and would take "-f" for an option.
_LOOSE_HYPHENS = re.compile(r"(?<!\w)-+|-+(?!\w)")


class CoquiVoice(VitsVoice):
    """See the module's docstring."""

    def __init__(self, checkpoint: Path, name: str, params: CoquiParams) -> None:
        from TTS.tts.models.vits import Vits  # noqa: PLC0415 - seconds, only for who asks for it

        logging.getLogger("TTS").setLevel(logging.ERROR)  # it warns of every letter that a model does not know
        config = _read_config(checkpoint.with_name(CONFIG), params.model)
        try:
            model = Vits(config)
        except Exception as error:  # noqa: BLE001 - of the phonemiser, or of whatever a config asks for
            raise model_error(params.model, f"cannot be built: {first_line(error)}") from None
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
        noise = ("inference_noise_scale", "inference_noise_scale_dp")
        self.take(model, params, noise, "waveform_decoder", model.args.upsample_rates_decoder)

    def ids_of(self, text: str) -> list[int]:
        """Ids of phonemes or letters, with those of silence among them."""
        tokenizer = self.model.tokenizer
        characters = tokenizer.characters
        ids = tokenizer.text_to_ids(_LOOSE_HYPHENS.sub(" ", text))
        silent = {characters.pad, characters.blank, characters.bos, characters.eos, *characters.punctuations}
        heard = (character for number in ids if (character := characters.id_to_char(number)) not in silent)
        return ids if any(map(str.strip, heard)) else []

    def latents(
        self, ids: torch.Tensor, lengths: torch.Tensor, speakers: list[int], rates: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Of one model for all speakers, which are rows of its table."""
        self.model.length_scale = self.pace / rates
        numbers = [self._speaker_ids[speaker] for speaker in speakers] if self._speaker_ids else None
        speaker_ids = None if numbers is None else torch.tensor(numbers, device=ids.device)
        unused = dict.fromkeys(("d_vectors", "language_ids", "durations"))
        answer = self.model.inference(ids, {"x_lengths": lengths, "speaker_ids": speaker_ids, **unused})
        return self.tap.latents, answer["y_mask"].sum([1, 2]).long(), self.tap.condition


def load(params: CoquiParams) -> CoquiVoice:
    """The model in that folder, of that file or of that name; raises UserError for what cannot be used."""
    try:
        import TTS  # noqa: F401, PLC0415 - an optional dependency
    except ImportError as error:
        missing = error.name or first_line(error)
        raise UserError(f"the voice engine coqui is not installed ({missing} is missing); {INSTALL_HINT}") from None
    checkpoint, name = _find(params.model)
    return CoquiVoice(checkpoint, name, params)


def _find(model: str) -> tuple[Path, str]:
    """The checkpoint of a model, with its config beside it, and the model's name without folders of the machine."""
    path = Path(model)
    if path.is_file():
        if not path.with_name(CONFIG).is_file():
            raise model_error(model, f"{path.with_name(CONFIG)} not found; {EXPECTED}")
        return path, path.stem
    folder, name = find_folder(model, _download, (CONFIG,), EXPECTED)
    for weights in WEIGHTS:
        if (folder / weights).is_file():
            return folder / weights, name
    others = sorted(path for path in folder.glob("*.pth") if path.name not in SPEAKERS)
    if len(others) != 1:
        raise model_error(model, f"{len(others)} .pth files there; {EXPECTED}")
    return others[0], name


def _download(name: str) -> Path:
    """The folder of one of Coqui's models, downloaded where it is not there yet."""
    if name.count("/") != 3 or not name.startswith("tts_models/"):
        raise model_error(name, f"not found; {EXPECTED}")
    import requests  # noqa: PLC0415 - these are wanted for a name only
    from TTS.utils.manage import ModelManager  # noqa: PLC0415

    manager = ModelManager(progress_bar=True)
    _, language, data, model = name.split("/")
    if data == "fairseq":
        instead = f"use the engine transformers_vits with the model facebook/mms-tts-{language}"
        raise model_error(name, f"not a checkpoint of Coqui's own; {instead}")
    item = manager.models_dict.get("tts_models", {}).get(language, {}).get(data, {}).get(model)
    if item is None:
        raise model_error(name, f"not one of Coqui's models; {EXPECTED}")
    if item.get("tos_required") and os.environ.get(TERMS) != "1":
        agree = f"which only you can agree to: read them, then set {TERMS}=1"
        raise model_error(name, f"comes under the terms {item.get('license')}, {agree}")
    if model != "vits":
        raise model_error(name, "only VITS models are spoken in batches; expected tts_models/.../vits")
    try:
        checkpoint, _, _ = manager.download_model(name)
    except (requests.RequestException, OSError, ValueError) as error:
        raise model_error(name, f"cannot be downloaded: {first_line(error)[:200]}; try again") from None
    return Path(checkpoint).parent


def _read_config(path: Path, model: str) -> Any:
    """The library's config object, of which every path leads to a file beside it."""
    from TTS.config import load_config  # noqa: PLC0415

    try:
        config = load_config(path)
        kind, arguments = config.model, config.model_args
    except Exception as error:  # noqa: BLE001 - the library raises whatever a foreign value makes it raise
        raise model_error(model, f"{path.name} is not a config of Coqui: {first_line(error)}") from None
    if kind.lower() != "vits":
        raise model_error(model, f"{path.name} is of a model {kind}; expected vits")
    further = {"use_d_vector_file": "voices given as vectors", "use_language_embedding": "several languages"}
    for option, what in further.items():
        if arguments.get(option) or config.get(option):
            raise model_error(model, f"a model of {what} ({option}); expected one of speaker names, or of one")
    characters = config.characters.characters_class if config.characters else None
    if characters and not characters.startswith("TTS.tts."):  # it would be imported
        raise model_error(model, f"its characters_class {characters} is not Coqui's own")
    arguments.init_discriminator = arguments.use_speaker_encoder_as_loss = False
    arguments.speaker_encoder_model_path = arguments.speaker_encoder_config_path = ""
    arguments.d_vector_file = config.d_vector_file = None
    config.audio.stats_path = None
    if arguments.use_speaker_embedding or config.use_speaker_embedding:
        _find_speakers(config, path.parent, model)
    return config


def _find_speakers(config: Any, folder: Path, model: str) -> None:
    if config.get("speakers"):
        return
    named = config.model_args.speakers_file or config.speakers_file
    for name in ([Path(named).name] if named else []) + list(SPEAKERS):
        if (folder / name).is_file():
            config.model_args.speakers_file = config.speakers_file = str(folder / name)
            return
    raise model_error(model, f"its list of speakers is not there; expected {SPEAKERS[0]} beside {CONFIG}")


def _check_weights(checkpoint: Path, model: torch.nn.Module, name: str) -> None:
    """The library makes up what a checkpoint lacks of its speakers, and says a part only of what else is wrong."""
    try:
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
        shapes = {key: weights.shape for key, weights in saved.items()}
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, AttributeError, pickle.UnpicklingError):
        raise model_error(name, f"{checkpoint.name} is not a checkpoint of Coqui that holds numbers only") from None
    missing = [key for key, weights in model.state_dict().items() if shapes.get(key) != weights.shape]
    expect_weights(missing, name, checkpoint.name)
