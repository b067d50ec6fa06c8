"""Search space of `tune`: the settings and their ranges, the default or those of a YAML file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import optuna
import yaml

from unified_ranker.config import Config
from unified_ranker.config.loading import load_config
from unified_ranker.config.yaml_files import parse_yaml
from unified_ranker.core.errors import UserError, listed, nearest
from unified_ranker.evaluation.comparison.plan import require_same_requests

Value = int | float | str | bool


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, inclusive; whole numbers where both are ints, on a log scale where `log`."""

    low: float
    high: float
    log: bool = False

    def draw(self, trial: optuna.Trial, path: str) -> Value:
        """Draw a value in a trial."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(path, self.low, self.high, log=self.log)
        return trial.suggest_float(path, self.low, self.high, log=self.log)

    def ends(self) -> tuple[Value, ...]:
        """Return the values that must be allowed so that all values are."""
        return self.low, self.high

    def widened(self, value: Value) -> "Range":
        """Return the range extended to hold `value`, and of its type: with a float, `{low: 1, high: 2}` holds 1.5."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"a range needs a setting that is a number. Received: {value!r}. Give `choices` instead.")
        if self.log and value <= 0:
            raise UserError(
                f"`log` needs a declared setting above 0, since that is tried first. Received: {value!r}. "
                "Leave `log` out, or declare more."
            )
        kind = type(value)
        return Range(kind(min(self.low, value)), kind(max(self.high, value)), self.log)


@dataclass(frozen=True)
class Choices:
    """One of several values."""

    choices: tuple[Value, ...]

    def draw(self, trial: optuna.Trial, path: str) -> Value:
        """Draw a value in a trial."""
        return cast(Value, trial.suggest_categorical(path, self.choices))

    def ends(self) -> tuple[Value, ...]:
        """Return the values that must be allowed so that all values are."""
        return self.choices

    def widened(self, value: Value) -> "Choices":
        """Return the choices with `value` among them."""
        return self if value in self.choices else Choices((*self.choices, value))


SearchSpace = dict[str, Range | Choices]
"""Ranges by the paths of settings, as `--set` takes them."""

DEFAULT: SearchSpace = {
    "project.training.learning_rate": Range(1e-3, 1e-2, log=True),
    "project.training.temperature": Range(0.04, 0.15, log=True),
    "project.training.epochs": Range(4, 16),
    "project.training.ranking_balance": Range(0.0, 1.0),
    "project.training.weight_decay": Range(1e-5, 1e-2, log=True),
    "towers.item.dim": Choices((32, 64, 128)),
    "towers.item.text.pairs.steps": Choices((0, 200, 400)),
    "towers.user.history_length": Choices((50, 100, 200)),
    "towers.user.objective.k": Choices((1, 2, 4, 8)),
}
_KEYS = ("low", "high", "log", "choices")
_EXAMPLE = "`project.training.epochs: {low: 4, high: 16}` or `towers.item.dim: {choices: [32, 64]}`"


def read_space(file: Path) -> SearchSpace:
    """Read a space from YAML: paths of settings, each with `low`, `high` and perhaps `log`, or with `choices`.

    Raises:
        UserError: one line for each mistake.
    """
    try:
        tree = parse_yaml(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"`--space` must be a file. Received: `{file}`: {error.strerror}. Correct the path.") from error
    except yaml.YAMLError as error:
        raise UserError(f"`{file}` must be YAML: {error}. An entry is {_EXAMPLE}.") from error
    if not isinstance(tree, dict) or not tree:
        raise UserError(f"`{file}` must hold settings and their ranges. Received: {tree!r}. An entry is {_EXAMPLE}.")
    found: SearchSpace = {}
    problems = []
    for path, entry in tree.items():
        try:
            found[str(path)] = _entry(entry)
        except UserError as error:
            problems.append(f"`{file}`, `{path}`: {error}")
    if problems:
        raise UserError("\n".join(problems))
    return found


def fit_space(
    space: SearchSpace | None, project: Path, overrides: list[str], config: Config
) -> tuple[SearchSpace, dict]:
    """Return the space extended by the declared values, and these values; the default space loses refused settings.

    Raises:
        UserError: the declarations refuse a bound of a range.
    """
    chosen: SearchSpace = {}
    declared: dict[str, Value] = {}
    for path, entry in (DEFAULT if space is None else space).items():
        if space is None and path.endswith("ranking_balance") and len(config.tasks) == 1:
            continue
        allowed = entry
        if space is None and isinstance(entry, Choices):
            allowed = Choices(tuple(v for v in entry.choices if not _refusal(project, overrides, path, v, config)))
        for value in allowed.ends():
            refused = _refusal(project, overrides, path, value, config)
            if refused:
                raise UserError(f"every value of the search space must be allowed. Received: {refused}")
        declared[path] = _declared(config, path)
        if space is None and isinstance(allowed, Range) and declared[path] == 0:
            # A setting that is declared as 0 (off) has no log scale.
            allowed = Range(allowed.low, allowed.high)
        try:
            chosen[path] = allowed.widened(declared[path])
        except UserError as error:
            raise UserError(f"`{path}`: {error}") from error
    return chosen, declared


def assignments(values: Mapping[str, Value]) -> list[str]:
    """Return settings as `--set` takes them."""
    return [
        f"{path}={yaml.safe_dump(value, default_flow_style=True).splitlines()[0]}" for path, value in values.items()
    ]


def to_json(space: SearchSpace) -> dict[str, dict]:
    """Return a space as JSON values."""
    return {path: asdict(entry) for path, entry in space.items()}


def _entry(entry: Any) -> Range | Choices:
    if not isinstance(entry, dict):
        raise UserError(f"needs `low` and `high`, or `choices`. Received: {entry!r}. For example {_EXAMPLE}.")
    for key in entry:
        if key not in _KEYS:
            raise UserError(f"`{key}` is not known. Allowed: {listed(_KEYS)}.{nearest(str(key), _KEYS)}")
    if not isinstance(entry.get("log", False), bool):
        raise UserError(f"`log` must be `true` or `false`. Received: {entry['log']!r}. Correct it.")
    if "choices" in entry:
        choices = entry["choices"]
        plain = isinstance(choices, list) and all(isinstance(c, Value) for c in choices)
        if not plain or len(set(choices)) < 2 or len(entry) > 1:
            raise UserError(
                f"`choices` must be a list of two different numbers or names at least, and stands alone. "
                f"Received: {entry!r}. For example {_EXAMPLE}."
            )
        return Choices(tuple(choices))
    low, high = _ends(entry)
    return Range(low, high, log=entry.get("log", False))


def _ends(entry: dict) -> tuple[float, float]:
    low, high = entry.get("low"), entry.get("high")
    numbers = all(isinstance(n, int | float) and not isinstance(n, bool) for n in (low, high))
    if not numbers or not low < high:  # type: ignore[operator]
        raise UserError(f"`low` must be a number below `high`. Received: {low!r} and {high!r}. Correct them.")
    if entry.get("log") and not low > 0:  # type: ignore[operator]
        raise UserError(f"`low` must be above 0 where `log` is true. Received: {low!r}. Raise it, or leave `log` out.")
    return cast(float, low), cast(float, high)


def _refusal(project: Path, overrides: list[str], path: str, value: Value, config: Config) -> str:
    """Return the error of the declarations for a value beside those of `config`; "" where it is allowed."""
    try:
        require_same_requests(config, load_config(project, [*overrides, *assignments({path: value})]))
    except UserError as error:
        return str(error)
    return ""


def _declared(config: Config, path: str) -> Any:
    node: Any = config.to_json()
    for key in path.replace("[", ".").replace("]", "").split("."):
        if isinstance(node, dict) and key not in node:
            raise UserError(
                f"`{path}` must be declared, since the declared settings are tried first. Received: nothing. "
                f"Write it into its file, or give it by --set {path}=VALUE."
            )
        node = node[int(key)] if isinstance(node, list) else node[key]
    return node
