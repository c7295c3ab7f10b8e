"""Options that set a target instead of a quality: each with the name of its class in the library."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

import vaecodec
from vaecodec.errors import ImageError, VaecodecError

if TYPE_CHECKING:
    from vaecodec.targets import Target

TARGETS: dict[str, tuple[str, type, str, str]] = {
    "size": (
        "Size",
        str,
        "SIZE",
        "Most bytes of the file, and at most 1 % below: 100kB, 64KiB, 1.5MB.",
    ),
    "bpp": ("Bpp", float, "BITS", "The same in bits per pixel."),
    "psnr": ("Psnr", float, "DB", "At least this PSNR in dB: guaranteed, if necessary by a form other than latents."),
    "ms-ssim": ("MsSsim", float, "SSIM", "At least this MS-SSIM, up to 1 (for images of at least 161 pixels a side)."),
    "ssimulacra2": (
        "Ssimulacra2",
        float,
        "SCORE",
        "At least this SSIMULACRA 2, up to 100 (needs package ssimulacra2).",
    ),
}


def target_options(command: Callable) -> Callable:
    """--target-size, --target-bpp, ..., --best; the command gets them as `goal`, a Target or None. None of them can be
    combined with `quality`."""

    @functools.wraps(command)
    def with_goal(*arguments: Any, best: bool, **options: Any) -> Any:
        given = {name: options.pop(f"target_{name.replace('-', '_')}") for name in TARGETS}
        given = {name: value for name, value in given.items() if value is not None}
        goal = None
        if len(given) > 1:
            raise click.UsageError(f"One target at a time, not {' and '.join(f'--target-{name}' for name in given)}.")
        if best and not given:
            raise click.UsageError("--best is for a target that may be out of reach: give one, or leave it out.")
        for name, value in given.items():
            from vaecodec.targets import check_kind

            if options["quality"] is not None:
                raise click.UsageError(f"--target-{name} is in place of --quality: give one of them.")
            try:
                goal = getattr(vaecodec, TARGETS[name][0])(value, best)
            except VaecodecError as error:
                raise click.BadParameter(str(error), param_hint=f"--target-{name}") from error
            check_kind(goal)
        return command(*arguments, goal=goal, **options)

    options = [
        click.option(f"--target-{name}", type=kind, metavar=metavar, help=text)
        for name, (_, kind, metavar, text) in TARGETS.items()
    ]
    options.append(
        click.option(
            "--best", is_flag=True, help="If the target is out of reach, write the nearest result instead of failing."
        )
    )
    for option in reversed(options):
        with_goal = option(with_goal)
    return with_goal


def check_goal(goal: Target, width: int, height: int) -> None:
    """A usage error if images of this size do not have the measure."""
    from vaecodec.targets import check_target

    try:
        check_target(goal, width, height)
    except ImageError as error:
        raise click.UsageError(str(error)) from error
