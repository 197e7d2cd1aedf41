"""A network's answer to a picture and its speech as a game (see `models.shapley`) over their parts.

In   a net, pixel_values float32 [3, h, w] and spectrogram float32 [1, n_mels, n_frames] in [0, 1], players, baselines;
     for a net that hears words the recording
Out  v(masks: bool [n_masks, n_players]) -> float64 [n_masks]: logit or probability of one class; image players first

Where the modalities meet in `fuse` only, every distinct image mask and every distinct speech mask is encoded once, and
any pair of them costs a run of the heads: 2^m + 2^n encodings for all 2^(m + n) values. A VGG's encoding takes a
thousand times as long as a fusion. Other nets get one forward per mask behind the same calls.

All arithmetic stays float32: bfloat16 would halve the time of an encoding, but changes codes by up to 1 %, a hundred
times the error that explanations may have.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from models.pair.masked_inputs import ImageBaseline, Masked, Recording, SpeechBaseline, masked_inputs
from models.pair.players import Players
from models.parallelnet.parallelnet import Codes, ParallelNet
from models.shapley import subset_masks
from models.shapley.exact import check_player_count
from models.shapley.game import BoolArray, FloatArray, IntArray

Output = Literal["logit", "probability"]

DEFAULT_BATCH_SIZE = 16
PAIRS_PER_FUSION = 1024  # activations of the heads stay in the cache of a core; 16 times as many are a fifth slower


class CodeCache:
    """Codes [n, code_size] of masked copies of one modality's inputs; each distinct mask is encoded once."""

    def __init__(self, encode: Callable[..., Codes], inputs: Sequence[Masked], batch_size: int) -> None:
        self.encodings = 0  # copies encoded so far
        self._encode = encode
        self._inputs = inputs
        self._batch_size = batch_size
        self._row_of: dict[bytes, int] = {}
        self._codes: Codes | None = None

    def rows(self, masks: BoolArray) -> IntArray:
        """The row of each mask, bool [n, n_players], in what `codes` gives; encodes what is new."""
        keys = [row.tobytes() for row in np.packbits(masks, axis=1)]
        new: dict[bytes, int] = {}
        for index, key in enumerate(keys):
            if key not in self._row_of:
                new.setdefault(key, index)
        indices = list(new.values())
        for start in range(0, len(indices), self._batch_size):
            chosen = indices[start : start + self._batch_size]
            codes = self._encode(*(masked(masks[chosen], torch.channels_last) for masked in self._inputs))
            if self._codes is not None:
                codes = torch.cat([self._codes[0], codes[0]]), torch.cat([self._codes[1], codes[1]])
            self._codes = codes
            # Not before the codes are there: an encoder that fails must not leave rows without them.
            self._row_of.update((keys[index], self.encodings + number) for number, index in enumerate(chosen))
            self.encodings += len(chosen)
        return np.array([self._row_of[key] for key in keys], dtype=np.int64)

    def codes(self, rows: IntArray) -> Codes:
        """Codes [*rows.shape, code_size] of rows."""
        assert self._codes is not None  # rows come from `rows`
        chosen = torch.from_numpy(rows).to(self._codes[0].device)
        return self._codes[0][chosen], self._codes[1][chosen]


class PairGame:
    """The game of one sample; codes are kept from call to call. ValueError for arguments that do not fit each other.

    Args:
        net: in evaluation mode; it is not changed.
        pixel_values: [3, h, w]; a net of speech only needs none.
        spectrogram: [1, n_mels, n_frames]; a net of images only needs none.
        players: of this picture and this spectrogram; those of a modality that the net lacks are left out.
        target: the class whose output is the value; default: the one that the net predicts.
        output: `logit`, or `probability` (softmax, which the paper uses; it saturates).
        batch_size: the most inputs per encoding or forward; it changes no more than the last bits of a value.
        factored: False takes one forward per mask where codes could be used. Default: whether `net.factors`.
        recording: that of the spectrogram, for a net that hears words.
    """

    def __init__(
        self,
        net: ParallelNet,
        pixel_values: Tensor | None,
        spectrogram: Tensor | None,
        players: Players,
        *,
        target: int | None = None,
        output: Output = "logit",
        image_baseline: ImageBaseline = "zero",
        speech_baseline: SpeechBaseline = "silence",
        batch_size: int = DEFAULT_BATCH_SIZE,
        factored: bool | None = None,
        recording: Recording | None = None,
    ) -> None:
        if net.training:
            raise ValueError("expected a net in evaluation mode, found one in training mode; call its eval()")
        if target is not None and not 0 <= target < net.config.num_labels:
            raise ValueError(f"target: expected a class from 0 to {net.config.num_labels - 1}, found {target}")
        if output not in {"logit", "probability"}:
            raise ValueError(f"output: expected logit or probability, found {output!r}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, found {batch_size}")
        self.net = net
        self.players = players.of(net.config.modalities)
        self.n_players = self.players.n_image + self.players.n_speech
        self.fusions = 0  # pairs of codes fused so far
        self.forwards = 0  # so far, without those of `direct`
        if not self.n_players:
            raise ValueError(f"a net of modalities = {net.config.modalities} has no players here")
        self._output = output
        self._batch_size = batch_size
        self._inputs = masked_inputs(
            net, pixel_values, spectrogram, self.players, image_baseline, speech_baseline, recording
        )
        self.target = self._predicted_class() if target is None else target
        self._caches: tuple[CodeCache, CodeCache] | None = None
        if net.factors if factored is None else factored:
            if not net.factors:
                raise ValueError("a net whose modalities meet before its codes does not factor; leave out factored")
            picture, *speech = self._inputs.values()
            self._caches = (
                CodeCache(net.encode_image, [picture], batch_size),
                CodeCache(net.encode_speech, speech, batch_size),
            )

    @property
    def factored(self) -> bool:
        """Whether codes are used."""
        return self._caches is not None

    @property
    def image_encodings(self) -> int:
        """Pictures encoded so far."""
        return self._caches[0].encodings if self._caches else 0

    @property
    def speech_encodings(self) -> int:
        """Spectrograms encoded so far."""
        return self._caches[1].encodings if self._caches else 0

    @torch.inference_mode()
    def __call__(self, masks: BoolArray) -> FloatArray:
        """Values float64 [n_masks] of masks, bool [n_masks, n_players]."""
        if self._caches is None:
            self.forwards += len(masks)
            return self._by_forwards(masks, torch.channels_last)
        image, speech = self._caches
        image_masks, speech_masks = self._split(masks)
        image_rows, speech_rows = image.rows(image_masks), speech.rows(speech_masks)
        values = np.empty(len(masks))
        for start in range(0, len(masks), PAIRS_PER_FUSION):
            block = slice(start, start + PAIRS_PER_FUSION)
            codes = image.codes(image_rows[block]), speech.codes(speech_rows[block])
            values[block] = self._values(self.net.fuse(*codes))
        self.fusions += len(masks)
        return values

    @torch.inference_mode()
    def table(self) -> FloatArray:
        """All values, float64 [2^n_image, 2^n_speech], subsets little-endian; ValueError for more than 20 players."""
        check_player_count(self.n_players)
        shape = (1 << self.players.n_image, 1 << self.players.n_speech)
        if self._caches is None:
            # Little-endian over all players, the picture's first: the number of an image subset counts fastest.
            return self(subset_masks(self.n_players)).reshape(shape[::-1]).T
        image, speech = self._caches
        image_rows = image.rows(subset_masks(self.players.n_image))
        speech_rows = speech.rows(subset_masks(self.players.n_speech))
        table = np.empty(shape)
        width = min(PAIRS_PER_FUSION, shape[1])
        height = PAIRS_PER_FUSION // width
        for first in range(0, shape[1], width):
            columns = slice(first, first + width)
            speech_codes = speech.codes(speech_rows[columns])
            for top in range(0, shape[0], height):
                rows = slice(top, top + height)
                table[rows, columns] = self._values(self.net.fuse(image.codes(image_rows[rows, None]), speech_codes))
        self.fusions += table.size
        return table

    @torch.inference_mode()
    def direct(self, masks: BoolArray) -> FloatArray:
        """Values float64 [n_masks] by plain forwards that share no code, count or layout with the rest."""
        return self._by_forwards(masks, torch.contiguous_format)

    def _by_forwards(self, masks: BoolArray, memory_format: torch.memory_format) -> FloatArray:
        values = np.empty(len(masks))
        for start in range(0, len(masks), self._batch_size):
            block = slice(start, start + self._batch_size)
            values[block] = self._values(self._logits(masks[block], memory_format))
        return values

    def _logits(self, masks: BoolArray, memory_format: torch.memory_format) -> Tensor:
        image, speech = self._split(masks)
        inputs = {
            name: masked(image if name == "pixel_values" else speech, memory_format)
            for name, masked in self._inputs.items()
        }
        logits: Tensor = self.net(**inputs).logits
        return logits

    @torch.inference_mode()
    def _predicted_class(self) -> int:
        everybody = np.ones((1, self.n_players), dtype=np.bool_)
        return int(self._logits(everybody, torch.contiguous_format)[0].argmax())

    def _split(self, masks: BoolArray) -> tuple[BoolArray, BoolArray]:
        if masks.ndim != 2 or masks.shape[1] != self.n_players:
            raise ValueError(f"expected masks [n, {self.n_players}], found {list(masks.shape)}")
        return masks[:, : self.players.n_image], masks[:, self.players.n_image :]

    def _values(self, logits: Tensor) -> FloatArray:
        outputs = logits.double()
        if self._output == "probability":
            outputs = outputs.softmax(dim=-1)
        values: FloatArray = outputs[..., self.target].cpu().numpy()
        return values
