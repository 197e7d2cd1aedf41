"""Files of a Coqui VITS: found in a folder or downloaded by name, and a config that points nowhere else.

A config names files of the machine that trained the model, and addresses, which the library would open. Here only what
lies beside the config is used, and what asks for more than a speaker's name is refused.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pipeline.errors import UserError, first_line

KEY = "synthesize.voice.model"
CONFIG = "config.json"
WEIGHTS = ("model_file.pth", "model.pth", "best_model.pth", "checkpoint.pth")
SPEAKERS = ("speaker_ids.json", "speaker_ids.pth", "speakers.json", "speakers.pth")
TERMS = "COQUI_TOS_AGREED"
EXPECTED = (
    f"expected a folder with {CONFIG} and one .pth file, such a file, or the name of one of Coqui's models such as "
    "tts_models/en/vctk/vits"
)


def find(model: str) -> tuple[Path, str]:
    """The checkpoint of a model, with its config beside it, and the model's name without folders of the machine.

    Raises:
        UserError: not found or not complete; or terms that nobody has agreed to.
    """
    path = Path(model)
    if path.is_dir():
        return _in_folder(path, model), path.resolve().name
    if path.is_file():
        if not path.with_name(CONFIG).is_file():
            raise UserError(f"{KEY} = {model}: {path.with_name(CONFIG)} not found; {EXPECTED}")
        return path, path.stem
    if model.count("/") == 3 and model.startswith("tts_models/"):
        return _in_folder(_download(model), model), model
    raise UserError(f"{KEY} = {model}: not found; {EXPECTED}")


def _in_folder(folder: Path, model: str) -> Path:
    if not (folder / CONFIG).is_file():
        raise UserError(f"{KEY} = {model}: {CONFIG} not found; {EXPECTED}")
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    others = sorted(path for path in folder.glob("*.pth") if path.name not in SPEAKERS)
    if len(others) != 1:
        raise UserError(f"{KEY} = {model}: {len(others)} .pth files there; {EXPECTED}")
    return others[0]


def _download(name: str) -> Path:
    """The folder of one of Coqui's models, downloaded where it is not there yet."""
    import requests  # noqa: PLC0415 - these are wanted for a name only
    from TTS.utils.manage import ModelManager  # noqa: PLC0415

    manager = ModelManager(progress_bar=True)
    _, language, data, model = name.split("/")
    if data == "fairseq":
        raise UserError(
            f"{KEY} = {name}: not a checkpoint of Coqui's own; use the engine transformers_vits with the model "
            f"facebook/mms-tts-{language}"
        )
    item = manager.models_dict.get("tts_models", {}).get(language, {}).get(data, {}).get(model)
    if item is None:
        raise UserError(f"{KEY} = {name}: not one of Coqui's models; {EXPECTED}")
    if item.get("tos_required") and os.environ.get(TERMS) != "1":
        raise UserError(
            f"{KEY} = {name}: comes under the terms {item.get('license')}, which only you can agree to: read them, "
            f"then set {TERMS}=1"
        )
    if model != "vits":
        raise UserError(f"{KEY} = {name}: only VITS models are spoken in batches; expected tts_models/.../vits")
    try:
        checkpoint, _, _ = manager.download_model(name)
    except (requests.RequestException, OSError, ValueError) as error:
        raise UserError(f"{KEY} = {name}: cannot be downloaded: {first_line(error)[:200]}; try again") from None
    return Path(checkpoint).parent


def read_config(path: Path, model: str) -> Any:
    """The library's config object, of which every path leads to a file beside it.

    Raises:
        UserError: not a config of a VITS, or of one that needs more than a speaker's name.
    """
    from TTS.config import load_config  # noqa: PLC0415

    try:
        config = load_config(path)
        kind, arguments = config.model, config.model_args
    except Exception as error:  # noqa: BLE001 - the library raises whatever a foreign value makes it raise
        raise UserError(f"{KEY} = {model}: {path.name} is not a config of Coqui: {first_line(error)}") from None
    if kind.lower() != "vits":
        raise UserError(f"{KEY} = {model}: {path.name} is of a model {kind}; expected vits")
    for option, what in (
        ("use_d_vector_file", "voices given as vectors"),
        ("use_language_embedding", "several languages"),
    ):
        if arguments.get(option) or config.get(option):
            raise UserError(f"{KEY} = {model}: a model of {what} ({option}); expected one of speaker names, or of one")
    characters = config.characters.characters_class if config.characters else None
    if characters and not characters.startswith("TTS.tts."):  # it would be imported
        raise UserError(f"{KEY} = {model}: its characters_class {characters} is not Coqui's own")
    arguments.init_discriminator = arguments.use_speaker_encoder_as_loss = False
    arguments.speaker_encoder_model_path = arguments.speaker_encoder_config_path = ""
    arguments.d_vector_file = config.d_vector_file = None
    config.audio.stats_path = None
    if arguments.use_speaker_embedding or config.use_speaker_embedding:
        _find_speakers(config, path.parent, model)
    return config


def _find_speakers(config: Any, folder: Path, model: str) -> None:
    named = config.model_args.speakers_file or config.speakers_file
    if config.get("speakers"):
        return
    for name in ([Path(named).name] if named else []) + list(SPEAKERS):
        if (folder / name).is_file():
            config.model_args.speakers_file = config.speakers_file = str(folder / name)
            return
    raise UserError(f"{KEY} = {model}: its list of speakers is not there; expected {SPEAKERS[0]} beside {CONFIG}")
