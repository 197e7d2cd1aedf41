"""Networks of the transformers library or timm, from a folder or the Hub: classifiers as they are, or to fine-tune.

No code of a repository is run; see `repository` for what is read of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from huggingface_hub.errors import StrictDataclassError
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
from transformers.models.auto.modeling_auto import MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES
from transformers.utils import logging

from models.errors import ModelError
from models.teachers.heads import PROBLEM_OF, Head, head_of, labels_of, name_outputs
from models.teachers.pooled_head import NAMES, pooled_head
from models.teachers.repository import Repository, fetch_weights, find

SAMPLING_RATE_HZ = 16_000

# What the library raises for a folder that does not hold what it expects.
LOADING_ERRORS = (
    OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, ImportError, SafetensorError,
    StrictDataclassError,
)  # fmt: skip

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
HEAD = {"classifier", "projector", "layer_weights"}  # first parts of the names of tensors that fine-tuning draws


@dataclass(frozen=True)
class Outputs:
    """What the user says of a checkpoint's outputs, where its configuration is silent."""

    head: Head | None = None
    label_names: tuple[str, ...] | None = None  # in the order of the outputs


NOTHING = Outputs()


@dataclass(frozen=True)
class Described:
    """A classifier by its configuration, without weights."""

    repository: Repository
    config: Any  # says what outputs are: names in id2label, head in problem_type
    head: Head

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs, in their order."""
        return labels_of(self.config)


def describe(source: str, modality: Modality, revision: str | None = None, said: Outputs = NOTHING) -> Described:
    """What a classifier's outputs are; ModelError if it is not there, is none, or nobody says it."""
    repository = find(source, revision)
    config = _config(repository, modality)
    expect_classifier(source, config)
    name_outputs(config, source, said.label_names)
    head = head_of(config, source, said.head, named_here=said.label_names is not None)
    config.problem_type = PROBLEM_OF[head]  # so that a copy of the network says it too
    return Described(repository, config, head)


def load_classifier(described: Described, modality: Modality) -> tuple[Any, Any]:
    """The network and its preprocessor; ModelError if weights are missing, damaged or of another network."""
    repository = described.repository
    network, missing = _load_network(repository, modality, described.config)
    if missing:
        raise ModelError(f"{repository.source}: expected a classifier of {modality}, found no weights for {missing[0]}")
    return network, load_preprocessor(repository, modality)


def load_pretrained(repository: Repository, modality: Modality, classes: Sequence[str]) -> tuple[Any, Any]:
    """A network to fine-tune and its preprocessor: pretrained, with a new head for `classes` (drawn by torch's seed).

    Raises:
        ModelError: it has no weights that can be read, does not fit the modality or lacks weights below its head.
    """
    names = dict(enumerate(classes))
    label2id = {name: number for number, name in names.items()}
    changes = {"num_labels": len(names), "id2label": names, "label2id": label2id}
    config = _config(repository, modality, **changes)
    config.problem_type = PROBLEM_OF["exclusive"]  # whatever the head was that goes
    network, missing = _load_network(repository, modality, config, ignore_mismatched_sizes=True)
    # timm's own configuration, which the wrapper keeps, has the old names in a second place.
    network.config.id2label, network.config.label2id = names, label2id
    if hasattr(network.config, "label_names"):
        network.config.label_names = list(classes)
    below_head = [key for key in missing if key.partition(".")[0] not in HEAD]
    if below_head:
        raise ModelError(f"{repository.source}: expected a network of {modality}, found no weights for {below_head[0]}")
    return network, load_preprocessor(repository, modality)


def load_preprocessor(repository: Repository, modality: Modality) -> Any:
    """What prepares the items of a network; ModelError if there is none, or for another sampling rate."""
    try:
        preprocessor = PREPROCESSORS[modality].from_pretrained(str(repository.folder), trust_remote_code=False)
    except LOADING_ERRORS as error:
        raise ModelError(_refusal(repository, modality, error)) from None
    rate = getattr(preprocessor, "sampling_rate", SAMPLING_RATE_HZ)
    if rate != SAMPLING_RATE_HZ:
        raise ModelError(
            f"{repository.source}: hears {rate} Hz, expected {SAMPLING_RATE_HZ}; choose another checkpoint"
        )
    return preprocessor


def expect_classifier(source: str, config: Any) -> None:
    """ModelError for a network that compares pictures with texts, which is no classifier until it has prompts."""
    pairs = config.model_type in MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES
    if pairs and "Classification" not in str(config.architectures):
        raise ModelError(
            f"{source}: is a {config.model_type} that compares pictures with texts, and has no classes of its own; use "
            "kind: zero_shot with prompts for each class"
        )


def _config(repository: Repository, modality: Modality, **changes: Any) -> Any:
    """The configuration of a network, with some values changed."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(str(repository.folder), trust_remote_code=False, **changes)
    except LOADING_ERRORS as error:
        raise ModelError(_refusal(repository, modality, error)) from None
    # timm writes the number of classes twice, which the wrapper of transformers does not bear.
    arguments = getattr(config, "model_args", None) or {}
    arguments.pop("num_classes", None)
    return config


def _load_network(repository: Repository, modality: Modality, config: Any, **options: Any) -> tuple[Any, list[str]]:
    """A classifier with this configuration, and the names of weights that its file lacks, sorted.

    The library fills those with random numbers and goes on.
    """
    weights = fetch_weights(repository)
    # A network to fine-tune gets a new head anyway.
    pooled = None if options else pooled_head(repository.source, config, weights.tensors)
    if pooled is not None:
        options["key_mapping"] = NAMES
    try:
        network, loaded = (pooled or MODELS[modality]).from_pretrained(
            str(repository.folder), config=config, use_safetensors=not weights.pickled, trust_remote_code=False,
            output_loading_info=True, dtype=torch.float32, **options,
        )  # fmt: skip
    except LOADING_ERRORS as error:
        raise ModelError(_refusal(repository, modality, error)) from None
    return network, sorted(loaded["missing_keys"])


def _refusal(repository: Repository, modality: Modality, error: Exception) -> str:
    found = " ".join(str(error).split())[:300]
    if "custom code" in found or "trust_remote_code" in found:
        known = f"supported are networks that transformers itself has: {OWN[modality]}"
        return (
            f"{repository.source}: has code of its own, which is not run; {known}; or score the items with that code, "
            "and give the table by kind: scores"
        )
    return f"{repository.source}: expected a classifier of {modality}, found: {found}"
