"""Commands on the store of vectors: `store get|neighbours|versions|diff|verify|publish|rollback`.

They need neither TensorFlow nor pandas: only NumPy and the backend's library.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unified_ranker.cli.app import PUBLISHING, CommandApp, app
from unified_ranker.cli.console import print_json, say, say_check
from unified_ranker.cli.options import ForceCheckOption, JsonOption
from unified_ranker.core.errors import UserError

if TYPE_CHECKING:
    from unified_ranker.store import Entry, Version

NUMBERS = 6
"""Numbers of a vector that a line shows."""

store_app = CommandApp(no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(
    store_app,
    name="store",
    rich_help_panel=PUBLISHING,
    help="""Read and manage the store of vectors.

    Example: `unified-ranker store neighbours vectors item 50`
    """,
)

PlaceArgument = Annotated[str, typer.Argument(help="The store: a directory, or redis://host:port/database.")]
KindArgument = Annotated[str, typer.Argument(help="Kind of entry: item, user or query.")]
VersionOption = Annotated[int | None, typer.Option("--version", help="Version to read; by default the published one.")]


@store_app.command("get")
def get_command(
    place: PlaceArgument,
    kind: KindArgument,
    ids: Annotated[list[str], typer.Argument(help="Ids of entries.")],
    version: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print vectors by id. Exit code 1: an id is not in the store.

    Example: `unified-ranker store get vectors item 50 --json`
    """
    from unified_ranker.store import open_store

    with open_store(place, version) as store:
        found = {name: store.get(kind, name) for name in ids}
    if as_json:
        print_json([_entry_document(name, entry) for name, entry in found.items()])
    else:
        for name, entry in found.items():
            say(f"{kind} {name}: not in the store" if entry is None else _entry_line(name, entry))
    if None in found.values():
        raise typer.Exit(1)


@store_app.command("neighbours")
def neighbours_command(
    place: PlaceArgument,
    kind: KindArgument,
    of: Annotated[str, typer.Argument(help="Id of an entry.")],
    of_kind: Annotated[str | None, typer.Option(help="Kind of that entry; by default the same kind.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of entries.")] = 10,
    version: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the entries of a kind that have the highest dot product with one entry, best first.

    Example: `unified-ranker store neighbours vectors item 10 --of-kind user -k 5`
    """
    from unified_ranker.store import open_store

    with open_store(place, version) as store:
        found = store.neighbours(kind, of, k, of_kind)
    if as_json:
        print_json([{"id": one.id, "score": one.score} for one in found])
        return
    for rank, one in enumerate(found, start=1):
        say(f"{rank:>4}  {one.score:8.4f}  {one.id}")


@store_app.command("versions")
def versions_command(place: PlaceArgument, as_json: JsonOption = False) -> None:
    """List the versions with their state, release, reference version and forced checks.

    Example: `unified-ranker store versions vectors`
    """
    from unified_ranker.store import open_store

    with open_store(place) as store:
        versions = store.versions()
    if as_json:
        print_json([_version_document(version) for version in versions])
        return
    if not versions:
        say(f"{place} has no versions")
    for version in versions:
        say(_version_line(version))


@store_app.command("diff")
def diff_command(
    place: PlaceArgument,
    one: Annotated[int, typer.Argument(help="Number of a version.")],
    other: Annotated[int, typer.Argument(help="Number of the other version.")],
    as_json: JsonOption = False,
) -> None:
    """Compare two versions: missing, extra and differing vectors, and how far they are apart. Exit code 1: they differ.

    Example: `unified-ranker store diff vectors 3 4`
    """
    from unified_ranker.store import open_store
    from unified_ranker.store.version_diff import diff

    with open_store(place) as store:
        found = diff(store.backend, one, other)
    if as_json:
        print_json([difference.document() for difference in found])
    else:
        for difference in found:
            say(difference.line())
    if not all(difference.same for difference in found):
        raise typer.Exit(1)


@store_app.command("verify")
def verify_store_command(
    place: PlaceArgument,
    entry: Annotated[str, typer.Option(help="Vector to begin with: kind:id, such as item:50.")] = "",
    releases: Annotated[Path | None, typer.Option(help="Directory of the releases, if they have moved.")] = None,
    version: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the links from a vector to its release, config, data window and commit; name the first that is broken.

    Example: `unified-ranker store verify vectors --entry item:50`
    """
    from unified_ranker.store import open_store
    from unified_ranker.vectors.verify_store import verify_store

    kind, colon, name = entry.partition(":")
    if entry and not (colon and name):
        raise UserError(f"`--entry` must be kind:id, such as item:50. Received: `{entry}`.")
    with open_store(place, version) as store:
        links = verify_store(store, (kind, name) if entry else None, releases)
    if as_json:
        print_json({"store": place, "links": links})
        return
    for link in links:
        say_check(f"PASS {link}")


@store_app.command("publish")
def publish_command(
    place: PlaceArgument,
    version: Annotated[int, typer.Argument(help="Version to publish: one that failed a check, or an earlier one.")],
    force: ForceCheckOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a version that is already written.

    Example: `unified-ranker store publish vectors 4 --force neighbours`
    """
    from unified_ranker.store import open_store

    with open_store(place) as store, store.writing():
        checks = store.publish(version, None, list(force or []))
    if as_json:
        print_json({"published": version, "checks": [check.document() for check in checks]})
    else:
        say(f"version {version} is published")


@store_app.command("rollback")
def rollback_store_command(place: PlaceArgument, as_json: JsonOption = False) -> None:
    """Publish the version that was published before.

    Example: `unified-ranker store rollback vectors`
    """
    from unified_ranker.store import open_store

    with open_store(place) as store, store.writing():
        before = next((version.number for version in store.versions() if version.published), 0)
        now = store.rollback()
    if as_json:
        print_json({"published": now, "before": before})
    else:
        say(f"version {now} is published instead of {before}")


def _entry_line(name: str, entry: "Entry") -> str:
    from unified_ranker.core.times import utc_text

    numbers = " ".join(f"{value:.4f}" for value in entry.vector[:NUMBERS])
    more = " …" if entry.width > NUMBERS else ""
    cold = ", cold" if entry.cold else ""
    about = f"version {entry.version}, release {entry.release}, of {utc_text(entry.time)}, width {entry.width}{cold}"
    return f"{entry.kind} {name} ({about}): {numbers}{more}"


def _entry_document(name: str, entry: "Entry | None") -> dict[str, Any]:
    if entry is None:
        return {"id": name, "found": False}
    return {
        "id": name, "found": True, "kind": entry.kind, "version": entry.version, "release": entry.release,
        "time": entry.time, "cold": entry.cold, "width": entry.width, "vector": entry.vector.tolist(),
    }  # fmt: skip


def _version_line(version: "Version") -> str:
    from unified_ranker.core.times import utc_text

    manifest = version.manifest
    states = (
        ("published", version.published),
        ("kept for rollback", version.kept_for_rollback),
        ("reference", version.reference),
        ("never published", manifest.published_at is None),
    )
    marks = ", ".join(mark for mark, holds in states if holds)
    return (
        f"{version.number:>4}  {marks or '-'}: release {manifest.release.version}, as of {utc_text(manifest.as_of)}; "
        f"{manifest.kinds_line}; vector space of version {manifest.space.reference}{manifest.forced_line}"
    )


def _version_document(version: "Version") -> dict[str, Any]:
    """Return a version's manifest and state, without the matrix of its transform, which is too long to read."""
    document = version.manifest.document()
    space = {name: value for name, value in document["space"].items() if name != "transform"}
    states = {name: getattr(version, name) for name in ("published", "kept_for_rollback", "reference")}
    return {**document, "space": space, **states}
