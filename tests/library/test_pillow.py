"""The Pillow plugin, tested the way Pillow tests its own."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import generated_picture
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

import vaecodec
import vaecodec.pillow

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(generated_picture(300, 200, seed=1))


def saved(image: Image.Image, **options: object) -> io.BytesIO:
    buffer = io.BytesIO()
    image.save(buffer, "VAEC", **options)
    buffer.seek(0)
    return buffer


def test_open_reads_size_mode_and_info_without_a_runtime(tmp_path: Path, image: Image.Image) -> None:
    path = tmp_path / "a.vaec"
    image.save(path, quality=30)
    script = (
        "import sys, vaecodec.pillow; from PIL import Image\n"
        f"image = Image.open({str(path)!r})\n"
        "assert (image.size, image.mode, image.format) == ((200, 300), 'RGB', 'VAEC')\n"
        "assert image.get_format_mimetype() == 'image/x-vaec'\n"
        "assert 'onnxruntime' not in sys.modules\n"
        "assert image.getpixel((5, 5)) is not None\n"
        "assert 'onnxruntime' in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_pixels_are_those_of_the_library(image: Image.Image) -> None:
    with Image.open(saved(image, quality=70)) as opened:
        opened.load()
        assert np.array_equal(np.asarray(opened), np.asarray(vaecodec.decode(vaecodec.encode(image, 70))))
        assert opened.tile == []


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "CMYK", "1", "I;16"])
def test_modes(mode: str, image: Image.Image) -> None:
    source = Image.fromarray(np.zeros((30, 40), np.uint16)) if mode == "I;16" else image.convert(mode)
    with Image.open(saved(source)) as opened:
        opened.load()
        assert opened.size == source.size
        assert opened.mode == {"P": "RGB", "CMYK": "RGB", "1": "L", "I;16": "L"}.get(mode, mode)


def test_metadata_through_info(image: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a picture", 6  # description, orientation
    with Image.open(saved(image, exif=exif, icc_profile=SRGB, xmp=b"<x/>")) as opened:
        assert opened.size == image.size  # not turned
        assert dict(opened.getexif()) == {0x010E: "a picture", 0x0112: 6}
        assert opened.info["icc_profile"] == SRGB
        assert opened.info["xmp"] == b"<x/>"
    image.info["icc_profile"] = SRGB
    assert Image.open(saved(image)).info["icc_profile"] == SRGB
    assert "icc_profile" not in Image.open(saved(image, icc_profile=None)).info


def written(image: Image.Image, kind: str, **options: object) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return Image.open(buffer)


def test_metadata_of_other_formats_is_kept(image: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a picture", 6  # description, orientation
    jpeg = written(image, "JPEG", exif=exif)
    jpeg.info["xmp"] = b"<x/>"  # which Pillow before 11 does not write
    for source in (jpeg, jpeg.convert("L"), jpeg.copy()):
        with Image.open(saved(source)) as opened:
            assert opened.size == image.size  # not turned, and EXIF still says how to turn it
            assert dict(opened.getexif()) == {0x010E: "a picture", 0x0112: 6}
            assert opened.info["xmp"] == b"<x/>"
            assert ImageOps.exif_transpose(opened).size == image.size[::-1]
    with Image.open(saved(ImageOps.exif_transpose(jpeg))) as opened:  # turned before
        assert opened.size == image.size[::-1]
        assert dict(opened.getexif()) == {0x010E: "a picture"}
    bare = Image.open(saved(jpeg, exif=None, xmp=None))
    assert not {"exif", "xmp"} & bare.info.keys()
    assert Image.open(saved(image)).info.keys() == set()


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_is_turned_once(compression: str, image: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a picture", 6
    tiff = written(image, "TIFF", exif=exif, compression=compression)
    shown = np.asarray(image.transpose(Image.Transpose.ROTATE_270)).astype(int)
    with Image.open(saved(tiff, quality=90)) as opened:
        assert dict(opened.getexif())[0x010E] == "a picture"
        turned = np.asarray(ImageOps.exif_transpose(opened)).astype(int)
    assert turned.shape == shown.shape
    assert np.abs(turned - shown).mean() < 10


def test_wrong_metadata_is_a_value_error(image: Image.Image) -> None:
    for wrong in ({"icc_profile": "abc"}, {"exif": 5}, {"exif": "Exif"}, {"xmp": [1]}):
        with pytest.raises(ValueError, match="must be bytes, not"):
            saved(image, **wrong)
    assert Image.open(saved(image, xmp="<y/>")).info["xmp"] == b"<y/>"


def test_order_of_verify_and_load(image: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.vaec"
    path.write_bytes(saved(image).getvalue())
    for source in (path, io.BytesIO(path.read_bytes())):
        opened = Image.open(source)
        opened.verify()
        with pytest.raises(OSError, match="open it again"):
            opened.load()
        with pytest.raises(RuntimeError, match="directly after open"):
            opened.verify()
        opened = Image.open(source)
        opened.load()
        with pytest.raises(RuntimeError, match="directly after open"):
            opened.verify()
        assert opened.getpixel((0, 0)) is not None


def test_quality_and_model_options(image: Image.Image) -> None:
    assert len(saved(image, quality=10).getvalue()) < len(saved(image, quality=90, model="fast").getvalue())
    for wrong in ({"quality": 0}, {"quality": "best"}, {"model": "none such"}):
        with pytest.raises(OSError):  # noqa: PT011 (the messages differ)
            saved(image, **wrong)


def test_thumbnails_use_the_preview(image: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(image, quality=60)
    expected = np.asarray(Image.open(data).convert("RGB").resize((12, 18))).astype(float)
    monkeypatch.setattr(vaecodec.Codec, "decode_picture", None)
    opened = Image.open(data)
    opened.thumbnail((12, 18))
    assert opened.size == (12, 18)
    assert np.square(np.asarray(opened) - expected).mean() < 6**2


def test_verify_and_damage(image: Image.Image) -> None:
    data = saved(image).getvalue()
    Image.open(io.BytesIO(data)).verify()
    damaged = bytearray(data)
    damaged[-20] ^= 1
    for broken in (bytes(damaged), data[:-4]):
        with pytest.raises(OSError, match="damaged"):
            Image.open(io.BytesIO(broken)).load()
        with pytest.raises(OSError, match="damaged"):
            Image.open(io.BytesIO(broken)).verify()
    for foreign in (b"VAEC", data[:-3], b"VAEC\x07" + data[5:], b"RIFF" + data):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(foreign))


def test_save_all_is_refused(image: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="one image"):
        image.save(tmp_path / "a.vaec", save_all=True, append_images=[image])


def test_decompression_bombs_follow_pillows_limit(image: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(image)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(data)


def test_files_are_closed_and_images_outlive_them(tmp_path: Path, image: Image.Image) -> None:
    path = tmp_path / "a.vaec"
    image.save(path)
    with Image.open(path) as opened:
        opened.load()
    assert opened.getpixel((1, 1)) is not None
    path.unlink()
    assert pickle.loads(pickle.dumps(opened)).size == image.size
    assert opened.copy().size == image.size
