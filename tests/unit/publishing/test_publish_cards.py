"""Cards and Croissant metadata: every number is a measured one, and without it there is no card."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from datasets import Audio, ClassLabel, Features, Image, Value
from huggingface_hub import DatasetCard, ModelCard

from pipeline.dataset import terms
from pipeline.dataset.sources import Provenance, Source
from pipeline.errors import UserError
from pipeline.labels.rules import AppliedRule, Further, Temperatures
from pipeline.networks.params import InputParams
from pipeline.publishing import cards, columns, croissant, pictures
from pipeline.publishing.export import Exported, Part
from pipeline.publishing.facts import Facts
from pipeline.publishing.responsible import responsible
from tests.builders_provenance import provenance

LABELS = ("anger", "happy", "hate", "sad")
COUNTS = {"anger": 2, "happy": 1, "hate": 0, "sad": 1}
INPUTS = InputParams(image_size_px=32, n_mels=16, n_frames=16, duration_seconds=1.0)
SHOWN = {"protocol": "leave one out", "rows": 17, "accuracy": 0.6543, "low": 0.41, "high": 0.83, "commonest_class": 0.4}
TEACHER: dict[str, Any] = {"shown": SHOWN, "too_few_to_learn": ["disgust: 2 rows"]}
ASSOCIATION = {
    "rows": 4, "groups": 3, "cramers_v": 0.26, "corrected_v": 0.24, "low": 0.19, "high": 0.35, "by_chance": 0.12,
    "p_value": 0.004,
}  # fmt: skip
AGREEMENT = {"share": 0.3, "by_chance": 0.28, "cohen_kappa": 0.02}
SCORES = {"accuracy": 0.5151, "macro_f1": 0.4022, "cohen_kappa": 0.3098}
REPORTS: dict[str, Any] = {
    "clean": {"rows_in": 11, "rows_out": 9, "rejected": {"image_bomb": 2}},
    "synthesize": {"rows_in": 9, "rows_out": 8},
    "train_teacher_speech": TEACHER,
    "train_teacher_image": TEACHER,
    "label": {
        "rows_in": 8, "kept": 4, "share_decided_by_speech": 0.35, "speech_features": "linguistic",
        "decided_alone": ["anger: decided by pictures alone, all 1 rows"],
        "agreement": {"all_rows": AGREEMENT, "kept_rows": AGREEMENT},
        "verdict": {"holds": True, "words": "labels go with something"},
        "validity": {"note": "Text against text", "table": [
            {"of": "labels", "over": "kept rows", **ASSOCIATION},
            {"of": "decided by speech", "over": "kept rows", **ASSOCIATION, "cramers_v": None},
        ]},
        "confounds": [{"confound": "duration", "of": "labels", **ASSOCIATION}],
    },
    "assemble": {
        "rows": 4, "labels": COUNTS, "splits": {"train": {"rows": 3, **COUNTS}, "test": {"rows": 1, **COUNTS}},
        "fold_rows": [1, 1, 1],
        "leaks": {"found": 0, "compared": {"images": {"at_most_bits": 46}, "texts": {"at_least_jaccard": 0.8}}},
    },
    "evaluate": {"without_training": {"sier": {"majority_class": {
        "rows": 67, "accuracy": 0.53, "macro_f1": 0.17, "cohen_kappa": 0.0, "intervals": {"accuracy": [0.4, 0.66]},
    }}}, "models": {"parallelnet": {
        "parameters": 12345,
        "validation": {"per_run": [{"accuracy": 0.5}], **{name: {"mean": value} for name, value in SCORES.items()}},
        "test": {**SCORES, "rows": 67,
                 "intervals": {"accuracy": [0.37, 0.61], "macro_f1": [0.3, 0.5], "cohen_kappa": None},
                 "per_class": {"anger": {"recall": 0.5, "precision": None, "f1": 0.5, "support": 2}}},
    }}},
}  # fmt: skip
CONFIG = {
    "image_size_px": 32, "duration_seconds": 1.0, "sampling_rate_hz": 16_000, "image_backbone": "vgg19",
    "speech_backbone": "vgg16", "freeze_backbone": False, "id2label": dict(enumerate(LABELS)),
}  # fmt: skip
BACKBONE = {"name": "tf_efficientnet_lite0", "pretrained": True, "weights": None}
NETWORK = {"rows": "sier", "modalities": "both", "image_backbone": BACKBONE, "speech_backbone": BACKBONE}
TEXT = Value("string")
SIER = Features({
    "id": TEXT, "audio": Audio(sampling_rate=16_000), "image": Image(), "text": TEXT,
    "label": ClassLabel(names=list(LABELS)), "decided_by": TEXT, "confidence": Value("float32"),
    "agreement": Value("bool"), "p_speech_anger": Value("float32"), "p_image_anger": Value("float32"),
    "sentiment": TEXT, "group_id": TEXT, "voice": TEXT, "word_error_rate": Value("float32"), "fold": Value("int8"),
})  # fmt: skip


@pytest.fixture
def built(tmp_path: Path) -> Provenance:
    """The paper's corpora, a Piper voice, and probes."""
    return provenance(tmp_path / "corpora", voices=["en_US-joe-medium"])


@pytest.fixture
def facts(built: Provenance) -> Facts:
    rows = pd.DataFrame({
        "id": list("abcd"), "label": ["anger", "anger", "happy", "sad"], "decided_by": ["speech"] + ["image"] * 3,
        "confidence": [0.5, 0.6, 0.7, 0.8], "group_id": list("aabc"),
        "agreement": [True, False, True, False], "voice": "en_US-joe-medium",
        "sentiment": ["negative", "negative", "positive", "neutral"], "word_error_rate": [0.1, None, 0.3, None],
    })  # fmt: skip
    return Facts(
        reports=copy.deepcopy(REPORTS),
        rule=AppliedRule("max_probability", 0.5, {"anger": "anger"}, "match", temperatures=Temperatures(1.5, 2.0)),
        params={"base": {"seed": 7}, "synthesize": {"voice": {"model": "/home/me/secret/voice.onnx"}}, "train": {},
                "models": {"parallelnet": NETWORK}},
        labels=LABELS,
        rows=rows,
        provenance=built,
        normalised=True,
        audit=None,
    )  # fmt: skip


def exported(folder: Path, mode: columns.Mode) -> Exported:
    found = Exported(folder, mode)
    found.features = {
        "data": columns.dataset_features(SIER, mode, True, INPUTS), "sentiment": columns.sentiment_features(mode),
    }  # fmt: skip
    names = {"data": ("train", "test"), "sentiment": ("train", "validation", "test")}
    for level, splits in names.items():
        found.parts[level] = [Part(f"{level}/{split}-00000-of-00001.parquet", split, 2) for split in splits]
        for part in found.parts[level]:
            (folder / part.name).parent.mkdir(parents=True, exist_ok=True)
            (folder / part.name).write_bytes(b"12345")
    return found


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]
    return [path]


# What the cards tell of counted things by name: a class or a status that is not there is not told.
UNTOLD = {("assemble", "splits", split, name) for split in ("train", "test") for name in ("rows",)} | {
    ("clean", "rejected", "image_bomb"),
}  # fmt: skip
DATASET_LEAVES = [leaf for leaf in leaves({k: v for k, v in REPORTS.items() if k != "evaluate"}) if leaf not in UNTOLD]
MODEL_LEAVES = [
    leaf for leaf in leaves({"evaluate": REPORTS["evaluate"]}) if leaf[-2:] != ("validation", "folds")
]  # fmt: skip


def without(facts: Facts, leaf: tuple[Any, ...]) -> Facts:
    reports: Any = copy.deepcopy(facts.reports)
    place = reports
    for key in leaf[:-1]:
        place = place[key]
    del place[leaf[-1]]
    return replace(facts, reports=reports)


@pytest.mark.parametrize("mode", columns.MODES)
def test_the_card_has_a_header_that_the_hub_reads_and_the_measured_numbers(
    facts: Facts, tmp_path: Path, mode: columns.Mode
) -> None:
    text = cards.dataset_card(facts, exported(tmp_path, mode), "me/sier", keep_personal=False)
    header = DatasetCard(text).data
    assert [entry["config_name"] for entry in header["configs"]] == ["default", "full", "sentiment"]
    assert not [name for name in header["configs"][0]["columns"] if name.startswith("p_")]
    assert ("audio" in header["configs"][0]["columns"]) == (mode == "full")
    assert "65.4% (41% to 83%, 17 rows; commonest class 40%; leave one out)" in text
    assert "| labels: kept rows | 4 | 3 | 0.26 (0.24; 0.19 to 0.35) | 0.12 | 0.004 |" in text
    assert "| decided by speech: kept rows | 4 | 3 | not measured | | |" in text
    assert "| duration | 4 | 3 | 0.26 (0.24; 0.19 to 0.35) | 0.12 | 0.004 |" in text
    assert text.index("labels go with something.**\nText against text.") < text.index("pairs of a synthetic utterance")
    assert "by chance\n28 %, Cohen's kappa 0.02" in text
    assert "/home/me" not in text
    assert ("sier rebuild" in text) == (mode == "no_media")
    assert "audited" in text


def test_further_voters_and_teachers_that_nobody_measured_are_told(facts: Facts, tmp_path: Path) -> None:
    voter = Further(kind="scores", path="votes.csv", name="crowd", weight=0.2, digest="0123456789abcdef")
    hot = Temperatures(1.5, 2.0, {"crowd": 0.5})
    rule = AppliedRule("log_pool", 0.5, {"anger": "anger"}, "match", further=(voter,), temperatures=hot)
    measured: dict[str, Any] = {
        "speech": {"shown": None, "reliability": None},
        "image": {"reliability": {"words": "error 3.0%"}},
    }
    teachers = {f"train_teacher_{name}": TEACHER | told for name, told in measured.items()}
    voters = (Source("voter besides the teachers", terms.of("weights", "crowd")),)
    provenance_told = replace(facts.provenance, voters=voters)
    told = replace(facts, rule=rule, provenance=provenance_told, reports={**facts.reports, **teachers})
    text = cards.dataset_card(told, exported(tmp_path, "no_media"), "me/sier", keep_personal=False)
    assert "2. Both and the outside scores crowd (digest 0123456789ab) are multiplied to one opinion" in text
    assert "weights speech 0.5, image 0.5, crowd 0.2, divided by their sum" in text
    assert "one temperature (speech 1.50, image 2.00, crowd 0.50)" in text
    assert "| speech | IEMOCAP | not measured | not measured |" in text
    assert "| error 3.0% |" in text
    assert "| voter besides the teachers | crowd |" in text
    said = responsible(told, "no_media", keep_personal=False)
    assert said["annotations_per_item"] == "3, by models and outside scores"
    assert "voter besides the teachers: crowd" in said["machine_annotation_tools"]


STABILITY = {
    "current": True, "rows_asked_of_voices": 2,
    "variants": [
        {
            "name": "another voice", "settings": {"synthesize.voice": {"model": "/home/me/a|b.onnx"}}, "rows": 4,
            "kept": {"before": 4, "after": 3, "both": 2}, "cohen_kappa": None,
            "changed": {"rows": 1, "share": 0.5, "low": 0.1, "high": 0.9}, "validity": {"after": ASSOCIATION},
        },
        {
            "name": "nothing kept", "settings": {"label.threshold": 1.0}, "rows": 4,
            "kept": {"before": 4, "after": 0, "both": 0}, "cohen_kappa": None,
            "changed": dict.fromkeys(("rows", "share", "low", "high")),
            "validity": {"after": {**ASSOCIATION, "cramers_v": None}},
        },
    ],
}  # fmt: skip


def test_what_other_settings_change_is_told_of_these_labels_only(facts: Facts, tmp_path: Path) -> None:
    parts = exported(tmp_path, "no_media")

    def told(**changes: Any) -> str:
        reports = {**facts.reports, "stability": {**STABILITY, **changes}}
        return cards.dataset_card(replace(facts, reports=reports), parts, "me/sier", keep_personal=False)

    text = told()
    assert (
        '\n| another voice | synthesize.voice = {"model": "a\\|b.onnx"} | 4 | 4, 3, 2 | 50.0 % (10.0 % to 90.0 %) '
        "| none | 0.26 (0.24; 0.19 to 0.35) | 0.12 | 0.004 |\n"
        "| nothing kept | label.threshold = 1.0 | 4 | 4, 0, 0 | none | none | not measured | | |\n\nWhere a voice"
    ) in text
    assert "Where a voice spoke anew" not in told(rows_asked_of_voices=None)
    assert "was measured for other labels than these" in told(current=False)
    assert "another voice |" not in told(current=False)
    without_any = cards.dataset_card(facts, parts, "me/sier", keep_personal=False)
    assert (
        "How many labels another voice, teacher, threshold or seed would change has not been measured." in without_any
    )


@pytest.mark.parametrize("leaf", DATASET_LEAVES, ids="/".join)
def test_a_dataset_card_without_a_measured_number_is_not_written(
    facts: Facts, tmp_path: Path, leaf: tuple[Any, ...]
) -> None:
    parts = exported(tmp_path, "no_media")
    with pytest.raises(UserError, match="dvc repro"):
        cards.dataset_card(without(facts, leaf), parts, "me/sier", keep_personal=False)


@pytest.mark.parametrize("leaf", MODEL_LEAVES, ids="/".join)
def test_a_model_card_without_a_measured_number_is_not_written(facts: Facts, leaf: tuple[Any, ...]) -> None:
    with pytest.raises(UserError, match="dvc repro"):
        cards.model_card(without(facts, leaf), "me/net", "parallelnet", CONFIG)


def test_a_network_that_was_not_evaluated_has_no_card(facts: Facts) -> None:
    with pytest.raises(UserError, match="dvc repro evaluate"):
        cards.model_card(facts, "me/net", "ser_only", CONFIG)


def test_the_model_card_tells_the_figures_and_how_to_use_it(facts: Facts) -> None:
    text = cards.model_card(facts, "me/net", "parallelnet", CONFIG)
    data: Any = ModelCard(text).data
    assert data.library_name == "transformers"
    assert [result.metric_value for result in data.eval_results or []] == [0.5151, 0.4022, 0.3098]
    assert 'AutoModel.from_pretrained("me/net", trust_remote_code=True)' in text
    assert "51.5 % (37.0 % to 61.0 %)" in text


def test_what_the_speech_teacher_goes_by_is_told_with_what_a_list_of_words_says(facts: Facts, tmp_path: Path) -> None:
    parts = exported(tmp_path, "no_media")
    reports: Any = copy.deepcopy(facts.reports)
    alone = [("speech teacher", 0.4), ("VADER on the text", 0.35)]
    reports["label"]["validity"]["table"] = [
        {**ASSOCIATION, "of": of, "over": "all rows", "cramers_v": v} for of, v in alone
    ]

    def told(features: str) -> str:
        reports["label"]["speech_features"] = features
        return cards.dataset_card(replace(facts, reports=reports), parts, "me/sier", keep_personal=False)

    words, sound = told("linguistic"), told("acoustic")
    assert "goes by the words that a recogniser hears in it, not by how it sounds" in words
    assert "its answers go by V 0.40; those of VADER, a list of words with their sentiment, by\n   0.35" in words
    assert "one temperature (speech 1.50, image 2.00)" in words
    assert "goes by how it sounds, not by the words" in sound
    assert "0.35. What the teacher adds" not in sound


def test_one_modality_that_decides_is_told_first(facts: Facts, tmp_path: Path) -> None:
    reports: Any = copy.deepcopy(facts.reports)
    reports["label"]["share_decided_by_speech"] = 0.04
    changed = replace(facts, reports=reports, audit={"rows": 3, "issues": 0.25})
    text = cards.dataset_card(changed, exported(tmp_path, "full"), "me/sier", keep_personal=True)
    assert text.index("**One modality decides.** 96 %") < text.index("## Configurations")
    assert "audited 3 rows and doubts 25.0 %" in text


def test_labels_that_go_with_nothing_are_told_before_anything_else(facts: Facts, tmp_path: Path) -> None:
    reports: Any = copy.deepcopy(facts.reports)
    reports["label"]["verdict"] = {"holds": False, "words": "labels do not go with it"}
    changed = replace(facts, reports=reports)
    text = cards.dataset_card(changed, exported(tmp_path, "full"), "me/sier", keep_personal=True)
    body = text.split("---\n", 2)[2].split("\n\n")
    assert body[1].startswith("**WARNING: pseudo-labels do not go with it.**")
    body = cards.model_card(changed, "me/net", "parallelnet", CONFIG).split("---\n", 2)[2].split("\n\n")
    assert body[1].startswith("WARNING: It learnt pseudo-labels")
    assert body[1].endswith("These pseudo-labels do not go with it.")


def metadata_of(facts: Facts, files: Exported) -> bytes:
    return croissant.croissant(
        facts, files, "me/sier", "https://example.org", keep_personal=False, published=date(2026, 3, 4)
    )


@pytest.mark.parametrize("mode", columns.MODES)
def test_croissant_is_valid_and_names_every_configuration(facts: Facts, tmp_path: Path, mode: columns.Mode) -> None:
    path = tmp_path / "croissant.json"
    path.write_bytes(metadata_of(facts, exported(tmp_path, mode)))
    croissant.check(path)
    value = json.loads(path.read_bytes())
    assert [record["@id"] for record in value["recordSet"]] == [
        "default-train", "full-train", "default-test", "full-test", "sentiment-train", "sentiment-validation",
        "sentiment-test",
    ]  # fmt: skip
    broken = copy.deepcopy(value)
    broken["recordSet"][0]["field"][0]["source"]["fileSet"]["@id"] = "nowhere"
    path.write_text(json.dumps(broken))
    with pytest.raises(UserError, match="not valid"):
        croissant.check(path)


def test_equal_rows_give_an_equal_picture(facts: Facts) -> None:
    first = pictures.distributions(facts.rows, LABELS)
    assert first.startswith(b"\x89PNG")
    assert pictures.distributions(facts.rows.copy(), LABELS) == first


def test_parameters_name_no_folder_of_the_machine() -> None:
    given = {
        "voice": {"model": "/home/alice/voices/amy.onnx", "engine": "piper"},
        "backbones": ["~/nets/vgg19.safetensors", "facebook/convnext-tiny-224", "../given/", "C:\\nets\\a.pt", 3, None],
    }
    assert cards.without_folders(given) == {
        "voice": {"model": "amy.onnx", "engine": "piper"},
        "backbones": ["vgg19.safetensors", "facebook/convnext-tiny-224", "given", "a.pt", 3, None],
    }


def test_cards_of_ones_own_pairs_name_the_corpora_that_were_used(facts: Facts, tmp_path: Path) -> None:
    formats = {"b_t4sa": "table", "iemocap": "ravdess", "fi": "picture_folders"}
    own = replace(facts, provenance=provenance(tmp_path / "own", formats=formats))
    there = exported(tmp_path, "full")
    del there.parts["sentiment"]
    text = cards.dataset_card(own, there, "me/own", keep_personal=False)
    assert not any(name in text for name in ("B-T4SA", "IEMOCAP", "(FI", "X's terms"))
    assert "| speech teacher's corpus | RAVDESS | CC-BY-NC-SA-4.0 |" in text
    assert [one["config_name"] for one in cards.configurations(there)] == ["default", "full"]
