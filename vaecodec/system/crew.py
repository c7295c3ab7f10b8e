"""A pool of worker processes that survives their deaths: each holds one job at a time, so a crash names its job."""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from vaecodec.errors import VaecodecError
from vaecodec.system.signals import end_with_parent, unwind_on_signals

Job = TypeVar("Job", bound=Hashable)
Result = TypeVar("Result")

DEATHS = 2
"""Workers that may die on a job before it is given up: other jobs may have caused the first death."""


@dataclass
class _Member(Generic[Job]):
    process: BaseProcess
    pipe: Connection
    ready: bool = False
    job: Job | None = None


class Crew(Generic[Job, Result]):
    """Runs jobs in `count` processes. make: called once in each process, returns the function for its jobs. It, the
    jobs and the results are pickled."""

    def __init__(self, count: int, make: Callable[[], Callable[[Job], Result]]) -> None:
        self._count, self._make = count, make
        self._members: list[_Member[Job]] = []

    def run(self, jobs: Iterable[Job], given_up: Callable[[Job], Result]) -> Generator[Result, None, None]:
        """Results in the order in which the jobs end; `given_up` makes the result of a job on which workers keep dying.

        A job that killed a worker is retried at the end, alone, since memory may not suffice for it and others. Raises
        VaecodecError if no worker starts. Closing the generator waits for the running jobs.
        """
        waiting, again, deaths = iter(jobs), deque[Job](), Counter[Job]()
        try:
            for _ in range(self._count):
                self._start()
            while True:
                self._hand_out(waiting, again)
                busy = {member.pipe: member for member in self._members if not member.ready or member.job is not None}
                if not busy:
                    return
                ready = wait([*busy])
                for member in [member for pipe, member in busy.items() if pipe in ready]:
                    job, member.job = member.job, None
                    try:
                        answer = member.pipe.recv()
                    except (EOFError, OSError):
                        self._replace(member)
                        if job is not None:
                            deaths[job] += 1
                            if deaths[job] < DEATHS:
                                again.append(job)
                            else:
                                yield given_up(job)
                        continue
                    if member.ready:
                        yield answer
                    elif answer is None:
                        member.ready = True
                    else:
                        raise answer
        finally:
            self._dismiss()

    def _hand_out(self, waiting: Iterator[Job], again: deque[Job]) -> None:
        for member in self._members:
            if not member.ready or member.job is not None:
                continue
            member.job = next(waiting, None)
            if member.job is None and again and all(other.job is None for other in self._members):
                member.job = again.popleft()
            if member.job is not None:
                with suppress(OSError):  # the worker has died: the next receive shows it
                    member.pipe.send(member.job)

    def _start(self) -> None:
        # Spawned, not forked: the runtimes have threads.
        context = multiprocessing.get_context("spawn")
        pipe, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._make), daemon=True)
        with _undisturbed():
            process.start()
        theirs.close()  # only the worker holds that end now, so its death ends the pipe
        self._members.append(_Member(process, pipe))

    def _replace(self, dead: _Member[Job]) -> None:
        self._members.remove(dead)
        dead.pipe.close()
        dead.process.join()
        if dead.ready:
            self._start()
        elif not self._members:
            raise VaecodecError("no worker process starts (out of memory?)")

    def _dismiss(self) -> None:
        for member in self._members:
            member.pipe.close()
        for member in self._members:
            member.process.join()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Shields child processes from Ctrl-C, which reaches every process of a terminal; their parent handles it.

    The helper process of multiprocessing ignores SIGTERM and also gets a blocked SIGHUP: killed along with us when a
    terminal closes, it would be restarted at once and complain.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_SETMASK, {*before, signal.SIGINT})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, make: Callable[[], Callable[[Job], Result]]) -> None:
    """A worker: reports that it is ready, then runs jobs until none are left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Other signals end the process, but it unwinds, so no temporary file is left behind.
    unwind_on_signals()
    end_with_parent()
    try:
        try:
            work = make()
        except VaecodecError as error:
            pipe.send(error)
            return
        pipe.send(None)
        while True:
            pipe.send(work(pipe.recv()))
    except (EOFError, ConnectionError):
        pass  # the parent has closed the pipe
