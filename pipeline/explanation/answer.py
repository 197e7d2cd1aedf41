"""The explanation of one answer to any picture and recording, as `sier explain` draws it and the demo shows it."""

from collections.abc import Callable

from PIL import Image

from models.pair.explain import explain
from models.pair.explanation import PairExplanation
from models.pair.game import PairGame
from models.pair.players import Players
from models.parallelnet.parallelnet import ParallelNet
from pipeline.errors import UserError
from pipeline.explanation.figure_content import FigureContent, figure_content
from pipeline.explanation.preparation import players_of, probabilities, sample_of
from pipeline.explanation.transcripts import Transcriber
from pipeline.media.audio import Waveform

TIMES = 3  # 8 cells and 8 segments
PERCENTILE = 30.0


def explain_answer(
    net: ParallelNet, photo: Image.Image | None, waveform: Waveform | None, name: str,
    step: Callable[[], object] = lambda: None,
) -> tuple[PairExplanation, Players, FigureContent]:  # fmt: skip
    """What an answer rests on: values, whose they are, and the figure; `step` is called after each of three steps.

    Exact where the network's modalities meet late, or where it has one; else by divide and conquer. Raises RowError if
    the recording is silent or too short, InexactError as `explain`, UserError if the answer is no number.
    """
    sample = sample_of(photo, waveform, net.config)
    transcriber = Transcriber() if sample.waveform is not None else None
    words = transcriber.words(sample.waveform) if transcriber and sample.waveform is not None else ()
    step()
    players = players_of(sample, net.config, times=TIMES)
    scores = probabilities(net, sample)
    if not bool(scores.isfinite().all()):
        raise UserError("the network answers with values that are no numbers; train it again")
    target = int(scores.argmax())
    inputs = sample.pixel_values, sample.spectrogram, players
    game = PairGame(net, *inputs, target=target, recording=sample.recording)
    explanation = explain(game, "exact" if net.factors or net.config.modalities != "both" else "level")
    step()
    names = net.config.id2label or {}
    content = figure_content(
        sample, game.players, explanation, words, transcriber, name=name, predicted=names[target],
        explained=names[target], score=float(scores[target]), output="logit", baselines=("zero", "silence"),
        percentile=PERCENTILE,
    )  # fmt: skip
    step()
    return explanation, game.players, content
