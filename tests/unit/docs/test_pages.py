"""Pages that the code dictates are up to date, links lead somewhere, blocks are what they say they are."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import dropwhile, groupby
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs import comments, generated
from pipeline.commands.check import SECTIONS
from pipeline.frame.params import section

ROOT = Path(__file__).parents[3]
PAGES = sorted([
    *(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "data/README.md")),
    *(ROOT / name for name in ("CHANGELOG.md", "CODE_OF_CONDUCT.md", "SECURITY.md")),
])  # fmt: skip
FENCE = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
TOLD_BY_A_TAG = ("kind", "engine")  # keys whose value says which others belong to a section
AMERICAN = re.compile(r"\b(?:\w*[a-z](?:ization|izing|ized|izes?)|colors?|behaviors?|labeled|labeling|center(?:ed)?)\b")
BRITISH_TOO = {"size", "sizes", "sized", "seize", "prize", "resize", "resized", "resizes"}


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _prose(page: Path) -> str:
    """Without blocks and spans of code."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", _text(page)))


def _blocks() -> Iterator[tuple[str, str, str]]:
    for page in PAGES:
        for info, code in FENCE.findall(_text(page)):
            yield str(page.relative_to(ROOT)), info, code


def _anchors(page: Path) -> set[str]:
    """Of headings, as public hosts and MyST make them."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} (.+)$", FENCE.sub("", _text(page)), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found[anchor] = found.get(anchor, -1) + 1
    return {f"{name}-{n}" if n else name for name, count in found.items() for n in range(count + 1)}


def test_generated_pages_are_up_to_date() -> None:
    stale = [path.name for path, text in generated.pages().items() if _text(path) != text]
    assert not stale, "run: python -m docs.generated"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", _text(page))):
        if not re.match(r"[a-z]+:", link):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.is_file() and target.is_relative_to(ROOT), link
            assert not anchor or anchor in _anchors(target), link


def test_readme_is_short_and_leads_to_every_part_of_the_docs() -> None:
    assert len(_text(ROOT / "README.md").splitlines()) <= 200
    index = _text(ROOT / "docs/index.md")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("").as_posix()
        assert name == "index" or re.search(rf"^{name}$|^{Path(name).parent}/\*$", index, re.MULTILINE), name


def test_blocks_are_what_they_say() -> None:
    seen = set()
    for page, info, code in _blocks():
        language = info.split()[0] if info else ""
        seen.add(language)
        match language:
            case "bash" | "sh" | "shell":
                done = subprocess.run(["bash", "-n"], input=code, capture_output=True, text=True, check=False)
                assert not done.returncode, (page, code, done.stderr)
            case "python":
                compile(code, page, "exec")
            case "yaml":
                _expect_params(yaml.safe_load(code))
            case "json":
                json.loads(code)
            case _:
                assert language in {"text", "csv", "mermaid", "{toctree}", "{include}"}, (page, info, code)
    assert seen >= {"bash", "python", "yaml"}


def _expect_params(shown: dict[str, Any]) -> None:
    """What a page shows of params.yaml is taken where it stands in the project's own."""
    own = yaml.safe_load(_text(ROOT / "params.yaml"))
    if set(shown) <= set(own):
        merged = _merged(own, shown)
        for name, kind in SECTIONS.items():
            if any(
                key == name or key.startswith(f"{name}.") or name.startswith(f"{key}.")
                for key, _ in comments.leaves(shown)
            ):
                section(merged, name, kind)


def _merged(own: Any, shown: Any) -> Any:
    if not isinstance(own, dict) or not isinstance(shown, dict) or any(tag in shown for tag in TOLD_BY_A_TAG):
        return shown
    return own | {key: _merged(own.get(key), value) for key, value in shown.items()}


def _words(code: str) -> Iterator[list[str]]:
    """The commands of a block of bash, without assignments before them and comments."""
    for line in code.replace("\\\n", "").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for end, part in groupby(lexer, key=lambda word: set(word) <= set("&|;()<>")):
            words = list(dropwhile(lambda word: re.match(r"[A-Z_]+=", word), part))
            if words and not end:
                yield words


def test_commands_that_are_shown_exist_and_take_these_arguments() -> None:
    seen = set()
    for page, info, code in _blocks():
        for name, *arguments in _words(code) if info.split()[:1] in (["bash"], ["sh"], ["shell"]) else ():
            seen.add(name)
            where = f"{page}: {name} {' '.join(arguments)}"
            match name, arguments:
                case "sier", [command, *given]:
                    parser = argparse.ArgumentParser(exit_on_error=False)
                    import_module(f"pipeline.commands.{command}").add_arguments(parser)
                    assert not parser.parse_known_args(given)[1], where
                case "make", [target]:
                    assert re.search(rf"^{re.escape(target)}:", _text(ROOT / "Makefile"), re.MULTILINE), where
                case "python", ["-m", module, *_]:
                    assert find_spec(module), where
    assert {"sier", "make", "python"} <= seen


def test_prose_is_in_british_english() -> None:
    found = {
        (page.name, word)
        for page in PAGES
        for word in AMERICAN.findall(_prose(page).lower())
        if word not in BRITISH_TOO
    }
    assert not found


def test_blocks_marked_run_do_what_they_are_shown_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that read the project alone; those that need its data run in tests/integration/test_dataset.py."""
    monkeypatch.chdir(ROOT)
    ran = [code for _, info, code in _blocks() if info == "bash run"]
    for code in ran:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", code], capture_output=True, text=True, check=False)
        assert not done.returncode, (code, done.stderr)
    assert ran


def test_messages_of_the_page_of_troubles_are_those_of_the_code() -> None:
    sources = [
        path.read_text(encoding="utf-8") for folder in ("pipeline", "models") for path in (ROOT / folder).rglob("*.py")
    ]
    # A text that goes over two lines of source stands in two literals.
    whole = "\n".join(re.sub(r'"\s*\n\s*f?"', "", source) for source in sources)
    rows = re.findall(r"^\| (`.*?) \| .* \|$", _text(ROOT / "docs/troubleshooting.md"), re.MULTILINE)
    assert len(rows) > 20
    assert not [part for row in rows for part in re.findall(r"`([^`]+)`", row) if part not in whole]


def test_every_variable_of_the_environment_is_on_its_page() -> None:
    code = "\n".join(_text(path) for folder in ("pipeline", "models") for path in (ROOT / folder).rglob("*.py"))
    listed = re.findall(r"^\| `(SIER_\w+)` \|", _text(ROOT / "docs/reference/environment.md"), re.MULTILINE)
    internal = {"SIER_STAGE_PROCESS"}  # set by the project itself
    assert sorted(listed) == sorted(set(re.findall(r'"(SIER_[A-Z_]*[A-Z])"', code)) - internal)


def test_the_citation_is_of_this_version_and_of_the_paper() -> None:
    citation = yaml.safe_load(_text(ROOT / "CITATION.cff"))
    assert f'\nversion = "{citation["version"]}"\n' in _text(ROOT / "pyproject.toml")
    assert citation["references"][0]["title"] in _text(ROOT / "pipeline/publishing/citation.bib")
