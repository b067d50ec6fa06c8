"""Answers from a release: `recommend_command` and `model-server`."""

from pathlib import Path
from typing import Annotated

import typer

from unified_ranker.cli.app import app
from unified_ranker.cli.options import JsonOption
from unified_ranker.core.errors import UserError


@app.command("recommend")
def recommend_command(
    release: Annotated[Path, typer.Argument(help="A release, such as releases/latest.")],
    user: Annotated[str, typer.Option(help="User id; unknown ones are welcome.")] = "",
    task: Annotated[str | None, typer.Option(help="The surface to answer for.")] = None,
    query: Annotated[str, typer.Option(help="What the user typed.")] = "",
    source_item: Annotated[str, typer.Option(help="The item that the user looks at.")] = "",
    country: Annotated[str, typer.Option(help="Two capital letters (ISO 3166).")] = "",
    limit: Annotated[int, typer.Option(min=0, help="How many items; 0 = as the task declares.")] = 0,
    requests: Annotated[Path | None, typer.Option(help="A table of requests, Parquet or CSV.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where the answers to --requests go (.parquet or .csv).")] = None,
    project: Annotated[
        Path | None,
        typer.Option("--project", "-p", help="Project of the histories; by default the release's own."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Answer one request, or a table of them.

    Example: `unified-ranker recommend releases/latest --user 42 --task search --query "space war"`

    Example: `unified-ranker recommend releases/latest --requests requests.parquet --output answers.parquet --limit 100`
    """
    from unified_ranker.commands.recommend import recommend_one, recommend_table

    fields = {"query": query, "source_item_id": source_item, "country": country}
    if requests is not None:
        if user or task or any(fields.values()):
            raise UserError("`--requests` brings its own users, tasks and fields. Leave `--user`, `--task` … out.")
        recommend_table(release, requests, output, limit, project, as_json)
    elif output is not None:
        raise UserError("`--output` is for the answers to `--requests`. Name that table, or leave `--output` out.")
    else:
        recommend_one(release, user, task, fields, limit, project, as_json)


@app.command("model-server")
def model_server_command(
    path: Annotated[Path, typer.Argument(help="A release, or a base path with version directories.")],
    host: Annotated[str, typer.Option(help="Address to listen on; loopback only.")] = "127.0.0.1",
    grpc_port: Annotated[int, typer.Option(help="Port of the gRPC API.")] = 8500,
    rest_port: Annotated[int, typer.Option(help="Port of the REST API.")] = 8501,
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
