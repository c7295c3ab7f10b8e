"""How processes live: with their standard streams, and until they end by unwinding, so that their temporary files are
removed."""

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
"""Seconds that a process whose parent has died may take to unwind."""


def fill_standard_streams() -> None:
    """Open something in place of standard streams that are closed, as services have them: a file that is opened later
    would get their numbers, and whatever a library prints would end up in it. Reading and writing still fail, as they
    would; complaints get lost."""
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
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (as long as the process lives)


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
    """In place of SIG_IGN: with that Python would complain of a signal that had come just before."""


def pass_on_stops(error: BaseException) -> None:
    """Raise what is to end the process, for those who catch everything. A signal that arrives while a compiled module
    loads comes out as the cause of an ImportError."""
    for stop in (error, error.__cause__):
        if isinstance(stop, KeyboardInterrupt | SystemExit):
            raise stop


def end_with_parent() -> None:
    """End this process of multiprocessing when its parent dies, even by SIGKILL, which nobody can answer."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent,), name="end with parent", daemon=True).start()


def _watch(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE)
    os._exit(128 + signal.SIGTERM)
