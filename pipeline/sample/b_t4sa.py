"""Write the sample's B-T4SA: the tar of images, the split files, the texts and their sentiments.

One split line per image; ids are strings of 18 digits; see `oddities` for what is wrong with some rows.
"""

import csv
import io
import tarfile
from pathlib import Path

import numpy as np

from pipeline.engine.progress import Progress
from pipeline.errors import UserError
from pipeline.sample.defects import APPLE_DOUBLE
from pipeline.sample.oddities import Post, odd_posts
from pipeline.sample.pictures import draw_collage
from pipeline.sample.tweets import Tweet, write_tweets

MINIMUM_TWEETS = 12
SPLITS = {"train": 0.8, "val": 0.1, "test": 0.1}
ROOT = "b-t4sa_imgs"
TIME = 1_491_000_000  # spring 2017; a fixed time for all members


def make(target: Path, seed: int, tweets: int) -> None:
    """Write the corpus into `target`; raises UserError if `tweets` are too few."""
    if tweets < MINIMUM_TWEETS:
        raise UserError(f"sample of B-T4SA: tweets = {tweets}: expected at least {MINIMUM_TWEETS}")
    written = write_tweets(seed, tweets)
    usable = [_illustrate(tweet, seed) for tweet in Progress(written, desc="drawing tweets", unit="tweet")]
    posts = usable + odd_posts(usable, seed)
    rng = np.random.default_rng([seed, 12])
    posts = [posts[i] for i in rng.permutation(len(posts))]
    target.mkdir(parents=True, exist_ok=True)
    splits = _split_files(posts)
    for name, content in splits.items():
        (target / name).write_bytes(content)
    _write_texts(target / "raw_tweets_text.csv", posts)
    _write_sentiments(target / "t4sa_text_sentiment.tsv", posts, rng)
    _write_tar(target / f"{ROOT}.tar", splits, posts)
    (target / "._raw_tweets_text.csv").write_bytes(APPLE_DOUBLE)


def _illustrate(tweet: Tweet, seed: int) -> Post:
    images = tuple(
        draw_collage(subject, np.random.default_rng([seed, 13, int(tweet.id), number]))
        for number, subject in enumerate(tweet.subjects)
    )
    return Post(tweet.id, tweet.text, tweet.sentiment, images)


def _member(post: Post, number: int) -> str:
    return f"data/{post.id[:5]}/{post.id}-{number}.jpg"


def _split_files(posts: list[Post]) -> dict[str, bytes]:
    """All pictures of a tweet are in the same split."""
    pictured = [post for post in posts if post.images]
    bounds = np.round(np.cumsum([0.0, *SPLITS.values()]) * len(pictured)).astype(int)
    files = {}
    for name, start, stop in zip(SPLITS, bounds[:-1], bounds[1:], strict=True):
        lines = [
            f"{_member(post, number)} {post.sentiment}\n"
            for post in pictured[start:stop]
            for number in range(1, len(post.images) + 1)
        ]
        files[f"b-t4sa_{name}.txt"] = "".join(lines).encode()
    return files


def _write_texts(path: Path, posts: list[Post]) -> None:
    # Surrogates stand for bytes that are not UTF-8; they become those bytes again.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "text"])
        writer.writerows([post.id, post.text] for post in posts if post.text is not None)


def _write_sentiments(path: Path, posts: list[Post], rng: np.random.Generator) -> None:
    """Probabilities as of a classifier: sure where there are pictures (B-T4SA was chosen so), less so elsewhere."""
    rows = []
    for post in sorted(posts, key=lambda post: int(post.id)):
        best = rng.uniform(0.85, 0.999) if post.images else rng.uniform(0.4, 0.85)
        other = (1 - best) * rng.uniform(0.1, 0.9)
        values = [other, 1 - best - other]
        values.insert(post.sentiment, best)
        rows.append([post.id, *(f"{value:.10f}" for value in values)])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["TWID", "NEG", "NEU", "POS"])
        writer.writerows(rows)


def _write_tar(path: Path, splits: dict[str, bytes], posts: list[Post]) -> None:
    images = {_member(post, number): image for post in posts for number, image in enumerate(post.images, start=1)}
    folders = sorted({member.rsplit("/", 1)[0] for member in images})
    shadowed = next(iter(images))
    shadow = shadowed.replace(shadowed.rsplit("/", 1)[1], "._" + shadowed.rsplit("/", 1)[1])
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for folder in ("", "/data", *(f"/{name}" for name in folders)):
            tar.addfile(_info(ROOT + folder, tarfile.DIRTYPE, 0o755))
        content = {**splits, "._b-t4sa_train.txt": APPLE_DOUBLE, shadow: APPLE_DOUBLE, **images}
        for name, data in content.items():
            info = _info(f"{ROOT}/{name}", tarfile.REGTYPE, 0o644)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def _info(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, TIME
    return info
