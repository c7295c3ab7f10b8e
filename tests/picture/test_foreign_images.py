"""Images that others made: transparency in every guise, odd metadata, damage after the first page, Pillow's own limits.

tests/cases holds files on which the project went wrong once.
"""

from __future__ import annotations

import io
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from fuzz_images import LIMIT, ImageFuzzer
from PIL import Image, ImageOps, PngImagePlugin

import vaecodec
from vaecodec.errors import ImageError
from vaecodec.picture import save_image, to_picture, to_pil
from vaecodec.picture.png import XMP

CASES = Path(__file__).parents[1] / "cases"
SMALL = np.asarray(Image.open(CASES / "small.png").convert("RGB"))


def _png(width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of these rows (filter bytes included), with more chunks before them."""

    def chunk(kind: bytes, payload: bytes) -> bytes:
        return len(payload).to_bytes(4, "big") + kind + payload + zlib.crc32(kind + payload).to_bytes(4, "big")

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    parts = [(b"IHDR", size + bytes([depth, colour, 0, 0, 0])), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_gray_level_of_every_depth(depth: int) -> None:
    """Two pixels, of which the second has the level that is transparent."""
    level = 1 if depth == 1 else 2
    bits = 3 if depth == 1 else 1
    first = 0 if depth == 1 else bits
    row = ((first << depth | level) << (-2 * depth) % 8).to_bytes(-(-2 * depth // 8), "big")
    picture = to_picture(_png(2, 1, depth, 0, b"\0" + row, (b"tRNS", level.to_bytes(2, "big"))))
    assert picture.gray
    assert picture.alpha.tolist() == [[255, 0]]


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_colour_of_every_depth(depth: int) -> None:
    """Of 16 bits, a colour that differs in its lower half alone is seen."""
    colours = [(10, 20, 30), (10, 20, 31)] if depth == 8 else [(2570, 5140, 7710), (2570, 5140, 7711)]
    row = b"".join(value.to_bytes(depth // 8, "big") for colour in colours for value in colour)
    key = b"".join(value.to_bytes(2, "big") for value in colours[0])
    data = _png(2, 1, depth, 2, b"\0" + row, (b"tRNS", key))
    for source in (data, io.BytesIO(data), Image.open(io.BytesIO(data))):
        picture = to_picture(source)
        assert picture.alpha.tolist() == [[0, 255]]
        assert picture.rgb[0, 0].tolist() == [10, 20, 30]


def test_alpha_in_palettes_and_sixteen_bits() -> None:
    see_through = Image.fromarray(SMALL)
    see_through.putalpha(Image.linear_gradient("L").resize(see_through.size))
    palette = see_through.quantize(64)
    assert palette.has_transparency_data
    assert np.array_equal(to_picture(palette).alpha, np.asarray(palette.convert("RGBA"))[:, :, 3])
    assert len(np.unique(to_picture(palette).alpha)) > 20
    alpha = to_picture(str(CASES / "trns16rgb.png")).alpha
    assert alpha is not None
    assert 0.4 < (alpha == 0).mean() < 0.6


def _tiff(samples: bytes, tags: dict[int, tuple[int, list[int]]]) -> bytes:
    """An uncompressed little-endian TIFF of one strip; tags: {number: (type, values)}."""
    sizes, data = {3: 2, 4: 4}, b"II*\0" + (8 + len(samples)).to_bytes(4, "little") + samples
    entries, more, place = b"", b"", 8 + len(samples) + 2 + 12 * len(tags) + 4
    for number, (kind, values) in sorted(tags.items()):
        packed = b"".join(value.to_bytes(sizes[kind], "little") for value in values)
        if len(packed) > 4:
            packed, more = (place + len(more)).to_bytes(4, "little"), more + packed
        head = number.to_bytes(2, "little") + kind.to_bytes(2, "little") + len(values).to_bytes(4, "little")
        entries += head + packed.ljust(4, b"\0")
    return data + len(tags).to_bytes(2, "little") + entries + bytes(4) + more


def _tiff_tags(bits: list[int], photometric: int, size: int, planes: int = 1, form: int = 1) -> dict:
    """Of 4x4 pixels."""
    strips = len(bits) if planes == 2 else 1
    return {
        256: (3, [4]), 257: (3, [4]), 258: (3, bits), 259: (3, [1]), 262: (3, [photometric]),
        273: (4, [8 + size // strips * i for i in range(strips)]), 277: (3, [len(bits)]), 278: (3, [4]),
        279: (4, [size // strips] * strips), 284: (3, [planes]), 339: (3, [form] * len(bits)),
    }  # fmt: skip


def test_tiffs_are_right_or_refused() -> None:
    values = np.arange(16, dtype="<u2") * 4096
    expected = (values.astype(float) / 257).round().reshape(4, 4)
    right = to_picture(_tiff(values.tobytes(), _tiff_tags([16], 1, 32))).rgb[:, :, 0]
    negative = to_picture(_tiff(values.tobytes(), _tiff_tags([16], 0, 32))).rgb[:, :, 0]
    assert np.abs(right - expected).max() <= 1
    assert np.abs(negative - (255 - expected)).max() <= 1
    twelve = np.zeros((4, 6), np.uint8)
    twelve[0, :3] = 0xFF, 0xF8, 0x00  # 4095, 2048
    picture = to_picture(_tiff(twelve.tobytes(), _tiff_tags([12], 1, 24)))
    assert picture.rgb[0, :2, 0].tolist() == [255, 128]
    with pytest.raises(ImageError, match="signed"):
        to_picture(_tiff(values.tobytes(), _tiff_tags([16], 1, 32, form=2)))
    with pytest.raises(ImageError, match="plane for each colour"):
        to_picture(_tiff(values.tobytes() * 3, _tiff_tags([16] * 3, 2, 96, planes=2)))
    bytes_in_planes = bytes(range(48))
    picture = to_picture(_tiff(bytes_in_planes, _tiff_tags([8] * 3, 2, 48, planes=2)))
    assert np.array_equal(picture.rgb.transpose(2, 0, 1).ravel(), np.arange(48))
    for orientation in range(1, 9):
        for compression in (None, "tiff_lzw"):  # read by Pillow itself, and by libtiff
            buffer = io.BytesIO()
            Image.fromarray(SMALL).save(buffer, "TIFF", compression=compression, tiffinfo={0x0112: orientation})
            expected = ImageOps.exif_transpose(Image.open(buffer))
            assert np.array_equal(to_picture(buffer.getvalue()).rgb, np.asarray(expected)), orientation
    case = to_picture(str(CASES / "gray16_white_is_zero.tif"))
    assert np.corrcoef(case.rgb[:, :, 0].ravel(), SMALL[:, :, 1].ravel())[0, 1] > 0.999


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("exif_type_error.jpg", (16, 24)),
        ("exif_struct_error.webp", (16, 24)),
        ("multipage_cut.tif", (48, 32)),
        ("second_frame_damaged.gif", (24, 16)),
        ("text_2mb.png", (4, 4)),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_sound_pixels_are_read_whatever_else_is_wrong(name: str, size: tuple[int, int]) -> None:
    sources = [str(CASES / name), (CASES / name).read_bytes()]
    if name != "text_2mb.png":  # which Pillow itself refuses
        sources.append(Image.open(CASES / name))
    for source in sources:
        picture = to_picture(source)
        assert (picture.width, picture.height) == size
    decoded = vaecodec.decode(vaecodec.encode(str(CASES / name)))
    assert decoded.size == size


def test_damaged_images_have_one_error() -> None:
    with pytest.raises(ImageError, match="damaged image"):
        to_picture(str(CASES / "damaged.avif"))
    verified = Image.open(CASES / "small.png")
    verified.verify()
    with pytest.raises(ImageError, match="verified: open it again"):
        vaecodec.encode(verified)


def test_long_xmp_and_profiles_of_png_are_kept() -> None:
    """Compressed XMP and a profile of more than 1 MB, beside a long text."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + bytes(2_000_000)
    packet = b"<x:xmpmeta>" + b" " * 1_500_000 + b"</x:xmpmeta>"
    data = _png(
        1, 1, 8, 2, b"\0abc",
        (b"iCCP", b"long\0\0" + zlib.compress(profile)),
        (b"iTXt", XMP + b"\1\0\0\0" + zlib.compress(packet)),
        (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3_000_000))),
    )  # fmt: skip
    picture = to_picture(data)
    assert picture.icc == profile
    assert picture.xmp == packet
    assert picture.rgb.tolist() == [[[97, 98, 99]]]


def test_colours_that_are_not_applied_are_noted() -> None:
    def notes(*chunks: tuple[bytes, bytes]) -> list[str]:
        return to_picture(_png(1, 1, 8, 2, b"\0abc", *chunks)).notes

    linear = (b"gAMA", (100000).to_bytes(4, "big"))
    wide = (b"cHRM", b"".join(v.to_bytes(4, "big") for v in (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)))
    assert "gamma of 1" in notes(linear)[0]
    assert "primaries" in notes(wide)[0]
    assert "cICP 9, 16" in notes((b"cICP", bytes([9, 16, 0, 1])))[0]
    for plain in ([], [(b"gAMA", (45455).to_bytes(4, "big"))], [(b"sRGB", b"\0"), linear], [(b"cICP", b"\1\x0d\0\1")]):
        assert notes(*plain) == []


def test_pillows_limit_neither_helps_nor_hinders(monkeypatch: pytest.MonkeyPatch) -> None:
    """--max-pixels alone counts, and nothing is left behind in the filters of warnings, by threads neither."""
    large = np.zeros((300, 400, 3), np.uint8)
    files = []
    for suffix in ("PNG", "WEBP", "JPEG", "TIFF"):
        buffer = io.BytesIO()
        Image.fromarray(large).save(buffer, suffix)
        files.append(buffer.getvalue())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    filters = list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for data in files:
            assert to_picture(data, 120_000).width == 400
            with pytest.raises(ImageError, match="pixels"):
                to_picture(data, 119_999)
    threads = [threading.Thread(target=lambda: [to_picture(data) for data in files * 10]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == filters
    with pytest.raises(Image.DecompressionBombError):  # outside, Pillow's own limit holds as ever
        Image.open(io.BytesIO(files[0]))


@pytest.mark.parametrize("suffix", [".jp2", ".bmp", ".gif", ".ppm", ".tga", ".tif", ".png", ".jpg", ".webp", ".avif"])
def test_metadata_is_held_or_noted(suffix: str) -> None:
    picture, exif = to_picture(SMALL), Image.Exif()
    exif[0x010F] = "Maker"
    picture.exif, picture.xmp = exif.tobytes(), b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    data, notes = save_image(to_pil(picture), suffix)
    back = Image.open(io.BytesIO(data))
    xmp = back.info.get("xmp") or back.info.get("XML:com.adobe.xmp")
    assert bool(back.getexif().get(0x010F)) != any("the exif of this image" in note for note in notes)
    assert bool(xmp) != any("the xmp of this image" in note for note in notes)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_the_resolution_is_kept(suffix: str) -> None:
    for name in ("PNG", "JPEG", "TIFF", "BMP"):
        buffer = io.BytesIO()
        Image.fromarray(SMALL).save(buffer, name, dpi=(300, 240))
        decoded = vaecodec.decode(vaecodec.encode(buffer.getvalue()))
        back = Image.open(io.BytesIO(save_image(decoded, suffix)[0]))
        assert back.info["dpi"] == pytest.approx((300, 240), abs=0.1)
    assert to_picture(SMALL).exif is None
    buffer = io.BytesIO()
    Image.fromarray(SMALL).save(buffer, "PNG", dpi=(72, 72))
    assert to_picture(buffer.getvalue()).exif is None


def test_samples_of_float_tensors_must_be_in_range() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(SMALL.copy()).permute(2, 0, 1).float()
    with pytest.raises(ImageError, match=r"from 0 to 1.*uint8"):
        to_picture(tensor)
    with pytest.raises(ImageError, match="from 0 to 1"):
        to_picture(tensor / 127.5 - 1)
    assert np.array_equal(to_picture(tensor / 255 * 1.2).rgb, np.minimum(SMALL * 1.2, 255).round())


def test_a_text_chunk_after_the_pixels_is_no_damage() -> None:
    text = PngImagePlugin.PngInfo()
    text.add(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2_000_000)), after_idat=True)
    buffer = io.BytesIO()
    Image.fromarray(SMALL).save(buffer, "PNG", pnginfo=text)
    assert np.array_equal(to_picture(buffer.getvalue()).rgb, SMALL)


@pytest.mark.filterwarnings("ignore")
def test_mutants_of_images_are_coded_or_refused() -> None:
    """Repeats some of what tests/tools/fuzz_images.py tried (docs/robustness.md)."""
    fuzzer = ImageFuzzer()
    assert len({name.partition("-")[0] for name in fuzzer.seeds}) >= 15
    for seed in range(2000):
        fuzzer.run(seed)
    assert fuzzer.slowest < LIMIT
    assert min(fuzzer.outcomes["coded"], fuzzer.outcomes["ImageError"]) > 200
