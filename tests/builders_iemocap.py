"""Builder of tiny IEMOCAP corpora: tones in the place of speech; see `tests.builders`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

SAMPLING_RATE_HZ = 16_000
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Turn:
    """One turn of a dialogue. `speaks` is F or M; `dialog` names file and folder, such as `Ses01F_impro01`.

    Attributes:
        line: replaces the whole annotation line, for malformed ones.
        wav: whether its wav file is written.
        transcript: None leaves it out.
    """

    dialog: str
    speaks: str
    number: int
    emotion: str
    start_seconds: float
    duration_seconds: float = 0.6
    tone_hz: float = 220.0
    transcript: str | None = "I do not know what to say."
    line: str | None = None
    wav: bool = True

    @property
    def id(self) -> str:
        return f"{self.dialog}_{self.speaks}{self.number:03d}"

    @property
    def annotation(self) -> str:
        if self.line is not None:
            return self.line
        end_seconds = self.start_seconds + self.duration_seconds
        return f"[{self.start_seconds:.4f} - {end_seconds:.4f}]\t{self.id}\t{self.emotion}\t[2.5000, 2.5000, 2.5000]"


def plain_turns(
    emotions: Iterable[str] = ("ang", "exc", "sad", "dis", "hap", "neu"), sessions: Iterable[int] = range(1, 6)
) -> list[Turn]:
    """One turn per session, speaker and emotion; the tone goes with the emotion and a little with the speaker."""
    turns = []
    emotions = list(emotions)
    for session in sessions:
        for shift, speaks in enumerate("FM"):
            for number, emotion in enumerate(emotions):
                turns.append(
                    Turn(
                        dialog=f"Ses{session:02d}{speaks}_impro01",
                        speaks=speaks,
                        number=number,
                        emotion=emotion,
                        start_seconds=1.0 + number,
                        tone_hz=150.0 + 90.0 * number - 20.0 * shift + 3.0 * session,
                    )
                )
    return turns


def tone(frequency_hz: float, duration_seconds: float, level: float = 0.3) -> NDArray[np.float32]:
    """A harmonic tone: float32 mono, 16 kHz."""
    seconds = np.arange(round(duration_seconds * SAMPLING_RATE_HZ)) / SAMPLING_RATE_HZ
    harmonics = [np.sin(2 * np.pi * frequency_hz * n * seconds) / n for n in (1, 2, 3)]
    return np.asarray(level * np.sum(harmonics, axis=0) / 2, dtype=np.float32)


def build_iemocap(
    root: Path,
    turns: Sequence[Turn] | None = None,
    *,
    release_folder: bool = True,
    newline: str = "\n",
    bom: bool = False,
    apple_double: bool = False,
    categorical: bool = False,
    empty_wavs: bool = False,
) -> Path:
    """Write the corpus below `root`.

    Args:
        root: new or empty folder.
        turns: `plain_turns()` unless given.
        release_folder: put the sessions into `IEMOCAP_full_release`, as published.
        newline: line end of annotations and transcripts.
        bom: put a byte order mark before annotations and transcripts.
        apple_double: `._*` files beside annotations, transcripts and sessions.
        categorical: `EmoEvaluation/Categorical/`, with lines that look like annotations of another kind.
        empty_wavs: zero-byte wav files, much quicker where nobody listens.
    """
    turns = plain_turns() if turns is None else turns
    base = root / "IEMOCAP_full_release" if release_folder else root
    base.mkdir(parents=True, exist_ok=True)
    start = BOM if bom else b""
    for dialog in dict.fromkeys(turn.dialog for turn in turns):
        session = base / f"Session{int(dialog[3:5])}"
        evaluation, words = session / "dialog" / "EmoEvaluation", session / "dialog" / "transcriptions"
        wavs = session / "sentences" / "wav" / dialog
        for folder in (evaluation, words, wavs):
            folder.mkdir(parents=True, exist_ok=True)
        lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
        spoken = []
        for turn in (turn for turn in turns if turn.dialog == dialog):
            lines += [turn.annotation, "C-E2:\tNeutral;\t()", "A-E3:\tval 3; act 2; dom  2;\t()", ""]
            if turn.transcript is not None:
                end_seconds = turn.start_seconds + turn.duration_seconds
                spoken.append(f"{turn.id} [{turn.start_seconds:.4f}-{end_seconds:.4f}]: {turn.transcript}")
            if turn.wav and empty_wavs:
                (wavs / f"{turn.id}.wav").touch()
            elif turn.wav:
                samples = tone(turn.tone_hz, turn.duration_seconds)
                soundfile.write(wavs / f"{turn.id}.wav", samples, SAMPLING_RATE_HZ, subtype="PCM_16")
        (evaluation / f"{dialog}.txt").write_bytes(start + newline.join([*lines, ""]).encode())
        (words / f"{dialog}.txt").write_bytes(start + newline.join([*spoken, ""]).encode())
        if apple_double:
            for folder in (evaluation, words, wavs):
                (folder / f"._{dialog}.txt").write_bytes(b"\0\5\x16\7[0 - 1]\n")
            (base / "._Session1").write_bytes(b"\0\5\x16\7")
        if categorical:
            (evaluation / "Categorical").mkdir(exist_ok=True)
            text = f"[0.0 - 1.0]\t{dialog}_F000\tNeutral state\t()\n"
            (evaluation / "Categorical" / f"{dialog}_e2_cat.txt").write_text(text)
    return root
