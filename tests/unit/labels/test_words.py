"""What is said first of the labels."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.labels import words

KNOWN: dict[str, Any] = {"cramers_v": 0.407, "corrected_v": 0.39, "by_chance": 0.117, "p_value": 0.001}
CHANCE: dict[str, Any] = {"cramers_v": 0.076, "corrected_v": 0.05, "by_chance": 0.056, "p_value": 0.24}
DURATION: dict[str, Any] = {
    "confound": "duration", "of": "labels", "cramers_v": 0.22, "corrected_v": 0.2, "by_chance": 0.06, "p_value": 0.001,
}  # fmt: skip
NONE: dict[str, Any] = dict.fromkeys(KNOWN)
NOT = "labels do not go with the texts' sentiment: V 0.08, by chance 0.06, p 0.240"
NOTHING = "do they go with anything else that was measured"
SENTIMENT = "with the texts' sentiment: V 0.41, by chance 0.12, p 0.001"


@pytest.mark.parametrize(
    ("validity", "confounds", "is_sample", "holds", "expected"),
    [
        (KNOWN, [], False, True, f"labels go {SENTIMENT}"),
        (KNOWN, [DURATION], True, True, f"labels go {SENTIMENT} (by construction)"),
        (KNOWN, [{**DURATION, "corrected_v": 0.5, "cramers_v": 0.51}], False, False,
         f"labels go {SENTIMENT}; they go more with the recording's duration: V 0.51, by chance 0.06, p 0.001"),
        (KNOWN, [{**DURATION, "corrected_v": 0.5, "of": "speech teacher"}], False, True, f"labels go {SENTIMENT}"),
        (CHANCE, [DURATION], False, False,
         f"{NOT}; they go with the recording's duration: V 0.22, by chance 0.06, p 0.001"),
        (CHANCE, [{**DURATION, "corrected_v": 0.04}], False, False,
         f"{NOT}; they go with the recording's duration: V 0.22, by chance 0.06, p 0.001"),
        (CHANCE, [{**DURATION, "p_value": 0.02}], True, False, f"{NOT}; nor {NOTHING}"),
        ({**KNOWN, "cramers_v": 0.11}, [], False, False,
         f"labels do not go with the texts' sentiment: V 0.11, by chance 0.12, p 0.001; nor {NOTHING}"),
        (NONE, [{**NONE, "confound": "voice", "of": "labels"}], False, False,
         f"labels and the texts' sentiment: {words.NOT_MEASURED}; nor {NOTHING}"),
        (NONE, [DURATION], False, False,
         (f"labels and the texts' sentiment: {words.NOT_MEASURED}; they go with the recording's duration: V 0.22, by "
          "chance 0.06, p 0.001")),
    ],
)  # fmt: skip
def test_the_verdict_in_words(
    validity: dict[str, Any], confounds: list[dict[str, Any]], is_sample: bool, holds: bool, expected: str
) -> None:
    found = words.verdict(validity, confounds, is_sample=is_sample)
    assert (found["holds"], found["words"]) == (holds, expected)
    assert expected.startswith("labels ")


@pytest.mark.parametrize(("p", "holds"), [(0.01, True), (0.011, False)])
def test_one_in_a_hundred_is_the_most_that_chance_may_reach(p: float, holds: bool) -> None:
    assert words.stands_out({**KNOWN, "p_value": p}) == holds


@pytest.mark.parametrize(
    ("holds", "share", "expected"),
    [
        (True, 0.5, ["w", "n"]),
        (False, 0.3, ["WARNING: w", "n"]),
        (True, 0.82, ["w", "WARNING: one modality decides: speech, 82% of the kept rows", "n"]),
        (False, 0.29, ["WARNING: w", "WARNING: one modality decides: image, 71% of the kept rows", "n"]),
    ],
)
def test_warnings_and_what_the_sentiment_is_come_first(holds: bool, share: float, expected: list[str]) -> None:
    verdict = {"holds": holds, "words": "w"}
    metrics = {"share_decided_by_speech": share, "verdict": verdict, "validity": {"note": "n"}}
    assert words.first_lines(metrics) == expected


def test_a_label_that_one_modality_decides_alone_is_named_with_what_the_other_says() -> None:
    decided = {
        "anger": {"speech": 3, "image": 1}, "hate": {"speech": 0, "image": 1200}, "sad": {"speech": 5, "image": 0},
        "happy": {"speech": 0, "image": 0},
    }  # fmt: skip
    named = {
        "anger": {"speech": 9, "image": 9}, "hate": {"speech": 0, "image": 2000}, "sad": {"speech": 8, "image": 7},
        "happy": {"speech": 0, "image": 0},
    }  # fmt: skip
    assert words.alone(decided, named, 3000) == [
        "hate: decided by pictures alone, all 1,200 rows; the speech teacher names it in 0 of 3,000",
        "sad: decided by speech alone, all 5 rows; the image teacher names it in 7 of 3,000",
    ]


def test_agreement_stands_beside_chance() -> None:
    measured = {"share": 0.37, "by_chance": 0.356, "cohen_kappa": 0.009}
    assert words.agreement(measured) == "37%, by chance 36%, Cohen's kappa 0.01"
    assert words.agreement({**measured, "cohen_kappa": None}).endswith("kappa not defined")
