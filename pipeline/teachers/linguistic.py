"""The teacher for `kind: probe` with `features: linguistic` or `fused`: it goes by the words that were heard.

It learns from the corpus's utterances, as the recogniser hears them, and from emotion texts. One session and one part
of the texts are held out together, in turn; the teacher that is kept is trained on all of them. Beside its figures
stand those of VADER's four scores alone, of the commonest class, and for `fused` of each of the two parts.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.teachers.calibration import fit_temperature
from models.teachers.encoders import HEARING_WORDS, Encoder, create_encoder
from models.teachers.evaluation import evaluate, expect_sessions
from models.teachers.probe import probabilities_of
from models.teachers.teacher import Teacher
from models.teachers.tfidf_encoder import TFIDF_ENCODERS, TfidfEncoder
from models.teachers.words_encoder import Lexicon
from models.teachers.words_training import Recipe, WordRows, fit_words, out_of_fold, text_folds
from pipeline.corpora import emotion_texts
from pipeline.corpora.emotion_texts import EmotionText
from pipeline.errors import UserError
from pipeline.frame import acquired
from pipeline.teachers.corpora import Item
from pipeline.teachers.fusion import fuse
from pipeline.teachers.kept_vectors import encoder_of, vectors_by
from pipeline.teachers.listening import encode_texts, folder_of_texts, heard_in
from pipeline.teachers.material import Material, MeasuredTeacher, Reject, fitted_on
from pipeline.teachers.params import ProbeParams, WordsParams

PROTOCOL = "one session and one part of the emotion texts left out together"


@dataclass(frozen=True)
class Words:
    """What there is to learn from: utterances first, then emotion texts."""

    items: Sequence[Item]
    texts: Sequence[EmotionText]
    words: Sequence[str]  # as heard; as written
    rows: WordRows
    rejects: Sequence[Reject]  # of emotion texts

    @property
    def spoken(self) -> int:
        """How many rows are utterances."""
        return len(self.items)


def train(params: ProbeParams, material: Material) -> MeasuredTeacher:
    """The teacher and its figures; UserError if a label of the texts has no class, or there is no such encoder."""
    assert params.words is not None  # by expect_consistent
    known = _frozen_encoder(params.words.encoder, material.section)  # before an hour of listening
    sound: NDArray[np.float32] | None = None
    acoustic: Encoder | None = None
    if params.features == "fused":
        acoustic = encoder_of(params, material)
        usable, sound = vectors_by(acoustic, material)
        material = replace(material, items=usable)
    gathered = _gather(params.words, material)
    classes, calibrated = material.classes, params.calibrate == "held_out"
    recipe = Recipe(classes, params.words.regularisation, params.words.class_weights, material.seed)
    vectors_for = _VectorsFor(known, params.words.encoder, material, gathered.words)
    logits = out_of_fold(gathered.rows, recipe, vectors_for)
    temperature = fit_temperature(logits, gathered.rows.labels, classes) if calibrated else 1.0
    encoder, vectors = vectors_for.all_rows()
    probe = fit_words(gathered.rows, recipe, encoder, vectors, temperature)
    teacher: Teacher = probe
    further: dict[str, float] = {}
    spoken = probabilities_of(logits[: gathered.spoken], temperature)
    truth = gathered.rows.labels[: gathered.spoken]
    beside = {"commonest_class": _commonest(truth), "vader_alone": _vader(gathered, recipe)}
    calibration = fitted_on(len(logits), gathered.spoken) if calibrated else None
    if sound is not None and acoustic is not None:
        heard = {item.id for item in gathered.items}
        of_items = sound[[item.id in heard for item in material.items]]
        fused = fuse(params, acoustic, gathered.items, truth, of_items, probe, spoken, material.seed)
        beside |= {"linguistic_alone": _figures(truth, spoken, classes), "acoustic_alone": fused.acoustic_alone}
        further = {"weight": fused.teacher.weight}
        calibration = fitted_on(gathered.spoken, gathered.spoken) if calibrated else None
        teacher, spoken, temperature = fused.teacher, fused.probabilities, fused.teacher.temperature
    measured = MeasuredTeacher.of(
        teacher, gathered.items, PROTOCOL, truth, spoken, regularisation=probe.regularisation, temperature=temperature,
        calibration=calibration, **further, beside=beside,
        emotion_texts={
            "used": len(gathered.texts), "rejected": dict(Counter(status for _, status, _ in gathered.rejects)),
            "held_out": _by_part(gathered, logits, classes),
        },
    )  # fmt: skip
    return replace(measured, text_rejects=gathered.rejects)


def _gather(params: WordsParams, material: Material) -> Words:
    folder = folder_of_texts(material.context)
    acquired.read_manifest(folder)
    corpus = emotion_texts.read(folder / acquired.FILES, params.classes)
    where = f"{material.section}.words.classes"
    if missing := sorted(set(corpus.labels) - set(params.classes)):
        raise UserError(
            f"{where} does not name {missing[0]}, a label of {folder}; its labels: {', '.join(corpus.labels)}"
        )
    named = {name for name in params.classes.values() if name is not None}
    if foreign := sorted(named - set(material.classes)):
        known = ", ".join(material.classes)
        raise UserError(f"{where} gives the class {foreign[0]}, which {material.section}.classes does not: {known}")
    rejects = [(f"emotion_texts/{identity}", status, reason) for identity, status, reason in corpus.rejects]
    texts = [text for text in corpus.texts if params.classes[text.label] is not None]
    items, heard = heard_in(material)
    expect_sessions([item.speaker for item in items], [item.session for item in items])
    sessions = sorted({item.session for item in items})
    of_texts = [str(params.classes[text.label]) for text in texts]
    groups = [f"text {text.group}" for text in texts]
    folds = np.concatenate([
        np.array([sessions.index(item.session) for item in items], dtype=np.intp),
        text_folds(of_texts, groups, len(sessions), material.seed),
    ])  # fmt: skip
    labels = [material.label(item) for item in items] + of_texts
    speakers = [f"speaker {item.speaker}" for item in items]
    words = [*heard, *(text.text for text in texts)]
    return Words(items, texts, words, WordRows(labels, [*speakers, *groups], folds), rejects)


class _VectorsFor:
    """Vectors of all words by an encoder; a vocabulary is that of the rows that are learnt from."""

    def __init__(self, encoder: Encoder | None, name: str, material: Material, words: Sequence[str]) -> None:
        self._name, self._words = name, words
        self._frozen: tuple[Encoder, NDArray[np.float32]] | None = None
        if encoder:
            self._frozen = encoder, encode_texts(material.context, name, encoder.digest, words)

    def __call__(self, known: NDArray[np.bool_]) -> NDArray[np.float32]:
        return self._made(known)[1]

    def all_rows(self) -> tuple[Encoder, NDArray[np.float32]]:
        """The encoder of all rows, and their vectors."""
        return self._made(np.ones(len(self._words), dtype=bool))

    def _made(self, known: NDArray[np.bool_]) -> tuple[Encoder, NDArray[np.float32]]:
        if self._frozen:
            return self._frozen
        encoder = TfidfEncoder.fit(self._name, np.array(self._words, dtype=object)[known].tolist())
        return encoder, encoder.encode(self._words)


def _frozen_encoder(name: str, section: str) -> Encoder | None:
    """The encoder of that name; None where it is a vocabulary, which the words make."""
    where = f"{section}.words.encoder = {name}"
    if name not in HEARING_WORDS:
        raise UserError(f"{where}: expected one of {', '.join(HEARING_WORDS)}")
    try:
        return None if name in TFIDF_ENCODERS else create_encoder(name)
    except ModelError as error:
        raise UserError(f"{where}: {error}") from None


def _vader(gathered: Words, recipe: Recipe) -> dict[str, Any]:
    """Figures of a model of VADER's four scores alone, by the same protocol."""
    lexicon = Lexicon()
    scores = np.array([lexicon.scores(text) for text in gathered.words], dtype=np.float32)
    logits = out_of_fold(gathered.rows, replace(recipe, cs=(1.0,)), lambda _: scores)
    spoken = probabilities_of(logits[: gathered.spoken])
    figures = _figures(gathered.rows.labels[: gathered.spoken], spoken, recipe.classes)
    return {**figures, "emotion_texts": _by_part(gathered, logits, recipe.classes)}


def _commonest(labels: Sequence[str]) -> dict[str, Any]:
    name, rows = Counter(labels).most_common(1)[0]
    return {"class": name, "rows": len(labels), "accuracy": rows / len(labels)}


def _by_part(gathered: Words, logits: NDArray[np.float64], classes: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Figures for each part of the emotion texts."""
    parts = np.array([text.part for text in gathered.texts])
    labels = np.array(gathered.rows.labels[gathered.spoken :])
    said = np.array(classes)[logits[gathered.spoken :].argmax(axis=1)]
    return {
        str(part): evaluate(labels[parts == part].tolist(), said[parts == part].tolist(), classes)
        for part in np.unique(parts)
    }


def _figures(labels: Sequence[str], probabilities: NDArray[np.float32], classes: tuple[str, ...]) -> dict[str, Any]:
    """Short figures."""
    found = evaluate(labels, [classes[column] for column in probabilities.argmax(axis=1)], classes)
    return {name: found[name] for name in ("rows", "accuracy", "unweighted_average_recall")}
