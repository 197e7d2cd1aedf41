"""What a build was made with, and its terms: cards name that, and nothing of the paper's that was not used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.dataset import sources, terms
from pipeline.dataset.sources import Provenance
from pipeline.errors import UserError
from pipeline.frame import acquired
from pipeline.labels.rules import Further
from tests.builders_provenance import PROBES, provenance

READY: dict[str, Any] = {"kind": "checkpoint", "checkpoint": "superb/wav2vec2-base-superb-er"}
TUNED: dict[str, Any] = {"kind": "finetune", "checkpoint": "google/vit-base-patch16-224"}
FUSED = (
    "logistic regression on vectors of Whisper tiny.en, and on TF-IDF and VADER of the words that Whisper tiny.en "
    "hears, trained on RAVDESS"
)
OPEN = {"b_t4sa": "b_t4sa", "iemocap": "ravdess", "fi": "picture_folders"}


def names(found: Provenance) -> dict[str, str]:
    return {source.terms.name: source.role for source in found.sources}


def test_every_corpus_has_an_entry_and_every_entry_says_where_it_can_be_read() -> None:
    table = terms.table()
    assert {form: one.name for form, one in table["corpora"].items()} == dict(acquired.NAMED)
    own = {"table", "speech_table", "picture_table", "picture_folders"}
    for kind in terms.KINDS:
        for name, one in table[kind].items():
            assert one.terms
            assert not one.terms.endswith(".")
            source = terms.of(kind, name.replace("*", "x"), "owner/x").source
            assert (source or "").startswith(("http", "the package ")) == (name not in own), name
    assert all(one.domain for form, one in table["corpora"].items() if form not in {"b_t4sa", "table"})


def test_licences_are_those_of_their_sources() -> None:
    def licence(kind: terms.Kind, name: str, shown: str = "") -> str | None:
        return terms.of(kind, name, shown).licence

    assert licence("voices", "transformers_vits:facebook/mms-tts-deu", "facebook/mms-tts-deu") == "CC-BY-NC-4.0"
    assert licence("voices", "hibari:heart") == "Apache-2.0"
    assert licence("corpora", "crema_d") == "ODbL-1.0"
    assert licence("weights", "whisper-tiny.en") == "MIT"
    assert licence("weights", "tf_efficientnet_lite0") is None
    assert "research only" in terms.of("voices", "piper:en_US-lessac-high", "en_US-lessac-high").terms


@pytest.mark.parametrize(
    ("kind", "name", "page"),
    [
        ("checkpoints", "somebody/net", "https://huggingface.co/somebody/net"), ("weights", "own", None),
        ("voices", "piper:amy", None), ("texts", "my_table", None),
    ],
)  # fmt: skip
def test_what_is_not_in_the_table_is_said_not_to_be_known(kind: terms.Kind, name: str, page: str | None) -> None:
    found = terms.of(kind, name)
    assert (found.terms, found.licence, found.source, found.cite) == (terms.UNKNOWN, None, page, [])


def test_the_paper_s_own_build_names_its_corpora_and_weights(tmp_path: Path) -> None:
    found = provenance(tmp_path, texts=["goemotions", "my_table"])
    assert found.teachers["speech"].made == (
        "logistic regression on Multilingual Universal Sentence Encoder and VADER of the words that Whisper tiny.en "
        "hears, trained on IEMOCAP, GoEmotions and my_table"
    )
    assert found.teachers["speech"].domain == "acted dialogues, comments on Reddit and my_table"
    assert found.teachers["image"].made == "logistic regression on vectors of EfficientNet-Lite0, trained on FI"
    assert names(found)["my_table"] == "emotion texts"
    assert found.holds_posts


ASKED = (
    "facebook/hubert-x, a model behind an endpoint that was sent the words that Whisper tiny.en hears: measured on "
    "RAVDESS, not trained on it here"
)


@pytest.mark.parametrize(
    ("speech", "said", "absent"),
    [
        ({"kind": "probe", "features": "acoustic", "encoder": "whisper-tiny.en"},
         "logistic regression on vectors of Whisper tiny.en, trained on RAVDESS", "VADER"),
        ({"kind": "probe", "features": "acoustic", "encoder": "microsoft/wavlm-base", "weights": "hub"},
         "logistic regression on vectors of microsoft/wavlm-base, trained on RAVDESS", "VADER"),
        ({"kind": "probe", "features": "acoustic", "encoder": "wavlm", "weights": "/home/me/net"},
         "logistic regression on vectors of wavlm (net), trained on RAVDESS", "/home/me"),
        ({"kind": "probe", "features": "fused", "encoder": "whisper-tiny.en", "words": {"encoder": "tf-idf+vader"}},
         FUSED, "Sentence Encoder"),
        ({"kind": "probe", "features": "linguistic", "encoder": "whisper-tiny.en", "words": {"encoder": "tf-idf"}},
         "logistic regression on TF-IDF of the words that Whisper tiny.en hears, trained on RAVDESS", "VADER"),
        ({"kind": "finetune", "checkpoint": "facebook/wav2vec2-base"},
         "facebook/wav2vec2-base, fine-tuned on RAVDESS", "VADER"),
        ({"kind": "finetune", "checkpoint": "/home/me/nets/own"}, "own, fine-tuned on RAVDESS", "/home/me"),
        ({"kind": "checkpoint", "checkpoint": "somebody/net"},
         "somebody/net, taken as it is: measured on RAVDESS, not trained on it here", "trained on RAVDESS "),
        ({"kind": "zero_shot", "checkpoint": "google/siglip2-base-patch16-224"},
         "google/siglip2-base-patch16-224, told the classes in words: measured on RAVDESS, not trained on it here",
         "trained on RAVDESS "),
        ({"kind": "endpoint", "features": "linguistic", "model": "facebook/hubert-x"},
         ASKED, "Apache-2.0; as its page"),
    ],
)  # fmt: skip
def test_other_teachers_are_called_what_they_are(
    tmp_path: Path, speech: dict[str, Any], said: str, absent: str
) -> None:
    found = provenance(tmp_path, formats=OPEN, teachers={"speech": speech, "image": TUNED})
    assert found.teachers["speech"].made == said
    assert found.teachers["image"].made == "google/vit-base-patch16-224, fine-tuned on pictures of the maker's own"
    everything = f"{found.teachers} {names(found)}"
    assert absent not in everything
    assert not any(name in everything for name in ("IEMOCAP", "EfficientNet", "'FI'"))


def test_scores_that_others_made_are_named_with_the_terms_that_were_given(tmp_path: Path) -> None:
    scores = {
        "kind": "scores",
        "name": "Model X",
        "path": "/home/me/x.csv",
        "licence": "CC-BY-4.0",
        "source": "a letter",
    }
    voter = Further(kind="scores", path="/home/me/votes.csv", name="crowd", weight=0.2)
    teachers = {"speech": scores, "image": TUNED}
    found = provenance(tmp_path, teachers=teachers, voters=[voter], samples=["iemocap", "fi"])
    assert found.teachers["speech"].made == "scores of Model X, made outside this pipeline, 1,234 rows"
    assert found.samples == ("fi",)  # nothing was made of the other
    assert "speech teacher's corpus" not in {source.role for source in found.sources}
    by_role = {source.role: source.terms for source in found.sources}
    told = by_role["speech teacher's scores"]
    assert (told.name, told.licence, told.see) == ("Model X", "CC-BY-4.0", "a letter")
    assert by_role["voter besides the teachers"].terms == terms.UNKNOWN
    assert "/home/me" not in str(found)


def test_what_a_ready_classifier_learnt_from_is_its_domain(tmp_path: Path) -> None:
    found = provenance(tmp_path, formats=OPEN, teachers={"speech": READY, "image": {**READY, "checkpoint": "a/b"}})
    assert found.teachers["speech"].domain == "acted dialogues (IEMOCAP)"
    assert found.teachers["image"].domain == "what a/b was trained on"


def test_the_commit_of_a_ready_classifier_and_what_its_probabilities_are_stand_in_the_cards(tmp_path: Path) -> None:
    said = {"commit": "c0ffee", "head": "regression", "probabilities_are": "posterior"}
    made = provenance(tmp_path, teachers={"speech": READY, "image": TUNED}, reported=said).teachers["speech"].made
    assert made.startswith("superb/wav2vec2-base-superb-er (commit c0ffee), taken as it is: measured on IEMOCAP")
    assert made.endswith("not trained on it here; probabilities: posterior")


def test_a_sample_is_under_the_pipeline_s_licence_and_cites_nobody(tmp_path: Path) -> None:
    samples = [*acquired.CORPORA, "emotion_texts"]
    found = provenance(tmp_path, samples=samples, texts=["isear"])
    assert found.samples == acquired.CORPORA
    assert not found.holds_posts
    sampled = [source.terms for source in found.sources if source.terms.name.startswith("the sample of ")]
    assert [one.name.removeprefix("the sample of ") for one in sampled] == ["B-T4SA", "IEMOCAP", "ISEAR", "FI"]
    assert all((one.licence, one.cite) == ("Apache-2.0", []) for one in sampled)


def test_emoset_in_the_place_of_fi_is_called_emoset(tmp_path: Path) -> None:
    found = provenance(tmp_path, files=["train.json", "val.json", "test.json", "image/awe/1.jpg"])
    assert found.corpora["fi"].name == "EmoSet-118K"
    assert "trained on EmoSet-118K" in found.teachers["image"].made


def test_voices_are_told_by_speaker_and_a_file_is_not_taken_for_a_packaged_voice(tmp_path: Path) -> None:
    mms = {"engine": "transformers_vits", "model": "facebook/mms-tts-eng"}
    found = provenance(tmp_path / "mms", voice=mms, voices=["facebook/mms-tts-eng", "facebook/mms-tts-eng:3"])
    assert [one.name for one in found.voices.values()] == [
        "MMS voice facebook/mms-tts-eng", "MMS voice facebook/mms-tts-eng, speaker 3",
    ]  # fmt: skip
    packaged = provenance(tmp_path / "a", voice={"engine": "hibari", "model": "heart"}, voices=["heart"])
    assert packaged.voices["heart"].licence == "Apache-2.0"
    own = provenance(tmp_path / "b", voice={"engine": "hibari", "model": "/mine/heart.onnx"}, voices=["heart"])
    assert (own.voices["heart"].name, own.voices["heart"].terms) == ("hibari voice heart", terms.UNKNOWN)


def test_a_recogniser_is_named_where_it_heard_something(tmp_path: Path) -> None:
    acoustic = {**PROBES, "speech": {"kind": "probe", "encoder": "whisper-tiny.en", "features": "acoustic"}}
    silent = provenance(tmp_path / "a", teachers=acoustic, recognition={"share": 0.0, "model": None})
    assert silent.recogniser is None
    assert "recogniser" not in names(silent).values()
    own = provenance(tmp_path / "b", recognition={"share": 1.0, "model": "/home/me/base"})
    assert own.recogniser is not None
    assert (own.recogniser.name, own.recogniser.terms) == ("recogniser base", terms.UNKNOWN)


def test_weights_of_a_network_are_named_where_it_starts_from_them() -> None:
    lite0 = {"name": "tf_efficientnet_lite0", "pretrained": True, "weights": None}
    hub = {"name": "vgg19", "pretrained": True, "weights": "hub"}
    bare = {"name": "vgg16", "pretrained": False, "weights": None}

    def weights(image: dict[str, Any], speech: dict[str, Any], modalities: str = "both") -> list[str]:
        network = {"modalities": modalities, "image_backbone": image, "speech_backbone": speech}
        return [source.terms.name for source in sources.backbones(network)]

    assert weights(hub, bare) == ["vgg19 (from the Hub)"]
    assert weights({**hub, "weights": "/home/me/vgg19.pth"}, bare) == ["vgg19 (vgg19.pth)"]
    assert weights(lite0, {**lite0, "name": "whisper-tiny.en"}) == ["Whisper tiny.en", "EfficientNet-Lite0"]
    assert weights(lite0, hub, "image") == ["EfficientNet-Lite0"]


def test_a_report_of_another_teacher_than_the_parameters_say_is_refused(tmp_path: Path) -> None:
    provenance(tmp_path)
    sections = {"synthesize": {"voice": {"engine": "hibari", "model": "heart"}}, "train_teacher": PROBES}
    reports = {"speech": {"kind": "finetune"}, "image": {"kind": "probe"}}
    with pytest.raises(UserError, match="kind = probe, but the teacher that labelled was finetune; run: dvc repro"):
        sources.gather(sections, reports, tmp_path, ["heart"])
