"""Books this process's CPU seconds under what its main thread does; see `benchmarks.overhead`.

Copied as `sitecustomize.py` to a folder of PYTHONPATH, so that every Python process runs it at its start. Writes
`<what> tab <seconds>` lines into the folder that SIER_BENCH_FOUND names; a killed process loses a fraction of a second.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType

EVERY_SECONDS = 0.1
FLUSH_ROUNDS = 2
# Part of a file's path, or file and function, of a frame that means computing with a model.
MODELS = {
    "/onnxruntime/": "onnxruntime",
    "/torch/nn/modules/module.py": "torch, forward",
    "/torch/autograd/": "torch, gradients",
    "/torch/optim/": "torch, optimiser",
    "/sklearn/linear_model/": "scikit-learn, fit",
    "/ctranslate2/": "CTranslate2",
}
MODEL_FUNCTIONS = {  # that call CTranslate2, whose own functions have no frame
    ("speech_encoder.py", "_pooled"): "CTranslate2, encoder",
    ("recogniser.py", "text"): "CTranslate2, recogniser",
}


def what_of(frame: FrameType | None) -> str:
    """Name of the cost that a stack of frames belongs to."""
    ours = imported = model = package = ""
    while frame is not None:  # from the innermost to the outermost
        file, function = frame.f_code.co_filename, frame.f_code.co_name
        name = Path(file).name
        if not package:
            package = file.partition("site-packages/")[2].partition("/")[0] or name
            model = MODEL_FUNCTIONS.get((name, function), "")
        if function == "_find_and_load":
            module = str(frame.f_locals.get("name", "?"))
            if not module.startswith(("pipeline", "models")):
                imported = module.partition(".")[0]  # the outermost one stays
        model = model or next((said for part, said in MODELS.items() if part in file), "")
        if not ours and ("/pipeline/" in file or "/models/" in file) and "site-packages" not in file:
            ours = f"{Path(file).parent.name}/{name} {function}"
        frame = frame.f_back
    if imported:
        return f"import of {imported}"
    return f"model: {model}" if model else ours or f"in {package}"


def _book(main: int, path: Path) -> None:
    counted: defaultdict[str, float] = defaultdict(float)
    before, rounds = 0.0, 0
    while True:
        what = what_of(sys._current_frames().get(main))
        now = time.process_time()
        counted[what] += now - before
        before = now
        rounds += 1
        if rounds % FLUSH_ROUNDS == 0:
            with path.open("a", encoding="utf-8") as file:
                file.writelines(f"{name}\t{seconds:.4f}\n" for name, seconds in counted.items() if seconds)
            counted.clear()
        time.sleep(EVERY_SECONDS)


_folder = os.environ.get("SIER_BENCH_FOUND")
if _folder:
    _target = Path(_folder) / f"{os.getpid()}-{time.time_ns()}.tsv"
    threading.Thread(target=_book, args=(threading.get_ident(), _target), daemon=True).start()
