"""Files on a small Hub that fails in every way there is: what is sent, what is not sent again, what is said."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from huggingface_hub import constants

from pipeline.errors import UserError
from pipeline.publishing.hub import Receipt, full_name, upload
from tests import hub_server
from tests.hub_repositories import Fault
from tests.hub_server import TOKEN, USER, Hub

CARD = b"---\nlicense: other\n---\n# card\n"
FILES: Mapping[str, bytes] = {
    "README.md": CARD, "data/a.parquet": b"a" * 3_000, "data/b.parquet": b"b" * 50_000, "data/c.parquet": b"c" * 20_000,
}  # fmt: skip


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with hub_server.serve() as server:
        yield server


def send(hub: Hub, files: Mapping[str, Path | bytes] = FILES, *, private: bool = False) -> Receipt:
    return upload(files, "sier", "dataset", private=private, message="m", endpoint=hub.url, pause_seconds=0.01)


def refused(hub: Hub, files: Mapping[str, Path | bytes] = FILES) -> str:
    with pytest.raises(UserError) as caught:
        send(hub, files)
    line = str(caught.value)
    assert "\n" not in line
    assert TOKEN not in line
    assert caught.value.__cause__ is None
    return line


def stored(hub: Hub) -> dict[str, bytes]:
    return hub.repos["dataset", f"{USER}/sier"].files


def test_one_commit_holds_the_files_and_the_receipt_names_them(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "b"
    path.write_bytes(FILES["data/b.parquet"])
    receipt = send(hub, {**FILES, "data/b.parquet": path}, private=True)
    repo = hub.repos["dataset", f"{USER}/sier"]
    assert stored(hub) == FILES
    assert (len(repo.commits), repo.commits[-1][0], repo.private) == (2, receipt.commit, True)
    assert {name: size for name, (size, _) in receipt.files.items()} == {
        name: len(data) for name, data in FILES.items()
    }
    assert receipt.repo_id == f"{USER}/sier"


def test_a_name_gets_its_owner_and_a_bad_token_is_told_before_any_work(hub: Hub) -> None:
    assert full_name("sier", endpoint=hub.url) == f"{USER}/sier"
    assert full_name("others/sier", endpoint=hub.url) == "others/sier"
    hub.fail("whoami", Fault(status=401, text="Invalid token"))
    with pytest.raises(UserError, match=r"^cannot log in at \S+: 401 .*HF_TOKEN"):
        full_name("sier", endpoint=hub.url)
    assert not hub.repos


def test_the_same_again_changes_nothing_and_other_files_go(hub: Hub) -> None:
    first = send(hub)
    puts = hub.count("put")
    assert send(hub).commit == first.commit
    stored(hub)[".gitattributes"] = b"*.parquet filter=lfs\n"
    fewer = {name: data for name, data in FILES.items() if name != "data/b.parquet"}
    assert send(hub, fewer).commit != first.commit
    assert stored(hub) == {**fewer, ".gitattributes": b"*.parquet filter=lfs\n"}
    assert hub.count("put") == puts


def test_an_interrupted_upload_goes_on_without_sending_finished_files_again(hub: Hub) -> None:
    hub.fail("put", Fault(status=403))  # of three that are sent at once
    refused(hub)
    assert ("dataset", f"{USER}/sier") in hub.repos
    assert stored(hub) == {}
    finished = dict(hub.received_bytes)
    send(hub)
    assert stored(hub) == FILES
    assert 0 < len(finished) < 3
    assert all(hub.received_bytes[oid] == size for oid, size in finished.items())
    assert sorted(hub.received_bytes.values()) == [3_000, 20_000, 50_000]


@pytest.mark.parametrize(
    ("operation", "fault", "words"),
    [
        ("whoami", Fault(status=401, text="Invalid token"), ["401", "expired", "/settings/tokens", "HF_TOKEN"]),
        ("create", Fault(status=403), ["403", "right to write"]),
        ("preupload", Fault(status=401), ["401", "expired"]),
        ("batch", Fault(status=403), ["403"]),
        ("put", Fault(status=413), ["413", "data/", "assemble.shard_rows"]),
        ("commit", Fault(status=409), ["409", "same command again"]),
        ("commit", Fault(status=412), ["412", "somebody else"]),
        ("commit", Fault(status=413), ["413", "larger than"]),
        ("commit", Fault(status=429, headers={"Retry-After": "3600"}), ["429", "3600 s", "not sent twice"]),
        ("commit", Fault(status=418, text=f"short and stout {TOKEN}"), ["short and stout ***"]),
    ],
)  # fmt: skip
def test_what_does_not_pass_is_one_line_that_says_what_to_do(
    hub: Hub, operation: str, fault: Fault, words: list[str]
) -> None:
    hub.fail(operation, fault)
    line = refused(hub)
    assert [word for word in words if word not in line] == []
    assert send(hub).files.keys() == FILES.keys()


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("whoami", Fault(status=503)),
        ("create", Fault(status=429, headers={"Retry-After": "0"})),
        ("commit", Fault(status=500)),
        ("commit", Fault(break_after=10)),
        ("commit", Fault(lose_answer=True)),
        ("put", Fault(break_after=100)),
    ],
)
def test_what_passes_is_tried_again(hub: Hub, operation: str, fault: Fault) -> None:
    hub.fail(operation, fault)
    send(hub)
    assert stored(hub) == FILES
    assert len(hub.repos["dataset", f"{USER}/sier"].commits) == 2
    assert hub.count(operation) == (1 if fault.lose_answer else 2) or operation == "put"


@pytest.mark.parametrize(
    ("fault", "words"), [(Fault(status=500), "the Hub fails"), (Fault(break_after=0), "no connection")]
)
def test_what_does_not_pass_in_several_attempts_is_told(hub: Hub, fault: Fault, words: str) -> None:
    hub.fail("commit", *itertools.repeat(fault, 3))
    assert words in refused(hub)
    assert hub.count("commit") == 3


def test_without_a_token_nothing_is_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert "HF_TOKEN" in refused(hub)
    assert hub.requests == []


def test_a_public_repository_is_not_taken_for_a_private_one(hub: Hub) -> None:
    send(hub)
    with pytest.raises(UserError, match="public already"):
        send(hub, private=True)


def test_a_file_that_is_another_on_the_hub_is_found(hub: Hub) -> None:
    digest = hashlib.sha256(FILES["data/a.parquet"]).hexdigest()
    hub.blobs[digest] = b"x" * 3_000  # so that it need not be sent
    assert "data/a.parquet is not on the Hub as it was sent" in refused(hub)
