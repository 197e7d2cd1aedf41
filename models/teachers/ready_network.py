"""A ready classifier of the transformers library: utterances, texts or pictures in, logits for its own labels out.

In   waveforms float32 [samples] at 16 kHz, texts as heard, or RGB pictures
Out  logits float32 [n, labels], columns in the order of `labels`
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoImageProcessor,
    AutoModelForAudioClassification,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from transformers.utils import logging

from models.errors import ItemError, ModelError
from models.teachers.words_encoder import expect_words

SAMPLING_RATE_HZ = 16_000

# What the library raises for a folder that does not hold what it expects.
LOADING_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)

Modality = Literal["speech", "words", "image"]
MODELS = {
    "speech": AutoModelForAudioClassification, "words": AutoModelForSequenceClassification,
    "image": AutoModelForImageClassification,
}  # fmt: skip
PREPROCESSORS = {"speech": AutoFeatureExtractor, "words": AutoTokenizer, "image": AutoImageProcessor}
OWN = {
    "speech": "wav2vec2, HuBERT, WavLM, Whisper", "words": "BERT, RoBERTa, DistilBERT and their like",
    "image": "ViT, Swin, ConvNeXt and their like, or timm's",
}  # fmt: skip
TOKENS_MAX = 512  # of a text; a tweet has less than 150


def load_config(source: str, **changes: Any) -> Any:
    """The configuration of a folder or a repository, with some values changed; raises one of `LOADING_ERRORS`."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    config = AutoConfig.from_pretrained(source, trust_remote_code=False, **changes)
    # timm writes the number of classes twice, which the wrapper of transformers does not bear.
    arguments = getattr(config, "model_args", None) or {}
    arguments.pop("num_classes", None)
    return config


def load_preprocessor(source: str, modality: Modality) -> Any:
    """What prepares the items of a folder's or a repository's network; ModelError for another sampling rate."""
    try:
        preprocessor = PREPROCESSORS[modality].from_pretrained(source, trust_remote_code=False)
    except LOADING_ERRORS as error:
        raise ModelError(_refusal(source, modality, error)) from None
    rate = getattr(preprocessor, "sampling_rate", SAMPLING_RATE_HZ)
    if rate != SAMPLING_RATE_HZ:
        raise ModelError(f"{source}: hears {rate} Hz, expected {SAMPLING_RATE_HZ}; choose another checkpoint")
    return preprocessor


def load_pretrained(source: str, modality: Modality, classes: Sequence[str]) -> tuple[Any, Any]:
    """A network to fine-tune and its preprocessor: pretrained, with a new head for `classes` (drawn by torch's seed).

    Raises:
        ModelError: it is not there, has no safetensors, does not fit the modality or lacks weights below its head.
    """
    names = dict(enumerate(classes))
    label2id = {name: number for number, name in names.items()}
    changes = {"num_labels": len(names), "id2label": names, "label2id": label2id}
    network, missing = _load_network(source, modality, changes, ignore_mismatched_sizes=True, dtype=torch.float32)
    # timm's own configuration, which the wrapper keeps, has the old names in a second place.
    network.config.id2label, network.config.label2id = names, label2id
    if hasattr(network.config, "label_names"):
        network.config.label_names = list(classes)
    below_head = [key for key in missing if key.startswith(f"{network.base_model_prefix}.")]
    if below_head:
        raise ModelError(f"{source}: expected a network of {modality}, found no weights for {below_head[0]}")
    return network, load_preprocessor(source, modality)


def _load_network(source: str, modality: Modality, changes: dict[str, Any], **options: Any) -> tuple[Any, list[str]]:
    """A classifier whose configuration has some values changed, and the names of weights that its file lacks, sorted.

    The library fills those with random numbers and goes on.
    """
    try:
        network, loaded = MODELS[modality].from_pretrained(
            source, config=load_config(source, **changes), use_safetensors=True, trust_remote_code=False,
            output_loading_info=True, **options,
        )  # fmt: skip
    except LOADING_ERRORS as error:
        raise ModelError(_refusal(source, modality, error)) from None
    return network, sorted(loaded["missing_keys"])


def features(preprocessor: Any, modality: Modality, items: Sequence[Any]) -> Any:
    """What the network takes, for waveforms or pictures: a BatchFeature of tensors."""
    if modality == "image":
        return preprocessor(list(items), return_tensors="pt")
    if modality == "words":
        longest = min(preprocessor.model_max_length, TOKENS_MAX)
        return preprocessor(list(items), padding=True, truncation=True, max_length=longest, return_tensors="pt")
    padding = {} if hasattr(preprocessor, "nb_max_frames") else {"padding": True}
    return preprocessor(list(items), sampling_rate=SAMPLING_RATE_HZ, return_tensors="pt", **padding)


def digest_of(network: Any, preprocessor: Any) -> str:
    """sha256 over labels, preprocessing and every weight, hex."""
    tokens = getattr(preprocessor, "get_vocab", None)
    preprocessing = tokens() if tokens else json.loads(preprocessor.to_json_string())
    digest = hashlib.sha256(json.dumps([_labels(network), preprocessing], sort_keys=True).encode())
    for name, tensor in sorted(network.state_dict().items()):
        value = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode() + value.numpy().tobytes())
    return digest.hexdigest()


def _labels(network: Any) -> tuple[str, ...]:
    names = network.config.id2label
    return tuple(names[number] for number in range(len(names)))


def _refusal(source: str, modality: Modality, error: Exception) -> str:
    found = " ".join(str(error).split())[:300]
    if "custom code" in found:
        known = f"supported are networks that transformers itself has: {OWN[modality]}"
        return f"{source}: has code of its own, which is not run; {known}"
    return f"{source}: expected a classifier of {modality} with safetensors, found: {found}"


class ReadyNetwork:
    """A classifier and its preprocessor, from a local folder or by the name of a Hub repository.

    Only safetensors are read, and no code of the repository is run.
    """

    def __init__(
        self, network: Any, preprocessor: Any, modality: Modality, *, device: str = "cpu", batch_size: int = 16
    ) -> None:
        self.network, self.preprocessor = network, preprocessor
        self.labels = _labels(network)  # in the order of its outputs
        self.modality, self.device, self.batch_size = modality, device, batch_size
        self.network.eval().to(device)
        self.forward = self.network
        self.digest = digest_of(network, preprocessor)

    @classmethod
    def load(
        cls,
        source: str,
        modality: Modality,
        *,
        device: str = "cpu",
        batch_size: int = 16,
        threads: int = 1,
        compiled: bool = False,
    ) -> Self:
        """From a folder or the name of a repository on the Hub.

        The last bits of logits depend on the CPU's threads, which are set for the whole process: the default is the
        same on every machine. They also change if torch compiles the network.

        Raises:
            ModelError: it is not there, has no safetensors, does not fit the modality or wants another sampling rate.
        """
        torch.set_num_threads(threads)
        network, missing = _load_network(source, modality, {})
        if missing:
            raise ModelError(f"{source}: expected a classifier of {modality}, found no weights for {missing[0]}")
        ready = cls(network, load_preprocessor(source, modality), modality, device=device, batch_size=batch_size)
        if compiled:
            ready.forward = torch.compile(network, dynamic=True)
        return ready

    def check(self, item: Any) -> None:
        """Raises ItemError if an utterance is too short to give one frame, or a text has no word."""
        if self.modality == "speech":
            self.check_samples(len(item))
        elif self.modality == "words":
            expect_words(item)

    def check_samples(self, samples: int) -> None:
        """Raises ItemError if an utterance of so many samples is too short to give one frame."""
        lengths = getattr(self.network, "_get_feat_extract_output_lengths", None)
        if self.modality == "speech" and lengths is not None and int(lengths(samples)) < 1:
            raise ItemError("audio_too_short", f"{samples} samples give the teacher no frame")

    def logits(self, items: Sequence[Any]) -> NDArray[np.float32]:
        """Logits float32 [n, labels], in the order of the items, whatever the size of batches (within rounding)."""
        logits = np.empty((len(items), len(self.labels)), dtype=np.float32)
        for rows in self._batches(items):
            logits[rows] = self._forward([items[row] for row in rows])
        return logits

    def save(self, folder: Path) -> None:
        """Write network (safetensors) and preprocessor into `folder`."""
        self.network.save_pretrained(folder)
        self.preprocessor.save_pretrained(folder)

    def _batches(self, items: Sequence[Any]) -> Iterator[list[int]]:
        """Row numbers of each batch: by length, so that little is padded."""
        lengths = [0 if self.modality == "image" else len(item) for item in items]
        batch: list[int] = []
        for row in sorted(range(len(items)), key=lengths.__getitem__):
            # A network that knows no mask would hear the padding.
            other = batch and not self._masks and lengths[row] != lengths[batch[0]]
            if other or len(batch) == self.batch_size:
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    @property
    def _masks(self) -> bool:
        # Features of fixed length (Whisper: 30 s) are the same whatever is beside them.
        fixed = getattr(self.preprocessor, "nb_max_frames", None) is not None
        return self.modality == "words" or fixed or bool(getattr(self.preprocessor, "return_attention_mask", False))

    @torch.inference_mode()
    def _forward(self, items: Sequence[Any]) -> NDArray[np.float32]:
        inputs = features(self.preprocessor, self.modality, items).to(self.device)
        autocast = torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.device == "cuda")
        with warnings.catch_warnings(), autocast:
            warnings.simplefilter("ignore", UserWarning)  # of what the networks' own code does
            logits: NDArray[np.float32] = self.forward(**inputs).logits.float().cpu().numpy()
        return logits
