"""The page of parameters, from the frozen dataclasses that refuse all others, and the values of both params files."""

from collections.abc import Iterator
from dataclasses import MISSING, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

from docs import comments
from pipeline.commands.check import SECTIONS
from pipeline.frame.params import read_params

ROOT = Path(__file__).parents[1]
FILES = {"sample": "params.yaml", "paper": "params.paper.yaml"}
SIMPLE = {int: "whole number", float: "number", str: "text", bool: "true or false", NoneType: "null"}
BOUNDS = {Ge: ("ge", "≥"), Gt: ("gt", ">"), Le: ("le", "≤"), Lt: ("lt", "<")}
INTRO = """# Parameters

What `params.yaml` may hold, generated from the dataclasses that read it. Unknown keys, wrong types and impossible
values are refused in one line before anything runs. Column *sample* has the value in `params.yaml`, *paper* the one in
`params.paper.yaml` where it differs. What decides how work is run, and not what comes out, is an
[environment variable](environment.md).
"""


def page() -> str:
    """The page in Markdown."""
    values = {name: dict(comments.leaves(read_params(ROOT / file))) for name, file in FILES.items()}
    said = comments.of_yaml((ROOT / FILES["sample"]).read_text(encoding="utf-8"))
    parts, sections = [INTRO], list(SECTIONS.items())
    while sections:
        kind = sections[0][1]
        names = [name for name, other in sections if other is kind]
        sections = [(name, other) for name, other in sections if other is not kind]
        parts += _section(names, kind, values, said)
    return "\n".join(parts)


def _section(names: list[str], kind: Any, values: dict[str, dict[str, Any]], said: dict[str, str]) -> Iterator[str]:
    inner = kind
    if get_origin(_bare(inner)) is dict:  # a section of entries, each with a name of its own
        inner, names = get_args(_bare(inner))[1], [f"{names[0]}.parallelnet"]
    yield f"## {', '.join(f'`{name}`' for name in names)}\n"
    if inner is not kind:
        yield "One entry for each network, with any name; values are those of `parallelnet`.\n"
    for member in _dataclasses(inner):
        if len(_dataclasses(inner)) > 1:
            yield f"### {_tag(member)}\n"
        yield f"{_first_sentence(member)}\n"
        yield "| key | expected | sample | paper | meaning |\n|---|---|---|---|---|"
        for key, tag, expected, remark in _rows(member):
            given = [[_given(values[file], name, key, tag, member) for name in names] for file in FILES]
            sample, paper = map(_value, given)
            own = (said.get(f"{name}.{key}", "") for name, value in zip(names, given[0], strict=True) if value != "")
            words = [f"with `{tag.rpartition('.')[2]}`" if tag else "", remark or next(filter(None, own), "")]
            yield comments.row(
                f"`{key}`", expected, sample, "" if paper == sample else paper, "; ".join(filter(None, words))
            )
        yield ""


def _rows(kind: Any, before: str = "", tag: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Dotted key, tag of the union's member that has it, what is expected, what is said of it."""
    said, seen = comments.of_fields(kind), dict[Any, str]()
    defaults = {name: _default(field) for name, field in kind.__dataclass_fields__.items()}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if name not in defaults:
            continue
        members = _dataclasses(hint)
        expected = describe(hint) + (f"; default {defaults[name]}" if defaults[name] and not members else "")
        as_before = next((f"as `{seen[member]}`" for member in members if member in seen), "")
        yield before + name, tag, expected, said.get(name, "") or as_before
        for member in members if not as_before else ():
            seen[member] = before + name
            yield from _rows(member, f"{before}{name}.", f"{before}{name}.{_tag(member)}" if len(members) > 1 else tag)


def _default(field: Any) -> str:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    default = getattr(default, "default", default)  # of pydantic's own field
    if default is MISSING or is_dataclass(default):
        return ""
    return _yaml(list(default) if isinstance(default, tuple) else default)


def _given(values: dict[str, Any], name: str, key: str, tag: str, member: Any) -> Any:
    """The value of a key in a params file; nothing where that has another member of the union."""
    for where, one in ((f"{name}.", _tag(member)), (f"{name}.", tag)):
        tagged, _, expected = one.partition(": ")
        if expected and values.get(where + tagged) != expected:
            return ""
    return values.get(f"{name}.{key}", "")


def describe(hint: Any) -> str:
    """What a type expects, in words."""
    bare, bounds = _bare(hint), _bounds(hint)
    origin, arguments = get_origin(bare), get_args(bare)
    if origin in {Union, UnionType}:
        kinds = [describe(one) for one in arguments]
        return " or ".join(dict.fromkeys(kinds))
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in {tuple, list}:
        return f"list{bounds}: {describe(arguments[0])}"
    if origin is dict:
        return f"mapping{bounds}: {describe(arguments[0])} to {describe(arguments[1])}"
    if is_dataclass(bare):
        return "section"
    return SIMPLE.get(bare, getattr(bare, "__name__", str(bare))) + bounds


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _bounds(hint: Any) -> str:
    """Of an `Annotated` type, with pydantic's or annotated_types' metadata."""
    found = []
    for part in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        for mark in getattr(part, "metadata", [part]):
            if type(mark) in BOUNDS:
                name, sign = BOUNDS[type(mark)]
                found.append(f"{sign} {getattr(mark, name):,}")
            elif isinstance(mark, MinLen):
                found.append("not empty" if mark.min_length == 1 else f"at least {mark.min_length}")
            elif isinstance(mark, MaxLen):
                found.append(f"at most {mark.max_length}")
    return f" {', '.join(found)}" if found else ""


def _dataclasses(hint: Any) -> list[Any]:
    bare = _bare(hint)
    parts = get_args(bare) if get_origin(bare) in {Union, UnionType} else (bare,)
    return [_bare(part) for part in parts if is_dataclass(_bare(part))]


def _tag(kind: Any) -> str:
    """`kind: probe` of a member of a union."""
    for name, hint in get_type_hints(kind).items():
        if get_origin(hint) is Literal and len(get_args(hint)) == 1:
            return f"{name}: {get_args(hint)[0]}"
    return str(kind.__name__)


def _first_sentence(kind: Any) -> str:
    first = (kind.__doc__ or "").strip().split("\n\n")[0]
    return " ".join(first.split())


def _value(values: list[Any]) -> str:
    texts = ["" if isinstance(value, dict) and value else _yaml(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else " / ".join(text or "none" for text in texts)


def _yaml(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{', '.join(_yaml(one) for one in value)}]"
    return "{}" if value == {} else str(value)
