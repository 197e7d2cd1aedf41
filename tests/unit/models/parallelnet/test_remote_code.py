"""A saved network loads with AutoModel where the project is not installed, and gives the same logits there."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.builders_nets import inputs, logits, tiny_net

MODELS = Path(__file__).parents[4] / "models" / "parallelnet"
ALLOWED = {"torch", "torchvision", "timm", "transformers", "numpy"}
NETS: dict[str, dict[str, Any]] = {
    "paper": {"fusion": 3}, "crossed": {"fusion": 1}, "speech": {"modalities": "speech"},
    "tower": {"image_backbone": "test_vit", "freeze_backbone": True},
}  # fmt: skip

# The finder hides the project even where it is installed as a package.
SCRIPT = """
import json, sys
from pathlib import Path

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"models", "pipeline"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
import numpy as np
import torch
from transformers import AutoConfig, AutoModel

torch.set_num_threads(1)
given = torch.load(sys.argv[1], weights_only=True)
given = {name: tensor.clone() for name, tensor in given.items()}
result = {}
for folder in map(Path, sys.argv[2:]):
    net = AutoModel.from_pretrained(folder, trust_remote_code=True)
    with torch.inference_mode():
        result[folder.name] = net(**given).logits.tolist()
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    assert config.id2label[1] == "happy", config
    assert net.log_mel([np.zeros(8)]).abs().max() == 0
assert "models" not in sys.modules and "pipeline" not in sys.modules
for name in ("models", "pipeline"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(name)
print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[list[float]]]]:
    """Folder with inputs and a subfolder per network, and the logits of each."""
    folder = tmp_path_factory.mktemp("saved")
    given = inputs()
    torch.save(given, folder / "inputs.pt")
    expected = {}
    for name, changes in NETS.items():
        net = tiny_net(**changes)
        net.save_pretrained(folder / name)
        expected[name] = logits(net, **given).tolist()
    return folder, expected


def test_fresh_process_without_the_project_gives_the_same_logits_bit_for_bit(
    saved: tuple[Path, dict[str, list[list[float]]]], tmp_path: Path
) -> None:
    folder, expected = saved
    environment = {"PATH": os.environ["PATH"], "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT, str(folder / "inputs.pt"), *(str(folder / name) for name in NETS)],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == expected
    assert len({str(rows) for rows in expected.values()}) == len(NETS)


def imports(file: Path) -> set[str]:
    """Modules that a file imports: `.name` for its neighbours, the top-level name of all others."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, f"{file.name}: only flat relative imports can be published"
            found.add(f".{node.module}" if node.level else str(node.module).partition(".")[0])
    return found


def test_saved_folder_holds_all_code_it_needs_and_nothing_else(
    saved: tuple[Path, dict[str, list[list[float]]]],
) -> None:
    files = {file.stem: file for file in (saved[0] / "paper").glob("*.py")}
    neighbours = {name[1:] for file in files.values() for name in imports(file) if name.startswith(".")}
    assert files.keys() == neighbours | {"parallelnet"}
    for name, file in files.items():
        assert file.read_bytes() == (MODELS / f"{name}.py").read_bytes()
        assert {found for found in imports(file) if not found.startswith(".")} <= ALLOWED | sys.stdlib_module_names


def test_saved_configuration_names_classes_code_and_inputs(saved: tuple[Path, dict[str, list[list[float]]]]) -> None:
    config = json.loads((saved[0] / "paper" / "config.json").read_text(encoding="utf-8"))
    assert config["auto_map"] == {
        "AutoConfig": "parallelnet_config.ParallelNetConfig",
        "AutoModel": "parallelnet.ParallelNet",
    }
    assert config["id2label"] == {"0": "anger", "1": "happy", "2": "hate", "3": "sad"}
    assert (config["n_mels"], config["duration_seconds"], config["fusion"]) == (32, 10.0, 3)
