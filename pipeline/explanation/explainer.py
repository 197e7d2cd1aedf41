"""Worker of stage `explain`: all that is computed for one test row.

In   a row of data/sier, a trained network
Out  one row of `ROW`: its explanations (one per pair of baselines and method), curves, words, and the PNG if it has one
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from models.pair.explain import explain
from models.pair.explanation import InexactError, PairExplanation
from models.pair.game import PairGame
from pipeline.engine import shards
from pipeline.errors import RowError, UserError
from pipeline.explanation import faithfulness
from pipeline.explanation.figure import png
from pipeline.explanation.figure_content import figure_content
from pipeline.explanation.params import ExplainParams
from pipeline.explanation.preparation import Sample, players_of, probabilities, sample_of
from pipeline.explanation.selection import Chosen
from pipeline.explanation.table import ORDERS, ROW, numbers, silenced
from pipeline.explanation.transcripts import Transcriber, Word
from pipeline.frame.stage import ENGLISH
from pipeline.media import audio
from pipeline.networks import trained
from pipeline.networks.decoding import read_image
from pipeline.networks.loading import load_net
from pipeline.networks.params import InputParams

COLUMNS = ["id", "text", "image", "audio"]
CHECKED_MASKS = {"exact": 16}  # against plain forwards, besides the four corners
FEW_CHECKED_MASKS = 4  # of the other methods, which ask for fewer masks
SCORE_TOLERANCE = 1e-3  # of a probability of `evaluate`, which batches otherwise


class RowExplainer:
    """Worker: explains one row of data/sier (`folder`) per task; random orders follow from `seed`.

    Raises UserError: the network or the speech recogniser cannot be loaded.
    """

    def __init__(
        self, folder: Path, network: trained.Trained, params: ExplainParams, inputs: InputParams, device: str,
        seed: int, language: str = ENGLISH,
    ) -> None:  # fmt: skip
        torch.set_num_threads(1)
        self._part: tuple[str, pa.Table] | None = None
        self.folder = folder
        self.params = params
        self.seed = seed
        self.labels = network.labels
        self.net = load_net(network, inputs, device)
        needs_words = (params.figures or params.segmentation == "words") and language == ENGLISH
        self.transcriber = Transcriber() if needs_words and self.net.config.modalities != "image" else None

    def __call__(self, task: shards.Task) -> shards.Output:
        """One row of `ROW`, or a reject.

        Raises UserError: the network is not the one that `evaluate` measured, or fails the check of its explanation.
        """
        chosen: Chosen = task.payload
        row = self._row(chosen)
        try:
            explanations, figure = self._explain(chosen, row)
        except RowError as error:
            return shards.Output(ROW.empty_table(), [(chosen.id, error.status, error.reason)])
        except InexactError as error:
            raise UserError(f"row {chosen.id} of {self.folder}: {error}") from None
        columns = [{"id": chosen.id, "explanations": explanations, "figure": figure}]
        return shards.Output(pa.Table.from_pylist(columns, schema=ROW))

    def _explain(self, chosen: Chosen, row: dict[str, Any]) -> tuple[list[dict[str, Any]], bytes | None]:
        params, config = self.params, self.net.config
        photo, waveform = read_image(row["image"]["bytes"]), audio.decode(row["audio"]["bytes"])
        sample = sample_of(photo, waveform, config)
        by_words = params.segmentation == "words"
        words: tuple[Word, ...] = ()
        if self.transcriber is not None and sample.waveform is not None and (chosen.figure or by_words):
            words = self.transcriber.words(sample.waveform)
        players = players_of(
            sample, config, times=params.times, grid=params.grid, segments=params.segments,
            words=words if by_words else None, speech_cells=params.segmentation == "cells",
        )  # fmt: skip
        score, explained = self._score(sample, chosen), chosen.explained(params.target)
        records, figure = [], None
        for index, (image_baseline, speech_baseline) in enumerate(params.baselines):
            game = PairGame(
                self.net, sample.pixel_values, sample.spectrogram, players,
                target=self.labels.index(explained), output=params.output, image_baseline=image_baseline,
                speech_baseline=speech_baseline, batch_size=params.batch_size, recording=sample.recording,
            )  # fmt: skip
            drawn = chosen.figure and index == 0
            for method in dict.fromkeys([params.figure_method, params.method] if drawn else [params.method]):
                checked_masks = CHECKED_MASKS.get(method, FEW_CHECKED_MASKS)
                explanation = explain(game, method, params.max_evals, params.permutations, self.seed, checked_masks)
                record = {
                    "id": chosen.id, "method": method, "label": chosen.label, "predicted": chosen.predicted,
                    "score": score, "explained": explained, "output": params.output, "image_baseline": image_baseline,
                    "speech_baseline": speech_baseline, "text": row["text"], **numbers(explanation, game.players),
                    **silenced(explanation, game.players, sample.speech_frames, params.percentile),
                }  # fmt: skip
                if method == params.method:
                    record["curves"] = list(self._curves(game, explanation, sample, chosen.id))
                if drawn and method == params.figure_method:
                    content = figure_content(
                        sample, game.players, explanation, words, self.transcriber, name=chosen.id,
                        predicted=chosen.predicted, explained=explained, score=score, output=params.output,
                        baselines=params.baselines[0], percentile=params.percentile, truth=chosen.label,
                        tweet=row["text"],
                    )  # fmt: skip
                    figure = png(content)
                    if content.speech is not None:
                        record["words"] = [vars(word) for word in content.speech.words]
                        record["text_kept"] = content.speech.text_kept
                records.append(record)
        return records, figure

    def _row(self, chosen: Chosen) -> dict[str, Any]:
        """Its `COLUMNS`. Tasks come in the order of the dataset, so that a file is read once."""
        name = chosen.marker.part.name
        if self._part is None or self._part[0] != name:
            self._part = name, shards.read_part(self.folder, chosen.marker, columns=COLUMNS)
        (row,) = self._part[1].filter(pc.field("id") == chosen.id).to_pylist()
        return dict(row)

    def _score(self, sample: Sample, chosen: Chosen) -> float:
        """Probability of the predicted class, whichever is explained; UserError if `evaluate` found another one."""
        score = float(probabilities(self.net, sample)[self.labels.index(chosen.predicted)])
        if not abs(score - chosen.score) <= SCORE_TOLERANCE:
            raise UserError(
                f"row {chosen.id}: {chosen.predicted} has the probability {score:.4f}, data/predictions says "
                f"{chosen.score:.4f}: they are of another network; run: dvc repro evaluate"
            )
        return score

    def _curves(
        self, game: PairGame, explanation: PairExplanation, sample: Sample, identity: str
    ) -> Iterator[dict[str, Any]]:
        players = game.players
        controls = {}
        if sample.pixel_values is not None:
            edges = faithfulness.edge_scores(sample.pixel_values.numpy(), players.image)
            controls["image"] = (np.arange(players.n_image), edges)
        if sample.spectrogram is not None:
            loudness = faithfulness.loudness_scores(sample.spectrogram[0].numpy(), players.speech)
            controls["speech"] = (np.arange(players.n_image, game.n_players), loudness)
        generator = faithfulness.generator_of(self.seed, identity)
        for modality, (members, control) in controls.items():
            by_random = faithfulness.random_scores(generator, len(members))
            scores = dict(zip(ORDERS, (explanation.values[members], by_random, control), strict=True))
            curves = faithfulness.curves(game, game.n_players, members, scores, self.params.deletion_steps)
            for (kind, order), curve in curves.items():
                yield {"modality": modality, "kind": kind, "order": order, **vars(curve)}
