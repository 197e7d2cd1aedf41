"""What a variant makes, with stages that note what they are given."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from pipeline.commands.check import SECTIONS
from pipeline.engine import shards
from pipeline.frame.params import read_params, section
from pipeline.frame.stage import BaseParams, Context, Paths
from pipeline.stability import making
from pipeline.stability.variants import Variant
from tests.builders_sier import context_at, write_folder

ROOT = Path(__file__).parents[3]
SECTIONS_OF_PARAMS = read_params(ROOT / "params.yaml")
VOICE = Variant("a voice", {"synthesize.recognition.share": 0.5})


class Stages:
    """Stands in for `import_module`: stages that write a file into their folder."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, Any, Context]] = []

    def __call__(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(run=lambda params, context: self._run(name.removeprefix("pipeline."), params, context))

    def _run(self, module: str, params: Any, context: Context) -> None:
        stage = f"{module}@{context.item}" if context.item else module
        self.ran.append((stage, params, context))
        out = context.paths.data / making.STEPS[stage].out
        out.mkdir(parents=True, exist_ok=True)
        (out / "made.txt").write_text(stage)


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Stages:
    found = Stages()
    monkeypatch.setattr(making, "import_module", found)
    return found


@pytest.fixture
def project(tmp_path: Path) -> Context:
    """Five parts of clean with four rows each; other folders of data/ with a file; a shard in `.work`."""
    parts = [pa.table({"id": [f"{part}-{row}" for row in range(4)]}) for part in range(5)]
    write_folder(tmp_path, "clean", parts)
    for name in ("corpora", *(step.out for step in making.STEPS.values())):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "here.txt").write_text(name)
    for name in ("synthesize/abc/recorded", "score.speech/def", "train_teacher.speech.finetune/ghi"):
        (tmp_path / ".work" / name).mkdir(parents=True)
        (tmp_path / ".work" / name / "part-00000.json").write_text(name)
    return context_at(tmp_path)


def make(variant: Variant, context: Context, rows: int | None = None) -> Context:
    return making.make(variant, variant.sections(SECTIONS_OF_PARAMS), SECTIONS, context, rows)


def test_a_variant_that_changes_labels_only_is_read_where_the_scores_lie(stages: Stages, project: Context) -> None:
    assert make(Variant("x", {"label.threshold": 0.4}), project) is project
    assert stages.ran == []


def test_stages_behind_a_change_are_run_elsewhere_and_the_rest_is_linked(stages: Stages, project: Context) -> None:
    before = sorted(str(path) for path in project.paths.data.rglob("*"))
    made = make(VOICE, project)
    assert [stage for stage, *_ in stages.ran] == ["synthesize", "score@speech"]
    assert stages.ran[0][1].recognition.share == 0.5
    assert {given.paths for _, _, given in stages.ran} == {made.paths}
    data = made.paths.data
    assert [(data / name).is_symlink() for name in ("clean", "corpora", "checkpoints/ser", "scores/image")] == [
        True
    ] * 4
    assert (data / "scores" / "image" / "here.txt").read_text() == "scores/image"
    assert not (data / "speech").is_symlink()
    assert sorted(str(path) for path in project.paths.data.rglob("*")) == before


def test_another_seed_is_the_teachers_alone(stages: Stages, project: Context) -> None:
    seed = SECTIONS_OF_PARAMS["base"]["seed"] + 1
    made = make(Variant("x", {"base.seed": seed}), project)
    teachers = [given for stage, _, given in stages.ran if stage.startswith("train_teacher")]
    assert [given.base.seed for given in teachers] == [seed, seed]
    assert made.base.seed == project.base.seed  # by which intervals and chance are drawn
    assert (made.paths.data / "speech").is_symlink()


def test_finished_shards_are_at_hand_as_the_same_files(stages: Stages, project: Context) -> None:
    work = make(VOICE, project).paths.work
    for name in ("synthesize/abc/recorded/part-00000.json", "score.speech/def/part-00000.json"):
        assert (work / name).samefile(project.paths.work / name)
    assert not (work / "train_teacher.speech.finetune").exists()


def test_a_second_run_leaves_what_the_first_has_finished(stages: Stages, project: Context) -> None:
    work = make(VOICE, project).paths.work
    own = work / "synthesize" / "own" / "part-00000.json"
    own.parent.mkdir()
    own.write_text("mine")
    assert make(VOICE, project).paths.work == work
    assert own.read_text() == "mine"
    assert make(Variant("another name", VOICE.settings), project).paths.work == work
    assert make(Variant("a voice", {"synthesize.recognition.share": 0.25}), project).paths.work != work


@pytest.mark.parametrize(("rows", "parts"), [(1, 1), (4, 1), (5, 2), (12, 3), (1000, 5)])
def test_where_a_voice_speaks_anew_it_gets_as_many_shards_as_hold_the_rows(
    stages: Stages, project: Context, rows: int, parts: int
) -> None:
    clean = make(VOICE, project, rows).paths.data / "clean"
    markers = shards.read_manifest(clean, "clean")
    ids = shards.read_parts(clean, markers)["id"].to_pylist()
    assert (len(markers), len(ids), ids) == (parts, 4 * parts, sorted(ids))
    again = Context(BaseParams(seed=2, labels=("a", "b")), project.paths, project.engine)
    others = [
        shards.read_manifest(make(VOICE, given, rows).paths.data / "clean", "clean") for given in (project, again)
    ]
    assert others[0] == markers
    assert len(others[1]) == parts


def test_other_variants_keep_all_rows(stages: Stages, project: Context) -> None:
    made = make(Variant("x", {"train_teacher.speech.normalise": "none"}), project, 4)
    assert len(shards.read_manifest(made.paths.data / "clean", "clean")) == 5


def test_shards_of_a_store_stay_in_the_store(stages: Stages, project: Context, tmp_path: Path) -> None:
    paths = Paths(project.paths.root, tmp_path / "store")
    made = make(VOICE, Context(project.base, paths, project.engine))
    assert made.paths.shards == tmp_path / "store" / "stability" / made.paths.root.name
    assert section(SECTIONS_OF_PARAMS, "base", BaseParams).seed == stages.ran[0][2].base.seed
