"""What a reader has to know before using a dataset, in sentences made of measured numbers.

The keys are those of Croissant's vocabulary of responsible AI (mlcommons.org/croissant/RAI/1.0), as mlcroissant spells
them; the datasheet (`datasheet.md.j2`) tells the same sentences under its own questions.
"""

from typing import Any

from pipeline.frame import tables
from pipeline.frame.intervals import accuracy_in_words
from pipeline.publishing.columns import Mode
from pipeline.publishing.facts import Facts

REMOVAL = (
    "the publisher leaves the row out of the next version (sier publish --drop), or takes it out of the corpus and "
    "builds anew, and has the Hub forget earlier commits and their tags (super_squash_history and delete_tag of "
    "huggingface_hub); until then they can still be read."
)


def responsible(facts: Facts, mode: Mode, *, keep_personal: bool) -> dict[str, Any]:
    """Values by field; those of several sentences are lists. KeyError where a number was not measured."""
    return {
        **_collection(facts),
        "data_preprocessing_protocol": _preprocessing(facts, mode, keep_personal=keep_personal),
        **_annotation(facts),
        "data_use_cases": [
            "Research on fusing speech and images, on learning from pseudo-labels, and on explaining networks.",
            "Not for judging what a person feels, not for moderating posts, not for decisions about anybody.",
        ],
        "data_biases": _biases(facts),
        "data_limitations": _limitations(facts),
        "personal_sensitive_information": _personal(facts, mode, keep_personal=keep_personal),
        "data_social_impact": (
            "A network that learnt from it repeats two models' guesses about posts. Taken for what people feel, such "
            "guesses wrong those who are judged by them; taken as a study of fusion and of pseudo-labels they can be "
            "checked, for every probability is kept beside its label."
        ),
        "data_release_maintenance_plan": (
            f"It is published as a whole by one command, which replaces what lay there. Asked to remove a row, "
            f"{REMOVAL}"
        ),
    }


def _collection(facts: Facts) -> dict[str, Any]:
    clean, texts = facts.reports["clean"], facts.provenance.corpora["b_t4sa"]
    kinds = ["Secondary Data Analysis"]
    if facts.provenance.holds_posts:
        kinds.append("User-Generated Content Data")
    voices = ", ".join(dict.fromkeys(voice.name for voice in facts.provenance.voices.values()))
    lost = "; ".join(f"{status} {rows}" for status, rows in sorted(clean["rejected"].items())) or "none"
    return {
        "data_collection": (
            f"{clean['rows_in']} pairs of a text and a picture come from {texts.name}; nothing was collected for this "
            f"dataset. The speech is synthetic: {voices} reads the texts."
        ),
        "data_collection_type": kinds,
        "data_collection_missing_data": (
            f"{clean['rows_in'] - clean['rows_out']} of {clean['rows_in']} pairs were rejected when cleaning ({lost}), "
            f"and are not here. word_error_rate is null where no recogniser heard the recording."
        ),
    }


def _preprocessing(facts: Facts, mode: Mode, *, keep_personal: bool) -> list[str]:
    clean, spoken, label = (facts.reports[name] for name in ("clean", "synthesize", "label"))
    said = [
        (
            f"Cleaning left {clean['rows_out']} of {clean['rows_in']} pairs: unreadable, repeated and placeholder "
            "pictures, empty and foreign texts were rejected. Texts were put into words that can be spoken."
        ),
        f"{spoken['rows_out']} of {spoken['rows_in']} could be spoken and understood.",
        f"The rule of the labels kept {label['kept']} of {label['rows_in']}.",
        (
            f"{len(facts.reports['assemble']['splits'])} splits by groups of like rows; a check by other code of "
            f"every pair of a train and a test row found {facts.reports['assemble']['leaks']['found']} torn apart."
        ),
    ]
    if mode == "full":
        out = "were left in" if keep_personal else "that were found were taken out"
        said.append(f"Mentions, links, e-mail addresses and telephone numbers {out}.")
    return said


def _annotation(facts: Facts) -> dict[str, Any]:
    label = facts.reports["label"]
    teachers = facts.provenance.teachers
    kept = label["agreement"]["kept_rows"]
    measured = [
        f"{name} teacher on {teachers[name].measured_on}: "
        f"accuracy {accuracy_in_words(facts.reports[f'train_teacher_{name}']['shown'])}"
        for name in tables.MODALITIES
    ]
    return {
        "data_annotation_protocol": [
            (
                f"No person labelled anything. Pseudo-labels by rule {facts.rule.rule} of two models' probabilities, "
                f"rows below {facts.rule.threshold} left out."
            )
        ],
        "data_annotation_platform": ["None; labels are computed by the SIER pipeline."],
        "data_annotation_analysis": [
            f"Pseudo-{label['verdict']['words']}.",
            (
                f"The models agree on {kept['share']:.0%} of the rows, by chance {kept['by_chance']:.0%} (Cohen's "
                f"kappa {kept['cohen_kappa']:.2f}); {label['share_decided_by_speech']:.0%} of the labels are speech's."
            ),
            *(f"{line}." for line in measured),
        ],
        "annotations_per_item": f"{2 + len(facts.rule.further)}, by models"
        + (" and outside scores" * bool(facts.rule.further)),
        "annotator_demographics": ["No person annotated."],
        "machine_annotation_tools": [
            *(f"{name} teacher: {teachers[name].made}" for name in tables.MODALITIES),
            *(f"{one.role}: {one.terms.name}" for one in facts.provenance.voters),
        ],
    }


def _biases(facts: Facts) -> list[str]:
    teachers = facts.provenance.teachers
    counts = ", ".join(f"{name} {rows}" for name, rows in facts.reports["assemble"]["labels"].items())
    few = [
        f"The {name} teacher had too few examples of {line}."
        for name in tables.MODALITIES
        for line in facts.reports[f"train_teacher_{name}"]["too_few_to_learn"]
    ]
    return [
        "The speech is synthetic and neutral: it has the words of a text, not how somebody would say them.",
        (
            f"Labels repeat the teachers' mistakes; their domains are {teachers['speech'].domain}, and "
            f"{teachers['image'].domain}."
        ),
        f"Classes are uneven: {counts}.",
        *few,
        f"Texts are of the language {facts.language}; who wrote them, and where, is not known.",
    ]


def _limitations(facts: Facts) -> list[str]:
    audit = facts.audit
    doubt = "Label noise has not been audited." if audit is None else (
        f"An audit of {audit['rows']} rows doubts {audit['issues']:.1%} of their labels, by the labels' own pattern."
    )  # fmt: skip
    return [
        "hate is the teachers' disgust: no label says that a post is hateful.",
        "Nothing screens texts or pictures for hate, nudity, violence or other content that hurts.",
        doubt,
    ]


def _personal(facts: Facts, mode: Mode, *, keep_personal: bool) -> list[str]:
    if facts.provenance.formats["b_t4sa"] == "table":
        return ["Ids, and texts where they are published, by which their authors may be found."]
    if not facts.provenance.holds_posts:
        return ["None: texts and pictures were authored for the sample."]
    found = ["Numbers of posts, by which their authors can be found.", "Emotions that models ascribe to these posts."]
    if mode == "full":
        left = "Mentions, links and addresses as posted." if keep_personal else "Names of people, which are not found."
        found += ["People in pictures.", left]
    return found
