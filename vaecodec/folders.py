"""Whole folders: many images with one model a worker process, restartable, one bad image at a time."""

from __future__ import annotations

import json
import multiprocessing
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaecodec.codec import Codec
from vaecodec.errors import VaecodecError
from vaecodec.files import write_whole
from vaecodec.picture import IMAGE_SUFFIXES, save_image, to_picture, to_pil

SUFFIX = ".vaec"
MANIFEST = "manifest.jsonl"


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
    source: Path
    target: Path


def find_jobs(root: Path, out: Path, task: Task, recursive: bool) -> list[Job]:
    """Images (or .vaec files) under `root` with their places under `out`, which mirrors the tree.

    Files that differ only in their suffix keep it, so that their outputs differ: a.jpg.vaec, a.png.vaec.
    """
    wanted = IMAGE_SUFFIXES if task.kind == "encode" else {SUFFIX}
    paths = root.rglob("*") if recursive else root.glob("*")
    inside = out.resolve()
    sources = sorted(
        path
        for path in paths
        if path.suffix.lower() in wanted and path.is_file() and not path.resolve().is_relative_to(inside)
    )
    stems = Counter(path.with_suffix("") for path in sources)
    jobs = []
    for source in sources:
        place = out / source.relative_to(root)
        unique = stems[source.with_suffix("")] == 1
        target = place.with_suffix(task.suffix) if unique else place.with_name(place.name + task.suffix)
        jobs.append(Job(source, target))
    return jobs


def run_jobs(
    jobs: list[Job], task: Task, out: Path, workers: int, report: Callable[[dict[str, Any]], None] = lambda entry: None
) -> list[dict[str, Any]]:
    """Do the jobs in `workers` processes; returns the manifest entries of those that failed.

    Every entry also goes to out/manifest.jsonl and to `report`: source, target, width, height, bytes_in, bytes_out,
    bpp, seconds; or source and error. Raises VaecodecError if a worker dies.
    """
    out.mkdir(parents=True, exist_ok=True)
    failures = []
    with open(out / MANIFEST, "a") as manifest:
        for entry in _entries(jobs, task, workers):
            manifest.write(json.dumps(entry) + "\n")
            manifest.flush()
            report(entry)
            if "error" in entry:
                failures.append(entry)
    return failures


def _entries(jobs: list[Job], task: Task, workers: int) -> Iterator[dict[str, Any]]:
    """Manifest entries in the order in which the jobs end."""
    if workers == 1:
        _start_worker(task, in_process=True)
        yield from map(_work, jobs)
        return
    # Spawned, not forked: the runtimes have threads.
    context = multiprocessing.get_context("spawn")
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


_worker: tuple[Task, Codec]


def _start_worker(task: Task, in_process: bool = False) -> None:
    global _worker
    if not in_process:
        # Ctrl-C reaches every process of the terminal: the parent answers it, workers finish what they hold.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker = task, Codec(**task.codec)


def _work(job: Job) -> dict[str, Any]:
    task, codec = _worker
    started = time.perf_counter()
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        entry = encode_file(codec, job, task) if task.kind == "encode" else decode_file(codec, job, task)
    except (VaecodecError, OSError, MemoryError) as error:
        return {"source": str(job.source), "error": str(error) or type(error).__name__}
    return entry | {"seconds": round(time.perf_counter() - started, 3)}


def encode_file(codec: Codec, job: Job, task: Task) -> dict[str, Any]:
    picture = to_picture(job.source, codec.max_pixels)
    data = codec.encode_picture(picture, task.quality)
    return _written(job, task, data, picture.width, picture.height, len(data))


def decode_file(codec: Codec, job: Job, task: Task) -> dict[str, Any]:
    picture = codec.decode_picture(job.source)
    data, _ = save_image(to_pil(picture), task.suffix)
    return _written(job, task, data, picture.width, picture.height, job.source.stat().st_size)


def _written(job: Job, task: Task, data: bytes, width: int, height: int, coded: int) -> dict[str, Any]:
    write_whole(job.target, data, task.force)
    return {
        "source": str(job.source),
        "target": str(job.target),
        "width": width,
        "height": height,
        "bytes_in": job.source.stat().st_size,
        "bytes_out": len(data),
        "bpp": round(coded * 8 / (width * height), 4),
    }
