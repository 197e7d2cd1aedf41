"""Files on a small Hub that fails in every way there is: what is sent, what is not sent again, what is said."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, constants

from pipeline.errors import UserError
from pipeline.publishing.gate import Gate
from pipeline.publishing.hub import Receipt, look, upload
from pipeline.publishing.ownership import MARK
from tests import hub_server
from tests.hub_repositories import Fault, Repo
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


def send(
    hub: Hub, files: Mapping[str, Path | bytes] = FILES, what: str = "full", *, private: bool = False,
    replace: bool = False, gate: Gate | None = None,
) -> Receipt:  # fmt: skip
    return upload(
        files, "sier", "dataset", what, private=private, replace=replace, gate=gate, endpoint=hub.url,
        pause_seconds=0.01,
    )  # fmt: skip


def refused(hub: Hub, files: Mapping[str, Path | bytes] = FILES, what: str = "full") -> str:
    with pytest.raises(UserError) as caught:
        send(hub, files, what)
    line = str(caught.value)
    assert "\n" not in line
    assert TOKEN not in line
    assert caught.value.__cause__ is None
    return line


def stored(hub: Hub) -> dict[str, bytes]:
    """As it was given: the card without its mark."""
    files = hub.repos["dataset", f"{USER}/sier"].files
    return {path: MARK.sub(b"", content) if path == "README.md" else content for path, content in files.items()}


def test_one_commit_holds_the_files_and_the_receipt_names_them(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "b"
    path.write_bytes(FILES["data/b.parquet"])
    receipt = send(hub, {**FILES, "data/b.parquet": path}, private=True)
    repo = hub.repos["dataset", f"{USER}/sier"]
    assert stored(hub) == FILES
    assert (len(repo.commits), repo.commits[-1][0], repo.private) == (2, receipt.commit, True)
    assert {name: size for name, (size, _) in receipt.files.items()} == {
        name: len(data) for name, data in repo.files.items()
    }
    assert receipt.repo_id == f"{USER}/sier"


def test_a_name_gets_its_owner_and_a_bad_token_is_told_before_any_work(hub: Hub) -> None:
    assert look("sier", "dataset", "full", endpoint=hub.url).repo_id == f"{USER}/sier"
    assert look("others/sier", "dataset", "full", endpoint=hub.url).repo_id == "others/sier"
    hub.fail("whoami", Fault(status=401, text="Invalid token"))
    with pytest.raises(UserError, match=r"^cannot log in at \S+: 401 .*HF_TOKEN"):
        look("sier", "dataset", "full", endpoint=hub.url)
    assert not hub.repos


def test_the_same_again_changes_nothing_and_other_files_go(hub: Hub) -> None:
    first = send(hub)
    puts = hub.count("put")
    assert send(hub).commit == first.commit
    hub.repos["dataset", f"{USER}/sier"].files[".gitattributes"] = b"*.parquet filter=lfs\n"
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
        ("tree", Fault(status=502)),
        ("info", Fault(break_after=0)),
        ("put", Fault(break_after=100)),
    ],
)
def test_what_passes_is_tried_again(hub: Hub, operation: str, fault: Fault) -> None:
    hub.fail(operation, fault)
    send(hub)
    assert stored(hub) == FILES
    assert len(hub.repos["dataset", f"{USER}/sier"].commits) == 2
    assert hub.count(operation) == (1 if fault.lose_answer else 2) or operation in {"put", "info", "tree"}


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


FOREIGN: Mapping[str, bytes] = {"README.md": b"# My thesis\n", "thesis.tex": b"ten years of work", "data/x.bin": b"x"}


def there(hub: Hub, files: Mapping[str, bytes], name: str = f"{USER}/sier", kind: str = "dataset") -> Repo:
    repo = hub.repos.setdefault((kind, name), Repo(private=False))
    repo.commits.append((f"{len(repo.commits):040d}", dict(files)))
    return repo


def found_objection(hub: Hub, what: str = "full") -> str | None:
    return look("sier", "dataset", what, endpoint=hub.url, pause_seconds=0.01).objection


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (FOREIGN, "(README.md, data/x.bin, thesis.tex)"),
        ({"thesis.tex": b"x"}, "(thesis.tex)"),
        ({"README.md": b"# Only a card, of a person\n"}, "(README.md)"),
        ({"README.md": b"---\nlicense: mit\n---\nNotes.\n---\n"}, "(README.md)"),
        ({"README.md": CARD * 100_000}, "(README.md)"),
        # A header that does not end, just under 1 MiB: it is read in one pass.
        ({"README.md": b"---\n" + b"a---\nb\n" * 140_000}, "(README.md)"),
        ({"README.md": b"---\nlicense: mit\n---\n", "a": b"", "b": b"", "c": b"", "d": b""}, "(a, b, c and 1 more)"),
        ({"README.md": b"\n<!-- sier publish: someone full 00 -->\n", "a": b""}, "(README.md, a)"),
        ({"README.md": CARD + b"\n<!-- sier publish: someone full " + b"0" * 64 + b" -->\n"}, "was changed"),
    ],
)  # fmt: skip
def test_a_repository_that_is_not_ours_is_left_as_it_is_unless_it_is_to_be_replaced(
    hub: Hub, files: Mapping[str, bytes], words: str
) -> None:
    repo = there(hub, files)
    assert words in (found_objection(hub) or "")
    line = refused(hub)
    assert [word for word in (words, "--repo-id", "--dry-run", "--replace") if word not in line] == []
    assert (repo.files, len(repo.commits), hub.count("commit"), hub.count("put")) == (files, 2, 0, 0)
    send(hub, replace=True)
    assert stored(hub) == FILES
    assert found_objection(hub) is None  # and from now on it is ours


@pytest.mark.parametrize(
    "card", [None, b"", b"---\nlicense: mit\n---\n", b"\n---\r\nlicense: other\r\ntags:\r\n- a\r\n---\r\n\r\n"]
)
def test_a_repository_with_nothing_but_what_the_hub_makes_is_empty(hub: Hub, card: bytes | None) -> None:
    there(hub, {".gitattributes": b"x", **({} if card is None else {"README.md": card})})
    send(hub)
    assert stored(hub) == {**FILES, ".gitattributes": b"x"}


@pytest.mark.parametrize(
    "change",
    [
        lambda files: {**files, "README.md": files["README.md"].replace(b"card", b"Card")},
        lambda files: {**files, "README.md": files["README.md"] + b"A note.\n"},
        lambda files: {**files, "README.md": files["README.md"].replace(b"\n", b"\r\n", 3)},
        lambda files: {**files, "errata.md": b"by hand"},
        lambda files: {path: data for path, data in files.items() if path != "data/a.parquet"},
        lambda files: {**files, "data/a.parquet": b"longer" * 3_000},
    ],
)
def test_what_was_changed_by_hand_since_it_was_published_is_left_as_it_is(
    hub: Hub, change: Callable[[Mapping[str, bytes]], dict[str, bytes]]
) -> None:
    send(hub)
    files = change(hub.repos["dataset", f"{USER}/sier"].files)
    there(hub, files)
    assert "was changed since it was published" in refused(hub)
    assert hub.repos["dataset", f"{USER}/sier"].files == files


def test_what_another_account_published_or_another_mode_is_left_as_it_is(hub: Hub) -> None:
    send(hub)
    assert "holds full, not no_media" in refused(hub, what="no_media")
    repo = hub.repos["dataset", f"{USER}/sier"]
    there(hub, {**repo.files, "README.md": repo.files["README.md"].replace(b"someone", b"eve")})
    assert "was published by eve, not by someone" in refused(hub)
    send(hub, what="no_media", replace=True)
    assert (found_objection(hub, "no_media"), found_objection(hub)) == (None, "holds no_media, not full")


def test_the_name_of_a_dataset_for_a_network_touches_no_dataset(hub: Hub) -> None:
    repo = there(hub, FOREIGN)
    upload(FILES, "sier", "model", "parallelnet", private=False, endpoint=hub.url, pause_seconds=0.01)
    assert (repo.files, len(repo.commits)) == (FOREIGN, 2)


def test_what_comes_between_looking_and_committing_is_not_deleted(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    send(hub)
    genuine = HfApi.create_commit

    def create_commit(self: HfApi, *given: Any, **more: Any) -> Any:
        if "by hand" not in hub.repos["dataset", f"{USER}/sier"].files:
            there(hub, {**hub.repos["dataset", f"{USER}/sier"].files, "by hand": b"precious"})
        return genuine(self, *given, **more)

    monkeypatch.setattr(HfApi, "create_commit", create_commit)
    assert "412" in refused(hub, {**FILES, "data/d.parquet": b"d"})
    assert "was changed" in refused(hub, {**FILES, "data/d.parquet": b"d"})
    assert hub.repos["dataset", f"{USER}/sier"].files["by hand"] == b"precious"


def test_looking_changes_nothing_and_tells_what_would_be_deleted(hub: Hub) -> None:
    nothing = look("sier", "dataset", "full", endpoint=hub.url)
    assert (nothing.commit, nothing.gone(FILES), nothing.objection) == (None, [], None)
    repo = there(hub, {**FOREIGN, ".gitattributes": b"x"})
    assert look("sier", "dataset", "full", endpoint=hub.url).gone(FILES) == ["data/x.bin", "thesis.tex"]
    assert len(repo.commits) == 2
    assert {operation for operation, _ in hub.requests} == {"whoami", "info", "tree", "resolve"}


def test_a_card_that_cannot_be_had_is_not_taken_for_ours(hub: Hub) -> None:
    send(hub)
    hub.fail("resolve", *itertools.repeat(Fault(status=403), 20))
    assert "403" in refused(hub, {**FILES, "data/d.parquet": b"d"})
    assert stored(hub) == FILES


@pytest.mark.parametrize(("gate", "gated"), [("manual", "manual"), ("auto", "auto")])
def test_a_repository_is_gated_before_anything_is_sent_and_stays_so(hub: Hub, gate: Gate, gated: str) -> None:
    send(hub, gate=gate)
    repo = hub.repos["dataset", f"{USER}/sier"]
    asked = [operation for operation, _ in hub.requests]
    assert asked.index("settings") < min(asked.index("preupload"), asked.index("put"), asked.index("commit"))
    assert (repo.gated, stored(hub)) == (gated, FILES)
    send(hub, {**FILES, "data/d.parquet": b"d"}, gate=gate)
    send(hub, {**FILES, "data/e.parquet": b"e"})  # nothing is asked for
    assert (repo.gated, hub.count("settings")) == (gated, 1)
    send(hub, gate="none")
    assert repo.gated is False


@pytest.mark.parametrize("fault", [Fault(status=403), Fault(status=404)])
def test_where_a_gate_cannot_be_set_nothing_is_sent(hub: Hub, fault: Fault) -> None:
    hub.fail("settings", fault)
    with pytest.raises(UserError, match=rf"^cannot gate {USER}/sier at \S+: {fault.status} "):
        send(hub, gate="manual")
    assert stored(hub) == {}
    assert hub.count("put") == hub.count("commit") == 0


def test_a_hub_that_gates_nothing_is_not_believed(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HfApi, "update_repo_settings", lambda *_, **__: None)
    with pytest.raises(UserError, match=r"is not gated as asked \(--gated manual\), nothing was sent"):
        send(hub, gate="manual")
    assert stored(hub) == {}
