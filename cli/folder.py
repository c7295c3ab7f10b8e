"""`encode` and `decode` for several inputs or for folders."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from vaecodec.cli.inputs import plan_inputs
from vaecodec.cli.printing import change, result_line, say, with_flags
from vaecodec.errors import VaecodecError, printable
from vaecodec.folders import Plan, Task, run_jobs, without_done
from vaecodec.model.file import load_model
from vaecodec.picture.formats import can_write
from vaecodec.system.manifest import MANIFEST, Entry
from vaecodec.system.naming import SUFFIX
from vaecodec.system.output import Found, look_at
from vaecodec.system.storage import is_folder, local_path, place

NAMES, FAILURES = 10, 100
"""Names on a line, and failures shown, at most."""


@dataclass(frozen=True)
class Many:
    """How to process many files: the options of folder_options, and -Q."""

    recursive: bool
    jobs: int | None
    resume: bool
    verbose: bool
    quiet: bool


def run_many(inputs: Sequence[str], target: str | None, task: Task, many: Many) -> None:
    """Encode or decode files and folders. Exits with 1 if there are none or if some failed, after all others are
    done."""
    quiet = many.quiet
    if "-" in inputs or target == "-":
        raise click.UsageError('"-" stands for a single file.')
    if target is None and any(map(is_folder, inputs)):
        raise click.UsageError("A folder needs an output folder: -o OUT.")
    out = None if target is None else (local_path(target) or target)
    if target is not None and not is_folder(target) and (suffix := _suffix_of_a_file(target, task)):
        raise click.UsageError(f"{target}: of several inputs -o names a folder, not a {suffix} file.")
    if target is not None and look_at(target) not in (Found.NOTHING, Found.FOLDER):
        raise VaecodecError(f"cannot write {out}: it is not a folder")
    if task.codec.get("model"):
        load_model(task.codec["model"])  # an invalid model is one error here, not one per file
    plan = plan_inputs(inputs, target, task, many.recursive)
    for why, names in plan.left_out.items():
        say(quiet, f"left out ({why}): {_some(names)}")
    if not plan.count:
        raise VaecodecError(f"nothing to {task.kind} in {', '.join(inputs)}")
    found = plan.count
    if many.resume:
        plan.jobs = without_done(plan.jobs, out, task)
        if again := [job.name for job in plan.jobs if job.again]:
            say(quiet, f"done again, since the settings are others: {_some(again)}")
    workers = _workers(plan, many.jobs)
    totals, notes, near = Counter[str](), dict[str, list[str]](), list[float]()
    started = time.perf_counter()
    with _Bar(quiet, task.kind, plan.count) as advance:

        def report(entry: Entry) -> None:
            if "error" not in entry:
                totals["in"] += entry["bytes_in"]
                totals["out"] += entry["bytes_out"]
                totals["pixels"] += entry["width"] * entry["height"]
                near.extend(entry[name] for name in ("psnr",) if name in entry)
                if many.verbose:
                    say(quiet, f"{entry['source']}: {result_line(entry)}")
            for note in entry.get("notes", ()):
                notes.setdefault(note, []).append(entry["source"])
            advance(time.perf_counter() - started)

        try:
            failures = run_jobs(plan, task, out, workers, report)
        except OSError as error:
            raise VaecodecError(f"cannot write {out}: {error.strerror or error}") from error
    seconds = max(time.perf_counter() - started, 1e-9)
    for note, names in notes.items():
        say(quiet, f"note: {note}: {_some(names)}")
    skipped = f", {found - plan.count} skipped" if many.resume else ""
    left_out = sum(map(len, plan.left_out.values()))
    skipped += f", {left_out} left out" if left_out else ""
    manifest = "" if out is None else f"; {place(out, MANIFEST)}"
    done = plan.count - len(failures)
    pace = f"{totals['pixels'] / 1e6 / seconds:.2f} megapixels a second, {seconds:.1f} s"
    work = f", {change(totals['in'], totals['out'])}, {pace}" if done else ""
    work += f", PSNR {min(near):.2f} to {max(near):.2f} dB" if near else ""
    say(quiet, f"{done} of {found} files{skipped}{work}{manifest}")
    for entry in failures[:FAILURES]:
        click.echo(f"vaecodec: {printable(entry['source'])}: {with_flags(entry['error'])}", err=True)
    if len(failures) > FAILURES:
        click.echo(f"vaecodec: and {len(failures) - FAILURES} more{manifest}", err=True)
    if failures:
        sys.exit(1)


def _suffix_of_a_file(target: str, task: Task) -> str | None:
    """The suffix of an output that can only be a file."""
    suffix = os.path.splitext(target)[1].lower()
    if target.endswith("/") or not suffix:
        return None
    return suffix if suffix == SUFFIX or (task.kind == "decode" and can_write(suffix)) else None


def _workers(plan: Plan, jobs: int | None) -> int:
    """Number of processes: none for a single file, which nothing else depends on, or for data that only this process
    can see."""
    if len(plan.jobs) < 2 or any(
        str(path).startswith("memory://") for path in (plan.jobs[0].source, plan.jobs[0].target)
    ):
        return 0
    return min(jobs or os.cpu_count() or 1, len(plan.jobs))


def _some(names: list[str]) -> str:
    """The first few names, and the number of others."""
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return ", ".join(map(printable, names[:NAMES])) + more


class _Bar:
    """A progress bar with files per second, only on a terminal."""

    def __init__(self, quiet: bool, label: str, total: int) -> None:
        shown = not quiet and sys.stderr.isatty() and total > 0
        self._done, self._rate = 0, 0.0
        self._bar: Any = click.progressbar(
            length=total,
            label=label,
            file=sys.stderr,
            show_pos=True,
            show_eta=True,
            item_show_func=lambda _: f"{self._rate:.1f} files/s",
        ) if shown else None  # fmt: skip

    def __enter__(self) -> Callable[[float], None]:
        if self._bar:
            self._bar.__enter__()
        return self._advance

    def _advance(self, seconds: float) -> None:
        self._done += 1
        self._rate = self._done / max(seconds, 1e-9)
        if self._bar:
            self._bar.update(1)

    def __exit__(self, *error: Any) -> None:
        if self._bar:
            self._bar.__exit__(*error)
