"""--metadata all|icc|none: what says where, when and by whom stays away, on both sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import run
from make_golden import TINY
from pictures import generated_picture
from PIL import ExifTags, Image, ImageCms

import vaecodec
import vaecodec.pillow
from vaecodec.codec.scaling import decode_scaled, parse_scale
from vaecodec.errors import VaecodecError
from vaecodec.folders import Task

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">SECRETXMP</x:xmpmeta>'
KEPT = {"all": {"exif", "icc", "xmp"}, "icc": {"icc"}, "none": set()}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Lying on its side, with a place, a maker, XMP and a profile."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SECRETMAKER"
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    path = tmp_path / "photo.jpg"
    Image.fromarray(generated_picture(48, 64)).save(
        path, exif=exif.tobytes(), icc_profile=SRGB, xmp=XMP, quality=95, dpi=(123, 123)
    )
    return path


def blocks(data: bytes | Path) -> set[str]:
    return set(vaecodec.inspect(data)["parts"]) & {"exif", "icc", "xmp"}


@pytest.mark.parametrize("wanted", list(KEPT))
def test_what_is_written(wanted: str, photo: Path, tmp_path: Path) -> None:
    codec = vaecodec.Codec(TINY, metadata=wanted)
    for quality in (40, 100):  # of latents, and of the JPEG that is kept
        data = codec.encode(photo, quality)
        assert blocks(data) == KEPT[wanted]
        image = vaecodec.Codec(TINY).decode(data)
        assert image.size == (48, 64)  # upright
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        assert ("SECRETMAKER" in str(dict(image.getexif()))) == (wanted == "all")
        assert (b"SECRET" in data) <= (wanted == "all")
    assert run("encode", photo, "-o", tmp_path / "a.vaec", "--metadata", wanted).returncode == 0
    assert run("encode", tmp_path, "-o", tmp_path / "out", "--metadata", wanted).returncode == 0
    Image.open(photo).save(tmp_path / "pillow.vaec", metadata=wanted, model=str(TINY))
    for path in (tmp_path / "a.vaec", tmp_path / "out/photo.jpg.vaec", tmp_path / "pillow.vaec"):
        assert blocks(path) == KEPT[wanted], path
    with Image.open(tmp_path / "pillow.vaec") as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        assert image.size == ((64, 48) if turned else (48, 64))
        assert turned == (wanted == "all")
    facts = run("info", tmp_path / "a.vaec").stdout.decode()
    assert [name for name in ("exif", "icc", "xmp") if f"  {name} " in facts] == sorted(KEPT[wanted])
    line = "exif, icc, xmp; says where it was taken" if wanted == "all" else ", ".join(KEPT[wanted]) or "none"
    assert f"metadata {line}\n" in facts


@pytest.mark.parametrize("wanted", list(KEPT))
@pytest.mark.parametrize("quality", [40, 100])
def test_what_is_read(wanted: str, quality: int, photo: Path, tmp_path: Path) -> None:
    data = vaecodec.Codec(TINY).encode(photo, quality)
    assert blocks(data) == KEPT["all"]
    codec = vaecodec.Codec(TINY, metadata=wanted)
    names = {"exif": "exif", "icc": "icc_profile", "xmp": "xmp"}
    for image in (codec.decode(data), codec.decode(data, region=(0, 0, 20, 20))):
        assert {name for name, key in names.items() if image.info.get(key)} == KEPT[wanted]
    scaled = decode_scaled(codec, data, parse_scale("1/2"))
    assert {name for name in names if getattr(scaled, name)} == KEPT[wanted]
    (tmp_path / "a.vaec").write_bytes(data)
    for suffix in ("jpg", "png"):
        target = tmp_path / f"out.{suffix}"
        assert run("decode", tmp_path / "a.vaec", "-o", target, "--metadata", wanted).returncode == 0
        assert (b"SECRETMAKER" in target.read_bytes()) == (wanted == "all")
        with Image.open(target) as image:
            upright = np.asarray(
                image if image.getexif().get(ExifTags.Base.Orientation, 1) == 1 else image.rotate(270, expand=True)
            )
            assert upright.shape[:2] == (64, 48)
            assert bool(image.info.get("icc_profile")) == (wanted != "none")
            assert not image.getexif().get_ifd(ExifTags.IFD.GPSInfo) or wanted == "all"


def test_places_are_found_in_xmp_and_in_nothing_else(picture: np.ndarray) -> None:
    image, codec = Image.fromarray(picture), vaecodec.Codec(TINY)
    for xmp, exif, place in (
        (b'<x exif:GPSLatitude="52,31N"/>', b"", True),
        (XMP, b"Exif\0\0II*\0\xff\xff\xff\x7frubbish", False),
        (b"", b"GPS", False),
    ):
        image.info = {"xmp": xmp, "exif": exif}
        assert vaecodec.inspect(codec.encode(image))["place"] is place


def test_other_words_are_refused(photo: Path) -> None:
    with pytest.raises(VaecodecError, match="all, icc, none"):
        vaecodec.Codec(metadata="some")
    assert run("encode", photo, "--metadata", "some").returncode == 2
    assert Task("encode", ".vaec", codec={"metadata": "icc"}).settings()["metadata"] == "icc"
