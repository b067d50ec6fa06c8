"""Command-line reference, made from the typer application."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from page_text import table

from unified_ranker.cli import app

_INTRODUCTION = """
# Command line

Every command has `--help`; `--json` prints JSON for programs. Exit codes: 0 = done; 1 = a check or a comparison found
something wrong; 2 = an error, in one line on standard error that says what to do; 130 = interrupted.
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Yield the commands by their full name, such as `store get`, in the order of `--help`."""
    yield from _below("", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for inner, found in command.commands.items():
        yield from _below(f"{name} {inner}".strip(), found)


def page() -> str:
    """Return the page."""
    every = list(commands())
    overview = table(
        ("command", "does"), [(f"[`{name}`](#{name.replace(' ', '-')})", _summary(command)) for name, command in every]
    )
    return "\n\n".join([_INTRODUCTION.strip(), overview, *(_section(name, command) for name, command in every)]) + "\n"


def _summary(command: Any) -> str:
    return str(command.help).split("\n\n", 1)[0]


def _section(name: str, command: Any) -> str:
    hints = get_type_hints(inspect.unwrap(command.callback), include_extras=True)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = ["unified-ranker", name, *(_usage(p) for p in arguments), *(["[OPTIONS]"] if options else [])]
    parts = [f"## {name}", f"```text\n{' '.join(usage)}\n```", _text(command.help)]
    parts.append(table(("argument", "meaning"), [(f"`{p.name.upper()}`", p.help or "") for p in arguments]))
    rows = [(_names(p), _type(p, hints[p.name]), _default(p), p.help or "") for p in options]
    parts.append(table(("option", "value", "default", "meaning"), rows))
    return "\n\n".join(part for part in parts if part)


def _usage(argument: Any) -> str:
    word = argument.name.upper() + (" …" if argument.nargs == -1 else "")
    return word if argument.required else f"[{word}]"


def _text(help_text: str) -> str:
    """Return a command's help, its examples as a block."""
    paragraphs = [part for part in help_text.strip().split("\n\n")]
    examples = [re.fullmatch(r"Example: `(.+)`", " ".join(part.split())) for part in paragraphs]
    body = "\n\n".join(part for part, example in zip(paragraphs, examples, strict=True) if example is None)
    lines = [example[1] for example in examples if example]
    return body + ("\n\n```sh\n" + "\n".join(lines) + "\n```" if lines else "")


def _names(parameter: Any) -> str:
    return ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])


def _type(parameter: Any, hint: Any) -> str:
    """Return what an option takes, from the annotation of the function behind it."""
    annotation, given = get_args(hint)[:2]
    kinds = list(dict.fromkeys(kind for kind in _flat(annotation) if kind is not type(None)))
    if kinds == [bool]:
        return "flag"
    words = {int: "whole number", float: "number", Path: "path", str: "text"}
    limits = [f"≥ {given.min:g}" if given.min is not None else "", f"≤ {given.max:g}" if given.max is not None else ""]
    chosen = " and ".join(limit for limit in limits if limit)
    # What is not a type is a value of its own, of a literal.
    name = " or ".join(words[kind] if isinstance(kind, type) else f"`{kind}`" for kind in kinds)
    return f"{name}{', ' + chosen if chosen else ''}{', repeatable' if parameter.multiple else ''}"


def _flat(annotation: Any) -> list[Any]:
    inner = get_args(annotation)
    return [kind for part in inner for kind in _flat(part)] if inner else [annotation]


def _default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return "required"
    return "" if value is None or value is False or value in ("", ()) or callable(value) else f"`{value}`"
