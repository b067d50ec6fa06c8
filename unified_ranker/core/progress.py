"""Progress of long work: the library counts and tells a listener; what is shown is the listener's business."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import TracebackType


def silent(progress: "Progress") -> None:
    """Hear of progress and show nothing: the listener where none was given."""


class Progress:
    """Work in parts of one kind. The listener hears when it begins, after each part, and when it ends.

    Example:
        with Progress("simulate", total=1_000, unit="events") as progress:
            progress.advance(10)

    Attributes:
        work: name of the work, such as `train, epoch 2 of 3`.
        total: how many parts there are.
        unit: name of the parts, in the plural.
        done: how many parts are done, those of an interrupted run included.
        note: a number that belongs to the last part, such as `loss 0.312`; "" for none.
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
        """Tell that the work begins."""
        self._listener(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the work, also when it fails."""
        self.end()


Listener = Callable[[Progress], None]
"""Called with the work at each step. Picklable where runs have processes of their own."""
_LISTENER: ContextVar[Listener] = ContextVar("listener", default=silent)


def listener() -> Listener:
    """Return the listener of this context."""
    return _LISTENER.get()


@contextlib.contextmanager
def listening(to: Listener) -> Iterator[None]:
    """Have `to` hear of all work that begins in this context.

    The context is that of `contextvars`: another thread or process begins with a silent listener.
    """
    token = _LISTENER.set(to)
    try:
        yield
    finally:
        _LISTENER.reset(token)
