"""Remedies of checks in terms of a project: their lines of project.yaml hold what is declared already, too."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import yaml

from unified_ranker.config import ColumnSource, TableSource, TablesSource
from unified_ranker.log.check import Check
from unified_ranker.project.init.yaml_page import flow

_LINE = re.compile(r"`data\.(?P<path>[a-z_.]+): (?P<value>\{.*?\})`")


def in_terms_of(checks: Iterable[Check], data: object) -> list[Check]:
    """Return checks whose remedies can be put into a project as they stand.

    A check knows the columns by our names. Where one is declared to come from another, or with options, the line that
    mends it has these, too.

    Args:
        checks: of the project's data.
        data: its declarations.
    """
    if not isinstance(data, TablesSource):
        return list(checks)
    return [
        check
        if check.passed
        else replace(check, what_to_do=_LINE.sub(lambda line: _merged(line, data), check.what_to_do))
        for check in checks
    ]


def _merged(line: re.Match[str], data: TablesSource) -> str:
    """Return a line with the options that are declared in its place."""
    path = line["path"].split(".")
    declared: ColumnSource | TableSource | None = None
    if len(path) == 3 and path[0] == "columns":
        declared = getattr(data.columns, path[1]).get(path[2])
    elif len(path) == 1:
        declared = data.tables.get(path[0])
    try:
        given: Any = yaml.safe_load(line["value"])
    except yaml.YAMLError:
        return line[0]
    if declared is None or "value" in given:
        return line[0]
    tree = declared.model_dump(mode="json")
    tree = {"column" if len(path) == 3 else "files": tree} if isinstance(tree, str) else tree
    more = {name: value for name, value in given.items() if name not in ("column", "files")}
    if "values" in tree and "values" in more:
        more["values"] = {**tree["values"], **more["values"]}
    return f"`data.{line['path']}: {flow({**tree, **more})}`"
