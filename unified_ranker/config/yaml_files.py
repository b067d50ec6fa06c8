"""Reader of a project's YAML files. It is strict: a key that occurs twice is an error."""

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from unified_ranker.config import Export, ProjectFile, Task, Towers
from unified_ranker.config.wording import SettingOrigin
from unified_ranker.core.errors import UserError, listed, nearest

PROJECT_YAML = "project.yaml"
"""File whose presence makes a directory a project."""
FOLDERS: dict[str, type[BaseModel]] = {"towers": Towers, "export": Export}
"""Folders whose files are the fields of one model; `tasks/` holds any number of files of one kind."""

LOWER_NAME = re.compile(r"[a-z][a-z0-9_]*")
"""Form of the names of tasks and heads: they become names of files, columns and outputs."""
Tree = dict[str, Any]


@dataclass
class Files:
    """The files of a project: their values in one tree, where each comes from, and what is wrong."""

    tree: Tree = field(default_factory=lambda: {"project": {}, "towers": {}, "tasks": {}, "export": {}})
    sources: list[SettingOrigin] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_files(project: Path) -> Files:
    """Read project.yaml, towers/, tasks/ and export/ below `project`.

    Raises:
        UserError: there is no project.yaml. What is wrong with other files is in `problems`.
    """
    root = project / PROJECT_YAML
    if not root.is_file():
        raise UserError(
            f"`{root}` does not exist; a project is a directory with {PROJECT_YAML}, towers/, tasks/ and "
            f"export/. Received: --project {project}. Name such a directory, or make one with "
            "`unified-ranker init`."
        )
    files = Files()
    _add(files, root, ("project",), ProjectFile)
    for folder, model in FOLDERS.items():
        for file in _yaml_files(project, folder, files):
            kind = section_model(folder, file.stem)
            if kind is None:
                known = [f"{folder}/{name}.yaml" for name in model.model_fields]
                files.problems.append(
                    f"`{folder}/{file.name}` is not a file that a project has. Known: {listed(known)}."
                    f"{nearest(file.stem, model.model_fields)}"
                )
                continue
            _add(files, file, (folder, file.stem), kind)
    tasks = _yaml_files(project, "tasks", files)
    for file in tasks:
        if LOWER_NAME.fullmatch(file.stem):
            _add(files, file, ("tasks", file.stem), Task)
        else:
            files.problems.append(
                f"`tasks/{file.name}`: a task is named by its file, in lower case letters, digits and _. "
                f"Received: `{file.stem}`. Rename the file."
            )
    if not tasks:
        files.problems.append(
            f"`{project / 'tasks'}` declares no task; a project needs at least one file there. "
            "Add, for example, tasks/home_feed.yaml."
        )
    return files


def section_model(folder: str, name: str) -> type[BaseModel] | None:
    """Return the model of a file of towers/ or export/; None when there is no such file."""
    declared = FOLDERS[folder].model_fields.get(name)
    kind = None if declared is None else declared.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def parse_yaml(text: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        yaml.YAMLError: the text is no YAML, or has a key twice.
    """
    return yaml.load(text, _StrictLoader)  # noqa: S506 (a SafeLoader)


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, which refuses a key that is written twice and reads 1e-3 as a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return the mapping, unless a key occurs twice."""
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key_node.tag != "tag:yaml.org,2002:merge" and isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key `{key}` is written twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep)


def floats_without_dot(kind: type[yaml.SafeLoader] | type[yaml.SafeDumper]) -> None:
    """Let a loader read 1e-3 as a number, and a dumper quote a text of that form: YAML 1.1 wants a dot in floats."""
    kind.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789"))


floats_without_dot(_StrictLoader)


def _yaml_files(project: Path, folder: str, files: Files) -> list[Path]:
    """Return the YAML files of a folder by name; two spellings of one name are a problem."""
    found: dict[str, Path] = {}
    for file in sorted((project / folder).glob("*.y*ml")):
        if file.suffix not in (".yaml", ".yml"):
            continue
        if file.stem in found:
            files.problems.append(
                f"`{folder}/{found[file.stem].name}` and `{folder}/{file.name}` have the same name. Remove one."
            )
        found.setdefault(file.stem, file)
    return list(found.values())


def _add(files: Files, file: Path, path: tuple[str, ...], model: type[BaseModel]) -> None:
    """Read one file into the tree, or add a problem that says why it cannot be read."""
    name = file.name if len(path) == 1 else f"{path[0]}/{file.name}"
    try:
        value = parse_yaml(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        files.problems.append(f"`{name}` is not valid YAML: {_where(error)}")
        return
    except UnicodeDecodeError as error:
        files.problems.append(f"`{name}` must be UTF-8 text. Received: {error}. Save it as UTF-8.")
        return
    except OSError as error:
        files.problems.append(f"`{name}` cannot be read: {error.strerror}. Check its permissions.")
        return
    value = {} if value is None else value
    if not isinstance(value, dict):
        files.problems.append(f"`{name}` must hold keys and values. Received: {type(value).__name__}.")
        return
    *folder, key = path
    branch = files.tree[folder[0]] if folder else files.tree
    branch[key] = value
    files.sources.append(SettingOrigin(name, path, model))


def _where(error: yaml.YAMLError) -> str:
    """Return what is wrong and at which line, in one sentence."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    if mark is None or problem is None:
        return f"{' '.join(str(error).split())}."
    context = f"{error.context}, " if getattr(error, "context", None) else ""  # type: ignore[attr-defined]
    return f"{context}{problem}, at line {mark.line + 1}, column {mark.column + 1}."
