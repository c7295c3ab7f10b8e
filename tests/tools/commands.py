"""The command as the tests call it, with the tiny model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from make_golden import TINY

VAECODEC = [sys.executable, "-m", "vaecodec"]
STREAM, LONGER, FOREIGN = b"VAEC one", b"VAEC another", b"\x89PNG a photograph"
"""Contents of outputs that exist: coded ones, and what must stay."""


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess:
    """The command with these arguments; its output as bytes."""
    options = {"capture_output": True, "timeout": 120} | options
    model = [] if arguments[0] == "info" else ["--model", str(TINY)]
    return subprocess.run([*VAECODEC, *map(str, arguments), *model], **options)


def refused(*arguments: object, **options: object) -> str:
    """The one line of an error with exit code 1."""
    result = run(*arguments, **options)
    message = result.stderr.decode()
    assert (result.returncode, message.count("\n")) == (1, 1), message
    return message


def vaecodec(*arguments: object) -> subprocess.CompletedProcess:
    """The command with these arguments; its output as text."""
    return run(*arguments, text=True)


def manifest(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
