"""A VITS model's files: where they lie, what they lack, and their digest."""

import hashlib
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.engine.files import sha256_of
from pipeline.voices import PEAK, VitsParams, model_error


def find_folder(model: str, download: Callable[[str], Path], needed: Iterable[str], expected: str) -> tuple[Path, str]:
    """A model's folder, here or by `download`, with the `needed` files; and its name without folders of the machine."""
    local = Path(model).is_dir()
    folder = Path(model) if local else download(model)
    for name in needed:
        if not (folder / name).is_file():
            raise model_error(model, f"{name} not found; {expected}")
    return folder, folder.resolve().name if local else model


def expect_weights(missing: Iterable[str], name: str, weights_file: str) -> None:
    """Raises UserError if weights are `missing` in a file, or have another shape there."""
    if names := sorted(missing):
        problem = f"are not in {weights_file} or have another shape, such as {names[0]}"
        raise model_error(name, f"{len(names)} weights that config.json asks for {problem}")


def digest_of(files: Iterable[Path], params: VitsParams, packages: Iterable[str]) -> str:
    """sha256 of a model's files (by name and content), the params that shape its sound and the packages' versions."""
    facts: list[Any] = [(path.name, sha256_of(path)) for path in sorted(files)]
    facts += [params.length_scale, params.noise_scale, params.noise_scale_duration, params.batch_size, PEAK]
    facts += [(name, version(name)) for name in packages]
    return hashlib.sha256(repr(facts).encode()).hexdigest()
