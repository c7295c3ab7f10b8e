"""Mutants of small images of many formats, through the encoder with the tiny model.

    python tests/tools/fuzz_images.py --executions 100000 [--seed 0]

Whatever a mutant is, the answer must be a .vaec file that decodes, or a VaecodecError, soon.
"""

from __future__ import annotations

import argparse
import io
import resource
import time
import warnings
from collections import Counter

import numpy as np
from fuzz import _bytes
from make_golden import TINY
from pictures import generated_picture
from PIL import Image, PngImagePlugin

import vaecodec

LIMIT = 10.0
"""Seconds that no mutant may take, on a busy machine."""


def seeds() -> dict[str, bytes]:
    """Small valid files of every format that Pillow writes, some in several kinds, with metadata."""
    rgb = Image.fromarray(generated_picture(24, 32))
    exif, text = Image.Exif(), PngImagePlugin.PngInfo()
    exif[0x010F], exif[0x0112] = "maker", 6
    exif.get_ifd(0x8769)[0xA002] = 32
    text.add_text("Comment", "words", zip=True)
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    see_through = rgb.convert("RGBA")
    see_through.putalpha(Image.linear_gradient("L").resize(rgb.size))
    gray16 = Image.fromarray(np.asarray(rgb)[:, :, 0].astype(np.uint16) * 257)
    kinds = {
        "png": (rgb, {"pnginfo": text, "exif": exif, "dpi": (300, 300)}),
        "png-palette": (rgb.quantize(16), {"transparency": b"\x00\x80\xff"}),
        "png-16": (gray16, {"transparency": 500, "format": "PNG"}),
        "png-alpha": (see_through, {"format": "PNG"}),
        "jpeg": (rgb, {"exif": exif, "comment": "words", "dpi": (300, 300)}),
        "jpeg-progressive": (rgb, {"progressive": True, "format": "JPEG"}),
        "jpeg-cmyk": (rgb.convert("CMYK"), {"format": "JPEG"}),
        "gif": (rgb.quantize(16), {"save_all": True, "append_images": [rgb.rotate(9).quantize(16)]}),
        "webp": (rgb, {"exif": exif, "xmp": b"<x:xmpmeta/>"}),
        "webp-lossless": (see_through, {"lossless": True, "format": "WEBP"}),
        "avif": (rgb, {"exif": exif}),
        "tiff": (rgb, {"exif": exif}),
        "tiff-lzw": (rgb, {"compression": "tiff_lzw", "format": "TIFF"}),
        "tiff-16": (gray16, {"save_all": True, "append_images": [gray16], "format": "TIFF"}),
        "bmp": (rgb, {"dpi": (300, 300)}),
        "ppm": (rgb, {}),
        "tga": (see_through, {"compression": "tga_rle"}),
        "ico": (see_through, {}),
        "icns": (rgb.resize((32, 32)), {}),
        "pcx": (rgb, {}),
        "dds": (see_through, {}),
        "sgi": (rgb, {}),
        "jpeg2000": (rgb, {}),
        "im": (rgb, {}),
        "dib": (rgb, {}),
        "qoi": (rgb, {}),
        "blp": (rgb.quantize(16), {}),
        "msp": (rgb.convert("1"), {}),
        "xbm": (rgb.convert("1"), {}),
    }
    found = {}
    for name, (image, options) in kinds.items():
        buffer = io.BytesIO()
        try:
            image.save(buffer, options.pop("format", name.partition("-")[0].upper()), **options)
        except (KeyError, OSError, ValueError):  # not in this version of Pillow
            continue
        found[name] = buffer.getvalue()
    return found


class ImageFuzzer:
    """Runs mutants and counts what became of them."""

    def __init__(self) -> None:
        self.codec = vaecodec.Codec(TINY, threads=1, max_pixels=1 << 18, max_metadata=1 << 16)
        self.seeds = seeds()
        self.names = sorted(self.seeds)
        self.outcomes: Counter[str] = Counter()
        self.slowest, self.slowest_seed = 0.0, 0

    def run(self, seed: int) -> None:
        """One execution; any exception but VaecodecError is a crash."""
        random = np.random.default_rng(seed)
        data = self.seeds[self.names[random.integers(len(self.names))]]
        for _ in range(random.integers(1, 4)):
            data = _bytes(random, data)
        started = time.process_time()
        try:
            coded = self.codec.encode(data, float(random.integers(1, 101)))
            self.outcomes["coded"] += 1
            if seed % 10 == 0:
                self.codec.decode(coded)
        except vaecodec.VaecodecError as error:
            lines = len(str(error).splitlines())
            self.outcomes[type(error).__name__ if lines == 1 else "of several lines"] += 1
        elapsed = time.process_time() - started
        if elapsed > self.slowest:
            self.slowest, self.slowest_seed = elapsed, seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    fuzzer, started, crashes = ImageFuzzer(), time.monotonic(), 0
    for seed in range(arguments.seed, arguments.seed + arguments.executions):
        try:
            fuzzer.run(seed)
        except Exception as error:
            crashes += 1
            print(f"seed {seed}: {type(error).__name__}: {error}", flush=True)
    print(f"{arguments.executions} mutants of {len(fuzzer.seeds)} kinds in {time.monotonic() - started:.0f} s")
    print(f"foreign exceptions: {crashes}; outcomes: {dict(fuzzer.outcomes)}")
    print(f"slowest {fuzzer.slowest:.2f} s (seed {fuzzer.slowest_seed}); ", end="")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
