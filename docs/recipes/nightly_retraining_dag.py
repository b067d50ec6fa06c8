"""Nightly retraining as an Airflow DAG (Airflow 2.7 or later): one task a stage, one run at a time.

Each command is safe to run again: finished stages are skipped and interrupted ones continue, so retries cost little.
"""

from datetime import datetime, timedelta
from itertools import pairwise

from airflow import DAG
from airflow.operators.bash import BashOperator

PROJECT = "/srv/shop"
BIN = "/srv/venv/bin"
SERVICE = "http://127.0.0.1:8080"

COMMANDS = {
    "validate": "unified-ranker validate --project .",
    "prepare": "unified-ranker prepare --project .",
    "train": "unified-ranker train --project .",
    "evaluate": "unified-ranker evaluate --project .",
    "export": "unified-ranker export --project .",
    "verify": "unified-ranker verify releases/latest",
    "beats_baselines": "python beats_baselines.py releases/latest",
    "reload": f"unified-ranker reload --url {SERVICE}",
    "export_embeddings": "unified-ranker export-embeddings releases/latest",
}

with DAG(
    dag_id="unified_ranker_nightly",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
) as dag:
    stages = [
        BashOperator(task_id=name, bash_command=command, cwd=PROJECT, env={"PATH": f"{BIN}:/usr/bin:/bin"})
        for name, command in COMMANDS.items()
    ]
    for before, after in pairwise(stages):
        before >> after
