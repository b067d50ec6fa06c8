"""What `unified-ranker recommend` does and prints."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from unified_ranker.commands.stages import NOTES, OUT
from unified_ranker.config import Task
from unified_ranker.core.errors import UserError, unknown_name
from unified_ranker.core.request import NO_HISTORY, Request
from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.release.manifest import Manifest, read_manifest
from unified_ranker.serving.answering.recommending import Answer, Recommender
from unified_ranker.serving.answering.request_table import COUNTRY, answer_table, read_requests


def recommend_one(
    release: Path, user: str, task: str | None, fields: dict[str, str], limit: int, project: Path | None, as_json: bool
) -> None:
    """Answer one request with a table of titles."""
    manifest = read_manifest(release)
    tasks = manifest.config.tasks
    if task is None:
        raise UserError(f"`--task` is required. Known: {', '.join(f'`{t}`' for t in tasks)}.")
    if task not in tasks:
        raise unknown_name("task", task, tasks)
    if fields["country"] and not COUNTRY.fullmatch(fields["country"]):
        upper = fields["country"].upper()
        hint = f" Did you mean `{upper}`?" if COUNTRY.fullmatch(upper) else ""
        raise UserError(
            "`--country` must be two capital letters (ISO 3166 alpha-2), such as GB. "
            f"Received: `{fields['country']}`.{hint} Leave it out where it is unknown."
        )
    _note_untrained(manifest, [task])
    log = project_log(release, project)
    recommender = Recommender(release)
    if fields["source_item_id"] and fields["source_item_id"] not in set(recommender.item_ids):
        NOTES.print(f"note: the catalogue has no item {fields['source_item_id']!r}", markup=False, style="yellow")
    history = NO_HISTORY if log is None else log.before(user, 0)
    request = Request(
        user_id=user,
        task=task,
        query=fields["query"],
        source_item_id=fields["source_item_id"],
        country=fields["country"],
        limit=limit,
        history=history,
    )
    _note_lack(request, tasks[task])
    answer = next(iter(recommender.answer([request])))
    version = manifest.version
    if as_json:
        typer.echo(json.dumps({"release": version, "user_id": user, "task": task, **asdict(answer)}))
    else:
        _print_answer(request, answer, version)


def recommend_table(
    release: Path, requests: Path, output: Path | None, limit: int, project: Path | None, as_json: bool
) -> None:
    """Answer a table of requests into a Parquet or CSV file."""
    if output is None:
        raise UserError("`--requests` needs `--output`, the Parquet or CSV file for the answers. Received: none.")
    if output.is_dir():
        raise UserError(f"`--output` must be a file. Received: the directory `{output}`. Name a Parquet file in it.")
    if output.suffix.lower() not in (".parquet", ".csv"):
        raise UserError(f"`--output` must end in .parquet or .csv. Received: `{output}`. Rename it.")
    if not output.parent.is_dir():
        raise UserError(f"`--output` must lie in a directory that exists. Received: `{output.parent}`. Make it first.")
    started = time.perf_counter()
    manifest = read_manifest(release)
    rows = read_requests(requests, manifest.config.tasks, lambda: project_log(release, project), limit)
    _note_untrained(manifest, [request.task for request in rows])
    written = answer_table(Recommender(release), rows, output)
    seconds = time.perf_counter() - started
    if as_json:
        typer.echo(json.dumps({"requests": len(rows), "rows": written, "output": str(output), "seconds": seconds}))
    else:
        OUT.print(f"{len(rows):,} requests, {written:,} answers in {seconds:.1f} s: {output}", markup=False)


def _note_untrained(manifest: Manifest, tasks: Iterable[str]) -> None:
    """Remark which of the requests' tasks the release declares but was not trained for (`--tasks`)."""
    for task in sorted(set(tasks) - set(manifest.tasks_trained)):
        trained = ", ".join(manifest.tasks_trained)
        NOTES.print(
            f"note: the release was trained for {trained} alone; it has learnt nothing for {task}",
            markup=False,
            style="yellow",
        )


def _note_lack(request: Request, task: Task) -> None:
    """Remark that a request of a known kind lacks what it is about, where no rule of the task fills it in."""
    from_history = task.imputation.source_item != "none" and len(request.history) > 0
    has_source = bool(request.source_item_id) or from_history
    lack = ""
    if request.task == "search" and not request.query:
        lack = "" if has_source and task.imputation.query != "none" else "query: name one with --query"
    elif request.task == "more_like_this" and not has_source:
        lack = "source item: name one with --source-item"
    if lack:
        NOTES.print(f"note: the request for {request.task} has no {lack}", markup=False, style="yellow")


def project_log(release: Path, project: Path | None) -> LogHistory | None:
    """Open the event log of `project`, or of the release's own; None where the release has left its project."""
    from unified_ranker.config.loading import load_config
    from unified_ranker.project.stages import Pipeline
    from unified_ranker.project.workspace import Workspace, project_of

    manifest = read_manifest(release)
    if project is not None:
        workspace = Workspace(project.resolve(), load_config(project))
        name = workspace.config.project.name
        if name != manifest.project:
            raise UserError(
                f"`--project` must be the project of the release, `{manifest.project}`. Received: `{project}`, "
                f"which is `{name}`: its users and items are others. Name the right one, or leave the option out."
            )
    else:
        # The release's own declarations: they name the tables even where `--set` did.
        config = manifest.config
        root = project_of(release, config)
        if not (root / "project.yaml").is_file():
            note = f"note: {root} is no project, so there are no histories; name one with --project"
            NOTES.print(note, markup=False, style="yellow")
            return None
        workspace = Workspace(root, config)
    pipeline = Pipeline(workspace)
    if project is not None and manifest.data is not None and pipeline.data_key != manifest.data.checksum:
        note = f"note: the data of {project} are not those that the release was made from"
        NOTES.print(note, markup=False, style="yellow")
    return LogHistory(pipeline.read_prepared())


def _print_answer(request: Request, answer: Answer, version: int) -> None:
    heads = list(answer.items[0].heads) if answer.items else []
    asked = f"query {answer.imputed_query!r}" if answer.imputed_query else "no query"
    title = (
        f"{request.task} for user {request.user_id or 'unknown'} ({len(request.history)} events), {asked}, "
        f"release {version}"
    )
    # As `Text`, because rich would take brackets in a string for its markup.
    table = Table(title=Text(title), title_justify="left")
    for name in ("rank", "item", "title", "score", "retrieval", *heads):
        table.add_column(name, justify="left" if name in ("item", "title") else "right")
    for rank, item in enumerate(answer.items, start=1):
        chances = [f"{item.heads[name]:.3f}" for name in heads]
        scores = (f"{item.score:.3f}", f"{item.retrieval_score:.3f}", *chances)
        table.add_row(str(rank), Text(item.item_id), Text(item.title), *scores)
    OUT.print(table)
