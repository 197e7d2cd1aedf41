"""Repositories of the Hugging Face Hub as folders of this machine: configuration and weights, and nothing that runs.

In   the name of a repository, and a branch, tag or commit of it
Out  a folder of the Hub's cache, whose name is the commit
"""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from models.errors import ModelError

CONFIGURATION = ("config.json", "preprocessor_config.json", "processor_config.json", "*.index.json")
SAFETENSORS, PICKLED = "model*.safetensors", "pytorch_model*.bin"


def fetch_repository(name: str, revision: str | None, *, weights: bool = True) -> Path:
    """The folder of a repository; its weights as safetensors, or as torch's `.bin` where there are none.

    Without `weights` only what is small. ModelError: there is no such repository or revision, or it cannot be reached.
    """
    folder = _fetch(name, revision, CONFIGURATION)
    if weights:
        for pattern in (SAFETENSORS, PICKLED):
            if any(_fetch(name, folder.name, (pattern,)).glob(pattern)):
                break
    return folder


def _fetch(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except (OSError, ValueError, HfHubHTTPError) as error:
        at = f" at {revision}" if revision else ""
        raise ModelError(
            f"cannot fetch {name}{at} from the Hub ({' '.join(str(error).split())[:200]}); check the name and the "
            "revision, go online, or give a local folder as weights"
        ) from None
