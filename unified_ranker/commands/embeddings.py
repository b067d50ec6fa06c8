"""What `export-embeddings` does and prints."""

import json
import time
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from unified_ranker.commands.stages import OUT
from unified_ranker.core.errors import UserError
from unified_ranker.engines.by_name import EngineChoice
from unified_ranker.project.release_project import ReleaseProject, open_project
from unified_ranker.store import open_store
from unified_ranker.vectors.vector_export import ExportOptions, export_embeddings, kinds_told


def run_export(
    release: Path,
    place: str | None,
    project: Path | None,
    as_of: str,
    engine: EngineChoice,
    reference: str | None,
    force: tuple[str, ...],
    as_json: bool,
) -> None:
    """Export, and say what was published."""
    started = time.perf_counter()
    opened = open_project(release, project)
    options = ExportOptions(moment(as_of, opened), engine, reference, force)
    with open_store(opened.place(place)) as store:
        done = export_embeddings(opened, store, options)
    seconds, manifest = time.perf_counter() - started, done.manifest
    if as_json:
        told = {name: manifest[name] for name in ("kinds", "as_of", "checks", "forced")}
        typer.echo(
            json.dumps(
                {
                    "store": opened.place(place), "version": done.version, "skipped": done.skipped,
                    "offline": None if done.offline is None else str(done.offline), **told,
                    "reference": manifest["space"]["reference"], "drift": manifest["space"]["report"],
                    "seconds": round(seconds, 2),
                }
            )
        )  # fmt: skip
        return
    took = "up to date" if done.skipped else f"{seconds:.1f} s"
    OUT.print(f"version {done.version}: {', '.join(kinds_told(manifest))} ({took})", markup=False)
    if done.skipped and (why := engine.why_unused()):
        OUT.print(why, markup=False)
    for line in drift_lines(manifest):
        OUT.print(line, markup=False)
    for check in manifest["forced"]:
        OUT.print(f"forced past {check['name']} ({check['kind']}): {check['count']:,} of {check['of']:,}", markup=False)
    copy = "" if done.offline is None else f"\noffline: {done.offline}"
    OUT.print(f"store: {opened.place(place)}{copy}", markup=False)


def drift_lines(manifest: dict[str, Any]) -> list[str]:
    """Return the report on the space as lines."""
    report = manifest["space"]["report"]
    if not report:
        return ["it begins a space: later versions are mapped into it"]
    lines = [
        f"mapped onto version {report['reference']} by {report['items']:,} shared items: mean cosine "
        f"{report['cosine_before']:.3f} before, {report['cosine_after']:.3f} after; "
        f"{report['neighbour_overlap']:.1%} of the ten nearest are the same"
    ]
    if before := report.get("published"):
        lines.append(
            f"against version {before['version']}, published before: mean cosine {before['cosine']:.3f}; "
            f"{before['neighbour_overlap']:.1%} of the ten nearest are the same"
        )
    return lines


def moment(as_of: str, project: ReleaseProject) -> int:
    """Return a moment in seconds: `now`, `log-end` (behind the last event), or a time.

    Raises:
        UserError: it is none of these.
    """
    if as_of == "now":
        return int(time.time())
    if as_of == "log-end":
        data = project.manifest.data
        if data is None:
            raise UserError(f"`{project.release}` notes no data window. Name a moment with --as-of.")
        return data.window.end + 1
    try:
        stamp = pd.Timestamp(as_of)
    except ValueError as error:
        raise UserError(
            f"`--as-of` must be `log-end`, `now` or a time such as 2024-05-01T12:00Z. Received: `{as_of}`."
        ) from error
    return int((stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp).timestamp())
