"""From a picture and a text, or a recording, to what the finished project says of them, step by step as for a row.

In   bytes of a picture and of a recording as strangers send them, or a text
Out  `Given`: picture and speech as stages `clean` and `synthesize` would keep them; `Answer`: what both teachers and a
     network say of them, and the label by the rule; VisitorError says in a sentence what cannot be used, and why

Everything is loaded once. Nothing is written, and nothing is downloaded.
"""

import dataclasses
import io
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.errors import ItemError
from models.pair.explanation import InexactError
from models.teachers.loading import load_teacher, read_card
from models.teachers.teacher import Teacher
from pipeline.engine.environment import device_from_environment
from pipeline.errors import UserError
from pipeline.explanation.answer import explain_answer
from pipeline.explanation.figure_content import FigureContent
from pipeline.explanation.preparation import probabilities, sample_of
from pipeline.frame import tables
from pipeline.frame.params import PARAMS_FILE, read_params, section
from pipeline.frame.stage import BaseParams, Paths
from pipeline.labels import rules
from pipeline.labels.matching import at_temperature
from pipeline.labels.pool import pooled_votes
from pipeline.media import audio, images
from pipeline.networks.loading import expect_checkpoint, load_network
from pipeline.speech import loading
from pipeline.speech.params import SynthesizeParams
from pipeline.speech.recogniser import Recogniser
from pipeline.speech.recordings import at_level
from pipeline.teachers.scoring import read_statistics, source_of
from pipeline.tweets.language import said_text
from pipeline.tweets.params import CleanParams
from pipeline.voices import voice_of

STRANGER = (
    "The speech teacher judges a voice against its own mean. Of a recorded voice it has none, and takes the project's "
    "instead: trust its answer less."
)
CUT = "The network hears the first {heard:g} s of {spoken:.1f} s."


class VisitorError(Exception):
    """What somebody gave cannot be used; a sentence for the page."""


@dataclass(frozen=True, eq=False)
class Given:
    """What was given, as a row of the dataset would hold it."""

    image: bytes  # JPEG
    speech: bytes  # FLAC
    waveform: audio.Waveform  # the same speech
    said: str | None  # what the voice was asked to say; None of a recording
    voice: str | None

    @property
    def photo(self) -> Image.Image:
        """The picture."""
        return Image.open(io.BytesIO(self.image)).convert("RGB")


@dataclass(frozen=True)
class Labelled:
    """The rule's outcome: a label, or why there is none."""

    label: str | None
    would_be: str  # the label before the threshold
    decided_by: str  # speech, image
    confidence: float
    reason: str  # of `rules.drop_reasons`; empty with a label
    rule: str
    threshold: float


@dataclass(frozen=True)
class Answer:
    """All that is said; probabilities by class."""

    given: Given
    heard: str  # by the recogniser
    teachers: dict[str, dict[str, float]]  # speech and image, at the temperatures of the rule
    labelled: Labelled
    network: dict[str, float]
    network_name: str
    notes: tuple[str, ...]


class Studio:
    """Everything that a finished run has, loaded; one question at a time."""

    def __init__(self, paths: Paths, model: Path) -> None:
        sections = read_params(paths.root / PARAMS_FILE)
        self.base = section(sections, "base", BaseParams)
        self.clean = section(sections, "clean", CleanParams)
        self.spoken = section(sections, "synthesize", SynthesizeParams)
        device = device_from_environment()
        expect_checkpoint(model)
        rule = rules.read_rule(paths.data / "labels")
        self.further = [one.name for one in rule.further]  # tables, which know rows of the dataset only
        self.rule = dataclasses.replace(rule, further=())
        self.teachers = {name: _teacher(paths, name, device) for name in tables.MODALITIES}
        self.statistics = {}
        if self.teachers["speech"].normalise == "voice":
            self.statistics = read_statistics(paths.data / "scores" / "speech" / tables.VOICE_STATISTICS_FILE)
        loaded = loading.load(self.spoken, self.base)
        self.voice, self.script = loaded.voice, loaded.script
        self.recogniser = Recogniser(self.spoken.recognition.model, self.base.language)
        self.net, self.network_name = load_network(model, device), model.name
        self._turn = threading.Lock()  # models use all cores by themselves

    @property
    def text_characters_max(self) -> int:
        """Of a text; what is longer would be cut for the voice."""
        return self.clean.text.max_characters

    def answer(self, image: bytes | None, text: str, recording: bytes | None) -> Answer:
        """What teachers, rule and network say; VisitorError if something cannot be used."""
        with self._turn:
            return self._answer(self._given(image, text, recording))

    def explain(self, image: bytes | None, text: str, recording: bytes | None) -> FigureContent:
        """What the network's answer rests on; VisitorError as `answer`."""
        with self._turn:
            given = self._given(image, text, recording)
            try:
                return explain_answer(self.net, given.photo, given.waveform, "What you gave")[-1]
            except (ItemError, InexactError, UserError) as error:
                raise VisitorError(f"This cannot be explained: {_reason(error)}.") from None

    def _given(self, image: bytes | None, text: str, recording: bytes | None) -> Given:
        text = text.strip()
        if image is None:
            raise VisitorError("Choose a picture first. What was chosen more than ten minutes ago has been removed.")
        if not text and recording is None:
            raise VisitorError("Write a text for the voice, or give a recording.")
        if text and recording is not None:
            raise VisitorError("Give a text or a recording, not both: remove one of the two.")
        jpeg = self._picture(image)
        if recording is not None:
            waveform, said, voice = self._recorded(recording), None, None
        else:
            waveform, said, voice = self._speak(text)
        flac = audio.encode_flac(waveform, audio.SAMPLING_RATE_HZ)
        return Given(jpeg, flac, audio.decode(flac), said, voice)

    def _picture(self, data: bytes) -> bytes:
        limits = self.clean.image
        try:
            photo = images.decode_image(data, min_side_px=limits.min_side_px, max_pixels=limits.max_pixels)
        except ItemError as error:
            raise VisitorError(f"This picture cannot be used: {_reason(error)}.") from None
        return images.encode_jpeg(photo, max_side_px=limits.stored_max_side_px, quality=limits.jpeg_quality)

    def _speak(self, text: str) -> tuple[audio.Waveform, str, str]:
        if len(text) > self.text_characters_max:
            raise VisitorError(
                f"This text has {len(text):,} characters; the voice reads at most {self.text_characters_max}."
            )
        try:
            said, _ = said_text(text, self.clean.text, self.clean.text.languages)
            utterance = self.script.utterance({"id": "", "tweet_id": "", "spoken_text": said, "sentiment": None})
            spoken = self.voice.speak(said, utterance.speaker, utterance.prosody)
            waveform = at_level(audio.resample(spoken, self.voice.sampling_rate_hz), utterance.prosody.energy_db)
            audio.check_speech(waveform, audio.SAMPLING_RATE_HZ, self.spoken.limits)
        except ItemError as error:
            if error.status == "text_language":
                languages = " or ".join(self.clean.text.languages or ())
                found = error.reason.partition(",")[0]
                message = f"This text seems to be in another language ({found}); the voice speaks {languages}."
                raise VisitorError(message) from None
            raise VisitorError(f"This text cannot be spoken: {_reason(error)}.") from None
        return waveform, said, voice_of(self.voice.name, utterance.speaker)

    def _recorded(self, data: bytes) -> audio.Waveform:
        limits = dataclasses.replace(self.spoken.limits, max_clipped_share=1.0)  # a voice's defect, a person's habit
        try:
            waveform = audio.decode(data)
            audio.check_speech(waveform, audio.SAMPLING_RATE_HZ, limits)
        except ItemError as error:
            what = "is silent" if error.status == "speech_silent" else "cannot be used"
            raise VisitorError(f"This recording {what}: {_reason(error)}.") from None
        return waveform

    def _answer(self, given: Given) -> Answer:
        heard = self.recogniser.text(given.waveform)
        row = {"audio": given.speech, "image": given.image, "heard": heard}
        notes = []
        said: dict[str, rules.Said] = {}
        for modality, teacher in self.teachers.items():
            statistics = None
            if teacher.normalise == "voice":
                if given.voice not in self.statistics:
                    notes.append(STRANGER)
                statistics = self.statistics.get(given.voice or "", next(iter(self.statistics.values())))
            try:
                item = source_of(modality, teacher.features).make(row)
                teacher.check(item)
                vector = next(iter(teacher.represent([item])))
                if isinstance(vector, ItemError):
                    raise vector
            except ItemError as error:
                message = f"The {modality} teacher cannot judge this: {_reason(error)}."
                raise VisitorError(message) from None
            scores = teacher.classify(vector[np.newaxis], statistics)
            said[modality] = at_temperature(scores, self.rule.temperatures.of(modality)), teacher.classes
        sample = sample_of(given.photo, given.waveform, self.net.config)
        network = probabilities(self.net, sample)
        seconds = len(given.waveform) / audio.SAMPLING_RATE_HZ
        if sample.waveform is not None and seconds > self.net.config.duration_seconds:
            notes.append(CUT.format(heard=self.net.config.duration_seconds, spoken=seconds))
        if self.further:
            notes.append(f"The labels of the dataset also ask {' and '.join(self.further)}, which know its rows only.")
        names: dict[int, str] = self.net.config.id2label or {}
        return Answer(
            given, heard, {name: _by_class(*one) for name, one in said.items()}, self._label(said),
            dict(zip(names.values(), network.tolist(), strict=True)), self.network_name, tuple(notes),
        )  # fmt: skip

    def _label(self, said: dict[str, rules.Said]) -> Labelled:
        rule = self.rule
        alone = rules.votes(*said["speech"], *said["image"])
        votes = pooled_votes(said, rule) if rule.rule == "log_pool" else alone
        reason = str(rules.drop_reasons(rule.rule, rule.threshold, votes, rule.neutral)[0])
        would_be = str(rules.remap(votes.source_label, rule.remap, rule.neutral)[0])
        return Labelled(
            label=None if reason else would_be, would_be=would_be,
            decided_by="speech" if votes.speech_decides[0] else "image", confidence=float(votes.confidence[0]),
            reason=reason, rule=rule.rule, threshold=rule.threshold,
        )  # fmt: skip


def _teacher(paths: Paths, modality: str, device: str) -> Teacher:
    folder = paths.checkpoints / tables.CHECKPOINTS[modality]
    try:
        kind = read_card(folder)["kind"]
        if kind in {"scores", "endpoint"}:
            what = "is a table of scores made elsewhere" if kind == "scores" else "asks an endpoint over the network"
            raise UserError(
                f"{folder}: the {modality} teacher {what}, which the demo cannot ask about a new {modality}; expected "
                f"train_teacher.{modality}.kind: probe, finetune or checkpoint"
            )
        return load_teacher(folder, device=device)
    except (OSError, ValueError):
        raise UserError(f"{folder}: missing or damaged; run: dvc repro train_teacher@{modality}") from None


def _by_class(values: NDArray[np.float32], classes: Any) -> dict[str, float]:
    return dict(zip(classes, values[0].tolist(), strict=True))


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, ItemError) else str(error)
    return reason.rstrip(".")
