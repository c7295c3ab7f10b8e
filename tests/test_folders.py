"""Folders: mirrored trees, manifests, bad images, restarts, dead workers."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from make_golden import TINY
from pictures import generated_picture
from PIL import Image

from vaecodec.folders import Job, Task, Worker, find_jobs, run_jobs, without_done


def vaecodec(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "vaecodec", *map(str, arguments), "--model", str(TINY)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    for name in ("a.png", "b.JPG", "deep/c.webp", "deep/er/d.png", "deep/c.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generated_picture(60, 80, len(name))).save(root / name)
    (root / "notes.txt").write_text("no image")
    return root


def manifest(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def test_there_and_back(tree: Path, tmp_path: Path) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    run = vaecodec("encode", tree, "-o", out, "-r", "--jobs", 2, "-q", 70)
    assert run.returncode == 0, run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert "5 of 5 files" in run.stderr
    files = {str(path.relative_to(out)) for path in out.rglob("*.vaec")}
    assert files == {"a.vaec", "b.vaec", "deep/c.png.vaec", "deep/c.webp.vaec", "deep/er/d.vaec"}
    entries = manifest(out)
    assert {Path(entry["target"]).stat().st_size for entry in entries} == {entry["bytes_out"] for entry in entries}
    assert all(entry["bpp"] == round(entry["bytes_out"] * 8 / 4800, 4) for entry in entries)
    assert vaecodec("decode", out, back, "-r", "--suffix", ".webp").returncode == 0
    assert np.asarray(Image.open(back / "deep/er/d.webp")).shape == (60, 80, 3)
    assert len(list(back.rglob("*.webp"))) == 5
    # The same bytes as one file at a time.
    single = tmp_path / "single.vaec"
    assert vaecodec("encode", tree / "a.png", single, "-q", 70).returncode == 0
    assert single.read_bytes() == (out / "a.vaec").read_bytes()


def test_without_recursion_subfolders_are_left_alone(tree: Path, tmp_path: Path) -> None:
    assert vaecodec("encode", tree, tmp_path / "out", "--jobs", 1).returncode == 0
    assert {path.name for path in (tmp_path / "out").rglob("*.vaec")} == {"a.vaec", "b.vaec"}


def test_one_bad_image_does_not_stop_the_rest(tree: Path, tmp_path: Path) -> None:
    (tree / "bad.png").write_bytes(b"\x89PNG no")
    out = tmp_path / "out"
    run = vaecodec("encode", tree, "-o", out, "-r", "--jobs", 2)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("vaecodec: ")
    assert "bad.png" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
    assert len(list(out.rglob("*.vaec"))) == 5
    assert [Path(entry["source"]).name for entry in manifest(out) if "error" in entry] == ["bad.png"]


def test_resume_skips_what_is_done_and_nothing_is_overwritten_unasked(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert vaecodec("encode", tree, "-o", out, "-r").returncode == 0
    (out / "a.vaec").write_bytes(b"mine")
    (out / "b.vaec").unlink()
    run = vaecodec("encode", tree, "-o", out, "-r", "--resume")
    assert run.returncode == 0, run.stderr
    assert "1 of 5 files, 4 skipped" in run.stderr
    assert (out / "a.vaec").read_bytes() == b"mine"
    again = vaecodec("encode", tree, "-o", out, "-r")
    assert again.returncode == 1
    assert again.stderr.count("exists already") == 5
    assert vaecodec("encode", tree, "-o", out, "-r", "-f").returncode == 0
    assert (out / "a.vaec").read_bytes()[:4] == b"VAEC"


def test_usage(tree: Path, tmp_path: Path) -> None:
    assert vaecodec("encode", tree).returncode == 2
    assert vaecodec("encode", tree, tmp_path / "x", "-o", tmp_path / "y").returncode == 2
    assert vaecodec("decode", tree, tmp_path / "x", "--region", "0,0,1,1").returncode == 2
    (tmp_path / "file").write_text("")
    assert vaecodec("encode", tree, tmp_path / "file").returncode == 1
    (tmp_path / "empty").mkdir()
    assert "0 of 0 files" in vaecodec("encode", tmp_path / "empty", tmp_path / "out").stderr


def test_an_output_folder_within_the_input_is_not_encoded_again(tree: Path) -> None:
    task = Task("decode", ".vaec")
    assert find_jobs(tree, tree / "deep", Task("encode", ".vaec"), True) == find_jobs(
        tree, tree / "deep", Task("encode", ".vaec"), False
    )
    assert find_jobs(tree, tree / "out", task, True) == []


def test_urls(tree: Path) -> None:
    """Storage that fsspec knows: what a cluster works on."""
    fsspec = pytest.importorskip("fsspec")
    memory, root = fsspec.filesystem("memory"), "memory://test_urls/in"
    memory.put(f"{tree}/", "/test_urls/in/", recursive=True)
    task = Task("encode", ".vaec", 70, codec={"model": str(TINY)})
    jobs = find_jobs(root, f"{root}/coded/", task, True)
    assert Job(f"{root}/deep/er/d.png", f"{root}/coded/deep/er/d.vaec") in jobs
    assert {str(job.target) for job in find_jobs(root, "memory://out", task, False)} == {
        "memory://out/a.vaec",
        "memory://out/b.vaec",
    }
    entries = [Worker(task)(job) for job in jobs]
    assert [entry["bytes_in"] for entry in entries] == [memory.size(str(job.source)) for job in jobs]
    assert [entry["bytes_out"] for entry in entries] == [memory.size(str(job.target)) for job in jobs]
    assert memory.cat(f"{root}/coded/a.vaec")[:4] == b"VAEC"
    assert find_jobs(root, f"{root}/coded", task, True) == jobs  # outputs within the input are none
    memory.rm("/test_urls/in/coded/b.vaec")
    assert without_done(jobs, f"{root}/coded") == [job for job in jobs if str(job.target).endswith("b.vaec")]
    gone = Worker(task)(Job(f"{root}/gone.png", "memory://out/gone.vaec"))
    assert gone["error"] == f"cannot read {root}/gone.png: no such file"
    assert find_jobs("memory://test_urls/nothing", "memory://out", task, True) == []


def in_process(*arguments: str) -> None:
    """The command in this process, whose memory:// it shares."""
    from vaecodec.cli.main import group

    group.main([*arguments, "--model", str(TINY), "--jobs", "1"], standalone_mode=False)


def test_the_command_takes_folders_at_urls(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory, root = fsspec.filesystem("memory"), "memory://test_command"
    memory.put(f"{tree}/", "/test_command/in/", recursive=True)
    monkeypatch.chdir(tmp_path)
    in_process("encode", f"{root}/in", "-o", f"{root}/out")
    in_process("encode", f"{root}/in", "-o", f"{root}/out", "-r", "--resume")
    in_process("decode", f"{root}/out", f"{root}/back", "-r", "--suffix", ".webp")
    names = {name.removeprefix("/test_command/out/") for name in memory.find("/test_command/out")}
    coded = {"a.vaec", "b.vaec", "deep/c.png.vaec", "deep/c.webp.vaec", "deep/er/d.vaec"}
    assert names == coded | {"manifest.jsonl"}
    entries = [json.loads(line) for line in memory.cat("/test_command/out/manifest.jsonl").splitlines()]
    assert {entry["target"] for entry in entries} == {f"{root}/out/{name}" for name in coded}  # of both runs
    assert len(entries) == 5
    assert len([name for name in memory.find("/test_command/back") if name.endswith(".webp")]) == 5
    assert list(tmp_path.iterdir()) == [tree]  # nothing in a local folder that looks like the URL
    from vaecodec.errors import VaecodecError

    with pytest.raises(VaecodecError, match="not a folder"):
        in_process("encode", f"{root}/in", f"{root}/out/a.vaec")
    with pytest.raises(VaecodecError, match="no such file"):
        in_process("encode", f"{root}/none", f"{root}/out2")


def test_file_urls_are_local_folders(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = vaecodec("encode", tree.as_uri(), "-o", out.as_uri(), "-r", "--jobs", 2)
    assert run.returncode == 0, run.stderr
    assert len(manifest(out)) == len(list(out.rglob("*.vaec"))) == 5
    task = Task("encode", ".vaec", codec={"model": TINY.as_uri()})  # and outside the command, as on a cluster
    (job,) = [job for job in find_jobs(tree.as_uri(), f"{out.as_uri()}2", task, True) if "/er/" in str(job.source)]
    assert Worker(task)(job)["width"] == 80
    assert (tmp_path / "out2/deep/er/d.vaec").is_file()


@pytest.mark.parametrize(
    ("kind", "number", "code"),
    [("encode", signal.SIGINT, 130), ("encode", signal.SIGTERM, 143), ("decode", signal.SIGTERM, 143)],
)
def test_a_signal_leaves_whole_files_only(kind: str, number: int, code: int, tmp_path: Path) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    suffix = ".vaec" if kind == "encode" else ".png"
    root.mkdir()
    for i in range(60):
        if kind == "encode":
            Image.fromarray(generated_picture(400, 400, i)).save(root / f"{i}.png", compress_level=1)
        else:
            (root / f"{i}.vaec").write_bytes((TINY.parent / "fast-q95.vaec").read_bytes())
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
from pathlib import Path
from vaecodec.cli import main

def write_half(self, data, write=Path.write_bytes):
    write(self, data[: len(data) // 2])
    for _ in range(1200):  # Python overlooks a signal that comes just before a sleep begins, until that ends
        time.sleep(0.05)

Path.write_bytes = write_half
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("kind", ["encode", "decode"])
def test_a_signal_to_all_processes_leaves_no_temporary_file(number: int, kind: str, tmp_path: Path) -> None:
    """As when a terminal is closed, or a scheduler stops a job: workers hold half-written files then."""
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


def test_nohup_outlives_its_terminal(tree: Path, tmp_path: Path) -> None:
    command = ["nohup", sys.executable, "-m", "vaecodec", "encode", tree, "-o", tmp_path / "out", "--jobs", "2"]
    process = subprocess.Popen(
        [*map(str, command), "--model", str(TINY)], stderr=subprocess.PIPE, start_new_session=True
    )
    while not (tmp_path / "out/manifest.jsonl").exists():
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGHUP)
    assert process.wait(60) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.vaec", "b.vaec", "manifest.jsonl"}


def test_stale_temporary_files_are_removed(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    old, new, foreign = (out / f".{name}.partial" for name in ("a.vaec.0a1b2c3d", "b.vaec.0a1b2c3d", "x.vaec.0a1b2c3d"))
    for path in (old, new, foreign):
        path.write_bytes(b"half")
    for path in (old, foreign):
        os.utime(path, (time.time() - 1000,) * 2)
    assert vaecodec("encode", tree, "-o", out, "--jobs", 1).returncode == 0
    assert {path.name for path in out.iterdir()} == {"a.vaec", "b.vaec", "manifest.jsonl", new.name, foreign.name}


def kill_self(entry: dict) -> None:
    """Kill the worker processes after the first entry."""
    for worker in multiprocessing.active_children():
        worker.kill()


def test_a_dead_worker_is_one_line(tmp_path: Path) -> None:
    from vaecodec.errors import VaecodecError

    for i in range(40):
        Image.fromarray(generated_picture(200, 200, i)).save(tmp_path / f"{i}.png", compress_level=1)
    task = Task("encode", ".vaec", codec={"model": str(TINY), "threads": 1})
    jobs = find_jobs(tmp_path, tmp_path / "out", task, False)
    with pytest.raises(VaecodecError, match="--resume"):
        run_jobs(jobs, task, tmp_path / "out", 2, kill_self)
