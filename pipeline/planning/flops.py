"""Operations of a network, counted by torch's own counter on tensors without memory: no step is computed.

A multiplication and an addition count as two. What is no convolution and no matrix product is not counted; of these
networks it is next to nothing. A frozen backbone has no backward pass, and so counts once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.networks.params import Modality, ModelParams, TrainParams

ROWS = 2  # batch-norm of a feature map of one pixel takes no fewer


@dataclass(frozen=True)
class Flops:
    """Operations of one row, in training (forward and backward) and in predicting."""

    train: float
    predict: float


def count(model: ModelParams, train: TrainParams, labels: Sequence[str], kept: Sequence[Modality] = ()) -> Flops:
    """Of a network without pretrained weights; what runs once is left out: an encoder of words, `kept` in training."""
    import torch  # noqa: PLC0415 - seconds
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415 - as above

    from pipeline.networks import words  # noqa: PLC0415 - as above
    from pipeline.networks.build import build  # noqa: PLC0415 - as above

    size = train.inputs
    with torch.device("meta"):
        net = build(model, train, labels)
        given: dict[str, Any] = {
            "pixel_values": torch.empty(ROWS, 3, size.image_size_px, size.image_size_px),
            "spectrogram": torch.empty(ROWS, 1, size.n_mels, size.n_frames),
        }
        if model.hears_words:
            given["word_frames"] = torch.empty(ROWS, *words.SHAPE)
        features = {f"{name}_features": torch.empty(ROWS, *getattr(net, f"n2_{name}").feature_shape) for name in kept}
        with FlopCounterMode(display=False) as training:
            torch.autograd.backward(net.train()(**given, **features, labels=torch.zeros(ROWS, dtype=torch.long)).loss)
        with torch.no_grad(), FlopCounterMode(display=False) as predicting:
            net.eval()(**given)
    return Flops(training.get_total_flops() / ROWS, predicting.get_total_flops() / ROWS)
