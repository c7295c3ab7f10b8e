"""The life of processes: their standard streams, and their end by unwinding, which removes temporary files."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
GRACE = 5.0
"""Seconds that a process has to unwind after its parent has died."""


def fill_standard_streams() -> None:
    """Open substitutes for closed standard streams, as services have them. Otherwise a file opened later would get
    their descriptors, and the prints of libraries would end up in it. Reading and writing still fail as before; error
    messages are lost."""
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for the life of the process)


def unwind_on_signals() -> None:
    """Exit with 128 + number on SIGTERM and SIGHUP, unless they are ignored (as SIGHUP under nohup)."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _unwind)


def _unwind(number: int, frame: FrameType | None) -> None:
    for other in ENDING:  # a second signal would interrupt the removal of temporary files
        signal.signal(other, _go_on)
    sys.exit(128 + number)


def _go_on(number: int, frame: FrameType | None) -> None:
    """Ignores a signal. With SIG_IGN Python would complain about a signal that arrived just before."""


def pass_on_stops(error: BaseException) -> None:
    """Re-raise exceptions that end the process, for callers that catch everything. A signal that arrives while a
    compiled module loads appears as the cause of an ImportError."""
    for stop in (error, error.__cause__):
        if isinstance(stop, KeyboardInterrupt | SystemExit):
            raise stop


def end_with_parent() -> None:
    """End this process of multiprocessing when its parent dies, even by SIGKILL."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent,), name="end with parent", daemon=True).start()


def _watch(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE)
    os._exit(128 + signal.SIGTERM)
