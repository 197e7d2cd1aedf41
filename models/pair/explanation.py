"""What an explanation of a picture and its speech holds, and the check that it must pass."""

from dataclasses import dataclass

from models.shapley.game import FloatArray

TOLERANCE = 1e-4  # of 1, or of |v(full) - v(empty)| if that is larger


class InexactError(ArithmeticError):
    """Values that do not sum to v(full) - v(empty), or a game that differs from the network it stands for."""


@dataclass(frozen=True, eq=False)
class PairExplanation:
    """What the parts of a picture and of its speech are worth for one output of a network."""

    target: int  # the class whose output is explained
    values: FloatArray  # float64 [n_image + n_speech], image players first
    image_map: FloatArray  # float64 [h, w]; sums to image_value
    speech_map: FloatArray  # float64 [n_frames], of cells the sum over mel bands; sums to speech_value
    image_value: float  # sum of the image players' values
    speech_value: float  # sum of the speech players' values
    v_full: float  # the output for the sample, by a plain forward, as the three that follow
    v_empty: float  # for the baselines of both modalities
    v_image: float  # for the picture and the baseline of speech
    v_speech: float  # for the speech and the baseline of images
    residual: float  # sum of the values - (v_full - v_empty)
    max_difference: float  # largest |game - plain forward| over the masks that were checked
    interactions: FloatArray | None  # float64 [n_image, n_speech], see `exact_factored`; None unless exact and of both
    synergy: float | None  # v_full - v_image - v_speech + v_empty; None for a net of one modality
    evaluations: int  # masks that the method asked for
    image_encodings: int  # pictures encoded for them
    speech_encodings: int  # spectrograms encoded for them
    fusions: int  # pairs of codes fused for them
    forwards: int  # forwards for them, by a game that does not factor
    direct_forwards: int  # forwards of the check, besides

    @property
    def two_player_values(self) -> tuple[float, float]:
        """What image and speech are worth as two players (the paper's Eq. 3-4): the root of every tree."""
        alone, together = self.v_image - self.v_empty, self.v_full - self.v_speech
        image = (alone + together) / 2
        return image, self.v_full - self.v_empty - image


def check_exactness(residual: float, max_difference: float, effect: float) -> None:
    """Raises InexactError unless both errors are small beside the effect, v(full) - v(empty) of plain forwards."""
    allowed = TOLERANCE * max(1.0, abs(effect))
    for error, what in (
        (abs(residual), "the values' sum differs from v(full) - v(empty) of plain forwards"),
        (max_difference, "the game differs from plain forwards of the same masks"),
    ):
        if not error <= allowed:  # also if it is no number
            raise InexactError(
                f"{what} by {error:.3g}, more than {allowed:.3g}: the network does not give equal inputs equal outputs"
            )
