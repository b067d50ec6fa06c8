"""Quarantined rows: the form of the file that they are written to."""

import pyarrow as pa

from unified_ranker.log.schema import LOG_COLUMNS

QUARANTINE = pa.schema(
    {
        "reason": pa.string(),
        "file": pa.string(),
        "row_group": pa.int64(),
        "row": pa.int64(),
        "line": pa.string(),
        **dict.fromkeys(LOG_COLUMNS["events"], pa.string()),
    }
)
"""Quarantined row: the reason, its row (from 0; in the row group, where there is one), the row as it lies where it is
no event, and its values as text."""
EVENT_FILE, EVENT_ROW = "source_file", "source_row"
"""Columns of events that were read into the form of the log: the file that each comes from, and its row, from 0."""
