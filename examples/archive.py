"""A batch archive: encodes every image of a tree in the fewest bytes that keep a PSNR, on all cores.

python examples/archive.py IMAGES ARCHIVE 36
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import vaecodec
from vaecodec.picture import to_picture
from vaecodec.system.output import write_whole

CODEC = vaecodec.Codec(threads=1)


def archive(source: Path, root: Path, out: Path, least: float) -> str:
    """Encode one image so that its PSNR is at least `least` dB."""
    target = Path(f"{out / source.relative_to(root)}.vaec")  # its whole name: a.png and a.jpg do not meet
    target.parent.mkdir(parents=True, exist_ok=True)
    reached = CODEC.reach(to_picture(source), vaecodec.Psnr(least))
    write_whole(target, reached.data, overwrite=True)
    return f"{source.name}: {reached}, {len(reached.data)} bytes"


def main(root: Path, out: Path, least: float) -> None:
    sources = [path for path in sorted(root.rglob("*")) if path.suffix.lower() in (".png", ".jpg", ".webp")]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for line in pool.map(partial(archive, root=root, out=out, least=least), sources):
            print(line, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
