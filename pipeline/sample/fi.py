"""Write the sample's FI: `<root>/<emotion>/<emotion>_NNNN.jpg`, with dead-link placeholders and a broken file."""

from pathlib import Path

import numpy as np

from pipeline.engine.progress import Progress
from pipeline.errors import UserError
from pipeline.sample.defects import APPLE_DOUBLE, placeholder, truncated
from pipeline.sample.pictures import EMOTIONS, draw_jpeg

MINIMUM_IMAGES = 4
# Files that a reader must not learn from, on top of the usable ones: emotion -> how many.
PLACEHOLDERS = {"anger": 1, "awe": 2, "sadness": 2}
TRUNCATED = {"excitement": 1}


def make(target: Path, seed: int, images_per_class: int) -> None:
    """Write the corpus into `target`; raises UserError if `images_per_class` are too few."""
    if images_per_class < MINIMUM_IMAGES:
        raise UserError(f"sample of FI: images_per_class = {images_per_class}: expected at least {MINIMUM_IMAGES}")
    for number, emotion in enumerate(Progress(EMOTIONS, desc="drawing FI", unit="class")):
        folder = target / emotion
        folder.mkdir(parents=True, exist_ok=True)
        files = [
            draw_jpeg(emotion, np.random.default_rng([seed, 20, number, index])) for index in range(images_per_class)
        ]
        # In the middle of the numbering, as dead links are.
        middle = images_per_class // 2
        broken = [truncated(files[middle])] * TRUNCATED.get(emotion, 0)
        files[middle:middle] = [placeholder()] * PLACEHOLDERS.get(emotion, 0) + broken
        for index, content in enumerate(files, start=1):
            (folder / f"{emotion}_{index:04d}.jpg").write_bytes(content)
        (folder / f"._{emotion}_0001.jpg").write_bytes(APPLE_DOUBLE)
