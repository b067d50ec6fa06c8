"""Writer of a complete project for a log, for `unified-ranker init`."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from unified_ranker.config import TableSource, TablesSource
from unified_ranker.config.loading import load_config
from unified_ranker.config.yaml_files import PROJECT_YAML
from unified_ranker.core.errors import UserError
from unified_ranker.log.log_checks import require
from unified_ranker.log.schema import InteractionLog, normalise
from unified_ranker.project.declaration_checks import check_declarations
from unified_ranker.project.init.inspect_facts import look_at
from unified_ranker.project.init.project_text import embeddings_page, project_page, serving_page
from unified_ranker.project.init.serving_text import SERVING_DIRECTORY, serving_texts
from unified_ranker.project.init.task_text import all_heads, head_names, task_page
from unified_ranker.project.init.tower_text import context_page, item_page, ranker_page, user_page
from unified_ranker.project.log_files import lies_as_read, loaded, read_into, tables_of

PROJECT_PARTS = ("towers", "tasks", "export", SERVING_DIRECTORY, PROJECT_YAML)
"""Parts of a project; its file is written last, because its presence makes a directory a project."""


def init_project(
    directory: Path, events: Path, items: Path, users: Path | None, announce: Callable[[str], None] | None = None
) -> list[Path]:
    """Write a project over the given tables, with comments that say why each choice was made.

    Args:
        directory: where to. It may exist and hold other things, such as the tables, but no project.
        events: the events table: Parquet, CSV, or a directory of Parquet files.
        items: the items table, likewise.
        users: the users table, likewise; None takes the users from the events.
        announce: is called with a line for each column that is left out.

    Returns:
        The files written.

    Raises:
        UserError: `directory` holds a project, the tables cannot be read, or there is nothing in them to
            learn from. Then nothing is written.
    """
    directory = Path(directory)
    require_free(directory)
    log = _read(Path(events), Path(items), None if users is None else Path(users), announce)
    paths = {"events": events, "items": items} | ({} if users is None else {"users": users})
    data = {name: data_path(Path(path), directory) for name, path in paths.items()}
    return _write(directory, project_texts(log, project_name(directory), data, announce), log)


def _read(events: Path, items: Path, users: Path | None, announce: Callable[[str], None] | None) -> InteractionLog:
    """Read the tables as a project over them reads them; `announce` gets a line for each kind of bad row."""
    files = {"events": events, "items": items, "users": users}
    data = TablesSource(type="tables", **{name: TableSource(files=p.absolute()) for name, p in files.items() if p})
    with tempfile.TemporaryDirectory() as scratch:
        reading = None if lies_as_read(data, Path()) else Path(scratch)
        if reading is not None:
            read_into(data, Path(), reading)
        found = tables_of(data, Path(), reading)
        tables = loaded(found)
    for check in found.read.checks(0.0):
        if announce is not None and not check.passed:
            announce(check.line())
    return normalise(tables.events, tables.items, tables.users)


def project_texts(
    log: InteractionLog, name: str, data: dict[str, str], announce: Callable[[str], None] | None = None
) -> dict[str, str]:
    """Return the files of a project over `log` by their paths in it.

    Args:
        log: the log to inspect.
        name: the project's name.
        data: the paths of the tables, as project.yaml is to have them.
        announce: is called with a line for each column that is left out.

    Raises:
        UserError: there is nothing in the log to learn from.
    """
    facts = look_at(log, name, data)
    for table, columns in (("items", facts.item_columns), ("users", facts.user_columns)):
        for column in columns:
            if announce is not None and column.type is None:
                announce(f"left out `{table}.{column.column}`: {column.why}")
    heads = head_names(facts.events.surfaces)
    texts = {
        PROJECT_YAML: project_page(facts),
        "towers/user.yaml": user_page(facts),
        "towers/context.yaml": context_page(facts),
        "towers/item.yaml": item_page(facts),
        "towers/ranker.yaml": ranker_page(facts, len(all_heads(facts.events.surfaces, heads))),
        "export/serving.yaml": serving_page(),
        "export/embeddings.yaml": embeddings_page(facts),
    }
    tasks = {f"tasks/{s.task}.yaml": task_page(s, facts, heads) for s in facts.events.surfaces}
    return texts | tasks | serving_texts(name)


def project_name(directory: Path) -> str:
    """Return a project's name from its directory's: lower case letters, digits, _ and -."""
    name = re.sub(r"[^a-z0-9_-]+", "-", directory.resolve().name.lower())
    return name.strip("-_") or "project"


def data_path(path: Path, directory: Path) -> str:
    """Return a table's path as project.yaml has it: relative inside `directory`, so that both can move."""
    # Not `resolve`: a link to the data is a path that the user chose.
    absolute, base = Path(os.path.abspath(path)), Path(os.path.abspath(directory))
    inside = absolute.is_relative_to(base) and absolute != base
    return (absolute.relative_to(base) if inside else absolute).as_posix()


def require_free(directory: Path) -> None:
    """Raise when writing a project into `directory` would touch what is there."""
    if directory.exists() and not directory.is_dir():
        raise UserError(f"`{directory}` must be a directory or not exist. Received: a file. Choose another name.")
    if (directory / PROJECT_YAML).exists():
        raise UserError(
            f"`{directory}` is a project already: it has a {PROJECT_YAML}. Choose another directory, or remove "
            f"the project's files ({', '.join(PROJECT_PARTS)}) first."
        )
    for part in PROJECT_PARTS:
        there = directory / part
        if there.exists() and not (there.is_dir() and not any(there.iterdir())):
            raise UserError(
                f"`{there}` is in the way of a new project. Received: something that `init` did not write. "
                "Move it away, or choose another directory."
            )


def _write(directory: Path, texts: dict[str, str], log: InteractionLog) -> list[Path]:
    """Write drafts of the files, check them, and move them into the directory; on any error, leave nothing."""
    made = [p for p in (directory, *directory.parents) if not p.exists()]
    moved: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".init-", dir=directory) as name:
            draft = Path(name)
            for file, text in texts.items():
                (draft / file).parent.mkdir(parents=True, exist_ok=True)
                (draft / file).write_text(text, encoding="utf-8")
            require(check_declarations(load_config(draft), log))
            for part in PROJECT_PARTS:
                (draft / part).replace(directory / part)
                moved.append(directory / part)
    except BaseException as error:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for folder in made:
            if folder.exists():
                folder.rmdir()
        if isinstance(error, OSError):
            raise UserError(f"`{directory}` cannot be written: {error}. Choose another directory.") from error
        raise
    return [directory / file for file in texts]
