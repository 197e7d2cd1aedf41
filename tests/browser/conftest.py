"""A real Chromium for tests: Debian's, driven by Playwright. Skipped, with the reason, where there is none.

`SIER_CHROMIUM` names another executable. A page made by `new_page` keeps what went wrong in it: errors and warnings on
its console, and requests that left this machine; `faults(page)` lists them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

playwright_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need: pip install playwright")

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright  # noqa: E402

from tests.patience import HANG_SECONDS  # noqa: E402

expect.set_options(timeout=1000 * HANG_SECONDS)  # what is there is found at once

CHROMIUM = os.environ.get("SIER_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
# As root and without a screen; no look-ups or updates of the browser's own.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}

# A race between Gradio's timers and the removal of what they draw on: https://github.com/sveltejs/svelte/issues/18097
OF_GRADIO = {"warning: https://svelte.dev/e/derived_inert"}

NewPage = Callable[..., Page]
_FAULTS: dict[int, list[str]] = {}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a process."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: install Debian's package chromium, or name one in SIER_CHROMIUM")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[NewPage]:
    """Pages in contexts of their own (cookies, storage); arguments go to `Browser.new_context`."""
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        contexts.append(context)
        page = context.new_page()
        found = _FAULTS[id(page)] = []
        page.on("console", lambda m: found.append(f"{m.type}: {m.text}") if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: found.append(f"exception: {error}"))
        page.on("request", lambda request: None if _is_local(request.url) else found.append(f"request: {request.url}"))
        return page

    yield make
    for context in contexts:
        context.close()
    _FAULTS.clear()


def _is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"file", "data", "blob", "about"} or parts.hostname in {"localhost", "127.0.0.1", "::1"}


def faults(page: Page) -> list[str]:
    """Errors and warnings of ours on the console, exceptions, and requests to other machines, so far."""
    return [fault for fault in _FAULTS[id(page)] if fault not in OF_GRADIO]


def accessibility_faults(page: Page, context: str | None = None) -> list[str]:
    """Serious and critical findings of axe-core, one line each; `context` is a CSS selector to look below."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs: pip install axe-playwright-python"
    )
    found = axe.Axe().run(page, context=context)
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}; {len(rule['nodes'])} x: {rule['nodes'][0]['html'][:200]}"
        for rule in found.response["violations"]
        if rule["impact"] in {"serious", "critical"}
    ]


def screenshot(page: Page, name: str) -> None:
    """A picture of the whole page in the folder `SIER_SCREENSHOTS`, where that is set: to be looked at."""
    folder = os.environ.get("SIER_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
