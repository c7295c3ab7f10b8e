"""Targets in the command, for files and folders, in the Pillow plugin and on Ray."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from commands import manifest, refused, run, vaecodec
from make_golden import TINY
from pictures import generated_picture
from PIL import Image

import vaecodec as library
from vaecodec.pillow import FORMAT
from vaecodec.rate_control.metrics import psnr


@pytest.fixture
def pixels() -> np.ndarray:
    return generated_picture(256, 272, 4)


@pytest.fixture
def photo(tmp_path: Path, pixels: np.ndarray) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


def test_files_have_what_was_asked_for_and_the_summary_says_so(photo: Path, pixels: np.ndarray) -> None:
    out = photo.with_suffix(".vaec")
    said = run("encode", photo, out, "--target-size", "2kB", "--verify").stderr.decode()
    size = out.stat().st_size
    assert 1980 <= size <= 2000
    assert f"target 2000 bytes: {size} bytes at quality " in said
    assert len(said.splitlines()) == 1
    said = run("encode", photo, out, "-f", "--target-bpp", "0.2").stderr.decode()
    assert 0.198 <= out.stat().st_size * 8 / (256 * 272) <= 0.2
    assert f"target 0.2 bpp: {out.stat().st_size * 8 / (256 * 272):.4f} bpp at quality " in said
    said = run("encode", photo, out, "-f", "--target-psnr", "30").stderr.decode()
    assert 30 <= psnr(pixels, library.Codec(TINY).decode_array(out)) <= 30.1
    assert "target PSNR 30 dB: 30.0" in said
    assert run("encode", photo, out, "-f", "--target-ms-ssim", "0.9", "-Q").stderr == b""


def test_other_forms_are_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    said = vaecodec("encode", tmp_path / "noise.png", "--target-psnr", 34).stderr
    assert "note: latents reach" in said
    assert "note: kept as a JPEG" in said
    assert psnr(noise, library.Codec().decode_array(tmp_path / "noise.vaec")) >= 34


def test_out_of_reach_writes_nothing_unless_the_nearest_will_do(photo: Path) -> None:
    out = photo.with_suffix(".vaec")
    message = refused("encode", photo, "--target-size", 50)
    assert f"{photo}: the target of 50 bytes is out of reach: quality 1 takes " in message
    assert not out.exists()
    nearest = vaecodec("encode", photo, "--target-size", 50, "--best")
    assert nearest.returncode == 0
    assert "note: the target of 50 bytes is out of reach: quality 1 takes " in nearest.stderr
    assert library.inspect(out)["quality"] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--target-size", "1kB", "-q", "50"], "in place of --quality"),
        (["--target-size", "1kB", "--target-psnr", "30"], "One target at a time"),
        (["--best"], "--best is for a target"),
        (["--target-size", "much"], "a size must be a number of bytes or text like 100kB, not 'much'"),
        (["--target-size", "0"], "from 1 byte"),
        (["--target-bpp", "-1"], "must be a number above 0"),
        (["--target-psnr", "nan"], "must be a number above 0"),
        (["--target-ms-ssim", "1.2"], "at most 1"),
        (["--target-ssimulacra2", "101"], "at most 100"),
    ],
)
@pytest.mark.parametrize("folder", [False, True])
def test_contradictions_are_usage_errors(photo: Path, folder: bool, options: list[str], said: str) -> None:
    source = [photo.parent, "-o", photo.parent / "out"] if folder else [photo]
    result = vaecodec("encode", *source, *options)
    assert result.returncode == 2
    assert said in " ".join(result.stderr.split())
    assert [path.name for path in photo.parent.iterdir()] == ["photo.png"]


def test_ms_ssim_of_small_images_is_a_usage_error(tmp_path: Path) -> None:
    Image.fromarray(generated_picture(160, 300)).save(tmp_path / "a.png")
    result = vaecodec("encode", tmp_path / "a.png", "--target-ms-ssim", 0.9)
    assert result.returncode == 2
    assert "at least 161 pixels a side; this one has 300x160" in result.stderr
    assert not (tmp_path / "a.vaec").exists()


def test_a_target_is_one_of_each_file_of_a_folder(tmp_path: Path) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    for seed in range(3):
        Image.fromarray(generated_picture(256, 260 + seed, seed)).save(root / f"{seed}.png")
    Image.fromarray(generated_picture(8, 8)).save(root / "small.png")
    result = vaecodec("encode", root, "-o", out, "--target-size", 1200, "--jobs", 2)
    assert result.returncode == 0, result.stderr
    for entry in manifest(out):
        if "small" not in entry["source"]:
            assert 1188 <= entry["bytes_out"] <= 1200
            assert entry["reached"].startswith(f"target 1200 bytes: {entry['bytes_out']} bytes at quality ")
    failing = vaecodec("encode", root, "-o", tmp_path / "other", "--target-size", 250, "--jobs", 1)
    assert failing.returncode == 1
    errors = [entry["error"] for entry in manifest(tmp_path / "other") if "error" in entry]
    assert len(errors) == 3
    assert all("250 bytes is out of reach" in error for error in errors)
    assert [path.name for path in (tmp_path / "other").glob("*.vaec")] == ["small.png.vaec"]


def test_pillow_takes_targets(tmp_path: Path, pixels: np.ndarray) -> None:
    image = Image.fromarray(pixels)
    image.save(tmp_path / "a.vaec", target=library.Size("2kB"), model=str(TINY))
    assert 1980 <= (tmp_path / "a.vaec").stat().st_size <= 2000
    for options, said in (
        ({"target": library.Size(2000), "quality": 50}, "in place of a quality"),
        ({"target": library.Size(20)}, "out of reach"),
        ({"target": "2kB"}, "a target must be Size"),
    ):
        with pytest.raises(OSError, match=said):
            image.save(io.BytesIO(), FORMAT, model=str(TINY), **options)


def test_ray_takes_goals(pixels: np.ndarray, tmp_path: Path) -> None:
    pytest.importorskip("ray.data")
    from vaecodec.folders import Job, Task, Worker
    from vaecodec.ray import MANIFEST, Encoder, encode_dataset

    batch = {"image": np.stack([pixels, pixels[::-1]])}
    coded = Encoder(goal=library.Size(2000), model=str(TINY))(batch)
    assert all(1980 <= len(data) <= 2000 for data in coded["vaec"])
    refusing = Encoder(goal=library.Size(20), model=str(TINY))(batch)
    assert all("out of reach" in error for error in refusing["error"])
    with pytest.raises(library.VaecodecError, match="in place of a quality"):
        encode_dataset(tmp_path, tmp_path / "out", 50, goal=library.Size(2000))
    with pytest.raises(library.VaecodecError, match="a target must be"):
        encode_dataset(tmp_path, tmp_path / "out", goal="2kB")
    # What the actors of a data set do with every file.
    Image.fromarray(pixels).save(tmp_path / "a.png")
    worker = Worker(Task("encode", ".vaec", codec={"model": str(TINY)}, goal=library.Size(2000)))
    entry = worker(Job(tmp_path / "a.png", tmp_path / "a.vaec"))
    assert entry["reached"].startswith("target 2000 bytes: ")
    assert "reached" in MANIFEST.names


def test_lazy_names() -> None:
    for name in ("Size", "Bpp", "Psnr", "MsSsim", "Ssimulacra2", "TargetError"):
        assert name in library.__all__
        assert getattr(library, name).__module__ == "vaecodec.targets"
    assert issubclass(library.TargetError, library.VaecodecError)
