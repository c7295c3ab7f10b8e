"""Tab completion, typed into a real bash."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pty = pytest.importorskip("pty")
if shutil.which("bash") is None:
    pytest.skip("there is no bash here", allow_module_level=True)

ROOT = Path(__file__).parents[2]
PROMPT = "ready> "
SECONDS = 30


class Bash:
    """An interactive bash in its own terminal, with vaecodec's completion loaded."""

    def __init__(self, folder: Path) -> None:
        programs = folder / "bin"
        programs.mkdir()
        (programs / "vaecodec").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vaecodec "$@"\n')
        (programs / "vaecodec").chmod(0o755)
        variables = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PS1": PROMPT, "TERM": "dumb"}
        variables |= {"PYTHONPATH": str(ROOT), "INPUTRC": os.devnull, "HISTFILE": os.devnull, "COLUMNS": "200"}
        self._end, theirs = pty.openpty()
        command = ["bash", "--norc", "--noprofile", "-i"]
        self._shell = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=variables, start_new_session=True
        )
        os.close(theirs)
        os.set_blocking(self._end, False)
        self._until(PROMPT)
        self.type("bind 'set enable-bracketed-paste off'; bind 'set bell-style none'\n", PROMPT)
        self.type('eval "$(_VAECODEC_COMPLETE=bash_source vaecodec)"\n', PROMPT)

    def type(self, keys: str, until: str) -> str:
        """Type these keys, and return what the terminal shows until the expected text appears."""
        os.write(self._end, keys.encode())
        return self._until(until, keys.rstrip("\t\n"))

    def _until(self, wanted: str, typed: str = "") -> str:
        shown, limit = "", time.monotonic() + SECONDS
        while wanted not in shown.replace(typed, "", 1):
            assert time.monotonic() < limit, f"no {wanted!r} in {shown!r}"
            try:
                shown += os.read(self._end, 4096).decode(errors="replace")
            except BlockingIOError:
                time.sleep(0.02)
        return re.sub(r"\x1b\[[0-9;?]*[a-z]", "", shown)

    def close(self) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._end)


@pytest.fixture
def bash(tmp_path: Path):
    (tmp_path / "mine.safetensors").write_bytes(b"")
    (tmp_path / "photo.png").write_bytes(b"")
    shell = Bash(tmp_path)
    yield shell
    shell.close()


@pytest.mark.parametrize(
    ("keys", "added"),
    [
        ("vaecodec encode --model fast-m", "s-ssim "),
        ("vaecodec encode --model fa", "st"),
        ("vaecodec encode --model=fast-m", "s-ssim "),
        ("vaecodec decode --model mi", "ne.safetensors "),
        ("vaecodec train --init fast-m", "s-ssim "),
        ("vaecodec compare --model fast-m", "s-ssim "),
        ("vaecodec encode --tune ms", "-ssim "),
        ("vaecodec encode --tune=ms", "-ssim "),
        ("vaecodec encode --target-ssimu", "lacra2 "),
        ("vaecodec encode -q 50 ph", "oto.png "),
        ("vaecodec enc", "ode "),
    ],
)
def test_tab(bash: Bash, keys: str, added: str) -> None:
    bash.type(f"{keys}\t", added)


def test_two_tabs_list_the_models(bash: Bash) -> None:
    bash.type("vaecodec encode --model fa\t", "st")
    shown = bash.type("\t\t", "fast-ms-ssim")
    assert re.search(r"fast\s+fast-ms-ssim", shown)
