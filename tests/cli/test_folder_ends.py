"""Folders: however a run or a worker ends, no other work is lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from make_golden import TINY
from pictures import generated_picture
from PIL import Image

from vaecodec.errors import ModelError, VaecodecError
from vaecodec.folders import Task, make_plan, run_jobs
from vaecodec.system.crew import Crew


@pytest.mark.parametrize(
    ("kind", "number", "code"),
    [("encode", signal.SIGINT, 130), ("encode", signal.SIGTERM, 143), ("decode", signal.SIGTERM, 143)],
)
def test_a_signal_leaves_whole_files_only(kind: str, number: int, code: int, tmp_path: Path) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    suffix = ".vaec" if kind == "encode" else ".png"  # of a.png.vaec, too
    root.mkdir()
    for i in range(60):
        if kind == "encode":
            Image.fromarray(generated_picture(400, 400, i)).save(root / f"{i}.png", compress_level=1)
        else:
            (root / f"{i}.vaec").write_bytes((TINY.parent / "fast-2341a3a8-q95.vaec").read_bytes())
    command = [sys.executable, "-m", "vaecodec", kind, str(root), "-o", str(out), "--jobs", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(out.glob(f"*{suffix}")):
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(number)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == code, message
    assert "Traceback" not in message
    assert {path.suffix for path in out.iterdir()} == {suffix, ".jsonl"}
    assert len(list(out.glob(f"*{suffix}"))) < 60
    resumed = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert len(list(out.glob(f"*{suffix}"))) == 60


STUCK_IN_WRITING = """
import sys, time
from vaecodec.system import output
from vaecodec.cli import main

def write_half(path, data, like, write=output.write_new):
    write(path, data[: len(data) // 2], like)
    for _ in range(1200):  # Python overlooks a signal that comes just before a sleep begins, until that ends
        time.sleep(0.05)

output.write_new = write_half
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("kind", ["encode", "decode"])
def test_a_signal_to_all_processes_leaves_no_temporary_file(number: int, kind: str, tmp_path: Path) -> None:
    """As when a terminal is closed or a scheduler stops a job, while workers hold half-written files."""
    root, out, script = tmp_path / "in", tmp_path / "out", tmp_path / "stuck.py"
    root.mkdir()
    script.write_text(STUCK_IN_WRITING)  # spawned workers run it, too, as a module
    for i in range(4):
        if kind == "encode":
            Image.fromarray(generated_picture(40, 40, i)).save(root / f"{i}.png")
        else:
            (root / f"{i}.vaec").write_bytes((TINY.parent / "tiny-32x32.vaec").read_bytes())
    command = [sys.executable, script, kind, root, "-o", out, "--jobs", "2", "--model", TINY]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True, start_new_session=True)
    while len(list(out.glob(".*.partial"))) < 2:
        time.sleep(0.05)
        assert process.poll() is None
    os.killpg(process.pid, number)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number, message
    assert "Traceback" not in message
    assert [path.name for path in out.iterdir()] == ["manifest.jsonl"]


def test_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in "ab":
        Image.fromarray(generated_picture(60, 80)).save(tmp_path / f"in/{name}.png")
    command = [
        "nohup",
        sys.executable,
        "-m",
        "vaecodec",
        "encode",
        tmp_path / "in",
        "-o",
        tmp_path / "out",
        "--jobs",
        "2",
    ]
    process = subprocess.Popen(
        [*map(str, command), "--model", str(TINY)], stderr=subprocess.PIPE, start_new_session=True
    )
    while not (tmp_path / "out/manifest.jsonl").exists():
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGHUP)
    assert process.wait(60) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.png.vaec", "b.png.vaec", "manifest.jsonl"}


def pictures(folder: Path, count: int, side: int = 60) -> Path:
    folder.mkdir(exist_ok=True)
    for i in range(count):
        Image.fromarray(generated_picture(side, side, i)).save(folder / f"{i:03}.png", compress_level=1)
    return folder


def test_killed_workers_lose_nothing(tmp_path: Path) -> None:
    """As the system kills when memory runs out: their work is done again."""
    root, out = pictures(tmp_path / "in", 40, 200), tmp_path / "out"
    task = Task("encode", ".vaec", codec={"model": str(TINY), "threads": 1})
    seen = []

    def kill(entry: dict) -> None:
        seen.append(entry)
        if len(seen) in (3, 9, 20):
            multiprocessing.active_children()[0].kill()

    assert run_jobs(make_plan(root, out, task, False), task, out, 2, kill) == []
    assert len(seen) == len(list(out.glob("*.vaec"))) == 40
    assert not multiprocessing.active_children()


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_one_worker_may_die_too(tmp_path: Path) -> None:
    """With --jobs 1, too, a worker is a separate process: the run survives its death."""
    root, out = pictures(tmp_path / "in", 12, 300), tmp_path / "out"
    command = [sys.executable, "-m", "vaecodec", "encode", root, "-o", out, "--jobs", "1", "--model", TINY]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True)
    while not list(out.glob("*.vaec")):
        time.sleep(0.02)
    for child in children(process.pid):
        if b"multiprocessing.spawn" in (Path("/proc") / str(child) / "cmdline").read_bytes():
            os.kill(child, signal.SIGKILL)
    message = process.communicate(timeout=60)[1]
    assert (process.returncode, len(list(out.glob("*.vaec")))) == (0, 12), message


class Deadly:
    """A task that ends its process, or that cannot start."""

    def __init__(self, message: str = "") -> None:
        if message == "die":
            os._exit(1)
        if message:
            raise ModelError(message)

    def __call__(self, job: str) -> str:
        if job.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if job.startswith("exit"):
            sys.exit(3)
        return f"{job} done"


def test_a_job_that_kills_its_workers_is_given_up() -> None:
    jobs = ["a", "kill 1", "b", "exit", "c", "kill 2", "d"]
    results = list(Crew[str, str](2, Deadly).run(jobs, lambda job: f"{job} given up"))
    assert sorted(results) == [
        "a done", "b done", "c done", "d done", "exit given up", "kill 1 given up", "kill 2 given up"
    ]  # fmt: skip
    assert not multiprocessing.active_children()


class Say:
    """Builds a Deadly with a message, in the worker."""

    def __init__(self, message: str) -> None:
        self.message = message

    def __call__(self) -> Callable[[str], str]:
        return Deadly(self.message)


def test_workers_that_do_not_start_are_one_line() -> None:
    with pytest.raises(VaecodecError, match="no worker process starts"):
        list(Crew[str, str](2, Say("die")).run(["a"], str))
    with pytest.raises(ModelError, match="no such model"):
        list(Crew[str, str](2, Say("no such model")).run(["a"], str))
    assert not multiprocessing.active_children()


def children(process: int) -> set[int]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == process:
                found.add(int(folder.name))
        except OSError:
            continue  # has ended meanwhile
    return found


def alive(process: int) -> bool:
    try:
        return (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """A killed parent cannot tell its workers. They end by themselves, and leave whole files or none."""
    root, out = pictures(tmp_path / "in", 60, 400), tmp_path / "out"
    command = [sys.executable, "-m", "vaecodec", "encode", str(root), "-o", str(out), "--jobs", "2"]
    process = subprocess.Popen([*command, "--model", str(TINY)], stderr=subprocess.DEVNULL)
    while len(list(out.glob("*.vaec"))) < 3:
        time.sleep(0.02)
    workers = children(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.wait()
    until = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, workers))
    done = list(out.glob("*.vaec"))
    assert len(done) < 60
    assert not list(out.glob(".*.partial"))


def test_a_torn_line_of_the_manifest_swallows_nothing(tmp_path: Path) -> None:
    root, out = pictures(tmp_path / "in", 2), tmp_path / "out"
    out.mkdir()
    (out / "manifest.jsonl").write_text('{"source": "in/000.png", "target": "out/0')
    command = [sys.executable, "-m", "vaecodec", "encode", str(root), "-o", str(out), "--jobs", "1"]
    subprocess.run([*command, "--model", str(TINY)], check=True, capture_output=True)
    torn, *lines = (out / "manifest.jsonl").read_text().splitlines()
    assert [Path(json.loads(line)["target"]).name for line in lines] == ["000.png.vaec", "001.png.vaec"]
    assert torn.endswith("out/0")
    again = subprocess.run([*command, "--resume", "--model", str(TINY)], capture_output=True, text=True)
    assert "0 of 2 files, 2 skipped" in again.stderr


def test_a_manifest_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    root, out = pictures(tmp_path / "in", 1), tmp_path / "out"
    out.mkdir()
    (out / "manifest.jsonl").write_text('{"file": "a.png", "label": 3}\n')
    command = [sys.executable, "-m", "vaecodec", "encode", str(root), "-o", str(out), "--jobs", "1"]
    run = subprocess.run([*command, "--model", str(TINY)], capture_output=True, text=True)
    assert (run.returncode, run.stderr.count("\n")) == (1, 1)
    assert "manifest.jsonl is no manifest of vaecodec" in run.stderr
    assert [path.name for path in out.iterdir()] == ["manifest.jsonl"]
