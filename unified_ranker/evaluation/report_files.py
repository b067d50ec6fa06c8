"""Writes a report: the JSON, and a page that needs nothing else: no script, no network, plots drawn in."""

import json
import os
import tempfile
from pathlib import Path

from unified_ranker.evaluation.report import Report
from unified_ranker.evaluation.report_page import render_report

JSON_NAME, HTML_NAME = "report.json", "report.html"


def write_report(report: Report, directory: Path) -> None:
    """Write `report.json` and `report.html` into `directory`, making it if need be.

    Both are rendered before either is written, and each appears complete or not at all.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot hold.
    """
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    page = render_report(report)
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / JSON_NAME, text + "\n")
    _write(directory / HTML_NAME, page)


def _write(path: Path, text: str) -> None:
    handle, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(scratch, 0o644)
        os.replace(scratch, path)
    except BaseException:
        os.unlink(scratch)
        raise
