"""Writer of a complete project for a log, for `unified-ranker init`."""

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unified_ranker.config.loading import load_config
from unified_ranker.config.yaml_files import PROJECT_YAML
from unified_ranker.core.errors import UserError
from unified_ranker.log.check import Check
from unified_ranker.log.log_checks import require
from unified_ranker.log.schema import InteractionLog
from unified_ranker.project.declaration_checks import check_declarations
from unified_ranker.project.init.inspect_facts import Facts, look_at
from unified_ranker.project.init.project_plan import Given, ProjectPlan, plan_project
from unified_ranker.project.init.project_text import embeddings_page, project_page, serving_page
from unified_ranker.project.init.read_plan import read_plan
from unified_ranker.project.init.serving_text import SERVING_DIRECTORY, serving_texts
from unified_ranker.project.init.task_text import all_heads, head_names, task_page
from unified_ranker.project.init.tower_text import context_page, item_page, ranker_page, user_page
from unified_ranker.project.value_scale import ValueColumn

PROJECT_PARTS = ("towers", "tasks", "export", SERVING_DIRECTORY, PROJECT_YAML)
"""Parts of a project; its file is written last, because its presence makes a directory a project."""


@dataclass(frozen=True)
class WrittenProject:
    """Project that was written.

    Attributes:
        files: its files.
        failing: checks of the data that `validate` will fail.
    """

    files: tuple[Path, ...]
    failing: tuple[Check, ...]


def init_project(
    directory: Path,
    events: str | Path,
    items: str | Path | None = None,
    users: str | Path | None = None,
    announce: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write a project over the given tables, whose columns are clear; see `write_plan`.

    Args:
        directory: where to. It may exist and hold other things, such as the tables, but no project.
        events: the events table: a path, a pattern of paths, or a query.
        items: the items table, likewise; None takes the items from the events.
        users: the users table, likewise; None takes the users from the events.
        announce: is called with a line for each column that is left out.

    Raises:
        UserError: likewise, or a column is in doubt.
    """
    tables = {"events": events, "items": items, "users": users}
    plan = plan_project(Path(directory), Given({name: table for name, table in tables.items() if table is not None}))
    return list(write_plan(Path(directory), certain(plan), announce).files)


def certain(plan: ProjectPlan, yes: bool = False) -> ProjectPlan:
    """Return the plan, if its columns are clear.

    Args:
        plan: the plan.
        yes: whether a doubtful choice is taken, too.

    Raises:
        UserError: a column is in doubt or missing; the message says how to name it.
    """
    open_choices = plan.missing if yes else plan.doubts
    if open_choices:
        lines = [f"`{c.path}`: {c.doubt}. Say `--map {c.path}={c.taken or 'COLUMN'}`." for c in open_choices]
        rest = "" if plan.missing else "\nTake the proposal with --yes."
        raise UserError("the columns of the log are not clear:\n" + "\n".join(lines) + rest)
    return plan


def write_plan(directory: Path, plan: ProjectPlan, announce: Callable[[str], None] | None = None) -> WrittenProject:
    """Write a project for a plan, with comments that say why each choice was made.

    Args:
        directory: where to. It may exist and hold other things, such as the tables, but no project.
        plan: the tables and their columns.
        announce: is called with a line for each column that is left out, and for what was recognised.

    Raises:
        UserError: `directory` holds a project, the tables cannot be read, most rows cannot be used, or there is
            nothing in them to learn from. Then nothing is written.
    """
    require_free(directory)
    if announce is not None:
        for column in plan.left_out:
            announce(f"left out `events.{column}`: no column of ours means it")
    read = read_plan(plan, directory, announce)
    facts = look_at(read.log, project_name(directory), ValueColumn.of(read.plan.mapped), read.whole)
    texts = project_texts(facts, read.plan, announce)
    return WrittenProject(tuple(_write(directory, texts, read.log)), read.failing)


def project_texts(facts: Facts, plan: ProjectPlan, announce: Callable[[str], None] | None = None) -> dict[str, str]:
    """Return the files of a project by their paths in it.

    Args:
        facts: of its log.
        plan: its tables and columns.
        announce: is called with a line for each column that is left out.
    """
    for table, columns in (("items", facts.item_columns), ("users", facts.user_columns)):
        for column in columns:
            if announce is not None and column.type is None:
                announce(f"left out `{table}.{column.column}`: {column.why}")
    heads = head_names(facts.events.surfaces)
    texts = {
        PROJECT_YAML: project_page(facts, plan),
        "towers/user.yaml": user_page(facts),
        "towers/context.yaml": context_page(facts),
        "towers/item.yaml": item_page(facts),
        "towers/ranker.yaml": ranker_page(facts, len(all_heads(facts.events.surfaces, heads))),
        "export/serving.yaml": serving_page(),
        "export/embeddings.yaml": embeddings_page(facts),
    }
    tasks = {f"tasks/{s.task}.yaml": task_page(s, facts, heads) for s in facts.events.surfaces}
    return texts | tasks | serving_texts(facts.name)


def project_name(directory: Path) -> str:
    """Return a project's name from its directory's: lower case letters, digits, _ and -."""
    name = re.sub(r"[^a-z0-9_-]+", "-", directory.resolve().name.lower())
    return name.strip("-_") or "project"


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
