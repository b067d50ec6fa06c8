"""Names of the files of a report, for those who read a release and need none of what makes its report."""

REPORT_JSON, REPORT_PAGE = "report.json", "report.html"
