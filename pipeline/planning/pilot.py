"""Run every stage on a few rows of the sample, twice, in a folder of its own, and measure.

Two sizes tell what a stage costs by the row from what it costs to start. The stages run as they are, with the same
environment; only amounts (rows of the corpora, epochs, folds) are smaller.
"""

import copy
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from pipeline.corpora import fi, iemocap
from pipeline.engine.fingerprint import PROJECT
from pipeline.engine.progress import Progress
from pipeline.frame.params import PARAMS_FILE, read_params

# Figures and rows of the explanations: of the first two sizes, then with more rows, then with more figures.
EXPLAIN = ((1, 4), (1, 8), (3, 4))
SMALL_SHARE = 3  # the small pilot has a third of the tweets
_POLL_SECONDS = 0.1
# They would send the pilot's shards to the run's own store, or run a part of it.
_NOT_PASSED = ("SIER_WORK", "SIER_SHARD", "SIER_DOWNLOADS")
CORPORA = ("b_t4sa", "iemocap", "fi", "emotion_texts")
LABELS = {"iemocap": ("speech", iemocap.EMOTIONS), "fi": ("image", fi.EMOTIONS)}
# For tables of scores, which know no row of the pilot: a plan counts what these cost, which is more.
STAND_INS = {
    modality: {"kind": "probe", "encoder": encoder, "normalise": "none", "regularisation": [1.0], "calibrate": "none"}
    for modality, encoder in (("speech", "whisper-tiny.en"), ("image", "tf_efficientnet_lite0"))
}
OUTS = {
    "clean": "clean", "synthesize": "speech", "train_teacher@speech": "checkpoints/ser",
    "train_teacher@image": "checkpoints/ier", "score@speech": "scores/speech", "score@image": "scores/image",
    "label": "labels", "assemble": "sier", "evaluate": "predictions", "audit": "audit", "explain": "explanations",
    **{f"acquire@{corpus}": f"corpora/{corpus}" for corpus in CORPORA},
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One stage at one size."""

    stage: str  # as DVC names it
    seconds: float  # from start to end of the process
    units: int = 0  # see `_units`
    shards: int = 0
    out_bytes: int = 0  # of its folder below `data`
    work_bytes: int = 0  # of `.work` that are nowhere else, after the stage
    work_peak_bytes: int = 0  # most of `.work` while it ran
    memory_bytes: int = 0  # most that all its processes had in memory
    error: str | None = None  # its last line, where it failed


@dataclass(frozen=True)
class Pilot:
    """All runs, and what the stages reported of the large size."""

    tweets: int  # of the large size
    runs: Mapping[str, list[Run]]  # of each stage, the small size first; a stage behind a failed one has none
    facts: Mapping[str, float]  # see `_facts`; none where a stage failed

    @property
    def failures(self) -> list[Run]:
        """Runs that failed, the first of each size."""
        return [run for runs in self.runs.values() for run in runs if run.error is not None]


def stages(sections: Mapping[str, Any]) -> list[str]:
    """The stages that are run, in order; of the networks only the one that is explained."""
    network = sections["explain"]["model"]
    before = [stage for stage in OUTS if not stage.startswith(("acquire", "evaluate", "audit", "explain"))]
    acquire = [f"acquire@{corpus}" for corpus in CORPORA]
    return [*acquire, *before, f"train@{network}", "evaluate", "audit", "explain"]


def pilot_sections(sections: Mapping[str, Any], tweets: int) -> dict[str, Any]:
    """Parameters of a pilot: the given ones with fewer rows, one epoch, one fold, one network of random weights."""
    pilot: dict[str, Any] = copy.deepcopy(dict(sections))
    sizes = {"b_t4sa": tweets, "iemocap": max(40, tweets), "fi": max(6, tweets // 8)}
    sizes["emotion_texts"] = max(40, tweets)
    for corpus, size in sizes.items():
        given = pilot["acquire"][corpus]
        if given.get("format") not in (None, corpus) and corpus in LABELS:
            modality, labels = LABELS[corpus]
            _learn_labels_of_the_sample(pilot["train_teacher"][modality], labels)
        given |= {"format": None, "path": None, "url": None, "sha256": {}, "sample_size": size}
    for modality, probe in STAND_INS.items():
        teacher = pilot["train_teacher"][modality]
        if teacher["kind"] == "scores":
            pilot["train_teacher"][modality] = probe | {"classes": teacher["classes"]}
    pilot["label"]["further"] = []  # they know none of the pilot's rows
    shard_rows = max(2, tweets // 8)  # about as many shards at each size, which tells their cost from that of rows
    for stage in ("clean", "assemble"):
        pilot[stage]["shard_rows"] = min(pilot[stage]["shard_rows"], shard_rows)
    pilot["train"] |= {"epochs": 1, "batch_size": min(pilot["train"]["batch_size"], 4)}
    pilot["train"] |= {"folds": [0], "seeds": [0], "further_seeds": {}, "max_cut_share": 1.0}
    network = pilot["explain"]["model"]
    model = pilot["models"][network]
    for side in ("image_backbone", "speech_backbone"):
        # Random weights compute as long as trained ones, and nothing is downloaded for a plan.
        model[side] |= {"pretrained": False, "weights": None}
    pilot["models"] = {network: model}
    pilot["audit"]["model"] = network
    pilot["explain"] |= {"figures": EXPLAIN[0][0], "corpus_rows": EXPLAIN[0][1]}
    return pilot


def _learn_labels_of_the_sample(teacher: dict[str, Any], labels: Sequence[str]) -> None:
    """Deal the teacher's classes to other labels than those of its corpus: it takes as long, whatever they mean."""
    classes = sorted({name for name in teacher["classes"].values() if name is not None})
    teacher["classes"] = {label: classes[number % len(classes)] for number, label in enumerate(labels)}


def measure(sections: Mapping[str, Any], tweets: int, folder: Path, wanted: Sequence[str] | None = None) -> Pilot:
    """Run the pilot in `folder`, where its two projects stay; one of `wanted` stages only has no facts."""
    runs: dict[str, list[Run]] = {stage: [] for stage in wanted or stages(sections)}
    with Progress(total=2 * len(runs) + len(EXPLAIN) - 1, desc="pilot", unit="stage") as bar:
        for size in (max(12, tweets // SMALL_SHARE), tweets):
            root = folder / f"tweets-{size}"
            pilot = pilot_sections(sections, size)
            _write_params(root, pilot)
            for stage, done in runs.items():
                bar.set_postfix_str(stage)
                done.append(_run(root, stage, str(pilot["explain"]["model"])))
                bar.update()
                if done[-1].error is not None:
                    return Pilot(tweets, runs, {})
        if wanted:
            return Pilot(tweets, runs, {})
        for figures, rows in EXPLAIN[1:]:
            pilot["explain"] |= {"figures": figures, "corpus_rows": rows}
            _write_params(root, pilot)
            runs["explain"].append(_run(root, "explain", ""))
            bar.update()
    return Pilot(tweets, runs, _facts(root))


def _write_params(root: Path, sections: Mapping[str, Any]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / PARAMS_FILE).write_text(yaml.safe_dump(dict(sections), sort_keys=False), encoding="utf-8")


def _run(root: Path, stage: str, network: str) -> Run:
    module, _, item = stage.partition("@")
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED}
    path = os.pathsep.join(part for part in (str(PROJECT), kept.get("PYTHONPATH", "")) if part)
    before = _only_in_work(root)
    ended, highest = threading.Event(), _Highest()
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", f"pipeline.{module}", *([item] if item else [])],
        cwd=root, env={**kept, "PYTHONPATH": path}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    watcher = threading.Thread(target=_watch, args=(root, process.pid, ended, highest))
    watcher.start()
    try:
        _, errors = process.communicate()
    except BaseException:
        process.kill()
        raise
    finally:
        seconds = time.perf_counter() - begin
        ended.set()
        watcher.join()
    if process.returncode:
        lines = errors.strip().splitlines() or [f"{stage}: exit code {process.returncode}"]
        return Run(stage, seconds, error=lines[-1])
    out = root / "data" / OUTS.get(stage, f"checkpoints/{network}")
    shards, out_bytes = len(list(out.glob("**/part-*.parquet"))), sum(file.st_size for file in _files(out))
    after = _only_in_work(root)
    stays, peak = max(0, after - before), max(0, highest.work_bytes - before, after - before)
    return Run(stage, seconds, _units(root, stage), shards, out_bytes, stays, peak, highest.memory_bytes)


@dataclass
class _Highest:
    work_bytes: int = 0
    memory_bytes: int = 0


def _watch(root: Path, pid: int, ended: threading.Event, highest: _Highest) -> None:
    while not ended.wait(_POLL_SECONDS):
        highest.work_bytes = max(highest.work_bytes, _only_in_work(root))
        highest.memory_bytes = max(highest.memory_bytes, _memory_bytes(pid))


def _memory_bytes(pid: int) -> int:
    """Resident bytes of a process and all below it."""
    found = 0
    with suppress(psutil.Error):
        stage = psutil.Process(pid)
        for process in (stage, *stage.children(recursive=True)):
            with suppress(psutil.Error):  # it has ended meanwhile
                found += process.memory_info().rss
    return found


def _files(folder: Path) -> Iterator[os.stat_result]:
    """Of every file below; what goes away meanwhile is left out."""
    for top, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                file = Path(top, name).lstat()
                if stat.S_ISREG(file.st_mode):
                    yield file


def _only_in_work(root: Path) -> int:
    """Bytes of `.work`; finished shards are hard links to the same file in `data` and count there."""
    return sum(file.st_size for file in _files(root / ".work") if file.st_nlink == 1)


def _report(root: Path, name: str) -> Any:
    return json.loads((root / "reports" / f"{name}.json").read_bytes())


def _units(root: Path, stage: str) -> int:
    """What a stage's time grows with: rows in, distinct texts to speak, items that a teacher learns from."""
    module, _, item = stage.partition("@")
    if module == "acquire":
        return int(read_params(root / PARAMS_FILE)["acquire"][item]["sample_size"])
    keys = {"synthesize": "distinct_texts", "train_teacher": "used", "clean": "rows_in", "score": "rows_in",
            "label": "rows_in"}  # fmt: skip
    if module in keys:
        return int(_report(root, stage.replace("@", "_"))[keys[module]])
    return int(_report(root, "assemble")["rows"])


def _facts(root: Path) -> dict[str, float]:
    clean, speech, label = (_report(root, name) for name in ("clean", "synthesize", "label"))
    return {
        "rows": clean["rows_in"], "clean_rows": clean["rows_out"], "distinct_texts": speech["distinct_texts"],
        "speech_rows": speech["rows_out"], "speech_seconds": speech["duration_seconds"]["total"],
        "kept_rows": label["kept"],
    }  # fmt: skip
