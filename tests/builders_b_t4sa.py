"""Builder of tiny B-T4SA corpora with every known defect; see `tests.builders`."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.builders_pictures import jpeg, near_duplicate, one_pixel, placeholder, png, truncated_jpeg

SENTIMENTS = ("negative", "neutral", "positive")
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Tweet:
    """One tweet. Its pictures are numbered from 1.

    Attributes:
        text: what raw_tweets_text.csv says; bytes go in as they are; None leaves the tweet out there.
        images: file contents; None lists the picture in the split file without putting it into the tar.
        digit: what the split file says; by default the digit of `sentiment`.
        tsv_sentiment: what the tsv says; by default `sentiment`; "" leaves the tweet out there.
    """

    id: str
    text: str | bytes | None
    images: Sequence[bytes | None]
    sentiment: str = "neutral"
    split: str = "train"
    digit: str | None = None
    tsv_sentiment: str | None = None

    def member(self, number: int) -> str:
        return f"data/{self.id[:5]}/{self.id}-{number}.jpg"

    def lines(self) -> list[str]:
        digit = str(SENTIMENTS.index(self.sentiment)) if self.digit is None else self.digit
        return [f"{self.member(number)} {digit}" for number in range(1, len(self.images) + 1)]


_WORDS = (
    "the train is late again and everyone is angry",
    "what a wonderful morning by the sea",
    "I miss her so much, the house is empty",
    "disgusting food in this place, never again",
    "new phone arrived today",
    "we won the final, unbelievable!",
    "council meeting moved to thursday",
    "my old dog died last night",
)


def plain_tweets(count: int = 20, first_seed: int = 100) -> list[Tweet]:
    """Tweets without a defect: distinct texts and pictures; every fifth tweet has two pictures."""
    tweets = []
    for number in range(count):
        seeds = [first_seed + 2 * number, first_seed + 2 * number + 1][: 2 if number % 5 == 4 else 1]
        tweets.append(
            Tweet(
                id=str(784760943188189184 + 7 * number),
                text=f"{_WORDS[number % len(_WORDS)]} {_WORDS[(3 * number + 1) % len(_WORDS)]} no {number}",
                images=[jpeg(seed) for seed in seeds],
                sentiment=SENTIMENTS[number % 3],
                split=("train", "train", "train", "val", "test")[number % 5],
            )
        )
    return tweets


def defect_tweets() -> dict[str, Tweet]:
    """One tweet per known defect, by its name."""
    texts: dict[str, str | bytes | None] = {
        "retweet": "RT @someone: this is so sad",
        "link": "Standing at the gate and nobody is there to let us\u2026 https://t.co/AbC123xyz0",
        "entities": "fish &amp; chips &lt;3 #BestDayEver @friend",
        "emoji": "so happy \U0001f602\U0001f602 \u2764\ufe0f",
        "multi_line": "first line\nsecond, with a comma\r\nthird",
        "quoted": 'he said "never, ever" and left',
        "word_na": "NA",
        "word_null": "null",
        "empty_text": "",
        "only_link": "https://t.co/AbC123xyz1",
        "long_text": "really " * 714 + "long",
        "not_utf8": b"caf\xe9 by the river",
        "text_missing": None,
    }
    files: dict[str, bytes | None] = {
        "image_missing": None,
        "image_empty": b"",
        "image_truncated": truncated_jpeg(901),
        "image_is_png": png(902),
        "image_one_pixel": one_pixel(),
        "image_not_an_image": b"<html>404</html>",
        "image_first": jpeg(903),
        "image_exact_duplicate": jpeg(903),
        "image_near_duplicate": near_duplicate(903),
        **{f"placeholder_{number}": placeholder() for number in range(1, 6)},
    }
    tweets: dict[str, Tweet] = {}
    for number, (name, text) in enumerate(texts.items()):
        tweets[name] = Tweet(str(790000000000000001 + number), text, [jpeg(800 + number)])
    for number, (name, data) in enumerate(files.items()):
        tweets[name] = Tweet(str(791000000000000001 + number), f"a tweet about {name.replace('_', ' ')}", [data])
    tweets["leading_zero"] = Tweet("00791000000000000099", "an id with leading zeros", [jpeg(850)])
    tweets["bad_sentiment"] = Tweet("792000000000000001", "an unknown digit", [jpeg(851)], digit="7")
    tweets["no_tsv_row"] = Tweet("792000000000000002", "not in the tsv", [jpeg(852)], tsv_sentiment="")
    tweets["tsv_disagrees"] = Tweet("792000000000000003", "labels differ", [jpeg(853)], tsv_sentiment="positive")
    return tweets


def build_b_t4sa(
    root: Path,
    tweets: Sequence[Tweet] | None = None,
    *,
    splits_in: str = "tar",
    newline: str = "\n",
    bom: bool = False,
    tar_prefix: str = "b-t4sa_imgs/",
    hostile_members: bool = False,
    apple_double: bool = False,
    extra_images: Mapping[str, bytes] | None = None,
    extra_split_lines: Mapping[str, Sequence[str]] | None = None,
    extra_texts: Sequence[tuple[str, str]] = (),
    extra_csv_lines: Sequence[bytes] = (),
    extra_tsv_lines: Sequence[str] = (),
    cut_tar_at: int | None = None,
) -> Path:
    """Write the corpus below `root`.

    Args:
        root: new or empty folder.
        tweets: `plain_tweets()` unless given.
        splits_in: `tar` (as published), `folder` or `both`: where the split files lie.
        newline: line end of all text files, also of the csv's rows.
        bom: put a byte order mark before all text files.
        tar_prefix: top folder inside the tar.
        hostile_members: absolute and climbing names, links, a device and a fifo beside the pictures.
        apple_double: `._*` files in the tar and in the folder.
        extra_images: further members by name (below the prefix), after the pictures: no row lists them.
        extra_split_lines: further lines by split, after the tweets' own.
        extra_texts: further (id, text) rows of the csv: texts without an image.
        extra_csv_lines: raw lines in the middle of the csv, such as broken ones.
        extra_tsv_lines: raw lines at the end of the tsv.
        cut_tar_at: keep that many bytes of the tar.
    """
    tweets = plain_tweets() if tweets is None else tweets
    root.mkdir(parents=True, exist_ok=True)
    start = BOM if bom else b""
    splits = {}
    for split in ("train", "val", "test"):
        lines = [line for tweet in tweets if tweet.split == split for line in tweet.lines()]
        lines += list((extra_split_lines or {}).get(split, ()))
        splits[f"b-t4sa_{split}.txt"] = start + "".join(line + newline for line in lines).encode()
    members = dict(splits) if splits_in in {"tar", "both"} else {}
    for tweet in tweets:
        members.update({tweet.member(n): data for n, data in enumerate(tweet.images, 1) if data is not None})
    if apple_double:
        members["._b-t4sa_train.txt"] = members["data/._12345-1.jpg"] = b"\0\5\x16\7"
        (root / "._raw_tweets_text.csv").write_bytes(b"\0\5\x16\7")
    members.update(extra_images or {})
    _write_tar(root / "b-t4sa_imgs.tar", tar_prefix, members, hostile=hostile_members)
    if cut_tar_at is not None:
        whole = (root / "b-t4sa_imgs.tar").read_bytes()
        (root / "b-t4sa_imgs.tar").write_bytes(whole[:cut_tar_at])
    if splits_in in {"folder", "both"}:
        for name, data in splits.items():
            (root / name).write_bytes(data)

    rows = [(tweet.id, tweet.text) for tweet in tweets if tweet.text is not None] + list(extra_texts)
    written = [_csv_row(row, newline) for row in rows]
    middle = len(written) // 2
    body = [*written[:middle], *(line + newline.encode() for line in extra_csv_lines), *written[middle:]]
    (root / "raw_tweets_text.csv").write_bytes(start + _csv_row(("id", "text"), newline) + b"".join(body))
    tsv = ["TWID\tNEG\tNEU\tPOS", *(_tsv_row(tweet) for tweet in sorted(tweets, key=lambda tweet: tweet.id))]
    lines = [line for line in [*tsv, *extra_tsv_lines] if line]
    (root / "t4sa_text_sentiment.tsv").write_bytes(start + "".join(line + newline for line in lines).encode())
    return root


def _csv_row(row: tuple[str, str | bytes | None], newline: str) -> bytes:
    row_id, text = row
    if isinstance(text, bytes):
        return row_id.encode() + b',"' + text.replace(b'"', b'""') + b'"' + newline.encode()
    buffer = io.StringIO()
    # Python's writer leaves a lone carriage return bare when rows end in \n.
    bare = "\r" in (text or "")
    writer = csv.writer(buffer, lineterminator=newline, quoting=csv.QUOTE_ALL if bare else csv.QUOTE_MINIMAL)
    writer.writerow([row_id, text])
    return buffer.getvalue().encode()


def _tsv_row(tweet: Tweet) -> str:
    best = tweet.sentiment if tweet.tsv_sentiment is None else tweet.tsv_sentiment
    if not best:
        return ""
    return "\t".join([tweet.id, *("0.9" if name == best else "0.05" for name in SENTIMENTS)])


def _write_tar(path: Path, prefix: str, members: Mapping[str, bytes], *, hostile: bool) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        folder = tarfile.TarInfo(f"{prefix}data")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        if hostile:
            victim = f"{prefix}data/66666/666660000000000001"
            for name in ("/etc/passwd", f"{prefix}data/../../escape-1.jpg", "../escape-1.jpg"):
                _add(tar, name, b"hostile")
            for number, kind in enumerate(
                (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE), 1
            ):
                info = tarfile.TarInfo(f"{victim}-{number}.jpg")
                info.type = kind
                info.linkname = "/etc/passwd" if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else ""
                tar.addfile(info)
        for name, data in members.items():
            _add(tar, prefix + name, data)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mtime = 1_500_000_000
    tar.addfile(info, io.BytesIO(data))
