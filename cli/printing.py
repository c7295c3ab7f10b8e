"""Output of commands: results on standard output, notes and bars on standard error."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from vaecodec.errors import VaecodecError


def show(text: str) -> None:
    """Print a result on standard output."""
    if sys.stdout is None:
        raise VaecodecError("standard output is closed")
    click.echo(text)


def size_in_words(count: float) -> str:
    """Bytes in the usual units: 830 bytes, 12.3 kB, 4.56 MB."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 999.5 or unit == "TB":
            break
    digits = max(0, 2 - int(math.log10(max(count, 1))))
    return f"{count:.{digits}f} {unit}"


def change(before: int, after: int) -> str:
    """136 kB -> 12.0 kB (11x smaller)."""
    sizes = f"{size_in_words(before)} -> {size_in_words(after)}"
    if not before or not after:
        return sizes
    factor = max(before, after) / min(before, after)
    word = "smaller" if after < before else "larger"
    return f"{sizes} ({factor:.0f}x {word})" if factor >= 9.95 else f"{sizes} ({factor:.1f}x {word})"


def result_line(entry: dict[str, Any]) -> str:
    """A summary of a file from its manifest entry: sizes, bits per pixel, whether it was kept, and its likeness if
    verified."""
    near = ", lossless" if entry.get("lossless") else f", PSNR {entry['psnr']:.2f} dB" if "psnr" in entry else ""
    if "denoised" in entry:
        near += ", no noise found" if entry["denoised"] is None else f", denoised (sigma {entry['denoised']:.1f})"
    kept = f", kept {entry['kept']}" if "kept" in entry else ""
    size = f"{entry['width']}x{entry['height']}"
    return f"{size}, {change(entry['bytes_in'], entry['bytes_out'])}, {entry['bpp']:.3f} bpp{kept}{near}"


_SETTINGS = re.compile(r"\((max_pixels|max_metadata|model|backend)\)")
"""Names of settings in messages of the library."""


def with_flags(message: str) -> str:
    """A message of the library with flags of the command for setting names: (max_pixels) -> (--max-pixels)."""
    return _SETTINGS.sub(lambda match: f"(--{match[1].replace('_', '-')})", message)


def say(quiet: bool, message: str) -> None:
    """One line on stderr: standard output may carry the file."""
    if not quiet:
        click.echo(message, err=True)


@contextmanager
def progress_bar(quiet: bool, label: str) -> Iterator[Callable[[float], None] | None]:
    """A callback for the fraction done that draws a bar on a terminal; None if the output is not one."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1000, label=label, file=sys.stderr, show_eta=True) as bar:
        done = 0

        def report(share: float) -> None:
            nonlocal done
            bar.update(round(share * 1000) - done)
            done = round(share * 1000)

        yield report
