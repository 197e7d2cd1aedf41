"""LICENSE, citation.bib, datasheet, gate, figures for the Hub, and what Croissant says besides names of columns."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlcroissant as mlc
import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard, parse_eval_result_entries

from pipeline.dataset import terms
from pipeline.dataset.sources import Provenance, Source
from pipeline.errors import UserError
from pipeline.publishing import cards, citations, columns, croissant, gate, results
from pipeline.publishing.facts import Facts
from pipeline.publishing.gate import Gate
from pipeline.publishing.history.receipts import Published
from tests.builders_provenance import provenance
from tests.unit.publishing.test_publish_cards import CONFIG, NETWORK, built, exported, facts, metadata_of, without

__all__ = ["built", "facts"]  # fixtures
RAI = (
    "dataCollection", "dataCollectionType", "dataCollectionMissingData", "dataPreprocessingProtocol",
    "dataAnnotationProtocol", "dataAnnotationPlatform", "dataAnnotationAnalysis", "annotationsPerItem",
    "annotatorDemographics", "machineAnnotationTools", "dataUseCases", "dataBiases", "dataLimitations",
    "personalSensitiveInformation", "dataSocialImpact", "dataReleaseMaintenancePlan",
)  # fmt: skip
OTHERS: list[dict[str, Any]] = [
    {"formats": {"b_t4sa": "table", "iemocap": "crema_d", "fi": "picture_table"},
     "teachers": {"speech": {"kind": "finetune", "checkpoint": "facebook/hubert-base-ls960"},
                  "image": {"kind": "checkpoint", "checkpoint": "somebody/net"}}},
    {"formats": {"b_t4sa": "table", "iemocap": "emodb", "fi": "picture_folders"},
     "teachers": {"speech": {"kind": "probe", "features": "acoustic", "encoder": "whisper-tiny.en"},
                  "image": {"kind": "finetune", "checkpoint": "facebook/convnext-tiny-224"}},
     "voice": {"engine": "transformers_vits", "model": "facebook/mms-tts-deu"}},
]  # fmt: skip


@pytest.mark.parametrize("other", OTHERS, ids=["checkpoint", "finetune"])
@pytest.mark.parametrize("mode", columns.MODES)
def test_whatever_is_published_names_what_was_used_and_nothing_else_of_the_paper_s(
    facts: Facts, tmp_path: Path, other: dict[str, Any], mode: columns.Mode
) -> None:
    bare = {"name": "vgg16", "pretrained": False, "weights": None}
    scratch = {**NETWORK, "image_backbone": bare, "speech_backbone": bare}
    params = {**facts.params, "models": {"parallelnet": scratch}}
    own = replace(facts, provenance=provenance(tmp_path / "own", **other), params=params)
    files = exported(tmp_path, mode)
    sources = own.provenance.sources
    texts = [
        cards.dataset_card(own, files, "me/own", keep_personal=False),
        cards.datasheet(own, files, "none", keep_personal=False),
        cards.licence(own, "this dataset", sources, ids_only=mode == "no_media"),
        citations.bibliography(sources),
        cards.model_card(own, "me/net", "parallelnet", CONFIG),
        metadata_of(own, files).decode(),
    ]
    for text in texts:
        assert not re.search(r"IEMOCAP|\bFI\b|EfficientNet|ImageNet weights|B-T4SA|Lite0", text)
    for text in (texts[0], texts[1], texts[2], texts[4]):
        for source in sources:
            assert source.terms.name in text


def test_every_thing_that_is_used_is_cited_or_said_to_have_no_known_publication(built: Provenance) -> None:
    text = citations.bibliography(built.sources)
    kept = set(re.findall(r"^@\w+\{([\w-]+),$", text, re.MULTILINE))
    assert kept == {citations.PAPER, *(key for source in built.sources for key in source.terms.cite)}
    own = Source("voice", terms.of("voices", "piper:amy", "amy"))
    assert "% No publication is known of: amy." in citations.bibliography([*built.sources, own])
    assert "No publication" not in text
    wrong = Source("voice", replace(own.terms, cite=["nobody2000"]))
    with pytest.raises(UserError, match="no entry nobody2000"):
        citations.bibliography([wrong])


def test_the_bibliography_is_whole_bibtex_and_has_all_that_the_table_cites() -> None:
    text = citations.FILE.read_text(encoding="utf-8")
    entries = citations.entries()
    assert "".join(f"{entry}\n" for entry in entries.values()) == text  # nothing lies between entries
    assert len(re.findall(r"^@", text, re.MULTILINE)) == len(entries)
    for key, entry in entries.items():
        assert entry.count("{") == entry.count("}")
        fields = dict(re.findall(r"^  (\w+) = \{(.+)\},?$", entry, re.MULTILINE))
        assert fields.keys() >= {"author", "title"} | ({"year"} if key != citations.PAPER else set()), key
        assert all(line.endswith(",") for line in entry.splitlines()[:-2])
        assert all("," in author or author == "others" for author in fields["author"].split(" and "))
    cited = {key for kind in terms.table().values() for one in kind.values() for key in one.cite}
    assert cited == entries.keys() - {citations.PAPER}


@pytest.mark.parametrize("mode", columns.MODES)
def test_a_datasheet_answers_the_seven_sections_with_measured_numbers(
    facts: Facts, tmp_path: Path, mode: columns.Mode
) -> None:
    text = cards.datasheet(facts, exported(tmp_path, mode), "manual", keep_personal=False)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Motivation", "Composition", "Collection process", "Preprocessing, cleaning, labelling", "Uses", "Distribution",
        "Maintenance",
    ]  # fmt: skip
    assert "4: anger 2, happy 1, hate 0, sad 1. They make 3 groups" in text
    assert "| image_bomb | 2 |" in text
    assert "Of 11 pairs 9 were left after cleaning, 8 could be spoken and 4 were" in text
    assert "whose request the publisher grants" in text
    assert re.search(r"\{\{|\}\}|\{%|%\}|Undefined|None", text) is None
    assert ("People in pictures." in text) == (mode == "full")
    card = cards.dataset_card(facts, exported(tmp_path, mode), "me/sier", keep_personal=False)
    assert "[datasheet](DATASHEET.md)" in card


@pytest.mark.parametrize("leaf", [("clean", "rejected"), ("synthesize", "rows_out"), ("assemble", "leaks"),
                                  ("label", "agreement", "kept_rows"), ("train_teacher_image", "shown")])  # fmt: skip
def test_a_datasheet_without_a_measured_number_is_not_written(
    facts: Facts, tmp_path: Path, leaf: tuple[str, ...]
) -> None:
    files = exported(tmp_path, "no_media")
    lacking = without(facts, leaf)
    with pytest.raises(UserError, match="dvc repro"):
        cards.datasheet(lacking, files, "none", keep_personal=False)
    with pytest.raises(UserError, match="dvc repro"):
        metadata_of(lacking, files)


@pytest.mark.parametrize("mode", columns.MODES)
def test_croissant_is_of_1_1_has_all_of_responsible_ai_and_nothing_to_warn_of(
    facts: Facts, tmp_path: Path, mode: columns.Mode
) -> None:
    path = tmp_path / "croissant.json"
    path.write_bytes(metadata_of(facts, exported(tmp_path, mode)))
    value = json.loads(path.read_bytes())
    assert value["conformsTo"] == list(croissant.CONFORMS_TO)
    assert {name for name in RAI if not value.get(f"rai:{name}")} == set()
    assert value["datePublished"] == "2026-03-04"
    assert value["license"].endswith("/me/sier/blob/main/LICENSE")
    assert value["creator"]["name"] == "me"
    metadata = mlc.Dataset(jsonld=path).metadata
    assert (set(metadata.ctx.issues.errors), set(metadata.ctx.issues.warnings)) == (set(), set())
    said = json.dumps(value)
    assert "65.4%" in said
    assert "2 of 11 pairs were rejected" in said


@pytest.mark.parametrize(("what", "expected"), [("no_media", "none"), ("full", "manual"), ("features", "manual"),
                                                ("parallelnet", "none")])  # fmt: skip
def test_media_and_what_can_be_heard_are_gated_and_ids_are_not(what: str, expected: Gate) -> None:
    assert gate.default_of(what) == expected


def test_the_header_says_in_what_words_access_is_asked_for(facts: Facts, tmp_path: Path) -> None:
    files = exported(tmp_path, "full")
    data: Any = DatasetCard(cards.dataset_card(facts, files, "me/sier", "manual", keep_personal=False)).data
    assert data["license_link"] == "LICENSE"
    assert "B-T4SA" in data["extra_gated_prompt"]
    assert "checkbox" in data["extra_gated_fields"].values()
    assert cards.UNSCREENED in data["tags"]
    network: Any = ModelCard(cards.model_card(facts, "me/net", "parallelnet", CONFIG, "auto")).data
    assert network["extra_gated_heading"]
    for text in (
        cards.dataset_card(facts, files, "me/sier", "none", keep_personal=False),
        cards.model_card(facts, "me/net", "parallelnet", CONFIG),
    ):
        assert "extra_gated" not in text
        assert "license_link: LICENSE" in text


def test_posts_come_with_a_warning_x_s_terms_and_a_way_out(facts: Facts, tmp_path: Path) -> None:
    text = cards.dataset_card(facts, exported(tmp_path, "full"), "me/sier", keep_personal=False)
    assert "> **Content.**" in text
    assert "X's terms let numbers of posts be passed on" in text
    assert "ask for its removal" in text
    assert "Nothing screens texts or pictures" in text
    licence = cards.licence(facts, "this dataset", facts.provenance.sources, ids_only=True)
    assert "This repository holds numbers of posts." in licence
    authored = replace(facts, provenance=provenance(tmp_path / "sample", samples=["b_t4sa", "iemocap", "fi"]))
    text = cards.dataset_card(authored, exported(tmp_path, "full"), "me/sier", keep_personal=False)
    assert not any(words in text for words in ("> **Content.**", "X's terms", cards.UNSCREENED))


def test_figures_for_the_hub_are_those_of_the_report_with_rows_and_interval(facts: Facts) -> None:
    measured = facts.reports["evaluate"]["models"]["parallelnet"]
    found = parse_eval_result_entries(yaml.safe_load(results.entries(measured, Published("me/sier", "a" * 40))))
    assert results.PATH == ".eval_results/sier.yaml"
    assert [(one.dataset_id, one.dataset_revision, one.task_id, one.value) for one in found] == [
        ("me/sier", "a" * 40, f"test_{name}", value)
        for name, value in (("accuracy", 0.5151), ("macro_f1", 0.4022), ("cohen_kappa", 0.3098))
    ]
    assert found[0].notes == "agreement with pseudo-labels, 67 rows; 95 % interval 0.370 to 0.610, by groups"
    assert found[2].notes == "agreement with pseudo-labels, 67 rows"


def test_a_network_stands_beside_the_commonest_class_with_its_intervals(facts: Facts) -> None:
    text = cards.model_card(facts, "me/net", "parallelnet", CONFIG, dataset="me/sier")
    assert "| test | 67 | 51.5 % (37.0 % to 61.0 %) | 0.402 (0.300 to 0.500) | 0.310 |" in text
    assert "| test, the commonest class always | 67 | 53.0 % (40.0 % to 66.0 %) | 0.170 | 0.000 |" in text
    data: Any = ModelCard(text).data
    assert {result.dataset_type for result in data.eval_results} == {"me/sier"}
    assert [result.metric_type for result in data.eval_results] == ["accuracy", "f1", "cohen_kappa"]
