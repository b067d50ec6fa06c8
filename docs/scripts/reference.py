"""Reference pages that are made from the code: `python docs/scripts/reference.py` writes them into docs/reference/."""

import argparse
from pathlib import Path

import command_line
import configuration
import extension_points
import http_api
import python_api

DOCS = Path(__file__).parents[1]
PAGES = {
    "configuration.md": configuration.page,
    "command-line.md": command_line.page,
    "http.md": http_api.page,
    "python.md": python_api.page,
    "extension-points.md": extension_points.page,
}
_MARK = "<!-- Made by docs/scripts/reference.py from the code; change the code, not this page. -->"


def write(directory: Path) -> list[Path]:
    """Write all pages into `directory` and return their files."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, page in PAGES.items():
        file = directory / name
        title, text = page().split("\n", 1)
        file.write_text(f"{title}\n\n{_MARK}\n{text}", encoding="utf-8")
        written.append(file)
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=DOCS / "reference")
    for file in write(parser.parse_args().output):
        print(file)
