"""encode_file and decode_file: whole outputs, nothing foreign overwritten, errors that name the file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from make_golden import TINY
from PIL import Image

import vaecodec


@pytest.fixture(scope="module")
def codec() -> vaecodec.Codec:
    return vaecodec.Codec(TINY, threads=1)


def there(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_files_are_those_of_bytes(codec: vaecodec.Codec, picture_file: Path, tmp_path: Path) -> None:
    out, back = tmp_path / "a.vaec", tmp_path / "a.bmp"
    assert codec.encode_file(picture_file, out, 40) == []
    assert out.read_bytes() == codec.encode(picture_file, 40)
    assert codec.decode_file(out, back, (8, 8, 50, 40)) == []
    assert np.array_equal(np.asarray(Image.open(back)), codec.decode_array(out, (8, 8, 50, 40)))
    with open(picture_file, "rb") as file:
        codec.encode_file(file, str(out), 40, overwrite=True)
    codec.encode_file(io.BytesIO(picture_file.read_bytes()), f"file://{tmp_path}/b.vaec", 40)
    assert out.read_bytes() == (tmp_path / "b.vaec").read_bytes()
    assert there(tmp_path) == {"picture.png", "a.vaec", "a.bmp", "b.vaec"}


def test_targets_and_notes(codec: vaecodec.Codec, tmp_path: Path) -> None:
    deep = tmp_path / "deep.png"
    Image.fromarray((np.arange(300 * 300).reshape(300, 300) % 65536).astype(np.uint16)).save(deep)
    (note,) = codec.encode_file(deep, tmp_path / "deep.vaec", 40)
    assert "16-bit" in note
    codec.encode_file(deep, tmp_path / "small.vaec", target=vaecodec.Size(20000, best=True))
    assert (tmp_path / "small.vaec").stat().st_size <= 20000
    with pytest.raises(vaecodec.VaecodecError, match="in place of a quality"):
        codec.encode_file(deep, tmp_path / "both.vaec", 40, vaecodec.Size(20000))
    image = Image.fromarray(np.zeros((30, 40, 4), np.uint8), "RGBA")
    image.putpixel((3, 3), (200, 10, 10, 255))
    codec.encode_file(_png(image), tmp_path / "alpha.vaec")
    (note,) = codec.decode_file(tmp_path / "alpha.vaec", tmp_path / "alpha.jpg")
    assert "transparency" in note


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_how_images_are_written(codec: vaecodec.Codec, picture_file: Path, tmp_path: Path) -> None:
    codec.encode_file(picture_file, tmp_path / "a.vaec", 60)
    codec.decode_file(tmp_path / "a.vaec", tmp_path / "low.jpg", quality=20)
    codec.decode_file(tmp_path / "a.vaec", tmp_path / "high.jpg")
    assert (tmp_path / "low.jpg").stat().st_size < (tmp_path / "high.jpg").stat().st_size
    codec.decode_file(tmp_path / "a.vaec", tmp_path / "a.webp", lossless=True)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.webp")), codec.decode_array(tmp_path / "a.vaec"))


def test_what_is_there_stays(codec: vaecodec.Codec, picture_file: Path, tmp_path: Path) -> None:
    out, foreign = tmp_path / "a.vaec", tmp_path / "notes.vaec"
    foreign.write_text("mine")
    codec.encode_file(picture_file, out, 40)
    before = out.read_bytes()
    refused = [
        ("exists already", lambda: codec.encode_file(picture_file, out, 50)),
        ("never overwritten", lambda: codec.encode_file(picture_file, foreign, 50, overwrite=True)),
        ("same file", lambda: codec.encode_file(picture_file, picture_file, overwrite=True)),
        ("exists already", lambda: codec.decode_file(out, picture_file)),
        ("no such folder", lambda: codec.encode_file(picture_file, tmp_path / "no/a.vaec")),
        ("no such folder", lambda: codec.decode_file(out, tmp_path / "no/a.png")),
        ("a folder", lambda: codec.encode_file(picture_file, tmp_path)),
        ("suffix '.vaec'", lambda: codec.decode_file(out, tmp_path / "b.vaec")),
        ("suffix ''", lambda: codec.decode_file(out, tmp_path / "b")),
    ]
    for reason, call in refused:
        with pytest.raises(vaecodec.VaecodecError, match=reason):
            call()
    link = tmp_path / "link.png"
    link.symlink_to(out)
    with pytest.raises(vaecodec.VaecodecError, match="same file"):
        codec.decode_file(out, link, overwrite=True)
    assert out.read_bytes() == before
    assert foreign.read_text() == "mine"
    assert there(tmp_path) == {"a.vaec", "notes.vaec", "picture.png", "link.png"}


def test_errors_name_the_file_and_leave_nothing(codec: vaecodec.Codec, tmp_path: Path) -> None:
    bad, damaged = tmp_path / "bad.png", tmp_path / "damaged.vaec"
    bad.write_bytes(b"\x89PNG nothing")
    data = bytearray(codec.encode(np.full((40, 40, 3), 9, np.uint8)))
    data[-3] ^= 1
    damaged.write_bytes(data)
    for name, call in (
        ("bad.png", lambda: codec.encode_file(bad, tmp_path / "a.vaec")),
        ("bad.png", lambda: codec.decode_file(bad, tmp_path / "a.png")),
        ("damaged.vaec", lambda: codec.decode_file(damaged, tmp_path / "a.png")),
        ("damaged.vaec", lambda: codec.encode_file(damaged, tmp_path / "a.vaec")),
        ("no.png", lambda: codec.encode_file(tmp_path / "no.png", tmp_path / "a.vaec")),
    ):
        with pytest.raises(vaecodec.VaecodecError, match=name) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert there(tmp_path) == {"bad.png", "damaged.vaec"}


def test_functions_of_the_module(picture_file: Path, tmp_path: Path) -> None:
    assert vaecodec.encode_file(picture_file, tmp_path / "a.vaec", 40, tune="psnr") == []
    assert vaecodec.inspect(tmp_path / "a.vaec")["model"] == "fast"
    assert vaecodec.decode_file(tmp_path / "a.vaec", tmp_path / "a.png", png_level=9) == []
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), np.asarray(vaecodec.decode(tmp_path / "a.vaec")))
