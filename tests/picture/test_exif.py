"""EXIF blocks whose fields are set in place: orientation, sides, thumbnail; all else byte for byte."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import generated_picture
from PIL import ExifTags, Image

import vaecodec
from vaecodec.picture import to_picture
from vaecodec.picture.exif import resized
from vaecodec.picture.exif_block import ExifBlock


def _block(order: str, orientation: int = 6, note: bytes = b"private notes of a maker") -> bytes:
    """Orientation; sides and a maker's note in the EXIF directory; a thumbnail in the next one."""
    little = order == "little"

    def n(value: int, size: int) -> bytes:
        return value.to_bytes(size, order)

    def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
        return n(tag, 2) + n(kind, 2) + n(count, 4) + value.ljust(4, b"\0")

    first, second = 8, 8 + 2 + 24 + 4
    third = second + 2 + 36 + 4
    thumbnail = third + 2 + 24 + 4 + len(note)
    main = n(2, 2) + entry(0x0112, 3, 1, n(orientation, 2)) + entry(0x8769, 4, 1, n(second, 4)) + n(third, 4)
    sides = entry(0xA002, 4, 1, n(64, 4)) + entry(0xA003, 3, 1, n(40, 2))
    exif = n(3, 2) + entry(0x927C, 7, len(note), n(third + 2 + 24 + 4, 4)) + sides + n(0, 4)
    preview = n(2, 2) + entry(0x0201, 4, 1, n(thumbnail, 4)) + entry(0x0202, 4, 1, n(9, 4)) + n(0, 4)
    assert first + len(main) == second
    return (b"II*\0" if little else b"MM\0*") + n(8, 4) + main + exif + preview + note + b"THUMBNAIL"


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_a_turned_picture_has_its_sides_exchanged(order: str, prefix: bytes) -> None:
    stored, block = generated_picture(40, 64), prefix + _block(order)
    buffer = io.BytesIO()
    Image.fromarray(stored).save(buffer, "PNG", exif=block)
    picture = to_picture(buffer.getvalue())
    assert np.array_equal(picture.rgb, np.rot90(stored, -1))
    fields = Image.Exif()
    fields.load(picture.exif)
    assert fields[0x0112] == 1
    sides = fields.get_ifd(ExifTags.IFD.Exif)
    assert (sides[0xA002], sides[0xA003]) == (40, 64)
    assert sides[0x927C] == b"private notes of a maker"
    assert b"THUMBNAIL" not in picture.exif
    assert not fields.get_ifd(ExifTags.IFD.IFD1)


def test_a_region_names_its_own_sides() -> None:
    buffer = io.BytesIO()
    Image.fromarray(generated_picture(40, 64)).save(buffer, "PNG", exif=_block("big", 1))
    data = vaecodec.encode(buffer.getvalue())
    whole, part = vaecodec.decode(data), vaecodec.Codec().decode(data, (3, 4, 20, 10))
    for image, size in ((whole, (64, 40)), (part, (20, 10))):
        sides = image.getexif().get_ifd(ExifTags.IFD.Exif)
        assert (sides[0xA002], sides[0xA003]) == size
    assert b"THUMBNAIL" in whole.info["exif"]


def test_orientation_in_xmp_goes_with_the_turn() -> None:
    xmp = b'<rdf:Description tiff:Orientation="6" xmp:Rating="5"/>'
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(generated_picture(40, 64)).save(buffer, "JPEG", exif=exif, xmp=xmp)
    picture = to_picture(buffer.getvalue())
    assert (picture.width, picture.height) == (40, 64)
    if picture.xmp is not None:  # Pillow writes it since version 11
        assert picture.xmp == b'<rdf:Description  xmp:Rating="5"/>'


@given(st.binary(max_size=200), st.integers(0, 300))
def test_rubbish_is_left_as_it_is_or_patched_but_never_an_error(rubbish: bytes, cut: int) -> None:
    for data in (rubbish, b"II*\0" + rubbish, _block("big")[:cut] + rubbish):
        block = ExifBlock(data)
        assert 1 <= block.orientation <= 8
        block.set_orientation(3)
        assert len(resized(data, 70000, 5)) == len(data)
