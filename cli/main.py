"""The `vaecodec` command group and what all commands share: errors, exit codes, signals."""

from __future__ import annotations

import importlib
import sys

import click

import vaecodec
from vaecodec.errors import VaecodecError
from vaecodec.signals import unwind_on_signals

COMMANDS = {
    "encode": "Encode an image to a .vaec file.",
    "decode": "Decode a .vaec file to an image.",
    "info": "Show what a .vaec file holds.",
    "models": "List the models that come with the package.",
    "benchmark": "Measure codecs on a folder of images.",
    "train": "Train a model on a folder of pictures.",
}


class _Commands(click.Group):
    """Imports a command only when it runs, so that decoding does not pay for the trainer."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return getattr(importlib.import_module(f"vaecodec.cli.{name}"), name)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(vaecodec.__version__, prog_name="vaecodec")
def group() -> None:
    """A neural lossy image codec."""


def main() -> None:
    """Entry point: exit code 0, 1 for errors (one line on stderr), 2 for usage, 130 for Ctrl-C."""
    unwind_on_signals()
    try:
        group(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _interrupted()
    except ImportError as error:
        # A signal that arrives while a compiled module loads comes out as the cause of an ImportError.
        if isinstance(error.__cause__, SystemExit):
            sys.exit(error.__cause__.code)
        if isinstance(error.__cause__, KeyboardInterrupt):
            _interrupted()
        raise
    except VaecodecError as error:
        _fail(str(error))
    except MemoryError:
        _fail("not enough memory for this image")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename or 'cannot write the output'}: {error.strerror or error}")


def _interrupted() -> None:
    click.echo("interrupted", err=True)
    sys.exit(130)


def _fail(message: str) -> None:
    click.echo("vaecodec: " + " ".join(message.splitlines()), err=True)
    sys.exit(1)
