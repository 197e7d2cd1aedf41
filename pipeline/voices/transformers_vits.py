"""VITS of transformers (`VitsModel`), such as facebook/mms-tts-eng: a folder, or a name on the Hub.

Weights are read from safetensors only, and no code of a repository is run. Speakers have numbers for names.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from pipeline.errors import UserError, first_line
from pipeline.voices import TransformersVitsParams
from pipeline.voices.vits import Tap, VitsVoice, Vocoder, digest_of

WEIGHTS = "model.safetensors"
NEEDED = ("config.json", "vocab.json", WEIGHTS)
OPTIONAL = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
KEY = "synthesize.voice.model"


class TransformersVits(VitsVoice):
    """See the module's docstring."""

    one_speaker_a_batch = True

    def __init__(self, folder: Path, name: str, params: TransformersVitsParams) -> None:
        from transformers import VitsModel, VitsTokenizer  # noqa: PLC0415 - seconds, only for who asks for it
        from transformers.utils import logging  # noqa: PLC0415

        logging.set_verbosity_error()  # what is wrong with weights is told below
        logging.disable_progress_bar()
        try:
            model, loading = VitsModel.from_pretrained(
                folder,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
            tokenizer = VitsTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # noqa: BLE001 - safetensors' and tokenizers' own types share no base class
            raise UserError(f"{KEY} = {name}: not a VITS of transformers: {first_line(error)}") from None
        missing = sorted(set(loading["missing_keys"]) | {str(key[0]) for key in loading["mismatched_keys"]})
        if missing:
            raise UserError(
                f"{KEY} = {name}: {len(missing)} weights that its config asks for are not in {WEIGHTS} or have another "
                f"shape, such as {missing[0]}"
            )
        _check_text_tools(tokenizer, name)
        config = model.config
        super().__init__(
            name=name,
            digest=digest_of(_files(folder), params, ("transformers", "torch")),
            sampling_rate_hz=int(config.sampling_rate),
            speakers=[str(number) for number in range(config.num_speakers)] if config.num_speakers > 1 else [],
            batch_size=params.batch_size,
        )
        self.pace = model.speaking_rate / params.length_scale
        if params.noise_scale is not None:
            model.noise_scale = params.noise_scale
        if params.noise_scale_duration is not None:
            model.noise_scale_duration = params.noise_scale_duration
        self.tokenizer = tokenizer
        self.model = model.to(self.device).eval()
        samples_per_frame = int(torch.tensor(config.upsample_rates).prod())
        self.vocoder = Vocoder(self.model.decoder, samples_per_frame, self.sampling_rate_hz)
        self.tap = self.model.decoder = Tap()

    def ids_of(self, text: str) -> list[int]:
        """See `VitsVoice.ids_of`."""
        if not any(character.isalnum() for character in self.tokenizer.prepare_for_tokenization(text)[0]):
            return []
        # A tweet must not be able to write special tokens, nor an id that the model has no vector for.
        ids = self.tokenizer(text, split_special_tokens=True)["input_ids"]
        return [number for number in ids if number is not None and number < self.model.config.vocab_size]

    def latents(
        self, ids: torch.Tensor, lengths: torch.Tensor, speakers: list[int], rates: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """See `VitsVoice.latents`."""
        mask = torch.arange(ids.shape[1], device=ids.device) < lengths.unsqueeze(1)
        answer = self.model(
            input_ids=ids,
            attention_mask=mask.long(),
            speaker_id=speakers[0] if self.speakers else None,
            speaking_rate=self.pace * rates,
        )
        return self.tap.latents, answer.sequence_lengths // self.vocoder.samples_per_frame, self.tap.condition


def _check_text_tools(tokenizer: object, name: str) -> None:
    """Some vocabularies are of phonemes or of romanised text, for which transformers wants further packages."""
    from transformers.utils import is_phonemizer_available, is_uroman_available  # noqa: PLC0415

    wants = (("phonemize", "phonemizer", is_phonemizer_available), ("is_uroman", "uroman", is_uroman_available))
    for attribute, package, is_available in wants:
        if getattr(tokenizer, attribute) and not is_available():
            raise UserError(
                f"{KEY} = {name}: its texts are prepared by {package}, which is not installed; install it, or choose a "
                "model of letters such as facebook/mms-tts-eng"
            )


def _files(folder: Path) -> list[Path]:
    return [folder / name for name in (*NEEDED, *OPTIONAL) if (folder / name).is_file()]


def load(params: TransformersVitsParams) -> TransformersVits:
    """The model in that folder, or of that name on the Hub.

    Raises:
        UserError: not found, not complete, not a VITS, or it needs what is not installed.
    """
    folder = Path(params.model)
    is_folder = folder.is_dir()
    if not is_folder:
        folder = _from_hub(params.model)
    name = folder.name if is_folder else params.model
    for needed in NEEDED:
        if not (folder / needed).is_file():
            raise UserError(
                f"{KEY} = {params.model}: {needed} not found; expected a folder or a model of the Hub with "
                f"{', '.join(NEEDED)}"
            )
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise UserError(f"{KEY} = {params.model}: config.json is not a config: {first_line(error)}") from None
    if kind != "vits":
        raise UserError(f"{KEY} = {params.model}: config.json has model_type {kind}; expected vits")
    return TransformersVits(folder, name, params)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(snapshot_download(name, allow_patterns=[*NEEDED, *OPTIONAL]))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"{KEY} = {name}: neither a folder here nor to be had from the Hub ({first_line(error)[:200]}); expected a "
            "folder with " + ", ".join(NEEDED)
        ) from None
