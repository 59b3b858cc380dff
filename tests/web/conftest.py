"""A Chromium of this machine, the demo's kinds of results, and a real daemon and console for each test module."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect, sync_playwright
from web_process import WebProcess

expect.set_options(timeout=60_000)  # milliseconds; the machine may be busy

_HERE = Path(__file__).parent
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
_FLAGS += ("--disable-component-update", "--disable-sync")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == _HERE:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")  # while Playwright runs, no test of this process can run an event loop of its own
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        yield launched
        launched.close()


def _sign_in(context: BrowserContext, web: WebProcess) -> Page:
    page = context.new_page()
    page.goto(f"/login#{web.token}")
    page.wait_for_url(f"{web.address}/")
    return page


@pytest.fixture(scope="module")
def session(browser: Browser, web: WebProcess) -> StorageState:
    """The cookie of a session, which saves most tests the sign-in."""
    context = browser.new_context(base_url=web.address)
    _sign_in(context, web)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def open_page(browser: Browser, web: WebProcess, session: StorageState) -> Iterator[Any]:
    """A function that opens a page of the console, signed in; the test fails if the browser reports an error."""
    contexts, problems = [], []

    def open_it(path: str = "/", *, has_own_session: bool = False, **options: Any) -> Page:
        state = None if has_own_session else session
        context = browser.new_context(base_url=web.address, locale="en-GB", storage_state=state, **options)
        contexts.append(context)
        page = _sign_in(context, web) if has_own_session else context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if "Content Security Policy" in line.text else None)
        page.goto(path)
        page.locator("html[data-ready]").wait_for()
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert problems == []
