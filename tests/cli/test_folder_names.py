"""Folders: which files are processed, how outputs are named, and what is reported as left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from make_golden import TINY
from pictures import generated_picture
from PIL import Image

from vaecodec import folders
from vaecodec.errors import VaecodecError
from vaecodec.folders import Plan, Task, make_plan, run_jobs
from vaecodec.system.naming import decoded_name, decoded_names

ENCODE = Task("encode", ".vaec", codec={"model": str(TINY), "threads": 1})
DECODE = Task("decode", ".png", codec={"model": str(TINY), "threads": 1})


def vaecodec(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "vaecodec", *map(str, arguments), "--jobs", "1", "--model", str(TINY)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd)


def make(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generated_picture(40, 50 + number, number)).save(path)
    return folder


def names(folder: Path) -> set[str]:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return found - {"manifest.jsonl"}


def test_names_that_met_are_told_apart(tmp_path: Path) -> None:
    root, out, back = (
        make(tmp_path / "in", "a.png", "a.jpg", "a.png.webp", "b.jpg"),
        tmp_path / "out",
        tmp_path / "back",
    )
    assert vaecodec("encode", root, "-o", out).returncode == 0
    assert names(out) == {"a.png.vaec", "a.jpg.vaec", "a.png.webp.vaec", "b.jpg.vaec"}
    assert vaecodec("decode", out, "-o", back).returncode == 0
    # a.png is what two would be called; a.png.png what the third would be called then.
    assert names(back) == {"a.png.png", "a.jpg.png", "a.png.webp.png", "b.png"}
    for name in names(root):
        shown = back / ("b.png" if name == "b.jpg" else f"{name}.png")
        assert Image.open(shown).size == Image.open(root / name).size


@pytest.mark.parametrize(
    ("coded", "decoded"),
    [
        ("a.vaec", "a.png"),
        ("a.png.vaec", "a.png"),
        ("deep/a.JPEG.VAEC", "deep/a.png"),
        ("v1.2.vaec", "v1.2.png"),  # no suffix of an image
        ("2024.12.31 Mr. X.heic.vaec", "2024.12.31 Mr. X.png"),
        (".png.vaec", ".png.png"),
    ],
)
def test_decoded_names(coded: str, decoded: str) -> None:
    assert decoded_name(coded, ".png") == decoded


def test_no_two_decoded_names_are_equal() -> None:
    coded = ["a.vaec", "a.png.vaec", "a.png.png.vaec", "a.jpg.vaec", "a.jpg.png.vaec", "x/a.vaec", "b.jpg.vaec"]
    chosen = decoded_names(coded, ".png")
    assert len(set(chosen.values())) == len(coded)
    assert (chosen["x/a.vaec"], chosen["b.jpg.vaec"]) == ("x/a.png", "b.png")


def test_a_name_does_not_depend_on_what_arrives_later(tmp_path: Path) -> None:
    root, out = make(tmp_path / "in", "a.png"), tmp_path / "out"
    assert vaecodec("encode", root, "-o", out).returncode == 0
    first = (out / "a.png.vaec").read_bytes()
    make(root, "a.jpg")
    assert vaecodec("encode", root, "-o", out, "--resume").returncode == 0
    assert names(out) == {"a.png.vaec", "a.jpg.vaec"}
    assert (out / "a.png.vaec").read_bytes() == first


def test_single_files_decode_to_the_same_names(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    assert vaecodec("encode", tmp_path, "-o", tmp_path).returncode == 0
    assert vaecodec("decode", "a.jpg.vaec", cwd=tmp_path).returncode == 0
    assert vaecodec("decode", "a.jpg.vaec", "--suffix", "webp", cwd=tmp_path).returncode == 0
    assert names(tmp_path) == {"a.jpg", "a.jpg.vaec", "a.png", "a.webp"}


def test_input_and_output_may_be_one_folder(tmp_path: Path) -> None:
    make(tmp_path / "p", "a.png", "b.jpg")
    for out in ("p", "./p/", tmp_path / "p"):
        run = vaecodec("encode", "p", "-o", out, "--resume", cwd=tmp_path)
        assert run.returncode == 0, run.stderr
        assert "left out" not in run.stderr  # its own outputs
    assert names(tmp_path / "p") == {"a.png", "b.jpg", "a.png.vaec", "b.jpg.vaec"}
    before = (tmp_path / "p/a.png").read_bytes()
    run = vaecodec("decode", "p", "-o", "p", cwd=tmp_path)
    assert run.returncode == 1  # b.png is new, a.png the original
    assert "p/a.png exists already and may be the original: name another output" in run.stderr
    assert (tmp_path / "p/a.png").read_bytes() == before
    assert names(tmp_path / "p") == {"a.png", "b.jpg", "a.png.vaec", "b.jpg.vaec", "b.png"}


def test_the_output_folder_around_or_within_the_input(tmp_path: Path) -> None:
    make(tmp_path / "p", "a.png")
    assert "1 of 1 files" in vaecodec("encode", "p", "-o", ".", cwd=tmp_path).stderr
    assert (tmp_path / "a.png.vaec").exists()
    assert "1 of 1 files" in vaecodec("encode", "p", "-o", "p/v", "-r", cwd=tmp_path).stderr
    make(tmp_path / "p/v", "of-another-time.png")
    again = vaecodec("encode", "p", "-o", "p/v", "-r", "--resume", cwd=tmp_path)
    assert "left out (the output folder): v\n" in again.stderr
    assert "0 of 1 files, 1 skipped" in again.stderr
    decode = vaecodec("decode", "p/v", "-o", "p", cwd=tmp_path)
    assert (decode.returncode, "p/a.png exists already" in decode.stderr) == (1, True)
    (tmp_path / "p/a.png").unlink()
    assert vaecodec("decode", "p/v", "-o", "p", cwd=tmp_path).returncode == 0
    assert (tmp_path / "p/a.png").exists()


def test_nothing_to_do_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("no image")
    make(tmp_path / "nested", "deep/a.png")
    for kind, folder, said in (
        ("encode", "empty", ""),
        ("encode", "texts", "left out (no image by its suffix): a.txt"),
        ("encode", "nested", "left out (a folder, and subfolders were not asked for): deep"),
        ("decode", "texts", "left out (no .vaec file by its name): a.txt"),
    ):
        for out in ("out", folder):
            run = vaecodec(kind, folder, "-o", out, cwd=tmp_path)
            assert run.returncode == 1
            *notes, last = run.stderr.splitlines()
            assert last == f"vaecodec: nothing to {kind} in {folder}"
            assert notes == [said] * bool(said)
        quiet = vaecodec(kind, folder, "-o", "out", "-Q", cwd=tmp_path)
        assert (quiet.returncode, quiet.stderr) == (1, f"{last}\n")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.rglob("manifest.jsonl"))


def test_every_kind_that_single_files_accept(tmp_path: Path) -> None:
    kinds = ["jfif", "jpe", "tga", "qoi", "pnm", "apng", "dib", "jp2", "pgm", "pcx", "sgi", "TIF", "icb", "im", "dds"]
    kinds = [kind for kind in kinds if f".{kind.lower()}" in Image.registered_extensions()]  # of this Pillow
    assert len(kinds) > 12
    make(tmp_path / "in", *(f"x.{kind}" for kind in kinds))
    (tmp_path / "in/x.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "in/x.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0")
    plan = make_plan(tmp_path / "in", tmp_path / "out", ENCODE, False)
    assert run_jobs(plan, ENCODE, tmp_path / "out", 0) == []
    assert names(tmp_path / "out") == {f"x.{kind}.vaec" for kind in kinds}
    assert plan.left_out == {"no image by its suffix": ["x.eps", "x.pdf"]}


def test_plugins_that_are_installed_count(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    pytest.importorskip("pillow_jxl")
    make(tmp_path / "in", "a.heic", "b.jxl", "c.png")
    run = vaecodec("encode", tmp_path / "in", "-o", tmp_path / "out")
    assert "3 of 3 files," in run.stderr, run.stderr
    for name in ("a.heic", "b.jxl"):  # and one at a time
        assert vaecodec_single("encode", tmp_path / "in" / name, tmp_path / "single.vaec", "-f").returncode == 0
        assert (tmp_path / "single.vaec").read_bytes() == (tmp_path / f"out/{name}.vaec").read_bytes()


def vaecodec_single(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "vaecodec", *map(str, arguments), "--model", str(TINY)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_plugins_that_are_not_installed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "readable_suffixes", lambda: {".png"})
    make(tmp_path, "c.png")
    (tmp_path / "a.HEIC").write_bytes(b"heic")
    plan = make_plan(tmp_path, tmp_path / "out", ENCODE, False)
    assert plan.left_out == {"needs pillow-heif, which is not installed": ["a.HEIC"]}


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of Unix")
def test_what_is_left_out_is_listed_with_the_reason(tmp_path: Path) -> None:
    root = make(tmp_path / "in", "a.png", ".git/objects/x.png", ".hidden.png", "sub/c.png", "sub/.cache/d.png")
    (root / "old.vaec").write_bytes(b"VAEC")
    (root / "broken.png").symlink_to("nothing.png")
    (root / "loop.png").symlink_to("loop.png")
    (root / "link.png").symlink_to("a.png")
    (root / "sub/up").symlink_to("..")
    os.mkfifo(root / "fifo.png")  # which nobody writes to: reading it would never end
    for i in range(30):
        (root / f"{i:02}.txt").write_text("")
    run = vaecodec("encode", root, "-o", tmp_path / "out", "-r")
    assert run.returncode == 0, run.stderr
    assert names(tmp_path / "out") == {"a.png.vaec", "link.png.vaec", "sub/c.png.vaec"}
    *lines, summary = run.stderr.splitlines()
    assert sorted(lines) == [
        "left out (a .vaec file already): old.vaec",
        "left out (a link to a folder): sub/up",
        "left out (a link to nothing): broken.png, loop.png",
        "left out (hidden): .git, .hidden.png, sub/.cache",
        f"left out (no image by its suffix): {', '.join(f'{i:02}.txt' for i in range(10))} and 20 more",
        "left out (no regular file): fifo.png",
    ]
    assert "3 of 3 files, 38 left out, " in summary


def test_a_folder_that_cannot_be_listed_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, scan = make(tmp_path / "in", "a.png", "closed/b.png"), os.scandir

    def closed(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    plan = make_plan(root, tmp_path / "out", ENCODE, True)
    failures = run_jobs(plan, ENCODE, tmp_path / "out", 0)
    assert failures == [{"source": str(root / "closed"), "error": "cannot be listed: Permission denied"}]
    assert names(tmp_path / "out") == {"a.png.vaec"}
    with pytest.raises(VaecodecError, match=r"cannot list .*closed: Permission denied"):
        make_plan(root / "closed", tmp_path / "out", ENCODE, True)


def test_a_folder_that_ignores_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that differ only in case are errors there; nothing is overwritten."""
    root, out = make(tmp_path / "in", "A.png", "a.PNG", "b.png"), tmp_path / "out"
    plan = make_plan(root, out, ENCODE, False)
    if len(plan.jobs) == 3:
        monkeypatch.setattr(folders, "_same_file", lambda *_: True)
        failures = run_jobs(plan, ENCODE, out, 0)
        assert [Path(entry["source"]).name for entry in failures] == ["a.PNG"]
        assert names(out) == {"A.png.vaec", "b.png.vaec"}
        monkeypatch.undo()
        assert run_jobs(Plan([job for job in plan.jobs if job.name == "a.PNG"]), ENCODE, out, 0) == []


def test_notes_reach_the_manifest_and_the_user(tmp_path: Path) -> None:
    frames = [Image.fromarray(generated_picture(40, 50, seed)) for seed in range(2)]
    (tmp_path / "in").mkdir()
    for i in range(12):
        frames[0].save(tmp_path / f"in/{i:02}.gif", save_all=True, append_images=frames[1:])
    make(tmp_path / "in", "still.png")
    run = vaecodec("encode", tmp_path / "in", "-o", tmp_path / "out")
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("note: ")]
    assert line.startswith("note: only the first frame is kept: ")
    assert line.endswith("09.gif and 2 more")
    assert "note" not in vaecodec("encode", tmp_path / "in", "-o", tmp_path / "out", "-f", "-Q").stderr
    entries = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()[:13]]
    with_notes = {Path(entry["source"]).name for entry in entries if "notes" in entry}
    assert with_notes == {f"{i:02}.gif" for i in range(12)}
    assert entries[0]["notes"] == ["only the first frame is kept"]


@pytest.mark.parametrize("suffix", ["png", ".webp", "JPG"])
def test_suffixes_with_and_without_a_dot(suffix: str, tmp_path: Path) -> None:
    make(tmp_path / "in", "a.png")
    assert vaecodec("encode", tmp_path / "in", "-o", tmp_path / "coded").returncode == 0
    run = vaecodec("decode", tmp_path / "coded", "-o", tmp_path / "out", "--suffix", suffix)
    assert run.returncode == 0, run.stderr
    assert names(tmp_path / "out") == {f"a.{suffix.removeprefix('.')}"}


@pytest.mark.parametrize("suffix", ["xyz", ".vaec", "../x.png", "", ".", "h5", "p/ng", "tar.png"])
def test_suffixes_of_nothing_are_usage_errors(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    run = vaecodec("decode", tmp_path / "in", "-o", tmp_path / "out", "--suffix", suffix)
    assert (run.returncode, "Traceback" in run.stderr) == (2, False)
    assert "images cannot be written with suffix" in run.stderr
