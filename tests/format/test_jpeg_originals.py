"""JPEG files come back with their coefficients where latents would take more; every rule of FORMAT.md on them holds."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import reference_decoder
from make_golden import TINY, kept_file
from pictures import generated_picture
from PIL import Image, ImageFile, ImageOps

import vaecodec
from vaecodec.bitstream.container import JPEG_VERSION, Header, Section, write_container
from vaecodec.errors import FormatError
from vaecodec.picture import save_picture, to_picture
from vaecodec.picture.jpeg_file import COM, MAX_SCANS, SOS, Segment, plain_jpeg, segments
from vaecodec.sections.jpeg import kept_jpeg
from vaecodec.sections.payloads import Kept

CASES = Path(__file__).parents[1] / "cases"
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 168, 3), np.uint8))


def jpeg(image: Image.Image = NOISE, orientation: int = 1, **options: object) -> bytes:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    image.save(buffer, "JPEG", **({"quality": 97} | ({} if orientation == 1 else {"exif": exif}) | options))
    return buffer.getvalue()


def without_comments(data: bytes) -> int:
    return sum(len(part.data) for part in segments(data) if part.marker != COM)


@pytest.fixture(scope="module")
def codec() -> vaecodec.Codec:
    return vaecodec.Codec(threads=1)


VARIANTS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 5},
    "4:2:2": {"subsampling": 1},
    "4:4:4": {"subsampling": 0},
    "comment": {"comment": "x" * 300},
    "resolution": {"dpi": (300, 300)},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("orientation", [1, 6, 3, 5])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_coefficients_are_kept_where_latents_take_more(
    codec: vaecodec.Codec, variant: str, orientation: int, mode: str
) -> None:
    """At most 64 bytes more than the file; the same pixels, upright; and the same coefficients as a JPEG again."""
    source = jpeg(NOISE.convert(mode), orientation, **({"quality": 60} | VARIANTS[variant]))
    picture = to_picture(source)
    section = kept_jpeg(picture.rgb, picture.gray, picture.origin, 1 << 20)
    model = codec.model.identity
    data = kept_file(picture, Kept(Section.JPEG, section.payload, section.version), model)
    if variant != "resolution" or orientation == 1:  # else EXIF says again what the JPEG says
        assert len(data) <= without_comments(source) + 64
    decoded = codec.decode_picture(data)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(source)))
    assert np.array_equal(decoded.rgb, np.asarray(upright.convert("RGB")))
    assert data[4] == (2 if variant not in ("progressive", "restarts") and orientation == 1 else 3)
    again, notes = save_picture(decoded, ".jpeg")
    assert not notes
    assert plain_jpeg(again).data == plain_jpeg(source).data
    back = ImageOps.exif_transpose(Image.open(io.BytesIO(again)))
    assert np.array_equal(np.asarray(back), np.asarray(upright))
    if variant == "resolution":
        assert codec.decode(data).info["dpi"] == pytest.approx((300, 300))
    theirs = reference_decoder.decode(data, codec.model.path.read_bytes())
    assert np.array_equal(theirs if mode == "RGB" else np.dstack([theirs] * 3), decoded.rgb)


def test_bytes_between_segments_are_no_part_of_the_file() -> None:
    """libjpeg skips fill bytes and rubbish; so does the encoder, and what is kept has none."""
    good = jpeg(quality=50)
    for rubbish in (b"\xff" * 5, b"rubbish", b"\0\xff\0"):
        assert plain_jpeg(good[:20] + rubbish + good[20:]).data == plain_jpeg(good).data
    assert plain_jpeg(good[:20] + b"\xff\xd8" + good[20:]) is None


def test_the_promise_of_64_bytes_holds_in_the_encoder(codec: vaecodec.Codec) -> None:
    hills = Image.open("examples/hills.png").convert("RGB").crop((0, 0, 256, 256))
    kept = 0
    for image in (NOISE, hills):
        for quality in (10, 30, 60, 90):
            for options in ({}, {"progressive": True}, {"subsampling": 0}):
                source = jpeg(image, quality=quality, **options)
                data = codec.encode(source, 100)
                assert len(data) <= without_comments(source) + 64
                kept += "jpeg" in vaecodec.inspect(data)["parts"]
    assert kept > 4


def test_large_ones_need_few_bytes_too(codec: vaecodec.Codec) -> None:
    """Tiles that hold nothing are few in version 2, and none in version 3."""
    picture = generated_picture(40, 50)
    for width, version in ((5000, 2), (20000, 3)):
        source = jpeg(Image.fromarray(picture).resize((width, 64)), quality=10)
        assert codec.encode(source, 100)[4] == version
        assert len(codec.encode(source, 100)) <= without_comments(source) + 64


def test_noise_that_pillow_cannot_optimise(codec: vaecodec.Codec) -> None:
    """More than two bytes a pixel: too much for Pillow's buffer."""
    source = jpeg(NOISE, quality=100, subsampling=0)
    for quality in (1, 50, 100):
        assert codec.decode(codec.encode(source, quality)).size == NOISE.size
    assert codec.decode(codec.encode(Image.open(io.BytesIO(source)), 80)).size == NOISE.size
    loaded = Image.open(io.BytesIO(source))
    loaded.load()
    assert codec.decode(codec.encode(loaded, 100)).size == NOISE.size


def test_what_cannot_be_kept_is_coded(codec: vaecodec.Codec) -> None:
    """Tables beyond 8 bits, RGB, CMYK, too many scans: latents, which everybody can decode."""
    wide = (CASES / "jpeg_16bit_tables.jpg").read_bytes()
    rgb = jpeg(keep_rgb=True)
    parts = list(segments(jpeg(progressive=True)))
    last = next(i for i in reversed(range(len(parts))) if parts[i].marker == SOS)
    scans = sum(part.marker == SOS for part in parts)
    most, more = (
        b"".join(part.data for part in (*parts[:-1], *[parts[last]] * (count - scans), parts[-1]))
        for count in (MAX_SCANS, MAX_SCANS + 1)
    )
    assert plain_jpeg(most) is not None
    for source in (wide, rgb, jpeg(NOISE.convert("CMYK")), more):
        assert plain_jpeg(source) is None
        for quality in (10, 80, 100):
            assert codec.decode(codec.encode(source, quality)).size == Image.open(io.BytesIO(source)).size


def test_process_wide_settings_of_pillow_change_nothing(codec: vaecodec.Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = np.full((300, 400, 3), 200, np.uint8)
    flat[:100] = 30
    see_through = np.dstack([generated_picture(300, 400), np.tile(np.arange(200, dtype=np.uint8), (300, 2))])
    files = [codec.encode(flat), codec.encode(see_through), codec.encode(jpeg(quality=30), 100)]
    pictures = [codec.decode_array(data) for data in files]
    for truncated in (False, True):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", truncated)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for data, before in zip(files, pictures, strict=True):
                assert np.array_equal(codec.decode_array(data), before)
            assert codec.encode(flat) == files[0]
            assert codec.encode(see_through) == files[1]
            assert codec.encode(jpeg(quality=30), 100) == files[2]
            for name in sorted(CASES.glob("rule-*.vaec")):
                with pytest.raises(FormatError):
                    codec.decode(name)


@pytest.mark.parametrize("path", sorted(CASES.glob("rule-*.vaec")), ids=lambda path: path.stem)
def test_rules_are_enforced_by_both_decoders(codec: vaecodec.Codec, path: Path) -> None:
    with pytest.raises(FormatError, match="section"):
        codec.decode(path)
    with pytest.raises(Exception):  # noqa: B017, PT011 (whatever it is: the second decoder must not accept it)
        reference_decoder.decode(path.read_bytes(), codec.model.path.read_bytes())


def _changed(data: bytes, change) -> bytes:
    return b"".join(part.data for part in change(list(segments(data))))


def test_rules_of_version_3(codec: vaecodec.Codec) -> None:
    good, progressive = plain_jpeg(jpeg(quality=40)).data, plain_jpeg(jpeg(quality=40, progressive=True)).data
    scans = [part for part in segments(progressive) if part.marker == SOS]
    first = next(i for i, part in enumerate(segments(progressive)) if part.marker == SOS)

    def cut(number: int) -> bytes:
        parts = list(segments(progressive))
        scan = parts[first + number]
        at = parts.index(scan)
        parts[at] = Segment(SOS, scan.payload, scan.scan[: len(scan.scan) // 2])
        return b"".join(part.data for part in parts)

    bad = {
        "no orientation": b"\0" + good,
        "orientation 9": b"\x09" + good,
        "nothing": b"",
        "seventeen scans": b"\1" + progressive[:-2] + scans[-1].data * (MAX_SCANS + 1 - len(scans)) + b"\xff\xd9",
        "first scan cut": b"\1" + cut(0),
        "empty scan": b"\1" + _changed(progressive, lambda p: [*p[:-1], Segment(SOS, scans[-1].payload), p[-1]]),
        "comment": b"\1" + _changed(good, lambda p: [*p[:2], Segment(COM, b"hidden"), *p[2:]]),
        "fill byte": b"\1" + good[:20] + b"\xff" + good[20:],
        "after the end": b"\1" + good + b"\0",
        "turned sides": b"\6" + good,
        "table after the scan": b"\1" + _changed(good, lambda p: [*p[:-1], p[2], p[-1]]),
        "two frames": b"\1" + _changed(good, lambda p: [*p[:-2], *[q for q in p if q.marker == 0xC0], *p[-2:]]),
        "no tables": b"\1" + _changed(good, lambda p: [q for q in p if q.marker != 0xDB]),
        "long JFIF": b"\1" + _changed(good, lambda p: [p[0], Segment(0xE0, p[1].payload + b"\0\0\0"), *p[2:]]),
    }
    model = TINY.read_bytes()
    tiny = vaecodec.Codec(TINY)

    def file(payload: bytes) -> bytes:
        header = Header(*NOISE.size, 5000, tiny.model.identity, version=JPEG_VERSION)
        return write_container(header, [], {Section.JPEG: payload})

    assert tiny.decode(file(b"\1" + progressive)).size == NOISE.size
    for name, payload in bad.items():
        with pytest.raises(FormatError, match="jpeg section"):
            print(name, tiny.decode(file(payload)))
        with pytest.raises(Exception):  # noqa: B017, PT011
            print(name, reference_decoder.decode(file(payload), model))


def test_a_file_makes_one_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    from vaecodec.bitstream import container

    made = []
    grid = container.TileGrid
    monkeypatch.setattr(container, "TileGrid", lambda *arguments: made.append(arguments) or grid(*arguments))
    codec = vaecodec.Codec(TINY, tile_log2=7, keep=False)
    data = codec.encode(generated_picture(300, 400))
    assert len(made) == 1
    codec.decode(data)
    assert len(made) == 2


def test_thin_images_and_many_chunks_take_no_time() -> None:
    codec = vaecodec.Codec(TINY, threads=1)
    started = time.process_time()
    assert codec.decode(CASES / "thin-131072x1.vaec").size == (131072, 1)
    assert time.process_time() - started < 10
    with pytest.raises(FormatError, match="limit"):
        vaecodec.Codec(TINY, max_pixels=1 << 20).decode(CASES / "thin-131072x1.vaec")
    header = Header(8, 8, 5000, codec.model.identity)
    empty = b"\0\0\0\0IDAT" + (0x35AF061E).to_bytes(4, "big")
    alpha = vaecodec.sections.alpha.alpha_to_png(np.zeros((8, 8), np.uint8))
    from vaecodec.bitstream.container import Streams

    data = write_container(header, [Streams(b"", b"")], {Section.ALPHA: alpha[:33] + empty * 4_000_000 + alpha[33:]})
    started = time.process_time()
    with pytest.raises(FormatError, match="alpha section is damaged"):
        codec.decode(data)
    assert time.process_time() - started < 1


def test_a_jpeg_comes_back_from_the_command(tmp_path: Path) -> None:
    source = tmp_path / "noise.jpg"
    source.write_bytes(jpeg(orientation=6, quality=60, progressive=True))
    run = [sys.executable, "-m", "vaecodec"]
    environment = os.environ | {"PYTHONWARNINGS": "error"}
    subprocess.run([*run, "encode", source, tmp_path / "a.vaec", "-q", "100"], check=True, env=environment)
    subprocess.run([*run, "decode", tmp_path / "a.vaec", tmp_path / "again.jpg"], check=True, env=environment)
    assert plain_jpeg((tmp_path / "again.jpg").read_bytes()).data == plain_jpeg(source.read_bytes()).data
