"""What a run keeps in its folder beside its weights: the log of its steps, its budget, and why it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vaecodec.system.output import write_whole

STOP = "stop.json"
CLOCK, STEPS, GUARD, SIGNAL, ERROR = "clock", "steps", "guard", "signal", "error"
"""Why a run stops: its minutes or its steps are over, it only learned its pictures by heart (guard.py), somebody ended
the process, it failed. What is killed outright says nothing."""


def forget_lost_steps(run: Path, step: int) -> None:
    """Drop from train.csv what a run that was killed did after its last state, at `step`: these steps are taken
    again."""
    log = run / "train.csv"
    if log.exists():
        header, *lines = log.read_text().splitlines() or [""]
        whole = (line for line in lines if line.count(",") == header.count(","))
        kept = [header, *(line for line in whole if int(line.split(",")[0]) <= step)]
        write_whole(log, "".join(f"{line}\n" for line in kept if line).encode(), overwrite=True)


def write_budget(run: Path, minutes: float) -> None:
    write_whole(run / "minutes", f"{minutes:g}\n".encode(), overwrite=True)


def read_budget(run: Path, minutes: float) -> float:
    """Seconds that the run may take in all, by its file; of `minutes` where that cannot be read."""
    try:
        return 60 * float((run / "minutes").read_text())
    except (OSError, ValueError):  # being written just now, or rubbish
        return 60 * minutes


@contextmanager
def stop_noted(run: Path | None, progress: Callable[[], tuple[int, float]]) -> Iterator[Callable[[str], None]]:
    """While a run goes on there is no stop.json; what is handed out writes it, with why, the step and the seconds of
    `progress`. A signal or an error that unwinds is noted by itself. run: None in processes that write nothing."""

    def note(why: str) -> None:
        if run:
            step, seconds = progress()
            record = {"why": why, "step": step, "seconds": round(seconds, 1)}
            write_whole(run / STOP, (json.dumps(record) + "\n").encode(), overwrite=True)

    if run:
        (run / STOP).unlink(missing_ok=True)
    try:
        yield note
    except BaseException as error:
        note(SIGNAL if isinstance(error, KeyboardInterrupt | SystemExit) else ERROR)
        raise
