"""Reader of a project's declarations: a `Config`, or an error with a line for each mistake.

Each line names the file, the path in the file, what was found, what is allowed, and the nearest known name.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from unified_ranker.config import Config
from unified_ranker.config.wording import Keys, SettingOrigin, received, word_errors
from unified_ranker.config.yaml_files import FOLDERS, LOWER_NAME, Files, Tree, parse_yaml, read_files, section_model
from unified_ranker.core.errors import UserError, listed, nearest
from unified_ranker.core.signature_names import RESERVED_OUTPUTS

# Item columns are inputs, and heads outputs, of the served model. TensorFlow renames or refuses other names.
INPUT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def load_config(project: Path, overrides: Iterable[str] = ()) -> Config:
    """Read project.yaml, towers/, tasks/ and export/ below `project`, apply the overrides, and check all.

    Paths stay as they are declared, so that a project hashes alike wherever it lies; `Workspace` takes them
    relative to `project`.

    Args:
        project: a directory with project.yaml.
        overrides: `path.in.config=value`, the value in YAML: `project.training.epochs=3`,
            `towers.item.features[0].column=name` (or `.0.column`); or `@FILE` with one of them a line.

    Raises:
        UserError: one line for each mistake. All mistakes within files are reported at once; contradictions between
            files are reported once each file by itself is valid.
    """
    files = read_files(project)
    assigned = _apply(files, overrides)
    for source in files.sources:
        try:
            source.model.model_validate(_at(files.tree, source.path), context=project)
        except ValidationError as error:
            files.problems += word_errors(source, error, assigned)
    if files.problems:
        raise UserError("\n".join(files.problems))
    config = Config.model_validate(files.tree, context=project)
    problems = [
        *_names(config), *_contradictions(config), *_contradictions_of_heads(config), *_contradictions_of_tasks(config)
    ]  # fmt: skip
    if problems:
        raise UserError("\n".join(problems))
    return config


def _at(tree: Tree, path: Keys) -> Any:
    node: Any = tree
    for key in path:
        node = node[key]
    return node


def _apply(files: Files, overrides: Iterable[str]) -> list[Keys]:
    """Write the overrides into the tree; returns their paths. An override of an unknown path becomes a problem."""
    assigned = []
    for text in _lines(overrides, files):
        try:
            path, value = _assignment(text)
            _assign(files, path, value)
            assigned.append(path)
        except UserError as error:
            files.problems.append(str(error))
    return assigned


def _lines(overrides: Iterable[str], files: Files) -> Iterator[str]:
    """Yield the overrides, those of files in place of `@FILE`; blank lines and comments (#) are skipped."""
    for text in overrides:
        if not text.startswith("@"):
            yield text
            continue
        try:
            lines = Path(text[1:]).expanduser().read_text(encoding="utf-8").splitlines()
        except OSError as error:
            files.problems.append(
                f"`--set {text}` must name a file with path.in.config=value in each line. Received: {error.strerror}. "
                "Correct the path."
            )
            continue
        yield from (line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _assignment(text: str) -> tuple[Keys, Any]:
    path, equals, value = text.partition("=")
    # Errors write the indices of a list as in `features[0].column`; both forms lead there.
    keys = tuple(re.sub(r"\[(\d+)\]", r".\1", path.strip()).split("."))
    if not equals or not all(keys):
        raise UserError(
            f"`--set` takes path.in.config=value. Received: `{text}`. "
            "Example: --set project.training.epochs=3 or --set tasks.search.weight=0.5."
        )
    try:
        return keys, parse_yaml(value)
    except yaml.YAMLError as error:
        raise UserError(f"`--set {text}`: the value must be YAML. Received: `{value}`. Put text in quotes.") from error


def _assign(files: Files, path: Keys, value: Any) -> None:
    _check_section(files, path)
    node: Any = files.tree
    for depth, key in enumerate(path):
        here = ".".join(path[:depth])
        last = depth == len(path) - 1
        if isinstance(node, list):
            if not key.isdecimal() or int(key) >= len(node):
                raise UserError(
                    f"`--set {'.'.join(path)}`: `{here}` is a list of {len(node)}, numbered from 0. Received: `{key}`."
                )
            step: Any = int(key)
        elif isinstance(node, dict):
            step = key
            # A key without a value, as in `training:`, counts as absent.
            if not last and node.get(key) is None:
                node[key] = {}
        else:
            raise UserError(
                f"`--set {'.'.join(path)}`: `{here}` is {received(node)}, which holds no `{key}`. "
                f"Set `{here}` itself, or correct the path."
            )
        if last:
            node[step] = value
        else:
            node = node[step]


def _check_section(files: Files, path: Keys) -> None:
    """Raise when the path does not lead into a file; add an empty entry for a file that has only defaults."""
    section, *rest = path
    text = ".".join(path)
    if section not in Config.model_fields:
        known = list(Config.model_fields)
        raise UserError(f"`--set {text}`: `{section}` is not known. Allowed: {listed(known)}.{nearest(section, known)}")
    if section == "project":
        known = []
    elif section == "tasks":
        known = list(files.tree["tasks"])
    else:
        known = list(FOLDERS[section].model_fields)
    if not rest:
        example = f"{section}.{known[0]}" if known else f"{section}.name"
        raise UserError(f"`--set {text}`: only keys of a file can be set, such as `{example}`.")
    if section == "project":
        return
    if rest[0] not in known:
        what = "A new task is a new file in tasks/." if section == "tasks" else ""
        raise UserError(
            f"`--set {text}`: `{section}.{rest[0]}` is not known. "
            f"Allowed: {listed(f'{section}.{k}' for k in known)}.{nearest(rest[0], known)} {what}".rstrip()
        )
    if section in FOLDERS and rest[0] not in files.tree[section]:
        model = section_model(section, rest[0])
        if model is not None:
            files.tree[section][rest[0]] = {}
            files.sources.append(SettingOrigin(f"{section}/{rest[0]}.yaml", (section, rest[0]), model))


def _names(config: Config) -> Iterator[str]:
    """Yield an error for each name that the served model cannot have, and each column that is declared twice."""
    towers = (
        ("towers/item.yaml", "features", config.towers.item.features),
        ("towers/user.yaml", "profile", config.towers.user.profile),
    )
    for file, field, features in towers:
        columns = [feature.column for feature in features]
        for number, column in enumerate(columns):
            at = f"`{file}`, `{field}[{number}].column`"
            if column in columns[:number]:
                first = columns.index(column)
                yield f"{at}: a column is declared once. Received: `{column}`, also in `{field}[{first}]`."
            if field == "features" and not INPUT_NAME.fullmatch(column):
                yield (
                    f"{at}: the column is an input of the served model, so its name must be a letter, then "
                    f"letters, digits and _. Received: `{column}`. Rename the column in the items table."
                )
    for name, task in config.tasks.items():
        for number, positive in enumerate(task.positives):
            if not LOWER_NAME.fullmatch(positive.head_name):
                yield (
                    f"`tasks/{name}.yaml`, `positives[{number}]`: the head is an output of the served model, "
                    "so its name must be a lower case letter, then letters, digits and _. "
                    f"Received: `{positive.head_name}`, from `event_type`. Set `head` to such a name."
                )


def _contradictions(config: Config) -> Iterator[str]:
    """Yield an error for each contradiction between files."""
    dim, heads = config.towers.item.dim, config.towers.user.encoder.heads
    if dim % heads:
        yield (
            f"`towers/user.yaml`, `encoder.heads`: must divide `dim` of towers/item.yaml. Received: {heads} and {dim}."
        )
    k, length = config.towers.user.objective.k, config.towers.user.history_length
    if k > length:
        yield (
            f"`towers/user.yaml`, `objective.k`: must not exceed `history_length`. Received: {k} and {length}. "
            "Lower one, or raise the other."
        )
    if config.towers.ranker.type == "ple" and len(config.tasks) == 1:
        yield (
            "`towers/ranker.yaml`, `type`: `ple` gives each task experts of its own, which needs two tasks at least. "
            "Received: 1. Declare `mmoe`."
        )
    for part in ("users", "queries"):
        named = getattr(config.export.embeddings, part).task
        if named is not None and named not in config.tasks:
            yield (
                f"`export/embeddings.yaml`, `{part}.task`: names no task of this project. Received: `{named}`. "
                f"Allowed: {listed(config.tasks)}.{nearest(named, config.tasks)}"
            )


def _contradictions_of_heads(config: Config) -> Iterator[str]:
    """Say which heads the model cannot have, and which nothing teaches."""
    known = config.event_heads
    for name, kind in config.towers.ranker.heads.items():
        at = f"`towers/ranker.yaml`, `heads.{name}`"
        if not LOWER_NAME.fullmatch(name) or name in RESERVED_OUTPUTS:
            yield (
                f"{at}: the head is an output of the served model, so its name must be a lower case letter, then "
                f"letters, digits and _, and none of {listed(sorted(RESERVED_OUTPUTS))}. Received: `{name}`. Rename it."
            )
        elif (teacher := kind.taught_by(name)) not in known:
            yield (
                f"{at}: nothing teaches the head, since no positive in tasks/ is of `{teacher}`. Allowed: "
                f"{listed(known)}.{nearest(teacher, known)} Correct the name, or remove the head."
            )
    for name, task in config.tasks.items():
        if not any(_ranks(config, head) for head in task.heads):
            yield (
                f"`tasks/{name}.yaml`, `positives`: a task needs a head that ranks. Received: {listed(task.heads)}, "
                "which towers/ranker.yaml declares as kinds that do not. Give a positive another `head`."
            )


def _ranks(config: Config, head: str) -> bool:
    """Tell whether a head ranks candidates; those that towers/ranker.yaml does not declare do."""
    kind = config.towers.ranker.heads.get(head)
    return kind is None or bool(kind.ranks)


def _contradictions_of_tasks(config: Config) -> Iterator[str]:
    """Yield an error for each name in a task that other files do not declare."""
    quality = list(config.towers.item.quality)
    signals = [signal.type for signal in config.towers.ranker.signals]
    for name, task in config.tasks.items():
        for source in task.serving.sources or ():
            if source not in signals:
                yield (
                    f"`tasks/{name}.yaml`, `serving.sources`: `{source}` is no signal of towers/ranker.yaml. "
                    f"Allowed: {listed(signals)}.{nearest(source, signals)} Declare it there, or take it out."
                )
        for field, given, known, of in (
            ("quality_weights", task.quality_weights, quality, "quality feature of towers/item.yaml"),
            (
                "score",
                task.score,
                [head for head in task.heads if _ranks(config, head)],
                "head of this task that ranks",
            ),
        ):
            for key in given:
                if key not in known:
                    yield (
                        f"`tasks/{name}.yaml`, `{field}.{key}`: names no {of}. "
                        f"Allowed: {listed(known)}.{nearest(key, known)}"
                    )
