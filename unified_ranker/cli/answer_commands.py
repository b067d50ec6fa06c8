"""Commands that answer requests from a release: `recommend` and `model-server`."""

import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unified_ranker.cli.app import ANSWERING, app
from unified_ranker.cli.console import print_json, print_table, say, warn
from unified_ranker.cli.options import JsonOption, ProjectOfReleaseOption, ReleaseArgument
from unified_ranker.core.addresses import GRPC_PORT, REST_PORT
from unified_ranker.core.errors import UserError

if TYPE_CHECKING:
    from unified_ranker.config import Task
    from unified_ranker.core.request import Request
    from unified_ranker.release.manifest import Manifest
    from unified_ranker.serving.answering.recommending import Answer


@app.command("recommend", rich_help_panel=ANSWERING)
def recommend_command(
    release: ReleaseArgument,
    user: Annotated[str, typer.Option(help="Id of the user; may be unknown to the model.")] = "",
    task: Annotated[str | None, typer.Option(help="Surface to answer for, such as search.")] = None,
    query: Annotated[str, typer.Option(help="Text that the user typed.")] = "",
    source_item: Annotated[str, typer.Option(help="Id of the item that the user looks at.")] = "",
    country: Annotated[str, typer.Option(help="Country of the user: two capital letters (ISO 3166).")] = "",
    limit: Annotated[int, typer.Option(min=0, help="Number of items; 0 = as the task declares.")] = 0,
    requests: Annotated[Path | None, typer.Option(help="Table of requests, Parquet or CSV.")] = None,
    output: Annotated[Path | None, typer.Option(help="File of the answers to --requests (.parquet or .csv).")] = None,
    project: ProjectOfReleaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer one request, or a table of them.

    Example: `unified-ranker recommend releases/latest --user 42 --task search --query "space war"`

    Example: `unified-ranker recommend releases/latest --requests requests.parquet --output answers.parquet --limit 100`
    """
    fields = {"query": query, "source_item_id": source_item, "country": country}
    if requests is not None:
        if user or task or any(fields.values()):
            raise UserError(
                "`--requests` must be given without `--user`, `--task`, `--query`, `--source-item` and `--country`: "
                "its table has them. Leave them out."
            )
        _answer_table(release, requests, output, limit, project, as_json)
    elif output is not None:
        raise UserError(
            "`--output` must be given with `--requests`, whose answers it takes. Add it, or leave `--output` out."
        )
    else:
        _answer_one(release, user, task, fields, limit, project, as_json)


@app.command("model-server", rich_help_panel=ANSWERING)
def model_server_command(
    path: Annotated[Path, typer.Argument(help="A release, or a base path with version directories.")],
    host: Annotated[str, typer.Option(help="Address to listen on; loopback only.")] = "127.0.0.1",
    grpc_port: Annotated[int, typer.Option(help="Port of the gRPC API.")] = GRPC_PORT,
    rest_port: Annotated[int, typer.Option(help="Port of the REST API.")] = REST_PORT,
    model_name: Annotated[str, typer.Option(help="Name under which the model is served.")] = "unified_ranker",
    models_config: Annotated[Path | None, typer.Option(help="TF Serving's models.config, for labels.")] = None,
    batching: Annotated[Path | None, typer.Option(help="TF Serving's batching parameters file.")] = None,
) -> None:
    """Start the embedded model server alone: a stand-in for TF Serving on one machine.

    Example: `unified-ranker model-server releases/latest`
    """
    from unified_ranker.model_server.embedded_server import prepare_process, run

    prepare_process()
    run(
        path,
        model_name=model_name,
        host=host,
        grpc_port=grpc_port,
        rest_port=rest_port,
        models_config=models_config,
        batching=batching,
    )


def _answer_one(
    release: Path, user: str, task: str | None, fields: dict[str, str], limit: int, project: Path | None, as_json: bool
) -> None:
    from unified_ranker.serving.answering.recommender import Recommender

    recommender = Recommender(release, project, remark=warn)
    if task is None:
        raise UserError(f"`--task` is required. Known: {', '.join(f'`{t}`' for t in recommender.tasks)}.")
    request = recommender.request({"user_id": user, "task": task, "limit": limit, **fields})
    manifest = recommender.manifest
    _warn_of_untrained(manifest, [task])
    if request.source_item_id and request.source_item_id not in set(recommender.item_ids):
        warn(f"the catalogue has no item {request.source_item_id!r}")
    _warn_of_lack(request, manifest.config.tasks[task])
    answer = next(recommender.answer([request]))
    if as_json:
        print_json({"release": manifest.version, "user_id": user, "task": task, **asdict(answer)})
    else:
        _print_answer(request, answer, manifest.version)


def _answer_table(
    release: Path, requests: Path, output: Path | None, limit: int, project: Path | None, as_json: bool
) -> None:
    from unified_ranker.serving.answering.recommender import Recommender
    from unified_ranker.serving.answering.request_table import answer_file, read_requests

    if output is None:
        raise UserError("`--requests` needs `--output`, the Parquet or CSV file for the answers. Received: none.")
    if output.is_dir():
        raise UserError(f"`--output` must be a file. Received: the directory `{output}`. Name a Parquet file in it.")
    if output.suffix.lower() not in (".parquet", ".csv"):
        raise UserError(f"`--output` must end in .parquet or .csv. Received: `{output}`. Rename it.")
    if not output.parent.is_dir():
        raise UserError(
            f"`--output` must lie in a directory that exists. Received: `{output.parent}`. Create it first."
        )
    started = time.perf_counter()
    recommender = Recommender(release, project, remark=warn)
    rows = read_requests(requests, recommender.tasks, lambda: recommender.log, limit)
    _warn_of_untrained(recommender.manifest, [request.task for request in rows])
    written = answer_file(recommender.answer(rows), len(rows), output)
    seconds = time.perf_counter() - started
    if as_json:
        print_json({"requests": len(rows), "rows": written, "output": str(output), "seconds": seconds})
    else:
        say(f"{len(rows):,} requests, {written:,} answers in {seconds:.1f} s: {output}")


def _warn_of_untrained(manifest: "Manifest", tasks: Iterable[str]) -> None:
    """Warn of tasks that the release declares but was not trained for (`--tasks`)."""
    for task in sorted(set(tasks) - set(manifest.tasks_trained)):
        trained = ", ".join(manifest.tasks_trained)
        warn(f"the release was trained for {trained} alone; it has learnt nothing for {task}")


def _warn_of_lack(request: "Request", task: "Task") -> None:
    """Warn of a search without query or more-like-this without source item, unless the task fills it in."""
    from_history = task.imputation.source_item != "none" and len(request.history) > 0
    has_source = bool(request.source_item_id) or from_history
    lack = ""
    if request.task == "search" and not request.query:
        lack = "" if has_source and task.imputation.query != "none" else "query: name one with --query"
    elif request.task == "more_like_this" and not has_source:
        lack = "source item: name one with --source-item"
    if lack:
        warn(f"the request for {request.task} has no {lack}")


def _print_answer(request: "Request", answer: "Answer", version: int) -> None:
    heads = list(answer.items[0].heads) if answer.items else []
    asked = f"query {answer.imputed_query!r}" if answer.imputed_query else "no query"
    print_table(
        f"{request.task} for user {request.user_id or 'unknown'} ({len(request.history)} events), {asked}, "
        f"release {version}",
        ["rank", "item", "title", "score", "retrieval", *heads],
        [
            [str(rank), item.item_id, item.title, f"{item.score:.3f}", f"{item.retrieval_score:.3f}",
             *(f"{item.heads[name]:.3f}" for name in heads)]
            for rank, item in enumerate(answer.items, start=1)
        ],
        left=("item", "title"),
    )  # fmt: skip
