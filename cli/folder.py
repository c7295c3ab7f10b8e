"""What `encode` and `decode` do when IN is a folder."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import click

from vaecodec.cli.options import complete_paths, say
from vaecodec.errors import VaecodecError, printable
from vaecodec.folders import Plan, Task, make_plan, run_jobs, without_done
from vaecodec.manifest import MANIFEST, Entry
from vaecodec.output import Found, look_at
from vaecodec.runtime.store import load_model
from vaecodec.storage import local_path, place

NAMES, FAILURES = 10, 100
"""How many names a line has, and how many failures are shown."""


def folder_options(command: Callable) -> Callable:
    """-o, -r, --jobs, --resume."""
    options = [
        click.option("-o", "--output", metavar="OUT", shell_complete=complete_paths, help="The same as OUT."),
        click.option("-r", "--recursive", is_flag=True, help="Folders: go into subfolders, mirror the tree."),
        click.option("--jobs", type=click.IntRange(1, 1024), help="Folders: worker processes.  [default: one a core]"),
        click.option("--resume", is_flag=True, help="Folders: skip files whose output exists."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def run_folder(
    source: str, target: str | None, task: Task, recursive: bool, jobs: int | None, resume: bool, quiet: bool
) -> None:
    """Encode or decode a folder; exits with 1 if some files failed, after all others are done, or if there are none."""
    if target is None or target == "-":
        raise click.UsageError("A folder needs an output folder: -o OUT.")
    root, out = (local_path(path) or path for path in (source, target))
    if look_at(target) not in (Found.NOTHING, Found.FOLDER):
        raise VaecodecError(f"cannot write {out}: it is not a folder")
    if task.codec.get("model"):
        load_model(task.codec["model"])  # a wrong one is an error here, not one of every file
    plan = make_plan(root, out, task, recursive)
    for why, names in plan.left_out.items():
        say(quiet, f"left out ({why}): {_some(names)}")
    if not plan.count:
        raise VaecodecError(f"nothing to {task.kind} in {root}")
    found = plan.count
    if resume:
        plan.jobs = without_done(plan.jobs, out)
    workers = _workers(plan, jobs)
    totals, notes = Counter[str](), dict[str, list[str]]()
    started = time.perf_counter()
    with _Bar(quiet, task.kind, plan.count) as advance:

        def report(entry: Entry) -> None:
            if "error" not in entry:
                totals["in"] += entry["bytes_in"]
                totals["out"] += entry["bytes_out"]
                totals["pixels"] += entry["width"] * entry["height"]
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
    skipped = f", {found - plan.count} skipped" if resume else ""
    left_out = sum(map(len, plan.left_out.values()))
    skipped += f", {left_out} left out" if left_out else ""
    say(
        quiet,
        f"{plan.count - len(failures)} of {found} files{skipped}, {totals['in']} -> {totals['out']} bytes, "
        f"{totals['pixels'] / 1e6 / seconds:.2f} megapixels a second, {seconds:.1f} s; {place(out, MANIFEST)}",
    )
    for entry in failures[:FAILURES]:
        click.echo(f"vaecodec: {printable(entry['source'])}: {entry['error']}", err=True)
    if len(failures) > FAILURES:
        click.echo(f"vaecodec: and {len(failures) - FAILURES} more: {place(out, MANIFEST)}", err=True)
    if failures:
        sys.exit(1)


def _workers(plan: Plan, jobs: int | None) -> int:
    """How many processes: none for a single file, whose end is not that of others, or for what only this process
    can see."""
    if len(plan.jobs) < 2 or any(
        str(path).startswith("memory://") for path in (plan.jobs[0].source, plan.jobs[0].target)
    ):
        return 0
    return min(jobs or os.cpu_count() or 1, len(plan.jobs))


def _some(names: list[str]) -> str:
    """A few names, and how many more there are."""
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return ", ".join(map(printable, names[:NAMES])) + more


class _Bar:
    """A progress bar with files a second on a terminal; nothing elsewhere."""

    def __init__(self, quiet: bool, label: str, total: int) -> None:
        shown = not quiet and sys.stderr.isatty() and total > 0
        self._done, self._rate = 0, 0.0
        self._bar = click.progressbar(
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
