"""The sample maker: small corpora in the exact on-disk formats of B-T4SA, IEMOCAP, FI and three of emotion texts,
with their real defects.

The same arguments give the same bytes, in any folder, time zone and number of workers, without network. Texts are
authored here, pictures are drawn, and utterances are acted by the voice hibari. How hard the sample is to learn is set
by constants in `wording`, `dialogues`, `speakers`, `tweets`, `pictures` and `emotion_texts`.
"""

from pathlib import Path

# Imports inside: this package is to stay light to import.


def make_b_t4sa(target: Path, *, seed: int, tweets: int) -> None:
    """B-T4SA's four kinds of file: at least 12 usable tweets, and on top of them the defects of the real corpus."""
    from pipeline.sample import b_t4sa  # noqa: PLC0415

    b_t4sa.make(target, seed, tweets)


def make_iemocap(target: Path, *, seed: int, utterances: int, workers: int) -> None:
    """`IEMOCAP_full_release`: five sessions of two speakers, acted by the voice hibari; at least 20 utterances in all.

    The result does not depend on `workers`, the processes that speak.
    """
    from pipeline.sample import iemocap  # noqa: PLC0415

    iemocap.make(target, seed, utterances, workers)


def make_fi(target: Path, *, seed: int, images_per_class: int) -> None:
    """A folder per emotion, each with at least 4 JPEGs, and a few defects among them."""
    from pipeline.sample import fi  # noqa: PLC0415

    fi.make(target, seed, images_per_class)


def make_emotion_texts(target: Path, *, seed: int, texts: int) -> None:
    """GoEmotions, ISEAR and MELD in folders: `texts` usable sentences in all, at least 40, and a few odd lines."""
    from pipeline.sample import emotion_texts  # noqa: PLC0415

    emotion_texts.make(target, seed, texts)
