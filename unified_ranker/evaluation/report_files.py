"""Files of a report: JSON, and an HTML page without scripts or external parts."""

import json
from pathlib import Path

from unified_ranker.core.files import write_whole
from unified_ranker.evaluation.report import Report
from unified_ranker.evaluation.report_names import REPORT_JSON, REPORT_PAGE
from unified_ranker.evaluation.report_page import render_report


def write_report(report: Report, directory: Path) -> None:
    """Write `report.json` and `report.html` into `directory`, making it if need be.

    Both are rendered before either is written, and each appears complete or not at all.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot hold.
    """
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    page = render_report(report)
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / REPORT_JSON, text + "\n")
    write_whole(directory / REPORT_PAGE, page)
