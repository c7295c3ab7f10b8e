"""The command line: thin commands that parse, call the library and print."""

from vaecodec.cli.main import main

__all__ = ["main"]
