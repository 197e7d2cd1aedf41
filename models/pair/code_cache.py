"""Codes of masked copies of an input, each distinct mask encoded once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from models.pair.masked_inputs import MaskedInput
from models.parallelnet.parallelnet import Codes
from models.shapley.game import BoolArray, IntArray


class CodeCache:
    """Codes of masked copies of one input; each distinct mask is encoded once.

    Args:
        encode: inputs [n, channels, h, w] to two codes [n, code_size] each.
        inputs: masked copies of the input.
        batch_size: the most copies per call of `encode`.

    Attributes:
        encodings: copies encoded so far.
    """

    def __init__(self, encode: Callable[[Tensor], Codes], inputs: MaskedInput, batch_size: int) -> None:
        self.encodings = 0
        self._encode = encode
        self._inputs = inputs
        self._batch_size = batch_size
        self._row_of: dict[bytes, int] = {}
        self._codes: Codes | None = None

    def rows(self, masks: BoolArray) -> IntArray:
        """The row of each mask, bool [n, n_players], in what `codes` gives; encodes what is new."""
        keys = [row.tobytes() for row in np.packbits(masks, axis=1)]
        new: dict[bytes, int] = {}
        for place, key in enumerate(keys):
            if key not in self._row_of:
                new.setdefault(key, place)
        places = list(new.values())
        for start in range(0, len(places), self._batch_size):
            chosen = places[start : start + self._batch_size]
            codes = self._encode(self._inputs(masks[chosen], torch.channels_last))
            self._codes = codes if self._codes is None else _joined(self._codes, codes)
            # Not before the codes are there: an encoder that fails must not leave rows without them.
            self._row_of.update((keys[place], self.encodings + number) for number, place in enumerate(chosen))
            self.encodings += len(chosen)
        return np.array([self._row_of[key] for key in keys], dtype=np.int64)

    def codes(self, rows: IntArray) -> Codes:
        """Codes [*rows.shape, code_size] of rows."""
        assert self._codes is not None  # rows come from `rows`
        chosen = torch.from_numpy(rows).to(self._codes[0].device)
        return self._codes[0][chosen], self._codes[1][chosen]


def _joined(first: Codes, second: Codes) -> Codes:
    return torch.cat([first[0], second[0]]), torch.cat([first[1], second[1]])
