"""Stages train_teacher and score by words: a voice speaks, a recogniser hears it, a teacher learns from that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import soundfile
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from pipeline import score, train_teacher
from pipeline.engine import shards
from pipeline.errors import STOPPING, UserError
from pipeline.frame.params import section
from pipeline.teachers.params import SECTION, ScoreParams
from pipeline.voices import HibariParams, load_voice
from tests import builders_emotion_texts, builders_teachers
from tests.builders_iemocap import Turn, build_iemocap
from tests.builders_sier import flac, write_folder

pytest.importorskip("hibari", reason="needs: pip install -e '.[hibari]'")

SAID = {
    "ang": ("I am so angry with you.", "You make me furious."),
    "exc": ("I am so happy today.", "What a wonderful surprise."),
    "sad": ("I feel so sad and alone.", "I cried the whole night."),
}
CLASSES = {"anger": "anger", "joy": "excitement", "sadness": "sadness", "neutral": None}
WORDS: dict[str, Any] = {
    "encoder": "sentence-encoder+vader", "classes": CLASSES, "regularisation": [0.01, 0.1], "class_weights": True,
}  # fmt: skip
PROBE: dict[str, Any] = {
    "kind": "probe", "features": "linguistic", "encoder": "whisper-tiny.en", "normalise": "none",
    "classes": builders_teachers.SPEECH_CLASSES, "regularisation": [0.01], "calibrate": "held_out", "words": WORDS,
}  # fmt: skip
LINES = {
    "anger": ["I hate this", "this makes me mad", "I am furious", "stop annoying me", "you idiot", "how dare you"],
    "joy": ["I love this", "this is great", "so happy now", "best day ever", "we won", "wonderful news"],
    "sadness": ["I miss him", "so sad today", "I am lonely", "we lost her", "I cried again", "nobody came"],
}


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """IEMOCAP of three sessions whose utterances a voice speaks, and a table of emotion texts."""
    root = tmp_path_factory.mktemp("spoken")
    corpora = root / "data" / "corpora"
    turns = [
        Turn(f"Ses{session:02d}{speaks}_impro01", speaks, number, emotion, 1.0 + number)
        for session in (1, 2, 3) for speaks in "FM" for number, emotion in enumerate(SAID)
    ]  # fmt: skip
    build_iemocap(corpora / "iemocap" / "files", turns)
    voice = load_voice(HibariParams("hibari", "heart"))
    said = {text: voice.speak(text) for texts in SAID.values() for text in texts}
    for turn in turns:
        text = SAID[turn.emotion]["FM".index(turn.speaks)]
        (path,) = corpora.rglob(f"{turn.id}.wav")
        soundfile.write(path, said[text], voice.sampling_rate_hz, subtype="PCM_16")
    lines = [f"{text},{label},g{n % 4}" for label, texts in LINES.items() for n, text in enumerate(texts)]
    builders_emotion_texts.table(corpora / "emotion_texts" / "files", *lines, "what is this,neutral,g9", "...,joy,g9")
    for name in ("iemocap", "emotion_texts"):
        (corpora / name / "manifest.json").write_text(json.dumps({"origin": "sample"}), encoding="utf-8")
    train(root)  # what was heard waits in .work for all tests
    return root


@pytest.fixture
def root(spoken: Path, tmp_path: Path) -> Path:
    shutil.copytree(spoken, tmp_path, dirs_exist_ok=True)
    return tmp_path


def train(root: Path, **changes: Any) -> dict[str, Any]:
    """The metrics of a run of the stage."""
    params = section({"train_teacher": {"speech": {**PROBE, **changes}}}, "train_teacher.speech", SECTION)
    train_teacher.run(params, builders_teachers.context(root, "speech"))
    metrics: dict[str, Any] = json.loads((root / "reports" / "train_teacher_speech.json").read_bytes())
    return metrics


def scored(root: Path, heard: list[str | None]) -> dict[str, dict[str, float]]:
    rows = [{"id": f"{n}-0", "audio": flac(1), "heard": text, "voice": "v"} for n, text in enumerate(heard)]
    write_folder(root, "speech", [pa.Table.from_pylist(rows)])
    score.run(ScoreParams(4, 100), builders_teachers.context(root, "speech"))
    folder = root / "data" / "scores" / "speech"
    table = pa.concat_tables([shards.read_part(folder, marker) for marker in shards.read_manifest(folder, "score")])
    return {row.pop("id"): row for row in table.to_pylist()}


@pytest.mark.parametrize("encoder", ["sentence-encoder+vader", "tf-idf+vader"])
def test_a_teacher_goes_by_the_words_and_not_by_the_sound(root: Path, encoder: str) -> None:
    metrics = train(root, words={**WORDS, "encoder": encoder})
    assert (metrics["features"], metrics["used"], metrics["held_out"]["rows"]) == ("linguistic", 18, 18)
    assert metrics["rejected"] == {}
    assert metrics["emotion_texts"]["used"] == 18
    assert metrics["emotion_texts"]["rejected"] == {"empty_text": 1}
    assert metrics["emotion_texts"]["held_out"]["table"]["rows"] == 18
    assert metrics["beside"]["commonest_class"]["accuracy"] == pytest.approx(1 / 3)
    assert metrics["beside"]["vader_alone"]["rows"] == 18
    # Utterances and texts fitted the temperature, and the reliability that is shown is that of the utterances.
    assert metrics["calibration"] == {"rows": 36, "measured_too": 18}
    assert "18 of the 18 rows whose reliability is shown are among them" in metrics["rows_chose"]
    assert metrics["held_out"]["accuracy"] > 0.6  # the same words in other sessions
    rejects = (root / "data/checkpoints/ser/rejects.csv").read_text().splitlines()
    assert rejects[1:] == ["emotion_texts/table.csv:21,empty_text,no word in '...'"]
    found = scored(
        root, ["I am so angry with you", "I am so happy today", "I feel so sad", "I am so angry with you", ""]
    )
    assert list(found) == ["0-0", "1-0", "2-0", "3-0"]  # the empty one is rejected
    best = [max(("p_anger", "p_excitement", "p_sadness"), key=lambda name: row[name]) for row in found.values()]
    assert best == ["p_anger", "p_excitement", "p_sadness", "p_anger"]
    assert found["0-0"] == found["3-0"]


def test_the_same_run_gives_the_same_bytes(root: Path) -> None:
    first = train(root)
    folder = root / "data/checkpoints/ser"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(root / ".work")
    assert train(root) == first
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_sound_and_words_together(root: Path) -> None:
    metrics = train(root, features="fused", normalise="voice")
    assert metrics["features"] == "fused"
    assert 0 <= metrics["weight"] <= 1
    assert metrics["calibration"] == {"rows": 18, "measured_too": 18}
    assert set(metrics["beside"]) == {"commonest_class", "vader_alone", "linguistic_alone", "acoustic_alone"}
    found = scored(root, ["I am so angry with you", "I am so happy today"])
    assert sum(value for name, value in found["0-0"].items() if name.startswith("p_")) == pytest.approx(1, abs=1e-5)


def test_a_probe_of_sound_is_measured_on_the_speakers_who_fitted_its_temperature_too(root: Path) -> None:
    metrics = train(root, features="acoustic", words=None)
    fitted = metrics["calibration"]
    assert 0 < fitted["rows"] == fitted["measured_too"] < metrics["held_out"]["rows"] == 18
    assert f"{fitted['rows']} of the 18 rows whose reliability is shown are among them" in metrics["rows_chose"]
    metrics = train(root, features="acoustic", words=None, calibrate="none")
    assert (metrics["calibration"], metrics["rows_chose"], metrics["temperature"]) == (None, "", 1.0)


def save_bert(folder: Path, labels: tuple[str, ...]) -> str:
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "i", "am", "so", "angry", "happy", "sad", "you"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        **builders_teachers.labelled(labels),
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    return str(folder)


def test_a_ready_classifier_of_texts_is_a_speech_teacher(root: Path) -> None:
    checkpoint = {
        "kind": "checkpoint", "features": "linguistic", "outside_classes": "renormalise", "normalise": "none",
        "checkpoint": save_bert(root / "bert", ("joy", "anger", "sadness", "neutral")), "label_classes": CLASSES,
        "classes": builders_teachers.SPEECH_CLASSES, "batch_size": 4, "calibrate": "none",
    }  # fmt: skip
    params = section({"train_teacher": {"speech": checkpoint}}, "train_teacher.speech", SECTION)
    train_teacher.run(params, builders_teachers.context(root, "speech"))
    metrics = json.loads((root / "reports/train_teacher_speech.json").read_bytes())
    assert (metrics["features"], metrics["held_out"]["rows"]) == ("linguistic", 18)
    texts = ["I am so happy", "you", "I am so sad I am so sad I am so sad", "..."]
    together = scored(root, [*texts])
    alone = {f"{n}-0": scored(root, [text])["0-0"] for n, text in enumerate(texts[:3])}
    assert list(together) == list(alone)
    for name, row in alone.items():
        for column, value in row.items():
            assert together[name][column] == (pytest.approx(value, abs=1e-5) if column.startswith("p_") else value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"normalise": "voice"}, ".normalise = voice: words have no voice; expected none"),
        ({"words": None}, ".words is missing, which features = linguistic needs"),
        ({"words": {**WORDS, "encoder": "bert"}},
         ".words.encoder = bert: expected one of sentence-encoder, sentence-encoder+vader, tf-idf, tf-idf+vader"),
        ({"words": {**WORDS, "classes": {"anger": "anger", "joy": "excitement", "neutral": None}}},
         ".words.classes does not name sadness, a label of {texts}; its labels: anger, joy, neutral, sadness"),
        ({"words": {**WORDS, "classes": {**CLASSES, "joy": "delight"}}},
         ".words.classes gives the class delight, which {section}.classes does not: anger, excitement, sadness"),
    ],
)  # fmt: skip
def test_parameters_that_cannot_be(root: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(STOPPING) as caught:
        train(root, **changes)
    where, texts = "train_teacher.speech", root / "data/corpora/emotion_texts"
    assert str(caught.value).removeprefix("params.yaml: ") == where + expected.format(texts=texts, section=where)


def test_what_nobody_has_heard_is_not_scored(root: Path) -> None:
    train(root)
    with pytest.raises(UserError, match=r"no recogniser has listened to 1 of 2 recordings, and the speech teacher"):
        scored(root, ["I am so happy", None])


def test_logits_by_voice_want_a_temperature(root: Path) -> None:
    checkpoint = {
        "kind": "checkpoint", "checkpoint": "x", "label_classes": {}, "outside_classes": "keep", "normalise": "voice",
        "classes": builders_teachers.SPEECH_CLASSES, "batch_size": 4, "calibrate": "none",
    }  # fmt: skip
    params = section({"train_teacher": {"speech": checkpoint}}, "train_teacher.speech", SECTION)
    with pytest.raises(UserError, match=r"train_teacher.speech.calibrate = none: logits standardised by voice put"):
        train_teacher.run(params, builders_teachers.context(root, "speech"))
