"""Inputs and outputs of commands: which argument is which, and outputs that appear whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import BinaryIO

import click

from vaecodec.errors import VaecodecError
from vaecodec.system.naming import INNER, SUFFIX
from vaecodec.system.output import Found, check_output, look_at, same_file, write_whole
from vaecodec.system.storage import is_folder, local_path, place


def coded_source(source: str) -> str | BinaryIO:
    """The argument of Source: the path, or standard input for "-"."""
    return standard_input() if source == "-" else source


def coded_names(folder: str, recursive: bool) -> list[str]:
    """The .vaec files of a folder or URL, by their names in it; raises VaecodecError where there are none."""
    from vaecodec.system.listing import list_folder

    names = [name for name in list_folder(folder, recursive).files if name.lower().endswith(SUFFIX)]
    if not names:
        raise VaecodecError(f"no {SUFFIX} files in {folder}")
    return names


def in_folder(file: str, recursive: bool) -> list[str]:
    """The .vaec files of a folder, or the file itself."""
    if file == "-" or not is_folder(file):
        return [file]
    return [str(place(file, name)) for name in coded_names(file, recursive)]


def standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise VaecodecError("standard input is closed")
    return sys.stdin.buffer


def inputs_and_output(arguments: Sequence[str], output: str | None, encoding: bool) -> tuple[list[str], str | None]:
    """IN... and OUT, given by -o or by the second of two arguments if that cannot be an input."""
    inputs = list(arguments)
    if output is None and len(inputs) == 2 and _is_output(inputs[1], encoding):
        output = inputs.pop()
    return inputs, output


def _is_output(path: str, encoding: bool) -> bool:
    """Whether the second of two arguments is the output. Images are written to .vaec files, existing or new; .vaec
    files to anything but another .vaec file or a folder."""
    found = Found.DEVICE if path == "-" else look_at(path)
    if found in (Found.NOTHING, Found.EMPTY, Found.DEVICE):
        return True
    if encoding:
        return path.lower().endswith(SUFFIX) or found is Found.STREAM
    return found is Found.OTHER or (found is Found.STREAM and os.path.splitext(path)[1].lower() in INNER)


def output_path(source: str, target: str | None, named: Callable[[str], str]) -> str:
    """The requested output; in a folder or beside the input, with the name that `named` derives from the input's ("-"
    for standard input)."""
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
    head, tail = os.path.split(source)  # not Path, which would damage a URL
    return os.path.join(head, named(tail))


def check_target(source: str, target: str, force: bool, stream: bool) -> None:
    """Fail early if the output cannot be written; `stream`: it will be a .vaec file."""
    if target == "-":
        if sys.stdout is not None and sys.stdout.isatty():
            raise VaecodecError("a terminal shows no files: name one with -o, or send standard output on with > or |")
        return
    if source != "-" and same_file(source, target):
        raise VaecodecError(f"input and output are the same file: {target}")
    found = look_at(target)
    if not force and found in (Found.EMPTY, Found.STREAM) and stream:
        raise VaecodecError(f"{target} exists already; use -f to overwrite it")
    if not force and found in (Found.EMPTY, Found.STREAM, Found.OTHER) and not stream:
        raise VaecodecError(f"{target} exists already and may be the original: name another OUT")
    check_output(None if source == "-" else source, target, stream, force)


def write_target(target: str, data: bytes, force: bool) -> None:
    """Write to a path, whole or not at all, or to standard output for "-"."""
    if target == "-":
        if sys.stdout is None:
            raise VaecodecError("standard output is closed")
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write_whole(target, data, overwrite=force)
