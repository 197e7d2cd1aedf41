"""Human evaluation in a real browser: two raters at once, a server killed in the middle, a reading by microphone."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, Route, expect

pytest.importorskip("gradio", reason="needs: pip install -e '.[rate]'")

from pipeline.rating import consent
from tests.browser.conftest import DESKTOP, PHONE, NewPage, accessibility_faults, faults, screenshot
from tests.engine_workers import until
from tests.patience import HANG_SECONDS
from tests.rate_server import SECRET, Server, make_project, sound

ANSWERS = ("anger", "happy", "hate", "sad")


MakeServer = Callable[..., Server]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    made: list[Server] = []

    def make(*arguments: str, **environment: str) -> Server:
        server = make_project(tmp_path, *arguments, **environment)
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        server.kill()


def enter(page: Page, server: Server, name: str) -> None:
    page.goto(server.address)
    page.get_by_label("Your name").fill(name)
    agree(page)
    expect(page.locator(".rate-task")).to_be_visible()


def agree(page: Page) -> None:
    page.get_by_label("I have read this and agree to it.").check()
    page.get_by_role("button", name="Start").click()


def done(page: Page) -> int:
    return int(page.get_by_role("progressbar").get_attribute("aria-valuenow") or "-1")


def answer(page: Page, number: int, *, by_key: bool) -> None:
    before = done(page)
    if by_key:
        page.keyboard.press(str(number))
    else:
        page.get_by_role("button", name=f"{number} {ANSWERS[number - 1]}").click()
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", str(before + 1))


def read_aloud(page: Page) -> None:
    page.get_by_role("tab", name="Read aloud").click()
    expect(page.locator(".rate-text")).to_be_visible()
    record(page)
    page.get_by_role("button", name="Save the reading").click()


def record(page: Page) -> None:
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(2_500)  # of Chromium's own sound, a beep a second
    page.get_by_role("button", name="Stop", exact=True).first.click()
    expect(
        page.locator("#recording").get_by_role("button", name=re.compile("play|pause", re.IGNORECASE)).first
    ).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("share", re.IGNORECASE))).to_have_count(0)


def test_two_raters_at_once_lose_nothing_when_the_server_is_killed(make_server: MakeServer, new_page: NewPage) -> None:
    server = make_server()
    raters = {"ada": new_page(), "eve": new_page(viewport=PHONE)}
    for name, page in raters.items():
        enter(page, server, name)
    given: dict[str, list[str]] = {"ada": [], "eve": []}
    for turn in range(6):
        for name, page in raters.items():
            number = 1 + (turn + len(name) + (name == "eve")) % 4
            answer(page, number, by_key=turn % 2 == 0)
            given[name].append(ANSWERS[number - 1])
    assert all(faults(page) == [] for page in raters.values())

    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    kept = "SELECT answer FROM ratings WHERE rater = '{}' ORDER BY rowid"
    for name in raters:
        assert [found for (found,) in server.rows(kept.format(name))] == given[name]

    server.start()
    asked = {}
    for name, page in raters.items():
        enter(page, server, name.upper())  # the same person
        assert done(page) == 6
        while done(page) < 12:
            answer(page, 4, by_key=True)
        asked[name] = server.rows(f"SELECT id, condition FROM ratings WHERE rater = '{name}'")
        assert len(set(asked[name])) == 12
        expect(page.get_by_role("heading", name="Nothing to judge now")).to_be_visible()
        expect(page.get_by_text("8 judgements wait until another person")).to_be_visible()
        expect(page.get_by_role("button", name="1 anger")).to_be_disabled()
    assert set(asked["ada"]) == set(asked["eve"])
    assert server.rows("SELECT count(*) FROM ratings") == [(24,)]
    assert server.process is not None
    server.process.send_signal(signal.SIGINT)
    assert server.stop(signal.SIGINT) == 0  # pages are open, and Ctrl-C is pressed twice
    assert server.process.stdout is not None
    said = server.process.stdout.read().splitlines()
    assert said == ["rate: ratings.sqlite: 24 answers, 2 raters"]


def test_nobody_is_asked_anything_before_agreeing(make_server: MakeServer, new_page: NewPage) -> None:
    server = make_server()
    page = new_page()
    page.goto(server.address)
    expect(page.get_by_text("Withdrawing.")).to_be_visible()
    page.get_by_label("Your name").fill("ada")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("tick that you agree to it")).to_be_visible()
    expect(page.locator(".rate-task")).to_have_count(0)
    assert server.rows("SELECT count(*) FROM consents") == [(0,)]
    agree(page)
    expect(page.locator(".rate-task")).to_be_visible()
    answer(page, 1, by_key=True)
    assert server.rows("SELECT rater, version FROM consents") == [("ada", consent.VERSION)]
    page.goto(server.address)  # who has agreed need not do so again
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".rate-task")).to_be_visible()
    assert done(page) == 1
    assert faults(page) == []


def test_an_open_page_goes_on_after_a_restart(make_server: MakeServer, new_page: NewPage) -> None:
    server = make_server()
    page = new_page()
    enter(page, server, "ada")
    answer(page, 1, by_key=True)
    server.stop(signal.SIGKILL)
    server.start()
    answer(page, 2, by_key=True)
    assert server.rows("SELECT answer FROM ratings ORDER BY rowid") == [("anger",), ("happy",)]
    assert server.stop(signal.SIGTERM) == 143


def test_a_reading_by_microphone_is_heard_by_the_other_rater(make_server: MakeServer, new_page: NewPage) -> None:
    server = make_server()
    ada, eve = new_page(), new_page()
    enter(ada, server, "ada")
    enter(eve, server, "eve")
    read_aloud(ada)
    expect(ada.get_by_role("button", name="Record", exact=True)).to_be_visible()  # the next text
    [(row, reader, seconds, size)] = server.rows("SELECT id, reader, duration_seconds, length(audio) FROM readings")
    assert reader == "ada"
    assert isinstance(seconds, float)
    assert 1 < seconds < 10
    assert isinstance(size, int)
    assert size > 5_000  # sound, not silence
    uploads = (server.root / ".work" / "rate").rglob
    until(lambda: not any(path.is_file() for path in uploads("*")), "the recording to go")
    for turn in range(12 + 2):
        answer(eve, 1 + turn % 4, by_key=True)
    heard = server.rows(
        "SELECT condition, id FROM ratings WHERE reading IS NOT NULL AND rater = 'eve' ORDER BY condition"
    )
    assert heard == [("human_speech", row), ("human_speech_image", row)]
    ada.get_by_role("tab", name="Judge").click()
    while done(ada) < 9:  # not the row that ada has read
        answer(ada, 1, by_key=True)
    assert server.rows(f"SELECT count(*) FROM ratings WHERE rater = 'ada' AND id = '{row}'") == [(0,)]
    expect(ada.get_by_role("heading", name="Nothing to judge now")).to_be_visible()
    read_aloud(eve)
    expect(eve.get_by_role("button", name="Record", exact=True)).to_be_visible()
    ada.get_by_role("button", name="Look again").click()
    expect(ada.locator(".rate-task audio")).to_be_visible()
    assert faults(ada) == faults(eve) == []


def test_a_reading_cannot_be_saved_before_it_has_arrived(make_server: MakeServer, new_page: NewPage) -> None:
    server = make_server()
    page = new_page()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile(r"/gradio_api/upload\b"), hold)
    enter(page, server, "ada")
    page.get_by_role("tab", name="Read aloud").click()
    expect(page.locator(".rate-text")).to_be_visible()
    save = page.get_by_role("button", name="Save the reading")
    expect(save).to_be_disabled()
    with page.expect_request(re.compile(r"/gradio_api/upload\b")):
        record(page)
    expect(save).to_be_disabled()
    held[0].continue_()
    expect(save).to_be_enabled()
    save.click()
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()
    expect(save).to_be_disabled()
    assert server.rows("SELECT reader FROM readings") == [("ada",)]
    assert faults(page) == []


def test_a_reading_may_be_a_sound_file(make_server: MakeServer, new_page: NewPage) -> None:
    server = make_server()
    page = new_page()
    enter(page, server, "ada")
    page.get_by_role("tab", name="Read aloud").click()
    expect(page.locator(".rate-text")).to_be_visible()
    page.locator("#recording").get_by_role("button", name="Upload file").click()
    (server.root / "mine.wav").write_bytes(sound())
    page.locator("#recording input[type=file]").set_input_files(server.root / "mine.wav")
    expect(page.locator("#recording").get_by_role("button", name=re.compile("play|pause", re.I)).first).to_be_visible()
    expect(page.get_by_text("0:01").first).to_be_visible()  # the player has got it
    page.get_by_role("button", name="Save the reading").click()
    expect(page.locator("#recording").get_by_role("button", name=re.compile("play|pause", re.I))).to_have_count(0)
    assert server.rows("SELECT reader, duration_seconds FROM readings") == [("ada", 1.0)]
    assert set(faults(page)) <= {"warning: Method not implemented."}  # Gradio's, when it closes an upload's progress


def test_keys_skip_take_back_and_play_but_not_while_a_name_is_typed(make_server: MakeServer, new_page: NewPage) -> None:
    server = make_server()
    page = new_page()
    page.goto(server.address)
    name = page.get_by_label("Your name")
    name.press_sequentially("s1z 2")
    expect(name).to_have_value("s1z 2")
    page.get_by_label("I have read this and agree to it.").check()
    name.press("Enter")
    expect(page.locator(".rate-task")).to_be_visible()
    while not page.locator(".rate-task audio").count():
        answer(page, 1, by_key=True)
    player = page.locator(".rate-task audio")
    player.evaluate("player => { player.loop = true; return player.play() }")
    page.keyboard.press("Space")
    assert player.evaluate("player => player.paused")
    page.keyboard.press("Space")
    assert not player.evaluate("player => player.paused")
    before = done(page)
    page.keyboard.press("s")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", str(before + 1))
    assert server.rows("SELECT answer FROM ratings ORDER BY rowid DESC LIMIT 1") == [(None,)]
    page.keyboard.press("z")
    expect(page.locator(".rate-task audio")).to_have_attribute("src", str(player.get_attribute("src")))
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", str(before))
    assert server.rows("SELECT count(*) FROM ratings WHERE answer IS NULL") == [(0,)]
    assert faults(page) == []


# Both widths and both schemes, by half the work.
@pytest.mark.parametrize(("size_name", "size", "scheme"), [("desktop", DESKTOP, "light"), ("phone", PHONE, "dark")])
def test_every_view_is_accessible_and_fits_the_screen(
    make_server: MakeServer, new_page: NewPage, size_name: str, size: dict[str, int], scheme: str
) -> None:
    server = make_server()
    page = new_page(viewport=size, color_scheme=scheme)
    page.goto(server.address)
    expect(page.get_by_label("Your name")).to_be_visible()
    look(page, f"rate-{size_name}-{scheme}-0-name", size)
    enter(page, server, "ada")
    seen: set[str] = set()
    while len(seen) < 3:
        kind = "+".join(name for name in ("img", "audio") if page.locator(f".rate-task {name}").count())
        if kind not in seen:
            seen.add(kind)
            expect(page.get_by_role("button", name="4 sad")).to_be_in_viewport()
            look(page, f"rate-{size_name}-{scheme}-1-{kind}", size)
        answer(page, 1, by_key=True)
    page.get_by_role("tab", name="Read aloud").click()
    expect(page.locator(".rate-text")).to_be_visible()
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()
    look(page, f"rate-{size_name}-{scheme}-2-read", size)
    assert faults(page) == []


def look(page: Page, name: str, size: dict[str, int]) -> None:
    page.wait_for_timeout(300)  # for what fades in
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    screenshot(page, name)
    assert accessibility_faults(page) == []


def test_others_get_in_with_the_secret_only(make_server: MakeServer, new_page: NewPage) -> None:
    server = make_server("--host", "0.0.0.0", SIER_RATE_SECRET=SECRET)
    for path in ("gradio_api/file=x", "gradio_api/queue/data?session_hash=x"):
        assert requests.get(server.address + path, timeout=HANG_SECONDS).status_code == 401, path
    sent = {"files": ("a.wav", b"RIFF", "audio/wav")}
    assert requests.post(server.address + "gradio_api/upload", files=sent, timeout=HANG_SECONDS).status_code == 401
    joined = {"data": ["eve", "", ""], "fn_index": 1, "session_hash": "x"}
    assert requests.post(server.address + "gradio_api/queue/join", json=joined, timeout=HANG_SECONDS).status_code == 401
    wrong = requests.post(server.address + "login", data={"username": "ada", "password": "guess"}, timeout=HANG_SECONDS)
    assert wrong.status_code == 400
    page = new_page()
    page.goto(server.address)
    page.get_by_label("username").fill("ada")
    page.get_by_label("password").fill(SECRET)
    page.get_by_role("button", name="Login").click()
    expect(page.get_by_text("What you take part in")).to_be_visible()
    expect(page.get_by_label("Your name")).to_be_hidden()
    agree(page)
    expect(page.locator(".rate-task")).to_be_visible()
    page.reload()  # who has agreed is not asked again
    expect(page.locator(".rate-task")).to_be_visible()
    expect(page.get_by_text("What you take part in")).to_be_hidden()
    answer(page, 3, by_key=False)
    assert server.rows("SELECT rater, answer FROM ratings") == [("ada", "hate")]


def test_no_file_is_handed_out_and_no_large_one_taken(make_server: MakeServer) -> None:
    server = make_server()
    names = ["ratings.sqlite", "params.yaml", "../ratings.sqlite", str(server.root / "ratings.sqlite"), "/etc/passwd"]
    for name in names:
        for prefix in ("gradio_api/file=", "file=", "static/", "assets/", "gradio_api/file/"):
            asked = requests.Request("GET", server.address).prepare()
            asked.url = f"{server.address}{prefix}{name}"  # as it stands, with its dots
            got = requests.Session().send(asked, timeout=HANG_SECONDS)
            assert got.status_code in {400, 403, 404, 405}, (asked.url, got.status_code)
    large = {"files": ("a.wav", b"\0" * (33 * 2**20), "audio/wav")}
    assert requests.post(server.address + "gradio_api/upload", files=large, timeout=HANG_SECONDS).status_code == 413
    assert not [path for path in (server.root / ".work" / "rate").rglob("*") if path.is_file()]
    elsewhere = requests.get(server.address, headers={"Host": "evil.example"}, timeout=HANG_SECONDS)
    assert elsewhere.status_code == 400
    got = requests.get(server.address, timeout=HANG_SECONDS)
    assert "connect-src 'self'" in got.headers["content-security-policy"]
