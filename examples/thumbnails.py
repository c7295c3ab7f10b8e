"""A thumbnail service's code path: any image that Pillow opens, .vaec files too, to a small JPEG.

python examples/thumbnails.py photo.vaec thumbnail.jpg 160
"""

from __future__ import annotations

import sys

from PIL import Image

import vaecodec.pillow  # noqa: F401 (makes Pillow know .vaec)


def thumbnail(source: str, target: str, side: int) -> tuple[int, int]:
    """Write a thumbnail of at most side x side pixels; returns its size.

    Of a .vaec file much larger than that only the quick preview is decoded.
    """
    with Image.open(source) as image:
        image.thumbnail((side, side))
        image.convert("RGB").save(target, "JPEG", quality=85)
        return image.size


if __name__ == "__main__":
    print(thumbnail(sys.argv[1], sys.argv[2], int(sys.argv[3])))
