"""A batch archive: encodes every image of a tree at the lowest quality that keeps a PSNR, on all cores.

python examples/archive.py IMAGES ARCHIVE 36
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import vaecodec
from vaecodec.output import write_whole
from vaecodec.picture import to_picture

CODEC = vaecodec.Codec(threads=1)


def archive(source: Path, root: Path, out: Path, least: float) -> str:
    """Encode one image so that its PSNR is at least `least` dB: a bisection over quality in eight steps."""
    pixels = to_picture(source).rgb
    low, high = 1.0, 100.0
    for _ in range(8):
        quality = (low + high) / 2
        data = CODEC.encode(pixels, quality)
        error = np.square(CODEC.decode_array(data).astype(float) - pixels).mean()
        low, high = (low, quality) if 10 * np.log10(255**2 / max(error, 1e-9)) >= least else (quality, high)
    target = Path(f"{out / source.relative_to(root)}.vaec")  # its whole name: a.png and a.jpg do not meet
    target.parent.mkdir(parents=True, exist_ok=True)
    data = CODEC.encode(source, high)
    write_whole(target, data, overwrite=True)
    return f"{source.name}: quality {high:.1f}, {len(data)} bytes"


def main(root: Path, out: Path, least: float) -> None:
    sources = [path for path in sorted(root.rglob("*")) if path.suffix.lower() in (".png", ".jpg", ".webp")]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for line in pool.map(partial(archive, root=root, out=out, least=least), sources):
            print(line, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
