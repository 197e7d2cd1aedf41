"""What a figure of an explanation shows, and how its spoken side comes about.

In   a `Sample`, its players and explanation, the words of its speech
Out  `FigureContent`: all that `pipeline.explanation.figure` draws
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.pair.explanation import PairExplanation
from models.pair.players import Players
from pipeline.explanation import transcripts
from pipeline.explanation.maps import Floats, frames_kept
from pipeline.explanation.preparation import Sample
from pipeline.explanation.transcripts import ScoredWord, Transcriber, Word
from pipeline.media.audio import Waveform

IMAGE_BASELINES = {"zero": "black", "mean": "the picture's mean colour", "blur": "the picture, blurred"}
SPEECH_BASELINES = {"silence": "silence", "mean": "the speech's mean spectrum"}


@dataclass(frozen=True, eq=False)
class Speech:
    """The spoken side of an explanation; frames are those before the padding."""

    waveform: Waveform  # what the network heard
    frame_map: Floats  # [n_frames]
    segment_of_frame: NDArray[np.int64]  # [n_frames], its player or column of players
    kept: NDArray[np.bool_]  # [n_frames], not below the percentile
    seconds_per_frame: float
    percentile: float
    words: tuple[ScoredWord, ...]  # of the whole recording
    text_kept: str  # what is heard of the frames that are kept


@dataclass(frozen=True, eq=False)
class FigureContent:
    """All that a figure shows; None where the network sees no picture or hears no speech, or it is not known."""

    name: str  # of the row or files
    predicted: str  # the network's answer
    score: float  # its probability
    truth: str | None
    explained: str  # the label whose output the values are parts of
    output: str  # what the values are parts of, `logit` or `probability`
    baselines: str  # what stands in place of an absent picture or speech, in words
    v_full: float  # the output with everything
    v_empty: float  # and with nothing
    modality_values: dict[str, float]  # sum to v_full - v_empty
    synergy: float | None  # what the modalities add only together, half of which is in each value
    photo: Image.Image | None  # in its own shape
    image_map: Floats | None  # [h, w], over the whole photo
    speech: Speech | None
    tweet: str | None


def figure_content(
    sample: Sample, players: Players, explanation: PairExplanation, words: tuple[Word, ...],
    transcriber: Transcriber | None, *, name: str, predicted: str, explained: str, score: float, output: str,
    baselines: tuple[str, str], percentile: float, truth: str | None = None, tweet: str | None = None,
) -> FigureContent:  # fmt: skip
    """All that the figure of an explanation shows.

    `words` are those of the whole recording; `transcriber` hears what the percentile leaves of it. `explained` is the
    label whose output is explained, `score` the probability of the predicted one; `baselines` are of images and of
    speech.
    """
    values, baseline_words, speech = {}, [], None
    if sample.photo is not None:
        values["image"] = explanation.image_value
        baseline_words.append(IMAGE_BASELINES[baselines[0]])
    if sample.waveform is not None and transcriber is not None:
        values["speech"] = explanation.speech_value
        baseline_words.append(SPEECH_BASELINES[baselines[1]])
        speech = _speech(sample, sample.waveform, players, explanation.speech_map, words, transcriber, percentile)
    return FigureContent(
        name=name, predicted=predicted, explained=explained, score=score, truth=truth, output=output,
        baselines=" and ".join(baseline_words), v_full=explanation.v_full, v_empty=explanation.v_empty,
        modality_values=values, synergy=explanation.synergy, photo=sample.photo,
        image_map=None if sample.photo is None else explanation.image_map, speech=speech, tweet=tweet,
    )  # fmt: skip


def _speech(
    sample: Sample, waveform: Waveform, players: Players, speech_map: Floats, words: tuple[Word, ...],
    transcriber: Transcriber, percentile: float,
) -> Speech:  # fmt: skip
    """Words with their attribution, and what is heard when the least important frames are silenced."""
    frame_map = speech_map[: sample.speech_frames]
    seconds_per_frame = sample.seconds_per_frame
    kept = frames_kept(frame_map, percentile)
    silenced = transcripts.silence_frames(waveform, kept, seconds_per_frame)
    words_kept = words if kept.all() else transcriber.words(silenced)
    return Speech(
        waveform=waveform, frame_map=frame_map, kept=kept,
        segment_of_frame=players.speech_columns[: sample.speech_frames],
        seconds_per_frame=seconds_per_frame, percentile=percentile,
        words=transcripts.score_words(words, frame_map, seconds_per_frame), text_kept=transcripts.text_of(words_kept),
    )  # fmt: skip
