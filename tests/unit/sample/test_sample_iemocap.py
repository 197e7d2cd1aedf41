"""The sample of IEMOCAP: same bytes everywhere, the published format, and speech that follows the emotion."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora import iemocap as iemocap_reader
from pipeline.errors import UserError
from pipeline.sample import make_iemocap
from pipeline.sample.dialogues import quotas, write_dialogues
from pipeline.sample.speakers import PROSODY, SAMPLING_RATE_HZ, SPEAKERS, act
from pipeline.voices import Voice
from tests.sample_helpers import SEED, size_bytes

UTTERANCES = 40
LINE = "I was there this morning. They told me about the letter, and then we all went home."
CODES = {"ang", "hap", "exc", "sad", "neu", "fru", "dis", "fea", "sur", "oth", "xxx"}


@pytest.fixture(scope="module")
def iemocap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sample") / "iemocap"
    make_iemocap(target, seed=SEED, utterances=UTTERANCES, workers=1)
    return target


def test_too_small_a_sample_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"utterances = 19: expected at least 20$"):
        make_iemocap(tmp_path, seed=1, utterances=19, workers=1)
    assert not list(tmp_path.iterdir())


def test_iemocap_at_full_size_is_small(iemocap: Path) -> None:
    assert size_bytes(iemocap) / UTTERANCES * 200 < 35e6


def evaluations(root: Path) -> list[tuple[str, str, float, float, list[str]]]:
    """(turn, code, start, end, annotators' words) of all evaluation files."""
    turns: list[tuple[str, str, float, float, list[str]]] = []
    for path in sorted(root.glob("IEMOCAP_full_release/Session*/dialog/EmoEvaluation/Ses*.txt")):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0] == "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"
        for line in lines[1:]:
            if line.startswith("["):
                found = re.fullmatch(
                    r"\[(\d+\.\d{4}) - (\d+\.\d{4})\]\t(Ses0\d[FM]_\w+_[FM]\d{3})\t([a-z]{3})\t"
                    r"\[([1-5]\.\d{4}), ([1-5]\.\d{4}), ([1-5]\.\d{4})\]",
                    line,
                )
                assert found, line
                assert found[3].startswith(path.stem)
                turns.append((found[3], found[4], float(found[1]), float(found[2]), []))
            elif line.startswith("C-"):
                turns[-1][4].extend(line.split("\t")[1].rstrip(";").split("; "))
    return turns


def wav_of(root: Path, turn: str) -> Path:
    session, dialogue = int(turn[3:5]), turn.rsplit("_", 1)[0]
    return root / f"IEMOCAP_full_release/Session{session}/sentences/wav/{dialogue}/{turn}.wav"


def test_iemocap_has_ten_speakers_all_codes_and_two_dis_in_different_sessions(iemocap: Path) -> None:
    turns = evaluations(iemocap)
    assert len(turns) == UTTERANCES
    assert {code for _, code, *_ in turns} == CODES
    assert len({turn[:5] + turn.rsplit("_", 1)[1][0] for turn, *_ in turns}) == 10
    disgust = [turn[:5] for turn, code, *_ in turns if code == "dis"]
    assert len(disgust) == 2
    assert len(set(disgust)) == 2
    assert any("_impro" in turn for turn, *_ in turns)
    assert any("_script" in turn for turn, *_ in turns)


def test_wavs_are_16_khz_16_bit_mono_as_long_as_annotated_and_neither_silent_nor_clipped(iemocap: Path) -> None:
    for turn, _, start, end, _ in evaluations(iemocap):
        info = soundfile.info(wav_of(iemocap, turn))
        assert (info.samplerate, info.channels, info.subtype, info.format) == (16_000, 1, "PCM_16", "WAV")
        assert info.duration == pytest.approx(end - start, abs=2e-4)
        assert 0.5 < info.duration < 30
        samples, _ = soundfile.read(wav_of(iemocap, turn))
        assert 0.005 < np.sqrt(np.mean(samples**2)) < 0.4
        assert np.abs(samples).max() < 0.95


def test_turns_of_a_dialogue_follow_each_other(iemocap: Path) -> None:
    turns = evaluations(iemocap)
    for (turn, _, _, end, _), (following, _, start, *_) in pairwise(turns):
        if turn.rsplit("_", 1)[0] == following.rsplit("_", 1)[0]:
            assert start > end


def test_annotators_agree_on_the_code_except_for_xxx(iemocap: Path) -> None:
    for _, code, _, _, words in evaluations(iemocap):
        assert len(words) == 3
        most = Counter(words).most_common(1)[0][1]
        assert most == 1 if code == "xxx" else most >= 2


def test_every_turn_has_its_transcript(iemocap: Path) -> None:
    found = {}
    for path in iemocap.glob("IEMOCAP_full_release/Session*/dialog/transcriptions/[!.]*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            match = re.fullmatch(r"(\w+) \[\d{3}\.\d{4}-\d{3}\.\d{4}\]: (\S.*)", line)
            assert match, line
            found[match[1]] = match[2]
    assert found.keys() == {turn for turn, *_ in evaluations(iemocap)}


def test_decoys_of_the_real_release_are_there(iemocap: Path) -> None:
    for session in (iemocap / "IEMOCAP_full_release").iterdir():
        evaluation = session / "dialog" / "EmoEvaluation"
        assert list((evaluation / "Categorical").glob("*_cat.txt"))
        assert list((evaluation / "Attribute").glob("*_atr.txt"))
        assert list(evaluation.glob("._*.txt"))
        assert list((session / "sentences" / "wav").glob("*/._*.wav"))


def test_iemocap_reader_takes_every_turn(iemocap: Path) -> None:
    corpus = iemocap_reader.read(iemocap)
    assert corpus.rejects == []
    assert corpus.rows_in == len(corpus.utterances) == UTTERANCES
    assert {u.speaker for u in corpus.utterances} == set(SPEAKERS)
    assert all(u.transcript for u in corpus.utterances)


@given(utterances=st.integers(20, 5_000))
def test_quotas_add_up_and_leave_out_no_code(utterances: int) -> None:
    counts = quotas(utterances)
    assert sum(counts.values()) == utterances
    assert set(counts) == CODES
    assert min(counts.values()) >= 1
    assert counts["dis"] == 2


def test_full_size_has_enough_to_learn_from_in_every_session() -> None:
    turns = write_dialogues(SEED, 200)
    per_class = Counter({"exc": "hap"}.get(turn.emotion, turn.emotion) for turn in turns)
    assert all(35 <= per_class[code] <= 42 for code in ("ang", "hap", "sad"))
    for session in range(1, 6):
        found = {turn.emotion for turn in turns if turn.session == session}
        assert {"ang", "exc", "hap", "sad", "neu", "fru"} <= found
    assert Counter(turn.speaker for turn in turns).keys() == SPEAKERS.keys()
    assert len({turn.id for turn in turns}) == 200


@pytest.fixture(scope="module")
def voice() -> Voice:
    from pipeline.sample.iemocap import VOICE
    from pipeline.voices.hibari import load

    return load(VOICE)


def test_prosody_follows_the_emotion(voice: Voice) -> None:
    def spoken(code: str) -> tuple[float, float]:
        takes = [act(voice, LINE, SPEAKERS["Ses01M"], PROSODY[code], np.random.default_rng(i)) for i in range(6)]
        return float(np.mean([len(take) for take in takes])), float(np.mean([np.std(take) for take in takes]))

    angry, sad, neutral = spoken("ang"), spoken("sad"), spoken("neu")
    assert angry[0] < neutral[0] < sad[0]
    assert angry[1] > neutral[1] > sad[1]


def test_women_speak_higher_than_men_at_about_the_same_pace(voice: Voice) -> None:
    import librosa

    def spoken(name: str) -> tuple[float, float]:
        samples = act(voice, LINE, SPEAKERS[name], PROSODY["neu"], np.random.default_rng(0))
        pitch_hz = librosa.yin(samples, fmin=60, fmax=300, sr=SAMPLING_RATE_HZ)
        level = librosa.feature.rms(y=samples)[0]
        return float(np.median(pitch_hz[level > np.median(level)])), len(samples) / SAMPLING_RATE_HZ

    women = np.array([spoken(f"Ses0{number}F") for number in (1, 3)])
    men = np.array([spoken(f"Ses0{number}M") for number in (2, 4)])
    assert women[:, 0].min() > 1.15 * men[:, 0].max()
    assert women[:, 1].mean() == pytest.approx(men[:, 1].mean(), rel=0.25)
