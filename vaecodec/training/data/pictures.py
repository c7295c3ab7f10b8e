"""Training pictures, decoded once into one memory-mapped file."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from vaecodec.errors import ImageError
from vaecodec.picture import IMAGE_SUFFIXES

VALIDATION_SHARE = 0.05


def _pictures(source: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the images in a folder (recursively; tar shards in it included), a tar, or one file."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES | {".tar"}:
                yield from _pictures(path)
    elif source.suffix.lower() == ".tar":
        with tarfile.open(source) as tar:
            for member in tar:
                if member.isfile() and Path(member.name).suffix.lower() in IMAGE_SUFFIXES:
                    file = tar.extractfile(member)
                    if file is not None:
                        yield member.name, file.read()
    elif source.suffix.lower() in IMAGE_SUFFIXES:
        yield source.name, source.read_bytes()


def is_validation(name: str) -> bool:
    """Whether a picture belongs to the validation split: a fixed 5 % chosen by the hash of its name."""
    digest = hashlib.sha256(Path(name).name.encode()).digest()
    return int.from_bytes(digest[:4], "big") < VALIDATION_SHARE * 2**32


class PictureStore:
    """Decoded pictures in `folder`/pictures.u8, one after another, with their positions in pictures.json."""

    def __init__(self, folder: Path) -> None:
        self.index: list[dict] = json.loads((folder / "pictures.json").read_text())
        self.pixels = np.memmap(folder / "pictures.u8", np.uint8, mode="r")
        self.train = [entry for entry in self.index if not is_validation(entry["name"])]
        self.validation = [entry for entry in self.index if is_validation(entry["name"])]
        if not self.train:
            raise ImageError("no training pictures found")

    @classmethod
    def build(cls, source: Path, folder: Path, smallest: int = 64) -> PictureStore:
        """Decode every picture in `source` (at least `smallest` pixels a side) unless `folder` has them already."""
        if not (folder / "pictures.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            index, offset = [], 0
            with open(folder / "pictures.u8", "wb") as out:
                for name, data in _pictures(source):
                    try:
                        with Image.open(io.BytesIO(data)) as image:
                            pixels = np.asarray(image.convert("RGB"))
                    except (OSError, ValueError, Image.DecompressionBombError):
                        continue
                    if min(pixels.shape[:2]) >= smallest:
                        out.write(pixels.tobytes())
                        index.append({"name": name, "offset": offset, "shape": pixels.shape})
                        offset += pixels.size
            if not index:
                raise ImageError(f"no usable pictures in {source}")
            (folder / "pictures.json").write_text(json.dumps(index))
        return cls(folder)

    def picture(self, entry: dict) -> np.ndarray:
        """One picture (H, W, 3), uint8."""
        h, w, c = entry["shape"]
        return self.pixels[entry["offset"] : entry["offset"] + h * w * c].reshape(h, w, c)
