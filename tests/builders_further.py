"""Tiny copies of further corpora, in their published formats, and tables of one's own."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.builders_pictures import jpeg

RAVDESS = {"03-01-05-01-01-01-01": "angry", "03-01-03-02-02-01-02": "happy", "03-01-02-01-01-02-24": "calm"}
CREMA_D = {"1001_DFA_ANG_XX": "ANG", "1002_IEO_SAD_HI": "SAD", "1040_ITH_SAD_X": "SAD", "1091_WSI_NEU_XX": "NEU"}
EMODB = {"03a01Fa": "happiness", "08a01Wc": "anger", "16b10Td": "sadness", "10a05Nb": "neutral"}
FOLDERS = {"ravdess": "Actor_{speaker}", "crema_d": "AudioWAV", "emodb": "wav"}
SPEAKERS = {"ravdess": slice(-2, None), "crema_d": slice(0, 4), "emodb": slice(0, 2)}
ACTED: Mapping[str, Mapping[str, str]] = {"ravdess": RAVDESS, "crema_d": CREMA_D, "emodb": EMODB}


def write_sound(path: Path, seconds: float = 0.4, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 0.1, int(16_000 * seconds))
    soundfile.write(path, noise.astype(np.float32), 16_000, subtype="PCM_16")
    return path


def build_acted(root: Path, name: str) -> Path:
    for seed, stem in enumerate(ACTED[name]):
        folder = FOLDERS[name].format(speaker=stem[SPEAKERS[name]])
        write_sound(root / folder / f"{stem}.wav", seed=seed)
    return root


def write_csv(path: Path, rows: Iterable[Sequence[object]], delimiter: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def write_jsonl(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


MELD_HEADER = ("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season",
               "Episode", "StartTime", "EndTime")  # fmt: skip
MELD_FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}


def build_meld(root: Path, suffix: str = ".wav") -> Path:
    """Two utterances in each split; dialogues are numbered anew in each."""
    for split, folder in MELD_FOLDERS.items():
        rows = [
            (1, "also I was the point person", "Chandler", "neutral", "neutral", 0, 0, 8, 21, "0:00", "0:01"),
            (2, "You must\u2019ve had your hands full", "The Interviewer", "joy", "positive", 0, 1, 8, 21,
             "0:01", "0:02"),
        ]  # fmt: skip
        write_csv(root / f"{split}_sent_emo.csv", [MELD_HEADER, *rows])
        for number in range(2):
            write_sound(root / folder / f"dia0_utt{number}{suffix}", seed=number)
    return root


def write_pictures(root: Path, names: Iterable[str]) -> list[str]:
    names = list(names)
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(500 + seed))
    return names
