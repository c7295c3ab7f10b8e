"""Whole folders: many images, one model per worker process, restartable; a bad image fails alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from vaecodec.bitstream.container import read_container
from vaecodec.codec import Codec
from vaecodec.codec.scaling import decode_scaled
from vaecodec.errors import explain
from vaecodec.inspection import KEPT, kept_as
from vaecodec.model.defaults import tuned_model
from vaecodec.model.file import load_model
from vaecodec.picture import Picture, Saving, save_picture, to_picture
from vaecodec.picture.formats import can_write, missing_plugin, readable_suffixes
from vaecodec.rate_control.scores import visible_psnr
from vaecodec.system.files import Source, input_limit
from vaecodec.system.limits import TILE_LOG2
from vaecodec.system.listing import Listing, list_folder
from vaecodec.system.manifest import MANIFEST, Entry, Written, open_manifest
from vaecodec.system.naming import SUFFIX, decoded_names, encoded_name, folded
from vaecodec.system.output import Found, check_free, look_at, remove_partials, write_whole
from vaecodec.system.signals import pass_on_stops
from vaecodec.system.storage import is_url, local_path, place
from vaecodec.targets import Target

SETTINGS = {"effort": 1, "tile_log2": TILE_LOG2, "keep_hidden": False, "metadata": "all"}
"""Arguments of Codec that affect the bytes of a file, with their defaults."""
STALE = 600
"""Seconds after which a temporary file in the output folder counts as abandoned, not as one of another run."""


@dataclass(frozen=True)
class Task:
    """How to process every file: "encode" or "decode"; `suffix` of the outputs; arguments of Codec; goal: a target for
    every file instead of a quality; options for writing decoded images, and their scale; verify: decode encoded files
    again and measure their error; denoise: deviation of the noise that is removed before, or "auto" to estimate it."""

    kind: str
    suffix: str
    quality: float | None = None
    force: bool = False
    codec: dict[str, Any] = field(default_factory=dict)
    goal: Target | None = None
    saving: Saving = field(default_factory=Saving)
    scale: Fraction = Fraction(1)
    verify: bool = False
    denoise: float | Literal["auto"] | None = None

    def settings(self) -> dict[str, Any]:
        """The settings that affect the bytes of an output, as the manifest records them; a model by its identity."""
        if self.kind == "decode":
            return {"suffix": self.suffix, "scale": str(self.scale), **vars(self.saving)}
        model = load_model(tuned_model(self.codec.get("model"), self.codec.get("tune")))
        quality = model.default_quality if self.quality is None else self.quality
        rest = {name: self.codec.get(name, default) for name, default in SETTINGS.items()}
        aim = {"quality": float(quality)} if self.goal is None else {"target": repr(self.goal)}
        noise = {} if self.denoise is None else {"denoise": self.denoise}
        return {**aim, "model": model.identity.hex(), **rest, **noise}


@dataclass(frozen=True)
class Job:
    """Input and output (paths, or URLs of fsspec), and their names relative to their folders."""

    source: str | Path
    target: str | Path
    name: str = ""
    target_name: str = ""
    again: bool = False
    """Whether to replace an existing output that an earlier run made with other settings."""


@dataclass
class Plan:
    """The work in a folder: jobs; manifest entries of files that cannot be tried; files left out, by reason."""

    jobs: list[Job]
    refused: list[Entry] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.jobs) + len(self.refused)


def make_plan(root: str | Path, out: str | Path, task: Task, recursive: bool) -> Plan:
    """The images (or .vaec files) under `root` and their outputs under `out`, which mirrors the tree; folders or URLs.
    `out` may be `root` itself; if it lies inside, its contents are left out.

    An image a.png becomes a.png.vaec; decoded_names gives the images of .vaec files. Raises VaecodecError if the folder
    cannot be listed.
    """
    same = _same(root, out)
    found = list_folder(root, recursive, without=None if same else out)
    found.files = [name for name in found.files if name != MANIFEST]
    found.keep(_no_image if task.kind == "encode" else _no_stream)
    if task.kind == "encode":
        targets = {name: encoded_name(name) for name in found.files}
    else:
        targets = decoded_names(found.files, task.suffix)
    jobs = [Job(place(root, name), place(out, target), name, target) for name, target in targets.items()]
    refused = [{"source": str(place(root, name)), "error": why} for name, why in found.refused]
    return Plan(jobs, refused, _foreign(found, set(targets.values()) if same else set()))


def _same(root: str | Path, out: str | Path) -> bool:
    if is_url(root) or is_url(out):
        local = local_path(root), local_path(out)
        if None in local:
            return f"{root}".rstrip("/") == f"{out}".rstrip("/")
        root, out = local  # type: ignore[assignment]
    return Path(root).resolve() == Path(out).resolve()


def _no_image(name: str) -> str | None:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in readable_suffixes():
        return None
    if package := missing_plugin(suffix):
        return f"needs {package}, which is not installed"
    return "a .vaec file already" if suffix == SUFFIX else "no image by its suffix"


def _no_stream(name: str) -> str | None:
    return None if PurePosixPath(name).suffix.lower() == SUFFIX else f"no {SUFFIX} file by its name"


def _foreign(found: Listing, targets: set[str]) -> dict[str, list[str]]:
    """Files left out, except outputs of earlier runs and temporary files."""
    kept = {
        why: [name for name in names if name not in targets and not name.endswith(".partial")]
        for why, names in found.left_out.items()
    }
    return {why: names for why, names in kept.items() if names}


def without_done(jobs: list[Job], out: str | Path | None, task: Task) -> list[Job]:
    """The jobs without an output, and with `again` those whose output was made with other settings.

    The manifest finds outputs under an earlier naming rule, and rules out files made from another input. Without `out`
    there is no manifest, and any existing output counts.
    """
    if out is None:
        return [job for job in jobs if look_at(job.target) is Found.NOTHING]
    written, settings = Written(out), task.settings()
    there = _present(jobs, out)
    left = []
    for job in jobs:
        own = there(job.target_name) and not written.others(job.target_name, job.name)
        names = [job.target_name] * own + [name for name in written.targets(job.name) if there(name)]
        if not names:
            left.append(job)
        elif all(written.otherwise(name, settings) for name in names):
            left.append(replace(job, again=True))
    return left


def _present(jobs: list[Job], out: str | Path) -> Callable[[str], bool]:
    """A test for files in `out`: it checks each file on this machine, and lists a URL once."""
    folder = local_path(out)
    if folder is not None:
        return lambda name: (folder / name).exists()
    return set(list_folder(out).files).__contains__


def run_jobs(
    plan: Plan, task: Task, out: str | Path | None, workers: int, report: Callable[[Entry], None] = lambda entry: None
) -> list[Entry]:
    """Run a plan in `workers` processes (0: in this one); returns the manifest entries of failed jobs.

    Every entry also goes to manifest.jsonl in `out` (None: to none) and to `report`. It has source, target, width,
    height, bytes_in, bytes_out, bpp, settings, seconds and, where they apply, kept, notes, reached, denoised (the
    deviation of the removed noise, None: none), and psnr or lossless from verifying; on failure, source and error. A
    worker that dies costs at most its current file. Raises VaecodecError if no worker starts or the existing manifest
    file is not one.
    """
    remove_partials([path for job in plan.jobs if (path := local_path(job.target))], STALE)
    failures = []
    with open_manifest(out) as write:
        jobs, meeting = _told_apart(plan.jobs, out)
        with closing(_entries(jobs, task, workers)) as entries:
            for entry in chain(plan.refused, meeting, entries):
                write(entry)
                report(entry)
                if "error" in entry:
                    failures.append(entry)
    return failures


def _told_apart(jobs: list[Job], out: str | Path | None) -> tuple[list[Job], list[Entry]]:
    """The jobs to run, and failures for those that would overwrite another's output, if the file system of `out` (which
    holds its manifest) ignores case."""
    folder = None if out is None else local_path(out)
    if folder is None or not _same_file(folder / MANIFEST, folder / MANIFEST.upper()):
        return jobs, []
    first: dict[str, Job] = {}
    for job in jobs:
        first.setdefault(folded(job.target_name), job)
    kept = [job for job in jobs if first[folded(job.target_name)] is job]
    why = "its output would have the name of another, which this folder does not tell apart"
    return kept, [_failure(job, why) for job in jobs if first[folded(job.target_name)] is not job]


def _same_file(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


def _entries(jobs: list[Job], task: Task, workers: int) -> Generator[Entry, None, None]:
    """Manifest entries in the order in which the jobs end."""
    if not workers:
        yield from map(Worker(task), jobs)
        return
    from vaecodec.system.crew import DEATHS, Crew  # not needed for a single file

    dead = f"{DEATHS} worker processes died on it (out of memory?)"
    yield from Crew[Job, Entry](workers, partial(Worker, task)).run(jobs, lambda job: _failure(job, dead))


def _failure(job: Job, why: str) -> Entry:
    return {"source": str(job.source), "error": why}


class Worker:
    """Processes jobs with one codec: made once in every process, called with every job."""

    def __init__(self, task: Task) -> None:
        self.task, self.codec, self.settings = task, Codec(**task.codec), task.settings()
        if task.kind == "decode":
            can_write(task.suffix.lower())  # loads the plugin

    def __call__(self, job: Job) -> Entry:
        """The manifest entry of a job; every error becomes an entry."""
        started = time.perf_counter()
        try:
            check_free(job.target, self.task.kind == "encode", self.task.force or job.again)
            target = local_path(job.target)
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
            entry = self._encode(job) if self.task.kind == "encode" else self._decode(job)
        except BaseException as error:  # image parsers raise anything; panics of those in Rust are not an Exception
            pass_on_stops(error)
            return _failure(job, explain(error))
        return entry | {"seconds": round(time.perf_counter() - started, 3)}

    def _encode(self, job: Job) -> Entry:
        with Source(job.source, input_limit(self.codec.max_pixels), "the input") as source:
            picture, size = to_picture(source, self.codec.max_pixels), source.size
        found: dict[str, float | None] = {}
        if (noise := self.task.denoise) is not None:
            from vaecodec.uses.denoise import shared_denoiser

            denoised = shared_denoiser(self.task.codec.get("threads"))(picture, None if noise == "auto" else noise)
            picture, found = denoised.picture, {"denoised": denoised.taken}
        reached = self.codec.reach(picture, self.task.goal) if self.task.goal else None
        data = reached.data if reached else self.codec.encode_picture(picture, self.task.quality)
        notes = [*picture.notes, *(reached.notes if reached else [])]
        near = visible_psnr(picture, self.codec.decode_picture(data)) if self.task.verify else None
        entry = self._written(job, data, picture, size, notes, kept_as(data, self.codec.max_pixels))
        entry["bpp"] = _bpp(len(data), picture.width, picture.height)
        if near is not None:
            entry |= {"lossless": True} if near == math.inf else {"psnr": round(near, 2)}
        return entry | found | ({"reached": str(reached)} if reached else {})

    def _decode(self, job: Job) -> Entry:
        with Source(job.source, name="the input") as source:
            picture, size = decode_scaled(self.codec, source, self.task.scale), source.size
            container = read_container(source, self.codec.max_pixels)
        data, notes = save_picture(picture, self.task.suffix, self.task.saving)
        entry = self._written(job, data, picture, size, notes, KEPT.get(container.kept))
        header = container.header
        return entry | {"bpp": _bpp(size, header.width, header.height)}  # bpp of the whole image, at any scale

    def _written(self, job: Job, data: bytes, picture: Picture, size: int, notes: list[str], kept: str | None) -> Entry:
        write_whole(job.target, data, self.task.force or job.again)
        entry = {
            "source": str(job.source),
            "target": str(job.target),
            "width": picture.width,
            "height": picture.height,
            "bytes_in": size,
            "bytes_out": len(data),
            "settings": self.settings,
        }
        if kept:
            entry["kept"] = kept
        return entry | ({"notes": notes} if notes else {})


def _bpp(size: int, width: int, height: int) -> float:
    return round(size * 8 / (width * height), 4)
