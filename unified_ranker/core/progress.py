"""Progress of long work: the library counts, and a listener decides what is shown."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import TracebackType


def silent(progress: "Progress") -> None:
    """Show nothing: the default listener."""


class Progress:
    """Work that consists of equal parts. The listener is called when it begins, after each part, and when it ends.

    Example:
        with Progress("simulate", total=1_000, unit="events") as progress:
            progress.advance(10)

    Attributes:
        work: name of the work, such as `train, epoch 2 of 3`.
        total: how many parts there are.
        unit: name of the parts, in the plural.
        done: number of finished parts, including those of an earlier, interrupted run.
        note: text beside the count, such as `loss 0.312`; "" for none.
        ended: whether the work is over, finished or not.
    """

    def __init__(self, work: str, total: int, unit: str, done: int = 0) -> None:
        """Begin to count, from `done` on."""
        self.work, self.total, self.unit, self.done = work, total, unit, done
        self.note = ""
        self.ended = False
        self._listener = listener()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count finished parts."""
        self.done += count
        self.note = note
        self._listener(self)

    def end(self) -> None:
        """End the work."""
        self.ended = True
        self._listener(self)

    def __enter__(self) -> "Progress":
        """Tell the listener that the work begins."""
        self._listener(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the work, also when it fails."""
        self.end()


Listener = Callable[[Progress], None]
"""Called with the work at each step. Must be picklable where runs are separate processes."""
_LISTENER: ContextVar[Listener] = ContextVar("listener", default=silent)


def listener() -> Listener:
    """Return the listener of this context."""
    return _LISTENER.get()


@contextlib.contextmanager
def listening(to: Listener) -> Iterator[None]:
    """Make `to` the listener of all work that begins in this context.

    The context is that of `contextvars`: another thread or process begins with a silent listener.
    """
    token = _LISTENER.set(to)
    try:
        yield
    finally:
        _LISTENER.reset(token)
