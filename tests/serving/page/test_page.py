"""The page at `/`, in a real browser against a real service: Debian's `chromium`, driven by Playwright."""

import shutil

import pytest
import screenshots
from playwright.sync_api import expect, sync_playwright
from service_process import running
from service_toy import write_release

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine; apt install chromium"),
    pytest.mark.xdist_group("page"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    with running(write_release(root / "releases"), "--store", str(root / "store")) as (_, address):
        yield address


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def page(browser, url):
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    faults, elsewhere = [], []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda request: elsewhere.append(request.url) if not request.url.startswith(url) else None)
    opened.goto(url)
    opened.wait_for_selector("#results article")
    yield opened
    assert faults == []
    assert elsewhere == [], "the page asks nobody but its service"
    opened.close()


def titles(page):
    return page.locator(".itemtitle").all_inner_texts()


def test_home_feed_shows_items_with_why_they_are_there(page):
    assert page.inner_text("#title") == "Home feed"
    assert len(titles(page)) == 24
    page.locator("summary").first.click()
    why = page.locator(".why").first.inner_text()
    for part in ("Like, chance", "Score of the ranker", "Score of retrieval", "Release", "1 (stable)"):
        assert part in why
    assert "encode" in page.get_attribute("#timing", "aria-label")
    assert "release 1" in page.inner_text("#facts")


def test_results_come_as_one_types(page):
    with page.expect_response(lambda answer: answer.url.endswith("/v1/recommend")) as seen:
        page.locator("#query").press_sequentially("1,2,3")
        expect(page.locator("#title")).to_contain_text("1,2,3")
    assert seen.value.request.post_data_json["task"] == "search"
    assert page.get_attribute("nav button[data-task=search]", "aria-pressed") == "true"


def test_an_item_shows_more_of_its_kind_and_back_leads_back(page):
    before = titles(page)
    page.locator(".open").first.click()
    page.wait_for_selector("#back:not([hidden])")
    expect(page.locator("#title")).to_contain_text("More like")
    assert before[0] not in titles(page), "the source item is no answer"
    page.locator("#back").click()
    expect(page.locator("#title")).to_have_text("Home feed")
    assert titles(page) == before


def test_a_like_counts_from_the_next_request_on(page):
    page.fill("#user", "someone new")
    expect(page.locator(".like").first).to_be_enabled()
    liked = titles(page)[0]
    page.locator(".like").first.click()
    page.wait_for_selector(".like[aria-pressed=true]")
    page.select_option("#country", "US")
    expect(page.get_by_text(liked, exact=True)).to_have_count(0)


def test_the_keyboard_suffices(page):
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"
    page.keyboard.type("3,1,2")
    expect(page.locator("#title")).to_contain_text("3,1,2")
    page.keyboard.press("Enter")
    expect(page.locator("#results")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "open"
    page.keyboard.press("Enter")
    page.wait_for_selector("#back:not([hidden])")
    page.keyboard.press("Escape")
    expect(page.locator("#query")).to_have_value("3,1,2")


def test_it_fits_a_phone(browser, url):
    phone = browser.new_page(viewport={"width": 360, "height": 740})
    phone.goto(url)
    phone.wait_for_selector("#results article")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    phone.close()


def test_the_pictures_of_the_documentation_can_be_taken(browser, url, tmp_path):
    """`docs/scripts/screenshots.py` finds what it clicks on; width and height stand in a PNG's bytes 16 to 24."""
    files = screenshots.take(browser, url, tmp_path, "u1", "1,2,3")
    sizes = [tuple(int.from_bytes(file.read_bytes()[at : at + 4], "big") for at in (16, 20)) for file in files]
    assert sizes == [(1180, 860), (375, 740)]
