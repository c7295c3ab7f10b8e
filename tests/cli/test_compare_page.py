"""The page of `vaecodec compare --html`, in a real Chromium."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import chromium, slide, watched
from commands import run
from pictures import generated_picture
from PIL import Image

HOSTILE = "<img src=x onerror=alert(1)> $title \"'&<script>.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """page.html compares a large image of hostile name with two versions of it; clear.html, transparent images."""
    folder = tmp_path_factory.mktemp("page")
    image = Image.fromarray(generated_picture(900, 1500))
    image.save(folder / HOSTILE)
    image.save(folder / "b.jpg", quality=30)
    assert run("encode", HOSTILE, "c.vaec", "-q", 20, cwd=folder).returncode == 0
    result = run("compare", HOSTILE, "b.jpg", "c.vaec", "--html", "page.html", cwd=folder)
    assert result.returncode == 0, result.stderr
    for name, colour, hole in (("one.png", (255, 0, 0), slice(0, 20)), ("two.png", (0, 0, 255), slice(20, 40))):
        pixels = np.zeros((40, 40, 4), np.uint8)
        pixels[...] = (*colour, 255)
        pixels[hole, :, 3] = 0
        Image.fromarray(pixels).save(folder / name)
    assert run("compare", "one.png", "two.png", "--html", "clear.html", cwd=folder).returncode == 0
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


def seen(page: Any) -> np.ndarray:
    """Screenshots (H, W, 3) of the two images, without their frame."""
    return np.asarray(Image.open(io.BytesIO(page.locator("#sheet").screenshot())).convert("RGB"))


def test_images_figures_and_zoom(browser: Any, folder: Path) -> None:
    with watched(browser, folder / "page.html") as page:
        assert page.inner_text("h1").startswith(HOSTILE)
        assert [row.inner_text().split("\t")[0] for row in page.locator("tbody tr").all()] == [
            HOSTILE,
            "b.jpg",
            "c.vaec",
        ]
        assert page.inner_text("#caption-left").startswith(f"Left: {HOSTILE}: ")
        page.select_option("#pick-right", "c.vaec")
        size = (folder / "c.vaec").stat().st_size
        assert f"c.vaec: {size} bytes, " in page.inner_text("#caption-right")
        # At first all of the image fits; 1x shows its pixels one by one; they are there without loss.
        box = page.locator("#sheet").bounding_box()
        assert box["width"] <= 1100
        assert box["width"] / box["height"] == pytest.approx(1500 / 900, rel=0.01)
        page.click("[data-zoom='1']")
        assert page.locator("#sheet").bounding_box()["width"] == 1500
        shown = base64.b64decode(page.get_attribute("#left", "src").split(",")[1])
        assert np.array_equal(Image.open(io.BytesIO(shown)), Image.open(folder / HOSTILE))


def test_the_right_image_does_not_shine_through_the_left(browser: Any, folder: Path) -> None:
    with watched(browser, folder / "clear.html") as page:
        for percent, colour in ((100, 0), (0, 2)):
            slide(page, percent)
            shot = seen(page)[3:-3, 4:-4]
            assert (np.ptp(shot, axis=2) == 0).any()  # the ground, in gray
            assert shot[..., colour].max() == 255
            assert (shot[..., 2 - colour] < 200).all()


def test_fits_a_phone(browser: Any, folder: Path) -> None:
    with watched(browser, folder / "page.html", 360, 740) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.locator("#sheet").bounding_box()["width"] <= 360
