"""Other libraries on our protocol: trained with the same minutes on the same cores, ranked on the same requests.

    python benchmarks/peers.py ../shared/data --projects ~/.cache/unified_ranker/peers/projects
    python benchmarks/peers.py --table          # the committed result as Markdown, into docs/records/other-libraries.md

Logs: beauty (leave-one-out), deskdrop, grocery, checkins and MovieLens 100K. `--only deskdrop` and
`--peer "implicit ALS"`, each perhaps several times, limit the run; results are kept beside those of earlier runs.
`--projects` holds a project a log, of which what is missing is built (`--minutes` of training each). Every library is
installed into an environment of its own below `--environments`.

For each log and model: NDCG@10 and Recall@100 by task, seconds of training, labelled events a second, peak memory.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from machine import RESULTS, keep, machine
from peer_environments import OURS, PEERS, Peer
from peer_libraries.exchange import Folder
from peer_projects import LOGS, LogProject, project_of
from peer_protocol import peer_scorer, tasks_of, write_folder
from peer_table import write_tables

from unified_ranker.evaluation.protocol import evaluate
from unified_ranker.evaluation.results import JOINT, Evaluation
from unified_ranker.project.prepare_stage import prepared_data

KEPT = RESULTS / "peers.json"
PAGE = Path(__file__).parents[1] / "docs" / "records" / "other-libraries.md"
CACHE = Path("~/.cache/unified_ranker/peers").expanduser()
METRICS = ("ndcg@10", "recall@100")
TOWERS, BASELINE = "two towers", "best baseline"


def main() -> None:
    """Train what is asked for, and keep the results beside those of earlier runs."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("logs", type=Path, nargs="?", help="directory of logs, each with events.parquet")
    arguments.add_argument("--projects", type=Path, default=CACHE / "projects", help="a project for each log")
    arguments.add_argument("--environments", type=Path, default=CACHE, help="an environment for each library")
    arguments.add_argument("--minutes", type=float, default=6.0, help="of training, for each model on each log")
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    arguments.add_argument("--only", action="append", choices=LOGS, help="a log; all without")
    arguments.add_argument(
        "--peer", action="append", choices=[peer.name for peer in (OURS, *PEERS)], help="a model; all without"
    )
    arguments.add_argument("--no-keep", action="store_true", help="print the results without keeping them")
    arguments.add_argument("--table", action="store_true", help="write the kept results into the page of the docs")
    given = arguments.parse_args()
    kept: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {"logs": {}}
    if given.table:
        write_tables(PAGE, kept["logs"])
        return
    if given.logs is None:
        arguments.error("`logs` is missing: the directory of the logs.")
    for name in given.only or LOGS:
        project = project_of(name, given.logs, given.projects, given.minutes)
        log = kept["logs"].setdefault(name, {})
        for peer in [peer for peer in (OURS, *PEERS) if not given.peer or peer.name in given.peer]:
            before = machine()
            made = {key: before[key] for key in ("commit", "date", "load_before")}
            rows = our_rows(project) if peer is OURS else peer_row(peer, project, given)
            log.update({row: {**made, **found} for row, found in rows.items()})
            if not given.no_keep:
                keep("peers", {"minutes": given.minutes, "logs": kept["logs"]}, before)
            else:
                print(json.dumps(rows, indent=2))


def our_rows(project: LogProject) -> dict[str, Any]:
    """Return the rows of our model, of its two towers and of the best baselines, built now if they are not."""
    project.build()
    evaluation, trained = project.evaluation(), project.trained()
    rows = {JOINT: {"trained": trained}, TOWERS: {}, BASELINE: {}}
    return {name: {**row, "tasks": metrics_of(evaluation, name)} for name, row in rows.items()}


def peer_row(peer: Peer, project: LogProject, given: argparse.Namespace) -> dict[str, Any]:
    """Train a library's model on a project's log and rank its scores; returns its row."""
    prepared, config = prepared_data(project.context), project.context.config
    with tempfile.TemporaryDirectory(prefix="peers-") as scratch:
        folder = Folder(Path(scratch))
        write_folder(folder, prepared, config, given.minutes, given.threads)
        peer.train(given.environments, folder.path, given.threads)
        scorer = peer_scorer(peer.name, folder, prepared, config)
        evaluation = evaluate([scorer], prepared, config, tasks_of(prepared, config))
        row = {"trained": folder.trained, "by_popularity": scorer.without, "tasks": metrics_of(evaluation, peer.name)}
    return {peer.name: row}


def metrics_of(evaluation: Evaluation, name: str) -> dict[str, Any]:
    """Return a scorer's metrics by task; those of the best baseline of each metric for `BASELINE`."""
    out: dict[str, Any] = {}
    for task in evaluation.tasks:
        rows = task.overall.rows if task.overall else ()
        out[task.task] = {"requests": task.requests}
        for metric in METRICS:
            own = [r for r in rows if (r.kind == "baseline" if name == BASELINE else r.scorer == name)]
            best = max(own, key=lambda row: row.metrics[metric].value)
            out[task.task][metric] = round(best.metrics[metric].value, 4)
            if name == BASELINE:
                out[task.task][f"{metric} of"] = best.scorer
    return out


if __name__ == "__main__":
    main()
