"""What stage `label` reads, made small: texts, recordings, and what two teachers say of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.engine import shards
from pipeline.engine.local import LocalEngine
from pipeline.frame.stage import BaseParams, Context, Paths
from pipeline.media.audio import encode_flac

LABELS = ("anger", "happy", "hate", "sad")
REMAP = {"anger": "anger", "excitement": "happy", "disgust": "hate", "sadness": "sad"}
CLASSES = tuple(REMAP)
TEXTS = {
    "negative": "I hate this, it is horrible and sad.", "neutral": "A bus stands at the corner.",
    "positive": "I love it, what a great and happy day!",
}  # fmt: skip
BY_SENTIMENT = {"negative": "sadness", "neutral": "anger", "positive": "excitement"}


@dataclass(frozen=True)
class Scene:
    """Rows and what is known of them; pictures of a tweet stand together and share all but `image`."""

    sentiments: Sequence[str | None]  # of each row
    speech: Sequence[Sequence[float]]  # probabilities of `speech_classes`
    image: Sequence[Sequence[float]]
    per_tweet: int = 1
    durations: Sequence[float] = ()
    heard: bool = True
    speech_classes: Sequence[str] = CLASSES
    image_classes: Sequence[str] = CLASSES
    origin: str = "local copy"
    voices: Sequence[str] = field(default=("a_voice",))  # by turns

    @property
    def ids(self) -> list[str]:
        """`<tweet>-<n>`."""
        return [f"{row // self.per_tweet}-{row % self.per_tweet}" for row in range(len(self.sentiments))]


def say(name: str, sure: float = 0.7, classes: Sequence[str] = CLASSES) -> list[float]:
    """Probabilities of a teacher that says `name`."""
    return [sure if one == name else (1 - sure) / (len(classes) - 1) for one in classes]


def scene(rows: int = 120, per_tweet: int = 3, seed: int = 1, **changes: Any) -> Scene:
    """Speech says what the sentiment suggests, pictures anything, each decides some rows."""
    rng = np.random.default_rng(seed)
    sentiments = np.repeat(rng.choice(list(TEXTS), rows // per_tweet), per_tweet).tolist()
    sure = rng.uniform(0.4, 0.9, (2, rows))
    speech = [say(BY_SENTIMENT[name], one) for name, one in zip(sentiments, sure[0], strict=True)]
    image = [say(name, one) for name, one in zip(rng.choice(CLASSES, rows), sure[1], strict=True)]
    durations = np.repeat(rng.uniform(1, 9, rows // per_tweet), per_tweet).tolist()
    return replace(Scene(sentiments, speech, image, per_tweet, durations), **changes)


def write(root: Path, made: Scene) -> Context:
    """The folders below `root`, and the context of a stage there."""
    (root / "reports").mkdir(exist_ok=True)
    (root / "reports" / "score_speech.json").write_text('{"features": "linguistic"}', encoding="utf-8")
    rows = range(len(made.sentiments))
    texts = [TEXTS[name] if name else "Words." for name in made.sentiments]
    flac = [encode_flac(np.full(1600, 0.5 / 2 ** (row % 4), np.float32), 16_000) for row in rows]
    durations = list(made.durations) or [1.0] * len(rows)
    sentiments = pa.array(made.sentiments, pa.string())
    groups = [identity.split("-")[0] for identity in made.ids]
    tables = {
        "clean": {"sentiment": sentiments, "group_id": groups, "text": texts, "spoken_text": texts},
        "speech": {
            "voice": [made.voices[row % len(made.voices)] for row in rows], "duration_seconds": durations,
            "heard": pa.array(texts if made.heard else [None] * len(texts), pa.string()), "audio": flac,
        },
        "scores/speech": _scores(made.speech_classes, made.speech),
        "scores/image": _scores(made.image_classes, made.image),
    }  # fmt: skip
    for name, columns in tables.items():
        work = root / "made" / name
        table = pa.table({"id": made.ids, **columns})
        marker = shards.commit(work, shards.Task(0, table.num_rows, None), shards.Output(table), "f")
        shards.publish(work, [marker], root / "data" / name)
    corpus = root / "data" / "corpora" / "b_t4sa"
    corpus.mkdir(parents=True)
    (corpus / "manifest.json").write_text(json.dumps({"corpus": "b_t4sa", "origin": made.origin, "files": []}))
    return Context(BaseParams(seed=7, labels=LABELS), Paths(root), LocalEngine(workers=1))


def _scores(classes: Sequence[str], said: Sequence[Sequence[float]]) -> dict[str, Any]:
    values = np.array(said, dtype=np.float32)
    return {
        **{f"p_{name}": values[:, place] for place, name in enumerate(classes)},
        "teacher_digest": ["d"] * len(said),
    }
