"""Writes golden streams: files whose latents must never change, with the hashes of their latents in golden.json.

python tests/make_golden.py            # those of the shipped models, after their weights have changed
python tests/make_golden.py --frozen   # those of the frozen tiny model that are missing; the others are never rewritten
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pictures import generated_picture
from PIL import Image, ImageCms

import vaecodec
from vaecodec.bitstream.container import Section, deflate, read_container, write_container
from vaecodec.files import Source
from vaecodec.runtime.store import shipped_models

FOLDER = Path(__file__).parent / "golden"
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


def shipped() -> Iterator[tuple[str, bytes]]:
    for name in shipped_models():
        codec, tiled = vaecodec.Codec(name), vaecodec.Codec(name, tile_log2=7)
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
    if not arguments.frozen:
        for name in [name for name in golden if not name.startswith("tiny-")]:
            (FOLDER / f"{name}.vaec").unlink(missing_ok=True)
            del golden[name]
    for name, data in frozen() if arguments.frozen else shipped():
        if name in golden:
            continue
        codec = vaecodec.Codec(TINY if arguments.frozen else None)
        (FOLDER / f"{name}.vaec").write_bytes(data)
        golden[name] = latents_hash(codec.decode_latents(data))
    index.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
