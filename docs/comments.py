"""What the code says beside a name: comments of a dataclass's fields, a schema's columns, the keys of a YAML file."""

import ast
import inspect
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator, Mapping
from typing import Any

ATTRIBUTE = re.compile(r"(\w+): (.*)")


def _of_lines(source: str) -> dict[int, tuple[str, bool]]:
    """Line number -> its comment, and whether it stands alone there."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith(("# noqa", "# type:", "# fmt")):
            found[token.start[0]] = (token.string.lstrip("# "), not token.line[: token.start[1]].strip())
    return found


def of_fields(kind: type[Any]) -> dict[str, str]:
    """Field -> the comment on its lines or right above, or else its line of the docstring's Attributes."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__[:-1]):
        source = textwrap.dedent(inspect.getsource(owner))
        lines = _of_lines(source)
        (definition,) = ast.parse(source).body
        assert isinstance(definition, ast.ClassDef)
        found |= _attributes(ast.get_docstring(definition) or "")
        for part in definition.body:
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                beside = [lines[line][0] for line in range(part.lineno, (part.end_lineno or 0) + 1) if line in lines]
                above = part.lineno
                while above - 1 in lines and lines[above - 1][1]:
                    above -= 1
                said = beside or [lines[line][0] for line in range(above, part.lineno)]
                if said:
                    found[part.target.id] = " ".join(said)
    return found


def _attributes(docstring: str) -> dict[str, str]:
    _, _, section = docstring.partition("Attributes:\n")
    found: dict[str, str] = {}
    for line in section.splitlines():
        text = line.strip()
        if (begun := ATTRIBUTE.fullmatch(text)) and not line.startswith(" " * 5):
            found[begun[1]] = begun[2]
        elif text and found:
            found[list(found)[-1]] += f" {text}"
        else:
            break
    return found


def of_columns(module: Any, name: str) -> dict[str, str]:
    """Column -> the comment on the line of `module`'s schema `name` that declares it."""
    source = inspect.getsource(module)
    body = source[re.search(rf"^(def )?{name}\b", source, re.MULTILINE).start() :]  # type: ignore[union-attr]
    body = body[: re.search(r"\n[)\]}]|\n\n\n|\Z", body).start()]  # type: ignore[union-attr]
    return {column: said.strip() for column, said in re.findall(r'"(\w+)".*?#(.*)', body)}


def of_yaml(text: str) -> dict[str, str]:
    """Dotted key of a params file -> the comment on its line."""
    found, path = {}, list[tuple[int, str]]()
    for line in text.splitlines():
        if key := re.match(r"( *)([\w.]+):", line):
            depth = len(key[1])
            path = [*((level, name) for level, name in path if level < depth), (depth, key[2])]
            if said := re.search(r"\s# (.*)", line):
                found[".".join(name for _, name in path)] = said[1]
    return found


def leaves(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of nested mappings, and their values."""
    for key, value in values.items():
        yield f"{before}{key}", value
        if isinstance(value, Mapping):
            yield from leaves(value, f"{before}{key}.")


def row(*cells: str) -> str:
    """A row of a table in Markdown."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
