"""What is said where the Hub does not give what was asked of it."""

from __future__ import annotations

import socket
from pathlib import Path

import huggingface_hub
import pytest

from models.errors import ModelError
from models.weights import hub
from tests import hub_server


def refused(source: str, revision: str | None = None) -> str:
    with pytest.raises(ModelError) as error:
        hub.snapshot(source, ["config.json"], revision)
    return str(error.value)


@pytest.fixture
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)


@pytest.mark.usefixtures("_no_cache")
def test_each_reason_is_one_line_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    start = "nobody/nothing: no folder here, and cannot be had from the Hub"
    with hub_server.serve() as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.port}")
        assert refused("nobody/nothing") == f"{start}: no such repository there, or a private one, which needs HF_TOKEN"
    with socket.socket() as unused:  # bound, so that nobody else listens there
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        said = refused("nobody/nothing", "v1")
    assert said == (f"{start} at revision v1: no connection; check the network and HF_ENDPOINT, then try again")
    assert refused("a/b/c").endswith("from the Hub: not a name of a repository; expected owner/name")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert refused("nobody/nothing").startswith(f"{start}: not in the cache, and offline mode is on; unset HF_HUB_OFF")


def test_an_error_that_is_not_known_is_told_whole_on_one_line() -> None:
    assert hub.reason(OSError("the disk\nis full")) == "the disk is full"
    assert hub.reason(OSError()) == "OSError"
