"""CHANGELOG.md of a published dataset: what each version changed, the newest first, from its record.

It has no dates: when a version was published is told by the Hub's commits and tags. So equal records give equal text.
"""

from collections.abc import Iterable

from pipeline.frame.running import printable
from pipeline.publishing.history.versions import Change, Record

CHANGELOG = "CHANGELOG.md"
DIGITS = 12  # of a digest
HEAD = """# Changelog

Versions are MAJOR.MINOR.PATCH: columns, types or names of labels changed; rows or their values changed; only what
describes them changed.
"""


def render(record: Record) -> bytes:
    """The whole file."""
    first = len(record.changes) - 1
    sections = [_section(change, is_first=number == first) for number, change in enumerate(record.changes)]
    return "\n".join([HEAD, *sections]).encode()


def _section(change: Change, *, is_first: bool) -> str:
    version = change.version
    lines = [f"- First version: {_rows(change.rows)}."] if is_first else list(_differences(change))
    if change.on_request:
        lines.append(f"- {_rows(change.on_request)} of what was built are left out, on request.")
    lines.append(f"- Labels: sha256 {_code(version.labels_sha256)}. Built by commit {_code(version.builder)}.")
    return "\n".join([f"## {version.number}", "", *lines, ""])


def _differences(change: Change) -> Iterable[str]:
    if change.columns:
        yield f"- Columns that came, went or are of another type: {', '.join(map(_code, change.columns))}."
    flipped = sum(count for by_new in change.flips.values() for count in by_new.values())
    yield f"- {_rows(change.rows)}: {change.added} added, {change.removed} removed, {flipped} with another label."
    for old, by_new in sorted(change.flips.items()):
        for new, count in sorted(by_new.items()):
            yield f"  - {_code(old)} to {_code(new)}: {count}"
    for name, (before, now) in sorted(change.sources.items()):
        yield f"- Changed: {_plain(name)}, {_code(before[:DIGITS])} to {_code(now[:DIGITS])}."
    if not (change.columns or change.added or change.removed or flipped or change.version.number.endswith(".0")):
        yield "- Only files that describe the rows changed."


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


def _code(text: str) -> str:
    return f"`{_plain(text)}`"


def _plain(text: str) -> str:
    """In one line of Markdown, whoever wrote it."""
    return printable(" ".join(text.split())).replace("`", "'").replace("<", "&lt;")
