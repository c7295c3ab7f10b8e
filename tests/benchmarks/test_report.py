"""report.html in a real headless Chromium: no errors, nothing fetched, and the viewer does what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import chromium, slide, watched
from PIL import Image

pytest.importorskip("bjontegaard")

from vaecodec.benchmarks import codecs, measure, plots, report, results, views
from vaecodec.benchmarks.studies import perceptual

HOSTILE = "<script>alert(1)</script> \"'&.png"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report over two photographs, one of them with a hostile name."""
    data = pytest.importorskip("skimage.data")
    folder = tmp_path_factory.mktemp("report")
    files = [folder / "chelsea.png", folder / HOSTILE.replace("/", "_")]
    Image.fromarray(data.chelsea()[:260, :300]).save(files[0])
    Image.fromarray(data.coffee()[:200, :340]).save(files[1])
    cells = [
        cell
        for name in ("jpeg", "webp", "vaecodec-fast")
        for path in files
        for cell in measure.measure(
            measure.Work(path, name, codecs.find(name).qualities[::4], ("psnr",), tmp_path_factory.mktemp("cache"))
        )
    ]
    setup = {"jobs": 1, "threads": 1, "one_core_each": True, "quick": True, "codecs": {"jpeg": "<b>Pillow</b>"}}
    result = results.summarise(cells, ("psnr",), "<i>pictures</i>", "jpeg", setup)
    plots.rate_distortion(result, "psnr", folder)
    plots.speed(result, "psnr", folder)
    return report.write_report(result, views.make_views(files, result), folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    with watched(browser, page_file) as page:
        yield page


def clip(page: Any) -> float:
    """Percent of the left image that is visible."""
    return float(page.eval_on_selector("#left", "e => getComputedStyle(e.parentNode).getPropertyValue('--split')")[:-1])


def test_slider_moves_by_keyboard_and_mouse(page: Any) -> None:
    assert clip(page) == 50
    page.focus("#slider")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert clip(page) == 52
    box = page.locator("#sheet").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 60)
    page.mouse.up()
    assert abs(clip(page) - 25) < 1
    # What the slider uncovers is there on the screen: the two halves differ where the codecs do.
    shots = []
    for value in (0, 100):
        slide(page, value)
        shots.append(page.locator("#sheet").screenshot())
    assert shots[0] != shots[1]


def test_choices_change_picture_and_caption(page: Any) -> None:
    seen = set()
    for selector, label in (("#pick-left", "original"), ("#pick-right", "webp"), ("#target", "1.0")):
        page.select_option(selector, label)
        shown = page.get_attribute("#left", "src"), page.get_attribute("#right", "src")
        seen.add((*shown, page.inner_text("#captions")))
    page.select_option("#image", index=1)
    seen.add((page.get_attribute("#left", "src"), page.inner_text("#captions")))
    assert len(seen) == 4
    assert "Left: original" in page.inner_text("#captions")
    assert "webp" in page.inner_text("#caption-right")
    assert page.evaluate("document.getElementById('right').naturalWidth") == 320
    width = page.locator("#sheet").bounding_box()["width"]
    page.click("[data-zoom='4']")
    assert page.locator("#sheet").bounding_box()["width"] == 4 * width
    assert page.get_attribute("[data-zoom='4']", "aria-pressed") == "true"


def test_tables_and_plots_are_there_and_names_are_escaped(page: Any) -> None:
    assert page.locator("tr.ours").count() >= 1
    assert page.locator("h1").inner_text() == "Rate and distortion on <i>pictures</i>"
    assert "<b>Pillow</b>" in page.inner_text("body")
    assert "<script>alert(1)" in page.inner_text("#image")
    for image in page.locator(".plots img").all():
        assert image.evaluate("e => e.naturalWidth") > 300
    assert "fewer bits than jpeg" in page.inner_text("body")
    assert page.locator(".faint").first.inner_text().startswith("quick run")
    assert "both curves cover: PSNR (RGB), dB: " in page.inner_text("caption >> nth=0")


def test_bd_rates_of_every_image_are_folded_away(page: Any) -> None:
    table = page.locator("details table").first
    assert not table.is_visible()
    page.click("summary >> nth=0")
    rows = [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]
    assert table.locator("th").all_inner_texts() == ["image", "webp", "vaecodec-fast"]
    assert [row[0] for row in rows] == [HOSTILE.replace("/", "_"), "chelsea.png", "range of the set"]
    assert all(-90 < float(rate) < 0 for row in rows[:2] for rate in row[1:])


@pytest.mark.parametrize("width", [1100, 360])
def test_no_column_of_a_table_is_lost(browser: Any, page_file: Path, width: int) -> None:
    """Each table lies in a box that scrolls to its last column."""
    page = browser.new_page(viewport={"width": width, "height": 740})
    page.goto(page_file.as_uri())
    for summary in page.locator("summary").all():
        summary.click()
    for box in page.locator(".wide").all():
        box.evaluate("e => { e.scrollLeft = e.scrollWidth }")
        inner, outer = box.locator("th").last.bounding_box(), box.bounding_box()
        assert inner["x"] + inner["width"] <= min(outer["x"] + outer["width"] + 1, width)
    assert page.locator(".wide").count() == page.locator("table").count() == 3
    page.close()


def test_fits_a_phone(browser: Any, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


def test_shots_come_near_the_rate(page_file: Path) -> None:
    data = pytest.importorskip("skimage.data")
    pixels = np.ascontiguousarray(data.astronaut()[:256, :256])
    for name in ("jpeg", "vaecodec-fast", "jpeg2000"):
        codec = codecs.find(name)
        ends = (codec.qualities[0], codec.qualities[-1])
        known = {quality: len(codec.encode(pixels, quality)) * 8 / 256**2 for quality in ends}
        shot = views.shot_at(codec, pixels, known, 1.0, (slice(0, 100), slice(0, 100)))
        assert shot.near(1.0), (name, shot.bpp)
        assert shot.pixels.shape == (100, 100, 3)


def test_crops_side_by_side_at_equal_bits() -> None:
    """Of one of the photographs, and of the quality that fits the bits."""
    pytest.importorskip("skimage")
    codec, pixels = codecs.find("vaecodec-fast"), perceptual.photograph("rocket")
    decoded, caption = perceptual.shot(codec, pixels, 0.25)
    assert decoded.shape == pixels.shape
    assert abs(float(caption.split()[0]) - 0.25) < 0.02
    top, left = perceptual.PHOTOGRAPHS["rocket"]
    assert top + perceptual.CROP <= pixels.shape[0]
    assert left + perceptual.CROP <= pixels.shape[1]
