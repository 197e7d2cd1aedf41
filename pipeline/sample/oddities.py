"""What else lies in B-T4SA: damaged pictures, missing halves, duplicates and strange texts.

Each oddity is a tweet of its own beside the usable ones, so that the number of usable tweets stays what was asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.sample import defects
from pipeline.sample.pictures import EMOTIONS, draw_jpeg, draw_picture
from pipeline.sample.tweets import handle, link, new_ids
from pipeline.sample.wording import authored

PLACEHOLDER_IDS = 9
# Real T4SA has twenty texts for each tweet with images; a fifth is enough to show it.
TEXTS_WITHOUT_IMAGE = 0.2
LONG_TEXT_CHARACTERS = 5_000


@dataclass(frozen=True)
class Post:
    """A tweet as the corpus holds it."""

    id: str  # 18 digits
    text: str | None  # as in the csv, undecodable bytes as surrogates; None where the csv has no row
    sentiment: int  # 0 negative, 1 neutral, 2 positive
    images: tuple[bytes, ...]  # content of <id>-1.jpg and so on


def odd_posts(usable: list[Post], seed: int) -> list[Post]:
    """The oddities that go with these usable posts, in a fixed order; ids do not collide with theirs."""
    rng = np.random.default_rng([seed, 11])
    # Each aside is used once: the same words under two ids would be one more duplicate.
    asides = iter([str(text) for text in rng.permutation(authored("tweets")["asides"])])
    bodies = _broken_images(asides, rng) + _odd_texts(rng) + _copies(usable, asides, rng) + _halves(usable, rng)
    taken = {post.id for post in usable}
    ids = [id_ for id_ in new_ids(rng, len(bodies) + len(taken)) if id_ not in taken]
    chosen = rng.choice(len(ids), len(bodies), replace=False)
    return [
        Post(ids[index], text, number % 3 if sentiment is None else sentiment, images)
        for number, (index, (text, sentiment, images)) in enumerate(zip(chosen, bodies, strict=True))
    ]


# Text, sentiment (None: any) and images of a post to be.
Body = tuple[str | None, int | None, tuple[bytes, ...]]


def _broken_images(asides: Iterator[str], rng: np.random.Generator) -> list[Body]:
    gone = defects.placeholder()
    contents = [
        defects.truncated(_picture(rng)),
        b"",
        defects.as_png(draw_picture("contentment", rng)),
        defects.as_png(draw_picture("disgust", rng)),
        defects.one_pixel(),
        defects.bomb(),
        b"<html><body>404 Not Found</body></html>\n",
        *[gone] * PLACEHOLDER_IDS,
        defects.without_end_mark(_picture(rng)),
        defects.heic(),
        defects.grey_of_a_scanner(draw_picture("sadness", rng)),
        defects.of_a_wide_gamut(draw_picture("amusement", rng)),
    ]
    return [(f"{next(asides)} {link(rng)}", None, (content,)) for content in contents]


def _odd_texts(rng: np.random.Generator) -> list[Body]:
    words = " ".join(_neutral(rng) for _ in range(200))
    texts = [
        "",
        "  \n ",
        link(rng),
        # One Latin-1 byte in a UTF-8 file.
        "Best caf\udce9 in town, we went there twice this week",
        words[: LONG_TEXT_CHARACTERS - 1] + ".",
        f'{handle(rng)} "It\'s not, and I quote, ""a small leak"", it is a lake" she said,\nand then she left',
        "NA",
        'Ranking of the day:\n1. tea\n2. rain, on a tin roof\n3. "no comment"',
        *authored("tweets")["spellings"],
    ]
    return [(text, None, (_picture(rng),)) for text in texts]


def _copies(usable: list[Post], asides: Iterator[str], rng: np.random.Generator) -> list[Body]:
    """Duplicates of usable posts: of the picture, of the text, of both."""
    a, b, c, d, e, f, g, h = (usable[i] for i in rng.permutation(len(usable))[:8])

    def retweet(post: Post) -> str:
        return f"RT {handle(rng)}: {post.text}"

    return [
        (next(asides), a.sentiment, (a.images[0],)),
        (next(asides), b.sentiment, (defects.resized(b.images[0]),)),
        (next(asides), c.sentiment, (defects.resized(c.images[0], 1, quality=40),)),
        (retweet(d), d.sentiment, (d.images[0],)),
        (retweet(e), e.sentiment, (defects.resized(e.images[0], 1.3),)),
        (retweet(f), f.sentiment, (_picture(rng),)),
        (retweet(f), f.sentiment, (_picture(rng),)),
        (g.text, g.sentiment, (_picture(rng),)),
        # The same picture twice in one tweet.
        (next(asides), h.sentiment, (h.images[0], h.images[0])),
    ]


def _halves(usable: list[Post], rng: np.random.Generator) -> list[Body]:
    count = max(2, round(TEXTS_WITHOUT_IMAGE * len(usable)))
    lonely_texts: list[Body] = [(_neutral(rng), None, ()) for _ in range(count)]
    return [*lonely_texts, (None, None, (draw_jpeg("awe", rng),)), (None, None, (draw_jpeg("fear", rng),))]


def _picture(rng: np.random.Generator) -> bytes:
    return draw_jpeg(str(rng.choice(EMOTIONS)), rng)


def _neutral(rng: np.random.Generator) -> str:
    """A neutral text with its slots filled."""
    words = authored("tweets")
    slots = {name: str(rng.choice(choices)) for name, choices in words["slots"].items()}
    filled = str(rng.choice([*words["neutral"], *words["news"]])).format_map(slots)
    return filled[0].upper() + filled[1:]
