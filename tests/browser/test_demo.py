"""The demo in a real browser, at the widths of a desk and of a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

pytest.importorskip("gradio", reason="needs: pip install -e '.[rate]'")

from tests.browser.conftest import NewPage, accessibility_faults, faults, screenshot
from tests.builders_demo import write_run
from tests.builders_pictures import jpeg
from tests.patience import HANG_SECONDS
from tests.rate_server import Server

TEXT = "What a lovely day, I am so glad"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("demo")
    write_run(root)
    started = Server(root, command="demo")
    started.start()
    yield started
    started.kill()


def problem(page: Page, words: str) -> None:
    expect(page.locator("#answer [role=alert]")).to_contain_text(words)


@pytest.mark.parametrize("width", [1400, 390])
def test_a_visitor_asks_and_lets_explain(server: Server, new_page: NewPage, tmp_path: Path, width: int) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(1, 60, 50))
    (tmp_path / "b.jpg").write_bytes(b"<script>alert(1)</script>")
    page = new_page(viewport={"width": width, "height": 900})
    page.goto(server.address)
    page.locator("#ask").click()
    problem(page, "Choose a picture")
    page.locator("#picture input[type=file]").set_input_files(tmp_path / "a.jpg")
    expect(page.locator("#picture img")).to_have_js_property("naturalWidth", 60)
    page.locator("#text textarea").fill(TEXT)
    page.locator("#ask").click()
    expect(page.locator("#answer h2")).to_have_text(re.compile("anger|happy|hate|sad"))
    assert page.locator("#answer table").count() == 3
    page.wait_for_function("document.querySelector('#answer audio').readyState >= 2")
    page.locator("#explain").click()
    page.wait_for_function("document.querySelector('#explanation img')?.naturalWidth > 500")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    screenshot(page, f"demo-{width}")
    assert accessibility_faults(page, "#answer") == accessibility_faults(page, "#explanation") == []

    page.locator("#text textarea").fill("a" * 400)
    page.locator("#ask").click()
    problem(page, "400 characters")
    expect(page.locator("#explanation img")).to_have_count(0)
    page.goto(server.address)
    page.locator("#picture input[type=file]").set_input_files(tmp_path / "b.jpg")
    page.wait_for_function("document.querySelector('#picture img')")
    page.locator("#text textarea").fill(TEXT)
    page.locator("#ask").click()
    problem(page, "This picture cannot be used")
    assert [fault for fault in faults(page) if "Method not implemented" not in fault] == []  # of Gradio's player


def test_nothing_else_of_gradio_is_there_and_nothing_stays(server: Server) -> None:
    for path in ("config", "gradio_api/info", "gradio_api/file=/etc/passwd", "docs", "openapi.json"):
        assert requests.get(server.address + path, timeout=HANG_SECONDS).status_code == 404
    big = {"files": ("a.jpg", b"x" * 21_000_000, "image/jpeg")}
    assert requests.post(server.address + "gradio_api/upload", files=big, timeout=HANG_SECONDS).status_code == 413
    foreign = {"Host": "evil.example"}
    assert requests.get(server.address, headers=foreign, timeout=HANG_SECONDS).status_code == 400
    said = server.said()
    assert "Traceback" not in said and "error" not in said
    assert not (server.root / ".work" / "demo").exists()
