"""Read a section of `params.yaml` into its frozen dataclass, strictly.

Each stage declares its own section as a pydantic dataclass beside the code that uses it; unknown keys, wrong types and
impossible values are refused with one line that names section.key, the value and what is allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import chain, islice
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipeline.errors import UserError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PARAMS_FILE = "params.yaml"

# The configuration every params dataclass is declared with: @dataclass(frozen=True, config=STRICT).
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

# Type of a pydantic_core.PydanticCustomError about a value that must not be shown: it may hold a password.
HIDDEN = "hidden"

# No params file comes near; in YAML a few lines can stand for any number of values, or for one that holds itself.
DEPTH_MAX = 32
VALUES_MAX = 100_000
INTEGER_MAX = 2**63 - 1

T = TypeVar("T")


class _Loader(yaml.SafeLoader):
    """Of a key that stands twice in a mapping, YAML's own takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As PyYAML has it."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands there twice", key.start_mark)
            seen.add((key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep=deep)


def read_params(path: Path) -> dict[str, Any]:
    """All sections of a params file, as plain values; UserError if it is missing, no YAML or no mapping of sections."""
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: expected a file; move away what is there")
        sections = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - it is a SafeLoader
        _expect_bounds(path, sections)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the project's folder, which holds {PARAMS_FILE}") from None
    except RecursionError:
        raise UserError(f"{path}: nested more than {DEPTH_MAX} deep") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that does not exist
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{path}{line}: not valid YAML: {problem}") from None
    if not isinstance(sections, dict):
        raise UserError(f"{path}: expected a mapping of sections, found {type(sections).__name__}")
    return sections


def _expect_bounds(path: Path, sections: Any) -> None:
    count, layer = 0, [sections]
    for _ in range(DEPTH_MAX):
        count += len(layer)
        if count > VALUES_MAX:
            raise UserError(f"{path}: more than {VALUES_MAX:,} values, those of aliases counted at each use")
        inner = (part.values() if isinstance(part, dict) else part for part in layer if isinstance(part, dict | list))
        layer = list(islice(chain.from_iterable(inner), VALUES_MAX + 1))
        if not layer:
            return
    raise UserError(f"{path}: nested more than {DEPTH_MAX} deep, or a value that holds itself")


def section(sections: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """The section `name` ("label", or "score.speech" for a nested one) as an instance of `kind`.

    Raises UserError, which names the first offending key, its value and what is allowed.
    """
    value: Any = sections
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise UserError(f"{PARAMS_FILE}: section {name} is missing; see the commented {PARAMS_FILE} of the project")
        value = value[part]
    _refuse_foreign(name, value)
    try:
        # By way of JSON, strict mode takes a YAML list for a tuple and nothing else for anything.
        return TypeAdapter(kind).validate_json(json.dumps(value))
    except ValidationError as error:
        raise UserError(f"{PARAMS_FILE}: {_first_problem(name, kind, error)}") from None


def expect_network_of_sier(sections: Mapping[str, Any], where: str, name: str) -> None:
    """Raises UserError where the parameter `where` names no network, or one whose rows are not those of data/sier."""
    models = section(sections, "models", dict[str, dict[str, Any]])
    if name not in models:
        raise UserError(f"{PARAMS_FILE}: {where} = {name}: expected a key of models: {', '.join(models)}")
    if (rows := models[name].get("rows")) != "sier":
        raise UserError(f"{PARAMS_FILE}: {where} = {name}: expected a network of rows: sier, found rows: {rows}")


def _refuse_foreign(name: str, value: Any) -> None:
    """YAML knows dates, sets and keys that are no text (`no:` is one of them), and JSON would turn them into text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise UserError(f"{PARAMS_FILE}: {name} has the key {key}: expected text; put it in quotes")
            _refuse_foreign(f"{name}.{key}", inner)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            _refuse_foreign(f"{name}.{position}", inner)
    elif isinstance(value, int) and abs(value) > INTEGER_MAX:
        raise UserError(f"{PARAMS_FILE}: {name}: a whole number beyond {INTEGER_MAX:,}")
    elif not isinstance(value, str | int | float | None):
        raise UserError(f"{PARAMS_FILE}: {name} = {value}: expected text, a number, true, false or null")


def _first_problem(name: str, kind: Any, error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    keys, owner = _located(kind, problem["loc"])
    key = ".".join([name, *keys])
    if problem["type"] in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return f"{key} is missing"
    if problem["type"] == HIDDEN:
        return f"{key}: expected {problem['msg']}"
    if problem["type"] in {"union_tag_not_found", "union_tag_invalid"}:
        return _wrong_tag(key, problem)
    value = json.dumps(problem["input"])
    if problem["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        known = ", ".join(field.name for field in fields(owner))
        return f"{key} = {value}: not a known key; expected {known}"
    message = re.sub(r"^(Input should be|[A-Z]\w+ should have|Value error,) ", "", problem["msg"])
    message = message.replace("String should match pattern", "text that matches")
    return f"{key} = {value}: expected {message}"


def _located(kind: Any, location: Sequence[int | str]) -> tuple[list[str], Any]:
    """Keys that lead to a fault, and the dataclass in which the last of them stands (as far as types tell).

    pydantic's location names the tag of a union that a discriminator tells apart, where params.yaml has no key.
    """
    keys: list[str] = []
    owner, inner = kind, kind
    for part in location:
        members = _members(inner)
        if len(members) > 1 and isinstance(part, str) and part in members:
            inner = members[part]
            continue
        keys.append(str(part))
        owner = next(iter(members.values()), inner)
        inner = _inner(owner, str(part))
    return keys, owner


def _members(kind: Any) -> dict[str, Any]:
    """The dataclasses that a type may be, by the tag of each; one alone without."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    types = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
    members: list[Any] = [member for member in types if is_dataclass(member)]
    return {tag: member for member in members for tag in (_tags(member) if len(members) > 1 else [""])}


def _tags(member: Any) -> list[str]:
    """Values of the one-valued keys of a dataclass (`kind: Literal["probe"]`)."""
    values = [get_args(kind) for kind in get_type_hints(member).values() if get_origin(kind) is Literal]
    return [str(only) for only, *others in values if not others]


def _inner(kind: Any, part: str) -> Any:
    """The type of a key of a dataclass, or of what a mapping or a list holds; None if there is none."""
    if is_dataclass(kind):
        return get_type_hints(kind).get(part)
    arguments = get_args(kind)
    return arguments[-1 if get_origin(kind) is dict else 0] if arguments else None


def _wrong_tag(key: str, problem: ErrorDetails) -> str:
    """`pydantic` reports a tag at the section that it belongs to."""
    tag = str(problem["ctx"]["discriminator"]).strip("'")
    if problem["type"] == "union_tag_not_found":
        return f"{key}.{tag} is missing"
    expected = str(problem["ctx"]["expected_tags"]).replace(", ", " or ")
    return f"{key}.{tag} = {json.dumps(problem['input'][tag])}: expected {expected}"
