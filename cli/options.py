"""Options and input/output that several commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from vaecodec.bitstream.container import MAX_METADATA
from vaecodec.errors import VaecodecError
from vaecodec.files import is_url, write_whole
from vaecodec.picture import MAX_PIXELS
from vaecodec.runtime import BACKENDS


def codec_options(command: Callable) -> Callable:
    """--model, --backend, --device, --threads, --max-pixels, -f, -Q."""
    options = [
        click.option("--model", metavar="NAME|PATH", help="Shipped model by name, or a model file."),
        click.option("--backend", type=click.Choice(BACKENDS), help="What runs the nets.  [default: onnx]"),
        click.option("--device", help="cpu or cuda (with onnxruntime-gpu or torch).  [default: cpu]"),
        click.option("--threads", type=click.IntRange(1, 1024), help="Cores to use.  [default: all]"),
        click.option(
            "--max-pixels", type=click.IntRange(1), default=MAX_PIXELS, show_default=True, help="Refuse larger images."
        ),
        click.option("-f", "--force", is_flag=True, help="Overwrite an existing output."),
        click.option("-Q", "--quiet", is_flag=True, help="Print errors only."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


metadata_option = click.option(
    "--max-metadata",
    type=click.IntRange(0),
    default=MAX_METADATA,
    show_default=True,
    help="Refuse larger EXIF, ICC and XMP blocks (bytes).",
)


def coded_source(source: str) -> str | BinaryIO:
    """What a Source is made of: the path, or standard input for "-"."""
    return sys.stdin.buffer if source == "-" else source


@contextmanager
def progress_bar(quiet: bool, label: str) -> Iterator[Callable[[float], None] | None]:
    """A callback for the share done that draws a bar on a terminal, or None where nobody looks."""
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


def output_path(source: str, target: str | None, suffix: str) -> str:
    """The output that was asked for, or the input with another suffix ("-" for standard input)."""
    if target is not None:
        return target
    if source == "-":
        return "-"
    head, tail = os.path.split(source)  # not Path, which would spoil a URL
    return os.path.join(head, Path(tail).stem + suffix)


def check_target(source: str, target: str, force: bool) -> None:
    """Fail early, before any work, where the output cannot be written."""
    if target == "-" or is_url(target):
        return
    path = Path(target)
    if source != "-" and path.exists() and Path(source).exists() and path.samefile(source):
        raise VaecodecError(f"input and output are the same file: {target}")
    if path.is_dir():
        raise VaecodecError(f"cannot write {target}: it is a folder")
    if path.is_file() and not force:
        raise VaecodecError(f"{target} exists already; use -f to overwrite it")
    if not path.parent.is_dir():
        raise VaecodecError(f"cannot write {target}: no such folder")


def write_target(target: str, data: bytes, force: bool) -> None:
    """Write to a path, whole or not at all, or to standard output for "-"."""
    if target == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write_whole(target, data, overwrite=force)


def say(quiet: bool, message: str) -> None:
    """One line on stderr: standard output may carry the file."""
    if not quiet:
        click.echo(message, err=True)
