"""Write the sample's IEMOCAP: `IEMOCAP_full_release/Session{1..5}` with sentences, evaluations and transcriptions.

Wavs are 16 kHz, 16-bit, mono. The real release also holds each annotator's files (Categorical, Attribute) and a `._`
shadow of many files; a reader has to leave both alone, so the sample has them too.
"""

import io
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile

from pipeline.engine.lifecycle import die_with_parent
from pipeline.engine.progress import Progress
from pipeline.errors import UserError
from pipeline.sample.defects import APPLE_DOUBLE
from pipeline.sample.dialogues import Turn, write_dialogues
from pipeline.sample.speakers import PROSODY, SAMPLING_RATE_HZ, SPEAKERS, act
from pipeline.sample.wording import authored
from pipeline.voices import HibariParams
from pipeline.voices.hibari import load

VOICE = HibariParams(engine="hibari", model="heart")
MINIMUM_UTTERANCES = 20
HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"

# Typical valence, activation and dominance, 1 to 5.
AFFECT = {
    "ang": (2, 4, 4), "exc": (4, 4, 3), "hap": (4, 3, 3), "sad": (2, 2, 2), "neu": (3, 2, 3), "fru": (2, 3, 3),
    "sur": (3, 4, 3), "fea": (2, 4, 2), "dis": (2, 3, 3), "oth": (3, 3, 3), "xxx": (3, 3, 3),
}  # fmt: skip


def make(target: Path, seed: int, utterances: int, workers: int) -> None:
    """Write the corpus into `target`; raises UserError if `utterances` are too few or the voice is not installed."""
    if utterances < MINIMUM_UTTERANCES:
        raise UserError(f"sample of IEMOCAP: utterances = {utterances}: expected at least {MINIMUM_UTTERANCES}")
    turns = write_dialogues(seed, utterances)
    release = target / "IEMOCAP_full_release"
    for turn in turns:
        _wav_path(release, turn).parent.mkdir(parents=True, exist_ok=True)
    durations = _speak_all(release, turns, seed, workers)
    for dialogue, group in groupby(zip(turns, durations, strict=True), key=lambda pair: pair[0].dialogue):
        # Not hash(): annotations must not depend on the process.
        rng = np.random.default_rng([seed, 3, *dialogue.encode()])
        _write_annotations(release, dialogue, list(group), rng)


def _wav_path(release: Path, turn: Turn) -> Path:
    return release / f"Session{turn.session}" / "sentences" / "wav" / turn.dialogue / f"{turn.id}.wav"


def _speak_all(release: Path, turns: list[Turn], seed: int, workers: int) -> list[float]:
    """Duration of each turn in seconds, once its wav is written."""
    job = partial(_speak, release, seed)
    show = partial(Progress, total=len(turns), desc="acting", unit="utterance")
    if workers <= 1:
        return list(show(map(job, turns)))
    spawn = get_context("spawn")  # onnxruntime's threads do not survive a fork
    with ProcessPoolExecutor(workers, spawn, die_with_parent, (os.getpid(), signal.SIGKILL)) as pool:
        return list(show(pool.map(job, turns, chunksize=4)))


_voice = cache(partial(load, VOICE))


def _speak(release: Path, seed: int, turn: Turn) -> float:
    # Seeded by its own name: neither order nor process changes an utterance.
    rng = np.random.default_rng([seed, 2, *turn.id.encode()])
    samples = act(_voice(), turn.text, SPEAKERS[turn.speaker], PROSODY[turn.emotion], rng)
    path = _wav_path(release, turn)
    # By way of memory: libsndfile's error on a full disk is no OSError.
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLING_RATE_HZ, format="WAV", subtype="PCM_16")
    path.write_bytes(buffer.getvalue())
    return len(samples) / SAMPLING_RATE_HZ


def _write_annotations(release: Path, dialogue: str, pairs: list[tuple[Turn, float]], rng: np.random.Generator) -> None:
    folder = release / f"Session{pairs[0][0].session}" / "dialog"
    evaluations, transcripts, categorical, attributes = [HEADER], [], [], []
    clock = float(rng.uniform(1.0, 8.0))
    for turn, duration in pairs:
        start, end = clock, clock + duration
        clock = end + float(rng.uniform(0.2, 1.5))
        words = _annotators(turn.emotion, rng)
        ratings = np.clip(np.array(AFFECT[turn.emotion]) + rng.integers(-1, 2, size=(2, 3)), 1, 5)
        mean = ", ".join(f"{value:.4f}" for value in ratings.mean(axis=0))
        evaluations.append(f"[{start:.4f} - {end:.4f}]\t{turn.id}\t{turn.emotion}\t[{mean}]\n")
        evaluations += [f"C-E{rater}:\t{word};\t()\n" for rater, word in enumerate(words, start=2)]
        evaluations += [
            f"A-E{rater}:\tval {val}; act {act_}; dom  {dom};\t()\n"
            for rater, (val, act_, dom) in enumerate(ratings, start=3)
        ]
        evaluations.append("\n")
        transcripts.append(f"{turn.id} [{start:08.4f}-{end:08.4f}]: {turn.text}\n")
        categorical.append(f"{turn.id} :{words[0]}; ()\n")
        val, act_, dom = ratings[0]
        attributes.append(f"{turn.id} :act {act_}; :val {val}; :dom  {dom}; ();\n")
    evaluated = folder / "EmoEvaluation"
    _write(evaluated / f"{dialogue}.txt", evaluations)
    _write(folder / "transcriptions" / f"{dialogue}.txt", transcripts)
    _write(evaluated / "Categorical" / f"{dialogue}_e2_cat.txt", categorical)
    _write(evaluated / "Attribute" / f"{dialogue}_e3_atr.txt", attributes)
    for shadowed in (evaluated / f"{dialogue}.txt", _wav_path(release, pairs[0][0])):
        shadowed.with_name(f"._{shadowed.name}").write_bytes(APPLE_DOUBLE)


def _annotators(code: str, rng: np.random.Generator) -> list[str]:
    """What three people called it: a majority for the code, or three different words for xxx."""
    words: dict[str, str] = authored("dialogues")["words"]
    others = [word for other, word in words.items() if other not in {code, "xxx"}]
    picked = [others[i] for i in rng.permutation(len(others))[:3]]
    if code == "xxx":
        return picked
    third = words[code] if rng.random() < 0.6 else picked[0]
    return [words[code], words[code], third]


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
