"""The files of a published network: a folder, or a repository of the Hub at one commit.

In   a folder or the name of a repository, and a revision of the latter
Out  a folder with the few files by which transformers knows a network; on demand its weights

Weights are safetensors or, where there are none, pickles that `torch.load(weights_only=True)` takes. Files of code are
not even fetched.
"""

import json
import pickle
import re
import warnings
from dataclasses import dataclass
from pathlib import Path, PurePath

import torch
from safetensors import SafetensorError, safe_open

from models.errors import ModelError
from models.weights.hub import snapshot

CONFIG = "config.json"
SMALL = (
    CONFIG, "preprocessor_config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "bpe.codes", "spm.model",
    "spiece.model", "sentencepiece.bpe.model",
)  # fmt: skip
# Files of networks that only a package of their own can build.
FOREIGN = {"hyperparams.yaml": "SpeechBrain", "configuration.json": "FunASR", "config.yaml": "FunASR"}
SAFE = ("model.safetensors", "model.safetensors.index.json", "model-*.safetensors")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin")


@dataclass(frozen=True)
class Repository:
    """Where a network's small files lie."""

    source: str  # as it was asked for
    folder: Path
    commit: str | None  # of the Hub; null for a folder of one's own


@dataclass(frozen=True)
class Weights:
    """A network's tensors."""

    tensors: frozenset[str]  # their names
    pickled: bool  # whether they are no safetensors


def find(source: str, revision: str | None = None) -> Repository:
    """A folder as it is, or the small files of a repository at a branch, tag or commit (null: its main branch).

    Raises:
        ModelError: it is neither here nor on the Hub, or is what only a package of its own can load.
    """
    folder = Path(source)
    if folder.is_dir():
        if revision is not None:
            raise ModelError(f"{source}: a folder has no revision {revision}; set revision: null")
        found = Repository(source, folder, None)
    else:
        folder = snapshot(source, [*SMALL, *FOREIGN], revision)
        found = Repository(source, folder, folder.name)  # the Hub's cache calls a snapshot by its commit
    _expect_of_transformers(found)
    return found


def fetch_weights(repository: Repository) -> Weights:
    """Make its weights lie in its folder, and say what they are.

    Raises:
        ModelError: there are none, a part is missing or damaged, or a pickle holds anything but tensors.
    """
    for names in (SAFE, PICKLED):
        if repository.commit:
            snapshot(repository.source, names, repository.commit)
        files = _files(repository, *names[:2])
        if files:
            pickled = names is PICKLED
            read = _pickled_names if pickled else _safe_names
            tensors = [name for file in files for name in read(f"{repository.source}: {file.name}", file)]
            return Weights(frozenset(tensors), pickled)
    raise ModelError(
        f"{repository.source}: has no weights that can be read; expected {SAFE[0]} or {PICKLED[0]}, or parts of one "
        f"with {SAFE[1]} or {PICKLED[1]}"
    )


def _expect_of_transformers(repository: Repository) -> None:
    try:
        config = json.loads((repository.folder / CONFIG).read_bytes())
    except FileNotFoundError:
        config = {}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{repository.source}: {CONFIG} cannot be read ({error}); expected that of a network"
        ) from None
    if isinstance(config, dict) and not {"model_type", "architecture"} & set(config):
        for name, package in FOREIGN.items():
            if (repository.folder / name).is_file():
                raise ModelError(
                    f"{repository.source}: is a network of the package {package} ({name}), which this project does not "
                    "load; score the items with that package, and give the table by kind: scores"
                )
        raise ModelError(
            f"{repository.source}: expected {CONFIG} of a network of transformers (model_type) or timm (architecture), "
            "found neither; or give a table of its probabilities by kind: scores"
        )


def _files(repository: Repository, whole: str, index: str) -> list[Path]:
    """The file of all weights, or the parts that an index names; none if neither is there."""
    folder = repository.folder
    if (folder / whole).is_file():
        return [folder / whole]
    if not (folder / index).is_file():
        return []
    try:
        parts = sorted(set(json.loads((folder / index).read_bytes())["weight_map"].values()))
        for part in parts:
            if PurePath(part).name != part or PurePath(part).suffix != PurePath(whole).suffix:
                raise ValueError(f"names {part!r}, which is no file beside it")
            if not (folder / part).is_file():
                raise ValueError(f"names {part}, which is not there")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{repository.source}: {index} is no list of the parts of {whole}: {error}") from None
    return [folder / part for part in parts]


def _safe_names(where: str, file: Path) -> list[str]:
    try:
        with safe_open(file, framework="pt") as opened:
            return list(opened.keys())
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{where} is damaged: {error}; fetch it again") from None


def _pickled_names(where: str, file: Path) -> list[str]:
    """Names of tensors; nothing that a pickle asks for is run, nor are its tensors read."""
    convert = f"convert it to {SAFE[0]}"
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickle protocols
            state = torch.load(file, map_location="meta", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        found = f"asks for {asked[1]}" if asked else "is no file of torch's"
        raise ModelError(f"{where} {found}, expected a pickle of nothing but tensors; {convert}") from None
    except (OSError, EOFError, ValueError, RuntimeError, LookupError, AttributeError, TypeError) as error:
        found = " ".join(str(error).split())[:200] or "it ends too early"
        raise ModelError(f"{where} is damaged: {found}; fetch it again") from None
    if not isinstance(state, dict):
        raise ModelError(f"{where} holds a {type(state).__name__}, expected tensors by name; {convert}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise ModelError(f"{where} holds {name!r}, which is no tensor; expected nothing but tensors; {convert}")
    return list(state)
