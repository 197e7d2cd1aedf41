"""Networks ready to train: a ParallelNet with ImageNet weights in its backbones.

In   the fields of a `ParallelNetConfig`; a packaged or a local file of weights for each backbone
Out  a `ParallelNet`

Weights arrive after construction, since `transformers` initialises a new model at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from models.parallelnet.networks import N2
from models.parallelnet.parallelnet import ParallelNet
from models.parallelnet.parallelnet_config import ParallelNetConfig
from models.weights.backbones import Weights, create_backbone
from pipeline.errors import UserError
from pipeline.networks.params import BackboneParams, ModelParams, TrainParams


def create_parallelnet(**fields: Any) -> ParallelNet:
    """A network with random weights (seed torch before).

    Args:
        fields: of `ParallelNetConfig`.

    Raises:
        UserError: impossible values, an unknown backbone, or one that cannot take inputs of this size.
    """
    try:
        return ParallelNet(ParallelNetConfig(**fields))
    except ValueError as error:
        raise UserError(str(error)) from None


def load_backbones(model: ParallelNet, modality: Literal["image", "speech"], weights: Weights) -> None:
    """Give the backbone of one modality its ImageNet weights, bit for bit.

    Args:
        model: changed in place; what surrounds its backbone stays as it is.
        modality: one that the model sees.
        weights: see `models.weights.backbones.create_backbone`.

    Raises:
        UserError: no weights to be had for this backbone, or a file that does not fit.
        ValueError: the model has no such modality.
    """
    n2: N2 | None = getattr(model, f"n2_{modality}", None)
    if n2 is None:
        raise ValueError(f"a net of {model.config.modalities} only has no backbone for {modality}")
    name = getattr(model.config, f"{modality}_backbone")
    n2.backbone.load_state_dict(create_backbone(name, pretrained=True, weights=weights).state_dict())


def build(model: ModelParams, train: TrainParams, labels: Sequence[str]) -> ParallelNet:
    """A network with ImageNet weights where it asks for them, the rest as torch's seed has it.

    Args:
        model: its shape.
        train: shapes of its inputs, and its loss.
        labels: in the order of class ids.

    Raises:
        UserError: a backbone is unknown, or its weights are not to be had or do not fit.
    """
    net = create_parallelnet(
        fusion=model.fusion,
        modalities=model.modalities,
        fusion_op=model.fusion_op,
        image_backbone=model.image_backbone.name,
        speech_backbone=model.speech_backbone.name,
        freeze_backbone=model.freeze_backbone,
        n1_channels=list(model.n1_channels),
        code_size=model.code_size,
        head_size=model.head_size,
        image_size_px=train.inputs.image_size_px,
        n_mels=train.inputs.n_mels,
        n_frames=train.inputs.n_frames,
        duration_seconds=train.inputs.duration_seconds,
        focal_weight=train.focal_weight,
        focal_gamma=train.focal_gamma,
        id2label=dict(enumerate(labels)),
        label2id={name: place for place, name in enumerate(labels)},
    )
    backbones: dict[Literal["image", "speech"], BackboneParams] = {
        "image": model.image_backbone,
        "speech": model.speech_backbone,
    }
    for modality, backbone in backbones.items():
        if backbone.pretrained and model.modalities in {"both", modality}:
            load_backbones(net, modality, backbone.source)
    return net
