"""Commands in shell blocks, held against the command line, the Makefile and the files that they name."""

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import command_line
from doc_pages import ROOT

COMMANDS = dict(command_line.commands())
SHELL = {
    "cd",
    "cp",
    "cat",
    "echo",
    "exit",
    "export",
    "exec",
    "flock",
    "for",
    "do",
    "done",
    "grep",
    "set",
    "source",
    "|",
    "pre-commit",
}
"""What a reader's shell has, and is not held against anything."""


def simple_commands(text: str) -> Iterator[list[str]]:
    """Yield the simple commands of a shell text, each as its words, without comments and assignments."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        tokens = [*lexer, ";"]
        for place, word in enumerate(tokens):
            redirects = re.match(r"\d*[<>]", word) or re.fullmatch(r"\d*[<>]+", tokens[place - 1])
            if redirects:
                continue
            if re.fullmatch(r"[|&;()]+", word):
                if words:
                    yield words
                words = []
            elif words or not re.match(r"(\w+=|\{$|\}$)", word):
                words.append(word)


def problem(words: list[str]) -> str | None:
    """Return what is wrong with a command; None: nothing is."""
    while words and words[0] in ("do", "exec", "nohup"):
        words = words[1:]
    if not words:
        return None
    checks = {
        "unified-ranker": _own,
        "make": _make,
        "python": _script,
        "pytest": _pytest,
        "curl": _curl,
        "docker": _files,
        "pip": lambda words: None,
    }
    name = words[0].removeprefix(".venv/bin/")
    if name in checks:
        return checks[name](words[1:])
    return None if words[0] in SHELL else f"`{words[0]}` is no command that is known here"


def _own(words: list[str]) -> str | None:
    name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0] if words else ""
    if name not in COMMANDS:
        return f"there is no command `unified-ranker {name}`"
    command = COMMANDS[name]
    given = words[len(name.split()) :]
    if given == ["--help"]:
        return None
    try:
        with command.context_class(command, info_name=name) as context:
            values, left, _ = command.make_parser(context).parse_args(list(given))
    except Exception as error:  # noqa: BLE001 - click's own errors, whichever click typer brings
        return f"`{name}`: {getattr(error, 'message', error)}"
    if left:
        return f"`{name}`: {left} is too much"
    return next((f"`{name}`: {text}" for text in _values(command, values)), None)


def unknown_option(words: list[str]) -> str | None:
    """Return what is wrong with the name or an option of a command that running text cuts short; None: nothing is."""
    name = " ".join(words[1:3]) if " ".join(words[1:3]) in COMMANDS else words[1]
    if name not in COMMANDS and not any(known.startswith(f"{name} ") for known in COMMANDS):
        return f"there is no command `unified-ranker {name}`"
    known = (
        {text for p in COMMANDS[name].params for text in (*p.opts, *p.secondary_opts)} if name in COMMANDS else set()
    )
    return next((f"`{name}` has no {w}" for w in words if w.startswith("--") and w not in known | {"--help"}), None)


def _values(command: Any, values: dict[str, Any]) -> Iterator[str]:
    hints = get_type_hints(inspect.unwrap(command.callback), include_extras=True)
    for parameter in command.params:
        value = values.get(parameter.name)
        missing = value is None or type(value).__name__ == "Sentinel" or value == ()
        if missing and parameter.required:
            yield f"{parameter.opts[0]} is missing"
        if not missing and get_args(hints[parameter.name])[0] in (int, float):
            try:
                float(value)
            except ValueError:
                yield f"{parameter.opts[0]} takes a number, not {value!r}"


def _make(words: list[str]) -> str | None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = [word for word in words if "=" not in word]
    return next((f"the Makefile has no `{word}`" for word in asked if word not in targets), None)


def _script(words: list[str]) -> str | None:
    file = next((place / words[0] for place in (ROOT, ROOT / "docs" / "recipes") if (place / words[0]).is_file()), None)
    if file is None:
        return f"`{words[0]}` is not there"
    text = file.read_text(encoding="utf-8")
    return next((f"`{words[0]}` has no `{w}`" for w in words[1:] if w.startswith("--") and f'"{w}"' not in text), None)


def _pytest(words: list[str]) -> str | None:
    """Hold the files against the tree, and the options against those that the tests declare."""
    missing = next((word for word in words if word.startswith("tests/") and not (ROOT / word).exists()), None)
    declared = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    unknown = next((word for word in words if word.startswith("--") and f'"{word}"' not in declared), None)
    return f"`{missing}` is not there" if missing else unknown and f"pytest has no `{unknown}` here"


def _curl(words: list[str]) -> str | None:
    """Hold addresses of the ranking service against its reference page."""
    page = (ROOT / "docs" / "reference" / "http.md").read_text(encoding="utf-8")
    # Such as /v1/items/{item_id}, for any id.
    known = [re.sub(r"\{\w+\}", r"[^/]+", path) for path in re.findall(r"^## \w+ (/\S*)$", page, re.MULTILINE)]
    for word in words:
        found = re.fullmatch(r"(?:http://)?(?:localhost|127\.0\.0\.1):8080(/[\w/-]*)", word)
        if found and not any(re.fullmatch(path, found[1]) for path in known):
            return f"the service has no `{found[1]}`"
    return None


def _files(words: list[str]) -> str | None:
    mounted = [Path(word.split("/config/", 1)[1]) for word in words if "=/config/" in word]
    return next(
        (f"serving_config/ has no {file}" for file in mounted if not (ROOT / "serving_config" / file).is_file()), None
    )
