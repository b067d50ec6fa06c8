"""Display of progress on standard error: a bar at a terminal or in a notebook, a line a minute in a file or a log."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from unified_ranker.core.progress import Listener, Progress, listener, listening, silent

if TYPE_CHECKING:
    from tqdm import tqdm

LINE_EVERY = 60.0
"""Seconds between two lines where standard error is no terminal."""


class ProgressDisplay:
    """Listener of the command line and of the Python API.

    Pickling does not copy a bar: the copy in another process draws its own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without a bar; `clock` gives seconds."""
        self._clock = clock
        self._shown: Progress | None = None
        self._bar: tqdm[Any] | None = None
        self._started = self._said = clock()
        self._began = 0
        self._first: int | None = None

    def __reduce__(self) -> tuple[type["ProgressDisplay"], tuple[()]]:
        """Pickle as a new display."""
        return ProgressDisplay, ()

    def __call__(self, progress: Progress) -> None:
        """Show how far the work is."""
        if progress is not self._shown:
            self.close()
            self._shown, self._began, self._first = progress, progress.done, None
        elif self._first is None and progress.done > self._began:
            # The time that is left follows from what comes after the first part, which also builds graphs or connects.
            self._first, self._started = progress.done, self._clock()
        if sys.stderr.isatty() or in_notebook():
            self._draw(progress)
        elif not progress.ended and self._clock() - self._said >= LINE_EVERY:
            self._said = self._clock()
            sys.stderr.write(f"{self.line(progress)}\n")
            sys.stderr.flush()
        if progress.ended:
            self.close()

    def line(self, progress: Progress) -> str:
        """Return progress in words: the work, how much of it is done, the time that is left, the note."""
        share = progress.done / max(progress.total, 1)
        parts = [f"{progress.done:,} of {progress.total:,} {progress.unit} ({share:.0%})"]
        new = 0 if self._first is None else progress.done - self._first
        if new > 0:
            left = (self._clock() - self._started) / new * (progress.total - progress.done)
            parts.append(f"{left / 60:.0f} min left" if left >= 60 else f"{left:.0f} s left")
        return f"{progress.work}: {', '.join([*parts, *filter(None, [progress.note])])}"

    def close(self) -> None:
        """Remove the bar, so that the next output begins on an empty line."""
        if self._bar is not None:
            self._bar.close()
        self._bar = self._shown = None

    def _draw(self, progress: Progress) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                desc=progress.work,
                total=progress.total,
                initial=progress.done,
                unit=f" {progress.unit}",
                bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]",
                file=sys.stderr,
                leave=False,
            )
        self._bar.set_description(progress.work, refresh=False)
        self._bar.set_postfix_str(progress.note, refresh=False)
        self._bar.update(progress.done - self._bar.n)


def in_notebook() -> bool:
    """Tell whether standard error is the output of a notebook's cell, which draws bars though it is no terminal."""
    return type(sys.stderr).__module__ == "ipykernel.iostream"


@contextlib.contextmanager
def shown_by(chosen: Listener | None) -> Iterator[None]:
    """Show progress while a block runs.

    Args:
        chosen: the listener. None: the one of the context, such as the command line's, else a `ProgressDisplay`.
    """
    if chosen is not None:
        with listening(chosen):
            yield
    elif listener() is not silent:
        yield
    else:
        with contextlib.closing(ProgressDisplay()) as display, listening(display):
            yield


@contextlib.contextmanager
def above_bars() -> Iterator[None]:
    """Remove the bars while something is printed, and draw them again below it."""
    if "tqdm" not in sys.modules:
        yield
        return
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):
        yield
