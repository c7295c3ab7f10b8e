"""Writes golden streams: files whose latents must never change, with the hashes of their latents in golden.json.

python tests/tools/make_golden.py            # those of the shipped models, after their weights have changed
python tests/tools/make_golden.py --frozen   # those of the frozen tiny model
Only those that are missing are written: what earlier models wrote must decode for ever, too.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pictures import generated_picture
from PIL import Image, ImageCms

import vaecodec
from vaecodec.bitstream.container import Header, Section, deflate, read_container, write_container
from vaecodec.model.shipped import shipped_models
from vaecodec.picture import Picture, to_picture
from vaecodec.sections.jpeg import kept_jpeg
from vaecodec.sections.lossless import lossless_if_smaller
from vaecodec.sections.payloads import Kept, sections_of, write_kept
from vaecodec.system.files import Source

FOLDER = Path(__file__).parents[1] / "golden"
TINY = FOLDER / "tiny.safetensors"


def latents_hash(latents: np.ndarray) -> str:
    """SHA-256 of latents (M, h, w) as little-endian 32-bit integers."""
    return hashlib.sha256(latents.astype("<i4").tobytes()).hexdigest()


def frozen() -> Iterator[tuple[str, bytes]]:
    """Every feature of the format, with the tiny model."""
    codec, tiled = vaecodec.Codec(TINY), vaecodec.Codec(TINY, tile_log2=7)
    for height, width in ((1, 1), (1, 70), (33, 1), (32, 32), (64, 65), (97, 131)):
        yield f"tiny-{width}x{height}", codec.encode(generated_picture(height, width), 60)
    picture = generated_picture(90, 120, seed=5)
    for quality in (1, 33.33, 67, 99.99, 100):
        yield f"tiny-q{quality}", codec.encode(picture, quality)
    random = np.random.default_rng(7)
    yield "tiny-noise", codec.encode(random.integers(0, 256, (64, 96, 3), np.uint8), 100)
    blocks = random.integers(0, 2, (6, 8, 3), np.uint8) * 255
    yield "tiny-contrast", codec.encode(blocks.repeat(16, 0).repeat(16, 1), 100)  # escapes in both streams
    yield "tiny-flat", codec.encode(np.full((70, 50, 3), 200, np.uint8), 20)
    yield "tiny-gray", codec.encode(picture[:, :, 0], 50)
    yield "tiny-alpha", codec.encode(np.dstack([picture, picture[:, ::-1, 1]]), 50)
    yield "tiny-opaque-alpha", codec.encode(np.dstack([picture, np.full_like(picture[:, :, :1], 255)]), 50)
    image = Image.fromarray(picture)
    exif = Image.Exif()
    exif[0x010E] = "golden"
    image.info |= {
        "exif": exif.tobytes(),
        "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        "xmp": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
    }
    yield "tiny-metadata", codec.encode(image, 50)
    yield "tiny-tiles", tiled.encode(generated_picture(200, 300, seed=3), 50)
    yield "tiny-tiles-wide", tiled.encode(generated_picture(20, 400, seed=4), 70)
    yield "tiny-tiles-alpha", tiled.encode(np.dstack([generated_picture(129, 140)] * 2)[:, :, :4], 40)
    yield "tiny-gray-alpha", codec.encode(picture[:, :, 1:], 50)
    yield "tiny-tiles-gray", tiled.encode(generated_picture(140, 260, seed=6)[:, :, 0], 50)
    yield "tiny-tiles-256", vaecodec.Codec(TINY, tile_log2=8).encode(generated_picture(300, 270, seed=7), 50)
    container = read_container(Source(codec.encode(picture, 50)), 1 << 20)
    sections = {200: b"of a later writer", Section.XMP: deflate(b"<x:xmpmeta/>"), 128: b""}
    yield "tiny-unknown-sections", write_container(container.header, [container.group(0)], sections)


def kept() -> Iterator[tuple[str, bytes]]:
    """Images that are kept as they were, in both versions of the format, though the tiny model takes fewer bytes."""
    exif = Image.Exif()
    for name, orientation, options in (
        ("plain", 1, {}),
        ("progressive", 1, {"progressive": True}),
        ("turned", 6, {"restart_marker_rows": 1}),
        ("upside-down", 3, {"subsampling": 0}),
        ("gray", 1, {}),
    ):
        buffer, exif[0x0112] = io.BytesIO(), orientation
        image = Image.fromarray(generated_picture(40, 72, seed=orientation))
        image.convert("L" if name == "gray" else "RGB").save(buffer, "JPEG", quality=30, exif=exif, **options)
        picture = to_picture(buffer.getvalue())
        jpeg = kept_jpeg(picture.rgb, picture.gray, picture.origin, 1 << 20)
        yield f"jpeg-{name}", kept_file(picture, Kept(Section.JPEG, jpeg.payload, jpeg.version))
    stripes = to_picture(np.indices((48, 80)).sum(0).astype(np.uint8) % 2 * 255)
    confetti = to_picture(np.random.default_rng(7).integers(0, 2, (24, 40, 3), np.uint8).repeat(2, 0) * 200)
    for name, picture in (("pixels", stripes), ("pixels-colour", confetti)):
        webp = lossless_if_smaller(picture.rgb, picture.gray, 1 << 20)
        yield name, kept_file(picture, Kept(Section.PIXELS, webp))


def kept_file(picture: Picture, section: Kept, model: bytes | None = None) -> bytes:
    identity = model or vaecodec.Codec(TINY).model.identity
    header = Header(picture.width, picture.height, 10000, identity, gray=picture.gray)
    return write_kept(header, section, picture, sections_of(picture, 1 << 20))


def shipped() -> Iterator[tuple[str, bytes]]:
    for name in shipped_models():
        codec, tiled = vaecodec.Codec(name), vaecodec.Codec(name, tile_log2=7)
        name = f"{name}-{codec.model.identity.hex()}"
        picture = generated_picture(96, 130, seed=8)
        for quality in (5, 50, 95):
            yield f"{name}-q{quality}", codec.encode(picture, quality)
        yield f"{name}-tiles", tiled.encode(generated_picture(150, 160, seed=9), 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frozen", action="store_true")
    arguments = parser.parse_args()
    index = FOLDER / "golden.json"
    golden = json.loads(index.read_text()) if index.exists() else {}
    for name, data in frozen() if arguments.frozen else shipped():
        if name in golden:
            continue
        codec = vaecodec.Codec(TINY if arguments.frozen else None)
        (FOLDER / f"{name}.vaec").write_bytes(data)
        golden[name] = latents_hash(codec.decode_latents(data))
    if arguments.frozen:
        (FOLDER / "kept").mkdir(exist_ok=True)
        for name, data in kept():
            path = FOLDER / "kept" / f"{name}.vaec"
            if not path.exists():
                assert read_container(Source(data), 1 << 20).kept, name
                path.write_bytes(data)
                Image.fromarray(vaecodec.Codec(TINY).decode_array(data).squeeze()).save(path.with_suffix(".png"))
    index.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
