"""Commands of the ranking service: `serve`, `token`, and `reload` and `rollback` of a running one."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from unified_ranker.cli.app import ANSWERING, app
from unified_ranker.cli.console import say
from unified_ranker.cli.options import ProjectOfReleaseOption, ReleaseArgument
from unified_ranker.core.errors import UserError

UrlOption = Annotated[str, typer.Option(help="Address of the service.")]
TokenOption = Annotated[
    str | None, typer.Option(envvar="UNIFIED_RANKER_TOKEN", help="A bearer token with the role `admin`.")
]
LabelOption = Annotated[str, typer.Option(help="Label of the release: stable or canary.")]
_SECONDS = 600.0
"""Seconds within which a running service must open and check a release."""


@app.command("serve", rich_help_panel=ANSWERING)
def serve_command(
    release: ReleaseArgument,
    host: Annotated[str, typer.Option(help="Address to listen on; other than loopback only with --tokens.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen on; 0 = any free one.")] = 8080,
    model_server: Annotated[
        str,
        typer.Option(
            help="TF Serving: host:port of gRPC or http://host:port; in-process: TensorFlow in the service's own "
            "process; embedded: a stand-in for TF Serving in a process beside it."
        ),
    ] = "in-process",
    project: ProjectOfReleaseOption = None,
    store: Annotated[
        str | None, typer.Option(help="Store of events: a directory, or redis://host:port/database.")
    ] = None,
    tokens: Annotated[Path | None, typer.Option(help="File of tokens; see `unified-ranker token`.")] = None,
    deadline_ms: Annotated[
        int, typer.Option(min=10, help="Deadline of a request in milliseconds, waiting included.")
    ] = 1000,
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1, help="Requests answered at once; by default one per core, four per core with TF Serving elsewhere."
        ),
    ] = None,
    queue: Annotated[int, typer.Option(min=0, help="Requests that may wait for a slot.")] = 32,
    health_seconds: Annotated[
        float, typer.Option(min=0.1, help="Seconds between two measurements of the index.")
    ] = 60.0,
    canary: Annotated[
        int | None, typer.Option(help="Number of a second release, which answers a share of users.")
    ] = None,
    canary_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of users that --canary answers.")] = 0.05,
    strict_events: Annotated[
        bool, typer.Option("--strict-events", help="Refuse events whose task, type or item the release does not know.")
    ] = False,
    json_logs: Annotated[bool, typer.Option(help="Log each answer to standard error, as JSON.")] = False,
) -> None:
    """Start the ranking service.

    Example: `unified-ranker serve releases/latest --port 8080`
    """
    from unified_ranker.serving.backends.base import ModelBackend, ServedModel
    from unified_ranker.serving.backends.open_backend import LOCAL_ADDRESSES, open_backend, require_address
    from unified_ranker.serving.http.api import Capacity
    from unified_ranker.serving.http.logs import log_as_json
    from unified_ranker.serving.http.running import ServeOptions, run_service
    from unified_ranker.serving.service.index_keeper import IndexHealth

    if json_logs:
        log_as_json()
    options = ServeOptions(
        host=host,
        port=port,
        project=project,
        store=store,
        tokens=tokens,
        deadline=deadline_ms / 1000,
        capacity=Capacity(concurrency or Capacity().concurrency * (1 if model_server in LOCAL_ADDRESSES else 4), queue),
        health=IndexHealth(seconds=health_seconds),
        canary=canary,
        canary_share=canary_share,
        strict_events=strict_events,
    )
    require_address(model_server)

    def open_model(model: ServedModel) -> ModelBackend:
        return open_backend(model_server, model)

    run_service(release, options, open_model, announce=say)


@app.command("token", rich_help_panel=ANSWERING)
def token_command(
    name: Annotated[str, typer.Argument(help="Name of the token's holder.")],
    role: Annotated[list[str], typer.Option(help="read, events or admin; may be repeated.")],
) -> None:
    """Make a bearer token for the service: the secret for its holder, and the entry for the service's file.

    Example: `unified-ranker token web --role read --role events`
    """
    import yaml

    from unified_ranker.serving.http.security import new_token

    secret, made = new_token(name, role)
    say(f"token, shown only once:  {secret}\nfor the file of --tokens:")
    entry = {"name": made.name, "sha256": made.sha256, "roles": list(made.roles)}
    say(yaml.safe_dump([entry], sort_keys=False).rstrip())


@app.command("reload", rich_help_panel=ANSWERING)
def reload_command(
    release: Annotated[int | None, typer.Argument(help="Number of the release; by default the newest.")] = None,
    url: UrlOption = "http://127.0.0.1:8080",
    label: LabelOption = "stable",
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the users that a canary answers.")] = 0.05,
    token: TokenOption = None,
) -> None:
    """Switch a running service to another release; no request fails or waits meanwhile.

    Example: `unified-ranker reload 8`
    """
    _swap(url, "reload", {"release": release, "label": label, "share": share}, token)


@app.command("rollback", rich_help_panel=ANSWERING)
def rollback_command(
    url: UrlOption = "http://127.0.0.1:8080", label: LabelOption = "stable", token: TokenOption = None
) -> None:
    """Switch a running service back to the release before.

    Example: `unified-ranker rollback --label canary`
    """
    _swap(url, "rollback", {"label": label}, token)


def _swap(url: str, operation: str, body: dict[str, object], secret: str | None) -> None:
    done = _post(f"{url.rstrip('/')}/v1/admin/{operation}", body, secret)
    if done["release"] is None:
        say(f"{done['label']}: ended; release {done['previous']} no longer answers")
        return
    if "seconds" not in done:
        raise UserError(f"`--url` must be a ranking service. Received: `{url}`, whose answer has another form.")
    before = f" instead of release {done['previous']}" if done["previous"] else ""
    say(f"{done['label']}: release {done['release']} answers{before} ({done['seconds']:.1f} s)")


def _post(url: str, body: dict[str, object], token: str | None) -> dict[str, Any]:
    """Post JSON to a service and return its answer.

    Raises:
        UserError: the service refuses, with its own message, or does not answer.
    """
    import urllib.error
    import urllib.request

    if not url.startswith(("http://", "https://")):
        raise UserError(f"`--url` must begin with http:// or https://. Received: `{url}`.")
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310
    # No proxy: the environment's is for addresses outside, and the service is on the local network.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_SECONDS) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        said = error.read().decode("utf-8", "replace")
        raise UserError(f"the service refused the request ({error.code}): {_reason(said)}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"no service answers at `{url}`: {error}. Start one, or name another with --url.") from error


def _reason(body: str) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:200]
