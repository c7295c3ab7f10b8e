"""Options and input/output that several commands share."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click
from click.shell_completion import CompletionItem

from vaecodec.bitstream.container import DROPPED, MAX_METADATA
from vaecodec.errors import FormatError, ImageError, VaecodecError
from vaecodec.naming import INNER, SUFFIX, with_dot
from vaecodec.output import Found, check_free, look_at, write_whole
from vaecodec.runtime import BACKENDS
from vaecodec.runtime.defaults import TUNES
from vaecodec.runtime.shipped import shipped_models
from vaecodec.storage import is_folder, local_path, place
from vaecodec.tiles import MAX_PIXELS

pixels_option = click.option(
    "--max-pixels", type=click.IntRange(1), default=MAX_PIXELS, show_default=True, help="Refuse larger images."
)
complete_paths = click.Path().shell_complete
"""For arguments that name files: the type itself would refuse some of them, with an exit code of its own."""


def complete_models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of shipped models, or files where none begins like that: bash shows one or the other."""
    names = [CompletionItem(name) for name in shipped_models() if name.startswith(incomplete)]
    return names or complete_paths(context, parameter, incomplete)


def codec_options(force_help: str) -> Callable[[Callable], Callable]:
    """--model, --backend, --device, --threads, --max-pixels, -f, -Q."""
    options = [
        click.option(
            "--model",
            metavar="NAME|PATH",
            shell_complete=complete_models,
            help="Shipped model by name, or a model file (path or URL).",
        ),
        click.option("--backend", type=click.Choice(BACKENDS), help="What runs the nets.  [default: onnx]"),
        click.option("--device", help="cpu or cuda (with onnxruntime-gpu or torch).  [default: cpu]"),
        click.option("--threads", type=click.IntRange(1, 1024), help="Cores to use.  [default: all]"),
        pixels_option,
        click.option("-f", "--force", is_flag=True, help=force_help),
        click.option("-Q", "--quiet", is_flag=True, help="Print errors only."),
    ]

    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


tune_option = click.option(
    "--tune",
    type=click.Choice(list(TUNES)),
    help="What to encode for: what people see (eye, the default), squared error or MS-SSIM. Another name for --model.",
)


def metadata_options(command: Callable) -> Callable:
    """--metadata, --max-metadata."""
    words = "Keep all of it, the colour profile alone (no place, time, names), or none."
    wanted = click.option("--metadata", type=click.Choice(list(DROPPED)), default="all", show_default=True, help=words)
    limit = click.option(
        "--max-metadata",
        type=click.IntRange(0),
        default=MAX_METADATA,
        show_default=True,
        help="Refuse larger EXIF, ICC and XMP blocks (bytes).",
    )
    return wanted(limit(command))


def coded_source(source: str) -> str | BinaryIO:
    """What a Source is made of: the path, or standard input for "-"."""
    return standard_input() if source == "-" else source


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Errors of a file say which."""
    try:
        yield
    except (FormatError, ImageError) as error:
        if source == "-" or source in str(error):
            raise
        raise type(error)(f"{source}: {error}") from error


def standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise VaecodecError("standard input is closed")
    return sys.stdin.buffer


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


class SuffixType(click.ParamType):
    """The suffix of a format that images can be written in, with or without its dot."""

    name = "suffix"

    def convert(self, value: str, param: click.Parameter | None, context: click.Context | None) -> str:
        suffix = with_dot(value)
        if suffix != ".png":  # Pillow is loaded later, and its plugins only where they are needed
            from vaecodec.formats import can_write

            if not can_write(suffix.lower()):
                self.fail(f"images cannot be written with suffix {value!r}", param, context)
        return suffix


def inputs_and_output(arguments: Sequence[str], output: str | None, encoding: bool) -> tuple[list[str], str | None]:
    """IN... and OUT, which -o names, or else the second of two arguments where it cannot be meant as an input."""
    inputs = list(arguments)
    if output is None and len(inputs) == 2 and _is_output(inputs[1], encoding):
        output = inputs.pop()
    return inputs, output


def _is_output(path: str, encoding: bool) -> bool:
    """Whether the second of two arguments is where to write: images go to what is a .vaec file, or will be one; .vaec
    files to anything but another of them, or a folder."""
    found = Found.DEVICE if path == "-" else look_at(path)
    if found in (Found.NOTHING, Found.EMPTY, Found.DEVICE):
        return True
    if encoding:
        return path.lower().endswith(SUFFIX) or found is Found.STREAM
    return found is Found.OTHER or (found is Found.STREAM and os.path.splitext(path)[1].lower() in INNER)


def output_path(source: str, target: str | None, named: Callable[[str], str]) -> str:
    """The output that was asked for, in a folder or beside the input what its name becomes ("-" for standard
    input)."""
    if target is not None and target != "-" and (target.endswith(("/", os.sep)) or is_folder(target)):
        if source == "-":
            raise click.UsageError(f"{target} is a folder: what comes from standard input needs a name in it.")
        folder = local_path(target)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        return str(place(folder or target, named(os.path.basename(source.rstrip("/")))))
    if target is not None:
        return target
    if source == "-":
        return "-"
    head, tail = os.path.split(source)  # not Path, which would spoil a URL
    return os.path.join(head, named(tail))


def check_target(source: str, target: str, force: bool, stream: bool) -> None:
    """Fail early, before any work, where the output cannot be written; `stream`: it will be a .vaec file."""
    if target == "-":
        if sys.stdout is not None and sys.stdout.isatty():
            raise VaecodecError("a terminal shows no files: name one with -o, or send standard output on with > or |")
        return
    path, origin = local_path(target), local_path(source)
    if source != "-" and (source == target or (path and origin and _same_file(path, origin))):
        raise VaecodecError(f"input and output are the same file: {target}")
    found = look_at(target)
    if not force and found in (Found.EMPTY, Found.STREAM) and stream:
        raise VaecodecError(f"{target} exists already; use -f to overwrite it")
    if not force and found in (Found.EMPTY, Found.STREAM, Found.OTHER) and not stream:
        raise VaecodecError(f"{target} exists already and may be the original: name another OUT")
    check_free(target, stream, force)
    if path and found is Found.NOTHING and (target.endswith(("/", os.sep)) or not path.parent.is_dir()):
        raise VaecodecError(f"cannot write {target}: no such folder")


def _same_file(one: Path, other: Path) -> bool:
    """Whether both are one regular file: a terminal may well be both input and output."""
    return one.is_file() and other.is_file() and one.samefile(other)


def write_target(target: str, data: bytes, force: bool) -> None:
    """Write to a path, whole or not at all, or to standard output for "-"."""
    if target == "-":
        if sys.stdout is None:
            raise VaecodecError("standard output is closed")
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write_whole(target, data, overwrite=force)


def show(text: str) -> None:
    """What a command was asked for, on standard output."""
    if sys.stdout is None:
        raise VaecodecError("standard output is closed")
    click.echo(text)


def size_in_words(count: float) -> str:
    """Bytes as people say them: 830 bytes, 12.3 kB, 4.56 MB."""
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
    """What became of a file, by its entry in a manifest: sizes, bits a pixel, and whether it was kept as it was."""
    kept = f", kept {entry['kept']}" if "kept" in entry else ""
    size = f"{entry['width']}x{entry['height']}"
    return f"{size}, {change(entry['bytes_in'], entry['bytes_out'])}, {entry['bpp']:.3f} bpp{kept}"


def say(quiet: bool, message: str) -> None:
    """One line on stderr: standard output may carry the file."""
    if not quiet:
        click.echo(message, err=True)
