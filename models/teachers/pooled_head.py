"""A head of two layers on the mean of all frames, which the library has not: dense, tanh, out_proj.

So are published audEERING's dimensional wav2vec2 (`Wav2Vec2ForSpeechClassification`) and classifiers trained with the
script of the same class name. The library's own head is a layer on each frame, their mean, and a layer on that: since a
mean of linear functions is that of the mean, a tanh between the library's two layers makes one of the other.
"""

from collections.abc import Set as AbstractSet
from typing import Any

from torch import nn
from transformers import (
    HubertForSequenceClassification,
    Wav2Vec2ForSequenceClassification,
    WavLMForSequenceClassification,
)

from models.errors import ModelError

NAMES = {"classifier.dense": "projector", "classifier.out_proj": "classifier.1"}  # theirs -> ours
OTHER = "classifier.output.weight"  # as ehcalabres' wav2vec2 calls the second layer


def _with_tanh(kind: Any) -> Any:
    """The library's classifier of that kind, with a tanh before its last layer."""

    class TwoLayers(kind):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.classifier: nn.Module = nn.Sequential(nn.Tanh(), self.classifier)

    return TwoLayers


KINDS = {
    "wav2vec2": _with_tanh(Wav2Vec2ForSequenceClassification), "hubert": _with_tanh(HubertForSequenceClassification),
    "wavlm": _with_tanh(WavLMForSequenceClassification),
}  # fmt: skip


def pooled_head(source: str, config: Any, tensors: AbstractSet[str]) -> Any:
    """The class of a network with this head, whose configuration is made to fit; None if the tensors have another one.

    Raises:
        ModelError: the head is like it, but not known to be it.
    """
    if "classifier.dense.weight" not in tensors or config.model_type not in KINDS:
        return None
    if OTHER in tensors:
        raise ModelError(
            f"{source}: its head has the layers dense and output, and nothing in it says which function lies between "
            "them; score the items with its makers' code, and give the table by kind: scores"
        )
    pooling = getattr(config, "pooling_mode", "mean")
    if pooling != "mean":
        raise ModelError(f"{source}: its config.json has pooling_mode {pooling}; supported is mean")
    config.classifier_proj_size = config.hidden_size
    config.use_weighted_layer_sum = False
    return KINDS[config.model_type]
