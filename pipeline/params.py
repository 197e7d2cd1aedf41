"""Read a section of `params.yaml` into its frozen dataclass, strictly.

Each stage declares its own section as a pydantic dataclass beside the code that uses it (see `params_dataclass`);
unknown keys, wrong types and impossible values are refused with one line that names section.key, the value and what
is allowed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipeline.errors import UserError

PARAMS_FILE = "params.yaml"

# The configuration every params dataclass is declared with: @dataclass(frozen=True, config=STRICT).
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

T = TypeVar("T")


def read_params(path: Path) -> dict[str, Any]:
    """All sections of a params file, as plain values.

    Raises:
        UserError: the file is missing, is not YAML or is not a mapping of sections.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the project's folder, which holds {PARAMS_FILE}") from None
    try:
        sections = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        raise UserError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from None
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
    try:
        # By way of JSON, strict mode takes a YAML list for a tuple and nothing else for anything.
        return TypeAdapter(kind).validate_json(json.dumps(value, default=str))
    except ValidationError as error:
        raise UserError(f"{PARAMS_FILE}: {_first_problem(name, error)}") from None
    except ValueError as error:  # json.dumps: a key that is neither text nor number
        raise UserError(f"{PARAMS_FILE}: {name}: {error}") from None


def _first_problem(name: str, error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join([name, *(str(part) for part in problem["loc"])])
    if problem["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return f"{key} is not a known key; check its spelling"
    if problem["type"] in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return f"{key} is missing"
    message = problem["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{key} = {json.dumps(problem['input'])}: expected {message}"
