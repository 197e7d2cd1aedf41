"""Write the pages that the code dictates: parameters, commands, tables, and the summary of the committed reports.

    python -m docs.generated

Run it after a change of a dataclass of parameters, of a command's arguments, of a table or of `reports/`.
"""

import argparse
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from docs import comments, params_page
from pipeline.commands.command import COMMANDS
from pipeline.commands.summary import summarise
from pipeline.explanation import table as explanations
from pipeline.frame import audit_table, tables

ROOT = Path(__file__).parents[1]
TABLES_INTRO = """# Tables

Columns that stages hand to each other, generated from their declarations, which are checked at both ends. What each
folder holds is told in [data/README.md](../../data/README.md). `data/scores/<modality>` has `id`, `p_<class>` for every
class of the teacher (rows sum to 1) and `teacher_digest`; the columns of `data/sier` are explained in its card.
"""
TABLES: tuple[tuple[str, ModuleType, str], ...] = (
    ("data/clean", tables, "CLEAN"),
    ("data/speech", tables, "SPEECH"),
    ("data/labels", tables, "LABELS"),
    ("data/audit", audit_table, "AUDIT"),
    ("data/explanations", explanations, "EXPLANATION"),
)


def commands_page() -> str:
    """Every command's docstring and arguments."""
    parts = ["# Commands\n\nWhat people type, generated from `sier <command> --help`. Stages are run by `dvc repro`.\n"]
    for name in COMMANDS:
        module = import_module(f"pipeline.commands.{name}")
        parser = argparse.ArgumentParser(add_help=False)
        module.add_arguments(parser)
        parts.append(f"## sier {name}\n\n```text\n{(module.__doc__ or '').strip()}\n```\n")
        rows = [_argument(action) for action in parser._actions]
        parts += ["\n".join(["| argument | meaning |", "|---|---|", *rows]) + "\n"] if rows else []
    return "\n".join(parts)


def _argument(action: argparse.Action) -> str:
    name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    if action.option_strings and action.nargs != 0:
        values = action.metavar or action.dest.upper()
        several = " ".join(values) if isinstance(values, tuple) else values
        name += " " + ("|".join(map(str, action.choices)) if action.choices else several)
    said = (action.help or "") % {"default": action.default}
    return comments.row(f"`{name}`", said)


def tables_page() -> str:
    """Columns that stages hand to each other, from their declarations."""
    parts = [TABLES_INTRO]
    for folder, module, name in TABLES:
        said = comments.of_columns(module, name)
        parts.append(f"## {folder}\n\n| column | type | may be null | meaning |\n|---|---|---|---|")
        parts += [
            comments.row(
                f"`{field.name}`", _type(field.type), "yes" if field.nullable else "", said.get(field.name, "")
            )
            for field in getattr(module, name)
        ]
        parts.append("")
    return "\n".join(parts)


def _type(kind: Any) -> str:
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    return "struct" if pa.types.is_struct(kind) else str(kind)


def with_summary(page: str, *, whole: bool) -> str:
    """The page with the lines of today's reports in its block of the summary; those that it shows, or all."""
    lines = summarise(ROOT / "reports")
    block = re.search(r"```text\n(.*?)```", page, re.DOTALL)
    assert block is not None
    if not whole:  # README shows some of them
        shown = {_subject(line) for line in block[1].splitlines()}
        lines = [line for line in lines if _subject(line) in shown]
    return page[: block.start(1)] + "\n".join(lines) + "\n" + page[block.end(1) :]


def _subject(line: str) -> str:
    """What a line of the summary is about: all before two spaces, or its first two words."""
    text = line.strip()
    return text.partition("  ")[0] if "  " in text else " ".join(text.split()[:2])


def pages() -> dict[Path, str]:
    """Every page that is made, with its text."""
    summaries = {ROOT / "README.md": False, ROOT / "docs/tutorials/sample.md": True}
    return {
        ROOT / "docs/reference/params.md": params_page.page(),
        ROOT / "docs/reference/commands.md": commands_page(),
        ROOT / "docs/reference/tables.md": tables_page(),
        **{path: with_summary(path.read_text(encoding="utf-8"), whole=whole) for path, whole in summaries.items()},
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
