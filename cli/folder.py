"""What `encode` and `decode` do when IN is a folder."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from vaecodec.cli.options import complete_paths, say
from vaecodec.errors import VaecodecError
from vaecodec.files import is_folder, local_path, place, url_exists
from vaecodec.folders import MANIFEST, Task, find_jobs, run_jobs, without_done


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


def one_output(target: str | None, output: str | None) -> str | None:
    """OUT may be given by its place or by -o."""
    if target is not None and output is not None:
        raise click.UsageError("OUT is given twice.")
    return target if output is None else output


def run_folder(
    source: str, target: str | None, task: Task, recursive: bool, jobs: int | None, resume: bool, quiet: bool
) -> None:
    """Encode or decode a folder; exits with 1 if some files failed, after all others are done."""
    if target is None or target == "-":
        raise click.UsageError("A folder needs an output folder: -o OUT.")
    root, out = (local_path(path) or path for path in (source, target))
    if (url_exists(out) if isinstance(out, str) else out.exists()) and not is_folder(target):
        raise VaecodecError(f"cannot write {out}: it is not a folder")
    found = find_jobs(root, out, task, recursive)
    todo = without_done(found, out) if resume else found
    workers = min(jobs or os.cpu_count() or 1, max(len(todo), 1))
    started, totals = time.perf_counter(), {"in": 0, "out": 0, "pixels": 0}
    with _Bar(quiet, task.kind, len(todo)) as advance:

        def report(entry: dict[str, Any]) -> None:
            if "error" not in entry:
                totals["in"] += entry["bytes_in"]
                totals["out"] += entry["bytes_out"]
                totals["pixels"] += entry["width"] * entry["height"]
            advance(len(todo), time.perf_counter() - started)

        try:
            failures = run_jobs(todo, task, out, workers, report)
        except OSError as error:
            raise VaecodecError(f"cannot write {out}: {error.strerror or error}") from error
    seconds = max(time.perf_counter() - started, 1e-9)
    skipped = f", {len(found) - len(todo)} skipped" if resume else ""
    say(
        quiet,
        f"{len(todo) - len(failures)} of {len(found)} files{skipped}, {totals['in']} -> {totals['out']} bytes, "
        f"{totals['pixels'] / 1e6 / seconds:.2f} megapixels a second, {seconds:.1f} s; {place(out, MANIFEST)}",
    )
    for entry in failures:
        click.echo(f"vaecodec: {entry['source']}: {entry['error']}", err=True)
    if failures:
        sys.exit(1)


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

    def __enter__(self) -> Callable[[int, float], None]:
        if self._bar:
            self._bar.__enter__()
        return self._advance

    def _advance(self, total: int, seconds: float) -> None:
        self._done += 1
        self._rate = self._done / max(seconds, 1e-9)
        if self._bar:
            self._bar.update(1)

    def __exit__(self, *error: Any) -> None:
        if self._bar:
            self._bar.__exit__(*error)
