"""ParallelNet (section 3.2, Fig. 2), its fusion configurations, and the nets of one modality.

In   pixel_values float32 [n, 3, 128, 128] in [0, 1]; spectrogram float32 [n, 1, 128, 128] in [0, 1], silence = 0
     word_frames float32 [n, n_word_frames, 384], where the net hears words
     image_features, speech_features float32 [n, channels, h, w]: of the backbones, if made before, see `forward`
Out  logits float32 [n, classes]; their softmax is the prediction (Eq. 2)

Configuration 3, the paper's net, crosses after N2:
  F_image = N1_image + N2_speech,  F_speech = N1_speech + N2_image,  F_mul = F_image * F_speech            (Eq. 1)
  O = w1 * O_speech + w2 * O_image + w3 * O_mul, each O a head of its F, w = softmax of a learned vector    (Eq. 2)
Configuration 2 crosses before N2: what N1 sees of one modality is added to the other's N2 input,
  F_speech = N2_speech(speech + up(N1_image)),  F_image = N2_image(image + up(N1_speech)),  F_mul as above,
where N1 lacks its dense layer, and up is a 1 x 1 convolution to three channels, resized to the input.
Configuration 1 does both: N1's feature map crosses before N2, its code after it.

Where the paper contradicts itself or is silent:
- Its second paragraph swaps N1 and N2; Fig. 2 and sections 3.2.1 and 4.3.2 make N2 the pretrained one.
- Eq. 1 prints F_s = N1_s + N1_i; its text, followed here, says N1_s + N2_i.
- How the modalities cross in configurations 1 and 2, and what joins F there, is left open.
- Its activation is ReLU, without saying where: here after every layer but a head's last.
- Values of its optimiser, batch-norm and focal loss that it does not print. What it does points to Keras, whose own are
  parameters: Adam's epsilon 1e-7, batch-norm's momentum 0.99 (to torch 0.01) and epsilon 0.001, focal alpha 0.25.
- Initial weights: here Xavier with biases 0, as in Keras, and a normal vector of deviation 0.05 for the fusion weights;
  the 1 x 1 convolution of speech begins by making a grey picture.
- ImageNet normalisation happens inside N2, so that a black picture and silence are 0.

Beyond the paper, with `speech_backbone` `WHISPER`: N2 of speech reads the frames that an encoder trained to write
speech down made of the recording. They are computed outside (`word_frames`), and so frozen.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from .losses import CombinedLoss
from .networks import N1, N2, BatchNorm, Crossing, GreyToColour, Head, N2Words, WeightedAddition
from .parallelnet_config import WORD_CHANNELS, ParallelNetConfig
from .spectrogram import Waveform, log_mel

Codes = tuple[Tensor, Tensor]


class ParallelNet(PreTrainedModel):  # type: ignore[misc]
    """Network of a configuration, with random weights; ValueError if a backbone cannot take such inputs."""

    config_class = ParallelNetConfig
    config: ParallelNetConfig
    main_input_name = "pixel_values"

    def __init__(self, config: ParallelNetConfig) -> None:
        super().__init__(config)
        image_size = (config.image_size_px, config.image_size_px)
        speech_size = (config.n_mels, config.n_frames)
        self._shapes = {
            "pixel_values": (3, *image_size), "spectrogram": (1, *speech_size),
            "word_frames": (config.n_word_frames, WORD_CHANNELS),
        }  # fmt: skip
        self._loss = CombinedLoss(config.focal_weight, config.focal_gamma, alpha=config.focal_alpha)
        both = config.modalities == "both"
        norm: BatchNorm = {"momentum": config.batch_norm_momentum, "eps": config.batch_norm_epsilon}
        n2 = partial(N2, code_size=config.code_size, freeze=config.freeze_backbone, norm=norm)

        if config.modalities != "speech":
            self.n2_image = n2(config.image_backbone, image_size)
            self.head_image = Head(config.code_size, config.head_size, config.num_labels)
        if config.hears_words:
            self.n2_speech: nn.Module = N2Words(config.n_word_frames, WORD_CHANNELS, config.code_size, norm)
        elif config.modalities != "image":
            self.grey_to_colour = GreyToColour(learn=config.learn_colours)
            self.n2_speech = n2(config.speech_backbone, speech_size)
        if config.modalities != "image":
            self.head_speech = Head(config.code_size, config.head_size, config.num_labels)
        if both:
            n1_code_size = None if config.fusion == 2 else config.code_size
            self.n1_image = N1(3, image_size, config.n1_channels, n1_code_size, norm)
            self.n1_speech = N1(1, speech_size, config.n1_channels, n1_code_size, norm)
            self.head_mul = Head(config.code_size, config.head_size, config.num_labels)
            self.late_fusion = WeightedAddition(3)
        if both and config.fusion != 3:
            self.image_to_speech = Crossing(config.n1_channels[-1], speech_size)
            self.speech_to_image = Crossing(config.n1_channels[-1], image_size)
        if both and config.fusion_op == "weighted_add":
            self.early_fusion = WeightedAddition(2)

        for modality in config.fixed_features:
            self._shapes[f"{modality}_features"] = getattr(self, f"n2_{modality}").feature_shape
        backbones = [net.backbone for net in self.children() if isinstance(net, N2)]
        self._backbone_parts = frozenset(part for backbone in backbones for part in backbone.modules())
        self._constructed = False
        self.post_init()
        self._constructed = True

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As of any PreTrainedModel; logits are bit for bit those of the net that was saved."""
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        # Weights now lie in the mapped file, at any address; matrix products of memory that is aligned in another way
        # differ in their last bits. torch's own memory is always aligned alike.
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.device.type == "cpu":
                tensor.data = tensor.data.clone()
        return loaded

    @property
    def factors(self) -> bool:
        """Whether the modalities meet in `fuse` only, so that `encode_image` and `encode_speech` exist."""
        return self.config.modalities == "both" and self.config.fusion == 3

    @property
    def fusion_weights(self) -> Tensor:
        """Weights [3] of Eq. 2: w1 of speech, w2 of the image, w3 of F_mul; ValueError for a net of one modality."""
        if self.config.modalities != "both":
            raise ValueError(f"a net of {self.config.modalities} only has no fusion weights")
        return self.late_fusion.weights

    def forward(
        self, pixel_values: Tensor | None = None, spectrogram: Tensor | None = None, labels: Tensor | None = None,
        word_frames: Tensor | None = None, image_features: Tensor | None = None, speech_features: Tensor | None = None,
    ) -> SequenceClassifierOutput:  # fmt: skip
        """Logits [n, classes], and the loss where there are labels, int64 [n].

        A net of one modality ignores the other. In a net of both, what is missing is its baseline, which is zeros: a
        black picture, or digital silence. Word frames belong to a spectrogram; a net that hears no words ignores them.
        Features of a backbone of `config.fixed_features`, as its `N2.features` makes them, spare running it; N1 needs
        what they were made of all the same.
        ValueError: nothing that this net sees was given, or of another shape, or speech by half.
        """
        self._check_features("image_features", image_features, pixel_values)
        self._check_features("speech_features", speech_features, spectrogram)
        if self.config.modalities == "image":
            logits = self.head_image(self._n2_image(pixel_values, image_features))
        elif self.config.modalities == "speech":
            logits = self.head_speech(self._n2_speech(spectrogram, word_frames, speech_features))
        else:
            if self.config.hears_words and (spectrogram is None) != (word_frames is None):
                raise ValueError("expected spectrogram and word_frames of the same speech, found one of them")
            pixel_values, spectrogram = self._both(pixel_values, spectrogram)
            if self.factors:
                if self.config.hears_words and word_frames is None:
                    word_frames = spectrogram.new_zeros(len(spectrogram), *self._shapes["word_frames"])
                speech = (spectrogram, word_frames) if self.config.hears_words else (spectrogram,)
                logits = self.fuse(
                    self.encode_image(pixel_values) if image_features is None
                    else (self.n1_image(pixel_values), self._n2_image(pixel_values, image_features)),
                    self.encode_speech(*speech) if speech_features is None
                    else (self.n1_speech(spectrogram), self._n2_speech(spectrogram, None, speech_features)),
                )  # fmt: skip
            else:
                logits = self._crossed_before(pixel_values, spectrogram)
        loss = None
        if labels is not None:
            loss = self._loss(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def encode_image(self, pixel_values: Tensor) -> Codes:
        """Codes of a picture by N1 and N2, each [n, code_size]; ValueError if this net does not factor."""
        self._expect_factors("encode_image")
        pixel_values = self._checked("pixel_values", pixel_values)
        return self.n1_image(pixel_values), self.n2_image(pixel_values)

    def encode_speech(self, spectrogram: Tensor, word_frames: Tensor | None = None) -> Codes:
        """Codes of speech by N1 and N2, each [n, code_size]; ValueError if this net does not factor."""
        self._expect_factors("encode_speech")
        return self.n1_speech(self._checked("spectrogram", spectrogram)), self._n2_speech(spectrogram, word_frames)

    def fuse(self, image_codes: Codes, speech_codes: Codes) -> Tensor:
        """Logits [..., classes] of codes [..., code_size] (Eq. 1 and 2); leading dimensions broadcast.

        Codes [a, 1, code_size] of pictures and [b, code_size] of spectrograms give all a x b pairs.
        """
        self._expect_factors("fuse")
        (n1_image, n2_image), (n1_speech, n2_speech) = image_codes, speech_codes
        return self._late(f_speech=n1_speech + n2_image, f_image=n1_image + n2_speech)

    def _n2_image(self, pixel_values: Tensor | None, features: Tensor | None) -> Tensor:
        if features is None:
            code: Tensor = self.n2_image(self._checked("pixel_values", pixel_values))
        else:
            code = self.n2_image.code(features)
        return code

    def _n2_speech(
        self, spectrogram: Tensor | None, word_frames: Tensor | None, features: Tensor | None = None
    ) -> Tensor:
        if features is not None:
            code: Tensor = self.n2_speech.code(features)  # type: ignore[operator]
        elif self.config.hears_words:
            code = self.n2_speech(self._checked("word_frames", word_frames))
        else:
            code = self.n2_speech(self.grey_to_colour(self._checked("spectrogram", spectrogram)))
        return code

    def log_mel(self, waveforms: Sequence[Waveform]) -> Tensor:
        """Spectrograms [n, 1, n_mels, n_frames] of waveforms at `config.sampling_rate_hz`; see `spectrogram`."""
        names = ("duration_seconds", "n_mels", "n_frames", "sampling_rate_hz")
        return log_mel(waveforms, **{name: getattr(self.config, name) for name in names})

    def _crossed_before(self, pixel_values: Tensor, spectrogram: Tensor) -> Tensor:
        """Logits of configurations 1 and 2."""
        image_map = self.n1_image.feature_map(pixel_values)
        speech_map = self.n1_speech.feature_map(spectrogram)
        n2_speech = self.n2_speech(self.grey_to_colour(spectrogram) + self.image_to_speech(image_map))
        n2_image = self.n2_image(pixel_values + self.speech_to_image(speech_map))
        if self.config.fusion == 2:
            return self._late(f_speech=n2_speech, f_image=n2_image)
        n1_image, n1_speech = self.n1_image.code(image_map), self.n1_speech.code(speech_map)
        return self._late(f_speech=n1_speech + n2_image, f_image=n1_image + n2_speech)

    def _late(self, f_speech: Tensor, f_image: Tensor) -> Tensor:
        f_mul = f_image * f_speech if self.config.fusion_op == "multiply" else self.early_fusion(f_speech, f_image)
        logits: Tensor = self.late_fusion(self.head_speech(f_speech), self.head_image(f_image), self.head_mul(f_mul))
        return logits

    def _both(self, pixel_values: Tensor | None, spectrogram: Tensor | None) -> tuple[Tensor, Tensor]:
        inputs = {"pixel_values": pixel_values, "spectrogram": spectrogram}
        given = [self._checked(name, tensor) for name, tensor in inputs.items() if tensor is not None]
        if not given:
            raise ValueError("expected pixel_values, spectrogram or both, found neither")
        pixel_values, spectrogram = (
            given[0].new_zeros(len(given[0]), *self._shapes[name]) if tensor is None else tensor
            for name, tensor in inputs.items()
        )
        if len(pixel_values) != len(spectrogram):
            found = f"{len(pixel_values)}, {len(spectrogram)}"
            raise ValueError(f"expected as many pictures as spectrograms, found {found}")
        return pixel_values, spectrogram

    def _checked(self, name: str, tensor: Tensor | None) -> Tensor:
        expected = self._shapes[name]
        if tensor is not None and tensor.is_floating_point() and tuple(tensor.shape[1:]) == expected:
            return tensor
        found = "nothing" if tensor is None else f"{tensor.dtype} {list(tensor.shape)}"
        raise ValueError(f"{name}: expected floating point [n, {', '.join(map(str, expected))}], found {found}")

    def _check_features(self, name: str, features: Tensor | None, inputs: Tensor | None) -> None:
        if features is None:
            return
        if name not in self._shapes:
            found = "it is not frozen, or something that learns stands before it"
            raise ValueError(f"{name}: expected none, as this net runs that backbone itself: {found}")
        self._checked(name, features)
        if self.factors and (inputs is None or len(inputs) != len(features)):
            found = "none" if inputs is None else str(len(inputs))
            raise ValueError(f"{name}: expected the {len(features)} inputs that they are of, for N1; found {found}")

    def _expect_factors(self, method: str) -> None:
        if not self.factors:
            kind = "one modality" if self.config.modalities != "both" else f"fusion {self.config.fusion}"
            raise ValueError(f"{method} needs a net of both modalities that meet after N2 (fusion 3), found {kind}")

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        # transformers calls this for every module after construction, and again for those a checkpoint left out.
        if module in self._backbone_parts:
            if self._constructed:
                raise ValueError(
                    f"the checkpoint lacks weights of a backbone ({self.config.image_backbone} for pictures, "
                    f"{self.config.speech_backbone} for speech); load it with the configuration it was saved with"
                )
        elif isinstance(module, nn.Conv2d | nn.Linear):
            if isinstance(module, GreyToColour):
                nn.init.ones_(module.weight)
            else:
                nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, WeightedAddition):
            nn.init.normal_(module.scores, std=0.05)
        else:
            super()._init_weights(module)


ParallelNetConfig.register_for_auto_class()
ParallelNet.register_for_auto_class("AutoModel")
