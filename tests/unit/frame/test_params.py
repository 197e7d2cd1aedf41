from __future__ import annotations

import copy
import datetime as dt
import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import yaml
from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from pipeline.commands import check
from pipeline.commands.command import run_command
from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import UserError
from pipeline.frame.params import STRICT, read_params, section

SAMPLE = PROJECT / "params.yaml"
MISSING = object()
LABEL = r"text that matches '^\w[\w -]*$'"
SECTION_NAMES = list(dict.fromkeys(name.partition(".")[0] for name in check.SECTIONS))
HINT = "see the commented params.yaml of the project"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIER_DEVICE", "SIER_ENGINE", "SIER_WORKERS", "SIER_THREADS"):
        monkeypatch.delenv(name, raising=False)


def changed(key: str, value: Any) -> dict[str, Any]:
    """The sample's params with one key set, added or taken out."""
    # By way of JSON, what YAML's aliases name twice becomes two things.
    sections: dict[str, Any] = json.loads(json.dumps(yaml.safe_load(SAMPLE.read_text(encoding="utf-8"))))
    *path, last = key.split("/")
    inner = sections
    for part in path:
        inner = inner[part]
    if value is MISSING:
        del inner[last]
    else:
        inner[last] = value
    return sections


def problem(folder: Path, text: str | bytes, capsys: pytest.CaptureFixture[str]) -> str:
    """What `sier check` says about a params file, without its prefix."""
    path = folder / "params.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert run_command("check", [str(path)]) == 1
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("check: error: ")
    assert found.err.endswith("\n")
    assert found.err.count("\n") == 1
    return found.err.removeprefix("check: error: ").removesuffix("\n").replace(f"{path}", "params.yaml")


def test_the_projects_params_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("check", [str(SAMPLE)]) == 0
    assert capsys.readouterr() == ("", "")
    for name in ("params.paper.yaml", "params.open.yaml"):
        check.check(PROJECT / name)
        assert capsys.readouterr() == ("", "")
        assert run_command("check", [str(PROJECT / name)]) == 1  # its corpora are nowhere
        assert capsys.readouterr().err.startswith("check: error: acquire.b_t4sa.path = /corpora/b-t4sa: no such folder")


def test_check_reads_params_yaml_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command("check", []) == 1
    assert capsys.readouterr().err == (
        "check: error: params.yaml: no such file; run from the project's folder, which holds params.yaml\n"
    )
    Path("params.yaml").write_bytes(SAMPLE.read_bytes())
    assert run_command("check", []) == 0


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        # Misspelt or left out.
        (
            "label/treshold",
            0.5,
            (
                "label.treshold = 0.5: not a known key; expected rule, threshold, remap, calibrate, speech_weight, "
                "neutral, further"
            ),
        ),
        (
            "synthesize/voice/speed",
            1,
            "synthesize.voice.speed = 1: not a known key; expected engine, model, british, length_scale, seed",
        ),
        ("label/threshold", MISSING, "label.threshold is missing"),
        ("clean/image/max_bytes", MISSING, "clean.image.max_bytes is missing"),
        ("label", MISSING, f"section label is missing; {HINT}"),
        ("score/speech", MISSING, f"section score.speech is missing; {HINT}"),
        ("score", 3, f"section score.speech is missing; {HINT}"),
        ("score/video", {}, "score.video is not known; expected image, speech"),
        (
            "lable",
            {},
            f"section lable is not known; expected {', '.join(SECTION_NAMES)}",
        ),
        # Another type. A number in quotes, a bool for a number and a round float for an int are other types.
        ("label", None, "label = null: expected an object"),
        ("label", [1], "label = [1]: expected an object"),
        ("label/threshold", "0.5", 'label.threshold = "0.5": expected a valid number'),
        ("label/threshold", True, "label.threshold = true: expected a valid number"),
        ("label/threshold", None, "label.threshold = null: expected a valid number"),
        ("base/seed", True, "base.seed = true: expected a valid integer"),
        ("base/seed", 7.0, "base.seed = 7.0: expected a valid integer"),
        ("base/labels", "sad", 'base.labels = "sad": expected a valid array'),
        ("base/labels", ["sad", 1], "base.labels.1 = 1: expected a valid string"),
        ("acquire/fi/path", 3, "acquire.fi.path = 3: expected a valid string"),
        ("label/remap/anger", 3, "label.remap.anger = 3: expected a valid string"),
        ("label/remap", ["sad"], 'label.remap = ["sad"]: expected an object'),
        (
            "clean/image/stored_max_side_px",
            "big",
            'clean.image.stored_max_side_px = "big": expected a valid integer',
        ),
        ("train_teacher/image/calibrate", True, "train_teacher.image.calibrate = true: expected 'none' or 'held_out'"),
        (
            "train_teacher/speech/classes/ang",
            ["x"],
            'train_teacher.speech.classes.ang = ["x"]: expected a valid string',
        ),
        # YAML's own surprises: `no:` is a bool, 2020-01-01 a date.
        ("label/remap", {False: "sad"}, "label.remap has the key False: expected text; put it in quotes"),
        (
            "acquire/fi/path",
            dt.date(2020, 1, 1),
            "acquire.fi.path = 2020-01-01: expected text, a number, true, false or null",
        ),
        (
            "train_teacher/image/regularisation",
            [0.1, {"a"}],
            "train_teacher.image.regularisation.1 = {'a'}: expected text, a number, true, false or null",
        ),
        # Right type, impossible value.
        ("label/threshold", 1.5, "label.threshold = 1.5: expected less than or equal to 1"),
        ("label/threshold", -0.1, "label.threshold = -0.1: expected greater than or equal to 0"),
        ("label/threshold", float("nan"), "label.threshold = NaN: expected a finite number"),
        ("label/threshold", float("inf"), "label.threshold = Infinity: expected a finite number"),
        (
            "label/rule",
            "max",
            "label.rule = \"max\": expected 'max_probability', 'agreement', 'disagreement' or 'log_pool'",
        ),
        ("base/seed", -1, "base.seed = -1: expected greater than or equal to 0"),
        ("base/seed", 2**31, f"base.seed = {2**31}: expected less than {2**31}"),
        ("base/labels", ["sad"], 'base.labels = ["sad"]: expected at least 2 items after validation, not 1'),
        ("base/labels", ["sad", "sad"], 'base.labels = ["sad", "sad"]: expected labels that differ from each other'),
        ("base/labels", ["sad", ""], f'base.labels.1 = "": expected {LABEL}'),
        ("base/labels", ["sad", "<b>"], f'base.labels.1 = "<b>": expected {LABEL}'),
        ("base/labels", ["sad", "a\n"], f'base.labels.1 = "a\\n": expected {LABEL}'),
        (
            "base/labels",
            ["anger", "happy", "sad"],
            "label.remap: hate is not a label; base.labels are ['anger', 'happy', 'sad']",
        ),
        (
            "synthesize/recognition/share",
            0.02,
            (
                "synthesize.recognition.share = 0.02: train_teacher.speech.features = linguistic goes by the words "
                "heard in each recording; expected 1.0"
            ),
        ),
        (
            "train_teacher/speech/normalise",
            "voice",
            "train_teacher.speech.normalise = voice: words have no voice; expected none",
        ),
        (
            "train_teacher/image/features",
            "fused",
            "train_teacher.image.features = fused: pictures have no words; leave it out",
        ),
        ("acquire/fi/sample_size", 2, "acquire.fi.sample_size = 2: expected greater than or equal to 4"),
        ("acquire/fi/path", "", 'acquire.fi.path = "": expected at least 1 character'),
        ("clean/shard_rows", 0, "clean.shard_rows = 0: expected greater than or equal to 1"),
        ("clean/text/emoji", "keep", "clean.text.emoji = \"keep\": expected 'words' or 'drop'"),
        ("clean/image/jpeg_quality", 96, "clean.image.jpeg_quality = 96: expected less than or equal to 95"),
        ("clean/duplicates/text_similarity", 0, "clean.duplicates.text_similarity = 0: expected greater than 0"),
        ("synthesize/voice/model", "", 'synthesize.voice.model = "": expected at least 1 character'),
        (
            "synthesize/limits/max_duration_seconds",
            0.4,
            "synthesize.limits.max_duration_seconds = 0.4: expected greater than min_duration_seconds",
        ),
        (
            "train_teacher/speech/regularisation",
            [0.1, -1],
            "train_teacher.speech.regularisation.1 = -1: expected greater than 0",
        ),
        ("score/image/batch_size", 0, "score.image.batch_size = 0: expected greater than or equal to 1"),
        ("assemble/test_share", 1.0, "assemble.test_share = 1.0: expected less than 1"),
        ("assemble/folds", 1, "assemble.folds = 1: expected greater than or equal to 2"),
        (
            "train/folds",
            [1, 2],
            (
                "train.folds = [1, 2]: expected different folds in rising order, 0 among them, whose network is the "
                "one that is published"
            ),
        ),
        ("train/learning_rate", 1, "train.learning_rate = 1: expected less than 1"),
        ("train/inputs/n_mels", 8, "train.inputs.n_mels = 8: expected greater than or equal to 16"),
        ("models/ser_only/fusion", 4, "models.ser_only.fusion = 4: expected 1, 2 or 3"),
        (
            "models/ser_only/width",
            4,
            (
                "models.ser_only.width = 4: not a known key; expected rows, modalities, fusion, fusion_op, "
                "image_backbone, speech_backbone, freeze_backbone, n1_channels, code_size, head_size, targets, "
                "learn_colours"
            ),
        ),
        ("models/ser_only/image_backbone/name", MISSING, "models.ser_only.image_backbone.name is missing"),
        (
            "models/ser_only/image_backbone",
            {"name": "vgg19", "pretrained": False, "weights": "vgg19.pth"},
            (
                'models.ser_only.image_backbone = {"name": "vgg19", "pretrained": false, "weights": "vgg19.pth"}: '
                "expected pretrained: true where weights are given"
            ),
        ),
    ],
)
def test_a_fault_is_named_with_its_key_value_and_what_is_allowed(
    key: str, value: Any, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert problem(tmp_path, yaml.dump(changed(key, value)), capsys) == f"params.yaml: {expected}"


def test_a_network_may_not_take_the_name_of_a_teacher_or_leave_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = changed("base/seed", 1)["models"]["ser_only"]
    found = problem(tmp_path, yaml.dump(changed("models/ser", net)), capsys)
    assert 'models.ser.[key] = "ser": expected another name than those of the teachers, ser, ier' in found
    found = problem(tmp_path, yaml.dump(changed("models/..", net)), capsys)
    assert 'models....[key] = "..": expected text that matches' in found


@pytest.mark.parametrize(
    ("key", "allowed"), [("synthesize.voice.engine", "'hibari'"), ("train_teacher.speech.kind", "'probe'")]
)
def test_choices_that_grow_with_the_project_are_listed(
    key: str, allowed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = problem(tmp_path, yaml.dump(changed(key.replace(".", "/"), "other")), capsys)
    assert found.startswith(f'params.yaml: {key} = "other": expected ')
    assert allowed in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("base: [7", "params.yaml line 1: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("base:\n  seed: 7: 8\n", "params.yaml line 2: not valid YAML: mapping values are not allowed here"),
        ("base:\n\tseed: 7\n", "params.yaml line 2: not valid YAML: found character '\\t' that cannot start any token"),
        (
            b"base: \xff",
            "params.yaml: not valid YAML: 'utf-8' codec can't decode byte 0xff in position 6: invalid start byte",
        ),
        (
            "base: \x00",
            "params.yaml: not valid YAML: unacceptable character #x0000: special characters are not allowed",
        ),
        ("base: 2020-13-45", "params.yaml: not valid YAML: month must be in 1..12"),
        ("a: !b 1", "params.yaml line 1: not valid YAML: could not determine a constructor for the tag '!b'"),
        ("base: {seed: 7, seed: 8}", "params.yaml line 1: not valid YAML: seed stands there twice"),
        ("a: " + "[" * 5000 + "]" * 5000, "params.yaml: nested more than 32 deep"),
        ("".join(" " * depth + "a:\n" for depth in range(1500)), "params.yaml: nested more than 32 deep"),
        ("base: &a {seed: *a}", "params.yaml: nested more than 32 deep, or a value that holds itself"),
        (
            "a: &a [1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(f"{this}: &{this} [{', '.join([f'*{last}'] * 8)}]\n" for last, this in pairwise("abcdefghijkl")),
            "params.yaml: more than 100,000 values, those of aliases counted at each use",
        ),
        (
            "base: {seed: 0x" + "f" * 5000 + "}",
            "params.yaml: base.seed: a whole number beyond 9,223,372,036,854,775,807",
        ),
        ("- base", "params.yaml: expected a mapping of sections, found list"),
        ("", "params.yaml: expected a mapping of sections, found NoneType"),
    ],
)
def test_a_file_that_is_no_params_file_is_refused_in_one_line(
    text: str | bytes, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert problem(tmp_path, text, capsys) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SIER_WORKERS", "0", "SIER_WORKERS = 0: expected a number of processes, 1 or more"),
        ("SIER_WORKERS", "two", "SIER_WORKERS = two: expected a number of processes, 1 or more"),
        ("SIER_WORKERS", "-1", "SIER_WORKERS = -1: expected a number of processes, 1 or more"),
        ("SIER_THREADS", "all", "SIER_THREADS = all: expected a number of threads, 1 or more"),
    ],
)
def test_a_bad_engine_setting_is_found_before_anything_runs(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert run_command("check", [str(SAMPLE)]) == 1
    assert capsys.readouterr().err == f"check: error: {expected}\n"


def test_every_section_of_the_sample_is_one_that_check_knows() -> None:
    sections = read_params(SAMPLE)
    for name, kind in check.SECTIONS.items():
        union = get_args(get_args(kind)[0]) if get_origin(kind) is Annotated else (get_origin(kind) or kind,)
        assert isinstance(section(sections, name, kind), union)
        top, _, inner = name.partition(".")
        without = copy.deepcopy(sections)
        del (without[top] if inner else without)[inner or top]
        with pytest.raises(UserError, match=f"section {name} is missing"):
            section(without, name, kind)


@dataclass(frozen=True, config=STRICT)
class Inner:
    sizes: tuple[int, ...]
    share: float = Field(gt=0)


@dataclass(frozen=True, config=STRICT)
class Outer:
    inner: Inner
    name: str | None = None


def test_a_section_becomes_a_frozen_dataclass_of_tuples_and_defaults() -> None:
    found = section({"outer": {"inner": {"sizes": [1, 2], "share": 1}}}, "outer", Outer)
    assert found == Outer(Inner(sizes=(1, 2), share=1.0))
    assert found.inner.sizes == (1, 2)
    assert TypeAdapter(Outer).dump_python(found)["name"] is None
    with pytest.raises(AttributeError):
        found.name = "other"  # type: ignore[misc]
    assert isinstance(hash(found), int)


def test_a_section_of_a_section_is_named_in_full() -> None:
    with pytest.raises(
        UserError, match=r"^params\.yaml: a\.b\.inner\.size = 3: not a known key; expected sizes, share$"
    ):
        section({"a": {"b": {"inner": {"size": 3, "sizes": [], "share": 1}}}}, "a.b", Outer)


@dataclass(frozen=True, config=STRICT)
class Knife:
    kind: Literal["knife"]
    inner: Inner


@dataclass(frozen=True, config=STRICT)
class Fork:
    kind: Literal["fork"]
    held: Literal["knife", "spoon"]
    prongs: dict[str, Inner | None]


Tool = Annotated[Knife | Fork, Field(discriminator="kind")]


@dataclass(frozen=True, config=STRICT)
class Drawer:
    tool: Tool


KNIFE = {"kind": "knife", "inner": {"sizes": [], "share": 1}}
FORK = {"kind": "fork", "held": "knife", "prongs": {"left": None}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, " = 3: expected an object"),
        ({"held": "knife"}, ".kind is missing"),
        ({"kind": "spoon"}, ".kind = \"spoon\": expected 'knife' or 'fork'"),
        ({"kind": None}, ".kind = null: expected 'knife' or 'fork'"),
        ({**KNIFE, "held": "knife"}, '.held = "knife": not a known key; expected kind, inner'),
        ({**FORK, "inner": 1}, ".inner = 1: not a known key; expected kind, held, prongs"),
        ({**FORK, "held": "x"}, ".held = \"x\": expected 'knife' or 'spoon'"),
        ({**KNIFE, "inner": {"sizes": [1.5], "share": 1}}, ".inner.sizes.0 = 1.5: expected a valid integer"),
        ({**KNIFE, "inner": {"sizes": []}}, ".inner.share is missing"),
        ({**FORK, "prongs": {"a": {"z": 2}}}, ".prongs.a.sizes is missing"),
        (
            {**FORK, "prongs": {"a": {"sizes": [], "share": 1, "z": 2}}},
            ".prongs.a.z = 2: not a known key; expected sizes, share",
        ),
    ],
)
def test_a_section_of_several_kinds_is_spoken_of_without_naming_its_kind_as_a_key(value: Any, expected: str) -> None:
    kinds: Any = Tool
    for name, kind, found in (("tool", kinds, value), ("drawer", Drawer, {"tool": value})):
        with pytest.raises(UserError) as refused:
            section({name: found}, name, kind)
        where = "drawer.tool" if name == "drawer" else "tool"
        assert str(refused.value) == f"params.yaml: {where}{expected}"


def test_a_section_of_several_kinds_becomes_the_dataclass_of_its_kind() -> None:
    assert section({"drawer": {"tool": KNIFE}}, "drawer", Drawer) == Drawer(Knife("knife", Inner((), 1.0)))
    assert section({"drawer": {"tool": FORK}}, "drawer", Drawer) == Drawer(Fork("fork", "knife", {"left": None}))


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("SIER_DEVICE", "gpu", "cpu or cuda"),
        ("SIER_WORKERS", "0", "1 or more"),
        ("SIER_WORKERS", "two", "1 or more"),
        ("SIER_THREADS", "all", "1 or more"),
        ("SIER_ENGINE", "spark", "local"),
    ],
)
def test_check_refuses_settings_of_the_environment(
    variable: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    assert run_command("check", [str(SAMPLE)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{variable} = {value}: expected" in line
    assert expected in line


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "params.yaml")
    with pytest.raises(UserError, match="expected a file; move away what is there"):
        read_params(tmp_path / "params.yaml")
