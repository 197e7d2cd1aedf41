"""Read a section of `params.yaml` into its frozen dataclass, strictly.

Each stage declares its own section as a pydantic dataclass beside the code that uses it (see `params_dataclass`);
unknown keys, wrong types and impossible values are refused with one line that names section.key, the value and what
is allowed.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipeline.errors import UserError

PARAMS_FILE = "params.yaml"

# The configuration every params dataclass is declared with: @dataclass(frozen=True, config=STRICT).
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

# Type of a pydantic_core.PydanticCustomError about a value that must not be shown: it may hold a password.
HIDDEN = "hidden"

T = TypeVar("T")


def read_params(path: Path) -> dict[str, Any]:
    """All sections of a params file, as plain values.

    Raises:
        UserError: the file is missing, is not YAML or is not a mapping of sections.
    """
    try:
        sections = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the project's folder, which holds {PARAMS_FILE}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that does not exist
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{path}{line}: not valid YAML: {problem}") from None
    if not isinstance(sections, dict):
        raise UserError(f"{path}: expected a mapping of sections, found {type(sections).__name__}")
    return sections


def section(sections: dict[str, Any], name: str, kind: type[T]) -> T:
    """The section `name` ("label", or "score.speech" for a nested one) as an instance of `kind`.

    Raises:
        UserError: one line that names the first offending key, its value and what is allowed.
    """
    value: Any = sections
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            raise UserError(f"{PARAMS_FILE}: section {name} is missing; see the commented {PARAMS_FILE} of the project")
        value = value[part]
    _refuse_foreign(name, value)
    try:
        # By way of JSON, strict mode takes a YAML list for a tuple and nothing else for anything.
        return TypeAdapter(kind).validate_json(json.dumps(value))
    except ValidationError as error:
        raise UserError(f"{PARAMS_FILE}: {_first_problem(name, kind, error)}") from None


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
    elif not isinstance(value, str | int | float | None):
        raise UserError(f"{PARAMS_FILE}: {name} = {value}: expected text, a number, true, false or null")


def _first_problem(name: str, kind: type[Any], error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join([name, *(str(part) for part in problem["loc"])])
    if problem["type"] in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return f"{key} is missing"
    if problem["type"] == HIDDEN:
        return f"{key}: expected {problem['msg']}"
    value = json.dumps(problem["input"])
    if problem["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        for part in problem["loc"][:-1]:
            kind = get_args(kind)[1] if get_origin(kind) is dict else get_type_hints(kind)[str(part)]
        known = ", ".join(field.name for field in fields(kind))
        return f"{key} = {value}: not a known key; expected {known}"
    message = re.sub(r"^(Input should be|[A-Z]\w+ should have|Value error,) ", "", problem["msg"])
    return f"{key} = {value}: expected {message}"
