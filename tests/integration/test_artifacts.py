"""docs/how-to/tracking.md: what others take of a project that was pushed, from a clone of it."""

from __future__ import annotations

import json
import re
import shlex

import pyarrow.parquet as pq
import yaml

from tests.project import HERE, Project

PAGE = (HERE / "docs/how-to/tracking.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    *_, found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_pages_commands_get_dataset_and_network_of_a_clone(tiny_copy: Project) -> None:
    top = tiny_copy.root.parent
    tiny_copy.dvc("remote", "add", "--default", "storage", "../storage")
    tagging = re.search(r"`(git tag [^`]+)`", PAGE)
    assert tagging
    author = {f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for command in (
        "git checkout --quiet -B main", "git add --all --force .dvc/config dvc.lock reports",
        "git commit --quiet --message run", tagging[1],
    ):  # fmt: skip
        done = tiny_copy.run(*shlex.split(command), **author)
        assert done.returncode == 0, done.stderr
    tiny_copy.dvc("push", "label", "assemble", "train@parallelnet")
    done = tiny_copy.run("git", "clone", "--quiet", str(tiny_copy.root), str(top / "sier"))
    assert done.returncode == 0, done.stderr
    (top / "elsewhere").mkdir()
    elsewhere = Project(top / "elsewhere", {"HF_HOME": str(top / "hub"), "HF_HUB_OFFLINE": "1"})
    done = elsewhere.run("bash", "-ec", block("sh"))
    assert done.returncode == 0, done.stderr
    given = [digest for _, digest in sorted(tiny_copy.digests("data/sier").items())]
    for folder in ("dataset", "first-version"):
        assert [digest for _, digest in sorted(elsewhere.digests(folder).items())] == given
    assert (elsewhere.root / "network/model.safetensors").is_file()
    done = elsewhere.run("python", "-c", block("python"))
    assert done.returncode == 0, done.stderr
    artifact, *figures = done.stdout.splitlines()
    assert artifact == "data/sier"
    rows = pq.read_table(tiny_copy.root / "data/sier/data")
    kept = json.loads((tiny_copy.root / "data/labels/rule.json").read_text(encoding="utf-8"))["rule"]
    train = sum(pq.read_metadata(path).num_rows for path in (tiny_copy.root / "data/sier/data").glob("train-*"))
    assert figures == [str(tiny_copy.params()["label"]["threshold"]), str(rows.num_rows), kept, str(train)]


def test_artifacts_are_outputs_with_a_type_and_labels() -> None:
    graph = yaml.safe_load((HERE / "dvc.yaml").read_text(encoding="utf-8"))
    assert {name: found["type"] for name, found in graph["artifacts"].items()} == {
        "sier": "dataset",
        "parallelnet": "model",
    }
    assert all(found["labels"] and found["desc"] for found in graph["artifacts"].values())
    assert graph["artifacts"]["sier"]["path"] in graph["stages"]["assemble"]["outs"]
    assert "data/checkpoints/${key}" in graph["stages"]["train"]["do"]["outs"]
