"""The console in a real browser: upload, live updates, results, sign-in, keyboard, a phone, accessibility."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sandbox import Place, wait_for
from web_process import WebProcess
from web_results import RESULTS, add_results

OpenPage = Callable[..., Any]
AXE = Path(__file__).parent / "axe" / "axe.min.js"
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
PHONE = {"viewport": {"width": 360, "height": 800}, "is_mobile": True, "has_touch": True}
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
FORMS = ["statement?edit=2", "receipt?edit=fields", "invoice?edit=new", "text?edit=1", "transcript?edit=2"]
PATHS = ["/", "/system", "/search", "/search?q=pike", "/?state=review", "/login", *RESULTS, *FORMS]
FIRST_PAINT = """() => new Promise(done => {
    const seen = list => list.getEntriesByName('first-contentful-paint').forEach(paint => done(paint.startTime));
    new PerformanceObserver(seen).observe({type: 'paint', buffered: true});
})"""  # milliseconds after the start of the visit; a string that Playwright polls is refused by the console's policy


@pytest.fixture(scope="module", autouse=True)
def results(web_place: Place, web: WebProcess) -> dict[str, str]:
    """The paths of pages of results of each kind, by name; the search knows them."""
    paths = add_results(web_place, web)
    wait_for(lambda: web.get("/api/v1/search", q="gudenburg")["results"], "the transcript in the index")
    return paths


def drop(page: Any, *files: tuple[str, bytes]) -> None:
    """Drag files from the desktop onto the page."""
    transfer = page.evaluate_handle(
        "files => { const t = new DataTransfer(); files.forEach(f => t.items.add(new File([f[1]], f[0]))); return t; }",
        [[name, content.decode()] for name, content in files],
    )
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})


def test_upload_by_hand_becomes_a_result_without_a_reload(open_page: OpenPage):
    page = open_page()
    page.evaluate("window.loaded = true")
    page.set_input_files("#f", [{"name": "by-hand.txt", "mimeType": "text/plain", "buffer": b"one two three"}])
    expect(page.locator("#send")).to_have_text("Upload 1 file")
    page.click("#send")
    row = page.locator("tr", has_text="by-hand.txt")
    expect(row).to_contain_text("Done")
    expect(page.locator("#said")).to_contain_text("uploaded")
    assert page.evaluate("window.loaded"), "the page was not loaded again"
    row.locator(".job a").click()
    expect(page.locator("h1")).to_have_text("by-hand.txt")
    expect(page.locator("#text")).to_have_text("one two three")


def test_several_files_are_dropped_and_one_is_taken_out(open_page: OpenPage, web_place: Place):
    page = open_page()
    drop(page, ("dropped-1.txt", b"1"), ("dropped-2.txt", b"2"), ("dropped-3.txt", b"3"))
    expect(page.locator("#files li")).to_have_count(3)
    page.click("[aria-label='Remove dropped-2.txt']")
    page.select_option("#re", "count")
    page.click("#send")
    for name in ("dropped-1.txt", "dropped-3.txt"):
        expect(page.locator("tr", has_text=name)).to_contain_text("Done")
    assert {row["source"] for row in web_place.rows() if row["file"].startswith("dropped")} == {"web"}
    assert not web_place.row("dropped-2.txt")


def test_refused_upload_shows_why(open_page: OpenPage):
    page = open_page()
    drop(page, ("a.txt.toml", b"x = 1"))
    page.click("#send")
    expect(page.locator(".toast")).to_contain_text("a.txt.toml was not uploaded")
    expect(page.locator(".toast")).to_contain_text("sidecar")
    page.click("[aria-label=Dismiss]")
    expect(page.locator(".toast")).to_have_count(0)


def test_waiting_job_is_cancelled_and_retried_in_place(open_page: OpenPage, web: WebProcess):
    web.client.post("/api/v1/pause")
    job = web.upload("to-cancel.txt", "x")
    page = open_page()
    expect(page.locator("#paused")).to_be_visible()
    row = page.locator(f"#j-{job['id']}")
    row.locator("button", has_text="Cancel").click()
    expect(row).to_contain_text("Cancelled")
    web.client.post("/api/v1/resume")
    row.locator("button", has_text="Retry").click()
    expect(row).to_contain_text("Done")


def test_job_from_elsewhere_appears(open_page: OpenPage, web_place: Place):
    page = open_page()
    expect(page.locator("#live")).to_contain_text("Live")
    web_place.drop("from-elsewhere.txt", "x")
    expect(page.locator("tr", has_text="from-elsewhere.txt")).to_contain_text("Done")


def test_row_and_its_place_on_the_page_light_up_together(open_page: OpenPage, results: dict[str, str]):
    page = open_page(results["statement"])
    page.locator("#page").wait_for()
    wait_for(lambda: page.evaluate("document.getElementById('page').naturalWidth") > 100, "the page's picture")
    page.hover("#r2")
    expect(page.locator("#b2")).to_have_class("hot")
    expect(page.locator(".strip").first).to_be_visible()
    page.locator(".checks a", has_text="row 2").click()
    expect(page.locator("#r2")).to_be_in_viewport()


def test_review_is_closed_and_opened_again(open_page: OpenPage, results: dict[str, str]):
    page = open_page(results["statement"])
    badge = int(page.locator("[data-reviews] span").first.inner_text())
    page.click("text=Mark as reviewed")
    expect(page.locator("text=Mark as not reviewed")).to_be_visible()
    expect(page.locator(".meta .state")).to_have_text("Done")
    assert int(page.locator("[data-reviews] span").first.text_content()) == badge - 1
    page.click("text=Mark as not reviewed")
    expect(page.locator(".meta .state")).to_have_text("Needs review")


def test_transcript_follows_the_sound(open_page: OpenPage, results: dict[str, str]):
    page = open_page(results["transcript"])
    player = "document.getElementById('au')"
    wait_for(lambda: page.evaluate(f"{player}.readyState") >= 1, "the sound")
    page.evaluate(f"{player}.muted = true")
    page.locator(".say span[data-t]").nth(1).click()
    expect(page.locator(".say span[data-t]").nth(1)).to_have_attribute("aria-current", "true")
    assert page.evaluate(f"{player}.currentTime") >= 2


def wait_for_index(web: WebProcess, words: str) -> None:
    """Under load, a search does not wait for its index."""
    wait_for(lambda: web.get("/api/v1/search", q=words)["results"], "the index")


def test_search_leads_to_the_second_of_the_recording(open_page: OpenPage, web: WebProcess, results: dict[str, str]):
    wait_for_index(web, "gudenburg")
    page = open_page()
    page.locator("nav a", has_text="Search").click()
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("gudenburg")
    page.keyboard.press("Enter")
    hit = page.locator(".found li li a")
    expect(hit).to_have_text("0:02")
    hit.click()
    page.locator("html[data-ready]").wait_for()
    expect(page.locator("#at-2000")).to_be_in_viewport()
    wait_for(lambda: page.evaluate("document.getElementById('au').currentTime") == 2, "the second")


def test_search_leads_to_the_row_and_its_box(open_page: OpenPage, web: WebProcess, results: dict[str, str]):
    wait_for_index(web, "pike 10.38")
    page = open_page("/search?q=pike+10.38")
    expect(page.locator(".found mark").first).to_have_text("Pike")
    page.locator(".found li li a").first.click()
    page.wait_for_url(f"**{results['statement']}#r2")
    expect(page.locator("#r2")).to_be_in_viewport()


def test_download_has_the_name_of_the_file(open_page: OpenPage, results: dict[str, str]):
    page = open_page(results["statement"])
    with page.expect_download() as download:
        page.locator(".dl a", has_text="CSV").click()
    assert download.value.suggested_filename == "statement.csv"


def test_keyboard_reaches_everything_of_the_list(open_page: OpenPage):
    page = open_page()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("statement")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=statement**")
    page.locator("html[data-ready]").wait_for()
    page.keyboard.press("j")
    expect(page.locator(".job a").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("statement")
    page.locator("html[data-ready]").wait_for()
    page.keyboard.press("f")
    expect(page.locator(".mark a").first).to_be_focused()
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "/jobs/" not in url)


def test_shortcuts_can_be_switched_off(open_page: OpenPage):
    page = open_page()
    page.click("[aria-label=Menu]")
    page.uncheck("#keys")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#q")).not_to_be_focused()


def test_appearance_is_saved(open_page: OpenPage):
    page = open_page()
    page.click("[aria-label=Menu]")
    page.check("#dark")
    page.reload()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(20, 23, 27)"


def test_sign_out_ends_the_session(open_page: OpenPage):
    page = open_page(has_own_session=True)
    page.click("[aria-label=Menu]")
    page.click("text=Sign out")
    page.wait_for_url("**/login")
    page.goto("/system")
    page.wait_for_url("**/login?to=%2Fsystem")
    page.fill("#token", "wrong")
    page.click("text=Sign in >> nth=-1")
    expect(page.locator(".err")).to_contain_text("token is wrong")


def test_lost_daemon_is_shown_and_found_again(open_page: OpenPage, web_place: Place):
    page = open_page()
    expect(page.locator("#live")).to_contain_text("Live")
    daemon = web_place._daemons[0]  # the console is another one of them
    daemon.terminate()
    daemon.wait(60)
    expect(page.locator("#live")).to_contain_text("Offline")
    expect(page.locator("#offline")).to_be_visible()
    web_place.start()
    expect(page.locator("#live")).to_contain_text("Live")


def test_several_jobs_are_chosen_and_marked_as_reviewed(open_page: OpenPage, results: dict[str, str]):
    page = open_page("/?state=review")
    expect(page.locator(".list .pick").first).to_be_hidden()
    page.check("#picking")
    page.click("#every")
    page.evaluate(AXE.read_text())
    assert page.evaluate("axe.run().then(found => found.violations.map(each => each.id))") == []
    page.get_by_role("button", name="Mark as reviewed").click()
    expect(page.locator(".panel")).to_contain_text("Done for 2 jobs.")
    expect(page.locator("text=Nothing needs review")).to_be_visible()
    page.goto(results["statement"])
    page.click("text=Mark as not reviewed")
    page.click("#nextreview")
    page.wait_for_url(f"**{results['statement']}#flag")


def test_row_is_corrected_in_place_and_the_checks_run_again(open_page: OpenPage, results: dict[str, str]):
    page = open_page(results["statement"])
    page.locator("#r2 .edit").click()
    page.fill("#e-debit", "10.39")
    page.fill("#e-by", "Ann")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#corrections")).to_contain_text("1 correction")
    expect(page.locator("#r2")).to_contain_text("10.39")
    expect(page.locator(".look-p").first).to_contain_text("do not follow from the rows before")
    page.locator("#r2 .edit").click()
    expect(page.locator("#e-by")).to_have_value("Ann")
    page.evaluate(AXE.read_text())
    assert page.evaluate("axe.run().then(found => found.violations.map(each => each.id))") == []
    page.fill("#e-debit", "10.38")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#corrections")).to_contain_text("2 corrections")
    page.locator("#corrections a").click()
    expect(page.locator("#corrections")).to_contain_text("Original result")


def _tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus: where Tab starts depends on when the browser goes to the fragment."""
    page.locator("html[data-ready]").wait_for()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.locator(selector).evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"Tab does not reach {selector}")


def test_receipt_is_corrected_with_the_keyboard_alone(open_page: OpenPage, results: dict[str, str]):
    page = open_page(results["receipt"])
    page.get_by_role("link", name="Correct", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Correct item 2").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#e-price")).to_have_value("4.70")
    _tab_to(page, "#e-price")
    page.keyboard.type("4.10")  # replaces what Tab has selected
    expect(page.locator("#e-price")).to_have_value("4.10")
    page.keyboard.press("Enter")
    expect(page.locator("#i2")).to_contain_text("4.10")
    expect(page.locator("#flag")).to_contain_text("no other figure confirms the tax")
    page.get_by_role("link", name="Correct", exact=True).click()
    page.get_by_role("link", name="Correct these fields").click()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#flag")).to_contain_text("agree with each other")


@pytest.mark.parametrize("path", ["/", "statement"])
def test_first_paint_awaits_no_script(path: str, open_page: OpenPage, results: dict[str, str]):
    page = open_page(results.get(path, path))
    held = []
    page.route("**/*.js*", lambda request: held.append(request))  # and never answered
    page.reload(wait_until="commit")
    painted_after = page.evaluate(FIRST_PAINT)
    assert painted_after > 0
    assert held
    assert page.locator("html[data-ready]").count() == 0
    print(f"first paint of {path}: {painted_after:.0f} ms")


def test_word_of_a_transcript_is_corrected(open_page: OpenPage, results: dict[str, str]):
    page = open_page(results["transcript"])
    page.get_by_role("link", name="Correct", exact=True).click()
    page.get_by_role("link", name="Correct segment 2").click()
    page.fill("#e-text", "Gutenberg")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#at-2000")).to_contain_text("Gutenberg")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pages_are_accessible_and_fit(size: dict[str, Any], open_page: OpenPage, results: dict[str, str]):
    """axe finds nothing, in dark colors neither, and nothing is wider than the screen."""
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() == AXE_SHA256
    page = open_page(color_scheme="light", reduced_motion="reduce", **size)
    wide, found = {}, {}
    for path in PATHS:
        name, mark, query = path.partition("?")
        page.goto(f"{results.get(name, name)}{mark}{query}")
        page.wait_for_load_state("load")
        page.evaluate(AXE.read_text())
        violations = page.evaluate("axe.run().then(found => found.violations)")
        page.emulate_media(color_scheme="dark")
        violations += page.evaluate("axe.run({runOnly: ['color-contrast']}).then(found => found.violations)")
        page.emulate_media(color_scheme="light")
        if violations:
            found[path] = [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in violations]
        if (over := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
            wide[path] = over
    assert found == {}, json.dumps(found, indent=1)
    assert wide == {}
