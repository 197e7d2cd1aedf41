"""What of others' a build was really made with: corpora, voices, teachers and their weights, with their terms.

In   params.yaml (sections synthesize, train_teacher), reports/train_teacher_<modality>.json, manifests of the corpora
Out  `Provenance`, of which cards, datasheet, LICENSE and citations are made

The embedded sample of a corpus is in the corpus' format and has nothing of it: it is named as the sample, under the
pipeline's own licence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from pipeline.dataset import terms
from pipeline.dataset.terms import Terms
from pipeline.errors import UserError
from pipeline.frame import acquired, tables
from pipeline.frame.metrics_files import read_json
from pipeline.frame.params import PARAMS_FILE
from pipeline.labels.rules import Further

ROLES = {"b_t4sa": "texts and pictures", "iemocap": "speech teacher's corpus", "fi": "image teacher's corpus"}
CORPORA = {"speech": "iemocap", "image": "fi"}
TEXTS = "emotion_texts"
RECOGNISER = "whisper-tiny.en"
LEXICON = "+vader"  # ends the name of an encoder of words that has VADER's scores besides
WITHOUT_WEIGHTS = "tf-idf"


@dataclass(frozen=True)
class Source:
    """A thing of others', and what it was used for."""

    role: str
    terms: Terms


@dataclass(frozen=True)
class Teacher:
    """What cards tell of a teacher."""

    made: str  # what it is and what it learnt from, as words in brackets
    measured_on: str
    domain: str  # what it has seen or heard
    sources: tuple[Source, ...]  # besides its corpus
    asked: bool = True  # whether it learnt from its corpus or was measured on it


@dataclass(frozen=True)
class Provenance:
    """Everything of others' that a build was made with."""

    corpora: Mapping[str, Terms]  # by the places b_t4sa, iemocap and fi, whatever lies there
    formats: Mapping[str, str]  # likewise, see `pipeline.frame.acquired.known_as`
    samples: tuple[str, ...]  # places in which the embedded sample lies
    teachers: Mapping[str, Teacher]  # by modality
    voices: Mapping[str, Terms]  # by value of the column `voice`
    recogniser: Terms | None  # of what was said; None where nothing was transcribed
    voters: tuple[Source, ...] = ()  # tables of scores besides the teachers

    @property
    def holds_posts(self) -> bool:
        """Whether texts and pictures are posts of people who were not asked."""
        return self.formats["b_t4sa"] == "b_t4sa" and "b_t4sa" not in self.samples

    @property
    def sources(self) -> list[Source]:
        """All of them, each role and name once, in the order in which data pass through them."""
        found = [Source(ROLES["b_t4sa"], self.corpora["b_t4sa"])]
        found += [Source("voice", voice) for voice in self.voices.values()]
        found += [Source("recogniser", self.recogniser)] if self.recogniser else []
        for modality, teacher in self.teachers.items():
            corpus = CORPORA[modality]
            found += [Source(ROLES[corpus], self.corpora[corpus])] if teacher.asked else []
            found += teacher.sources
        found += self.voters
        return list({(source.role, source.terms.name): source for source in found}.values())


def gather(
    sections: Mapping[str, Any], reports: Mapping[str, Mapping[str, Any]], corpora: Path, voices: Sequence[str],
    voters: Sequence[Further] = (),
) -> Provenance:  # fmt: skip
    """What a build was made with.

    Args:
        sections: of params.yaml.
        reports: of `train_teacher`, by modality.
        corpora: the folder data/corpora.
        voices: values of the column `voice`.
        voters: of the rule, besides the teachers.

    Raises:
        UserError: a corpus has not been acquired, or reports tell of other teachers than parameters do.
    """
    used = {name: _corpus(corpora / name) for name in acquired.CORPORA}
    formats = {name: acquired.known_as(corpora / name) for name in acquired.CORPORA}
    synthesize = sections["synthesize"]
    recogniser = _recogniser(synthesize.get("recognition", {}))
    teachers = {}
    for modality, report in reports.items():
        params = sections["train_teacher"][modality]
        _expect_same(modality, params, report)
        texts = _texts(corpora / TEXTS, report)
        if params["kind"] == "scores":
            teachers[modality] = _of_scores(modality, params, used[CORPORA[modality]], report["outside"])
            continue
        teachers[modality] = _teacher(modality, params, used[CORPORA[modality]], texts, recogniser, report)
    idle = {CORPORA[modality] for modality, teacher in teachers.items() if not teacher.asked}
    samples = tuple(name for name in used if _is_sample(corpora / name) and name not in idle)
    outside = tuple(Source("voter besides the teachers", _outside(one.name, one.licence, one.source)) for one in voters)
    return Provenance(used, formats, samples, teachers, _voices(synthesize["voice"], voices), recogniser, outside)


def teacher_reports(reports: Path) -> dict[str, dict[str, Any]]:
    """reports/train_teacher_<modality>.json, by modality; UserError if one is missing."""
    return {
        name: read_json(reports / f"train_teacher_{name}.json", f"dvc repro train_teacher@{name}")
        for name in tables.MODALITIES
    }


def backbones(network: Mapping[str, Any]) -> Iterator[Source]:
    """Pretrained weights that a section `models.<name>` starts from."""
    for modality in tables.MODALITIES:
        backbone = network[f"{modality}_backbone"]
        if not backbone["pretrained"] or network["modalities"] not in {"both", modality}:
            continue
        given = backbone["weights"]
        known = _weights(backbone["name"]) if given is None else _unknown_weights(backbone["name"], given)
        yield Source(f"backbone of {modality}", known)


def _corpus(folder: Path) -> Terms:
    known = terms.of("corpora", acquired.known_as(folder))
    return _sample(known) if _is_sample(folder) else known


def _is_sample(folder: Path) -> bool:
    return bool(acquired.read_manifest(folder)["origin"] == acquired.SAMPLE)


def _sample(known: Terms) -> Terms:
    return replace(
        known, name=f"the sample of {known.name}", licence="Apache-2.0",
        terms=f"made by the pipeline in the format of {known.name}, and holds nothing of it", source="this pipeline",
        cite=[],
        sure=True, domain="what the pipeline authored for the sample",
    )  # fmt: skip


def _texts(folder: Path, report: Mapping[str, Any]) -> list[Terms]:
    """The emotion texts that taught a teacher; none where it learnt from none."""
    told = report.get("emotion_texts") or {}
    if not told.get("used"):
        return []
    found = [terms.of("texts", part) for part in told.get("held_out", {})]
    return [_sample(one) for one in found] if _is_sample(folder) else found


def _recogniser(params: Mapping[str, Any]) -> Terms | None:
    """None where it heard no row."""
    if not params.get("share"):
        return None
    own = params.get("model")
    return _weights(RECOGNISER) if own is None else terms.of("weights", f"own:{own}", f"recogniser {_plain(own)}")


def _teacher(
    modality: str,
    params: Mapping[str, Any],
    corpus: Terms,
    texts: list[Terms],
    recogniser: Terms | None,
    report: Mapping[str, Any],
) -> Teacher:
    features = params.get("features", "acoustic")
    sources = [Source("emotion texts", one) for one in texts]
    if params["kind"] == "probe":
        parts = []
        if features != "linguistic":
            encoder = _encoder(params["encoder"], params.get("weights", "packaged"))
            sources.append(Source(f"{modality} teacher's encoder", encoder))
            parts.append(f"vectors of {encoder.name}")
        if features != "acoustic":
            heard = _words(params["words"]["encoder"])
            sources += [Source("speech teacher's encoder of words", one) for one in heard]
            named = " and ".join(one.name for one in heard) or "TF-IDF"
            if heard and params["words"]["encoder"].startswith(WITHOUT_WEIGHTS):
                named = f"TF-IDF and {named}"
            parts.append(f"{named} of the words that {recogniser.name if recogniser else 'a recogniser'} hears")
        learnt = _listed([corpus.name, *(one.name for one in texts)])
        made = f"logistic regression on {', and on '.join(parts)}, trained on {learnt}"
        return Teacher(made, corpus.name, _listed(_domains([corpus, *texts])), tuple(sources))
    if params["kind"] == "endpoint":
        return _asked(modality, params["model"], corpus, sources, recogniser)
    ready = terms.of("checkpoints", _plain(params["checkpoint"]))
    sources.append(Source(f"{modality} teacher's checkpoint", ready))
    named = f"{ready.name} (commit {report['commit']})" if report.get("commit") else ready.name
    if params["kind"] == "finetune":
        return Teacher(f"{named}, fine-tuned on {corpus.name}", corpus.name, _domains([corpus])[0], tuple(sources))
    domain = ready.domain or f"what {ready.name} was trained on"
    taken = "told the classes in words" if params["kind"] == "zero_shot" else "taken as it is"
    made = f"{named}, {taken}: measured on {corpus.name}, not trained on it here"
    if report.get("head") in {"independent", "regression"}:
        made += f"; probabilities: {report['probabilities_are']}"
    return Teacher(made, corpus.name, domain, tuple(sources))


def _asked(
    modality: str, model: str, corpus: Terms, sources: list[Source], recogniser: Terms | None
) -> Teacher:  # fmt: skip
    """The model behind an endpoint; of its terms nothing is known, for its name may stand for any weights."""
    name = _plain(model)
    known = replace(terms.of("checkpoints", name), licence=None, terms=terms.UNKNOWN, cite=[], source=None, sure=True)
    sources.append(Source(f"{modality} teacher's model behind an endpoint", known))
    heard = f"the words that {recogniser.name if recogniser else 'a recogniser'} hears"
    about = heard if modality == "speech" else "each picture"
    made = (
        f"{name}, a model behind an endpoint that was sent {about}: measured on {corpus.name}, not trained on it here"
    )
    return Teacher(made, corpus.name, f"what {name} was trained on", tuple(sources))


def _of_scores(
    modality: str, params: Mapping[str, Any], corpus: Terms, told: Mapping[str, Any]
) -> Teacher:  # fmt: skip
    terms_of_scores = _outside(params["name"], params.get("licence"), params.get("source"))
    made = f"scores of {params['name']}, made outside this pipeline, {told['rows']:,} rows"
    domain = f"what {params['name']} was made for"
    found = (Source(f"{modality} teacher's scores", terms_of_scores),)
    return Teacher(made, corpus.name, domain, found, asked=bool(told["corpus_rows"]))


def _outside(name: str, licence: str | None, source: str | None) -> Terms:
    said = "as who put the scores into params.yaml says" if licence else terms.UNKNOWN
    return Terms(name=name, licence=licence, terms=said, source=source, cite=[])


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _domains(learnt_from: Sequence[Terms]) -> list[str]:
    return list(dict.fromkeys(one.domain or one.name for one in learnt_from))


def _weights(name: str) -> Terms:
    return terms.of("weights", name)


def _encoder(name: str, given: str) -> Terms:
    if given == "packaged":
        return _weights(name)
    return terms.of("checkpoints", name) if given == "hub" and "/" in name else _unknown_weights(name, given)


def _unknown_weights(name: str, given: str) -> Terms:
    """Weights of a backbone that are not the packaged ones: timm's own on the Hub, or a file."""
    found = terms.of("weights", f"{name}:{given}", f"{name} ({_plain(given) if given != 'hub' else 'from the Hub'})")
    return replace(found, source=f"{terms.HUB}/timm") if given == "hub" else found


def _words(encoder: str) -> list[Terms]:
    found = [] if encoder.startswith(WITHOUT_WEIGHTS) else [_weights(encoder.removesuffix(LEXICON))]
    return [*found, _weights("vader")] if encoder.endswith(LEXICON) else found


def _voices(params: Mapping[str, Any], names: Sequence[str]) -> dict[str, Terms]:
    """Of each value of the column `voice`; a file of one's own is never taken for a packaged voice of its name."""
    found = {}
    for name in names:
        model, _, speaker = name.partition(tables.SPEAKER_MARK)
        asked = model if params["engine"] != "hibari" or params["model"] == model else params["model"]
        known = terms.of("voices", f"{params['engine']}:{asked}", model)
        known = known if known.licence or known.cite else replace(known, name=f"{params['engine']} voice {model}")
        found[name] = replace(known, name=f"{known.name}, speaker {speaker}") if speaker else known
    return found


def _plain(name: str) -> str:
    """A name on the Hub as it is, a path by its last part: folders hold names of people and hosts."""
    is_local = PurePath(name).is_absolute() or name.startswith(("~", ".")) or "\\" in name or Path(name).exists()
    return PurePath(name.replace("\\", "/")).name if is_local else name


def _expect_same(modality: str, params: Mapping[str, Any], report: Mapping[str, Any]) -> None:
    for key in ("kind", "features"):
        told, given = report.get(key), params.get(key, "outside" if params["kind"] == "scores" else "acoustic")
        if told is not None and told != given:
            raise UserError(
                f"{PARAMS_FILE}: train_teacher.{modality}.{key} = {given}, but the teacher that labelled was {told}; "
                f"run: dvc repro train_teacher@{modality}"
            )
