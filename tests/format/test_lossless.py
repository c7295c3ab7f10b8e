"""Images that take fewer bytes as they are than as latents are kept as they are."""

from __future__ import annotations

import io

import numpy as np
import pytest
import reference_decoder
from make_golden import TINY
from PIL import Image, ImageDraw

import vaecodec
from vaecodec.bitstream.container import Header, Section, Streams, write_container
from vaecodec.errors import FormatError
from vaecodec.sections.lossless import lossless_if_smaller, read_lossless


def drawing(height: int = 300, width: int = 420) -> np.ndarray:
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for i in range(0, height, 12):
        draw.rectangle((i, i // 2, width - 1, i // 2 + 5), (160, 20, 7 * i % 256))
        draw.line((i, 0, width - i, height), "black")
    return np.asarray(image)


@pytest.fixture(scope="module")
def codec() -> vaecodec.Codec:
    return vaecodec.Codec(TINY, tile_log2=7)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
def test_graphics_come_back_as_they_were(codec: vaecodec.Codec, mode: str) -> None:
    image = Image.fromarray(drawing()).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = codec.encode(image, 100)
    assert len(data) < len(vaecodec.Codec(TINY, tile_log2=7, keep=False).encode(image, 100))
    pixels = np.asarray(image)
    assert np.array_equal(np.asarray(codec.decode(data)), pixels)
    assert codec.decode(data).mode == mode
    assert np.array_equal(np.asarray(codec.decode(data, (17, 31, 200, 99))), pixels[31:130, 17:217])
    assert codec.preview(data).size == (53, 38)
    info = vaecodec.inspect(data)
    assert info["parts"]["latents"]["bytes"] == 0 < info["parts"]["pixels"]["bytes"]
    assert info["mode"] == mode
    theirs = reference_decoder.decode(data, TINY.read_bytes())
    assert np.array_equal(theirs, pixels if mode == "L" else pixels[..., :3] if "RGB" in mode else pixels[..., 0])


def test_photographs_are_coded(photograph: np.ndarray) -> None:
    codec = vaecodec.Codec()
    for quality in (20, 100):
        assert "pixels" not in vaecodec.inspect(codec.encode(photograph[:256, :256], quality))["parts"]


def test_not_more_bytes_than_coded() -> None:
    flat = np.full((64, 64, 3), 90, np.uint8)
    webp = lossless_if_smaller(flat, False, 1000)
    assert webp is not None
    assert np.array_equal(read_lossless(webp, 64, 64, False), flat)
    assert lossless_if_smaller(flat, False, len(webp)) is None
    assert lossless_if_smaller(np.zeros((1, 16384, 3), np.uint8), False, 10**6) is None


NONE = Streams(b"", b"")


def file_with(pixels: bytes, streams: Streams = NONE, side: int = 64) -> bytes:
    identity = vaecodec.Codec(TINY).model.identity
    return write_container(Header(side, side, 5000, identity), [streams], {Section.PIXELS: pixels})


def webp(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **options)
    return buffer.getvalue()


def test_what_the_format_forbids_is_refused(codec: vaecodec.Codec) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    good = webp(noise, lossless=True)
    assert np.array_equal(np.asarray(codec.decode(file_with(good))), np.asarray(noise))
    other = noise.rotate(90)
    bad = {
        "lossy": webp(noise),
        "animated": webp(noise, lossless=True, save_all=True, append_images=[other]),
        "profile": webp(noise, lossless=True, icc_profile=b"profile"),
        "small": webp(noise.crop((0, 0, 63, 64)), lossless=True),
        "tail": good + b"more",
        "cut": good[:40] + bytes(len(good) - 40),
        "empty": b"",
        "png": b"\x89PNG",
    }
    transparent = noise.convert("RGBA")
    transparent.putalpha(other.convert("L"))
    bad["alpha"] = webp(transparent, lossless=True, exact=True)
    for data in bad.values():
        with pytest.raises(FormatError, match="pixels section"):
            codec.decode(file_with(data))
    with pytest.raises(FormatError, match="both pixels and coded groups"):
        codec.decode(file_with(good, Streams(bytes(4), bytes(4))))
    with pytest.raises(FormatError, match="no latents"):
        codec.decode_latents(file_with(good))
    damaged = bytearray(file_with(good))
    damaged[200] ^= 1
    for read in (codec.decode, codec.salvage):
        with pytest.raises(FormatError, match="pixels section"):
            read(bytes(damaged))
