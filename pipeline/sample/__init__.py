"""The sample maker: small corpora in the exact on-disk formats of B-T4SA, IEMOCAP and FI, with their real defects.

The same arguments give the same bytes, in any folder, time zone and number of workers, without network. Texts are
authored here, pictures are drawn, and utterances are acted by the Piper voice. How hard the sample is to learn is set
by constants in `wording`, `dialogues`, `speakers`, `tweets` and `pictures`.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["make_b_t4sa", "make_fi", "make_iemocap"]


def make_b_t4sa(target: Path, *, seed: int, tweets: int) -> None:
    """Write B-T4SA's four kinds of file into `target`: `tweets` usable tweets, and the defects of the real corpus.

    Args:
        target: folder; made if it does not exist.
        seed: of all random choices.
        tweets: usable tweets, at least 12; about a sixth of them have two to four images. Defects come on top.

    Raises:
        UserError: too few tweets.
    """
    from pipeline.sample import b_t4sa  # noqa: PLC0415 - keeps this package light to import

    b_t4sa.make(target, seed=seed, tweets=tweets)


def make_iemocap(target: Path, *, seed: int, utterances: int, workers: int) -> None:
    """Write `IEMOCAP_full_release` into `target`: five sessions of two speakers, acted by the Piper voice.

    Args:
        target: folder; made if it does not exist.
        seed: of all random choices.
        utterances: in all, at least 20; exactly two of them are `dis`.
        workers: processes that speak; the result does not depend on it.

    Raises:
        UserError: too few utterances, or the voice is not installed.
    """
    from pipeline.sample import iemocap  # noqa: PLC0415

    iemocap.make(target, seed=seed, utterances=utterances, workers=workers)


def make_fi(target: Path, *, seed: int, images_per_class: int) -> None:
    """Write a folder per emotion into `target`, each with `images_per_class` JPEGs, and a few defects among them.

    Args:
        target: folder; made if it does not exist.
        seed: of all random choices.
        images_per_class: at least 4.

    Raises:
        UserError: too few images.
    """
    from pipeline.sample import fi  # noqa: PLC0415

    fi.make(target, seed=seed, images_per_class=images_per_class)
