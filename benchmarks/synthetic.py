"""Rows of B-T4SA's number and kind, made up: ids, texts, hashes and scores, and a project folder that holds them.

Texts are drawn from a vocabulary by Zipf's law; one in ten repeats another tweet (a retweet, a link more, a word
changed). Tweets have up to four pictures. Bits of the hashes are correlated, as those of photographs are; some pictures
are copies of others, up to 60 bits away, and a few are placeholders under many tweets. Pictures are
8 x 8 pixels of noise, recordings 100 samples. Everything follows from the seed.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from numpy.typing import NDArray
from PIL import Image

from models.teachers.teacher import TEACHER_FILE
from pipeline.engine import shards
from pipeline.frame import acquired, tables
from pipeline.frame.params import PARAMS_FILE
from pipeline.media import audio
from pipeline.tweets.duplicates import GROUPING_FILE, DuplicateParams, grouping_file

VOCABULARY = 60_000
ZIPF_EXPONENT = 1.05
REPEATED_TEXTS = 0.1
COPIED_PICTURES = 0.08
PLACEHOLDER_ROWS = 0.002
HASH_BITS = 256
HIDDEN_FACTORS = 24  # that hashes share: the distance of two pictures deviates by some 11 bits instead of 8
DIFFERENT_MEDIA = 512
SHARD_ROWS = 1000
CLASSES = ("anger", "disgust", "excitement", "sadness")


def rows(n: int, seed: int = 0) -> pa.Table:
    """`n` examined rows in the order of their ids: id, tweet_id, text, image_sha256, image_phash."""
    rng = np.random.default_rng(seed)
    pictures_per_tweet = rng.choice([1, 2, 3, 4], size=n, p=[0.82, 0.1, 0.05, 0.03])
    tweet_of = np.repeat(np.arange(n), pictures_per_tweet)[:n]
    index = np.arange(n) - np.searchsorted(tweet_of, tweet_of) + 1
    tweets = [f"{758_000_000_000_000_000 + 7_919 * number}" for number in range(int(tweet_of[-1]) + 1)]
    texts = np.array(list(_texts(len(tweets), rng)), dtype=object)
    hashes, picture_of = _pictures(n, rng)
    return pa.table(
        {
            "id": [f"{tweets[tweet]}-{place}" for tweet, place in zip(tweet_of, index, strict=True)],
            "tweet_id": [tweets[tweet] for tweet in tweet_of],
            "text": texts[tweet_of].tolist(),
            "image_sha256": [hashlib.sha256(f"{seed} {picture}".encode()).hexdigest() for picture in picture_of],
            "image_phash": [row.tobytes().hex() for row in hashes],
        }
    )


def _texts(n: int, rng: np.random.Generator) -> Iterator[str]:
    letters = np.array(list("etaoinshrdlcumwfgypbvk"))
    lengths = 2 + rng.poisson(3.2, VOCABULARY)
    words = np.array(["".join(rng.choice(letters, length)) for length in lengths])
    shares = 1 / np.arange(1, VOCABULARY + 1) ** ZIPF_EXPONENT
    sizes = np.clip(rng.normal(12, 4.5, n).round(), 2, 24).astype(int)
    drawn = rng.choice(VOCABULARY, size=int(sizes.sum()), p=shares / shares.sum())
    kind = rng.random(n)
    links = rng.integers(0, 36**8, n)
    texts: list[str] = []
    for number, chosen in enumerate(np.split(drawn, np.cumsum(sizes)[:-1])):
        link = f"https://t.co/{np.base_repr(links[number], 36).lower()}"
        if kind[number] >= REPEATED_TEXTS or not texts:
            text = " ".join(words[chosen])
            texts.append(f"{text} #{words[chosen[0]]}" if kind[number] > 0.7 else text)
        else:
            other = texts[int(rng.integers(len(texts)))]
            repeated = other.split()
            repeated[int(rng.integers(len(repeated)))] = str(words[chosen[0]])
            texts.append((f"RT @{words[chosen[0]]}: {other}", " ".join(repeated), f"{other} {link}")[links[number] % 3])
        yield f"{texts[-1]} {link}" if kind[number] > 0.4 else texts[-1]


def _pictures(n: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Hashes uint8 [n, 32] and the number of each row's picture, int64 [n]."""
    loadings = rng.normal(0, 0.22, (HIDDEN_FACTORS, HASH_BITS)).astype(np.float32)
    hashes = np.empty((n, HASH_BITS // 8), dtype=np.uint8)
    for block in np.array_split(np.arange(n), max(1, n // 20_000)):
        values = rng.standard_normal((len(block), HIDDEN_FACTORS), dtype=np.float32) @ loadings
        values += rng.standard_normal((len(block), HASH_BITS), dtype=np.float32)
        hashes[block] = np.packbits(values > 0, axis=1)
    picture_of = np.arange(n)
    for row in np.flatnonzero(rng.random(n) < COPIED_PICTURES)[1:].tolist():
        original = int(rng.integers(row))
        bits = np.zeros(HASH_BITS, dtype=bool)
        bits[rng.choice(HASH_BITS, size=int(rng.integers(0, 61)), replace=False)] = True
        hashes[row] = hashes[original] ^ np.packbits(bits)
        if not bits.any():
            picture_of[row] = picture_of[original]
    placeholders = np.flatnonzero(rng.random(n) < PLACEHOLDER_ROWS)
    same = placeholders[: max(1, len(placeholders) // 40)]
    for place, row in enumerate(placeholders.tolist()):
        hashes[row], picture_of[row] = hashes[same[place % len(same)]], picture_of[same[place % len(same)]]
    return hashes, picture_of


def make_project(root: Path, params: Path, examined: pa.Table, decisions: pa.Table, duplicates: DuplicateParams) -> int:
    """A project whose stages up to `score` are done, at `root`; returns the number of rows that clean kept."""
    values = yaml.safe_load(params.read_text(encoding="utf-8"))
    values["assemble"]["shard_rows"] = SHARD_ROWS
    root.mkdir(parents=True, exist_ok=True)
    (root / PARAMS_FILE).write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    for name in acquired.CORPORA:
        corpus = root / "data" / "corpora" / name
        corpus.mkdir(parents=True)
        (corpus / acquired.MANIFEST).write_text(json.dumps({"origin": acquired.LOCAL_COPY, "files": []}))
    for modality, folder in tables.CHECKPOINTS.items():
        (root / "data" / "checkpoints" / folder).mkdir(parents=True)
        card = {"classes": CLASSES, "normalise": "none", "digest": _digest(modality)}
        (root / "data" / "checkpoints" / folder / TEACHER_FILE).write_text(json.dumps(card))
    (root / "reports").mkdir()
    (root / "reports" / "score_speech.json").write_text(json.dumps({"features": "linguistic"}))
    rng = np.random.default_rng(1)
    markers: dict[str, list[shards.Marker]] = {}
    for index, start in enumerate(range(0, len(examined), SHARD_ROWS)):
        both = examined.slice(start, SHARD_ROWS)
        decided = decisions.slice(start, SHARD_ROWS)
        stays = pc.equal(decided["status"], "")
        rejects = decided.filter(pc.invert(stays)).select(["id", "status", "reason"]).to_pylist()
        kept = both.append_column("group_id", decided["group_id"]).filter(stays)
        made = {"clean": _clean(kept, rng), "speech": _speech(kept, rng)}
        made |= {f"scores/{modality}": _scores(kept, modality, rng) for modality in tables.MODALITIES}
        for name, table in made.items():
            lost = [tuple(reject.values()) for reject in rejects] if name == "clean" else []
            task = shards.Task(index, len(table) + len(lost), None)
            marker = shards.commit(root / "made" / name, task, shards.Output(table, lost), "synthetic")
            markers.setdefault(name, []).append(marker)
    for name, listed in markers.items():
        extra = {GROUPING_FILE: grouping_file(duplicates)} if name == "clean" else {}
        shards.publish(root / "made" / name, listed, root / "data" / name, extra)
    shutil.rmtree(root / "made")
    return sum(marker.part.rows for marker in markers["clean"])


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _drawn(made: list[bytes], n: int, rng: np.random.Generator) -> pa.Array:
    return pa.array([made[number] for number in rng.integers(0, len(made), n)], pa.binary())


@functools.cache
def _pictures_of_noise() -> list[bytes]:
    made = []
    for pixels in np.random.default_rng(2).integers(0, 256, (DIFFERENT_MEDIA, 8, 8, 3), dtype=np.uint8):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG")
        made.append(buffer.getvalue())
    return made


@functools.cache
def _recordings_of_noise() -> list[bytes]:
    made = np.random.default_rng(3).uniform(-0.5, 0.5, (DIFFERENT_MEDIA, 100)).astype(np.float32)
    return [audio.encode_flac(waveform, audio.SAMPLING_RATE_HZ) for waveform in made]


def _clean(kept: pa.Table, rng: np.random.Generator) -> pa.Table:
    n = len(kept)
    columns = {name: kept[name] for name in kept.column_names} | {
        "image_index": pa.array([int(identity.rpartition("-")[2]) for identity in kept["id"].to_pylist()], pa.int32()),
        "spoken_text": pc.utf8_trim(pc.replace_substring_regex(kept["text"], r"https?:\S+", ""), " "),
        "text_rules": pa.array([""] * n),
        "image": _drawn(_pictures_of_noise(), n, rng),
        "width_px": pa.array(np.full(n, 512, np.int32)),
        "height_px": pa.array(np.full(n, 384, np.int32)),
        "sentiment": pa.array(rng.choice(tables.SENTIMENTS, n)),
        "source_split": pa.array(rng.choice(["train", "val", "test"], n, p=[0.8, 0.1, 0.1])),
    }
    return pa.table([columns[name] for name in tables.CLEAN.names], schema=tables.CLEAN)


def _speech(kept: pa.Table, rng: np.random.Generator) -> pa.Table:
    n = len(kept)
    rate = np.where(rng.random(n) < 0.02, rng.random(n) * 0.5, np.nan).astype(np.float32)
    return pa.table(
        {
            "id": kept["id"],
            "audio": _drawn(_recordings_of_noise(), n, rng),
            "sampling_rate_hz": np.full(n, 16_000, np.int32),
            "duration_seconds": rng.uniform(1, 8, n).astype(np.float32),
            "word_error_rate": pa.array(rate, from_pandas=True),
            "voice": ["en_US-joe-medium"] * n,
            "voice_digest": [_digest("voice")] * n,
            "rate": np.ones(n, np.float32),
            "energy_db": np.zeros(n, np.float32),
            "pitch": np.ones(n, np.float32),
            "pitch_range": np.ones(n, np.float32),
            "heard": pa.array([None] * n, pa.string()),
        },
        schema=tables.SPEECH,
    )


def _scores(kept: pa.Table, modality: str, rng: np.random.Generator) -> pa.Table:
    n = len(kept)
    logits = rng.normal(0, 1.1, (n, len(CLASSES)))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    columns = {
        f"{tables.PROBABILITY_PREFIX}{name}": p[:, place].astype(np.float32) for place, name in enumerate(CLASSES)
    }
    digest = [_digest(modality)] * n
    return pa.table({"id": kept["id"], **columns, "teacher_digest": digest}, schema=tables.scores(CLASSES))
