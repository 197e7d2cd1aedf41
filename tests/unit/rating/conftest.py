"""Servers to attack: one that this machine alone may use, and one that asks for a secret."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rate_server import ELEMENTS, SECRET, TOKEN, Rater, Server, make_project


def started(tmp_path_factory: pytest.TempPathFactory, *arguments: str, **environment: str) -> Iterator[Server]:
    server = make_project(tmp_path_factory.mktemp("rate"), *arguments, HF_TOKEN=TOKEN, **environment)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from started(tmp_path_factory)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For others than this machine's."""
    yield from started(tmp_path_factory, "--host", "0.0.0.0", SIER_RATE_SECRET=SECRET)


@pytest.fixture(scope="session")
def events(server: Server) -> dict[str, int]:
    rater = Rater(server)
    return {element: rater.event(element) for element in ELEMENTS}
