"""Stages train_teacher and score with networks of each library: ready ones, and ones that are trained here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
import yaml
from safetensors.numpy import load_file, save_file
from torch.nn.functional import cross_entropy
from transformers import WhisperForConditionalGeneration

from models.errors import ModelError
from models.teachers.loading import load_teacher
from models.teachers.network_teacher import CheckpointTeacher
from models.teachers.pretrained import load_pretrained
from models.teachers.repository import find
from pipeline import score, train_teacher
from pipeline.corpora import fi, iemocap
from pipeline.engine import shards
from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import STOPPING, UserError
from pipeline.frame.params import section
from pipeline.media import audio
from pipeline.teachers import corpora, fit
from pipeline.teachers.params import SECTION, ScoreParams
from pipeline.teachers.scoring import IMAGE, read_statistics
from tests import builders_layouts
from tests import builders_teachers as tiny
from tests.builders_pictures import jpeg
from tests.builders_sier import flac, write_folder

FINETUNE = {
    "kind": "finetune", "normalise": "none", "held_out_sessions": None, "epochs": 2, "learning_rate": 0.01,
    "batch_size": 4, "mixed_precision": None, "class_weights": True, "calibrate": "held_out",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tiny.write_corpora(tmp_path)
    return tmp_path


def speech_checkpoint(source: str, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "checkpoint", "checkpoint": source, "label_classes": tiny.SPEECH_MAP, "outside_classes": "renormalise",
        "classes": tiny.SPEECH_CLASSES, "normalise": "voice", "batch_size": 4, "calibrate": "held_out", **changes,
    }  # fmt: skip


def image_checkpoint(source: str, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "checkpoint", "checkpoint": source, "label_classes": tiny.IMAGE_MAP, "outside_classes": "keep",
        "classes": tiny.IMAGE_CLASSES, "normalise": "none", "batch_size": 4, "calibrate": "none", **changes,
    }  # fmt: skip


def train(root: Path, modality: str, params: dict[str, Any]) -> dict[str, Any]:
    """The metrics of a run of the stage."""
    read = section({"train_teacher": {modality: params}}, f"train_teacher.{modality}", SECTION)
    train_teacher.run(read, tiny.context(root, modality))
    metrics: dict[str, Any] = json.loads((root / "reports" / f"train_teacher_{modality}.json").read_bytes())
    return metrics


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def scored(root: Path, modality: str, rows: list[dict[str, Any]], batch_size: int) -> pa.Table:
    name = {"speech": "speech", "image": "clean"}[modality]
    write_folder(root, name, [pa.Table.from_pylist(rows)])
    score.run(ScoreParams(batch_size, 100), tiny.context(root, modality))
    folder = root / "data" / "scores" / modality
    return pa.concat_tables([shards.read_part(folder, marker) for marker in shards.read_manifest(folder, "score")])


def utterances() -> list[dict[str, Any]]:
    """Of very different lengths, one of them twice, one too short to be heard."""
    short = audio.encode_flac(np.full(8, 0.1, dtype=np.float32), audio.SAMPLING_RATE_HZ)
    clips = [flac(seed) for seed in (1, 2, 3, 4, 5, 6)]
    return [
        {"id": f"{n}-0", "audio": clip, "voice": f"voice {n % 2}"}
        for n, clip in enumerate([*clips[:3], short, *clips[3:], clips[0]])
    ]


@pytest.mark.parametrize("save", [tiny.save_wav2vec2, tiny.save_whisper])
def test_a_ready_speech_classifier_is_measured_saved_and_scores_whatever_the_batch(
    root: Path, save: Callable[[Path], str]
) -> None:
    metrics = train(root, "speech", speech_checkpoint(save(root / "ready")))
    assert metrics["kind"] == "checkpoint"
    assert metrics["labels_of_the_checkpoint"] == list(tiny.SPEECH_LABELS)
    assert metrics["used"] == 18  # 3 sessions, 2 speakers, 3 emotions
    assert metrics["held_out"]["rows"] < 18  # the others chose the temperature
    assert metrics["calibration"] == {"rows": 18 - metrics["held_out"]["rows"], "measured_too": 0}
    assert metrics["rows_chose"].endswith("rows whose reliability is shown is among them")
    assert metrics["temperature"] > 0
    assert list(metrics["support"]) == ["anger", "excitement", "sadness"]
    bins = (root / "reports/plots/teacher_speech_reliability.csv").read_text().splitlines()
    assert len(bins) == 11
    found = scored(root, "speech", utterances(), 1)
    together = scored(root, "speech", utterances(), 7)
    hears = save is tiny.save_wav2vec2  # Whisper pads to a fixed length and hears any
    assert found["id"].to_pylist() == [row["id"] for row in utterances() if not hears or row["id"] != "3-0"]
    names = [name for name in found.column_names if name.startswith("p_")]
    assert names == ["p_anger", "p_excitement", "p_sadness"]
    alone, beside = (np.stack([table[name].to_numpy() for name in names], axis=1) for table in (found, together))
    np.testing.assert_allclose(alone, beside, atol=1e-5)
    np.testing.assert_allclose(alone.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(alone, axis=0).max() > 1e-3
    statistics = read_statistics(root / "data/scores/speech/voice_statistics.parquet")
    assert set(statistics) == {"voice 0", "voice 1"}


@pytest.mark.parametrize("save", [tiny.save_vit, tiny.save_timm])
def test_a_ready_picture_classifier_keeps_what_is_outside_its_classes(root: Path, save: Callable[[Path], str]) -> None:
    metrics = train(root, "image", image_checkpoint(save(root / "ready")))
    assert metrics["held_out"]["rows"] == metrics["used"] == 12
    assert "may have seen" in metrics["held_out"]["protocol"]
    rows = [{"id": f"{n}-0", "image": jpeg(n)} for n in range(5)]
    found = scored(root, "image", rows, 2)
    sums = pc.add(found["p_anger"], found["p_sadness"]).to_numpy()
    assert sums.max() < 0.99
    teacher = load_teacher(root / "data/checkpoints/ier")
    assert isinstance(teacher, CheckpointTeacher)
    logits = teacher.represent([IMAGE.make(row) for row in rows])
    exact = np.exp(logits.astype(np.float64))
    exact /= exact.sum(axis=1, keepdims=True)
    place = {name: teacher.network.labels.index(name) for name in ("anger", "sadness")}
    np.testing.assert_allclose(found["p_anger"].to_numpy(), exact[:, place["anger"]], atol=1e-5)
    np.testing.assert_allclose(found["p_sadness"].to_numpy(), exact[:, place["sadness"]], atol=1e-5)


def test_faults_of_a_checkpoint_name_the_key(root: Path) -> None:
    source = tiny.save_vit(root / "ready")
    for changes, message in (
        (
            {"checkpoint": str(root / "nowhere")},
            r"image\.checkpoint: .*nowhere: no folder here, and cannot be had from the Hub",
        ),
        (
            {"label_classes": {"sadness": "sadness", "anger": "anger"}},
            r"image\.label_classes does not name cat",
        ),
        (
            {"classes": {**tiny.IMAGE_CLASSES, "fear": "fear"}},
            r"gives the class fear, which nothing of the checkpoint stands for .*anger, sadness",
        ),
        ({"normalise": "voice"}, "pictures have no voice"),
    ):
        with pytest.raises(STOPPING, match=message):
            train(root, "image", image_checkpoint(source, **changes))


POINTS = {
    "anger": {"arousal": 0.2, "valence": -0.3}, "excitement": {"arousal": 0.2, "valence": 0.3},
    "sadness": {"arousal": -0.2, "valence": -0.3},
}  # fmt: skip
DIMENSIONAL = {
    "normalise": "none", "label_classes": None, "outside_classes": None, "prototypes": POINTS, "prototype_scale": 0.2,
}  # fmt: skip


def test_dimensions_and_labels_that_exclude_nothing_make_teachers_of_their_own_kind(root: Path) -> None:
    (root / "speech").mkdir()
    builders_layouts.audeering(root / "speech")
    metrics = train(root, "speech", speech_checkpoint(str(root / "speech"), **DIMENSIONAL))
    assert (metrics["head"], metrics["commit"]) == ("regression", None)
    assert "posterior of the classes given the dimensions" in metrics["probabilities_are"]
    found = scored(root, "speech", utterances()[:3], 2)
    teacher = load_teacher(root / "data/checkpoints/ser")
    assert isinstance(teacher, CheckpointTeacher)
    seen = teacher.represent([audio.decode(row["audio"]) for row in utterances()[:3]])
    away = {name: (seen[:, 0] - at["arousal"]) ** 2 + (seen[:, 2] - at["valence"]) ** 2 for name, at in POINTS.items()}
    density = {name: np.exp(-far / (2 * 0.2**2 * teacher.temperature)) for name, far in away.items()}
    for name, by_hand in density.items():
        np.testing.assert_allclose(found[f"p_{name}"].to_numpy(), by_hand / sum(density.values()), atol=1e-5)

    source = Path(tiny.save_vit(root / "image"))
    builders_layouts.change_config(source, problem_type="multi_label_classification")
    builders_layouts.pickle_weights(source)
    assert train(root, "image", image_checkpoint(str(source)))["head"] == "independent"
    found = scored(root, "image", [{"id": f"{n}-0", "image": jpeg(n)} for n in range(3)], 2)
    teacher = load_teacher(root / "data/checkpoints/ier")
    assert isinstance(teacher, CheckpointTeacher)
    chances = 1 / (1 + np.exp(-teacher.represent([IMAGE.make({"image": jpeg(n)}) for n in range(3)])))
    np.testing.assert_allclose(found["p_anger"].to_numpy(), (chances / chances.sum(axis=1, keepdims=True))[:, 1], 1e-4)


def test_dimensions_without_what_makes_classes_of_them_are_refused(root: Path) -> None:
    (root / "speech").mkdir()
    builders_layouts.audeering(root / "speech")
    plain = {"normalise": "none"}
    for changes, message in (
        (
            plain,
            "checkpoint: its head is a regression of arousal, dominance, valence, which are no classes: .*by proto",
        ),
        ({**DIMENSIONAL, "prototype_scale": None}, "checkpoint: .* no classes: .* by prototypes and prototype_scale"),
        ({**DIMENSIONAL, "normalise": "voice"}, "normalise = voice: dimensions lose their zero by it"),
        ({**DIMENSIONAL, "prototypes": {"joy": POINTS["anger"]}}, r"prototypes names the classes \['joy'\]"),
        ({**DIMENSIONAL, "head": "exclusive"}, "checkpoint: .* but by its config.json the head is regression"),
        ({**DIMENSIONAL, "label_names": ["x", "y", "z"]}, "checkpoint: .* outputs have names"),
        ({**DIMENSIONAL, "revision": "main"}, "checkpoint: .* a folder has no revision main"),
    ):
        with pytest.raises(UserError, match=rf"^train_teacher\.speech\.{message}") as caught:
            train(root, "speech", speech_checkpoint(str(root / "speech"), **changes))
        assert "\n" not in str(caught.value)


def test_a_speech_network_is_fine_tuned_and_measured_on_the_sessions_it_has_not_heard(root: Path) -> None:
    source = tiny.save_wav2vec2(root / "base", ("a", "b"))  # another head: a new one is drawn
    params = {
        **FINETUNE, "checkpoint": source, "classes": tiny.SPEECH_CLASSES, "normalise": "voice", "class_weights": False,
        "epochs": 3, "learning_rate": 0.1,
    }  # fmt: skip
    metrics = train(root, "speech", {**params, "held_out_sessions": 2})
    assert metrics["held_out"]["protocol"] == "leave one session out, 2 of 3 sessions"
    assert metrics["held_out"]["rows"] == 12
    assert metrics["kind"] == "finetune"
    # Two speakers fitted the temperature; one of them is in a session that was held out, the other in the third.
    assert metrics["calibration"] == {"rows": 6, "measured_too": 3}
    assert metrics["rows_chose"].endswith("3 of the 12 rows whose reliability is shown are among them")
    assert sorted(metrics["trainings"]) == ["kept", "session-1", "session-2"]
    for name, figures in metrics["trainings"].items():
        # What is asked of rows is the epoch that was best, and not the last one.
        (folder,) = root.glob(f".work/train_teacher.speech.finetune/*/{name}")
        logits = torch.from_numpy(load_file(folder / "logits.safetensors")["validation"])
        least = min(figures["validation_loss"])
        truth = [place for _ in range(figures["rows"]["validation"] // 3) for place in (0, 1, 2)]
        assert cross_entropy(logits, torch.tensor(truth)).item() == pytest.approx(least, abs=1e-4)
    teacher = load_teacher(root / "data/checkpoints/ser")
    assert isinstance(teacher, CheckpointTeacher)
    assert (teacher.kind, teacher.classes) == ("finetune", ("anger", "excitement", "sadness"))
    assert len(scored(root, "speech", utterances(), 4)) == 7
    assert {path.suffix for path in (root / "data/checkpoints/ser").iterdir()} == {".json", ".safetensors", ".csv"}


def test_a_whisper_encoder_is_fine_tuned_from_a_model_that_transcribes(root: Path) -> None:
    source = tiny.save_whisper_transcriber(root / "base")
    params = {**FINETUNE, "checkpoint": source, "classes": tiny.SPEECH_CLASSES, "held_out_sessions": 1, "epochs": 1}
    assert train(root, "speech", params)["held_out"]["rows"] == 6
    network, _ = load_pretrained(find(source), "speech", ("anger", "sadness"))
    published = WhisperForConditionalGeneration.from_pretrained(source).model.encoder.state_dict()
    for name, tensor in network.encoder.state_dict().items():
        torch.testing.assert_close(tensor, published[name])
    other = Path(tiny.save_wav2vec2(root / "torn"))
    tensors = load_file(other / "model.safetensors")
    save_file(
        {name: tensors[name] for name in tensors if ".attention.q_proj." not in name}, other / "model.safetensors"
    )
    with pytest.raises(ModelError, match=r"expected a network of speech, found no weights for wav2vec2\.encoder"):
        load_pretrained(find(str(other)), "speech", ("anger", "sadness"))


@pytest.mark.parametrize("save", [tiny.save_vit, tiny.save_timm])
def test_a_stopped_fine_tuning_goes_on_to_the_same_bytes(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, save: Callable[[Path], str]
) -> None:
    source = save(tmp_path_factory.mktemp("base"))
    params = {**FINETUNE, "checkpoint": source, "classes": tiny.IMAGE_CLASSES, "epochs": 3, "augment": {"flip": True}}
    calm = tmp_path_factory.mktemp("calm")
    tiny.write_corpora(calm)
    metrics = train(calm, "image", params)
    assert metrics["held_out"]["protocol"] == "80/5/15 stratified"
    assert 0 < metrics["held_out"]["rows"] < metrics["used"] == 12

    decode = corpora.DECODE["image"]
    decoded: list[Path] = []
    after: list[Path] = []

    def until_the_third_epoch(path: Path) -> tuple[Any, str]:
        # Eight rows train, in batches of four: two steps an epoch.
        if list(root.glob(".work/train_teacher.image.finetune/*/kept/checkpoints/checkpoint-4/trainer_state.json")):
            after.append(path)
        if len(after) > 2:
            raise KeyboardInterrupt
        return decode(path)

    monkeypatch.setitem(corpora.DECODE, "image", until_the_third_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(root, "image", params)
    assert not (root / "data/checkpoints").exists()

    def counted(path: Path) -> tuple[Any, str]:
        decoded.append(path)
        return decode(path)

    monkeypatch.setitem(corpora.DECODE, "image", counted)
    train(root, "image", params)
    assert len(decoded) < 2 * 12  # two epochs were not trained again
    assert content(root / "data/checkpoints/ier") == content(calm / "data/checkpoints/ier")
    assert content(root / "reports") == content(calm / "reports")


SPEC = {"time_masks": 1, "time_width_share": 0.2, "frequency_masks": 1, "frequency_width_share": 0.2}


def test_waveforms_are_masked_in_training_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[Any] = []

    def noting(wave: Any, *_: Any, **__: Any) -> Any:
        masked.append(wave)
        return wave

    monkeypatch.setattr(fit, "mask_waveform", noting)
    source = tiny.save_wav2vec2(root / "base")
    params = {**FINETUNE, "checkpoint": source, "classes": tiny.SPEECH_CLASSES, "held_out_sessions": 1}
    metrics = train(root, "speech", {**params, "augment": {"spec_augment": SPEC}})
    assert len(masked) == sum(2 * figures["rows"]["train"] for figures in metrics["trainings"].values())
    network = load_teacher(root / "data/checkpoints/ser")
    assert isinstance(network, CheckpointTeacher)
    assert not network.network.network.config.apply_spec_augment  # its own, on its makers' terms
    with pytest.raises(UserError, match=r"speech\.augment\.flip = true: speech cannot be mirrored; expected false"):
        train(root, "speech", {**params, "augment": {"flip": True}})


def test_faults_of_a_fine_tuning_name_the_key(root: Path) -> None:
    params = {**FINETUNE, "checkpoint": tiny.save_vit(root / "base"), "classes": tiny.IMAGE_CLASSES}
    for changes, message in (
        (
            {"augment": {"spec_augment": SPEC}},
            r"image\.augment\.spec_augment: pictures have no spectrogram; expected null",
        ),
        ({"held_out_sessions": 2}, r"train_teacher\.image\.held_out_sessions = 2: pictures have no sessions"),
        ({"checkpoint": str(root)}, r"train_teacher\.image\.checkpoint: .*: expected config\.json of a network"),
        ({"mixed_precision": "fp16"}, r"train_teacher\.image\.mixed_precision = fp16 needs SIER_DEVICE=cuda"),
        ({"learning_rate": 1e30}, "the loss is no number; lower train_teacher.image.learning_rate"),
    ):
        with pytest.raises(UserError, match=message):
            train(root, "image", {**params, **changes})


def test_the_kinds_that_the_page_on_teachers_shows_are_valid() -> None:
    page = (PROJECT / "docs" / "how-to" / "teachers.md").read_text(encoding="utf-8")
    (block,) = (text for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "train_teacher:" in text)
    shown = yaml.safe_load(block)
    for modality, labels in (("speech", iemocap.EMOTIONS), ("image", fi.EMOTIONS)):
        params = section(shown, f"train_teacher.{modality}", SECTION)
        assert set(params.classes) == set(labels)
    assert [shown["train_teacher"][modality]["kind"] for modality in ("speech", "image")] == ["checkpoint", "finetune"]


def test_a_probe_cannot_be_compiled(tmp_path: Path) -> None:
    card = {"kind": "probe", "features": "acoustic", "classes": [], "normalise": "none", "digest": "0"}
    (tmp_path / "teacher.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="holds a probe, which torch cannot compile; set compile: false"):
        load_teacher(tmp_path, compiled=True)
