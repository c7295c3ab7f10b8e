"""vaecodec compare: measures files of any format against the first one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import run
from pictures import generated_picture
from PIL import Image

from vaecodec.viewer.figures import Shown, likeness


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with one image as a.png, a.jpg and a.vaec."""
    monkeypatch.chdir(tmp_path)
    image = Image.fromarray(generated_picture(170, 210))
    image.save("a.png")
    image.save("a.jpg", quality=50)
    assert run("encode", "a.png", "a.vaec", "-q", 40).returncode == 0
    return tmp_path


def compared(*arguments: object, code: int = 0, **options: object) -> list[dict]:
    result = run("compare", *arguments, "--json", **options)
    assert result.returncode == code, result.stderr
    return json.loads(result.stdout)


def _psnr(one: str, two: str) -> float:
    a, b = (np.asarray(Image.open(path).convert("RGB")).astype(float) for path in (one, two))
    return 10 * np.log10(255**2 / np.square(a - b).mean())


def test_figures_of_every_format(files: Path) -> None:
    first, jpeg, vaec, same = compared("a.png", "a.jpg", "a.vaec", "a.png")
    assert first == {"name": "a.png", "bytes": Path("a.png").stat().st_size, "width": 210, "height": 170} | {
        "bpp": Path("a.png").stat().st_size * 8 / (170 * 210)
    }
    assert jpeg["psnr"] == pytest.approx(_psnr("a.png", "a.jpg"))
    assert (jpeg["bytes"], jpeg["identical"]) == (Path("a.jpg").stat().st_size, False)
    assert run("decode", "a.vaec", "b.png").returncode == 0
    assert vaec["psnr"] == pytest.approx(_psnr("a.png", "b.png"))
    assert 0 < vaec["ms_ssim"] < 1
    assert (same["identical"], same["psnr"], same["ms_ssim"], same["name"]) == (True, None, 1, "a.png (2)")
    functions = pytest.importorskip("pytorch_msssim"), pytest.importorskip("torch")
    a, b = (functions[1].from_numpy(np.array(Image.open(f"a.{kind}"))) for kind in ("png", "jpg"))
    expected = functions[0].ms_ssim(*(x.permute(2, 0, 1)[None].float() for x in (a, b)), data_range=255)
    assert jpeg["ms_ssim"] == pytest.approx(float(expected), abs=1e-4)


def test_a_table_for_people(files: Path) -> None:
    lines = run("compare", "a.png", "a.vaec", text=True).stdout.splitlines()
    assert lines[0] == "210x170 pixels"
    assert lines[1].split("  ")[-3:] == ["SSIMULACRA 2", "MS-SSIM", "PSNR, dB"]
    (vaec,) = compared("a.png", "a.vaec")[1:]
    ratio = Path("a.png").stat().st_size / vaec["bytes"]
    assert lines[3].split()[:4] == ["a.vaec", str(vaec["bytes"]), f"{vaec['bpp']:.3f}", f"{ratio:.1f}x"]
    assert lines[3].split()[-2:] == [f"{vaec['ms_ssim']:.4f}", f"{vaec['psnr']:.2f}"]
    assert len({len(line) for line in lines[1::2]}) == 1


def test_what_cannot_be_compared_does_not_stop_the_rest(files: Path) -> None:
    Image.fromarray(generated_picture(50, 60)).save("small.png")
    Path("text.png").write_text("none")
    arguments = ("compare", "a.png", "small.png", "none.png", "text.png", "a.jpg", "--html", "page.html")
    result = run(*arguments, text=True)
    assert result.returncode == 1
    assert [line.split()[0] for line in result.stdout.splitlines()[2:]] == ["a.png", "a.jpg"]
    errors = [line for line in result.stderr.splitlines() if line.startswith("vaecodec: ")]
    assert [name in line for name, line in zip(("small.png", "none.png", "text.png"), errors, strict=True)] == [
        True
    ] * 3
    assert "60x50 pixels, the first 210x170" in errors[0]
    assert "small.png" not in Path("page.html").read_text()
    assert [entry["name"] for entry in compared("a.png", "small.png", "a.jpg", code=1) if "error" in entry] == [
        "small.png"
    ]


def test_nothing_is_written_where_nothing_can_be_compared(files: Path) -> None:
    Path("cut.vaec").write_bytes(Path("a.vaec").read_bytes()[:-9])
    for arguments in (("a.png", "none.png"), ("none.png", "a.png"), ("a.png", "cut.vaec"), ("a.png", ".")):
        result = run("compare", *arguments, "--html", "page.html", text=True)
        assert (result.returncode, result.stdout) == (1, "")
        assert len(result.stderr.splitlines()) == 1, result.stderr
        assert not Path("page.html").exists()
    assert run("compare", "a.png").returncode == 2
    assert run("compare", "-", "-").returncode == 2


def test_pages_overwrite_neither_images_nor_unasked(files: Path) -> None:
    before = Path("a.jpg").read_bytes()
    assert b"same file" in run("compare", "a.png", "a.jpg", "--html", "a.jpg", "-f").stderr
    assert b"exists already" in run("compare", "a.png", "a.vaec", "--html", "a.jpg").stderr
    assert Path("a.jpg").read_bytes() == before
    for force in ((), ("-f",)):
        assert run("compare", "a.png", "a.jpg", "--html", "page.html", *force).returncode == 0


def test_standard_input_and_turned_images(files: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open("a.png").transpose(Image.Transpose.ROTATE_90).save("turned.png", exif=exif)
    assert compared("a.png", "turned.png")[1]["identical"]
    assert compared("a.png", "-", input=Path("a.jpg").read_bytes())[1]["psnr"] > 20


def _shown(pixels: np.ndarray) -> Shown:
    return Shown(1000, pixels)


def test_colours_that_nobody_sees_do_not_count(picture: np.ndarray) -> None:
    alpha = np.full(picture.shape[:2], 255, np.uint8)
    alpha[:40] = 0
    other = picture.copy()
    other[:40] ^= 255
    pair = (_shown(np.dstack([pixels, alpha])) for pixels in (picture, other))
    assert likeness(*pair).identical
    other[40:] ^= 3
    error = np.square(other[40:].astype(float) - picture[40:]).mean()
    found = likeness(*(_shown(np.dstack([pixels, alpha])) for pixels in (picture, other)))
    assert found.psnr == pytest.approx(10 * np.log10(255**2 / error))


def test_other_alpha_shows_on_the_worse_of_black_and_white() -> None:
    white = np.full((20, 30, 3), 255, np.uint8)
    clear = _shown(np.dstack([white, np.zeros((20, 30), np.uint8)]))
    found = likeness(_shown(white), clear)
    assert not found.identical  # on white they are
    assert found.psnr == 0
    assert "alpha" in found.notes[0]


def test_small_images_and_missing_packages_leave_measures_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ssimulacra2")
    one, two = np.zeros((7, 161, 3), np.uint8), np.ones((7, 161, 3), np.uint8)
    found = likeness(_shown(one), _shown(two))
    assert (found.ms_ssim, found.ssimulacra2) == (None, None)
    assert [note.split(":")[0] for note in found.notes] == ["no MS-SSIM", "no SSIMULACRA 2"]
    one, two = one.repeat(23, 0), two.repeat(23, 0)
    assert likeness(_shown(one), _shown(two)).notes == []
    monkeypatch.setitem(sys.modules, "ssimulacra2", None)
    assert likeness(_shown(one), _shown(two)).notes == ["no SSIMULACRA 2: pip install ssimulacra2"]


def test_other_profiles_are_noted() -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    assert "profile" in likeness(_shown(pixels), Shown(1, pixels, icc=b"profile")).notes[0]
