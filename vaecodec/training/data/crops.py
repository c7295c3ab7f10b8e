"""Crops of training pictures and their augmentation."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from vaecodec.training.data.pictures import PictureStore
from vaecodec.training.data.synthetic import altered_crop, synthetic_crop

SYNTHETIC_SHARE = 1 / 10
ALTERED_SHARE = 1 / 16
"""Fractions of the crops that are generated, and of photographs that are altered."""


def crop_at(picture: np.ndarray, top: int, left: int, size: int) -> np.ndarray:
    """A (size, size, 3) crop; a picture that is too small is mirrored at its edges."""
    crop = picture[top : top + size, left : left + size]
    missing = (size - crop.shape[0], size - crop.shape[1])
    return np.pad(crop, ((0, missing[0]), (0, missing[1]), (0, 0)), "symmetric") if any(missing) else crop


class CropSampler:
    """Random crops with flips and quarter turns: batches (B, size, size, 3), uint8, prefetched.

    `state` is the number of batches taken and the seed, from which a resumed run continues with the same crops.
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
        """The next batch. Prefetches the following one, assuming the same size."""
        wanted = (self.taken, count, size)
        ahead = self._next
        batch = ahead[1].result() if ahead is not None and ahead[0] == wanted else self._make(*wanted)
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


def spread_crops(entries: list[dict], store: PictureStore, count: int, size: int) -> list[np.ndarray]:
    """Centre crops of the first `count` entries; where there are fewer, crops at up to four corners of each."""
    each = min(4, count // max(1, len(entries)))
    if each < 2:
        return centre_crops(entries, store, count, size)
    crops = []
    for entry in entries:
        picture = store.picture(entry)
        bottom, right = (max(side - size, 0) for side in picture.shape[:2])
        corners = dict.fromkeys([(0, 0), (bottom, right), (0, right), (bottom, 0)])  # the same ones once
        crops += [crop_at(picture, top, left, size) for top, left in list(corners)[:each]]
    return crops
