"""The `vaecodec` command group and what all commands share: errors, exit codes, signals."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import sys
import threading
import warnings
from typing import NoReturn

import click

import vaecodec
from vaecodec.errors import VaecodecError, explain, printable
from vaecodec.system.signals import fill_standard_streams, pass_on_stops, unwind_on_signals

COMMANDS = {
    "encode": "Encode an image to a .vaec file.",
    "decode": "Decode a .vaec file to an image.",
    "denoise": "Take the noise out of an image.",
    "repair": "Repair scratches, dust and overlaid text in an image.",
    "info": "Show what a .vaec file holds.",
    "view": "Show .vaec files in a browser, or make a page of them.",
    "compare": "Compare images with another one, in figures and on a page.",
    "features": "Read what .vaec files say of their pictures into an index.",
    "find": "Find a picture, or what it was cut out of, among .vaec files.",
    "anomaly": "Find what is odd in images of things that look alike.",
    "models": "List the models that come with the package.",
    "benchmark": "Measure codecs on a folder of images.",
    "sample": "Draw an image out of a model, of what its prior knows of pictures.",
    "train": "Train a model on a folder of pictures.",
    "train-report": "Show on one page how a training run went.",
}


class _Commands(click.Group):
    """Imports a command only when it runs, so that decoding does not load the trainer."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        word = name.replace("-", "_")
        return getattr(importlib.import_module(f"vaecodec.cli.{word}"), word)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click, and suggests similar names for an unknown command."""
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            return super().resolve_command(context, args)
        words = " ".join(args[:1])
        if os.path.exists(name):
            coded = name.lower().endswith(".vaec")
            context.fail(f"{words} is no command. Did you mean: vaecodec {'decode' if coded else 'encode'} {words}")
        import difflib

        nearest = difflib.get_close_matches(name, COMMANDS, n=1)
        context.fail(f"No such command {name!r}." + (f" Did you mean {nearest[0]!r}?" if nearest else ""))

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(vaecodec.__version__, "-V", "--version", prog_name="vaecodec")
def group() -> None:
    """A neural lossy image codec."""


def run() -> NoReturn:
    """main in a process of its own, which ends at once: taking numpy and onnxruntime down in order costs some 50 ms."""
    code: object = 0
    try:
        main()
    except SystemExit as error:
        code = error.code
    if threading.active_count() == 1 and isinstance(code, int | None):
        with contextlib.suppress(Exception):  # Python's own way out says what is wrong with a stream
            atexit._run_exitfuncs()
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            os._exit(code or 0)
    sys.exit(code)  # type: ignore[arg-type]


def main() -> None:
    """Entry point: exit code 0, 1 for errors (one line on stderr), 2 for usage, 130 for Ctrl-C."""
    fill_standard_streams()
    unwind_on_signals()
    # OpenBLAS starts a thread per core when numpy is imported: a tenth of a second of wasted CPU time here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Pillow's warnings about malformed files are for programmers; users get notes instead.
    warnings.filterwarnings("ignore", module=r"PIL\b")
    if "_VAECODEC_COMPLETE" in os.environ:
        importlib.import_module("vaecodec.cli.completion").register()
    try:
        _run()
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        sys.exit(130)


def _run() -> None:
    try:
        group(prog_name="vaecodec", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename or 'cannot write the output'}: {error.strerror or error}")
    except BaseException as error:  # panics of libraries in Rust are not an Exception
        pass_on_stops(error)
        if os.environ.get("VAECODEC_TRACEBACK"):
            raise
        known = isinstance(error, VaecodecError | MemoryError)
        _fail(explain(error) + ("" if known else " (VAECODEC_TRACEBACK=1 in the environment shows where)"))


def _fail(message: str) -> None:
    from vaecodec.cli.printing import with_flags

    click.echo("vaecodec: " + printable(with_flags(" ".join(message.splitlines()))), err=True)
    sys.exit(1)
