"""Whole folders: many images with one model a worker process, restartable, one bad image at a time."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from vaecodec.codec import Codec
from vaecodec.errors import VaecodecError
from vaecodec.files import (
    Source,
    is_url,
    list_files,
    local_path,
    place,
    remove_partials,
    url_exists,
    write_whole,
)
from vaecodec.picture import IMAGE_SUFFIXES, Picture, save_picture, to_picture
from vaecodec.signals import unwind_on_signals

SUFFIX = ".vaec"
MANIFEST = "manifest.jsonl"
STALE = 600
"""Seconds after which a temporary file in the output folder is nobody's: another run may be writing there now."""


@dataclass(frozen=True)
class Task:
    """What to do with every file: "encode" or "decode"; `suffix` of the outputs; arguments of Codec."""

    kind: str
    suffix: str
    quality: float = 50
    force: bool = False
    codec: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """Two files: paths, or URLs of fsspec."""

    source: str | Path
    target: str | Path


def find_jobs(root: str | Path, out: str | Path, task: Task, recursive: bool) -> list[Job]:
    """Images (or .vaec files) under `root` with their places under `out`, which mirrors the tree; folders or URLs.

    Files that differ only in their suffix keep it, so that their outputs differ: a.jpg.vaec, a.png.vaec.
    """
    wanted = IMAGE_SUFFIXES if task.kind == "encode" else {SUFFIX}
    names = [PurePosixPath(name) for name in sorted(list_files(root, recursive))]
    names = [name for name in names if name.suffix.lower() in wanted and not _is_output(root, out, name)]
    stems = Counter(name.with_suffix("") for name in names)
    jobs = []
    for name in names:
        unique = stems[name.with_suffix("")] == 1
        target = name.with_suffix(task.suffix) if unique else name.with_name(name.name + task.suffix)
        jobs.append(Job(place(root, str(name)), place(out, str(target))))
    return jobs


def _is_output(root: str | Path, out: str | Path, name: PurePosixPath) -> bool:
    """Whether a file of `root` lies in `out`, which may be a folder inside it."""
    if is_url(root) or is_url(out):
        return f"{place(root, str(name))}".startswith(f"{out}".rstrip("/") + "/")
    return Path(root, name).resolve().is_relative_to(Path(out).resolve())


def without_done(jobs: list[Job], out: str | Path) -> list[Job]:
    """The jobs whose output is not there yet: one listing of `out`, not a question for every file."""
    done = {place(out, name) for name in list_files(out)}
    return [job for job in jobs if job.target not in done]


def run_jobs(
    jobs: list[Job],
    task: Task,
    out: str | Path,
    workers: int,
    report: Callable[[dict[str, Any]], None] = lambda entry: None,
) -> list[dict[str, Any]]:
    """Do the jobs in `workers` processes; returns the manifest entries of those that failed.

    Every entry also goes to manifest.jsonl in `out` and to `report`: source, target, width, height, bytes_in,
    bytes_out, bpp, seconds; or source and error. Raises VaecodecError if a worker dies.
    """
    remove_partials([path for job in jobs if (path := local_path(job.target))], STALE)
    failures = []
    with _manifest(out) as write_line:
        for entry in _entries(jobs, task, workers):
            write_line(json.dumps(entry) + "\n")
            report(entry)
            if "error" in entry:
                failures.append(entry)
    return failures


@contextmanager
def _manifest(out: str | Path) -> Iterator[Callable[[str], None]]:
    """Appends lines to the manifest: at once in a folder; of a URL at the end of the run, whatever ends it, since
    object stores know only whole files."""
    folder = local_path(out)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / MANIFEST, "a", buffering=1) as file:  # a line is written as soon as it is whole
            yield file.write
        return
    url, lines = str(place(out, MANIFEST)), []
    try:
        yield lines.append
    finally:
        if lines:
            before = b""
            if url_exists(url):
                with Source(url) as source:
                    before = source.read(0, source.size)
            write_whole(url, before + "".join(lines).encode(), overwrite=True)


def _entries(jobs: list[Job], task: Task, workers: int) -> Iterator[dict[str, Any]]:
    """Manifest entries in the order in which the jobs end."""
    if workers == 1:
        yield from map(Worker(task), jobs)
        return
    # Loaded here: a command for one file does not need them.
    import multiprocessing
    from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
    from concurrent.futures.process import BrokenProcessPool

    # Spawned, not forked: the runtimes have threads.
    context = multiprocessing.get_context("spawn")
    _start_resource_tracker()
    pool = ProcessPoolExecutor(workers, context, _start_worker, (task,))
    waiting, running = iter(jobs), set[Future]()
    try:
        while True:
            while len(running) < 2 * workers and (job := next(waiting, None)) is not None:
                running.add(pool.submit(_work, job))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        raise VaecodecError("a worker process died (out of memory?); --resume goes on where it stopped") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_resource_tracker() -> None:
    """Python's helper process behind a pool is deaf to SIGTERM; here it also gets a blocked SIGHUP. Killed along with
    us when a terminal is closed, it would be started again at once and complain."""
    if not hasattr(signal, "SIGHUP"):
        return
    from multiprocessing import resource_tracker

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Worker:
    """One model, and what to do with every file: made once in every process, called with every job."""

    def __init__(self, task: Task) -> None:
        self.task, self.codec = task, Codec(**task.codec)

    def __call__(self, job: Job) -> dict[str, Any]:
        """The manifest entry of a job; what goes wrong with it is in the entry, too."""
        started = time.perf_counter()
        try:
            target = local_path(job.target)
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
            entry = self._encode(job) if self.task.kind == "encode" else self._decode(job)
        except (VaecodecError, OSError, MemoryError) as error:
            return {"source": str(job.source), "error": str(error) or type(error).__name__}
        return entry | {"seconds": round(time.perf_counter() - started, 3)}

    def _encode(self, job: Job) -> dict[str, Any]:
        with Source(job.source) as source:
            picture = to_picture(source.read(0, source.size), self.codec.max_pixels)
        data = self.codec.encode_picture(picture, self.task.quality)
        return self._written(job, data, picture, source.size, len(data))

    def _decode(self, job: Job) -> dict[str, Any]:
        with Source(job.source) as source:
            picture = self.codec.decode_picture(source)
        data, _ = save_picture(picture, self.task.suffix)
        return self._written(job, data, picture, source.size, source.size)

    def _written(self, job: Job, data: bytes, picture: Picture, size: int, coded: int) -> dict[str, Any]:
        write_whole(job.target, data, self.task.force)
        return {
            "source": str(job.source),
            "target": str(job.target),
            "width": picture.width,
            "height": picture.height,
            "bytes_in": size,
            "bytes_out": len(data),
            "bpp": round(coded * 8 / (picture.width * picture.height), 4),
        }


_worker: Worker


def _start_worker(task: Task) -> None:
    global _worker
    # Ctrl-C reaches every process of the terminal: the parent answers it, workers finish what they hold.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker = Worker(task)
    # Other signals end a worker, as the pool itself must be able to, but it unwinds: no temporary file stays.
    unwind_on_signals()


def _work(job: Job) -> dict[str, Any]:
    try:
        return _worker(job)
    except SystemExit as stop:
        os._exit(stop.code)  # the pool would hand it to the parent as a result and go on
