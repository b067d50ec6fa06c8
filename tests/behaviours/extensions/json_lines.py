"""Source of events: a file of JSON lines that grows, `jsonl:///directory/events.jsonl`."""

from pathlib import Path

from unified_ranker.core.errors import UserError
from unified_ranker.core.event import Event
from unified_ranker.core.files import write_whole
from unified_ranker.events.base import EVENT_SOURCES

BATCH = 1000


@EVENT_SOURCES.register("jsonl")
class JsonLines:
    """See `EventSource`: the lines of one file in their order; the position is the number of bytes that were read."""

    def __init__(self, place: str, progress: Path) -> None:
        """Follow the file of `place` from the position that `progress` stores."""
        self._file, self._progress = file_of(place), progress
        self._read = int(progress.read_text()) if progress.is_file() else 0
        self._next = self._read

    def new(self) -> list[Event]:
        """See `EventSource.new`. A line without its end is being written."""
        self._next = self._read
        if not self._file.is_file():
            return []
        events = []
        with self._file.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n") or len(events) == BATCH:
                    break
                events.append(self._event(line))
                self._next += len(line)
        return events

    def done(self) -> None:
        """See `EventSource.done`."""
        self._read = self._next
        write_whole(self._progress, str(self._read))

    def _event(self, line: bytes) -> Event:
        try:
            return Event.of_record(line)
        except (ValueError, TypeError) as error:
            raise UserError(
                f"`{self._file}`: each line must be an event. Received: {line[:80]!r}. Correct it."
            ) from error


def file_of(place: str) -> Path:
    """Return the file at a place."""
    return Path(place.partition("://")[2])


def new_place(scheme: str, directory: Path) -> str:
    """Return a new place without events, for the behaviour suites."""
    return f"{scheme}://{directory / 'events.jsonl'}"


def write_events(place: str, events: list[Event]) -> None:
    """Write events where the source of a place finds them, for the behaviour suites."""
    file = file_of(place)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as lines:
        lines.writelines(event.record() + b"\n" for event in events)
