"""Signals that end a process by unwinding it, so that its temporary files are removed."""

from __future__ import annotations

import signal
import sys
from types import FrameType

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def unwind_on_signals() -> None:
    """Exit with 128 + number on SIGTERM and SIGHUP, unless they are ignored (as SIGHUP under nohup)."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _unwind)


def _unwind(number: int, frame: FrameType | None) -> None:
    for other in ENDING:  # another one would cut the removal of temporary files short
        signal.signal(other, _go_on)
    sys.exit(128 + number)


def _go_on(number: int, frame: FrameType | None) -> None:
    """Not SIG_IGN: of a signal that came just before, Python would complain."""
