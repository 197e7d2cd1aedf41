"""Curves of a training through dvclive, and the same figures as plain rows.

The source of both is Trainer's log, which a checkpoint keeps: after a stop the curves are drawn anew from it, so that a
training that went on and one that was never stopped leave the same files. The callback of transformers itself does not
serve: it logs times, which differ from run to run, gives each log entry a step of its own, and begins anew at a resume.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dvclive import Live
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

# Name in Trainer's log -> name of ours.
NAMES = {
    "loss": "train_loss",
    "eval_loss": "validation_loss",
    "eval_accuracy": "validation_accuracy",
    "eval_macro_f1": "validation_macro_f1",
    "learning_rate": "learning_rate",
}


def history(log: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """One row per finished epoch: epoch, and the values of `NAMES`."""
    epochs: dict[int, dict[str, float]] = {}
    for entry in log:
        known = {name: float(entry[key]) for key, name in NAMES.items() if key in entry}
        if known:
            number = round(entry["epoch"])
            epochs.setdefault(number, {"epoch": number}).update(known)
    return [epochs[number] for number in sorted(epochs) if "validation_loss" in epochs[number]]


class CurvesCallback(TrainerCallback):
    """Writes one dvclive step per epoch into `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.live: Live | None = None

    def on_train_begin(self, _args: TrainingArguments, state: TrainerState, _: TrainerControl, **_rest: Any) -> None:
        """Start anew, with the epochs that a resumed training has behind it."""
        if state.is_world_process_zero:
            self.live = Live(str(self.folder), save_dvc_exp=False, dvcyaml=None, report=None)
            for epoch in history(state.log_history):
                self._step(epoch)

    def on_evaluate(self, _args: TrainingArguments, state: TrainerState, _: TrainerControl, **_rest: Any) -> None:
        """An epoch is over: its training loss is logged before its evaluation."""
        if self.live is not None:
            self._step(history(state.log_history)[-1])

    def on_train_end(self, _args: TrainingArguments, _state: TrainerState, _: TrainerControl, **_rest: Any) -> None:
        """Write the summary."""
        if self.live is not None:
            self.live.end()
            self.live = None

    def _step(self, epoch: Mapping[str, float]) -> None:
        assert self.live is not None
        self.live.step = int(epoch["epoch"])
        for name in NAMES.values():
            if name in epoch:
                self.live.log_metric(name, epoch[name])
        self.live.make_summary()
