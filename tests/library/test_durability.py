"""Whatever interrupts a command, its output is whole or absent, and no temporary file stays behind."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pictures import generated_picture
from PIL import Image

VAECODEC = [sys.executable, "-m", "vaecodec"]
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]

STUCK_IN_WRITING = """
import sys, time
from vaecodec.system import output
from vaecodec.cli import main

def write_half(path, data, like, write=output.write_new):
    write(path, data[: len(data) // 2], like)
    print("half", file=sys.stderr, flush=True)
    time.sleep(60)

output.write_new = write_half
sys.argv = ["vaecodec", *sys.argv[1:]]
main()
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each command works on: a picture of many tiles and its .vaec file."""
    folder = tmp_path_factory.mktemp("inputs")
    Image.fromarray(np.tile(generated_picture(500, 700), (3, 3, 1))).save(folder / "large.png")
    subprocess.run([*VAECODEC, "encode", "large.png", "--tile", "256"], cwd=folder, check=True)
    return {"encode": folder / "large.png", "decode": folder / "large.vaec"}


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_signal_in_the_middle_of_writing(
    command: str, number: int, code: int, inputs: dict[str, Path], tmp_path: Path
) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"VAEC, what was there before")
    arguments = [command, str(inputs[command]), str(target), "-f"]
    process = subprocess.Popen([sys.executable, "-c", STUCK_IN_WRITING, *arguments], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "half\n"
    assert len(list(tmp_path.iterdir())) == 2
    process.send_signal(number)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == code, message
    assert "Traceback" not in message
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"VAEC, what was there before"]


@pytest.mark.parametrize("command", ["encode", "decode"])
@pytest.mark.parametrize("delay", [0.1, 0.4, 0.7, 1.0])
def test_signals_at_any_time(command: str, delay: float, inputs: dict[str, Path], tmp_path: Path) -> None:
    number, code = SIGNALS[round(delay * 10) % 3]
    process = subprocess.Popen(
        [*VAECODEC, command, str(inputs[command]), str(tmp_path / "out.png")], stderr=subprocess.PIPE
    )
    time.sleep(delay)
    process.send_signal(number)
    message = process.communicate(timeout=60)[1].decode()
    # Before Python has set up its handlers the signal itself ends the process; after the end it comes too late.
    assert process.returncode in (code, -number, 0), message
    assert [path.name for path in tmp_path.iterdir()] == (["out.png"] if process.returncode == 0 else [])


@pytest.mark.parametrize(("error", "code"), [(SystemExit(143), 143), (KeyboardInterrupt(), 130)])
def test_a_signal_while_a_compiled_module_loads(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vaecodec.cli import main as entry

    def load(**_: object) -> None:
        raise ImportError("initialization failed") from error

    monkeypatch.setattr(sys.modules[entry.__module__], "group", load)
    with pytest.raises(SystemExit) as exit:
        entry()
    assert exit.value.code == code


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_full_quota(command: str, inputs: dict[str, Path], tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    arguments = [command, str(inputs[command]), str(tmp_path / "out.png")]
    run = subprocess.run([*VAECODEC, *arguments], capture_output=True, text=True, preexec_fn=limited)
    assert run.returncode == 1
    assert "File too large" in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to mount a tiny tmpfs")
@pytest.mark.parametrize("command", ["encode", "decode"])
def test_full_disk(command: str, inputs: dict[str, Path], tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        run = subprocess.run(
            [*VAECODEC, command, str(inputs[command]), str(tmp_path / "out.png")], capture_output=True, text=True
        )
        left = list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert run.returncode == 1
    assert "No space left" in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert not left


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each command works on, as folders: small pictures and one that is large, and their .vaec files."""
    folder = tmp_path_factory.mktemp("folders")
    (folder / "encode").mkdir()
    for name, (height, width) in {"a": (20, 30), "large": (600, 800), "z": (40, 30)}.items():
        Image.fromarray(generated_picture(height, width)).save(folder / "encode" / f"{name}.png")
    subprocess.run([*VAECODEC, "encode", "encode", "-o", "decode", "-q", "95"], cwd=folder, check=True)
    return {"encode": folder / "encode", "decode": folder / "decode"}


def folder_run(command: str, source: Path, out: Path, **options: object) -> subprocess.CompletedProcess:
    arguments = [command, str(source), "-o", str(out), *(["-q", "95"] if command == "encode" else [])]
    return subprocess.run([*VAECODEC, *arguments, "--jobs", "2"], capture_output=True, text=True, **options)


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_full_quota_of_a_folder(command: str, folders: dict[str, Path], tmp_path: Path) -> None:
    """The image that does not fit is an error of its own, the others are whole."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))

    run = folder_run(command, folders[command], tmp_path, preexec_fn=limited)
    assert run.returncode == 1
    assert "2 of 3 files" in run.stderr
    assert len(run.stderr.splitlines()) == 2
    assert "large" in run.stderr.splitlines()[1]
    assert "File too large" in run.stderr
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {"a", "z", "manifest"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to mount a tiny tmpfs")
@pytest.mark.parametrize("command", ["encode", "decode"])
@pytest.mark.parametrize("size", ["4k", "24k"])
def test_full_disk_of_a_folder(command: str, size: str, folders: dict[str, Path], tmp_path: Path) -> None:
    """4k: one file fits, but not even the manifest besides it; 24k: the small files fit, the large one does not."""
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", tmp_path]
    if subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        run = folder_run(command, folders[command], tmp_path)
        left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert run.returncode == 1
    assert "No space left" in run.stderr
    assert "Traceback" not in run.stderr
    assert len(run.stderr.splitlines()) == (1 if size == "4k" else 2)
    manifest = left.pop("manifest.jsonl").splitlines()
    assert len(left) <= 1 if size == "4k" else len(left) == 2 and len(manifest) == 3
    for name, data in left.items():
        if command == "encode":
            assert data == (folders["decode"] / name).read_bytes()
        else:
            Image.open(io.BytesIO(data)).load()


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_closed_pipe(command: str, inputs: dict[str, Path]) -> None:
    process = subprocess.Popen(
        [*VAECODEC, command, str(inputs[command]), "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    message = process.stderr.read().decode()
    assert process.wait(60) == 1
    assert "Traceback" not in message
    assert "Exception" not in message
