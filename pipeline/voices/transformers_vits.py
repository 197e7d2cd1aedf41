"""VITS of transformers (`VitsModel`), such as facebook/mms-tts-eng: a folder, or a name on the Hub.

Weights are read from safetensors only, and no code of a repository is run. Speakers have numbers for names.
"""

import json
from pathlib import Path

import torch

from models.weights.hub import reason
from pipeline.errors import first_line
from pipeline.voices import TransformersVitsParams, model_error
from pipeline.voices.model_files import digest_of, expect_weights, find_folder
from pipeline.voices.number_words import in_words
from pipeline.voices.vits import VitsVoice

CONFIG, WEIGHTS = "config.json", "model.safetensors"
NEEDED = (CONFIG, "vocab.json", WEIGHTS)
OPTIONAL = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


class TransformersVits(VitsVoice):
    """See the module's docstring."""

    one_speaker_a_batch = True

    def __init__(self, folder: Path, name: str, params: TransformersVitsParams) -> None:
        from transformers import VitsModel, VitsTokenizer  # noqa: PLC0415 - seconds, only for who asks for it
        from transformers.utils import logging  # noqa: PLC0415

        logging.set_verbosity_error()  # what is wrong with weights is said below
        logging.disable_progress_bar()
        try:
            model, report = VitsModel.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, trust_remote_code=False, output_loading_info=True,
                ignore_mismatched_sizes=True,
            )  # fmt: skip
            tokenizer = VitsTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # noqa: BLE001 - safetensors' and tokenizers' own types share no base class
            raise model_error(name, f"not a VITS of transformers: {first_line(error)}") from None
        expect_weights(set(report["missing_keys"]) | {str(key[0]) for key in report["mismatched_keys"]}, name, WEIGHTS)
        _check_text_tools(tokenizer, name)
        config = model.config
        files = [folder / file for file in (*NEEDED, *OPTIONAL) if (folder / file).is_file()]
        super().__init__(
            name=name,
            digest=digest_of(files, params, ("transformers", "torch", "num2words")),
            sampling_rate_hz=int(config.sampling_rate),
            speakers=[str(number) for number in range(config.num_speakers)] if config.num_speakers > 1 else [],
            batch_size=params.batch_size,
        )
        self.tokenizer = tokenizer
        self.reads_digits = "1" in tokenizer.get_vocab()
        self.pace = model.speaking_rate / params.length_scale
        self.take(model, params, ("noise_scale", "noise_scale_duration"), "decoder", config.upsample_rates)

    def ids_of(self, text: str) -> list[int]:
        """Ids of letters; of digits, where the vocabulary has none, those of their words."""
        text = text if self.reads_digits else in_words(text)
        if not any(character.isalnum() for character in self.tokenizer.prepare_for_tokenization(text)[0]):
            return []
        # A tweet must not be able to write special tokens, nor an id that the model has no vector for.
        ids = self.tokenizer(text, split_special_tokens=True)["input_ids"]
        return [number for number in ids if number is not None and number < self.model.config.vocab_size]

    def latents(
        self, ids: torch.Tensor, lengths: torch.Tensor, speakers: list[int], rates: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Of the one speaker that the library takes for a batch."""
        mask = torch.arange(ids.shape[1], device=ids.device) < lengths.unsqueeze(1)
        answer = self.model(
            input_ids=ids,
            attention_mask=mask.long(),
            speaker_id=speakers[0] if self.speakers else None,
            speaking_rate=self.pace * rates,
        )
        return self.tap.latents, answer.sequence_lengths // self.vocoder.samples_per_frame, self.tap.condition


def load(params: TransformersVitsParams) -> TransformersVits:
    """The model in that folder, or of that name on the Hub; raises UserError for what cannot be used."""
    expected = f"expected a folder or a model of the Hub with {', '.join(NEEDED)}"
    folder, name = find_folder(params.model, _from_hub, NEEDED, expected)
    try:
        kind = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise model_error(params.model, f"{CONFIG} is not a config: {first_line(error)}") from None
    if kind != "vits":
        raise model_error(params.model, f"{CONFIG} has model_type {kind}; expected vits")
    return TransformersVits(folder, name, params)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(snapshot_download(name, allow_patterns=[*NEEDED, *OPTIONAL]))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        problem = f"neither a folder here nor to be had from the Hub ({reason(error)})"
        raise model_error(name, f"{problem}; expected a folder with {', '.join(NEEDED)}") from None


def _check_text_tools(tokenizer: object, name: str) -> None:
    """Some vocabularies are of phonemes or of romanised text, for which transformers wants further packages."""
    from transformers.utils import is_phonemizer_available, is_uroman_available  # noqa: PLC0415

    wants = (("phonemize", "phonemizer", is_phonemizer_available), ("is_uroman", "uroman", is_uroman_available))
    for attribute, package, is_available in wants:
        if getattr(tokenizer, attribute) and not is_available():
            problem = f"its texts are prepared by {package}, which is not installed"
            raise model_error(name, f"{problem}; install it, or choose a model of letters such as facebook/mms-tts-eng")
