"""Errors that a user can act on, and the helpers that word them."""

import difflib
import re
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in data, declarations or arguments.

    The command line prints the message as it stands and exits with code 2; it never shows a traceback for it.
    The message names the thing in backticks, states the rule, what was received, and the remedy.
    """


def listed(names: Iterable[str]) -> str:
    """Return names in backticks, or "none"."""
    return ", ".join(f"`{name}`" for name in names) or "none"


def nearest(name: str, known: Iterable[str], likeness: float = 0.5) -> str:
    """Return " Did you mean `x`?" for the known name closest to `name`, or "" where none has a `likeness` (0 to 1)."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=likeness)
    return f" Did you mean `{close[0]}`?" if close else ""


def unknown_name(kind: str, name: str, known: Iterable[str], option: str = "") -> UserError:
    """Build the error for a name that is not among the known ones; `option` is where it was given, as "--tasks"."""
    names = sorted(known)
    where = f"`{option}`: " if option else ""
    return UserError(f"{where}unknown {kind} `{name}`. Known: {listed(names)}.{nearest(name, names)}")


def blanks_shown(text: str) -> str:
    """Return text on one line, with blanks at its ends, and more than one in it, shown as `␠`: `i3␠` is not `i3`."""
    shown = "".join(c if c == " " or c.isprintable() else " " if c.isspace() else repr(c)[1:-1] for c in text)
    return re.sub(r"^ +| +$|  +", lambda blanks: "␠" * len(blanks[0]), shown)
