from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import PIL
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine import fingerprint as module
from pipeline.engine import shards
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions, module_path
from pipeline.frame.params import read_params
from tests.imports import imported_modules

FILES = {
    "pipeline/__init__.py": "",
    "pipeline/stage_a.py": """
        from __future__ import annotations
        import json
        from pipeline import rules
        from pipeline.frame import stage
        from pipeline.engine import shards
        from pipeline.text import Options

        def run():
            from pipeline.corpora.inner import reader
            import models.net
        """,
    "pipeline/rules.py": "THRESHOLD = 0.5",
    "pipeline/text.py": "import pipeline.emoji\nclass Options: ...",
    "pipeline/emoji.py": "from pipeline.text import Options  # a circle",
    "pipeline/corpora/__init__.py": "",
    "pipeline/corpora/inner/__init__.py": "from . import helper\nfrom .reader import read\nfrom .. import top",
    "pipeline/corpora/inner/reader.py": "def read(): ...",
    "pipeline/corpora/inner/helper.py": "",
    "pipeline/corpora/top.py": "",
    "pipeline/engine/__init__.py": "",
    "pipeline/engine/shards.py": "from pipeline import errors",
    "pipeline/errors.py": "",
    "pipeline/frame/stage.py": "",
    "pipeline/voices/__init__.py": "from importlib import import_module",
    "pipeline/voices/one.py": "from pipeline import phonemes",
    "pipeline/voices/other.py": "",
    "pipeline/phonemes.py": "",
    "pipeline/unused.py": "import pipeline.stage_a",
    "models/__init__.py": "",
    "models/net.py": "import torch\nfrom numpy import array",
}
IMPORTED = {
    "pipeline/stage_a.py",
    "pipeline/rules.py",
    "pipeline/frame/stage.py",
    "pipeline/text.py",
    "pipeline/emoji.py",
    "pipeline/engine/shards.py",
    "pipeline/errors.py",
    "pipeline/corpora/inner/reader.py",
    "models/net.py",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project of its own in the place of ours."""
    for name, source in FILES.items():
        write(tmp_path / name, source)
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    return tmp_path


def write(path: Path, source: str) -> None:
    lines = source.splitlines()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(line.removeprefix("        ") for line in lines) + "\n", encoding="utf-8")


def names(project: Path, paths: set[Path]) -> set[str]:
    return {path.relative_to(project).as_posix() for path in paths}


def test_imports_are_found_through_other_modules_and_inside_functions(project: Path) -> None:
    assert names(project, imported_modules(project / "pipeline/stage_a.py")) == IMPORTED


def test_a_package_and_relative_imports_are_found(project: Path) -> None:
    write(project / "pipeline/stage_a.py", "from pipeline.corpora import inner")
    assert names(project, imported_modules(project / "pipeline/stage_a.py")) == {
        "pipeline/stage_a.py",
        "pipeline/corpora/inner/__init__.py",
        "pipeline/corpora/inner/reader.py",
        "pipeline/corpora/inner/helper.py",
        "pipeline/corpora/top.py",
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import pipeline.rules as rules", {"pipeline/rules.py"}),
        ("from pipeline.rules import THRESHOLD", {"pipeline/rules.py"}),
        ("from pipeline import rules", {"pipeline/rules.py"}),
        ("from pipeline import rules, unused_name", {"pipeline/rules.py", "pipeline/__init__.py"}),
        ("from .rules import THRESHOLD", {"pipeline/rules.py"}),
        ("from . import rules", {"pipeline/rules.py"}),
        ("import pipelines.rules, pip, torch.nn", set()),
        ("if False:\n    import pipeline.rules", {"pipeline/rules.py"}),
        ("try:\n    import models.net\nexcept ImportError:\n    pass", {"models/net.py"}),
        ("# import pipeline.rules\n'import pipeline.rules'", set()),
    ],
)
def test_each_way_to_import(project: Path, source: str, expected: set[str]) -> None:
    write(project / "pipeline/stage_a.py", source)
    assert names(project, imported_modules(project / "pipeline/stage_a.py")) == {"pipeline/stage_a.py", *expected}


def version(project: Path, adapters: tuple[str, ...] = ()) -> str:
    return code_version(project / "pipeline/stage_a.py", adapters)


def appended(path: Path, statement: str = "changed = 1") -> None:
    write(path, path.read_text(encoding="utf-8") + statement + "\n")


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_code_version_goes_with_what_the_stage_imports_and_not_with_the_frame(project: Path, name: str) -> None:
    before = version(project)
    appended(project / name)
    frame = name.startswith(module.FRAME)
    assert (version(project) != before) == (name in IMPORTED and not frame)


WORDS = [
    ("THRESHOLD = 0.5", "# why half\nTHRESHOLD = (0.5)  # of the probability"),
    ("THRESHOLD = 0.5", '"""What a module is for."""\nTHRESHOLD = 0.5'),
    ("def f():\n    return 1", 'def f():\n    """What it gives."""\n    return 1'),
    ("def f():\n    return 1", "def f():\n\n    return (\n        1\n    )"),
    ("class C:\n    x = 1", "class C:\n    'What it holds.'\n\n    x = 1"),
    ("import pipeline.text\nfrom models.net import a, b", "from models.net import b, a\nimport pipeline.text"),
]
MEANINGS = [
    ("THRESHOLD = 0.5", "THRESHOLD = 0.4"),
    ("THRESHOLD = 0.5", "THRESHOLD = '0.5'"),
    ("def f():\n    return 1", "def f():\n    return -1"),
    ("def f():\n    return 1", "def f():\n    'a docstring'\n    'no docstring'\n    return 1"),
    ("x = 'a # no comment'", "x = 'a'"),
    ("from models.net import a", "from models.net import b"),
    ("from models.net import a", "from models.net import a as b"),
    ("from models.net import a", "from pipeline.text import a"),
    ("import models.net", "import models.net, pipeline.text"),
]


@pytest.mark.parametrize(("before", "after", "same"), [(*c, True) for c in WORDS] + [(*c, False) for c in MEANINGS])
def test_words_about_code_change_no_version_and_code_does(project: Path, before: str, after: str, same: bool) -> None:
    write(project / "pipeline/rules.py", before)
    first = version(project)
    write(project / "pipeline/rules.py", after)
    assert (version(project) == first) == same


def test_a_module_that_moves_changes_no_version(project: Path) -> None:
    before = version(project)
    moved = project / "pipeline/labels/rules.py"
    write(project / "pipeline/labels/__init__.py", "")
    moved.parent.mkdir(exist_ok=True)
    (project / "pipeline/rules.py").rename(moved)
    stage = project / "pipeline/stage_a.py"
    source = stage.read_text()
    write(stage, source.replace("from pipeline import rules", "from pipeline.labels import rules"))
    assert version(project) == before
    appended(moved)
    assert version(project) != before


def test_another_version_of_a_library_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("pillow", "numpy", "no-such-library")
    before = library_versions(names)
    assert before == {"no-such-library": None, "numpy": np.__version__, "pillow": PIL.__version__}
    monkeypatch.setattr(module, "version", lambda name: "99" if name == "pillow" else importlib.metadata.version(name))
    after = library_versions(names)
    assert after == {**before, "pillow": "99"}
    assert fingerprint(libraries=before) != fingerprint(libraries=after)


def test_only_the_chosen_adapter_counts_with_what_it_imports(project: Path) -> None:
    chosen = ("pipeline.voices.one",)
    before = version(project, chosen)
    assert before != version(project)
    assert before != version(project, ("pipeline.voices.other",))
    appended(project / "pipeline/voices/other.py")
    assert version(project, chosen) == before
    appended(project / "pipeline/phonemes.py")
    assert version(project, chosen) != before


def test_a_renamed_or_swapped_module_changes_the_version(project: Path) -> None:
    before = version(project)
    rules, net = project / "pipeline/rules.py", project / "models/net.py"
    one, other = rules.read_text(), net.read_text()
    write(rules, other)
    write(net, one)
    assert version(project) != before
    write(rules, one)
    write(net, other)
    assert version(project) == before


def test_the_version_does_not_depend_on_where_the_project_lies(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = version(project)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in FILES:
        target = elsewhere / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((project / name).read_bytes())
    monkeypatch.setattr(module, "PROJECT", elsewhere)
    assert version(elsewhere) == before


def test_the_frame_of_the_real_project_is_there_and_left_out() -> None:
    for name in module.FRAME:
        assert (module.PROJECT / name).exists()
    stage = module_path_of("clean")
    imported = {path.relative_to(module.PROJECT).as_posix() for path in imported_modules(stage)}
    assert "pipeline/engine/shards.py" in imported
    versions: dict[Path, str] = {}
    module._version(stage, versions)
    counted = {path.relative_to(module.PROJECT).as_posix() for path in versions}
    assert counted == {name for name in imported if not name.startswith(module.FRAME)}
    assert {"pipeline/clean.py", "pipeline/tweets/duplicates.py", "pipeline/tweets/text.py"} <= counted


def module_path_of(stage: str) -> Path:
    found = module_path(f"pipeline.{stage}")
    assert found is not None
    return found


def test_names_that_are_no_project_module_have_no_path() -> None:
    assert module_path("pipeline.label") == module.PROJECT / "pipeline" / "label.py"
    assert module_path("pipeline.voices") == module.PROJECT / "pipeline" / "voices" / "__init__.py"
    for name in ("pipeline.label.run", "pipeline.nothing", "numpy", "tests.engine_workers", "pipelinex.label"):
        assert module_path(name) is None


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.integers() | st.text(max_size=5), max_size=4))
def test_a_fingerprint_is_that_of_its_parts_in_any_order(parts: dict[str, int | str]) -> None:
    backwards = dict(reversed(parts.items()))
    assert fingerprint(params=parts, code="a") == fingerprint(code="a", params=backwards)
    assert fingerprint(params=parts, code="a") != fingerprint(params=parts, code="b")
    assert fingerprint(params=parts, code="a") != fingerprint(params={**parts, "new key": 1}, code="a")


def test_any_parameter_and_the_format_of_shards_change_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    sections = read_params(module.PROJECT / "params.yaml")
    before = fingerprint(params=sections["label"])
    assert fingerprint(params={**sections["label"], "threshold": 0.51}) != before
    monkeypatch.setattr(shards, "FORMAT", shards.FORMAT + 1)
    assert fingerprint(params=sections["label"]) != before
