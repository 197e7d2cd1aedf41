"""The report page in a real browser, opened from a disk: what a person does with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pipeline import report
from pipeline.frame.params import section
from tests import builders_report as builder
from tests.browser.conftest import DESKTOP, PHONE, NewPage, accessibility_faults, faults, screenshot

SHOWN = builder.TRAIN_ROWS + builder.TEST_ROWS


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the page of small data, or of that which SIER_REPORT_PAGE names: to look at a real one."""
    given = os.environ.get("SIER_REPORT_PAGE")
    if given:
        return Path(given).resolve().as_uri()
    root = tmp_path_factory.mktemp("browsed")
    builder.write_project(root)
    values = {"rows": 50, "rejects": 5, "measured": True, "model": "parallelnet"}
    params = section({"report": values}, "report", report.ReportParams)
    report.run(params, builder.context(root))
    return (root / "reports" / report.PAGE).as_uri()


@pytest.fixture
def page(address: str, new_page: NewPage) -> Page:
    found = new_page()
    found.goto(address)
    return found


def visible_cards(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all(".card:not([hidden])", "cards => cards.map(card => card.id)")
    return found


def datasets(page: Page) -> list[dict[str, str]]:
    found: list[dict[str, str]] = page.eval_on_selector_all(
        ".card:not([hidden])", "cards => cards.map(card => ({...card.dataset}))"
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "size"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_it_opens_without_a_fault_and_without_scrolling_sideways(
    address: str, new_page: NewPage, name: str, size: dict[str, int], scheme: str
) -> None:
    page = new_page(viewport=size, color_scheme=scheme)
    page.goto(address)
    expect(page.locator("h1")).to_have_text("SIER dataset")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(ground) < 100) == (scheme == "dark")
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    if (name == "desktop") == (scheme == "light"):  # both widths and both schemes, by half the work
        assert accessibility_faults(page) == []
    screenshot(page, f"report-{name}-{scheme}")
    assert faults(page) == []


def test_nothing_but_the_file_is_asked_for(address: str, new_page: NewPage) -> None:
    page = new_page(offline=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.locator(".card").last.scroll_into_view_if_needed()
    assert [url for url in asked if not url.startswith("data:")] == [address]


def test_a_hostile_tweet_runs_no_script(page: Page) -> None:
    expect(page.locator("blockquote", has_text="onerror").first).to_contain_text(builder.SCRIPT_TEXT)
    assert page.title() == "SIER dataset: report of the run"
    page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = "document.title = 'owned'";
        document.body.append(script);
    }""")
    assert page.title() == "SIER dataset: report of the run"


@pytest.mark.parametrize(
    ("name", "value", "key", "expected"),
    [
        ("label", "hate", "label", "hate"),
        ("decider", "image", "decider", "image"),
        ("agreement", "yes", "agreement", "yes"),
        ("answer", "right", "answer", "right"),
        ("answer", "none", "split", "train"),
        ("split", "test", "split", "test"),
    ],
)
def test_a_filter_shows_all_rows_of_its_kind_and_no_others(
    page: Page, name: str, value: str, key: str, expected: str
) -> None:
    wanted = sum(row[key] == expected for row in datasets(page))
    page.select_option(f"#filters [name={name}]", value)
    assert 0 < wanted < SHOWN
    assert [row[key] for row in datasets(page)] == [expected] * wanted
    expect(page.locator("#shown")).to_have_text(f"{wanted} of {SHOWN} rows")
    page.click("text=Show all")
    expect(page.locator("#shown")).to_have_text(f"{SHOWN} of {SHOWN} rows")


def test_filters_work_together_and_say_when_nothing_is_left(page: Page) -> None:
    expect(page.locator("#none")).to_be_hidden()
    page.select_option("#filters [name=split]", "train")
    page.select_option("#filters [name=answer]", "right")
    assert visible_cards(page) == []
    expect(page.locator("#none")).to_be_visible()


def test_confidence_order_and_explained_rows(page: Page) -> None:
    confidence = sorted(float(row["confidence"]) for row in datasets(page))
    page.locator("#filters [name=confidence]").fill("0.55")
    expect(page.locator("#confidence-value")).to_have_text("55 %")
    assert len(visible_cards(page)) == sum(value >= 0.55 for value in confidence) < SHOWN
    page.click("text=Show all")
    page.select_option("#filters [name=order]", "confidence-down")
    assert [float(row["confidence"]) for row in datasets(page)] == confidence[::-1]
    page.select_option("#filters [name=order]", "quality-up")
    assert [row["quality"] for row in datasets(page)] == ["0.0500", *[""] * (SHOWN - 1)]
    page.check("#filters [name=explained]")
    assert sorted(visible_cards(page)) == sorted(f"row-{name}" for name in builder.EXPLAINED)


def test_recordings_play_one_at_a_time_and_pictures_are_drawn(page: Page) -> None:
    players = page.locator(".card audio")
    state = "player => [player.paused, player.error, player.duration > 0.2]"
    for number in (0, 1):
        players.nth(number).evaluate("player => { player.loop = true; return player.play() }")
    page.wait_for_function("document.querySelectorAll('.card audio')[0].paused")
    assert players.nth(0).evaluate(state) == [True, None, True]
    assert players.nth(1).evaluate(state) == [False, None, True]
    page.wait_for_function("document.querySelectorAll('.card audio')[1].currentTime > 0")
    widths = page.locator("img").evaluate_all("""all => Promise.all(all.map(one => {
        one.loading = 'eager';
        return one.decode().then(() => one.naturalWidth);
    }))""")
    assert len(widths) >= SHOWN
    assert min(widths) > 0
    assert faults(page) == []


def test_a_filtered_row_stops_playing(page: Page) -> None:
    player = page.locator(".card[data-split=test] audio").first
    player.evaluate("player => { player.loop = true; return player.play() }")
    page.select_option("#filters [name=split]", "train")
    page.wait_for_function("[...document.querySelectorAll('.card audio')].every(player => player.paused)")


def test_an_explanation_opens_by_keyboard_and_shows_its_map_over_the_picture(page: Page) -> None:
    card = page.locator(f"#row-{builder.EXPLAINED[0]}")
    summary = card.locator(".why > summary")
    summary.focus()
    page.keyboard.press("Enter")
    under, over = (card.locator(f".overlaid .{name}").bounding_box() for name in ("under", "over"))
    assert under is not None
    assert over is not None
    assert over == pytest.approx(under, abs=1)
    expect(card.locator(".waveform path")).to_have_count(builder.SEGMENTS)
    expect(card.locator(".words")).to_have_text("a<b")


def test_the_first_key_leads_past_the_navigation_and_the_form_can_be_filled_by_keys(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("#filters [name=label]").focus()
    page.keyboard.type("sad")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "decider"
    assert {row["label"] for row in datasets(page)} == {"sad"}
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_a_chart_tells_what_is_pointed_at_and_a_legend_lights_its_line_in_all_charts(page: Page) -> None:
    plot = page.locator("[data-plot=deletion-picture-parts-go-best-first]")
    plot.scroll_into_view_if_needed()
    page.wait_for_function("() => plots.views.has('deletion-picture-parts-go-best-first')")
    plot.locator("path[aria-roledescription], .mark-symbol path").nth(1).hover(force=True)
    tip = page.locator("#vg-tooltip-element")
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("change of the answer")
    pale = """() => [...plots.views].filter(([name]) => /^(dele|inser)tion/.test(name))
        .map(([_, view]) => view.signal('lit'))"""
    page.locator(".lit[data-series=random]").first.click()
    assert set(page.evaluate(pale)) == {"random"}
    expect(page.locator(".lit[data-series=random][aria-pressed=true]")).to_have_count(4)
    page.locator(".lit[data-series=random]").first.click()
    page.mouse.move(0, 0)
    assert set(page.evaluate(pale)) == {""}
    assert faults(page) == []


def test_another_threshold_counts_rows_anew_and_moves_the_line_in_the_chart(page: Page) -> None:
    form = page.locator("#threshold")
    expect(form.locator(".kept")).to_have_text("0 of 1 rows kept, 0.0%")  # the row is less sure than the chosen 0.5
    form.locator("input").fill("40")
    expect(form.locator(".kept")).to_have_text("1 of 1 rows kept, 100.0%")
    expect(form.locator("tbody tr").first).to_contain_text("100.0%")
    expect(form.locator("[data-fact=speech]")).to_have_text("1 (100.0%)")
    page.wait_for_function("() => plots.views.get('kept-rows-by-threshold')?.signal('at') === 0.4")
    form.locator("button").click()
    expect(form.locator("output")).to_have_text("0.5")


def test_a_frame_on_the_map_filters_the_rows(page: Page) -> None:
    plot = page.locator("#map-plot canvas")
    page.locator("#map-plot").scroll_into_view_if_needed()
    plot.scroll_into_view_if_needed()  # grown since
    box = plot.bounding_box()
    assert box is not None
    page.select_option("#map-form [name=colour]", "split")
    expect(page.locator("#map-form .legend li")).to_have_text([
        f"test ({builder.TEST_ROWS})", f"train ({builder.TRAIN_ROWS})"
    ])  # fmt: skip

    def drag(share: float) -> None:
        page.mouse.move(box["x"] + 3, box["y"] + 3)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] - 4, steps=4)
        page.mouse.up()

    drag(0.5)
    expect(page.locator("#map-said")).to_contain_text("rows in the frame")
    inside = len(visible_cards(page))
    assert 0 < inside < SHOWN
    expect(page.locator("#map-said")).to_contain_text(f"{inside} rows in the frame")
    page.click("#map-form >> text=Take the mark away")
    expect(page.locator("#shown")).to_have_text(f"{SHOWN} of {SHOWN} rows")
    assert faults(page) == []


def test_a_link_leads_to_a_row_that_was_filtered_out_and_to_a_reason(page: Page) -> None:
    page.select_option("#filters [name=split]", "train")
    page.evaluate(f"location.hash = '#row-{builder.EXPLAINED[0]}'")
    expect(page.locator(f"#row-{builder.EXPLAINED[0]}")).to_be_in_viewport()
    page.click(".reasons >> text=text_empty")
    expect(page.locator("#left-out td", has_text=builder.REJECTED)).to_be_in_viewport()


def test_all_rows_are_there_without_scripts(address: str, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(address)
    expect(page.locator(".card:visible")).to_have_count(SHOWN)
    expect(page.locator("#filters")).to_be_hidden()
    expect(page.locator(".plot svg").first).to_be_visible()


def test_on_paper_there_are_no_controls(page: Page, tmp_path: Path) -> None:
    page.emulate_media(media="print")
    for name in ("nav", "#filters", "audio >> nth=0"):
        expect(page.locator(name)).to_be_hidden()
    expect(page.locator("blockquote").first).to_be_visible()
    pdf: Any = page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert len(pdf) > 20_000
