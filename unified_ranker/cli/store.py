"""The store of vectors from a shell: `store get|neighbours|versions|diff|verify|publish|rollback`.

It needs neither TensorFlow nor pandas: only NumPy and the backend's library.
"""

from pathlib import Path
from typing import Annotated

import typer

from unified_ranker.cli.app import app
from unified_ranker.cli.options import ForceCheckOption, JsonOption

store_app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(
    store_app,
    name="store",
    help="""Read and look after the store of vectors.

    Example: `unified-ranker store neighbours vectors item 50`
    """,
)

PlaceArgument = Annotated[str, typer.Argument(help="The store: a directory, or redis://host:port/database.")]
KindArgument = Annotated[str, typer.Argument(help="item, user or query.")]
VersionOption = Annotated[int | None, typer.Option("--version", help="Version to read; by default the published one.")]


@store_app.command("get")
def get_command(
    place: PlaceArgument,
    kind: KindArgument,
    ids: Annotated[list[str], typer.Argument(help="Ids of entries.")],
    version: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print vectors by id. Exit code 1: one is not there.

    Example: `unified-ranker store get vectors item 50 --json`
    """
    from unified_ranker.commands.store import print_entries

    if not print_entries(place, kind, ids, version, as_json):
        raise typer.Exit(1)


@store_app.command("neighbours")
def neighbours_command(
    place: PlaceArgument,
    kind: KindArgument,
    of: Annotated[str, typer.Argument(help="An id.")],
    of_kind: Annotated[str | None, typer.Option(help="Kind of the id; by default the same.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many.")] = 10,
    version: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the entries of a kind with the highest dot product with one.

    Example: `unified-ranker store neighbours vectors item 10 --of-kind user -k 5`
    """
    from unified_ranker.commands.store import print_neighbours

    print_neighbours(place, kind, of, of_kind, k, version, as_json)


@store_app.command("versions")
def versions_command(place: PlaceArgument, as_json: JsonOption = False) -> None:
    """List the versions: which one is published, its release, its reference version, and checks that were forced.

    Example: `unified-ranker store versions vectors`
    """
    from unified_ranker.commands.store import print_versions

    print_versions(place, as_json)


@store_app.command("diff")
def diff_command(
    place: PlaceArgument,
    one: Annotated[int, typer.Argument(help="A version.")],
    other: Annotated[int, typer.Argument(help="Another one.")],
    as_json: JsonOption = False,
) -> None:
    """Compare two versions: missing, extra and differing vectors, and how far they are apart. Exit code 1: they differ.

    Example: `unified-ranker store diff vectors 3 4`
    """
    from unified_ranker.commands.store import print_diff

    if not print_diff(place, one, other, as_json):
        raise typer.Exit(1)


@store_app.command("verify")
def verify_command(
    place: PlaceArgument,
    entry: Annotated[str, typer.Option(help="Vector to begin with, kind:id, such as item:50.")] = "",
    releases: Annotated[Path | None, typer.Option(help="Where the releases are, if they have moved.")] = None,
    version: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the chain from a vector to release, config, data window and commit; name the first broken link.

    Example: `unified-ranker store verify vectors --entry item:50`
    """
    from unified_ranker.commands.store import print_chain

    print_chain(place, entry, releases, version, as_json)


@store_app.command("publish")
def publish_command(
    place: PlaceArgument,
    version: Annotated[int, typer.Argument(help="A version that a check stopped, or an earlier one.")],
    force: ForceCheckOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a version that is already written.

    Example: `unified-ranker store publish vectors 4 --force neighbours`
    """
    from unified_ranker.commands.store import publish_version

    publish_version(place, version, list(force or []), as_json)


@store_app.command("rollback")
def rollback_command(place: PlaceArgument, as_json: JsonOption = False) -> None:
    """Publish the version that was published before.

    Example: `unified-ranker store rollback vectors`
    """
    from unified_ranker.commands.store import roll_back

    roll_back(place, as_json)
