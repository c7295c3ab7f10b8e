"""Images that were JPEGs are kept as such where their latents would take more bytes."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import reference_decoder
from make_golden import TINY
from PIL import Image

import vaecodec
from vaecodec.bitstream.container import Header, Section, Streams, write_container
from vaecodec.errors import FormatError
from vaecodec.picture import to_picture
from vaecodec.sections.jpeg import find_origin, kept_jpeg, read_jpeg


def jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.square(one.astype(float) - other).mean())


@pytest.fixture(scope="module")
def codec() -> vaecodec.Codec:
    return vaecodec.Codec(TINY, tile_log2=7)


@pytest.fixture(scope="module")
def photo(photograph: np.ndarray) -> Image.Image:
    return Image.fromarray(photograph[30:270, 100:420])


@pytest.mark.parametrize("quality", [12, 30, 55, 80])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_pixels_tell_the_tables(photo: Image.Image, quality: int, subsampling: int) -> None:
    with Image.open(io.BytesIO(jpeg(photo, quality=quality, subsampling=subsampling))) as image:
        origin = find_origin(np.asarray(image))
        assert origin is not None
        assert origin.tables == [list(table) for table in image.quantization.values()]


def test_other_pixels_tell_none(photo: Image.Image, photograph: np.ndarray) -> None:
    was_jpeg = Image.open(io.BytesIO(jpeg(photo, quality=40)))
    others = [photograph, np.asarray(photo), np.asarray(was_jpeg)[3:, 2:], np.asarray(was_jpeg.resize((400, 300)))]
    assert [find_origin(other) for other in others] == [None] * 4
    assert find_origin(np.zeros((16, 16, 3), np.uint8)) is None


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_comes_back(photo: Image.Image, mode: str) -> None:
    codec = vaecodec.Codec(tile_log2=7)
    was = Image.open(io.BytesIO(jpeg(photo.convert(mode), quality=35)))
    pixels = np.asarray(was)
    data = codec.encode(pixels, 100)
    assert len(data) < len(vaecodec.Codec(tile_log2=7, keep=False).encode(pixels, 100))
    assert len(data) < 1.05 * len(jpeg(was, quality=35, optimize=True))
    info = vaecodec.inspect(data)
    assert info["parts"]["latents"]["bytes"] == 0 < info["parts"]["jpeg"]["bytes"]
    assert info["mode"] == mode
    decoded = np.asarray(codec.decode(data))
    assert psnr(pixels, decoded) > 45
    assert np.array_equal(np.asarray(codec.decode(data, (17, 31, 200, 99))), decoded[31:130, 17:217])
    assert codec.preview(data).size == (40, 30)
    assert np.array_equal(reference_decoder.decode(data, codec.model.path.read_bytes()), decoded)
    with pytest.raises(FormatError, match="no latents"):
        codec.decode_latents(data)
    # Small files are latents as ever.
    assert "jpeg" not in vaecodec.inspect(codec.encode(pixels, 1))["parts"]


def test_files_bring_their_tables(photo: Image.Image) -> None:
    """Tables that no quality of libjpeg has."""
    odd = [[7 + (3 * i) % 19 for i in range(64)], [9 + (5 * i) % 23 for i in range(64)]]
    file = jpeg(photo, qtables=odd, subsampling=0)
    picture = to_picture(file)
    assert picture.origin is not None
    assert picture.origin.tables == odd
    assert find_origin(picture.rgb) is None
    origin = replace(picture.origin, file=None)  # the tables alone, as of a file that is out of reach
    kept = kept_jpeg(picture.rgb, False, origin, len(file) + 1)
    assert kept is not None
    assert psnr(picture.rgb, read_jpeg(kept.payload, *photo.size, False)) > 45
    assert kept_jpeg(picture.rgb, False, origin, len(kept.data)) is None
    # Turned upright, its blocks are not those of the tables: the file itself must do.
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = to_picture(jpeg(photo, exif=exif))
    assert turned.origin.orientation == 6
    assert kept_jpeg(turned.rgb, False, replace(turned.origin, file=None), 1 << 20) is None
    assert to_picture(jpeg(photo.convert("CMYK"))).origin is None
    assert to_picture(photo).origin is None


NONE = Streams(b"", b"")


def file_with(data: bytes, streams: Streams = NONE, more: dict[Section, bytes] | None = None) -> bytes:
    identity = vaecodec.Codec(TINY).model.identity
    return write_container(Header(64, 64, 5000, identity), [streams], (more or {}) | {Section.JPEG: data})


def test_what_the_format_forbids_is_refused(codec: vaecodec.Codec, photo: Image.Image) -> None:
    small = photo.crop((0, 0, 64, 64))
    good = jpeg(small)
    assert np.array_equal(np.asarray(codec.decode(file_with(good))), np.asarray(Image.open(io.BytesIO(good))))
    bad = {
        "progressive": jpeg(small, progressive=True),
        "gray": jpeg(small.convert("L")),
        "cmyk": jpeg(small.convert("CMYK")),
        "exif": jpeg(small, exif=Image.Exif().tobytes() + b"more"),
        "comment": jpeg(small, comment="hidden"),
        "restarts": jpeg(small, restart_marker_rows=1),
        "size": jpeg(small.crop((0, 0, 63, 64))),
        "tail": good + b"more",
        "two": good + good,
        "cut": good[:-40],
        "no scan": good[:300],
        "empty": b"",
        "endless": b"\xff\xd8" + b"\xff\xe0\0\0" * 1000,
    }
    for name, data in bad.items():
        with pytest.raises(FormatError, match="jpeg section"):
            print(name, codec.decode(file_with(data)))
    with pytest.raises(FormatError, match="both jpeg and coded groups"):
        codec.decode(file_with(good, Streams(bytes(4), bytes(4))))
    with pytest.raises(FormatError, match="both pixels and jpeg"):
        codec.decode(file_with(good, more={Section.PIXELS: good}))
    damaged = bytearray(file_with(good))
    damaged[200] ^= 1
    for read in (codec.decode, codec.salvage):
        with pytest.raises(FormatError, match="jpeg section"):
            read(bytes(damaged))
