"""Options and input/output that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from vaecodec.codec import BACKENDS
from vaecodec.errors import VaecodecError
from vaecodec.files import read_input, write_whole
from vaecodec.picture import MAX_PIXELS

SUFFIX = ".vaec"


def codec_options(command: Callable) -> Callable:
    """--model, --backend, --device, --threads, --max-pixels, -f, -Q."""
    options = [
        click.option("--model", metavar="NAME|PATH", help="Shipped model by name, or a model file."),
        click.option("--backend", type=click.Choice(BACKENDS), help="What runs the nets.  [default: onnx]"),
        click.option("--device", help="Device of the torch backend, such as cuda.  [default: cpu]"),
        click.option("--threads", type=click.IntRange(1, 1024), help="Threads of the nets.  [default: all cores]"),
        click.option(
            "--max-pixels", type=click.IntRange(1), default=MAX_PIXELS, show_default=True, help="Refuse larger images."
        ),
        click.option("-f", "--force", is_flag=True, help="Overwrite an existing output."),
        click.option("-Q", "--quiet", is_flag=True, help="Print errors only."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def read_source(source: str) -> bytes:
    """Bytes of a path, or of standard input for "-"."""
    return sys.stdin.buffer.read() if source == "-" else read_input(source)


def output_path(source: str, target: str | None, suffix: str) -> str:
    """The output that was asked for, or the input with another suffix ("-" for standard input)."""
    if target is not None:
        return target
    return "-" if source == "-" else str(Path(source).with_suffix(suffix))


def check_target(source: str, target: str, force: bool) -> None:
    """Fail early, before any work, where the output cannot be written."""
    if target == "-":
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
