"""A multinomial logistic regression at rest: logits and probabilities from fitted weights.

In   standardised representations, float64 [n, d]
Out  logits float64 [n, classes]; probabilities float32 [n, classes], rows sum to 1

Fitting lives in `models.teachers.probe_training`; scoring needs no scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LinearModel:
    """Weights of one class per row.

    Attributes:
        coefficients: float64 [classes, d].
        intercepts: float64 [classes]; minus infinity for a class that had no training rows, whose probability is 0.
    """

    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def logits(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logits float64 [n, classes] of standardised rows float64 [n, d]."""
        rows = np.ascontiguousarray(rows)
        # Not `rows @ coefficients.T`: BLAS rounds differently with the number of rows and of threads.
        columns = [(rows * weights).sum(axis=1) for weights in self.coefficients]
        return np.stack(columns, axis=1) + self.intercepts


def softmax(logits: NDArray[np.float64], temperature: float = 1.0) -> NDArray[np.float32]:
    """Probabilities float32 [n, classes] of logits / temperature; each row needs at least one finite logit."""
    scaled = logits / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32)
