"""Training pictures: decoded once into one memory-mapped file, then cropped at random."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from vaecodec.errors import ImageError
from vaecodec.picture import IMAGE_SUFFIXES
from vaecodec.training.synthetic import altered_crop, synthetic_crop

VALIDATION_SHARE = 0.05
SYNTHETIC_SHARE = 1 / 10
ALTERED_SHARE = 1 / 16
"""Shares of the crops that are generated, and of photographs that are altered."""


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
    """Decoded pictures in `folder`/pictures.u8, one after another, with their places in pictures.json."""

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


def crop_at(picture: np.ndarray, top: int, left: int, size: int) -> np.ndarray:
    """A (size, size, 3) crop; a picture that is too small is mirrored at its edges."""
    crop = picture[top : top + size, left : left + size]
    missing = (size - crop.shape[0], size - crop.shape[1])
    return np.pad(crop, ((0, missing[0]), (0, missing[1]), (0, 0)), "symmetric") if any(missing) else crop


class CropSampler:
    """Random crops with flips and quarter turns: batches (B, size, size, 3), uint8, made while the last one is used.

    `state` is the number of batches taken and the seed: all that a resumed run needs to go on with the same crops.
    """

    def __init__(self, store: PictureStore, seed: int) -> None:
        self.store = store
        self.seed, self.taken = seed, 0
        areas = np.array([entry["shape"][0] * entry["shape"][1] for entry in store.train], float)
        self.probability = areas / areas.sum()
        self._ahead = ThreadPoolExecutor(1)
        self._makers = ThreadPoolExecutor(os.cpu_count())
        self._next: tuple[tuple[int, int, int], Future[np.ndarray]] | None = None

    @property
    def state(self) -> list[int]:
        return [self.seed, self.taken]

    @state.setter
    def state(self, state: list[int]) -> None:
        self.seed, self.taken = state

    def batch(self, count: int, size: int) -> np.ndarray:
        """The next batch; the one after it is begun in the background, as likely of the same size."""
        wanted = (self.taken, count, size)
        ready = self._next is not None and self._next[0] == wanted
        batch = self._next[1].result() if ready else self._make(*wanted)
        self.taken += 1
        following = (self.taken, count, size)
        self._next = following, self._ahead.submit(self._make, *following)
        return batch

    def _make(self, number: int, count: int, size: int) -> np.ndarray:
        random = np.random.default_rng([self.seed, number])
        picked = random.choice(len(self.store.train), count, p=self.probability)
        entries = (self.store.train[i] for i in picked)
        return np.stack(list(self._makers.map(self._crop, entries, random.spawn(count), [size] * count)))

    def _crop(self, entry: dict, random: np.random.Generator, size: int) -> np.ndarray:
        if random.random() < SYNTHETIC_SHARE:
            return synthetic_crop(random, size)
        picture = self.store.picture(entry)
        top = random.integers(max(picture.shape[0] - size, 0) + 1)
        left = random.integers(max(picture.shape[1] - size, 0) + 1)
        crop = np.rot90(crop_at(picture, top, left, size), random.integers(4))
        crop = crop[:, ::-1] if random.random() < 0.5 else crop
        return altered_crop(random, crop) if random.random() < ALTERED_SHARE else crop


def centre_crops(entries: list[dict], store: PictureStore, count: int, size: int) -> list[np.ndarray]:
    """Centre crops (size, size, 3) of the first `count` entries."""
    crops = []
    for entry in entries[:count]:
        picture = store.picture(entry)
        top, left = (max(side - size, 0) // 2 for side in picture.shape[:2])
        crops.append(crop_at(picture, top, left, size))
    return crops
