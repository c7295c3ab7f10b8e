"""Writes the hostile files in tests/attacks, each with the error that must answer it, in attacks.json.

    python tests/tools/make_attacks.py

"" stands for no error: the file is odd, but valid.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from make_golden import TINY
from pictures import generated_picture
from PIL import Image

import vaecodec
from vaecodec.bitstream.container import Header, Section, Streams, deflate, read_container, write_container
from vaecodec.bitstream.grid import TileGrid
from vaecodec.coding.tile import TileCoder
from vaecodec.nets import load_nets
from vaecodec.sections.alpha import alpha_to_png
from vaecodec.system.files import Source

FOLDER = Path(__file__).parents[1] / "attacks"


def sealed(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(4, "little")


def header(flags: int = 0, sizes: bytes = b"\x20\x20", quality: int = 5000, model: bytes = bytes(4)) -> bytes:
    return b"VAEC\x02" + bytes([flags]) + sizes + quality.to_bytes(2, "little") + model


def png(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def varints(*values: int) -> bytes:
    out = bytearray()
    for value in values:
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
    return bytes(out)


def broken_headers() -> Iterator[tuple[str, bytes, str]]:
    side = varints(1 << 20)
    yield "empty", b"", "empty"
    yield "magic-only", b"VAEC", "truncated within its header"
    yield "foreign", b"\x89PNG\r\n\x1a\n" + bytes(30), "not a vaecodec file"
    yield "version-0", sealed(b"VAEC\x00" + header()[5:] + b"\0"), "version 0"
    yield "version-255", sealed(b"VAEC\xff" + header()[5:] + b"\0"), "version 255"
    yield "unknown-flag", sealed(header(flags=0x80) + b"\0"), "features"
    yield "zero-width", sealed(header(sizes=b"\0\x20") + b"\0"), "no pixels"
    yield "zero-height", sealed(header(sizes=b"\x20\0") + b"\0"), "no pixels"
    yield "huge-dimensions", sealed(header(flags=4, sizes=side + side) + b"\x0b"), "limit"
    yield "dimension-beyond-range", sealed(header(sizes=varints((1 << 20) + 1, 1)) + b"\0"), "out of range"
    yield "endless-varint", sealed(header(sizes=b"\xff" * 30) + b"\0"), "out of range"
    yield "long-varint", sealed(header(sizes=b"\xa0\x80\x00\x20") + b"\0"), "out of range"
    yield "quality-0", sealed(header(quality=0) + b"\0"), "quality"
    yield "quality-655", sealed(header(quality=65535) + b"\0"), "quality"
    yield "needs-tiles", sealed(header(sizes=varints(2049, 1)) + b"\0"), "must be coded in tiles"
    yield "needless-tiles", sealed(header(flags=4) + b"\x07\0\0"), "must not be coded in tiles"
    yield "tile-of-2-to-the-255", sealed(header(flags=4, sizes=varints(4096, 8)) + b"\xff\0\0"), "tile size"
    yield "huge-stream", sealed(header() + varints(1 << 28)), "truncated"
    yield "stream-beyond-range", sealed(header() + varints((1 << 28) + 1)), "out of range"
    yield "half-a-word", sealed(header() + b"\0abc"), "no whole number of words"
    yield "no-groups", sealed(header(flags=4, sizes=varints(129, 1)) + b"\x07"), "header"
    groups = varints(*[1 << 28] * 4)
    yield "huge-groups", sealed(header(flags=4, sizes=varints(129, 1)) + b"\x07" + groups), "truncated: group 0 of 2"
    many = header(flags=4, sizes=varints(1 << 20, 128)) + b"\x07" + bytes(2 * 8192)
    yield "many-empty-groups", sealed(many), "truncated: group 0 of 8192"
    table = b"".join(bytes([kind, 0]) for kind in range(255, 0, -1))
    yield "255-sections", sealed(header(flags=2) + b"\xff\x01" + table), "unknown type 127"
    yield "256-sections", sealed(header(flags=2) + b"\x80\x02"), "out of range"
    yield "section-twice", sealed(header(flags=2) + b"\x02\x81\0\x81\0\0\0"), "twice"
    yield "unknown-critical-section", sealed(header(flags=2) + b"\x01\x7f\0\0\0"), "unknown type 127"
    yield "section-128", sealed(header(flags=2) + b"\x01\x80\0\0\0") + sealed(b"") * 2, "model 00000000"
    yield "section-beyond-the-end", sealed(header(flags=2) + b"\x01\x81" + varints(1 << 28) + b"\0\0"), "truncated"
    yield "bytes-after-the-end", sealed(header(flags=2) + b"\0\0\0") + sealed(b"") + b"more", "foreign bytes"
    yield "header-checksum", header(flags=2) + b"\0\0\0" + bytes(4) + sealed(b""), "checksum of its header"
    yield "absent-model", sealed(header(model=b"\xde\xad\xbe\xef") + b"\0"), "deadbeef"


def broken_contents() -> Iterator[tuple[str, bytes, str]]:
    picture = generated_picture(40, 50)
    codec = vaecodec.Codec(TINY)
    container = read_container(Source(codec.encode(picture, 80)), 1 << 20)
    head, good = container.header, container.group(0)

    def file(streams: Streams = good, sections: dict[Section, bytes] | None = None, **fields: object) -> bytes:
        return write_container(replace(head, **fields), [streams], sections or {})

    ones, junk = b"\xff" * 4, bytes(range(0, 256, 4))
    yield "no-streams", file(Streams(b"", b"")), ""
    yield "streams-of-zeros", file(Streams(bytes(40), bytes(400))), "longer than its symbols"
    yield "streams-of-ones", file(Streams(ones * 40, ones * 400)), "invalid"
    yield "hyper-stream-too-long", file(Streams(good.hyper + junk, good.latent)), "longer than its symbols"
    yield "latent-stream-too-long", file(Streams(good.hyper, good.latent + junk)), "longer than its symbols"
    yield "streams-exchanged", file(Streams(good.latent, good.hyper)), "longer than its symbols"
    yield "wider-than-its-streams", file(width=900, height=900), "longer than its symbols"
    yield "escape-bomb", escape_bomb(codec, head), ""
    yield "exif-no-tiff", file(sections={Section.EXIF: deflate(b"xxxx")}), ""
    yield "exif-no-directory", file(sections={Section.EXIF: deflate(b"II*\0")}), ""
    exif = {Section.EXIF: b"not deflated"}
    yield "exif-not-deflated", file(sections=exif), "metadata section is damaged"
    yield "exif-bomb", file(sections={Section.EXIF: deflate(bytes((1 << 24) + 1))}), "too large"
    yield "xmp-bomb", file(sections={Section.XMP: deflate(bytes(1 << 27))}), "too large"
    yield "xmp-truncated", file(sections={Section.XMP: deflate(b"x" * 500)[:-5]}), "truncated"
    yield "icc-with-a-tail", file(sections={Section.ICC: deflate(b"icc") + b"tail"}), "foreign bytes"
    alpha = alpha_to_png(picture[:, :, 0])
    yield "alpha-of-another-size", file(sections={Section.ALPHA: alpha_to_png(picture[1:, :, 0])}), "does not fit"
    yield "alpha-in-colour", file(sections={Section.ALPHA: png(Image.fromarray(picture))}), "does not fit"
    yield "alpha-no-png", file(sections={Section.ALPHA: b"GIF89a" + bytes(50)}), "alpha section is damaged"
    yield "alpha-truncated", file(sections={Section.ALPHA: alpha[: len(alpha) // 2]}), "alpha section is damaged"
    huge = bytearray(alpha)
    huge[16:24] = (1 << 30).to_bytes(4, "big") * 2
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    for name, data in broken_alphas(alpha):
        yield f"alpha-{name}", file(sections={Section.ALPHA: data}), "alpha section is damaged"
    two_bits = png(Image.fromarray(picture[:, :, 0]).convert("L"), bits=2)
    yield "alpha-of-two-bits", file(sections={Section.ALPHA: two_bits}), "does not fit"
    opaque = "not empty, or contradicts"
    yield "opaque-not-empty", file(sections={Section.OPAQUE: b"\0"}), opaque
    yield "opaque-and-alpha", file(sections={Section.OPAQUE: b"", Section.ALPHA: alpha}), opaque
    yield "alpha-bomb", file(sections={Section.ALPHA: bytes(huge)}), "does not fit|damaged"


def broken_alphas(alpha: bytes) -> Iterator[tuple[str, bytes]]:
    """Variants of a PNG of 50x40 pixels that common decoders put up with."""
    signature, head, end = alpha[:8], alpha[8:33], alpha[-12:]

    def chunk(kind: bytes, payload: bytes) -> bytes:
        return len(payload).to_bytes(4, "big") + kind + payload + zlib.crc32(kind + payload).to_bytes(4, "big")

    flipped = bytearray(alpha)
    flipped[-13] ^= 1  # the checksum of IDAT
    rows = bytes(51 * 40)
    yield "checksum", bytes(flipped)
    yield "with-a-tail", alpha + b"tail"
    yield "transparent", alpha[:33] + chunk(b"tRNS", b"\0\0") + alpha[33:]
    yield "without-end", alpha[:-12]
    yield "half-the-rows", signature + head + chunk(b"IDAT", zlib.compress(rows[: 51 * 20])) + end
    yield "row-too-many", signature + head + chunk(b"IDAT", zlib.compress(rows + rows[:51])) + end
    yield "stream-with-a-tail", signature + head + chunk(b"IDAT", zlib.compress(rows) + b"tail") + end


def escape_bomb(codec: vaecodec.Codec, head: Header) -> bytes:
    """Every symbol an escape of the largest value: valid, and as far outside of everything as can be."""
    sign = np.random.default_rng(0)

    def extreme(residual: np.ndarray, index: np.ndarray) -> np.ndarray:
        return np.where(index > 0, sign.choice([-32767, 32767], index.shape), 0).astype(np.int32)

    grid = TileGrid(head.width, head.height)
    nets = load_nets(codec.model, None, None, 1)
    coder = TileCoder(codec.model, nets, 10000, extreme)
    streams, _ = coder.encode(np.full((1, codec.model.config.latents, *grid.bounds[2:]), 1e4, np.float32))
    return write_container(replace(head, quality=10000), streams, {})


def main() -> None:
    expected = {}
    for old in FOLDER.glob("*.vaec"):
        old.unlink()
    for name, data, error in [*broken_headers(), *broken_contents()]:
        (FOLDER / f"{name}.vaec").write_bytes(data)
        expected[name] = error
    (FOLDER / "attacks.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
