"""All files of a Space: a page of Gradio's that asks the network as it lies on the Hub, at the commit that was sent."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import yaml

from models.weights.whisper_weights import MODEL_FILE
from pipeline.engine.files import sha256_of
from pipeline.errors import UserError
from pipeline.networks.params import WHISPER
from pipeline.publishing.history import receipts
from pipeline.publishing.history.receipts import Published
from pipeline.publishing.ownership import CARD

FOLDER = Path(__file__).parent
GRADIO = "6.31.0"  # what the page was tried with; gradio need not be here
PYTHON = "3.11"
NEEDED = ("torch", "torchvision", "transformers", "timm", "numpy", "pillow", "safetensors", "soxr")
WEIGHTS = "model.safetensors"
TITLE = "SIER: emotion of a picture and an utterance"


def expect_published(receipt: Path, checkpoint: Path, endpoint: str) -> Published:
    """Where the network in `checkpoint` lies on the Hub; UserError if that is not known, or another one lies there."""
    model = receipts.published(receipt, endpoint, "model")
    name = checkpoint.name
    again = f"run: sier publish --repo-id NAME --model {name}"
    if model is None:
        raise UserError(f"{receipt}: tells of no network at {endpoint}, and a Space asks one that lies there; {again}")
    if not (checkpoint / WEIGHTS).is_file() or model.sha256.get(WEIGHTS) != sha256_of(checkpoint / WEIGHTS):
        raise UserError(f"{model.repo_id} holds another network than {checkpoint}; {again}")
    return model


def space_files(
    model: Published, dataset: Published | None, checkpoint: Path, sample: list[str]
) -> dict[str, Path | bytes]:
    """Page, requirements and card."""
    config = json.loads((checkpoint / "config.json").read_bytes())
    header = {
        "title": TITLE[:60], "sdk": "gradio", "sdk_version": GRADIO, "python_version": PYTHON, "app_file": "app.py",
        "license": "apache-2.0", "models": [model.repo_id], **({"datasets": [dataset.repo_id]} if dataset else {}),
    }  # fmt: skip
    environment = jinja2.Environment(  # noqa: S701 - Markdown, not HTML
        loader=jinja2.FileSystemLoader(FOLDER), undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    card = environment.get_template("card.md.j2").render(
        header=yaml.safe_dump(header, sort_keys=False).strip(), title=TITLE, model=model, dataset=dataset, sample=sample
    )
    place = {"repo_id": model.repo_id, "revision": model.commit}
    return {
        CARD: card.encode(),
        "app.py": FOLDER / "app.py.txt",
        "model.json": (json.dumps(place, indent=2) + "\n").encode(),
        "requirements.txt": "".join(f"{line}\n" for line in requirements(config)).encode(),
    }


def requirements(config: Mapping[str, Any]) -> list[str]:
    """Packages at the versions of this machine, with which the network was tried."""
    lines = [f"{name}=={version(name).partition('+')[0]}" for name in NEEDED]
    if config.get("speech_backbone") == WHISPER and config["modalities"] != "image":
        lines += [f"faster-whisper=={version('faster-whisper')}", MODEL_FILE.distribution]
    return lines
