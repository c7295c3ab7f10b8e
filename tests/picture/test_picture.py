"""Images as people have them: every mode, metadata, orientation, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL
import pytest
from pictures import generated_picture
from PIL import Image, ImageCms, ImageOps

from vaecodec.errors import ImageError
from vaecodec.picture import Picture, save_image, to_picture, to_pil
from vaecodec.sections.alpha import alpha_from_png, alpha_to_png

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile_of_space(space: bytes) -> bytes:
    return SRGB[:16] + space + SRGB[20:]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "HSV", "LAB"])
def test_every_mode_becomes_eight_bit_rgb(mode: str, picture: np.ndarray) -> None:
    if mode == "I;16":
        image = Image.fromarray(picture[:, :, 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(picture)
        if mode == "LAB":
            lab = ImageCms.createProfile("LAB")
            image = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
        else:
            image = image.convert(mode)
    result = to_picture(image)
    assert result.rgb.shape == picture.shape
    assert result.rgb.dtype == np.uint8
    assert result.gray == (mode in ("1", "L", "LA", "I;16"))
    assert (result.alpha is not None) == (mode in ("LA", "RGBA"))
    assert bool(result.notes) == (mode in ("CMYK", "YCbCr", "I;16", "HSV", "LAB"))
    if mode in ("RGB", "RGBA"):
        assert np.array_equal(result.rgb, picture)
    if mode == "I;16":
        assert np.array_equal(result.rgb[:, :, 0], picture[:, :, 0])


def test_palette_with_transparency_keeps_alpha(picture: np.ndarray) -> None:
    image = Image.fromarray(picture).convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    image.info["transparency"] = 3
    result = to_picture(image)
    assert result.alpha is not None
    assert set(np.unique(result.alpha)) == {0, 255}


def _png(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def test_a_transparent_gray_level_becomes_alpha() -> None:
    for samples, level in (
        (np.array([[7, 8], [9, 7]], np.uint8), 7),
        (np.array([[500, 600], [0, 500]], np.uint16), 500),
        (np.array([[True, False], [False, True]]), 1),
    ):
        result = to_picture(_png(Image.fromarray(samples), transparency=level))
        assert result.gray
        assert result.alpha is not None
        assert result.alpha.tolist() == [[0, 255], [255, 0]]


def test_sixteen_bits_in_any_format_are_noted() -> None:
    assert to_picture(b"P6 2 2 65535\n" + bytes(24)).notes == to_picture(b"P5 2 2 65535\n" + bytes(8)).notes
    assert "16-bit" in to_picture(b"P6 2 2 65535\n" + bytes(24)).notes[0]
    assert to_picture(b"P6 2 2 100\n" + bytes(12)).notes == []


def test_errors_of_images_that_load_late_are_ours(picture: np.ndarray) -> None:
    with pytest.raises(ImageError, match="truncated"):
        to_picture(Image.open(io.BytesIO(_png(Image.fromarray(picture))[:3000])))
    closed = Image.fromarray(picture)
    closed.close()
    with pytest.raises(ImageError, match="closed"):
        to_picture(closed)


def test_exif_of_tiff(picture: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", 6
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "TIFF", exif=exif)
    result = to_picture(buffer.getvalue())
    assert result.rgb.shape == (picture.shape[1], picture.shape[0], 3)
    kept = Image.Exif()
    kept.load(result.exif)
    assert dict(kept) == {0x010F: "maker"}


def test_gray_profile_never_on_rgb_pixels(picture: np.ndarray) -> None:
    image = to_pil(Picture(picture, gray=True, icc=profile_of_space(b"GRAY")))
    for suffix in (".webp", ".png", ".jpg"):
        saved = Image.open(io.BytesIO(save_image(image, suffix)[0]))
        assert ("icc_profile" in saved.info) == (saved.mode == "L")


def test_arrays_and_tensors(picture: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(picture).permute(2, 0, 1)
    for image in (picture, tensor, tensor.float() / 255, tensor.double() / 255):
        assert np.array_equal(to_picture(image).rgb, picture)
    gray = to_picture(picture[:, :, 0])
    assert gray.gray
    assert np.array_equal(to_picture(tensor[0]).rgb, gray.rgb)
    assert np.array_equal(to_picture(picture.astype(np.uint16) * 257).rgb, picture)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float64),
        np.zeros(7, np.uint8),
        Image.new("RGB", (0, 5)),
        "no-such-file.png",
        b"not an image",
        b"",
        3.5,
    ],
)
def test_what_is_no_image_is_refused(bad: object) -> None:
    with pytest.raises(ImageError):
        to_picture(bad)


def test_pixel_limit_holds_before_decoding(picture_file: Path) -> None:
    with pytest.raises(ImageError, match="limit"):
        to_picture(picture_file, max_pixels=100)


def test_truncated_image_file_is_refused(picture_file: Path) -> None:
    with pytest.raises(ImageError):
        to_picture(picture_file.read_bytes()[:-200])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_reset(orientation: int) -> None:
    upright = generated_picture(40, 64)
    inverse = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    exif = Image.Exif()
    exif[0x0112] = inverse[orientation]
    stored = Image.fromarray(upright)
    stored.info["exif"] = exif.tobytes()
    stored.getexif()[0x0112] = inverse[orientation]
    stored = ImageOps.exif_transpose(stored)
    exif[0x0112], exif[0x010F] = orientation, "maker"
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    result = to_picture(buffer.getvalue())
    assert np.array_equal(result.rgb, upright)
    kept = Image.Exif()
    kept.load(result.exif)
    assert kept.get(0x0112, 1) == 1
    assert kept[0x010F] == "maker"


def test_icc_profile_is_kept_only_where_it_fits(picture: np.ndarray) -> None:
    def profile_after(mode: str, profile: bytes) -> bytes | None:
        image = Image.fromarray(picture).convert(mode)
        image.info["icc_profile"] = profile
        return to_picture(image).icc

    assert profile_after("RGB", SRGB) == SRGB
    assert profile_after("L", SRGB) is None
    assert profile_after("L", profile_of_space(b"GRAY")) is not None
    assert profile_after("RGB", profile_of_space(b"GRAY")) is None
    assert profile_after("CMYK", profile_of_space(b"CMYK")) is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_metadata_is_written_back(suffix: str, picture: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    data, _ = save_image(to_pil(Picture(picture, exif=exif.tobytes(), icc=SRGB, xmp=b"<x:xmpmeta/>")), suffix)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == SRGB
        assert image.getexif()[0x010F] == "maker"
        again = to_picture(image)
    # Pillow writes no XMP into TIFF, and into JPEG only since version 11.
    if suffix != ".tif" and (suffix != ".jpg" or int(PIL.__version__.split(".")[0]) >= 11):
        assert again.xmp == b"<x:xmpmeta/>"


def test_metadata_that_a_format_cannot_hold_is_left_out_with_a_note(picture: np.ndarray) -> None:
    for exif, suffix in ((b"xxxx", ".tiff"), (b"II*\0", ".avif"), (b"MM\0*" + bytes(70000), ".jpg")):
        data, notes = save_image(to_pil(Picture(picture, exif=exif, icc=SRGB)), suffix)
        assert [note for note in notes if "cannot hold the exif" in note] == notes != []
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == (130, 96)
            assert image.info["icc_profile"] == SRGB
            assert not image.getexif().keys() & {0x010F}
    with pytest.raises(ImageError, match="cannot write this image as JPEG"):
        save_image(Image.new("L", (70000, 1)), ".jpg")


def test_formats_without_alpha_are_flattened_and_said_so(picture: np.ndarray) -> None:
    alpha = np.zeros(picture.shape[:2], np.uint8)
    data, notes = save_image(to_pil(Picture(picture, alpha)), ".jpg")
    assert notes
    with Image.open(io.BytesIO(data)) as image:
        assert np.asarray(image).min() > 250
    with pytest.raises(ImageError):
        save_image(to_pil(Picture(picture)), ".nonsense")


def test_alpha_png_must_fit() -> None:
    alpha = generated_picture(9, 14)[:, :, 0]
    assert np.array_equal(alpha_from_png(alpha_to_png(alpha), 14, 9), alpha)
    for data, size in ((alpha_to_png(alpha), (13, 9)), (b"rubbish", (14, 9)), (alpha_to_png(alpha)[:60], (14, 9))):
        with pytest.raises(ImageError):
            alpha_from_png(data, *size)
