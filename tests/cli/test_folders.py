"""Folders: mirrored trees, manifests, bad images, restarts."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from commands import manifest, vaecodec
from PIL import Image


def test_there_and_back(tree: Path, tmp_path: Path) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    run = vaecodec("encode", tree, "-o", out, "-r", "--jobs", 2, "-q", 70)
    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines()[0] == "left out (no image by its suffix): notes.txt"
    assert len(run.stderr.splitlines()) == 2
    assert "5 of 5 files, 1 left out, " in run.stderr
    files = {str(path.relative_to(out)) for path in out.rglob("*.vaec")}
    assert files == {"a.png.vaec", "b.JPG.vaec", "deep/c.png.vaec", "deep/c.webp.vaec", "deep/er/d.png.vaec"}
    entries = manifest(out)
    assert {Path(entry["target"]).stat().st_size for entry in entries} == {entry["bytes_out"] for entry in entries}
    assert all(entry["bpp"] == round(entry["bytes_out"] * 8 / 4800, 4) for entry in entries)
    assert vaecodec("decode", out, back, "-r", "--suffix", ".webp").returncode == 0
    assert np.asarray(Image.open(back / "deep/er/d.webp")).shape == (60, 80, 3)
    assert len(list(back.rglob("*.webp"))) == 5
    # The same bytes as one file at a time.
    single = tmp_path / "single.vaec"
    assert vaecodec("encode", tree / "a.png", single, "-q", 70).returncode == 0
    assert single.read_bytes() == (out / "a.png.vaec").read_bytes()


def test_without_recursion_subfolders_are_left_alone(tree: Path, tmp_path: Path) -> None:
    assert vaecodec("encode", tree, tmp_path / "out", "--jobs", 1).returncode == 0
    assert {path.name for path in (tmp_path / "out").rglob("*.vaec")} == {"a.png.vaec", "b.JPG.vaec"}


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


@pytest.mark.parametrize("jobs", [1, 2])
def test_cases_that_ended_whole_runs(jobs: int, tmp_path: Path) -> None:
    """Images whose readers raise unexpected errors, or whose headers lie; also with --resume."""
    cases, root, out = Path(__file__).parents[1] / "cases", tmp_path / "in", tmp_path / "out"
    root.mkdir()
    for name in ("damaged.avif", "exif_type_error.jpg", "exif_struct_error.webp", "multipage_cut.tif", "small.png"):
        (root / name).write_bytes((cases / name).read_bytes())
    (root / "z.png").write_bytes((cases / "small.png").read_bytes())
    (root / "sparse.webp").write_bytes(b"RIFF\xff\xff\xff\x7fWEBPVP8 ")
    os.truncate(root / "sparse.webp", 3 << 30)
    for resume in ([], ["--resume"]):
        run = vaecodec("encode", root, "-o", out, "--jobs", jobs, *resume)
        assert run.returncode == 1
        failed = [line.split(": ")[1] for line in run.stderr.splitlines() if line.startswith("vaecodec: ")]
        assert sorted(Path(name).name for name in failed) == ["damaged.avif", "sparse.webp"]
        assert len(list(out.glob("*.vaec"))) == 5


def test_resume_skips_what_is_done_and_nothing_is_overwritten_unasked(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert vaecodec("encode", tree, "-o", out, "-r").returncode == 0
    (out / "a.png.vaec").write_bytes(b"VAEC mine")
    (out / "b.JPG.vaec").unlink()
    run = vaecodec("encode", tree, "-o", out, "-r", "--resume")
    assert run.returncode == 0, run.stderr
    assert "1 of 5 files, 4 skipped" in run.stderr
    assert (out / "a.png.vaec").read_bytes() == b"VAEC mine"
    again = vaecodec("encode", tree, "-o", out, "-r")
    assert again.returncode == 1
    assert again.stderr.count("exists already") == 5
    assert vaecodec("encode", tree, "-o", out, "-r", "-f").returncode == 0
    assert (out / "a.png.vaec").stat().st_size > 50


def test_usage(tree: Path, tmp_path: Path) -> None:
    assert vaecodec("encode", tree).returncode == 2
    assert vaecodec("decode", tree, tmp_path / "x", "--region", "0,0,1,1").returncode == 2
    (tmp_path / "file").write_text("")
    assert vaecodec("encode", tree, "-o", tmp_path / "file").returncode == 1
    (tmp_path / "empty").mkdir()
    nothing = vaecodec("encode", tmp_path / "empty", tmp_path / "out")
    assert (nothing.returncode, nothing.stderr) == (1, f"vaecodec: nothing to encode in {tmp_path / 'empty'}\n")
    assert not (tmp_path / "out").exists()


def test_stale_temporary_files_are_removed(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    old, new, foreign = (
        out / f".{name}.partial" for name in ("a.png.vaec.0a1b2c3d", "b.JPG.vaec.0a1b2c3d", "x.vaec.0a1b2c3d")
    )
    for path in (old, new, foreign):
        path.write_bytes(b"half")
    for path in (old, foreign):
        os.utime(path, (time.time() - 1000,) * 2)
    assert vaecodec("encode", tree, "-o", out, "--jobs", 1).returncode == 0
    assert {path.name for path in out.iterdir()} == {
        "a.png.vaec",
        "b.JPG.vaec",
        "manifest.jsonl",
        new.name,
        foreign.name,
    }


def test_verify_says_how_near_each_file_is(tree: Path, tmp_path: Path) -> None:
    squares = np.indices((64, 64)).sum(0) // 4 % 2 * 255
    Image.fromarray(squares.astype(np.uint8)).save(tree / "squares.png")
    run = vaecodec("encode", tree, "-o", tmp_path / "out", "--verify", "-v", "--jobs", 1, "-q", 100)
    assert run.returncode == 0, run.stderr
    entries = {Path(entry["source"]).name: entry for entry in manifest(tmp_path / "out")}
    assert entries["squares.png"]["lossless"]
    original = np.asarray(Image.open(tree / "a.png")).astype(float)
    assert vaecodec("decode", tmp_path / "out/a.png.vaec", tmp_path / "a.png").returncode == 0
    error = np.square(np.asarray(Image.open(tmp_path / "a.png")) - original).mean()
    assert abs(10 * np.log10(255**2 / error) - entries["a.png"]["psnr"]) < 0.01
    assert f"PSNR {entries['a.png']['psnr']:.2f} dB" in run.stderr
    assert "lossless" in run.stderr
    assert " to " in run.stderr.splitlines()[-1]


def test_bits_a_pixel_are_those_of_the_file_at_any_scale(tree: Path, tmp_path: Path) -> None:
    assert vaecodec("encode", tree, "-o", tmp_path / "out", "--jobs", 1).returncode == 0
    assert vaecodec("decode", tmp_path / "out", "-o", tmp_path / "back", "--scale", "1/2", "--jobs", 1).returncode == 0
    for coded, decoded in zip(manifest(tmp_path / "out"), manifest(tmp_path / "back"), strict=True):
        assert decoded["bpp"] == coded["bpp"]
        assert (decoded["width"], decoded["height"]) == (40, 30)
