"""What is odd in pictures of things that look alike, learned from good ones alone: scratches, stains, missing parts.

A codec that was trained on photographs says of every place how much of it is lost, by bands, and what its hyper
analysis sees there. Both are compared with good pictures by Mahalanobis distances, which count in both directions:
blur and missing parts are coded *too well*. No other network is needed. docs/anomaly.md has the figures.

>>> from vaecodec import anomaly
>>> normal = anomaly.fit(good)
>>> score, heat, is_anomaly = normal.score(image)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from vaecodec.errors import ImageError, VaecodecError, naming
from vaecodec.nets.interface import Float
from vaecodec.picture import Picture, to_picture
from vaecodec.system.limits import MAX_PIXELS
from vaecodec.system.parallel import Progress, Workers
from vaecodec.uses.normal import FEWEST, FOLDS, Normality, check_share, learn
from vaecodec.uses.normal_file import read_normality, write_normality
from vaecodec.uses.profile import Profile, Profiler

if TYPE_CHECKING:
    from vaecodec.types import ImageLike

__all__ = ["ENOUGH", "FALSE_ALARMS", "FEWEST", "FOLDS", "Normal", "fit", "load"]
FALSE_ALARMS = 0.05
"""The share of good images that is called odd unless another is asked for."""
ENOUGH = 40
"""From so many good images on, false alarms were within 10 points of what was asked for, but for one texture at one
seed (docs/anomaly.md)."""


class Normal:
    """What good images look like: made by `fit`, kept by `save` and `load`. Threads may share one.

    images: how many were learned from; size: (width, height) of aligned ones, else None; least: the least share of
    false alarms that a threshold from so many images can promise.
    """

    def __init__(self, learned: Normality, profiler: Profiler, max_pixels: int = MAX_PIXELS) -> None:
        self._learned, self._profiler, self._max_pixels = learned, profiler, max_pixels
        self.images = len(learned.scores)
        self.size = learned.size
        self.least = learned.least

    def score(self, image: ImageLike, false_alarms: float = FALSE_ALARMS) -> tuple[float, Float, bool]:
        """How odd an image is: (score, map, is_anomaly).

        image: as for `encode`, at least 32 pixels a side, of any size, or of `size` where that is not None. map: (H, W)
        float32, 0 where the image is as usual, about 1 at the oddest of a hundred good places; score: the mean of the
        eight oddest blocks of 8x8 pixels; is_anomaly: whether that is above the threshold for this share of false
        alarms, between 0 and 1. Raises ImageError for what is no image, or one of another size; VaecodecError for no
        share.

        >>> score, heat, is_anomaly = normal.score(image, false_alarms=0.1)
        >>> heat.shape, heat.dtype.name
        ((64, 96), 'float32')
        """
        check_share(false_alarms)
        return self.score_picture(to_picture(image, self._max_pixels), false_alarms)

    @property
    def workers(self) -> Workers:
        """All cores, for images side by side."""
        return self._profiler.workers

    def score_picture(
        self, picture: Picture, false_alarms: float = FALSE_ALARMS, alone: bool = True
    ) -> tuple[float, Float, bool]:
        """The same of a picture that is read; alone: whether it may take all cores."""
        score, heat = self._learned.score(self._profiler(picture, alone))
        return score, heat, score > self.threshold(false_alarms)

    def threshold(self, false_alarms: float = FALSE_ALARMS) -> float:
        """The score above which an image is an anomaly, by five-fold cross-validation over the images that were learned
        from. A share below `least` cannot be promised: the threshold is then that of `least`.

        >>> normal.threshold(0.2) <= normal.threshold(0.05)
        True
        """
        return self._learned.threshold(false_alarms)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write an .npz, whole or not at all: some 24 kB, and of aligned images up to 1.7 bytes a pixel more.
        It names the model; raises VaecodecError where it cannot be written, or is there and not to be overwritten.

        >>> normal.save("normal.npz")
        >>> anomaly.load("normal.npz").images == normal.images
        True
        """
        write_normality(path, self._learned, self._profiler.model, overwrite)


def fit(
    images: Sequence[ImageLike],
    aligned: bool = False,
    *,
    threads: int | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Normal:
    """Learn from good images what is normal.

    images: at least 10 as for `encode`, 40 or more for thresholds that hold; of a series in its order, since one in
    five in a row is left out for the threshold. aligned: whether all show the same thing at the same place, within some
    pixels: each place then has a normal of its own; else all places share one, and sizes may differ. threads: how many
    cores to use (None: all). Raises VaecodecError for too few images, ImageError for what is no image or, aligned, of
    another size than the first.

    The method is PaDiM's (Defard et al., 2021) on features of a codec; see vaecodec.uses.gaussian.

    >>> normal = anomaly.fit(good, aligned=True)
    >>> normal.images, normal.size
    (12, (96, 64))
    """
    if len(images) < FEWEST:
        raise VaecodecError(f"{len(images)} good images are too few: at least {FEWEST} are needed, {ENOUGH} are better")
    profiler = Profiler(threads)

    def profile(image: ImageLike) -> Profile:
        with _named(image):
            return profiler(to_picture(image, max_pixels), alone=False)

    profiles = profiler.workers.map(profile, images, progress)
    if aligned:
        profiles = _of_one_size(profiles, images)
    return Normal(learn(profiles, len(images), aligned), profiler, max_pixels)


def _of_one_size(profiles: Iterator[Profile], images: Sequence[ImageLike]) -> Iterator[Profile]:
    first = None
    for image, profile in zip(images, profiles, strict=True):
        size = f"{profile.width}x{profile.height}"
        first = first or size
        with _named(image):
            if size != first:
                raise ImageError(f"the image has {size} pixels, the first one {first}: aligned images have one size")
        yield profile


def _named(image: ImageLike) -> AbstractContextManager[None]:
    return naming(str(image) if isinstance(image, str | os.PathLike) else "-")


def load(path: str | os.PathLike[str], *, threads: int | None = None, max_pixels: int = MAX_PIXELS) -> Normal:
    """What `Normal.save` wrote, by path or URL. Nothing in the file is believed unchecked. Raises FormatError for
    another kind of file, or a damaged one, ModelError for one that was learned with another model.

    >>> anomaly.load("photo.png")
    Traceback (most recent call last):
    vaecodec.errors.FormatError: photo.png is no file of arrays (.npz), or damaged: File is not a zip file
    """
    profiler = Profiler(threads)
    return Normal(read_normality(path, profiler.model), profiler, max_pixels)
