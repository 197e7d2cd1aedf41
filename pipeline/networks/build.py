"""Networks ready to train: a ParallelNet with ImageNet weights in its backbones.

Weights arrive after construction, since `transformers` initialises a new model at its end.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from models.parallelnet.networks import N2
from models.parallelnet.parallelnet import ParallelNet
from models.parallelnet.parallelnet_config import ParallelNetConfig
from models.weights.backbones import HUB, TORCHVISION, Weights, create_backbone, expect_on_hub, torchvision_file
from pipeline.errors import UserError
from pipeline.networks.params import BackboneParams, Modality, ModelParams, TrainParams


def build(model: ModelParams, train: TrainParams, labels: Sequence[str]) -> ParallelNet:
    """A network with ImageNet weights where it asks for them (UserError if these are not to be had or do not fit).

    The rest is as torch's seed has it.
    """
    net = _with_random_weights(model, train, labels)
    for modality, backbone in _pretrained(model).items():
        load_backbones(net, modality, backbone.source)
    return net


def expect_buildable(model: ModelParams, train: TrainParams, labels: Sequence[str]) -> None:
    """Raises UserError or ModelError where `build` would; nothing is downloaded."""
    with torch.device("meta"):  # shapes only
        _with_random_weights(model, train, labels)
    for backbone in _pretrained(model).values():
        if backbone.source == HUB:
            expect_on_hub(backbone.name)
        elif backbone.source == TORCHVISION:
            torchvision_file(backbone.name)
        else:
            create_backbone(backbone.name, pretrained=True, weights=backbone.source)


def _with_random_weights(model: ModelParams, train: TrainParams, labels: Sequence[str]) -> ParallelNet:
    return create_parallelnet(
        fusion=model.fusion, modalities=model.modalities, fusion_op=model.fusion_op,
        image_backbone=model.image_backbone.name, speech_backbone=model.speech_backbone.name,
        freeze_backbone=model.freeze_backbone, learn_colours=model.learn_colours, n1_channels=list(model.n1_channels),
        code_size=model.code_size, head_size=model.head_size, **asdict(train.inputs), focal_weight=train.focal_weight,
        focal_gamma=train.focal_gamma, focal_alpha=train.focal_alpha, batch_norm_momentum=train.batch_norm_momentum,
        batch_norm_epsilon=train.batch_norm_epsilon, id2label=dict(enumerate(labels)),
        label2id={name: label for label, name in enumerate(labels)},
    )  # fmt: skip


def _pretrained(model: ModelParams) -> dict[Modality, BackboneParams]:
    """Backbones of the network that are to get ImageNet weights; an encoder of words is no part of it."""
    backbones: dict[Modality, BackboneParams] = {"image": model.image_backbone}
    if not model.hears_words:
        backbones["speech"] = model.speech_backbone
    return {
        modality: backbone
        for modality, backbone in backbones.items()
        if backbone.pretrained and model.modalities in {"both", modality}
    }


def create_parallelnet(**fields: Any) -> ParallelNet:
    """A network of `ParallelNetConfig` with random weights (seed torch before); UserError if the values do not fit."""
    try:
        return ParallelNet(ParallelNetConfig(**fields))
    except ValueError as error:
        raise UserError(str(error)) from None


def load_backbones(model: ParallelNet, modality: Modality, weights: Weights) -> None:
    """Give the backbone of a modality, which the model must have, its ImageNet weights, bit for bit."""
    n2: N2 | None = getattr(model, f"n2_{modality}", None)
    if n2 is None:
        raise ValueError(f"a net of {model.config.modalities} only has no backbone for {modality}")
    name = getattr(model.config, f"{modality}_backbone")
    n2.backbone.load_state_dict(create_backbone(name, pretrained=True, weights=weights).state_dict())
