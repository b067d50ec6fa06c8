"""Writer of commented YAML: comments are wrapped, and values are quoted only where necessary."""

import textwrap
from typing import Any

import yaml

from unified_ranker.config.yaml_files import floats_without_dot

_WIDTH = 110


class YamlPage:
    """YAML file that is built line by line."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def note(self, text: str, indent: int = 0) -> None:
        """Add a comment above the next line; line breaks and control characters in it are replaced."""
        # A line break from the data would end the comment, and YAML refuses control characters even there.
        shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))
        start = " " * indent + "# "
        self._lines += textwrap.wrap(
            shown,
            _WIDTH,
            initial_indent=start,
            subsequent_indent=start,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def put(self, key: str, value: Any, indent: int = 0) -> None:
        """Add a key with its value, on one line; text of several lines stands below it as it is."""
        start = " " * indent + flow(key)
        lines = value.removesuffix("\n").split("\n") if isinstance(value, str) else []
        if len(lines) > 1 and lines[-1] and all(line.isprintable() and line == line.rstrip() for line in lines):
            mark = "|" if value.endswith("\n") else "|-"
            self._lines += [f"{start}: {mark}2", *(f"{' ' * indent}  {line}".rstrip() for line in lines)]
        else:
            self._lines.append(f"{start}: {flow(value)}")

    def begin(self, key: str, indent: int = 0) -> None:
        """Add a key whose values follow by `entry` or `item`."""
        self._lines.append(f"{' ' * indent}{flow(key)}:")

    def entry(self, key: str, value: Any) -> None:
        """Add a key with its value below the key that was begun."""
        self.put(key, value, 2)

    def item(self, value: Any) -> None:
        """Add a list item below the key that was begun."""
        self._lines.append(f"  - {flow(value)}")

    def text(self) -> str:
        """Return the file's text."""
        return "\n".join(self._lines) + "\n"


def flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    # In a list, a scalar comes without the document end mark that YAML puts after a bare one.
    dumped = yaml.dump(
        [value], Dumper=_OneLine, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return str(dumped).removesuffix("\n")[1:-1]


class _OneLine(yaml.SafeDumper):
    """Escapes text with anything that cannot be shown, such as a line break, which PyYAML would let stand in quotes."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_OneLine.add_representer(str, _text)
floats_without_dot(_OneLine)
