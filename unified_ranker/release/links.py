"""Links of a chain of proof, and the walk over them, for releases and for the vectors that they made."""

from collections.abc import Callable, Iterable
from pathlib import Path

from unified_ranker.core.errors import UserError

Link = tuple[str, Callable[[], str]]
"""Name of a link, and its check: it returns what holds, and raises where it does not."""


class BrokenLinkError(UserError):
    """Error: the first link of a chain that does not hold."""


def walk_links(subject: Path | str, links: Iterable[Link]) -> list[str]:
    """Check links in order; returns one line for each.

    Args:
        subject: name of what is checked, for the error.
        links: the chain. A later link may need that the ones before it hold.

    Raises:
        BrokenLinkError: naming the first link that does not hold, and why.
    """
    lines = []
    for name, check in links:
        try:
            lines.append(f"{name}: {check()}")
        except UserError as error:
            raise BrokenLinkError(f"`{subject}`: broken link `{name}`: {error}") from error
        except (OSError, KeyError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError) as error:
            raise BrokenLinkError(f"`{subject}`: broken link `{name}`: {type(error).__name__}: {error}") from error
    return lines


def require_same(what: str, received: object, expected: object) -> str:
    """Check that two facts are one; returns it as text.

    Raises:
        UserError: they differ.
    """
    if received != expected:
        raise UserError(f"{what} must be {expected!r}. Received: {received!r}.")
    return str(received)
