"""The command on a small Hub: what is asked and refused before any work, what a dry run shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from pipeline.commands import publish
from pipeline.commands.command import run_command
from pipeline.errors import UserError
from pipeline.publishing import facts, packages
from pipeline.publishing import hub as publishing
from pipeline.publishing.history.receipts import Published
from tests import hub_server
from tests.hub_repositories import Fault, Repo
from tests.hub_server import TOKEN, USER, Hub

FILES = {"README.md": b"# card\n", "data/train.parquet": b"PAR1" * 1_000}
FOREIGN = {"README.md": b"# My thesis\n", "thesis.tex": b"ten years of work", "\x1b[31m.txt": b"x"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub, and a project in the working folder whose data are whole and make `FILES`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    (tmp_path / "params.yaml").write_bytes((Path(__file__).resolve().parents[3] / "params.yaml").read_bytes())
    monkeypatch.setattr(facts, "gather", lambda _: SimpleNamespace(sample_corpora=[]))
    monkeypatch.setattr(publish, "_verify", lambda _: None)
    monkeypatch.setattr(packages, "dataset_files", lambda *_, **__: dict(FILES))
    monkeypatch.setattr(packages, "model_files", lambda *_, **__: dict(FILES))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with hub_server.serve() as server:
        for function in (publishing.look, publishing.upload):
            given = partial(function, endpoint=server.url, pause_seconds=0.01)
            monkeypatch.setattr(publishing, function.__name__, given)
        yield server


@pytest.fixture
def thesis(hub: Hub) -> Repo:
    """What a mistyped name stands for."""
    repo = hub.repos[("dataset", f"{USER}/thesis")] = Repo(private=False)
    repo.commits.append(("1" * 40, dict(FOREIGN)))
    return repo


def test_a_mistyped_repository_is_refused_before_any_work(
    hub: Hub, thesis: Repo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def verify(_: object) -> None:
        raise UserError("hours of work were begun")

    monkeypatch.setattr(publish, "_verify", verify)
    assert run_command("publish", ["--repo-id", "thesis"]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith(f"publish: error: {USER}/thesis holds files that are not of sier publish (")
    assert "\x1b" not in said.err
    assert thesis.files == FOREIGN
    assert {operation for operation, _ in hub.requests} == {"whoami", "info", "tree", "resolve"}
    assert run_command("publish", ["--repo-id", "thesis", "--replace"]) == 1
    assert "hours of work were begun" in capsys.readouterr().err


def test_a_dry_run_lists_what_would_be_deleted_and_changes_nothing(
    hub: Hub, thesis: Repo, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command("publish", ["--repo-id", "thesis", "--dry-run"]) == 0
    said = capsys.readouterr()
    deleted = [line.split()[-1] for line in said.out.splitlines() if line.strip().startswith("deleted there")]
    assert deleted == ["\\x1b[31m.txt", "thesis.tex"]
    assert said.err.endswith(": needs --replace\n")
    assert {operation for operation, _ in hub.requests} == {"whoami", "info", "tree", "resolve"}
    assert run_command("publish", ["--repo-id", "thesis", "--dry-run", "--replace"]) == 0
    assert capsys.readouterr().err == ""
    assert (thesis.files, len(thesis.commits)) == (FOREIGN, 2)


def test_a_dry_run_without_a_hub_says_what_it_does_not_know(
    hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.fail("whoami", Fault(status=401))
    assert run_command("publish", ["--repo-id", "thesis", "--dry-run"]) == 0
    said = capsys.readouterr()
    assert "data/train.parquet" in said.out
    assert said.err.startswith("publish: what would be deleted is not known: cannot log in")
    monkeypatch.delenv("HF_TOKEN")
    assert run_command("publish", ["--repo-id", "thesis", "--dry-run"]) == 0
    assert "is not known: no token" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["", ".", "a b", "a/b/c", "../../thesis", "a/..", "a\nb", "a\x1b[31m", "a" * 500, "https://hub.example/a/b"]
)
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_what_can_be_no_repository_is_refused_before_anybody_is_asked(
    hub: Hub, capsys: pytest.CaptureFixture[str], name: str, more: list[str]
) -> None:
    assert run_command("publish", [f"--repo-id={name}", *more]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("publish: error: --repo-id ")
    assert "expected owner/name, or a name of your own: letters" in said.err
    assert said.err.count("\n") == 1
    assert "\x1b" not in said.err
    assert hub.requests == []


@pytest.mark.parametrize("receipt", [None, b"[]", b"{"])
def test_what_is_published_can_be_published_again_and_replaced_only_by_the_same(
    hub: Hub, capsys: pytest.CaptureFixture[str], receipt: bytes | None
) -> None:
    if receipt is not None:
        Path("reports", "publish.json").write_bytes(receipt)
    for _ in range(2):
        assert run_command("publish", ["--repo-id", "sier"]) == 0
    assert json.loads(Path("reports", "publish.json").read_bytes())["dataset"]["mode"] == "no_media"
    assert run_command("publish", ["--repo-id", "sier", "--mode", "full"]) == 1
    assert "holds no_media, not full" in capsys.readouterr().err
    for network, code in (("parallelnet", 0), ("baseline_1", 1), ("parallelnet", 0)):
        assert run_command("publish", ["--repo-id", "net", "--model", network]) == code
    assert hub.repos["model", f"{USER}/net"].files.keys() == FILES.keys()


@pytest.mark.parametrize(
    ("arguments", "before", "after"),
    [
        (["--mode", "full"], False, "manual"), (["--mode", "features"], False, "manual"), ([], False, False),
        ([], "auto", "auto"), (["--gated", "none"], "auto", False), (["--gated", "auto"], False, "auto"),
        (["--mode", "full", "--gated", "none"], "manual", False), (["--model"], False, False),
        (["--model", "--gated", "manual"], False, "manual"),
    ],
)  # fmt: skip
def test_what_holds_media_is_gated_by_default_and_no_default_opens_a_gate(
    hub: Hub, arguments: list[str], before: str | bool, after: str | bool
) -> None:
    repo = Repo(private=False, gated=before)
    hub.repos["model" if "--model" in arguments else "dataset", f"{USER}/sier"] = repo
    assert run_command("publish", ["--repo-id", "sier", *arguments]) == 0
    assert (repo.gated, repo.files.keys()) == (after, FILES.keys())


def test_a_gate_that_there_is_not_is_refused(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_command("publish", ["--repo-id", "sier", "--gated", "moat"])
    assert "invalid choice: 'moat'" in capsys.readouterr().err
    assert hub.requests == []


def test_figures_name_the_dataset_that_was_published_on_the_same_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    def model_files(*got: object) -> dict[str, bytes]:
        given.append(got[-1])
        return dict(FILES)

    monkeypatch.setattr(packages, "model_files", model_files)
    receipt = Path("reports", "publish.json")
    told = {"repo_id": "me/sier", "commit": "a" * 40, "endpoint": constants.ENDPOINT}
    elsewhere = {**told, "endpoint": "https://elsewhere"}
    receipts: list[object] = [{"dataset": told}, {"dataset": elsewhere}, {"model": told}, []]
    for written in receipts:
        receipt.write_text(json.dumps(written), encoding="utf-8")
        assert run_command("publish", ["--repo-id", "net", "--model"]) == 0
    assert given == [Published("me/sier", "a" * 40), None, None, None]
