"""The command line: thin commands that parse, call the library and print."""

from vaecodec.cli.main import main, run

__all__ = ["main", "run"]
