"""Closed standard streams, as services have them, and unexpected errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from make_golden import TINY
from PIL import Image

from vaecodec.codec import Codec
from vaecodec.folders import Task, make_plan, run_jobs

VAECODEC = [sys.executable, "-m", "vaecodec"]
MODEL = ["--model", str(TINY)]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="closes descriptors by a shell")


def closed(streams: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess:
    """Run with some of `<&-`, `>&-`, `2>&-` in a shell."""
    line = f'exec "$@" {streams}'
    command = ["sh", "-c", line, "sh", *VAECODEC, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, cwd=cwd, timeout=120)


@pytest.fixture
def folder(tmp_path: Path, picture: np.ndarray) -> Path:
    for name in ("a.png", "p/a.png", "p/b.png", "p/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / name)
    (tmp_path / "p/bad.png").write_text("no image")
    return tmp_path


@pytest.mark.parametrize("streams", ["2>&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-", "<&-", ">&-"])
@pytest.mark.parametrize("options", [[], ["-Q"], ["--verify"]])
def test_files_are_written_whatever_is_closed(streams: str, options: list[str], folder: Path) -> None:
    expected = subprocess.run([*VAECODEC, "encode", "a.png", "-", *MODEL], cwd=folder, capture_output=True).stdout
    run = closed(streams, "encode", "a.png", *MODEL, *options, cwd=folder)
    assert (run.returncode, run.stdout) == (0, b"")
    assert (folder / "a.vaec").read_bytes() == expected  # and nothing that a library printed
    assert closed(streams, "decode", "a.vaec", "b.png", *MODEL, cwd=folder).returncode == 0
    assert Image.open(folder / "b.png").size == (130, 96)
    assert closed(streams, "encode", "p/bad.png", *MODEL, cwd=folder).returncode == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_folders_are_done_whatever_is_closed(jobs: int, folder: Path) -> None:
    run = closed("<&- >&- 2>&-", "encode", "p", "-o", "out", "--jobs", jobs, *MODEL, cwd=folder)
    assert run.returncode == 1  # of the bad one
    assert {path.name for path in (folder / "out").glob("*.vaec")} == {"a.png.vaec", "b.png.vaec", "c.png.vaec"}
    entries = [json.loads(line) for line in (folder / "out/manifest.jsonl").read_text().splitlines()]
    assert [Path(entry["source"]).name for entry in entries if "error" in entry] == ["bad.png"]


def test_what_cannot_be_read_or_shown_is_an_error(folder: Path) -> None:
    assert closed("<&-", "encode", "-", "x.vaec", cwd=folder).stderr == b"vaecodec: standard input is closed\n"
    assert closed("<&-", "info", "-", cwd=folder).stderr == b"vaecodec: standard input is closed\n"
    assert closed("", "encode", "a.png", *MODEL, cwd=folder).returncode == 0
    for arguments in (["info", "a.vaec"], ["info", "a.vaec", "--json"], ["models"], ["encode", "a.png", "-", *MODEL]):
        run = closed(">&-", *arguments, cwd=folder)
        assert (run.returncode, run.stderr) == (1, b"vaecodec: standard output is closed\n")
    assert not (folder / "x.vaec").exists()


FAILING = """
import sys
from vaecodec import codec
from vaecodec.cli import main

class Panic(BaseException):  # as libraries in Rust raise it
    pass

def fail(*_, **__):
    raise {error}

codec.Codec.encode_pictures = fail
sys.argv = ["vaecodec", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("MemoryError", "not enough memory for this image"),
        ("TypeError('of a\\nlibrary')", "unexpected TypeError: of a library"),
        ("Panic('index out of bounds')", "unexpected Panic: index out of bounds"),
        ("RecursionError('too deep')", "unexpected RecursionError: too deep"),
    ],
)
def test_any_error_is_one_line(error: str, message: str, folder: Path) -> None:
    script = [sys.executable, "-c", FAILING.format(error=error.replace("\n", "\\n")), "encode"]
    run = subprocess.run([*script, "a.png"], cwd=folder, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"vaecodec: {message}")
    assert run.stderr.count("\n") == 1
    shown = subprocess.run(
        [*script, "a.png"], cwd=folder, capture_output=True, text=True, env=os.environ | {"VAECODEC_TRACEBACK": "1"}
    )
    assert "Traceback" in shown.stderr


@pytest.mark.parametrize(
    "error", [MemoryError(), TypeError("of a\nlibrary"), RecursionError("deep"), GeneratorExit("odd")]
)
def test_any_error_of_a_file_stops_no_other(
    error: BaseException, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, seen = Codec.encode_picture, []

    def fail_once(self: Codec, *arguments: object) -> bytes:
        seen.append(arguments)
        if len(seen) == 1:
            raise error
        return encode(self, *arguments)

    monkeypatch.setattr(Codec, "encode_picture", fail_once)
    task = Task("encode", ".vaec", codec={"model": str(TINY)})
    failures = run_jobs(make_plan(folder / "p", folder / "out", task, False), task, folder / "out", 0)
    errors = {Path(entry["source"]).name: entry["error"] for entry in failures}
    assert errors.keys() == {"a.png", "bad.png"}
    assert "\n" not in errors["a.png"]
    assert {path.name for path in (folder / "out").glob("*.vaec")} == {"b.png.vaec", "c.png.vaec"}
