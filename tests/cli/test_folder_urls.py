"""Folders at URLs: any storage that fsspec reads, with hostile names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import manifest, vaecodec
from make_golden import TINY
from pictures import generated_picture
from PIL import Image

from vaecodec.folders import Job, Task, Worker, make_plan, run_jobs, without_done
from vaecodec.system.listing import unsafe

ENCODE = Task("encode", ".vaec", 70, codec={"model": str(TINY)})


def test_urls(tree: Path) -> None:
    """Storage that fsspec reads, as clusters use it."""
    fsspec = pytest.importorskip("fsspec")
    memory, root = fsspec.filesystem("memory"), "memory://test_urls/in"
    memory.put(f"{tree}/", "/test_urls/in/", recursive=True)
    task = Task("encode", ".vaec", 70, codec={"model": str(TINY)})
    jobs = make_plan(root, f"{root}/coded/", task, True).jobs
    assert (f"{root}/deep/er/d.png", f"{root}/coded/deep/er/d.png.vaec") in {(job.source, job.target) for job in jobs}
    assert {str(job.target) for job in make_plan(root, "memory://out", task, False).jobs} == {
        "memory://out/a.png.vaec",
        "memory://out/b.JPG.vaec",
    }
    entries = [Worker(task)(job) for job in jobs]
    assert [entry["bytes_in"] for entry in entries] == [memory.size(str(job.source)) for job in jobs]
    assert [entry["bytes_out"] for entry in entries] == [memory.size(str(job.target)) for job in jobs]
    assert memory.cat(f"{root}/coded/a.png.vaec")[:4] == b"VAEC"
    assert make_plan(root, f"{root}/coded", task, True).jobs == jobs  # outputs within the input are none
    memory.rm("/test_urls/in/coded/b.JPG.vaec")
    left = without_done(jobs, f"{root}/coded", task)
    assert left == [job for job in jobs if str(job.target).endswith("b.JPG.vaec")]
    gone = Worker(task)(Job(f"{root}/gone.png", "memory://out/gone.vaec"))
    assert gone["error"] == f"cannot read {root}/gone.png: no such file"
    assert make_plan("memory://test_urls/nothing", "memory://out", task, True).count == 0


def in_process(*arguments: str) -> None:
    """Run the command in this process, so that it shares memory://."""
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
    coded = {"a.png.vaec", "b.JPG.vaec", "deep/c.png.vaec", "deep/c.webp.vaec", "deep/er/d.png.vaec"}
    assert names == coded | {"manifest.jsonl"}
    entries = [json.loads(line) for line in memory.cat("/test_command/out/manifest.jsonl").splitlines()]
    assert {entry["target"] for entry in entries} == {f"{root}/out/{name}" for name in coded}  # of both runs
    assert len(entries) == 5
    assert len([name for name in memory.find("/test_command/back") if name.endswith(".webp")]) == 5
    assert list(tmp_path.iterdir()) == [tree]  # nothing in a local folder that looks like the URL
    from vaecodec.errors import VaecodecError

    with pytest.raises(VaecodecError, match="not a folder"):
        in_process("encode", f"{root}/in", "-o", f"{root}/out/manifest.jsonl")
    with pytest.raises(VaecodecError, match="no such file"):
        in_process("encode", f"{root}/none", f"{root}/out2")


def test_file_urls_are_local_folders(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = vaecodec("encode", tree.as_uri(), "-o", out.as_uri(), "-r", "--jobs", 2)
    assert run.returncode == 0, run.stderr
    assert len(manifest(out)) == len(list(out.rglob("*.vaec"))) == 5
    task = Task("encode", ".vaec", codec={"model": TINY.as_uri()})  # and outside the command, as on a cluster
    jobs = make_plan(tree.as_uri(), f"{out.as_uri()}2", task, True).jobs
    (job,) = [job for job in jobs if "/er/" in str(job.source)]
    assert Worker(task)(job)["width"] == 80
    assert (tmp_path / "out2/deep/er/d.png.vaec").is_file()


HOSTILE = {
    "../evil.png": "leads out",
    "../../evil.png": "leads out",
    "x/../../../evil.png": "leads out",
    "/evil.png": "leads out",
    "x//evil.png": "leads out",
    "./x/./evil.png": "leads out",
    "..\\evil.png": "backslash",
    "x\\..\\..\\evil.png": "backslash",
    "C:evil.png": "drive letter",
    "c:/evil.png": "drive letter",
    "nul\0.png": "control characters",
    "line\nend.png": "control characters",
    "\x1b[31mred.png": "control characters",
    "c1\x9b31m.png": "control characters",
    "no\udcfftext.png": "no text",
}


@pytest.mark.parametrize(("name", "why"), HOSTILE.items())
def test_names_that_are_unsafe(name: str, why: str) -> None:
    assert why in str(unsafe(name))


@pytest.mark.parametrize(
    "name", ["a.png", "deep/er/a b.png", "..a/b..png", "写/ü.png", "12:30.png", "~/a.png", "a\u00a0b.png"]
)
def test_names_that_are_safe(name: str) -> None:
    assert unsafe(name) is None


@pytest.mark.parametrize("kind", ["encode", "decode"])
def test_no_name_leads_out_of_the_folder(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Such names are listed as failures; all other files are done."""
    fsspec = pytest.importorskip("fsspec")
    memory, root = fsspec.filesystem("memory"), f"memory://test_hostile_{kind}/in"
    picture = tmp_path / "a.png"
    Image.fromarray(generated_picture(40, 50)).save(picture)
    data = picture.read_bytes() if kind == "encode" else (TINY.parent / "tiny-32x32.vaec").read_bytes()
    suffix = "" if kind == "encode" else ".vaec"
    names = [f"{name}{suffix}" for name in HOSTILE]
    for name in ("good.png", "deep/good.png", ".git/x.png"):
        memory.pipe(f"/test_hostile_{kind}/in/{name}{suffix}", data)
    for name in names:
        with memory.open(f"/test_hostile_{kind}/in/{name}", "wb") as file:  # as it is: S3 keeps such keys, too
            file.write(data)
    work = tmp_path / "deep/er/work"
    work.mkdir(parents=True)
    with pytest.raises(SystemExit) as ended:
        in_process(kind, root, "-o", str(work / "out"), "-r")
    assert ended.value.code == 1
    good = {"out/manifest.jsonl"} | {
        f"out/{name}{'.vaec' * (kind == 'encode')}" for name in ("good.png", "deep/good.png")
    }
    assert {path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file()} == good
    assert {path for path in tmp_path.rglob("*") if path.is_file() and work not in path.parents} == {picture}
    failed = [entry for entry in manifest(work / "out") if "error" in entry]
    assert len(failed) == len(names)
    lines = capsys.readouterr().err
    assert f"2 of {len(names) + 2} files, 1 left out, " in lines
    assert "\x1b" not in lines
    assert "\x9b" not in lines
    assert len(lines.splitlines()) == 2 + len(names)


def test_hostile_names_go_to_urls_neither(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    with memory.open("/test_across/in/../../evil.png", "wb") as file:
        file.write(b"no image")
    plan = make_plan("memory://test_across/in", "memory://test_across/out", ENCODE, True)
    assert (plan.jobs, len(plan.refused)) == ([], 1)
    assert len(run_jobs(plan, ENCODE, "memory://test_across/out", 0)) == 1
    assert [name for name in memory.find("/test_across") if "in" not in name] == ["/test_across/out/manifest.jsonl"]


def test_a_torn_manifest_at_a_url() -> None:
    fsspec = pytest.importorskip("fsspec")
    memory, out = fsspec.filesystem("memory"), "memory://test_torn/out"
    memory.pipe("/test_torn/out/manifest.jsonl", b'{"source": "x", "targ')
    memory.pipe("/test_torn/in/bad.png", b"no image")
    plan = make_plan("memory://test_torn/in", out, ENCODE, True)
    assert len(run_jobs(plan, ENCODE, out, 0)) == 1
    torn, line = memory.cat("/test_torn/out/manifest.jsonl").decode().splitlines()
    assert (torn[-4:], json.loads(line)["source"]) == ("targ", "memory://test_torn/in/bad.png")
