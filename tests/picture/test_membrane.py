"""Lost parts of pictures hang on what lies around them."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from vaecodec.bitstream.grid import Rect
from vaecodec.picture import membrane


def field(height: int, width: int) -> np.ndarray:
    """Harmonic functions: what a membrane must give again."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    return np.stack([255 * x, 127 + 60 * (x * x - y * y) - 50 * x * y, 250 * np.ones_like(x)], 2)


@pytest.mark.parametrize(
    "lost",
    [
        [Rect(64, 96, 320, 352)],
        [Rect(64, 96, 192, 352), Rect(160, 96, 320, 200)],
        [Rect(64, 64, 80, 416)],
    ],
)
def test_harmonic_functions_come_back(lost: list[Rect]) -> None:
    whole = np.rint(field(403, 517)).astype(np.uint8)
    damaged = whole.copy()
    for rect in lost:
        damaged[rect.slices] = 3
    membrane.fill_membrane(damaged, lost)
    assert np.abs(damaged.astype(int) - whole).max() <= 3


def test_only_what_is_lost_changes_and_corners_hang_on_two_sides() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (131, 77, 3)).astype(np.uint8)
    before, lost = picture.copy(), Rect(112, 48, 131, 77)
    membrane.fill_membrane(picture, [lost])
    inside = np.zeros(picture.shape[:2], bool)
    inside[lost.slices] = True
    assert np.array_equal(picture[~inside], before[~inside])
    assert picture[inside].min() > 60
    assert picture[inside].max() < 200


def test_nothing_known_nothing_done() -> None:
    picture = np.full((40, 40, 3), 128, np.uint8)
    membrane.fill_membrane(picture, [Rect(0, 0, 40, 40)])
    assert (picture == 128).all()


def test_example() -> None:
    names = vars(membrane) | {"np": np}
    assert doctest.testmod(membrane, extraglobs=names).failed == 0
