"""What a picture of an explanation shows, and how its spoken side comes about.

In   a `Sample`, its players and explanation, the words of its speech
Out  `Speech` and `Explained`: all that `pipeline.explanation.figure` draws
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.pair.explanation import PairExplanation
from models.pair.players import Players
from pipeline.explanation.inputs import Sample
from pipeline.explanation.transcripts import Transcriber, Word, frames_kept, silence_frames, text_of
from pipeline.explanation.word_view import ScoredWord, score_words
from pipeline.media.audio import Waveform

Floats = NDArray[np.float64]

IMAGE_BASELINES = {"zero": "black", "mean": "the picture's mean colour", "blur": "the picture, blurred"}
SPEECH_BASELINES = {"silence": "silence", "mean": "the speech's mean spectrum"}


@dataclass(frozen=True, eq=False)
class Speech:
    """The spoken side of an explanation.

    Attributes:
        waveform: float32 [samples], 16 kHz: what the network heard.
        frame_map: float64 [n_frames], frames before padding only.
        segment_of_frame: int64 [n_frames], the player of each.
        kept: bool [n_frames], not below the percentile.
        seconds_per_frame: duration of a frame.
        percentile: of the rule.
        words: of the whole recording.
        text_kept: what is heard of the frames that are kept.
    """

    waveform: Waveform
    frame_map: Floats
    segment_of_frame: NDArray[np.int64]
    kept: NDArray[np.bool_]
    seconds_per_frame: float
    percentile: float
    words: tuple[ScoredWord, ...]
    text_kept: str


@dataclass(frozen=True, eq=False)
class Explained:
    """All that a picture shows.

    Attributes:
        name: of the row or files.
        predicted: the label that is explained.
        score: its probability.
        truth: the row's label, if it has one.
        output: what the values are parts of, `logit` or `probability`.
        baselines: what stands in place of an absent picture or speech, in words.
        v_full: the output with everything.
        v_empty: the output with nothing.
        modality_values: value by modality; they sum to v_full - v_empty.
        synergy: what the modalities add only together, half of which is in each value; None for one modality.
        photo: the picture, in its own shape; None where the network sees none.
        image_map: float64 [h, w], over the whole photo.
        speech: None where the network hears none.
        tweet: its text, if known.
    """

    name: str
    predicted: str
    score: float
    truth: str | None
    output: str
    baselines: str
    v_full: float
    v_empty: float
    modality_values: dict[str, float]
    synergy: float | None
    photo: Image.Image | None
    image_map: Floats | None
    speech: Speech | None
    tweet: str | None


@dataclass(frozen=True)
class Shown:
    """What is known of a sample besides its media: a name, and for rows of the dataset the true label and the tweet."""

    name: str
    truth: str | None = None
    tweet: str | None = None


def explained_of(
    sample: Sample, players: Players, explanation: PairExplanation, shown: Shown, labels: Sequence[str], score: float,
    output: str, baselines: tuple[str, str], words: tuple[Word, ...], transcriber: Transcriber | None,
    percentile: float,
) -> Explained:  # fmt: skip
    """All that the picture of an explanation shows.

    Args:
        sample: what was explained.
        players: its parts.
        explanation: of them.
        shown: what else is known.
        labels: in the order of class ids.
        score: probability of the explained class.
        output: `logit` or `probability`.
        baselines: names of that of images and that of speech.
        words: of the whole recording.
        transcriber: hears what the percentile leaves; None where there is no speech.
        percentile: see `hear`.
    """
    values = {}
    baseline_words = []
    speech = None
    if sample.photo is not None:
        values["image"] = explanation.image_value
        baseline_words.append(IMAGE_BASELINES[baselines[0]])
    if sample.waveform is not None and transcriber is not None:
        values["speech"] = explanation.speech_value
        baseline_words.append(SPEECH_BASELINES[baselines[1]])
        speech = hear(sample, players, explanation.speech_map, words, transcriber, percentile)
    return Explained(
        name=shown.name, predicted=labels[explanation.target], score=score, truth=shown.truth, output=output,
        baselines=" and ".join(baseline_words), v_full=explanation.v_full, v_empty=explanation.v_empty,
        modality_values=values, synergy=explanation.synergy, photo=sample.photo,
        image_map=None if sample.photo is None else explanation.image_map, speech=speech, tweet=shown.tweet,
    )  # fmt: skip


def hear(
    sample: Sample, players: Players, speech_map: Floats, words: tuple[Word, ...], transcriber: Transcriber,
    percentile: float,
) -> Speech:  # fmt: skip
    """The spoken side: words with their attribution, and what is heard when the least important frames are silenced.

    Args:
        sample: a sample with speech.
        players: of it.
        speech_map: float64 [n_frames] with padding.
        words: of the whole recording.
        transcriber: hears the silenced recording; not asked where nothing is silenced.
        percentile: of the frames' values below which frames are silenced.
    """
    assert sample.waveform is not None  # it has speech
    frame_map = speech_map[: sample.speech_frames]
    kept = frames_kept(frame_map, percentile)
    left = words if kept.all() else transcriber.words(silence_frames(sample.waveform, kept, sample.seconds_per_frame))
    return Speech(
        waveform=sample.waveform,
        frame_map=frame_map,
        segment_of_frame=players.speech[: sample.speech_frames],
        kept=kept,
        seconds_per_frame=sample.seconds_per_frame,
        percentile=percentile,
        words=score_words(words, frame_map, sample.seconds_per_frame),
        text_kept=text_of(left),
    )
