"""Who says what in the sample's IEMOCAP: sessions, dialogues, turns and their emotion codes, before anyone speaks."""

from dataclasses import dataclass

import numpy as np

from pipeline.sample.wording import PHRASE_KIND, SHARED_WORDING_DIALOGUES, authored, with_phrase

SESSIONS = 5
# Share of emotional utterances whose words are those of nobody in particular, so that only prosody tells. Raise to make
# speech harder, and the speech teacher less sure of tweets.
PLAIN_WORDS = 0.3
DISGUST_UTTERANCES = 2  # as few as in the real corpus: too few to learn, which a teacher has to report

# Shares of the other codes, close to IEMOCAP's but with anger, happiness and sadness frequent enough to learn from.
SHARES = {
    "ang": 0.19, "sad": 0.19, "neu": 0.15, "fru": 0.13, "exc": 0.11, "xxx": 0.09, "hap": 0.085, "sur": 0.025,
    "fea": 0.02, "oth": 0.01,
}  # fmt: skip

# Dialogues have a subject, so moods come together; xxx and oth are found in all of them.
THEMES = ("ang", "fru", "dis", "oth", "sad", "fea", "xxx", "neu", "sur", "hap", "exc")
# (name after the session, share of the session's turns); the letter says who wore the motion-capture markers.
DIALOGUES = (("F_impro01", 0.3), ("M_impro02", 0.25), ("F_script01_1", 0.2), ("M_impro03", 0.25))


@dataclass(frozen=True)
class Turn:
    """One utterance: `id` is `<dialogue>_<F|M><three digits>`, `speaker` is `Ses01F` to `Ses05M`."""

    id: str
    dialogue: str
    session: int
    speaker: str
    emotion: str
    text: str


def write_dialogues(seed: int, utterances: int) -> list[Turn]:
    """All turns of the corpus in the order of sessions, dialogues and time."""
    rng = np.random.default_rng([seed, 1])
    codes = [code for code, count in quotas(utterances).items() for _ in range(count)]
    turns: list[Turn] = []
    decks: dict[str, list[str]] = {}  # lines per code that are still to be said
    for session in range(1, SESSIONS + 1):
        # Dealing codes out in turn gives every session its share of each, and the two dis to different sessions.
        dealt = sorted(codes[session - 1 :: SESSIONS], key=THEMES.index)
        bounds = np.round(np.cumsum([0.0, *(share for _, share in DIALOGUES)]) * len(dealt)).astype(int)
        for (suffix, _), start, stop in zip(DIALOGUES, bounds[:-1], bounds[1:], strict=True):
            dialogue = f"Ses{session:02d}{suffix}"
            turns += _converse(dialogue, session, dealt[start:stop], decks, rng)
    return turns


def quotas(utterances: int) -> dict[str, int]:
    """Utterances per code: at least one of each, exactly two `dis`, the rest by largest remainder."""
    wanted = {code: share * (utterances - DISGUST_UTTERANCES) for code, share in SHARES.items()}
    counts = {code: max(1, int(value)) for code, value in wanted.items()}
    missing = utterances - DISGUST_UTTERANCES - sum(counts.values())
    for code in sorted(wanted, key=lambda name: (counts[name] - wanted[name], name))[: max(0, missing)]:
        counts[code] += 1
    for _ in range(-missing):
        counts[max(counts, key=lambda name: (counts[name], name))] -= 1
    return {**counts, "dis": DISGUST_UTTERANCES}


def _draw(decks: dict[str, list[str]], code: str, rng: np.random.Generator) -> str:
    """A line of this code, without repetition for as long as there are any."""
    if not decks.get(code):
        lines: list[str] = authored("dialogues")[code]
        decks[code] = [lines[i] for i in rng.permutation(len(lines))]
    return decks[code].pop()


def _converse(
    dialogue: str, session: int, codes: list[str], decks: dict[str, list[str]], rng: np.random.Generator
) -> list[Turn]:
    turns = []
    counters = {"F": 0, "M": 0}
    letter = dialogue[5]
    script: dict[str, list[str]] = authored("dialogues")["script"]
    for code in (codes[i] for i in rng.permutation(len(codes))):
        # All sessions act the same scripts, so scripted lines come back in every session, as they do in IEMOCAP.
        if "script" in dialogue and code in script:
            text = script[code][int(rng.integers(len(script[code])))]
        else:
            plain = code in PHRASE_KIND and code != "dis" and rng.random() < PLAIN_WORDS
            text = _draw(decks, "plain" if plain else code, rng)
            text = text if plain else with_phrase(text, code, SHARED_WORDING_DIALOGUES, rng)
        name = f"{dialogue}_{letter}{counters[letter]:03d}"
        turns.append(Turn(name, dialogue, session, f"Ses{session:02d}{letter}", code, text))
        counters[letter] += 1
        if rng.random() < 0.75:
            letter = "M" if letter == "F" else "F"
    return turns
