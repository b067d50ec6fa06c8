"""Plan of a comparison: the joint model, each task alone, ablations, variants."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import yaml

from unified_ranker.config import Config
from unified_ranker.core.errors import UserError
from unified_ranker.prepare.prepared_by import PREPARED_BY, PREPARED_BY_TASK, parts_of_tasks

RunKind = Literal["joint", "alone", "ablation", "variant", "trial"]

ABLATIONS = ("no task id", "no imputation", "no crosses", "no personalisation", "no signals")
"""The first four are UniCoRn's (arXiv 2408.10394, section 3), the last is Etsy's (arXiv 2306.04833, section 4)."""
MEASURED_BY = (*PREPARED_BY, "project.seed", "project.evaluation", "project.work_dir")
MEASURED_BY_TASK = PREPARED_BY_TASK | {"exclude_engaged"}
"""Declarations that decide on the measured requests and their candidates; runs may differ in all others."""
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]*")
RESERVED_NAMES = frozenset({"joint", "alone", "baselines", "joint model", "two towers"})
"""Names of lines that the report itself uses."""
SEED = "project.training.seed"


@dataclass(frozen=True)
class PlannedRun:
    """One model of a comparison: its name, the seed of its training, its tasks, and the declarations that differ."""

    name: str
    kind: RunKind
    seed: int
    tasks: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()

    @property
    def directory(self) -> str:
        """Name of the directory that holds its results."""
        return f"{self.name.replace(' ', '-').replace('/', '-')}-{self.seed}"

    @property
    def settings(self) -> list[str]:
        """The declarations that differ, as `path=value`."""
        return [*self.overrides, f"{SEED}={self.seed}"]


def plan(
    config: Config, seeds: int, variants: Sequence[str] = (), kinds: Sequence[str] = ("joint", "alone", "ablation")
) -> list[PlannedRun]:
    """List the runs: joint and each task alone for every seed, ablations and variants for the first.

    Args:
        config: the project.
        seeds: number of seeds, counted up from the project's own.
        variants: `NAME:path=value[;path=value …]` each: a model that differs in these declarations.
        kinds: kinds of run to plan; variants are always included.

    Raises:
        UserError: a variant has another form, or two have the same name.
    """
    numbers = range(config.project.training_seed, config.project.training_seed + seeds)
    first = numbers[0]
    runs = [PlannedRun("joint", "joint", seed) for seed in numbers] if "joint" in kinds else []
    if "alone" in kinds and len(config.tasks) > 1:
        runs += [PlannedRun(f"{task} alone", "alone", seed, (task,)) for seed in numbers for task in config.tasks]
    if "ablation" in kinds:
        for name in ABLATIONS:
            overrides = ablation(name, config)
            if overrides:
                runs.append(PlannedRun(name, "ablation", first, (), overrides))
    runs += [_variant(text, first) for text in variants]
    directories = [run.directory for run in runs]
    for run in runs:
        if directories.count(run.directory) > 1 and run.kind == "variant":
            raise UserError(
                f"`--variant` must have a name that no other run has. Received: `{run.name}`, the name of two. "
                "Rename it."
            )
    return runs


def ablation(name: str, config: Config) -> tuple[str, ...]:
    """Return the declarations of an ablation; none where the project does not have the part that it removes."""
    towers = config.towers
    if name == "no task id":
        fields = [field for field in towers.context.fields if field not in ("task", "previous_task")]
        return (f"towers.context.fields={_yaml(fields)}",) if "task" in towers.context.fields else ()
    if name == "no imputation":
        return tuple(
            f"tasks.{task}.imputation.{field}=none"
            for task, declared in config.tasks.items()
            for field in ("query", "source_item")
            if getattr(declared.imputation, field) != "none"
        )
    if name == "no crosses":
        parts = ("context", "ranker")
        return tuple(f"towers.{p}.cross_layers=0" for p in parts if getattr(towers, p).cross_layers)
    if name == "no personalisation":
        return ("towers.user.personal=false",) if towers.user.personal else ()
    return ("towers.ranker.signals=[]",) if towers.ranker.signals else ()


def require_same_requests(config: Config, other: Config) -> None:
    """Check that two configurations are measured on the same requests.

    Raises:
        UserError: they differ in a declaration that decides on the requests.
    """
    for part in (*MEASURED_BY, *parts_of_tasks(config, MEASURED_BY_TASK)):
        if config.digest(part) != other.digest(part):
            raise UserError(
                f"`{part}` decides on the requests that all models are measured on, and must be the same for all. "
                "Received: another value. Set it for all models by --set, with a `project.work_dir` of its own."
            )


def _variant(text: str, seed: int) -> PlannedRun:
    name, colon, settings = text.partition(":")
    overrides = tuple(part.strip() for part in settings.split(";") if part.strip())
    if not (name.strip() and colon and overrides and all("=" in part for part in overrides)):
        raise UserError(
            f"`--variant` must be NAME:path=value[;path=value …]. Received: `{text}`. "
            "For example: --variant 'hotter:project.training.temperature=0.1'"
        )
    name = name.strip()
    if name in RESERVED_NAMES or not RUN_NAME.fullmatch(name):
        raise UserError(
            "`--variant` must have a name of letters, digits, blanks and . _ + -, and none of "
            f"{', '.join(sorted(RESERVED_NAMES))}, which the report uses. Received: `{name}`. Rename it."
        )
    if any(part.partition("=")[0].strip() == SEED for part in overrides):
        raise UserError(f"`--variant` must leave `{SEED}` to `--seeds`. Received: `{text}`. Take it out.")
    return PlannedRun(name, "variant", seed, (), overrides)


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()
