"""The check for leaks, and the numbers of the dataset's card."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from tests.recompute.built import EXACT, Built, Figure, cramers_v


def leaks(built: Built) -> Iterator[Figure]:
    """Every pair of a training and a test row, one by one: tweets, hashes of pictures, words."""
    told = built.report("assemble")["leaks"]
    rows = built.sier[["id", "split"]].merge(built.clean, on="id")
    train, test = (rows[rows["split"] == split] for split in ("train", "test"))
    compared = told["compared"]
    bits = {
        split: np.unpackbits(
            np.array([list(bytes.fromhex(one)) for one in side["image_phash"]], dtype=np.uint8), axis=1
        )
        for split, side in (("train", train), ("test", test))
    }
    words = {split: [set(re.findall(r"\w+", text.lower())) for text in side["text"]]
             for split, side in (("train", train), ("test", test))}  # fmt: skip
    nearest, found = 256, 0
    for place, hashed in enumerate(bits["test"]):
        distances = (bits["train"] != hashed).sum(axis=1)
        nearest = min(nearest, int(distances.min()))
        mine = words["test"][place]
        alike = np.array([len(mine & other) / max(1, len(mine | other)) for other in words["train"]])
        same = (train["tweet_id"] == test["tweet_id"].iloc[place]).to_numpy()
        found += int(((distances <= compared["images"]["at_most_bits"]) | same).sum())
        found += int((alike >= compared["texts"]["at_least_jaccard"]).sum())
    yield Figure("leaks: found", told["found"], found)
    yield Figure("leaks: pairs of pictures", compared["images"]["pairs"], len(train) * len(test))
    yield Figure("leaks: nearest pictures", compared["images"]["nearest_bits"], nearest)
    yield Figure("leaks: rows of train", compared["rows"]["train"], len(train))
    yield Figure("leaks: rows of test", compared["rows"]["test"], len(test))


def card(built: Built) -> Iterator[Figure]:
    """Every number that the dataset's card tells of its rows."""
    text = (built.root / "data" / "sier" / "README.md").read_text(encoding="utf-8")
    rows, kept = built.sier, built.table("labels").query("kept")

    def told(pattern: str) -> float:
        found = re.search(pattern, text)
        return float(found[1]) if found else math.nan

    yield Figure("card: pairs", told(r"(\d+) pairs of a synthetic utterance"), len(rows))
    for split in ("train", "test"):
        of_header = told(rf"- name: {split}\n\s+num_bytes: \d+\n\s+num_examples: (\d+)")
        yield Figure(f"card: header, {split}", of_header, int((rows["split"] == split).sum()))
    for label in built.labels:
        line = re.search(rf"^\| {label} \| (.*) \|$", text, re.MULTILINE)
        cells = [int(cell) for cell in line[1].split(" | ")] if line else [-1] * 5
        mine = rows[rows["label"] == label]
        counts = [len(mine), *((mine["decided_by"] == modality).sum() for modality in ("speech", "image")),
                  *((mine["split"] == split).sum() for split in ("train", "test"))]  # fmt: skip
        for place, (cell, count) in enumerate(zip(cells, counts, strict=True)):
            yield Figure(f"card: {label}, column {place}", cell, int(count))
    agree = kept["speech_label"] == kept["image_label"]
    table = pd.crosstab(kept["speech_label"], kept["image_label"], normalize=True)
    names = table.index.intersection(table.columns)
    chance = float((table.sum(axis=1)[names] * table.sum(axis=0)[names]).sum())
    percent, hundredth = 0.5 + EXACT, 0.005 + EXACT  # as the card rounds
    yield Figure("card: agreement", told(r"agree on (\d+) % of the rows"), 100 * agree.mean(), percent)
    yield Figure("card: agreement by chance", told(r"rows, by chance (\d+) %"), 100 * chance, percent)
    kappa = (agree.mean() - chance) / (1 - chance)
    yield Figure("card: kappa", told(r"Cohen's kappa (-?[\d.]+)\)"), kappa, hundredth)
    confidence = float(rows["confidence"].median())
    yield Figure("card: confidence", told(r"median confidence is ([\d.]+\d)"), confidence, hundredth)
    heard = rows["word_error_rate"].dropna()
    if len(heard):
        yield Figure("card: transcribed", told(r"speech of (\d+) rows was transcribed"), len(heard))
        yield Figure("card: word errors", told(r"additional\s+words, ([\d.]+\d) on average"), heard.mean(), hundredth)
    both = kept[["id", "label"]].merge(built.clean, on="id")
    with_sentiment = both[both["sentiment"].notna()]
    of_all = cramers_v(with_sentiment["label"], with_sentiment["sentiment"])
    yield Figure("card: V of the labels", told(r"sentiment: V (-?[\d.]+\d),"), of_all, hundredth)
    yield Figure(
        "card: leaks", told(r"of train and found (\d+) torn pairs"), built.report("assemble")["leaks"]["found"]
    )
