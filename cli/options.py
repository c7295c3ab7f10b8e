"""Shared options. Importing them loads no heavy module: help and Tab must be fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from vaecodec.model.defaults import TUNES
from vaecodec.model.shipped import shipped_models
from vaecodec.nets import BACKENDS
from vaecodec.system.limits import MAX_METADATA, MAX_PIXELS, METADATA
from vaecodec.system.naming import with_dot

if TYPE_CHECKING:
    from vaecodec.picture import Saving

pixels_option = click.option(
    "--max-pixels", type=click.IntRange(1), default=MAX_PIXELS, show_default=True, help="Refuse larger images."
)
complete_paths = click.Path().shell_complete
"""Completes file names without the type's checks, which would reject some arguments with another exit code."""


def complete_models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files and names of shipped models. bash lists files only if no name matches, and then drops the names."""
    names = [CompletionItem(name) for name in shipped_models() if name.startswith(incomplete)]
    return complete_paths(context, parameter, incomplete) + names


def _decorated(command: Callable, options: Sequence[Callable[[Callable], Callable]]) -> Callable:
    """With options that its help shows in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def common_options(force_help: str) -> Callable[[Callable], Callable]:
    """--threads, --max-pixels, -f, -Q."""
    options: list[Callable[[Callable], Callable]] = [
        click.option("--threads", type=click.IntRange(1, 1024), help="Cores to use.  [default: all]"),
        pixels_option,
        click.option("-f", "--force", is_flag=True, help=force_help),
        click.option("-Q", "--quiet", is_flag=True, help="Print errors only."),
    ]
    return lambda command: _decorated(command, options)


def codec_options(force_help: str) -> Callable[[Callable], Callable]:
    """--model, --backend, --device, and the common ones."""
    options: list[Callable[[Callable], Callable]] = [
        click.option(
            "--model",
            metavar="NAME|PATH",
            shell_complete=complete_models,
            help="Shipped model by name, or a model file (path or URL).",
        ),
        click.option("--backend", type=click.Choice(BACKENDS), help="Runtime of the nets.  [default: onnx]"),
        click.option("--device", help="cpu or cuda (with onnxruntime-gpu or torch).  [default: cpu]"),
        common_options(force_help),
    ]
    return lambda command: _decorated(command, options)


def saving_options(command: Callable) -> Callable:
    """-q, --lossless, --png-level: how images are written. saving_of makes a Saving of them."""
    quality = "Of JPEG, WebP, AVIF, HEIC, JPEG XL.  [default: 95]"
    level = "Effort of PNG: smaller, slower."
    options = [
        click.option("-q", "--quality", type=click.IntRange(1, 100), help=quality),
        click.option("--lossless", is_flag=True, help="WebP or JPEG XL without loss."),
        click.option("--png-level", type=click.IntRange(0, 9), default=1, show_default=True, help=level),
    ]
    return _decorated(command, options)


def saving_of(quality: int | None, lossless: bool, png_level: int) -> Saving:
    """What these options mean; raises click.UsageError where they do not go together."""
    if lossless and quality is not None:
        raise click.UsageError("--lossless and --quality do not go together.")
    from vaecodec.picture import Saving

    return Saving(quality, lossless, png_level)


def folder_options(command: Callable) -> Callable:
    """-o, -r, --jobs, --resume."""
    jobs = "Worker processes for many files.  [default: one per core]"
    resume = "Skip files whose output exists, made with the same settings."
    options = [
        click.option(
            "-o", "--output", metavar="OUT", shell_complete=complete_paths, help="File to write, or folder for all."
        ),
        click.option("-r", "--recursive", is_flag=True, help="Include subfolders of folders, mirroring the tree."),
        click.option("-j", "--jobs", type=click.IntRange(1, 1024), help=jobs),
        click.option("--resume", is_flag=True, help=resume),
        click.option("-v", "--verbose", is_flag=True, help="Print a line for each of many files."),
    ]
    return _decorated(command, options)


tune_option = click.option(
    "--tune",
    type=click.Choice(list(TUNES)),
    help="Measure to encode for: human vision (eye, the default), squared error or MS-SSIM. Selects a --model.",
)


def metadata_options(command: Callable) -> Callable:
    """--metadata, --max-metadata."""
    words = "Keep all metadata, only the colour profile (no place, time, names), or none."
    wanted = click.option("--metadata", type=click.Choice(METADATA), default="all", show_default=True, help=words)
    limit = click.option(
        "--max-metadata",
        type=click.IntRange(0),
        default=MAX_METADATA,
        show_default=True,
        help="Refuse larger EXIF, ICC and XMP blocks (bytes).",
    )
    return wanted(limit(command))


class SuffixType(click.ParamType):
    """The suffix of a writable image format, with or without its dot."""

    name = "suffix"

    def convert(self, value: str, param: click.Parameter | None, context: click.Context | None) -> str:
        suffix = with_dot(value)
        if suffix != ".png":  # Pillow is loaded later, and its plugins only on demand
            from vaecodec.picture.formats import can_write

            if not can_write(suffix.lower()):
                self.fail(f"images cannot be written with suffix {value!r}", param, context)
        return suffix
