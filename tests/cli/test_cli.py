"""The command line as users meet it: real processes, exit codes, one-line errors, no partial files."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import generated_picture
from PIL import Image

from vaecodec.bitstream.container import read_container
from vaecodec.cli.printing import size_in_words
from vaecodec.system.files import Source


def vaecodec(*arguments: object, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "vaecodec", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, timeout=120)


def ok(*arguments: object, **options: object) -> subprocess.CompletedProcess:
    result = vaecodec(*arguments, **options)
    assert result.returncode == 0, result.stderr
    return result


def fails(*arguments: object, code: int = 1, **options: object) -> str:
    """Run the command, check its exit code and that stderr has exactly one line, and return that line."""
    result = vaecodec(*arguments, **options)
    message = result.stderr.decode()
    assert result.returncode == code, (result.returncode, message)
    assert "Traceback" not in message
    if code == 1:
        assert len(message.strip().splitlines()) == 1, message
        assert message.startswith("vaecodec: ")
    return message


@pytest.fixture
def coded(picture_file: Path) -> Path:
    ok("encode", picture_file)
    return picture_file.with_suffix(".vaec")


def test_default_names_summary_and_quiet(picture_file: Path, picture: np.ndarray) -> None:
    summary = ok("encode", picture_file, "--verify").stderr.decode()
    path = picture_file.with_suffix(".vaec")
    before, after = picture_file.stat().st_size, path.stat().st_size
    assert summary.startswith(f"{picture_file}: 130x96, {before / 1000:.1f} kB -> {size_in_words(after)} (")
    assert f" ({before / after:.{'0f' if before / after > 10 else '1f'}}x smaller), " in summary
    rate = f"{after * 8 / (130 * 96):.3f} bpp, "
    assert rate in summary
    assert "PSNR" in summary
    assert len(summary.splitlines()) == 1
    picture_file.unlink()
    assert ok("decode", path, "-Q").stderr == b""
    assert rate in ok("decode", path, "other.png", cwd=path.parent).stderr.decode()
    assert np.asarray(Image.open(picture_file)).shape == picture.shape


def test_verify_measures_what_a_gray_file_shows(picture_file: Path, picture: np.ndarray) -> None:
    gray = picture_file.with_name("gray.png")
    Image.fromarray(picture[:, :, 0]).save(gray)
    reported = float(ok("encode", gray, "--verify").stderr.split(b"PSNR ")[1].split()[0])
    ok("decode", gray.with_suffix(".vaec"), "shown.png", cwd=gray.parent)
    shown = np.asarray(Image.open(gray.with_name("shown.png"))).astype(float)
    assert abs(10 * np.log10(255**2 / np.square(shown - picture[:, :, 0]).mean()) - reported) < 0.01


def test_files_named_by_url_are_kept_too(picture_file: Path) -> None:
    kept = picture_file.with_name("kept.vaec")
    kept.write_bytes(b"VAEC kept")
    assert "exists already" in fails("encode", picture_file, kept.as_uri())
    assert "same file" in fails("encode", picture_file, "-o", picture_file.as_uri(), "-f")
    assert kept.read_bytes() == b"VAEC kept"
    ok("encode", picture_file, kept.as_uri(), "-f")
    assert json.loads(ok("info", kept, "--json").stdout)["width"] == 130


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("enc", {"plain,encode"}),
        ("encode ", {"file,"}),
        ("encode photo.png ph", {"file,ph"}),
        ("encode photo.png -o ph", {"file,ph"}),
        ("decode --model fa", {"plain,fast", "plain,fast-ms-ssim", "file,fa"}),
        ("decode --model ./fa", {"file,./fa"}),
        ("decode ./", {"file,./"}),
        ("decode a.vaec ./", {"file,./"}),
        ("info ", {"file,"}),
        ("train --init fa", {"plain,fast", "plain,fast-ms-ssim", "file,fa"}),
        ("encode --backend o", {"plain,onnx"}),
    ],
)
def test_the_shell_completes_files_and_models(words: str, expected: set[str]) -> None:
    line = f"vaecodec {words}"
    environment = {"_VAECODEC_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    command = Path(sys.executable).with_name("vaecodec")
    result = subprocess.run([command], env=os.environ | environment, capture_output=True, text=True)
    assert result.stderr == ""
    assert set(result.stdout.split()) == expected


def test_errors_of_the_system_are_one_line(picture_file: Path) -> None:
    assert "File name too long" in fails("encode", picture_file, "a" * 300)
    assert "File name too long" in fails("decode", "a" * 300)
    assert "ne\nw" not in fails("encode", picture_file.with_name("ne\nw.png"))
    closed = [sys.executable, "-m", "vaecodec", "encode", str(picture_file), "-"]
    result = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *closed], capture_output=True)
    assert (result.returncode, result.stderr) == (1, b"vaecodec: standard output is closed\n")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "wb") as full:
            result = subprocess.run(closed, stdout=full, stderr=subprocess.PIPE)
        assert result.returncode == 1
        assert b"No space left" in result.stderr
        assert b"Traceback" not in result.stderr


def test_pipes(picture_file: Path, picture: np.ndarray) -> None:
    data = ok("encode", "-", "-", "-q", 70, stdin=picture_file.read_bytes()).stdout
    image = Image.open(io.BytesIO(ok("decode", "-", stdin=data).stdout))
    assert image.format == "PNG"
    assert np.asarray(image).shape == picture.shape


@pytest.mark.parametrize(("suffix", "kind"), [(".jpg", "JPEG"), (".webp", "WEBP"), (".PNG", "PNG"), (".tiff", "TIFF")])
def test_format_follows_suffix(coded: Path, suffix: str, kind: str) -> None:
    target = coded.with_name("out" + suffix)
    ok("decode", coded, target)
    assert Image.open(target).format == kind


def test_any_suffix_holds_a_stream(picture_file: Path, tmp_path: Path) -> None:
    ok("encode", picture_file, tmp_path / "out.bin", "-q", "12.5")
    ok("decode", tmp_path / "out.bin", tmp_path / "out.png")


def test_existing_outputs_need_force(coded: Path, picture_file: Path) -> None:
    before = coded.read_bytes()
    assert "exists" in fails("encode", picture_file, "-q", 90)
    assert coded.read_bytes() == before
    ok("encode", picture_file, "-q", 90, "-f")
    assert len(coded.read_bytes()) > len(before)
    assert "same file" in fails("encode", picture_file, "-o", picture_file, "-f")


def test_info_and_models(coded: Path) -> None:
    text = ok("info", coded).stdout.decode()
    assert "130x96 RGB" in text
    assert "latents" in text
    facts = json.loads(ok("info", coded, "--json").stdout)
    assert facts["bytes"] == coded.stat().st_size
    assert "--max-pixels" in fails("info", coded, "--max-pixels", 130 * 96 - 1)
    ok("info", coded, "--max-pixels", 130 * 96)
    models = json.loads(ok("models", "--json").stdout)
    assert models[0]["name"] == "eye"
    assert models[0]["parameters"] > 1e6
    assert models[0]["bpp_range"][0] < models[0]["bpp_range"][1]
    assert models[0]["sha256"] in ok("models").stdout.decode()


def test_model_by_path(picture_file: Path, tmp_path: Path) -> None:
    from vaecodec.model.file import load_model

    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(load_model().path.read_bytes())
    ok("encode", picture_file, tmp_path / "a.vaec", "--model", copy)
    ok("decode", tmp_path / "a.vaec", tmp_path / "a.png", "--model", copy)


def test_metadata_limit(tmp_path: Path, picture: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker" * 10
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    limit = len(exif.tobytes())
    assert "(--max-metadata)" in fails("encode", "a.png", "--max-metadata", limit - 1, cwd=tmp_path)
    ok("encode", "a.png", "--max-metadata", limit, cwd=tmp_path)
    assert "too large" in fails("decode", "a.vaec", "b.png", "--max-metadata", limit - 1, cwd=tmp_path)
    ok("decode", "a.vaec", "b.png", "--max-metadata", limit, cwd=tmp_path)


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiled file of 3 x 2 groups and its decoded image."""
    folder = tmp_path_factory.mktemp("tiled")
    Image.fromarray(generated_picture(240, 380)).save(folder / "a.png")
    ok("encode", "a.png", "--tile", 128, cwd=folder)
    ok("decode", "a.vaec", "whole.png", cwd=folder)
    return folder


def test_region_and_preview_of_a_tiled_file(tiled: Path, tmp_path: Path) -> None:
    whole = np.asarray(Image.open(tiled / "whole.png"))
    region = ok("decode", tiled / "a.vaec", tmp_path / "part.png", "--region", "100,90,150,100")
    assert b"a.vaec: 150x100, " in region.stderr
    assert np.array_equal(np.asarray(Image.open(tmp_path / "part.png")), whole[90:190, 100:250])
    assert "not within" in fails("decode", tiled / "a.vaec", tmp_path / "x.png", "--region", "300,0,81,10")
    ok("decode", tiled / "a.vaec", tmp_path / "small.png", "--scale", "1/8")
    small = np.asarray(Image.open(tmp_path / "small.png")).astype(float)
    mean = whole[:, :376].reshape(30, 8, 47, 8, 3).mean((1, 3))
    assert small.shape == (30, 48, 3)
    assert np.abs(small[:, :47] - mean).mean() < 2


def test_salvage_of_a_damaged_tiled_file(tiled: Path, tmp_path: Path) -> None:
    data = bytearray((tiled / "a.vaec").read_bytes())
    last = read_container(Source(bytes(data)), 1 << 20).groups[5]
    data[last.offset] ^= 1
    bad, out = tmp_path / "bad.vaec", tmp_path / "saved.png"
    bad.write_bytes(data)
    assert "group 5 of 6" in fails("decode", bad, out)
    assert not out.exists()
    message = fails("decode", bad, out, "--salvage", code=3)
    saved, whole = (np.asarray(Image.open(path)) for path in (out, tiled / "whole.png"))
    lost = (saved == 128).all(2)
    share = 100 * lost.mean()
    assert message.splitlines()[-1] == f"vaecodec: lost: 1 of 6 groups (5), {share:.1f} % of the pixels"
    assert lost[128:, 256:].all()
    assert not lost[:90].any()
    assert np.array_equal(saved[~lost], whole[~lost])
    assert b"lost" not in ok("decode", tiled / "a.vaec", out, "--salvage", "-f").stderr


def damaged(data: bytes, kind: str) -> bytes:
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    later = bytearray(data)
    later[4] = 9
    return {
        "empty": b"",
        "truncated": data[:-7],
        "flipped": bytes(flipped),
        "foreign": b"GIF89a" + data,
        "later": bytes(later),
    }[kind]


@pytest.mark.parametrize("kind", ["empty", "truncated", "flipped", "foreign", "later"])
def test_damaged_files(coded: Path, kind: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.vaec"
    bad.write_bytes(damaged(coded.read_bytes(), kind))
    before = set(tmp_path.iterdir())
    fails("decode", bad, tmp_path / "out.png")
    fails("info", bad)
    assert set(tmp_path.iterdir()) == before


def test_bad_inputs(tmp_path: Path, picture_file: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("not an image")
    empty = tmp_path / "empty.png"
    empty.touch()
    zero = tmp_path / "zero.ppm"
    zero.write_bytes(b"P6\n0 5\n255\n")
    before = set(tmp_path.iterdir())
    for source in (tmp_path / "missing.png", text, empty, zero):
        fails("encode", source, tmp_path / "out.vaec")
    fails("encode", "-", "-", stdin=b"junk")
    fails("encode", tmp_path, code=2)
    fails("decode", tmp_path / "missing.vaec")
    assert "limit" in fails("encode", picture_file, "--max-pixels", 100)
    assert "unknown model" in fails("encode", picture_file, "--model", "best")
    assert "no such folder" in fails("encode", picture_file, tmp_path / "none" / "out.vaec")
    assert "folder" in fails("encode", picture_file, tmp_path, "-f", code=2)
    assert set(tmp_path.iterdir()) == before


def test_decompression_bomb(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.vaec"
    bomb.write_bytes(b"VAEC" + bytes([2, 0]) + b"\x80\x80\x40" * 2 + (5000).to_bytes(2, "little") + bytes(12))
    assert "limit" in fails("decode", bomb, tmp_path / "out.png")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_one_line(picture_file: Path) -> None:
    assert "space" in fails("encode", picture_file, "/dev/full", "-f")


def test_usage_errors_exit_2(picture_file: Path) -> None:
    for arguments in (["encode"], ["encode", picture_file, "-q", "101"], ["nonsense"], ["decode", "--nope"]):
        fails(*arguments, code=2)


def test_module_and_help_agree_with_the_commands() -> None:
    text = ok("--help").stdout.decode()
    for command in ("encode", "decode", "info", "models", "train"):
        assert command in text
        assert ok(command, "--help").stdout
    assert ok("--version").stdout.startswith(b"vaecodec")
    assert os.access(Path(sys.executable).with_name("vaecodec"), os.X_OK)
