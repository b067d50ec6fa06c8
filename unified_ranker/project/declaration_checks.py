"""Checks of a project's declarations against its log: named columns and events exist and have the right type.

`load_config` has checked the declarations by themselves; here columns, event types and rules are compared with the
data. Each check names the file and the path in it, what was found, what is allowed, and the nearest match.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from unified_ranker.config import Config, Towers
from unified_ranker.config.kinds import Kinds
from unified_ranker.core.errors import nearest
from unified_ranker.core.extras import HASHED_INSTEAD, install_command, missing_modules
from unified_ranker.evaluation.baselines.base import BASELINES
from unified_ranker.log.check import Check
from unified_ranker.log.column_types import MAX_EXAMPLES
from unified_ranker.log.schema import LOG_COLUMNS, InteractionLog
from unified_ranker.project.data_needs import data_need_checks
from unified_ranker.project.init.inspect_columns import describe, present
from unified_ranker.project.item_checks import item_checks
from unified_ranker.project.task_checks import task_checks
from unified_ranker.towers.feature_group import fitting_types
from unified_ranker.towers.feature_types.base import ITEM_FEATURES, USER_FEATURES, FeatureType

__all__ = ["check_declarations"]


def check_declarations(config: Config, log: InteractionLog, sampled: bool = False) -> list[Check]:
    """Check that the log provides what the declarations name.

    `log.log_checks` checks the content of the log.

    Args:
        config: the declarations, as `load_config` returns them.
        log: the log in canonical form; it may have faults of content.
        sampled: whether it holds a sample of the events, so that counts are not checked.

    Returns:
        The checks in a fixed order: files of towers/, item features and what they know, text encoder, quality,
        profile, context, baselines, tasks, data needs.
    """
    towers = config.towers
    return [
        *_files(towers),
        *_features("towers/item.yaml", "features", towers.item.features, log.items, "items", ITEM_FEATURES),
        *item_checks(config, log, sampled),
        *_text(config),
        *(c for n, f in towers.item.quality.items() for c in f.checks(f"`towers/item.yaml`, `quality.{n}", log)),
        *_features("towers/user.yaml", "profile", towers.user.profile, log.users, "users", USER_FEATURES),
        *_context(config, log),
        *_baselines(config),
        *task_checks(config, log, sampled),
        *data_need_checks(config, log, sampled),
    ]


def _files(towers: Towers) -> Iterator[Check]:
    """Warn about towers without a file, because their defaults read no column."""
    consequences = {
        "item": "items have no features, so only their ids tell them apart",
        "user": "users have no profile",
    }
    for name in Towers.model_fields:
        if name not in towers.model_fields_set:
            follows = f": {consequences[name]}" if name in consequences else ""
            yield Check(
                f"`towers/{name}.yaml` declares the tower",
                passed=False,
                found=f"no such file, so the defaults are in use{follows}",
                what_to_do="add the file; an empty one accepts the defaults",
                severity="warning",
            )


def _features(
    file: str,
    field: str,
    features: Sequence[FeatureType],
    table: pd.DataFrame,
    name: str,
    kinds: Kinds[FeatureType],
) -> Iterator[Check]:
    """Check that every feature's column is in the table and holds what its type takes."""
    types = {str(c): fitting_types(table[c], kinds) for c in table.columns if present(table[c]).any()}
    for number, feature in enumerate(features):
        column, kind = feature.column, feature.type
        rule = f"`{file}`, `{field}[{number}].column`: `{column}` is a {kind} column of {name}"
        # A canonical log always has the contract's columns; they are empty where the source has none.
        absent = column not in table.columns or (column in LOG_COLUMNS[name] and column not in types)
        if absent:
            known = [c for c, of in types.items() if kind in of] or [c for c, of in types.items() if of]
            what = f"name one of {_listed(known)}, or remove the feature.{nearest(column, known)}"
            yield Check(rule, passed=False, found="no such column, or no value in it", what_to_do=what)
        elif column not in types:
            what = f"fill in the column, or remove the feature; {name} has {_listed(types)} with values"
            yield Check(rule, passed=False, found="no row has a value", what_to_do=what, severity="warning")
        elif kind not in types[column]:
            yield _strays(rule, feature, table, name) or _wrong_type(rule, table[column], kind, types)
        else:
            yield Check(rule, passed=True)


def _text(config: Config) -> Iterator[Check]:
    """Check that the packages of the text encoder are installed, before an hour is spent on training."""
    text = config.towers.item.text
    if text.extra is not None:
        missing = missing_modules(text.extra)
        found = f"not installed: {', '.join(missing)}" if missing else ""
        rule = f"`towers/item.yaml`, `text.type`: the packages that `{text.type}` needs are installed"
        remedy = f"{install_command(text.extra)}, {HASHED_INSTEAD}"
        yield Check(rule, passed=not missing, found=found, what_to_do=remedy if missing else "")


def _wrong_type(rule: str, column: pd.Series, kind: str, types: Mapping[str, Sequence[str]]) -> Check:
    """Return the failed check of a column of the wrong type, with feature types and columns that would fit."""
    other = sorted(types[str(column.name)])
    fitting = [name for name, of in types.items() if kind in of]
    remedies = [f"declare `type: {' or '.join(other)}`"] if other else []
    remedies += [f"name a {kind} column: {_listed(fitting)}"] if fitting else []
    values = column[present(column)].astype(str).drop_duplicates().head(MAX_EXAMPLES)
    return Check(
        rule,
        passed=False,
        examples=tuple(values),
        found=f"it holds {describe(column)}",
        what_to_do=", or ".join([*remedies, "remove the feature"]),
    )


def _strays(rule: str, feature: FeatureType, table: pd.DataFrame, name: str) -> Check | None:
    """Return the failed check of a column of which only a few values do not fit; None for other columns."""
    values = table[feature.column].dropna()
    stray = feature.strays(table[feature.column])
    count = len(stray)
    if not count:
        return None
    key = f"{name.removesuffix('s')}_id"
    culprits: dict[Any, Any] = stray.head(MAX_EXAMPLES).to_dict()
    return Check(
        rule,
        passed=False,
        examples=tuple(f"{value} ({key} {table[key][row]})" for row, value in culprits.items()),
        found=f"{count:,} of {len(values):,} values {'is' if count == 1 else 'are'} not {feature.holds}",
        what_to_do=f"write {feature.holds} there, or leave the cells empty (null)",
    )


def _context(config: Config, log: InteractionLog) -> Iterator[Check]:
    """Warn about fields of the request that a file declares and that are always empty."""
    context, events, tasks = config.towers.context, log.events, config.tasks.values()
    if "fields" not in context.model_fields_set:
        return
    filled = {
        "query": events["query"].notna().any() or any(t.imputation.query != "none" for t in tasks),
        "source_item": events["source_item_id"].notna().any() or any(t.imputation.source_item != "none" for t in tasks),
        "country": events["country"].notna().any() or log.users["country"].notna().any(),
    }
    for number, field in enumerate(context.fields):
        if field not in filled:
            continue
        yield Check(
            f"`towers/context.yaml`, `fields[{number}]`: requests have a {field.replace('_', ' ')}",
            passed=bool(filled[field]),
            found="none in the log",
            what_to_do=f"remove `{field}`, or add it to the data, where it is always empty",
            severity="warning",
        )


def _baselines(config: Config) -> Iterator[Check]:
    """Check that the declared baselines are registered, before an hour is spent on training."""
    for number, name in enumerate(config.project.evaluation.baselines or ()):
        yield Check(
            f"`project.yaml`, `evaluation.baselines[{number}]`: `{name}` is a baseline",
            passed=name in BASELINES,
            found="none of that name is registered",
            what_to_do=f"name one of {_listed(BASELINES)}.{nearest(name, BASELINES)}",
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{n}`" for n in names) or "none (there is no such column)"
