"""Write the sample's emotion texts: GoEmotions, ISEAR and MELD as published, of sentences that are put together here.

A text is an event and a feeling, or one of them; slots are filled as those of the tweets, and some feelings are the
phrases that tweets share, so what a teacher learns here says something of tweets. A few lines are odd (`_odd_lines`).
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.corpora._text_files import ISEAR_LABELS
from pipeline.errors import UserError
from pipeline.sample.defects import APPLE_DOUBLE
from pipeline.sample.wording import PHRASE_KIND, authored

MINIMUM_TEXTS = 40
# Share of texts whose event could be anything; every second of them does not name the feeling either.
PLAIN_EVENTS = 0.3
# Share of texts with the label of another feeling: annotators differ.
LABEL_NOISE = 0.12
# Share of feelings that are a phrase of `phrases.json`, which tweets and dialogues have too.
SHARED_PHRASES = 0.35
PARTS = {"goemotions": 0.5, "isear": 0.25, "meld": 0.25}
WEIGHTS = {
    "anger": 0.2, "disgust": 0.1, "sadness": 0.19, "joy": 0.17, "excitement": 0.12, "fear": 0.06, "surprise": 0.04,
    "neutral": 0.12,
}  # fmt: skip
SPLITS = {"train": 0.8, "dev": 0.1, "test": 0.1}
SUBJECT_REPORTS, DIALOGUE_TURNS = 5, 6  # ISEAR asks each subject for one report per emotion
ISEAR_HEADER = ("ID", "CITY", "COUN", "SUBJ", "SEX", "AGE", "EMOT", "WHEN", "Field1", "MYKEY", "SIT", "STATE", "")
ISEAR_LINE_CHARACTERS = 66
MELD_HEADER = (
    "Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season", "Episode",
)  # fmt: skip
_TRIES = 20


@dataclass(frozen=True)
class Said:
    """A text and its label in the corpus."""

    event: str
    feeling: str
    label: str


def make(target: Path, seed: int, texts: int) -> None:
    """Write the corpus into `target`; raises UserError if `texts` are too few."""
    if texts < MINIMUM_TEXTS:
        raise UserError(f"sample of emotion texts: texts = {texts}: expected at least {MINIMUM_TEXTS}")
    rng = np.random.default_rng([seed, 30])
    bounds = np.round(np.cumsum([0.0, *PARTS.values()]) * texts).astype(int)
    taken: set[str] = set()
    said = {
        part: [_say(part, taken, rng) for _ in range(stop - start)]
        for part, start, stop in zip(PARTS, bounds[:-1], bounds[1:], strict=True)
    }
    for part in PARTS:
        (target / part).mkdir(parents=True, exist_ok=True)
    _write_goemotions(target / "goemotions", said["goemotions"])
    _write_isear(target / "isear", said["isear"], rng)
    _write_meld(target / "meld", said["meld"], rng)


def _say(part: str, taken: set[str], rng: np.random.Generator) -> Said:
    words = authored("emotion_texts")
    labels: dict[str, list[str]] = words["labels"][part]
    weights = np.array([WEIGHTS[kind] for kind in labels])
    kinds = [str(kind) for kind in rng.choice(list(labels), 2, p=weights / weights.sum())]
    label = str(rng.choice(labels[kinds[rng.random() < LABEL_NOISE]]))
    for _ in range(_TRIES):
        event, feeling = _words(kinds[0], rng)
        if _key(event, feeling) not in taken:
            break
    else:
        event = f"{event} {len(taken)}".strip()
    taken.add(_key(event, feeling))
    return Said(event, feeling, label)


def _key(event: str, feeling: str) -> str:
    """Equal where readers take two texts for the same words."""
    return "".join(filter(str.isalnum, f"{event}{feeling}".casefold()))


def _words(kind: str, rng: np.random.Generator) -> tuple[str, str]:
    words = authored("emotion_texts")
    plain, bare, shared, form = rng.random(4)
    event = str(rng.choice(words["plain"] if plain < PLAIN_EVENTS else words[kind]["events"]))
    slots = {name: str(rng.choice(choices)) for name, choices in authored("tweets")["slots"].items()}
    phrases = authored("phrases").get(PHRASE_KIND.get(kind, ""), [])
    feeling = str(rng.choice(phrases)).rstrip(".!") if phrases and shared < SHARED_PHRASES else ""
    feeling = feeling or str(rng.choice(words[kind]["feelings"]))
    if bare < (0.5 if plain < PLAIN_EVENTS else 0.4):
        feeling = ""
    elif form < 0.2:
        return "", feeling
    return event.format_map(slots), feeling


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentences(said: Said, end: str = ".") -> str:
    found = [_capital(text) for text in (said.event, said.feeling) if text]
    return " ".join(text if text.endswith("?") else f"{text}{end}" for text in found)


def _split(rows: Sequence[Said]) -> dict[str, Sequence[Said]]:
    bounds = np.round(np.cumsum([0.0, *SPLITS.values()]) * len(rows)).astype(int)
    return {name: rows[start:stop] for name, start, stop in zip(SPLITS, bounds[:-1], bounds[1:], strict=True)}


def _batched(rows: Sequence[Said], size: int) -> list[Sequence[Said]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _csv(rows: Sequence[Sequence[str]], delimiter: str = ",") -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


def _write_goemotions(folder: Path, said: Sequence[Said]) -> None:
    emotions: list[str] = authored("emotion_texts")["emotions"]
    (folder / "emotions.txt").write_text("\n".join(emotions), encoding="utf-8")
    for number, (split, part) in enumerate(_split(said).items()):
        rows = [
            [_sentences(one), str(emotions.index(one.label)), f"e{number}{place:05d}"] for place, one in enumerate(part)
        ]
        odd = b""
        if split == "train":
            # Three annotators' labels, a number that is no label, no text, no id, not UTF-8, the same words twice, and
            # under another label.
            odd = _csv([['This is "it"', "2,3,27", "e900001"], ["Maybe", "99", "e900002"], ["", "27", "e900003"]], "\t")
            odd += b"No label and no id\nBest caf\xe9 in town\t17\te900004\nOh, never mind.\t27\te900005\n"
            odd += b"oh never mind\t27\te900006\nWell, look at that\t27\te900007\nWell, look at that!\t26\te900008\n"
        (folder / f"{split}.tsv").write_bytes(_csv(rows, "\t") + odd)
    (folder / "._train.tsv").write_bytes(APPLE_DOUBLE)


def _write_isear(folder: Path, said: Sequence[Said], rng: np.random.Generator) -> None:
    numbers = {label: number for number, label in ISEAR_LABELS.items()}
    lines = ["|".join(ISEAR_HEADER)]
    for subject, reports in enumerate(_batched(said, SUBJECT_REPORTS), 1):
        person = [f"1{subject:04d}", "1", "1", str(subject), str(rng.integers(1, 3)), str(rng.integers(18, 40))]
        for one in reports:
            number = numbers[one.label]
            report = f"When {one.event}." if one.event else f"{_capital(one.feeling)}."
            if one.event and one.feeling:
                report += f"  {_capital(one.feeling)}."
            told = [number, str(rng.integers(1, 5)), one.label, f"{person[0]}{number}", _folded(report), "1", ""]
            lines.append("|".join([*person, *told]))
    # Nothing reported, a quote as that file has it, and a line that ends too soon.
    lines += [
        "10001|1|1|1|1|33|6|1|shame|100016|[ No response.]|1|",
        '10001|1|1|1|1|33|7|1|guilt|100017|When I gave no \\straight answer\\" to á|my neighbour, who had asked."|1|',
        "10002|1|1|2",
    ]
    (folder / "isear.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _folded(report: str) -> str:
    """Lines were joined by a sign of another code page."""
    space = report.find(" ", ISEAR_LINE_CHARACTERS)
    return report if space < 0 else f"{report[:space]} á{report[space:]}"


def _write_meld(folder: Path, said: Sequence[Said], rng: np.random.Generator) -> None:
    speakers: list[str] = authored("emotion_texts")["speakers"]
    sentiments = {"joy": "positive", "neutral": "neutral", "surprise": "positive"}
    for split, part in _split(said).items():
        rows: list[Sequence[str]] = [MELD_HEADER]
        for dialogue, turns in enumerate(_batched(part, DIALOGUE_TURNS)):
            for turn, one in enumerate(turns):
                text = _sentences(one, "!" if one.label in {"anger", "joy", "surprise"} else ".")
                # As its files have them: U+0092, which is an apostrophe in Windows' code page.
                text = text.replace("'", "\x92")
                kind = [str(rng.choice(speakers)), one.label, sentiments.get(one.label, "negative")]
                rows.append([str(len(rows)), text, *kind, str(dialogue), str(turn), "1", "1"])
        odd = b""
        if split == "train":
            # A quote that is never closed, a row without its end, no words.
            odd = b'900,"So he said,Ruth,neutral,neutral,90,0,1,1\n901,Right,Owen,neutral\n'
            odd += b"902,...,Ines,neutral,neutral,90,1,1,1\n"
        (folder / f"{split}_sent_emo.csv").write_bytes(_csv(rows) + odd)
