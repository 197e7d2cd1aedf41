"""dvc.yaml, resolved by DVC itself, against the code that its stages run."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from dvc.repo import Repo

from pipeline.commands.check import SECTIONS
from pipeline.engine.fingerprint import PROJECT
from pipeline.reporting import stage_reports
from pipeline.teachers.params import TeacherParams
from tests.imports import imported_modules

DVC_TEMPLATES = {"bar_horizontal", "linear", "confusion", "simple", "scatter"}
OWN_TEMPLATES = sorted((PROJECT / ".dvc" / "plots").glob("*.json"))
# Of teachers, from the types of their parameters.
KINDS = [get_args(kind.__dataclass_fields__["kind"].type)[0] for kind in get_args(get_args(TeacherParams)[0])]
WITHOUT_TORCH = ("acquire", "clean", "synthesize", "label", "assemble")


@dataclass(frozen=True)
class Stage:
    name: str
    cmd: str
    desc: str
    deps: tuple[str, ...]
    params: dict[str, list[str]]
    outs: dict[str, Any]

    @property
    def module(self) -> str:
        return self.name.partition("@")[0]

    @property
    def item(self) -> str:
        return self.name.partition("@")[2]

    @property
    def file(self) -> Path:
        return PROJECT / "pipeline" / f"{self.module}.py"

    @property
    def code(self) -> set[str]:
        return {dep for dep in self.deps if not dep.startswith(("data/", "reports/"))}

    @property
    def data(self) -> set[str]:
        return {dep for dep in self.deps if dep.startswith("data/")}


def resolved() -> list[Stage]:
    stages = []
    with Repo(str(PROJECT)) as repo:
        for stage in repo.index.stages:
            params = {dep.def_path: dep.params for dep in stage.params}
            stages.append(
                Stage(
                    name=stage.addressing,
                    cmd=stage.cmd,
                    desc=stage.desc or "",
                    deps=tuple(dep.def_path for dep in stage.deps if dep not in stage.params),
                    params=params,
                    outs={out.def_path: out for out in stage.outs},
                )
            )
    return stages


STAGES = resolved()
RECOGNISER = "synthesize.recognition.model"
MADE_WITH = ["synthesize.recognition", "synthesize.voice", "train_teacher"]
WRITTEN = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))
PARAMS = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
each_stage = pytest.mark.parametrize("stage", STAGES, ids=[stage.name for stage in STAGES])


def relative(paths: set[Path]) -> set[str]:
    return {path.relative_to(PROJECT).as_posix() for path in paths}


def inside(name: str, folders: set[str]) -> bool:
    return any(name.startswith(f"{folder}/") for folder in folders)


def adapters(stage: Stage) -> set[str]:
    """Modules that params name, which no import statement shows."""
    if stage.module == "train_teacher":  # of any kind: the package is listed as a whole
        return {f"pipeline/teachers/{kind}.py" for kind in KINDS}
    return {f"pipeline/voices/{PARAMS['synthesize']['voice']['engine']}.py"} if stage.module == "synthesize" else set()


def needed(stage: Stage) -> set[str]:
    starts = [stage.file, *(PROJECT / adapter for adapter in adapters(stage))]
    return set().union(*(relative(imported_modules(start)) for start in starts))


def test_every_module_that_is_a_stage_is_in_the_graph() -> None:
    modules = {
        path.stem
        for path in (PROJECT / "pipeline").glob("*.py")
        if "raise SystemExit(stage_main(" in path.read_text(encoding="utf-8")
    }
    assert {stage.module for stage in STAGES} == modules


@each_stage
def test_whatever_a_stage_imports_lies_in_a_listed_path_and_no_path_is_listed_in_vain(stage: Stage) -> None:
    imported = needed(stage)
    assert stage.file.relative_to(PROJECT).as_posix() in stage.code
    assert {name for name in imported if name not in stage.code and not inside(name, stage.code)} == set()
    assert {path for path in stage.code if not any(name == path or inside(name, {path}) for name in imported)} == set()


@each_stage
def test_code_is_listed_by_package_but_for_what_no_package_of_its_own_holds(stage: Stage) -> None:
    single = {path for path in stage.code if path.endswith(".py")}
    common = {stage.file.relative_to(PROJECT).as_posix(), "pipeline/errors.py", "models/errors.py"}
    # Of the voices only the chosen engine.
    assert all(path.startswith("pipeline/voices/") for path in single - common)
    assert all((PROJECT / path).is_dir() for path in stage.code - single)


@pytest.mark.parametrize("module", sorted({stage.module for stage in STAGES}))
def test_what_python_imports_at_start_is_listed_and_torch_only_where_needed(module: str) -> None:
    """The same question as above, asked of Python itself instead of the source code."""
    script = (
        f"import json, sys, pipeline.{module}\n"
        "files = {name: getattr(found, '__file__', None) for name, found in sys.modules.items()}\n"
        "print(json.dumps({name: file for name, file in files.items() if file}))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    loaded = {name: Path(file) for name, file in json.loads(run.stdout).items()}
    packages = {PROJECT / "pipeline", PROJECT / "models"}
    ours = {path for path in loaded.values() if packages & set(path.parents) and has_code(path)}
    stage = next(stage for stage in STAGES if stage.module == module)
    ours.remove(PROJECT / "pipeline" / "__init__.py")  # which only says where old commands went
    assert len(ours) > 5
    assert {name for name in relative(ours) if name not in stage.code and not inside(name, stage.code)} == set()
    if module in WITHOUT_TORCH:
        assert not {"torch", "sklearn", "onnxruntime"} & loaded.keys()


def has_code(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


@each_stage
def test_a_stage_is_described_and_runs_its_module_without_shell_logic(stage: Stage) -> None:
    assert stage.cmd == f"python -m pipeline.{stage.module}" + (f" {stage.item}" if stage.item else "")
    assert re.fullmatch(r"[A-Z][^$]{20,99}[^.$]", stage.desc)


def test_descriptions_tell_stages_apart() -> None:
    assert len({stage.desc for stage in STAGES}) == len(STAGES)


def whole_sections(stage: Stage) -> list[str]:
    """A stage's own section, and those of others that it reads."""
    if stage.module == "train":
        return ["train", f"models.{stage.item}"]
    if stage.module == "report":  # which prints them all
        return ["report", *(name for name in SECTIONS if name not in {"base", "report"})]
    own = f"{stage.module}.{stage.item}" if stage.item else stage.module
    further = {"evaluate": ["models", "train"], "explain": ["models", "train"], "audit": ["models"]}
    if stage.module == "train_teacher":  # hears by the recogniser that heard the tweets
        return [RECOGNISER, own]
    if stage.module == "assemble":  # its card tells what the dataset was made with
        return [own, *MADE_WITH]
    return [own, *further.get(stage.module, [])]


@each_stage
def test_a_stage_depends_on_base_and_its_own_whole_section(stage: Stage) -> None:
    assert stage.params == {"params.yaml": ["base", *whole_sections(stage)]}


def test_every_section_belongs_to_a_stage() -> None:
    used = {name for stage in STAGES for name in stage.params["params.yaml"]}
    assert used - {RECOGNISER, *MADE_WITH} == set(SECTIONS) | {f"models.{name}" for name in PARAMS["models"]}


def test_every_network_has_a_stage() -> None:
    assert {stage.item for stage in STAGES if stage.module == "train"} == set(PARAMS["models"])


@each_stage
def test_nothing_persists_and_only_small_files_and_corpora_are_kept_out_of_the_cache(stage: Stage) -> None:
    for name, out in stage.outs.items():
        assert not out.persist
        assert out.use_cache == (name == "reports/index.html" or not name.startswith(("reports/", "data/corpora/")))


def test_no_stage_declares_metrics_or_plots_of_its_own() -> None:
    for stage in STAGES:
        assert not any(out.metric or out.plot for out in stage.outs.values())


def test_metrics_and_plots_at_top_level_are_exactly_the_reports_of_stages() -> None:
    outs = [name for stage in STAGES for name in stage.outs]
    assert len(outs) == len(set(outs))
    plots = [name for plot in WRITTEN["plots"] for name in plot]
    assert sorted(WRITTEN["metrics"]) == sorted(name for name in outs if re.fullmatch(r"reports/\w+\.json", name))
    assert sorted(plots) == sorted(name for name in outs if re.fullmatch(r"reports/plots/\w+\.csv", name))


def test_every_plot_has_a_title_a_template_and_two_axes() -> None:
    for plot in WRITTEN["plots"]:
        for settings in plot.values():
            assert set(settings) == {"title", "template", "x", "y"}
            assert settings["template"] in DVC_TEMPLATES | {path.stem for path in OWN_TEMPLATES}


def test_every_template_of_ours_is_json_that_draws_dvcs_data_and_is_used() -> None:
    used = {settings["template"] for plot in WRITTEN["plots"] for settings in plot.values()}
    for path in OWN_TEMPLATES:
        assert path.stem in used - DVC_TEMPLATES
        template = json.loads(path.read_text(encoding="utf-8"))
        assert template["data"] == {"values": "<DVC_METRIC_DATA>"}


def test_the_report_reads_every_report_that_it_names_and_no_other() -> None:
    stage = next(stage for stage in STAGES if stage.name == "report")
    named = [f"{name}.json" for name in stage_reports.METRICS] + [f"{name}.csv" for name in stage_reports.TABLES]
    named += [f"plots/{name}.csv" for name in stage_reports.PLOTS]
    assert {dep for dep in stage.deps if dep.startswith("reports/")} == {f"reports/{name}" for name in named}


@each_stage
def test_data_that_a_stage_reads_is_made_by_another_stage(stage: Stage) -> None:
    made = {name for other in STAGES if other is not stage for name in other.outs}
    above = {parent.as_posix() for name in made for parent in Path(name).parents}
    assert {name for name in stage.data if name not in made | above and not inside(name, made)} == set()


def test_bytecode_and_unfinished_work_are_ignored_by_dvc() -> None:
    with Repo(str(PROJECT)) as repo:
        for folder in ("pipeline/__pycache__", "pipeline/engine/__pycache__", ".work", ".venv"):
            assert repo.dvcignore.is_ignored_dir(str(PROJECT / folder))
        assert not repo.dvcignore.is_ignored_dir(str(PROJECT / "pipeline"))
