"""Screenshots of the ranking service's page: `python docs/scripts/screenshots.py releases/latest`.

The release is one of MovieLens 100K (`make quickstart`). Needs `pip install -e '.[test]'` and Debian's `chromium`.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

PICTURES = Path(__file__).parents[1] / "pictures"
SERVE = "from unified_ranker.cli import main; main()"


def take(browser: Browser, url: str, directory: Path, user: str, query: str) -> list[Path]:
    """Take a search on a desk, with the reasons of the first result, and the home feed on a phone in the dark."""
    desk = browser.new_page(viewport={"width": 1180, "height": 860})
    desk.goto(url)
    desk.fill("#user", user)
    with desk.expect_response(lambda answer: answer.url.endswith("/v1/recommend") and _query(answer) == query):
        desk.fill("#query", query)
    desk.wait_for_function("document.querySelector('#results').getAttribute('aria-busy') === 'false'")
    desk.locator("summary").first.click()
    desk.screenshot(path=directory / "serving-page.png")
    desk.close()
    phone = browser.new_page(viewport={"width": 375, "height": 740}, color_scheme="dark")
    phone.goto(url)
    phone.wait_for_selector("#results article")
    phone.screenshot(path=directory / "serving-page-phone.png")
    phone.close()
    return [directory / "serving-page.png", directory / "serving-page-phone.png"]


def _query(answer: object) -> str:
    return str(answer.request.post_data_json.get("query", ""))  # type: ignore[attr-defined]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser of this machine."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise SystemExit("there is no chromium on this machine; apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(release: Path) -> Iterator[str]:
    """Serve a release on a free port, its events in a directory that goes with it."""
    with tempfile.TemporaryDirectory() as store:
        command = [sys.executable, "-c", SERVE, "serve", str(release), "--port", "0", "--store", store]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            found = (re.search(r"served at (http://\S+:\d+) ", line) for line in iter(process.stdout.readline, ""))
            url = next((match[1] for match in found if match), None)
            if url is None:
                raise SystemExit("the service did not start; its messages are above")
            yield url
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", type=Path)
    parser.add_argument("--output", type=Path, default=PICTURES)
    parser.add_argument("--user", default="10")
    parser.add_argument("--query", default="star wars")
    options = parser.parse_args()
    with served(options.release) as address, chromium() as opened:
        for file in take(opened, address, options.output, options.user, options.query):
            print(file)
