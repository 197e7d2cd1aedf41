"""The stage on a few texts, with the real voice and recogniser: who is heard, who is rejected, what is redone."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from models.weights.whisper_weights import MODEL_FILE
from pipeline import synthesize
from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.media.audio import SpeechLimits, decode
from pipeline.speech import intelligibility, loading, recogniser, recordings
from pipeline.speech.intelligibility import RecognitionParams
from pipeline.speech.params import SynthesizeParams
from pipeline.speech.script import ProsodyParams
from pipeline.voices import PLAIN as USUAL
from pipeline.voices import HibariParams, Prosody, Voice, load_voice
from tests.builders_sier import context_at, write_folder
from tests.voice import needs_hibari

pytestmark = needs_hibari

CLEAR = "I missed the last train home, so now I am walking along the river in the rain."
PLAIN = "The weather is lovely this morning."
TEXTS = (CLEAR, PLAIN, CLEAR)
PARAMS = SynthesizeParams(
    voice=HibariParams("hibari", "heart"),
    limits=SpeechLimits(
        min_duration_seconds=0.4, max_duration_seconds=30.0, min_rms=0.005, max_clipped_share=0.001
    ),
    recognition=RecognitionParams(share=1.0, max_word_error_rate=0.8, max_missing_end_words=3),
)  # fmt: skip


def write_clean(root: Path, texts: Sequence[str] = TEXTS, sentiments: Sequence[str] = ("neutral",) * 3) -> None:
    empty = {field.name: 0 if field.type == pa.int32() else "" for field in tables.CLEAN}
    rows = [
        {**empty, "image": b"", "id": f"{100 + number}-1", "spoken_text": text, "sentiment": sentiment}
        for number, (text, sentiment) in enumerate(zip(texts, sentiments, strict=True))
    ]
    write_folder(root, "clean", [pa.Table.from_pylist(rows, schema=tables.CLEAN)])


def rows_of(root: Path) -> list[dict[str, Any]]:
    folder = root / "data" / "speech"
    return [
        row
        for marker in shards.read_manifest(folder, "synthesize")
        for row in shards.read_part(folder, marker, tables.SPEECH).to_pylist()
    ]


def rejects_of(root: Path) -> list[tuple[str, str, str]]:
    folder = root / "data" / "speech"
    return list(shards.read_rejects(folder, shards.read_manifest(folder, "synthesize")))


def report_of(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "reports" / "synthesize.json").read_text())["recognition"]
    return found


def recorded(root: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in root.glob(".work/synthesize/*/recorded/part-*")}


class Half(Voice):
    """The real voice, which stops in the middle of each text that ends in rain."""

    def __init__(self, params: HibariParams) -> None:
        self.voice = load_voice(params)
        self.name, self.digest = self.voice.name, self.voice.digest
        self.sampling_rate_hz = self.voice.sampling_rate_hz

    def speak(self, text: str, speaker: str | None = None, prosody: Prosody = USUAL) -> NDArray[np.float32]:
        waveform = self.voice.speak(text, speaker, prosody)
        return waveform[: len(waveform) // 2] if text.endswith("rain.") else waveform


def test_every_row_has_the_word_error_rate_of_its_text(tmp_path: Path) -> None:
    write_clean(tmp_path)
    synthesize.run(PARAMS, context_at(tmp_path))
    assert [row["word_error_rate"] for row in rows_of(tmp_path)] == [0.0, 0.0, 0.0]
    heard = [row["heard"] for row in rows_of(tmp_path)]
    assert [intelligibility.compare(text, words).word_error_rate for text, words in zip(TEXTS, heard, strict=True)] == [
        0.0
    ] * 3
    assert report_of(tmp_path) == {
        "transcribed_texts": 2,
        "word_error_rate": {"mean": 0.0, "median": 0.0, "percentile_95": 0.0, "highest": 0.0},
        "character_error_rate": {"mean": 0.0, "median": 0.0, "percentile_95": 0.0, "highest": 0.0},
        "share_above_limit": 0.0,
        "rejected_texts": {},
    }
    plot = list(csv.DictReader((tmp_path / "reports" / "plots" / "word_error_rate.csv").open()))
    assert [row for row in plot if row["texts"] != "0"] == [{"series": "kept", "word_error_rate": "0.0", "texts": "2"}]


def test_each_utterance_may_be_a_part_of_its_own_and_no_byte_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill costs is a part, whatever the shards of clean hold."""
    digests = []
    for utterances, parts in ((64, 1), (1, 2)):
        root = tmp_path / str(utterances)
        monkeypatch.setattr(recordings, "PART_UTTERANCES", utterances)
        write_clean(root)
        synthesize.run(PARAMS, context_at(root))
        assert len([name for name in recorded(root) if name.endswith(".json")]) == parts
        digests.append([path.read_bytes() for path in sorted((root / "data" / "speech").rglob("*.*"))])
    assert digests[0] == digests[1]


def test_speech_that_breaks_off_is_rejected_in_every_row_of_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_voice", Half)
    monkeypatch.setattr(recordings, "load_voice", Half)
    write_clean(tmp_path)
    report = synthesize.run(PARAMS, context_at(tmp_path))
    assert [row["id"] for row in rows_of(tmp_path)] == ["101-1"]
    rejects = rejects_of(tmp_path)
    assert [reject[:2] for reject in rejects] == [("100-1", "speech_cut_off"), ("102-1", "speech_cut_off")]
    assert "words are missing, at most 3 may; heard: I missed the last train" in rejects[0][2]
    assert report.rejected == {"speech_cut_off": 2}
    assert report_of(tmp_path)["rejected_texts"] == {"speech_cut_off": 1}


def test_other_limits_neither_speak_nor_listen_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_voice", Half)
    monkeypatch.setattr(recordings, "load_voice", Half)
    write_clean(tmp_path)
    synthesize.run(PARAMS, context_at(tmp_path))
    before = recorded(tmp_path)
    lenient = replace(PARAMS.recognition, max_word_error_rate=5.0, max_missing_end_words=99)
    synthesize.run(replace(PARAMS, recognition=lenient), context_at(tmp_path))
    assert recorded(tmp_path) == before != {}
    assert not rejects_of(tmp_path)
    rates = [row["word_error_rate"] for row in rows_of(tmp_path)]
    assert rates[0] == rates[2] > 0.3
    strict = replace(PARAMS.recognition, max_word_error_rate=0.3, max_missing_end_words=99)
    synthesize.run(replace(PARAMS, recognition=strict), context_at(tmp_path))
    assert recorded(tmp_path) == before
    assert {reject[1] for reject in rejects_of(tmp_path)} == {"speech_unintelligible"}


def test_without_a_share_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recogniser, "Recogniser", None)  # calling it would fail
    write_clean(tmp_path)
    silent = replace(PARAMS.recognition, share=0.0)
    synthesize.run(replace(PARAMS, recognition=silent), context_at(tmp_path))
    assert [(row["heard"], row["word_error_rate"]) for row in rows_of(tmp_path)] == [(None, None)] * 3
    assert report_of(tmp_path) == {"transcribed_texts": 0, "rejected_texts": {}}


def test_the_same_recogniser_from_a_folder_hears_nothing_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clean(tmp_path)
    synthesize.run(PARAMS, context_at(tmp_path))
    before = recorded(tmp_path)
    folder = replace(PARAMS.recognition, model=str(MODEL_FILE.path().parent))
    with monkeypatch.context() as patched:
        patched.setattr(recogniser, "Recogniser", None)  # calling it would fail
        synthesize.run(replace(PARAMS, recognition=folder), context_at(tmp_path))
    assert recorded(tmp_path) == before != {}
    with pytest.raises(UserError, match=r"^synthesize\.recognition\.model = absent: .* not found"):
        synthesize.run(replace(PARAMS, recognition=replace(folder, model="absent")), context_at(tmp_path))


def test_prosody_by_sentiment_is_heard_and_recorded(tmp_path: Path) -> None:
    """The same text for two sentiments is two recordings; a third row shares the first's."""
    write_clean(tmp_path, (PLAIN, PLAIN, PLAIN), sentiments=("negative", "positive", "negative"))
    by_sentiment = ProsodyParams(negative=Prosody(0.8, -6.0), neutral=Prosody(), positive=Prosody(1.25, 0.0))
    silent = replace(PARAMS, recognition=replace(PARAMS.recognition, share=0.0))
    synthesize.run(replace(silent, prosody=by_sentiment), context_at(tmp_path))
    rows = rows_of(tmp_path)
    assert [row["rate"] for row in rows] == pytest.approx([0.8, 1.25, 0.8])
    assert [row["energy_db"] for row in rows] == [-6.0, 0.0, -6.0]
    assert [row["voice"] for row in rows] == ["heart"] * 3
    assert rows[0]["audio"] == rows[2]["audio"] != rows[1]["audio"]
    written = json.loads((tmp_path / "reports" / "synthesize.json").read_text())
    assert (written["distinct_texts"], written["distinct_utterances"]) == (1, 2)
    peaks = [float(np.abs(decode(row["audio"])).max()) for row in rows[:2]]
    assert peaks[0] / peaks[1] == pytest.approx(10 ** (-6 / 20), rel=0.1)
    assert rows[0]["duration_seconds"] / rows[1]["duration_seconds"] > 1.2  # of 1.56: durations are rounded up
    synthesize.run(silent, context_at(tmp_path))
    plain = rows_of(tmp_path)
    assert [(row["rate"], row["energy_db"]) for row in plain] == [(1.0, 0.0)] * 3
    assert len({row["audio"] for row in plain}) == 1


def test_pitch_by_sentiment_is_recorded_and_refused_of_a_voice_that_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clean(tmp_path, (PLAIN, PLAIN, CLEAR), sentiments=("negative", "positive", "neutral"))
    prosody = ProsodyParams(negative=Prosody(pitch=0.8, pitch_range=0.5), neutral=Prosody(), positive=Prosody())
    silent = replace(PARAMS, recognition=replace(PARAMS.recognition, share=0.0), prosody=prosody)
    synthesize.run(silent, context_at(tmp_path))
    rows = rows_of(tmp_path)
    assert [row["pitch"] for row in rows] == pytest.approx([0.8, 1.0, 1.0])
    assert [row["pitch_range"] for row in rows] == [0.5, 1.0, 1.0]
    assert rows[0]["audio"] != rows[1]["audio"]
    assert rows[0]["duration_seconds"] == rows[1]["duration_seconds"]
    monkeypatch.setattr(loading, "load_voice", Half)
    with pytest.raises(UserError, match=r"^synthesize\.prosody\.negative\.pitch = 0\.8: the voice heart cannot change"):
        synthesize.run(silent, context_at(tmp_path))


SHORT = ("Goodnight", "Sad", "Facts", "xoxo", "Yall dead wrong", "Mood", "OMG")


def test_short_texts_that_are_said_rightly_are_kept_and_a_short_wrong_one_is_not(tmp_path: Path) -> None:
    """One word decides all of a word error rate: "Goodnight" is heard as "Good night."."""
    write_clean(tmp_path, SHORT, ("neutral",) * len(SHORT))
    synthesize.run(PARAMS, context_at(tmp_path))
    assert len(rows_of(tmp_path)) == len(SHORT), rejects_of(tmp_path)
    wrong = intelligibility.compare("Goodnight", "Thank you for watching.")
    limits = PARAMS.recognition
    assert wrong.word_error_rate is not None and wrong.character_error_rate is not None
    assert wrong.word_error_rate > limits.max_word_error_rate
    assert wrong.character_error_rate > limits.max_character_error_rate


def test_speech_whose_end_the_recogniser_leaves_out_is_kept(tmp_path: Path) -> None:
    """It stops at the pause after the first sentence, also where it hears that sentence's end again."""
    texts = (
        "This ride makes me sick. TDF 2016 7 K2 ready for someone Spirit Of Giants",
        "This made us dizzy. TDF 2014 9 F1 set for someone Power Of Courage",
    )
    write_clean(tmp_path, texts, ("neutral",) * 2)
    synthesize.run(PARAMS, context_at(tmp_path))
    endings = [row["heard"].split()[-1].strip(".") for row in rows_of(tmp_path)]
    assert endings == ["giants", "courage"], rejects_of(tmp_path)
