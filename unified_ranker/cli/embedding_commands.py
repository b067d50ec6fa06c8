"""Commands that publish vectors for other teams: `export-embeddings` and `refresh`."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unified_ranker.cli.app import PUBLISHING, app
from unified_ranker.cli.console import print_json, remark, say, warn
from unified_ranker.cli.options import (
    AddressOption,
    BeamOption,
    EngineOption,
    ForceCheckOption,
    JsonOption,
    ProjectOfReleaseOption,
    ReleaseArgument,
)
from unified_ranker.core.errors import UserError

if TYPE_CHECKING:
    from unified_ranker.project.release_project import ReleaseProject
    from unified_ranker.store.alignment import Drift
    from unified_ranker.vectors.refresher import Refreshed, Sources

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", help="Store of vectors: a directory or redis://…; by default the one in export/embeddings.yaml."
    ),
]


_PAUSE = 1.0
"""Seconds until a store of events that does not answer is asked again."""
REFUSED_FILE = "quarantine.jsonl"
"""File, in `refresh/` of the work directory, of the records that `refresh` could not take."""


@app.command("export-embeddings", rich_help_panel=PUBLISHING)
def export_embeddings_command(
    release: ReleaseArgument,
    store: StoreOption = None,
    project: ProjectOfReleaseOption = None,
    as_of: Annotated[
        str,
        typer.Option(
            help="Moment as of which users are embedded: `log-end`, `now` or a time such as 2024-05-01T12:00Z."
        ),
    ] = "log-end",
    engine: EngineOption = "auto",
    workers: Annotated[
        int, typer.Option(min=1, help="Worker processes of the engine; one uses all cores of a machine.")
    ] = 1,
    address: AddressOption = None,
    beam_options: BeamOption = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Version whose vector space is kept, or `new`; by default the store's reference version."),
    ] = None,
    force: ForceCheckOption = None,
    as_json: JsonOption = False,
) -> None:
    """Embed all items, users and frequent queries, and publish them in the store that other teams read.

    An interrupted run continues from its finished shards. A version that fails a check is not published.

    Example: `unified-ranker export-embeddings releases/latest`

    Example: `unified-ranker export-embeddings releases/latest --store redis://localhost:6379/0 --as-of now`
    """
    from unified_ranker.engines.by_name import EngineChoice
    from unified_ranker.project.release_project import open_project
    from unified_ranker.store import open_store
    from unified_ranker.vectors.vector_export import ExportOptions, export_embeddings

    started = time.perf_counter()
    opened = open_project(release, project)
    choice = EngineChoice(engine, workers, address, tuple(beam_options or ()))
    options = ExportOptions(_moment(as_of, opened), choice, reference, tuple(force or ()))
    place = opened.place(store)
    with open_store(place) as vectors:
        done = export_embeddings(opened.export_input(), vectors, options)
    seconds, manifest = time.perf_counter() - started, done.manifest
    if as_json:
        document = manifest.document()
        print_json(
            {
                "store": place, "version": done.version, "skipped": done.skipped,
                "offline": None if done.offline is None else str(done.offline),
                **{name: document[name] for name in ("kinds", "as_of", "checks", "forced")},
                "reference": manifest.space.reference, "drift": document["space"]["report"],
                "seconds": round(seconds, 2),
            }
        )  # fmt: skip
        return
    took = "up to date" if done.skipped else f"{seconds:.1f} s"
    say(f"version {done.version}: {manifest.kinds_line} ({took})")
    if done.skipped and (why := choice.why_unused()):
        say(why)
    for line in _drift_lines(manifest.space.drift):
        say(line)
    for check in manifest.forced:
        say(f"forced check {check.name} ({check.kind}): {check.count:,} of {check.of:,}", "warning")
    say(f"store: {place}")
    if done.offline is not None:
        say(f"offline: {done.offline}")


@app.command("refresh", rich_help_panel=PUBLISHING)
def refresh_command(
    release: ReleaseArgument,
    events: Annotated[
        str,
        typer.Option(
            help="Events to follow: the service's store (a directory or redis://…), or a directory of Parquet tables."
        ),
    ],
    store: StoreOption = None,
    project: ProjectOfReleaseOption = None,
    items: Annotated[Path | None, typer.Option(help="Directory in which Parquet tables of new items arrive.")] = None,
    poll_seconds: Annotated[float, typer.Option(min=0.05, help="Seconds between two searches for new events.")] = 0.5,
    once: Annotated[bool, typer.Option("--once", help="Process the events that have arrived, then stop.")] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Compare the store with vectors computed anew, and stop. Exit code 1: they differ."
        ),
    ] = False,
    metrics_file: Annotated[
        Path | None, typer.Option(help="File.prom to write metrics to, for the node exporter's textfile collector.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Keep published vectors fresh: users with new events, and new items, within seconds.

    Example: `unified-ranker refresh releases/latest --events releases/.serving`

    Example: `unified-ranker refresh releases/latest --events incoming/events --items incoming/items --once`
    """
    from unified_ranker.project.release_project import open_project

    opened = open_project(release, project)
    if check:
        _check(opened, opened.place(store), events, items, as_json)
    else:
        _follow(opened, opened.place(store), events, items, poll_seconds, once, metrics_file, as_json)


def _follow(
    project: "ReleaseProject", place: str, events: str, items: Path | None, poll_seconds: float, once: bool,
    metrics: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Refresh until interrupted; with `once`, until there are no new events."""
    import signal
    import threading

    from unified_ranker.events.base import StoreError
    from unified_ranker.store import open_store
    from unified_ranker.vectors.refresh_metrics import RefreshMetrics
    from unified_ranker.vectors.refresher import Refresher

    noted = None if metrics is None else RefreshMetrics(metrics, time.time)
    stop = threading.Event()
    # SIGTERM ends the loop after the running step.
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        with (
            open_store(place) as store,
            store.backend.lock("refresher"),
            open_sources(project, events, items) as sources,
        ):
            refresher = Refresher(project.embedded, store, sources, project.reopen)
            (remark if as_json else say)(f"following {events} into {place}")
            while not stop.is_set():
                try:
                    done = refresher.step()
                except StoreError as error:
                    if once:
                        raise UserError(f"`--events`: the store must answer. Received: {error}.") from error
                    warn(f"{error}; the events are asked for again")
                    stop.wait(_PAUSE)
                    continue
                if noted is not None:
                    noted.note(done)
                if not done.idle:
                    _print_step(done, as_json)
                elif once or stop.wait(poll_seconds):
                    return
    finally:
        signal.signal(signal.SIGTERM, before)


def _check(project: "ReleaseProject", place: str, events: str, items: Path | None, as_json: bool) -> None:
    """Print the differences between the store and vectors computed anew."""
    from unified_ranker.store import open_store
    from unified_ranker.vectors.consistency import check_consistency

    with open_store(place) as store, open_sources(project, events, items) as sources:
        found = check_consistency(project.embedded, project.as_prepared().folder, store, sources)
    if as_json:
        print_json([difference.document() for difference in found])
    else:
        for difference in found:
            say(difference.line())
    if not all(difference.same for difference in found):
        raise typer.Exit(1)


@contextlib.contextmanager
def open_sources(project: "ReleaseProject", events: str, items: Path | None) -> "Iterator[Sources]":
    """Open the events to follow.

    Those of an event store are read in place. Those of another source are added to a store in the work directory, which
    begins with the project's log.

    Raises:
        UserError: `events` is neither an event store nor another known source.
    """
    from unified_ranker.core.places import DIRECTORY, scheme_of
    from unified_ranker.events.base import HISTORY_STORES
    from unified_ranker.events.feed import EventFeed
    from unified_ranker.events.growing_directory import GrowingDirectory
    from unified_ranker.events.open_histories import open_event_source, open_history_store
    from unified_ranker.events.refused_records import RefusedRecords
    from unified_ranker.prepare.log_history import log_lines
    from unified_ranker.prepare.prepared import Prepared
    from unified_ranker.vectors.refresher import Sources

    of_items = None if items is None else GrowingDirectory(items)
    work = project.workspace.work / "refresh"
    refused = RefusedRecords(work / REFUSED_FILE)
    scheme = scheme_of(events)
    if (Path(events) / "data.mdb").is_file() if scheme == DIRECTORY else scheme in HISTORY_STORES:
        histories = open_history_store(events)
        with contextlib.closing(histories):
            yield Sources(histories, items=of_items, refused=refused)
        return
    if scheme == DIRECTORY and not Path(events).is_dir():
        raise UserError(
            f"`--events` must be the service's event store or a directory of Parquet. Received: `{events}`. Name what "
            "`unified-ranker serve --store` was given, by default `.serving` beside the releases."
        )
    source = open_event_source(events, work / "events-seen.json")
    prepared = project.prepared()
    histories = open_history_store(str(work))
    with contextlib.closing(histories):
        histories.import_lines(log_lines(Prepared.load(prepared.directory)), prepared.key)
        yield Sources(histories, EventFeed(source, histories, refused), of_items, refused)


def _print_step(done: "Refreshed", as_json: bool) -> None:
    if as_json:
        print_json(asdict(done))
        return
    say(
        f"version {done.version}: {done.events:,} events, {done.users:,} users and {done.items:,} items refreshed, "
        f"{done.delay:.1f} s after the oldest event"
        + (f"; {done.quarantined:,} records quarantined ({REFUSED_FILE})" if done.quarantined else "")
    )


def _drift_lines(drift: "Drift | None") -> list[str]:
    """Return lines on the drift of a version, against the reference and the version published before."""
    if drift is None:
        return ["this version is the reference: later versions are mapped into its vector space"]
    lines = [
        f"mapped onto version {drift.reference} by {drift.items:,} shared items: mean cosine "
        f"{drift.cosine_before:.3f} before, {drift.cosine_after:.3f} after; "
        f"{drift.neighbour_overlap:.1%} of the ten nearest items are the same"
    ]
    if before := drift.published:
        lines.append(
            f"against version {before.version}, published before: mean cosine {before.cosine:.3f}; "
            f"{before.neighbour_overlap:.1%} of the ten nearest items are the same"
        )
    return lines


def _moment(as_of: str, project: "ReleaseProject") -> int:
    """Return a moment in seconds: `now`, `log-end` (just after the last event), or a time.

    Raises:
        UserError: `as_of` is none of these.
    """
    if as_of == "now":
        return int(time.time())
    if as_of == "log-end":
        data = project.embedded.manifest.data
        if data is None:
            raise UserError(
                f"`{project.embedded.directory}` must record its data window for `--as-of log-end`. It records none. "
                "Give a time with `--as-of`."
            )
        return data.window.end + 1
    import pandas as pd

    try:
        stamp = pd.Timestamp(as_of)
    except ValueError as error:
        raise UserError(
            f"`--as-of` must be `log-end`, `now` or a time such as 2024-05-01T12:00Z. Received: `{as_of}`."
        ) from error
    return int((stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp).timestamp())
