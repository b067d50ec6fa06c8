"""What the commands on a store do and print. Nothing here loads more than NumPy and the backend's library."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from unified_ranker.core.errors import UserError
from unified_ranker.store import EmbeddingStore, open_store
from unified_ranker.store.verify_store import verify_store
from unified_ranker.store.version_diff import diff

SHOWN = 6
"""Numbers of a vector that a line shows."""


def print_entries(place: str, kind: str, ids: Sequence[str], version: int | None, as_json: bool) -> bool:
    """Print entries; tells whether all are there."""
    with open_store(place, version) as store:
        found = [store.get(kind, name) for name in ids]
    if as_json:
        rows = [
            {"id": name, "found": False}
            if entry is None
            else {
                "id": name, "found": True, "kind": entry.kind, "version": entry.version, "release": entry.release,
                "time": entry.time, "cold": entry.cold, "width": entry.width, "vector": entry.vector.tolist(),
            }
            for name, entry in zip(ids, found, strict=True)
        ]  # fmt: skip
        typer.echo(json.dumps(rows))
        return all(entry is not None for entry in found)
    for name, entry in zip(ids, found, strict=True):
        if entry is None:
            typer.echo(f"{kind} {name}: not there")
            continue
        numbers = " ".join(f"{value:.4f}" for value in entry.vector[:SHOWN])
        more = " …" if entry.width > SHOWN else ""
        cold = ", cold" if entry.cold else ""
        about = f"version {entry.version}, release {entry.release}, of {_time(entry.time)}, width {entry.width}{cold}"
        typer.echo(f"{kind} {name} ({about}): {numbers}{more}")
    return all(entry is not None for entry in found)


def print_neighbours(
    place: str, kind: str, of: str, of_kind: str | None, k: int, version: int | None, as_json: bool
) -> None:
    """Print the nearest entries, best first."""
    with open_store(place, version) as store:
        found = store.neighbours(kind, of, k, of_kind)
    if as_json:
        typer.echo(json.dumps([{"id": one.id, "score": one.score} for one in found]))
        return
    for rank, one in enumerate(found, start=1):
        typer.echo(f"{rank:>4}  {one.score:8.4f}  {one.id}")


def print_versions(place: str, as_json: bool) -> None:
    """Print all versions, ascending."""
    with open_store(place) as store:
        versions = store.versions()
    if as_json:
        flags = ("published", "kept_for_rollback", "reference")
        rows = [{**_slim(told.manifest), **{name: getattr(told, name) for name in flags}} for told in versions]
        typer.echo(json.dumps(rows))
        return
    if not versions:
        typer.echo(f"{place} has no versions")
    for told in versions:
        manifest = told.manifest
        marks = [
            mark
            for mark, holds in (
                ("published", told.published),
                ("kept for rollback", told.kept_for_rollback),
                ("reference", told.reference),
                ("never published", manifest["published_at"] is None),
            )
            if holds
        ]
        forced = sorted({check["name"] for check in manifest["forced"]})
        kinds = ", ".join(f"{one['count']:,} {kind} x {one['width']}" for kind, one in manifest["kinds"].items())
        typer.echo(
            f"{told.number:>4}  {', '.join(marks) or '-'}: release {manifest['release']['version']}, as of "
            f"{_time(manifest['as_of'])}; {kinds}; space of {manifest['space']['reference']}"
            + (f"; forced past {', '.join(forced)}" if forced else "")
        )


def print_diff(place: str, one: int, other: int, as_json: bool) -> bool:
    """Print what two versions do not have in common; tells whether they are the same."""
    with open_store(place) as store:
        found = diff(store.backend, one, other)
    if as_json:
        typer.echo(json.dumps([difference.document() for difference in found]))
    else:
        typer.echo("\n".join(difference.line() for difference in found))
    return all(difference.same for difference in found)


def print_chain(place: str, entry: str, releases: Path | None, version: int | None, as_json: bool) -> None:
    """Print one line for each link that holds."""
    kind, colon, name = entry.partition(":")
    if entry and not (colon and name):
        raise UserError(f"`--entry` must be kind:id, such as item:50. Received: `{entry}`.")
    with open_store(place, version) as store:
        lines = verify_store(store, (kind, name) if entry else None, releases)
    if as_json:
        typer.echo(json.dumps({"store": place, "links": lines}))
    else:
        typer.echo("\n".join(f"PASS {line}" for line in lines))


def publish_version(place: str, version: int, force: Sequence[str], as_json: bool) -> None:
    """Publish a version, and print the findings."""
    with open_store(place) as store, store.writing():
        checks = store.publish(version, None, force)
    _say(
        as_json,
        {"published": version, "checks": [check.document() for check in checks]},
        f"version {version} is published",
    )


def roll_back(place: str, as_json: bool) -> None:
    """Go back one version."""
    with open_store(place) as store, store.writing():
        before = _published(store)
        version = store.rollback()
    _say(as_json, {"published": version, "before": before}, f"version {version} is published, in the place of {before}")


def _published(store: EmbeddingStore) -> int:
    return next((told.number for told in store.versions() if told.published), 0)


def _say(as_json: bool, document: dict[str, Any], line: str) -> None:
    typer.echo(json.dumps(document) if as_json else line)


def _slim(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest without the matrix of its transform, which is no reading."""
    return {**manifest, "space": {name: value for name, value in manifest["space"].items() if name != "transform"}}


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
