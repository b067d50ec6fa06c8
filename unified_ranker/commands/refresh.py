"""What `refresh` does and prints."""

import contextlib
import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer

from unified_ranker.core.errors import UserError
from unified_ranker.core.places import DIRECTORY, scheme_of
from unified_ranker.events.base import HISTORY_STORES
from unified_ranker.events.feed import EventFeed
from unified_ranker.events.growing_directory import GrowingDirectory
from unified_ranker.events.open_histories import open_event_source, open_history_store
from unified_ranker.prepare.log_history import log_lines
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.project.release_project import ReleaseProject, open_project
from unified_ranker.store import open_store as open_vectors
from unified_ranker.vectors.consistency import check_consistency
from unified_ranker.vectors.refresher import Refreshed, Refresher, Sources


def run_refresh(
    release: Path,
    place: str | None,
    project: Path | None,
    events: str,
    items: Path | None,
    poll_seconds: float,
    once: bool,
    as_json: bool,
) -> None:
    """Follow until interrupted; `once` until nothing is new."""
    opened = open_project(release, project)
    stop = threading.Event()
    # SIGTERM ends it between two steps.
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        with (
            open_vectors(opened.place(place)) as store,
            store.backend.lock("refresher"),
            open_sources(opened, events, items) as sources,
        ):
            refresher = Refresher(opened, store, sources)
            typer.echo(f"following {events} into {opened.place(place)}", err=as_json)
            while not stop.is_set():
                done = refresher.step()
                if not done.idle:
                    _say(done, as_json)
                elif once or stop.wait(poll_seconds):
                    return
    finally:
        signal.signal(signal.SIGTERM, before)


def run_check(
    release: Path, place: str | None, project: Path | None, events: str, items: Path | None, as_json: bool
) -> bool:
    """Print what the store and what it should hold do not have in common; tells whether they are the same."""
    opened = open_project(release, project)
    with open_vectors(opened.place(place)) as store, open_sources(opened, events, items) as sources:
        found = check_consistency(opened, store, sources)
    if as_json:
        typer.echo(json.dumps([difference.document() for difference in found]))
    else:
        typer.echo("\n".join(difference.line() for difference in found))
    return all(difference.same for difference in found)


@contextlib.contextmanager
def open_sources(project: ReleaseProject, events: str, items: Path | None) -> Iterator[Sources]:
    """Open what is followed: an event log as it is; for any other source one of its own, after the project's.

    Raises:
        UserError: it is neither.
    """
    of_items = None if items is None else GrowingDirectory(items)
    scheme = scheme_of(events)
    if (Path(events) / "data.mdb").is_file() if scheme == DIRECTORY else scheme in HISTORY_STORES:
        histories = open_history_store(events)
        with contextlib.closing(histories):
            yield Sources(histories, items=of_items)
        return
    if scheme == DIRECTORY and not Path(events).is_dir():
        raise UserError(
            f"`--events` must be the service's event log or a directory of Parquet. Received: `{events}`. Name what "
            "`unified-ranker serve --store` was given, by default `.serving` beside the releases."
        )
    work = project.workspace.work / "refresh"
    source = open_event_source(events, work / "events-seen.json")
    prepared, key = project.prepared()
    histories = open_history_store(str(work))
    with contextlib.closing(histories):
        histories.import_lines(log_lines(Prepared.load(prepared)), key)
        yield Sources(histories, EventFeed(source, histories), of_items)


def _say(done: Refreshed, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        typer.echo(
            f"version {done.version}: {done.events:,} events, {done.users:,} users and {done.items:,} items refreshed, "
            f"{done.delay:.1f} s after the oldest event"
        )
