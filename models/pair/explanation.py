"""What an explanation of a picture and its speech holds, and the check that it must pass."""

from __future__ import annotations

from dataclasses import dataclass

from models.shapley.game import FloatArray

TOLERANCE = 1e-4  # of 1, or of |v(full) - v(empty)| if that is larger


class InexactError(ArithmeticError):
    """Values that do not sum to v(full) - v(empty), or a game that differs from the network it stands for."""


@dataclass(frozen=True, eq=False)
class PairExplanation:
    """What the parts of a picture and of its speech are worth for one output of a network.

    Attributes:
        target: the class whose output is explained.
        values: float64 [n_image + n_speech], image players first.
        image_map: float64 [h, w]; sums to `image_value`.
        speech_map: float64 [n_frames]; sums to `speech_value`, 0 in the padding.
        image_value: sum of the image players' values.
        speech_value: sum of the speech players' values.
        v_full: the output for the sample, by a plain forward, as the three that follow.
        v_empty: for the baselines of both modalities.
        v_image: for the picture and the baseline of speech.
        v_speech: for the speech and the baseline of images.
        residual: sum of the values - (v_full - v_empty).
        max_difference: largest |game - plain forward| over the masks that were checked.
        interactions: float64 [n_image, n_speech], see `shapley.exact_factored`; None unless exact and of both.
        synergy: v_full - v_image - v_speech + v_empty; None for a net of one modality.
        evaluations: masks that the method asked for.
        image_encodings: pictures encoded for them.
        speech_encodings: spectrograms encoded for them.
        fusions: pairs of codes fused for them.
        forwards: forwards for them, by a game that does not factor.
        direct_forwards: forwards of the check, besides.
    """

    target: int
    values: FloatArray
    image_map: FloatArray
    speech_map: FloatArray
    image_value: float
    speech_value: float
    v_full: float
    v_empty: float
    v_image: float
    v_speech: float
    residual: float
    max_difference: float
    interactions: FloatArray | None
    synergy: float | None
    evaluations: int
    image_encodings: int
    speech_encodings: int
    fusions: int
    forwards: int
    direct_forwards: int

    @property
    def two_player_values(self) -> tuple[float, float]:
        """What image and speech are worth as two players (the paper's Eq. 3-4): the root of every tree."""
        alone, together = self.v_image - self.v_empty, self.v_full - self.v_speech
        image = (alone + together) / 2
        return image, self.v_full - self.v_empty - image


def check_exactness(residual: float, max_difference: float, effect: float) -> None:
    """Raises InexactError unless both errors are small beside the effect, v(full) - v(empty).

    Args:
        residual: sum of the values - effect.
        max_difference: largest |game - plain forward| over some masks.
        effect: by plain forwards.
    """
    allowed = TOLERANCE * max(1.0, abs(effect))
    for error, what in (
        (abs(residual), "the values' sum differs from v(full) - v(empty) of plain forwards"),
        (max_difference, "the game differs from plain forwards of the same masks"),
    ):
        if not error <= allowed:  # also if it is no number
            raise InexactError(
                f"{what} by {error:.3g}, more than {allowed:.3g}: the network does not give equal inputs equal outputs"
            )
