"""How alike texts are by the trigrams of their letters, and pictures by where their colours lie.

In   texts; pictures as JPEG bytes
Out  vectors whose product is a cosine, and to each vector of one side the nearest of the other

Groups and leakage check know words as wholes and pictures by a hash of their brightness, so both are blind to words of
which letters are changed and to pictures that were cut anew. These measures err in other ways: they take pictures of
few colours, such as two sunsets, for the same.
"""

import io
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import csr_array

THUMBNAIL_SIDE = 8  # pixels
# A trigram that is in more texts than either says little, and such trigrams would take nearly all of the time.
FREQUENT_SHARE, FREQUENT_TEXTS = 0.05, 100
_TRIGRAM_COLUMNS = 2**20  # of hashes; English has some 50,000 different trigrams
_DRAFT_SIDE = 32  # JPEG is decoded to not much more than this: a scale of an eighth saves time
_COSINES_AT_A_TIME = 4_000_000  # bounds the memory: 16 MB

Floats = npt.NDArray[np.float32]
Vectors: TypeAlias = csr_array | Floats


def text_vectors(train: Sequence[str], test: Sequence[str]) -> tuple[csr_array, csr_array]:
    """A row for each text: its trigrams within words, weighed by TF-IDF over both sides, of length 1.

    A text without any trigram that is rare enough has a row of zeros.
    """
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer  # noqa: PLC0415 - takes a second

    counter = HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 3), n_features=_TRIGRAM_COLUMNS, alternate_sign=False, norm=None,
        dtype=np.float32,
    )  # fmt: skip
    counts = csr_array(counter.transform([*train, *test]))
    texts_with = np.bincount(counts.indices, minlength=_TRIGRAM_COLUMNS)
    most = max(FREQUENT_SHARE * counts.shape[0], FREQUENT_TEXTS)
    rare = counts[:, np.flatnonzero((texts_with > 0) & (texts_with <= most))]
    weighed = csr_array(TfidfTransformer(sublinear_tf=True).fit_transform(rare) if rare.nnz else rare)
    return weighed[: len(train)], weighed[len(train) :]


def thumbnail(jpeg: bytes) -> npt.NDArray[np.uint8]:
    """A picture as `THUMBNAIL_SIDE` x `THUMBNAIL_SIDE` RGB pixels, flat. Raises OSError: it cannot be decoded."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        picture.draft("RGB", (_DRAFT_SIDE, _DRAFT_SIDE))
        small = picture.convert("RGB").resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return np.asarray(small).reshape(-1)


def picture_vectors(thumbnails: npt.NDArray[np.uint8]) -> Floats:
    """A row of length 1 for each thumbnail [n, pixels x 3], without the mean of each colour channel.

    So a filter over the whole picture changes little. A picture of one colour has a row of zeros.
    """
    pixels = thumbnails.reshape(len(thumbnails), THUMBNAIL_SIDE**2, 3).astype(np.float32)
    pixels -= pixels.mean(axis=1, keepdims=True)
    vectors = pixels.reshape(len(thumbnails), THUMBNAIL_SIDE**2 * 3)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return vectors


def nearest(train: Vectors, test: Vectors) -> tuple[npt.NDArray[np.int64], Floats]:
    """To each row of `test` the place of the nearest row of `train`, the first of equals, and their cosine, [tests].

    Every pair is compared. Raises ValueError: no training row.
    """
    if not train.shape[0]:
        raise ValueError("nothing to be near to: no training row")
    columns = train.T.tocsr() if isinstance(train, csr_array) else np.ascontiguousarray(train.T)
    places, cosines = np.zeros(test.shape[0], dtype=np.int64), np.zeros(test.shape[0], dtype=np.float32)
    step = max(1, _COSINES_AT_A_TIME // train.shape[0])
    for start in range(0, test.shape[0], step):
        product = test[start : start + step] @ columns
        block = product.toarray() if isinstance(product, csr_array) else product
        best = block.argmax(axis=1)
        places[start : start + step] = best
        cosines[start : start + step] = block[np.arange(len(block)), best]
    return places, cosines
