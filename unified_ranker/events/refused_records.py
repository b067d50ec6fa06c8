"""RefusedRecords of a follower: what it could not take, with the reason, so that it can go on."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

logger = logging.getLogger(__name__)


class RefusedRecords:
    """Quarantine: a file of refused records, one JSON document on a line: the reason, and the record.

    Args:
        file: is made at the first record; None: records are counted and logged alone.

    Attributes:
        count: records since the quarantine was opened.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self.count = 0

    def add(self, what: str, reason: str, record: Mapping[str, Any]) -> None:
        """Write a record; `what` says what it is, such as "event"."""
        self.count += 1
        where = "" if self._file is None else f" ({self._file})"
        logger.warning("%s quarantined: %s%s", what, reason, where)
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab") as lines:
            line = {"kind": what, "reason": reason, **record}
            lines.write(orjson.dumps(line, default=str, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
