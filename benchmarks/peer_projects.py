"""Projects of the comparison with other libraries: `init` and the stages with nothing set; beauty is leave-one-out."""

import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from machine import measure
from stepping import stepper

from unified_ranker.config.loading import load_config
from unified_ranker.core.times import DAY
from unified_ranker.evaluation.results import Evaluation
from unified_ranker.project.prepare_stage import prepared_data
from unified_ranker.project.stage_cache import stamp_of
from unified_ranker.project.stage_context import StageContext
from unified_ranker.project.workspace import Workspace

ROOT = Path(__file__).parents[1]
LEAVE_ONE_OUT, MOVIELENS = "beauty", "movielens"
LOGS = (LEAVE_ONE_OUT, "deskdrop", "grocery", "checkins", MOVIELENS)
STEPS = 24


@dataclass(frozen=True)
class LogProject:
    """Project of a log.

    Attributes:
        name: of the log.
        directory: of the project; the repository itself for MovieLens, whose settings are tuned.
        overrides: of declarations, as `--set` takes them.
    """

    name: str
    directory: Path
    overrides: tuple[str, ...] = ()

    @property
    def context(self) -> StageContext:
        """Context of the project's stages."""
        return StageContext(Workspace(self.directory, load_config(self.directory, list(self.overrides))))

    def build(self) -> None:
        """Run the stages that are not up to date, each in a process of its own."""
        for stage in ("prepare", "train", "evaluate"):
            settings = [word for one in self.overrides for word in ("--set", one)]
            measure(_command(), stage, "--project", str(self.directory), *settings)

    def evaluation(self) -> Evaluation:
        """Read the project's evaluation."""
        file = self.context.workspace.stage("evaluate") / "evaluation.json"
        return Evaluation.from_json(json.loads(file.read_text(encoding="utf-8")))

    def trained(self) -> dict[str, Any]:
        """Return what the training took: seconds, epochs, memory of its process, and labelled events a second."""
        stamp = stamp_of(self.context.workspace.stage("train"))
        found = {"seconds": stamp["seconds"], "epochs": len(stamp["curves"]["loss"])}
        return {**found, "peak_mib": stamp["peak_memory_mib"], "events_per_second": round(self._rate())}

    def _rate(self) -> float:
        """Return the labelled events a second of a training step, over whole rounds of `ranking_every` steps."""
        context = self.context
        prepared_data(context)
        step, batches = stepper(context)
        training = context.config.project.training
        rounds = max(STEPS // training.ranking_every, 1) * training.ranking_every
        # The first rounds trace the graph.
        seen = [next(batches) for _ in range(2 * rounds)]
        for batch in seen[:rounds]:
            step(batch)
        began = time.perf_counter()
        for batch in seen[rounds:]:
            float(step(batch)["loss"])
        return rounds * training.batch_examples / (time.perf_counter() - began)


def project_of(name: str, logs: Path, projects: Path, minutes: float) -> LogProject:
    """Return the project of a log below `projects`, which trains for so many minutes.

    One that is not there is begun by `init`, with nothing set.
    """
    directory, trained_for = projects / name, f"project.training.minutes={minutes}"
    if name == MOVIELENS:
        work = f"project.work_dir={(directory / '.unified_ranker').resolve()}"
        return LogProject(name, ROOT, (work, trained_for))
    if not (directory / "project.yaml").is_file():
        log = logs / name
        shares = None
        if name == LEAVE_ONE_OUT:
            log = projects / f"{name}-leave-one-out"
            shares = leave_one_out(logs / name, log)
        files = {table: log / f"{table}.parquet" for table in ("events", "items", "users")}
        tables = [f"--{table}={file.resolve()}" for table, file in files.items() if file.is_file()]
        measure(_command(), "init", str(directory), *tables)
        if shares is not None:
            _declare_split(directory / "project.yaml", *shares)
    return LogProject(name, directory, (trained_for,))


def leave_one_out(log: Path, target: Path) -> tuple[float, float]:
    """Write a log whose split by time is leave-one-out: each user's last event is tested, the one before validates.

    Events have an order only. The k-th of a user's n events is given the day 600 · k / n; next-to-last events come in a
    later month, and last ones in the month after that.

    Returns:
        The shares of the train and the validation slice.
    """
    target.mkdir(parents=True, exist_ok=True)
    events = pd.read_parquet(log / "events.parquet").sort_values(["user_id", "timestamp"], kind="stable")
    of_user = events.groupby("user_id", sort=True)
    place, number, user = of_user.cumcount() + 1, of_user["item_id"].transform("size"), of_user.ngroup()
    seconds = 600 * DAY * place // number
    # A minute for each user: no two of these events are simultaneous.
    for from_end, day in ((1, 630), (0, 670)):
        seconds = seconds.mask(place == number - from_end, day * DAY + user * 60)
    events["timestamp"] = pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(seconds, unit="s")
    events.sort_values("timestamp", kind="stable").to_parquet(target / "events.parquet", index=False)
    for table in ("items", "users"):
        if (log / f"{table}.parquet").is_file():
            pd.read_parquet(log / f"{table}.parquet").to_parquet(target / f"{table}.parquet", index=False)
    users = int(user.nunique())
    return 1 - 2 * users / len(events), users / len(events)


def _declare_split(file: Path, train: float, validation: float) -> None:
    text, times = re.subn(
        r"^# Split by time.*\nsplit: .*$",
        "# Leave-one-out: each user's last event is tested, the one before it validates.\n"
        f"split: {{train: {train}, validation: {validation}, fit_on: train_and_validation}}",
        file.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert times == 1, f"`init` declares no split in {file}"
    file.write_text(text, encoding="utf-8")


def _command() -> str:
    return str(Path(sys.executable).with_name("unified-ranker"))
