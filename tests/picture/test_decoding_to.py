"""Decoding to what people need: sizes, formats, qualities."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from commands import refused, run
from make_golden import TINY
from pictures import generated_picture
from PIL import Image, ImageCms

import vaecodec as library
from vaecodec.codec.scaling import decode_scaled, parse_scale
from vaecodec.errors import ImageError
from vaecodec.picture import Saving, save_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="module")
def codec() -> library.Codec:
    return library.Codec(TINY, threads=1)


@pytest.fixture(scope="module")
def coded(codec: library.Codec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """203x150 with alpha, EXIF and ICC."""
    picture = generated_picture(150, 203)
    image = Image.fromarray(np.dstack([picture, np.full(picture.shape[:2], 200, np.uint8)]))
    exif = Image.Exif()
    exif[0x010F] = "maker"
    image.info |= {"exif": exif.tobytes(), "icc_profile": SRGB}
    path = tmp_path_factory.mktemp("scaled") / "a.vaec"
    path.write_bytes(codec.encode(image, 80))
    return path


@pytest.mark.parametrize(
    ("text", "factor"), [("1/3", Fraction(1, 3)), ("0.25", Fraction(1, 4)), ("30%", Fraction(3, 10))]
)
def test_scales_as_people_give_them(text: str, factor: Fraction) -> None:
    assert parse_scale(text) == factor


@pytest.mark.parametrize("text", ["2", "1/17", "0", "-1/2", "1/0", "half", "", "nan", "110%", "1e-9"])
def test_other_scales_are_refused(text: str) -> None:
    with pytest.raises(ImageError, match="scale"):
        parse_scale(text)


@pytest.mark.parametrize("factor", [Fraction(1), Fraction(1, 2), Fraction(7, 10), Fraction(1, 9), Fraction(1, 16)])
def test_scaled_images_are_the_whole_image_made_small(codec: library.Codec, coded: Path, factor: Fraction) -> None:
    picture = decode_scaled(codec, coded, factor)
    size = (max(1, round(203 * factor)), max(1, round(150 * factor)))
    assert (picture.width, picture.height) == size
    whole = codec.decode(coded)
    expected = np.asarray(whole.resize(size, Image.Resampling.LANCZOS)).astype(float)
    shown = np.dstack([picture.rgb, picture.alpha]).astype(float)
    inner = np.s_[1:-1, 1:-1]
    # Below an eighth the preview is what is made small: it only nearly is the mean of 8x8 pixels.
    limit = 1e-9 if factor > Fraction(1, 8) else 6
    assert np.abs(shown - expected)[inner].mean() <= limit
    assert picture.icc == SRGB
    assert picture.exif is not None


def test_the_preview_and_kept_pixels_scale_too(codec: library.Codec, coded: Path) -> None:
    eighth = decode_scaled(codec, coded, Fraction(1, 8))
    assert (eighth.width, eighth.height) == (26, 19)
    assert eighth.icc == SRGB
    flat = np.zeros((64, 96, 3), np.uint8)
    flat[:, 40:] = 255
    data = codec.encode(flat, 95)
    assert library.inspect(data)["kept"] == "pixel for pixel"
    half = decode_scaled(codec, data, Fraction(1, 2))
    assert half.rgb.shape == (32, 48, 3)
    assert {0, 255} <= set(half.rgb.ravel().tolist())
    gray = decode_scaled(codec, codec.encode(generated_picture(40, 50)[..., 0], 60), Fraction(1, 2))
    assert (gray.gray, gray.rgb.shape) == (True, (20, 25, 3))


def test_the_command_scales_files_and_folders(coded: Path, tmp_path: Path) -> None:
    for scale, size in (("1/2", (102, 75)), ("10%", (20, 15)), ("0.125", (26, 19))):
        assert run("decode", coded, "-o", tmp_path / "a.png", "-f", "--scale", scale).returncode == 0
        assert Image.open(tmp_path / "a.png").size == size
    arguments = ("--scale", "1/3", "--suffix", "webp", "-q", 60)
    assert run("decode", coded.parent, "-o", tmp_path / "out", *arguments).returncode == 0
    assert Image.open(tmp_path / "out/a.webp").size == (68, 50)
    assert run("decode", coded, "-o", tmp_path / "b.png", "--scale", "3").returncode == 2
    assert run("decode", coded, "-o", tmp_path / "b.png", "--scale", "1/2", "--region", "0,0,8,8").returncode == 2


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif"])
def test_quality_decides_on_the_bytes(suffix: str, coded: Path, tmp_path: Path) -> None:
    sizes = []
    for quality in (20, 60, 95, None):
        target = tmp_path / f"{quality}.{suffix}"
        options = [] if quality is None else ["-q", quality]
        assert run("decode", coded, "-o", target, *options).returncode == 0
        sizes.append(target.stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2] == sizes[3]


def test_without_loss_where_the_format_can(codec: library.Codec, coded: Path, tmp_path: Path) -> None:
    assert run("decode", coded, "-o", tmp_path / "a.webp", "--lossless").returncode == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.webp")), codec.decode_array(coded))
    for suffix in ("jpg", "png", "avif"):
        assert "has no option lossless" in refused("decode", coded, "-o", tmp_path / f"b.{suffix}", "--lossless")
    assert "has no quality" in refused("decode", coded, "-o", tmp_path / "b.png", "-q", 50)
    assert run("decode", coded, "-o", tmp_path / "b.webp", "--lossless", "-q", 50).returncode == 2
    assert not list(tmp_path.glob("b.*"))


def test_png_levels(coded: Path, tmp_path: Path) -> None:
    """Quick unless more is asked for; the pixels are the same."""
    sizes = {}
    for level in (None, 0, 1, 9):
        target = tmp_path / f"{level}.png"
        assert run("decode", coded, "-o", target, *([] if level is None else ["--png-level", level])).returncode == 0
        sizes[level] = target.stat().st_size
        assert np.array_equal(np.asarray(Image.open(target)), np.asarray(Image.open(tmp_path / "None.png")))
    assert sizes[0] > sizes[1] == sizes[None] > sizes[9]


def test_gif_says_that_it_loses_colours() -> None:
    data, notes = save_image(Image.fromarray(generated_picture(64, 64)), ".gif")
    assert notes == ["GIF has 256 colours at most: the others became the nearest of these"]
    assert Image.open(io.BytesIO(data)).size == (64, 64)
    assert save_image(Image.new("RGB", (9, 9), "red"), ".gif")[1] == []
    assert save_image(Image.new("L", (9, 9)), ".gif", Saving())[1] == []


def test_a_kept_jpeg_is_coded_anew_where_a_quality_is_asked_for(tmp_path: Path) -> None:
    """Without one `decode` gives its coefficients back."""
    Image.fromarray(generated_picture(200, 200)).save(tmp_path / "a.jpg", quality=15)
    assert run("encode", tmp_path / "a.jpg", "-q", 100).returncode == 0
    assert library.inspect(tmp_path / "a.vaec")["kept"] == "as a JPEG"
    sizes = []
    for options in ([], ["-q", 90]):
        assert run("decode", tmp_path / "a.vaec", "-o", tmp_path / "b.jpg", "-f", *options).returncode == 0
        sizes.append((tmp_path / "b.jpg").stat().st_size)
    assert sizes[1] > 1.5 * sizes[0]
