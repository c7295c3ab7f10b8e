"""The page in a real Chromium: what it decodes, shows and encodes, wherever it is opened from."""

from __future__ import annotations

import io
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import chromium
from make_golden import FOLDER, latents_hash
from pictures import generated_picture
from PIL import Image
from web_pages import (
    ISOLATED,
    KERNELS,
    encoded_in,
    golden,
    hash_in,
    opened,
    page_of,
    pixels_here,
    pixels_in,
    served,
    settled,
)

import vaecodec
from vaecodec.model.file import load_model, slim_copy

GOLDEN: dict[str, str] = json.loads((FOLDER / "golden.json").read_text())
MODELS = ("eye-cc455c78-q5", "fast-2341a3a8-q5", "fast-ms-ssim-9e966cdd-q5", "tiny-gray")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def everything(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A page from the disk that has the weights of every model."""
    target = tmp_path_factory.mktemp("everything") / "page.html"
    with opened(browser, page_of([golden(name) for name in MODELS], target)) as page:
        yield page


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str, kernel: str, everything: Any) -> None:
    assert hash_in(everything, golden(name).read_bytes(), kernel=kernel) == GOLDEN[name]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of every kind that are not among the golden ones."""
    folder = tmp_path_factory.mktemp("kept")
    text = np.full((60, 80), 255, np.uint8)
    text[::7, 3:60] = 0
    Image.fromarray(text).save(folder / "text.png")
    noise = np.random.default_rng(5).integers(0, 255, (64, 72, 3), np.uint8)
    Image.fromarray(noise).save(folder / "noise.jpg", quality=30)
    codec = vaecodec.Codec()
    return {name: codec.encode(folder / name, 95) for name in ("text.png", "noise.jpg")}


@pytest.mark.parametrize("kernel", KERNELS)
def test_pixels(kernel: str, everything: Any, kept: dict[str, bytes]) -> None:
    names = ("tiny-alpha", "tiny-gray", "tiny-gray-alpha", "tiny-tiles", "tiny-metadata", "eye-cc455c78-q50")
    files = {name: golden(name).read_bytes() for name in names} | kept
    assert {vaecodec.inspect(data)["kept"] for data in kept.values()} == {"pixel for pixel", "as a JPEG"}
    for name, data in files.items():
        theirs, ours = pixels_in(everything, data, kernel=kernel).astype(int), pixels_here(data).astype(int)
        assert theirs.shape == ours.shape, name
        difference = np.abs(theirs - ours)
        assert difference.max() <= 1, name
        assert (difference > 0).mean() <= 0.001, name
        assert not difference[..., 3].any(), name


def test_pixels_do_not_depend_on_workers(everything: Any) -> None:
    for name in ("tiny-tiles-wide", "eye-cc455c78-tiles"):
        data = golden(name).read_bytes()
        alone = pixels_in(everything, data, workers=0)
        for workers in (1, 2, 3):
            assert np.array_equal(pixels_in(everything, data, workers=workers), alone)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to be served: the page, the default model slim and whole, files."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(Path(vaecodec.__file__).parent / "web/page.html", folder)
    model = load_model()
    (folder / "cc455c78.bin").write_bytes(slim_copy(model))
    shutil.copy(model.path, folder / "cc455c78.safetensors")
    for name in ("eye-cc455c78-q50", "eye-cc455c78-q5", "fast-2341a3a8-q5"):
        shutil.copy(golden(name), folder)
    return folder


def visible(page: Any) -> np.ndarray:
    """The picture on the screen, pixel for pixel."""
    page.click("#full")
    box = page.locator("#sheet").bounding_box()
    clip = {"x": round(box["x"]), "y": round(box["y"]), "width": round(box["width"]), "height": round(box["height"])}
    return np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"))


def until_visible(page: Any, expected: np.ndarray) -> None:
    """Images of a page are painted a little after they are there."""
    deadline = time.monotonic() + 10
    while np.abs(visible(page).astype(int) - expected.astype(int)).max() > 2:
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


@pytest.mark.parametrize("setting", ["file", "static", "isolated"])
def test_shows_a_picture(setting: str, browser: Any, site: Path, tmp_path: Path) -> None:
    expected = pixels_here(golden("eye-cc455c78-q50").read_bytes())[..., :3]

    def check(page: Any) -> None:
        settled(page)
        assert page.evaluate("crossOriginIsolated") == (setting == "isolated")
        assert page.get_attribute("#first", "alt").startswith("eye-cc455c78-q50.vaec: ")
        until_visible(page, expected)
        assert page.inner_text("#problems") == ""

    if setting == "file":
        with opened(browser, page_of([golden("eye-cc455c78-q50")], tmp_path / "page.html")) as page:
            check(page)
        return
    with (
        served(site, ISOLATED if setting == "isolated" else None) as address,
        opened(browser, f"{address}/page.html?src=eye-cc455c78-q50.vaec") as page,
    ):
        check(page)


def test_two_pictures_and_a_slider(browser: Any, site: Path) -> None:
    with (
        served(site) as address,
        opened(browser, f"{address}/page.html?src=eye-cc455c78-q50.vaec&src=eye-cc455c78-q5.vaec") as page,
    ):
        settled(page)
        page.wait_for_selector("#second[src]")
        left, right = (pixels_here(golden(f"eye-cc455c78-{q}").read_bytes())[..., :3] for q in ("q50", "q5"))
        for value, expected in ((1000, left), (0, right)):
            page.locator("#split").fill(str(value))
            until_visible(page, expected)
        # By keyboard, and by dragging the border.
        page.locator("#split").focus()
        page.keyboard.press("End")
        assert page.input_value("#split") == "1000"
        page.locator("#split").fill("500")
        edge, stage = page.locator("#edge").bounding_box(), page.locator("#stage").bounding_box()
        page.mouse.move(edge["x"] + edge["width"] / 2, edge["y"] + 30)
        page.mouse.down()
        page.mouse.move(stage["x"] + stage["width"] * 0.25, edge["y"] + 30)
        page.mouse.up()
        assert abs(int(page.input_value("#split")) - 250) < 5


def test_zoom_and_pan(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of([golden("eye-cc455c78-q50")], tmp_path / "page.html")) as page:
        settled(page)
        width = page.evaluate("document.getElementById('first').naturalWidth")

        def box() -> dict[str, float]:
            return page.locator("#sheet").bounding_box()

        page.locator("#stage").focus()
        page.keyboard.press("1")
        assert box()["width"] == pytest.approx(width)
        assert page.get_attribute("#full", "aria-pressed") == "true"
        page.keyboard.press("+")
        assert box()["width"] == pytest.approx(1.25 * width)
        before = box()["x"]
        page.keyboard.press("ArrowLeft")
        assert box()["x"] == pytest.approx(before + 60)
        page.keyboard.press("0")
        assert page.get_attribute("#fit", "aria-pressed") == "true"
        stage = page.locator("#stage").bounding_box()
        middle = (stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2)
        page.mouse.move(*middle)
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(100)
        assert box()["width"] == pytest.approx(2 * width, rel=0.01)
        before = box()["x"]
        page.mouse.down()
        page.mouse.move(middle[0] + 50, middle[1])
        page.mouse.up()
        assert box()["x"] == pytest.approx(before + 50)


def test_saved_png(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of([golden("tiny-metadata")], tmp_path / "page.html")) as page:
        settled(page)
        with page.expect_download() as download:
            page.click("#png")
        assert download.value.suggested_filename == "tiny-metadata.png"
        download.value.save_as(tmp_path / "saved.png")
    saved = Image.open(tmp_path / "saved.png")
    data = golden("tiny-metadata").read_bytes()
    assert np.abs(np.asarray(saved.convert("RGBA")).astype(int) - pixels_here(data).astype(int)).max() <= 1
    metadata = vaecodec.inspect(data)["metadata"]
    found = {"exif": bool(saved.getexif()), "icc": "icc_profile" in saved.info, "xmp": "xmp" in saved.info}
    assert [name for name, there in found.items() if there] == metadata


PICTURES = 32


def test_encoded_in_the_page(browser: Any, tmp_path: Path) -> None:
    """Python decodes 32 pictures that the page encoded to the page's latents and pixels."""
    codec = vaecodec.Codec()
    Image.fromarray(generated_picture(8, 8)).save(tmp_path / "a.png")
    with opened(browser, page_of([tmp_path / "a.png"], tmp_path / "page.html")) as page:
        settled(page)
        for seed in range(PICTURES):
            random = np.random.default_rng(seed)
            height, width = (int(n) for n in random.integers(1, 150, 2))
            rgba = np.dstack([generated_picture(height, width, seed), np.full((height, width), 255, np.uint8)])
            if seed % 5 == 1:
                rgba[..., :3] = rgba[..., :1]
            if seed % 5 == 2:
                rgba[..., 3] = random.integers(0, 256, (height, width))
            data = encoded_in(page, rgba, int(random.integers(1, 101)))
            assert latents_hash(codec.decode_latents(data)) == hash_in(page, data)
            ours = np.asarray(codec.decode(data).convert("RGBA")).astype(int)
            assert np.abs(ours - pixels_in(page, data).astype(int)).max() <= 1
            assert np.array_equal(ours[..., 3], rgba[..., 3])


def test_encoding_by_hand(browser: Any, site: Path, tmp_path: Path) -> None:
    Image.fromarray(generated_picture(120, 160)).save(tmp_path / "photo.jpg", quality=95)
    with served(site) as address, opened(browser, f"{address}/page.html") as page:
        assert page.locator("#welcome").is_visible()
        page.set_input_files("#files", tmp_path / "photo.jpg")
        page.wait_for_selector("#vaec:not([disabled])", timeout=60_000)
        settled(page)
        sizes = {}
        for quality in (20, 90):
            page.locator("#quality").fill(str(quality))
            page.locator("#facts dd", has_text=re.compile(f"^{quality}$")).wait_for(timeout=60_000)
            settled(page)
            with page.expect_download() as download:
                page.click("#vaec")
            assert download.value.suggested_filename == "photo.vaec"
            download.value.save_as(tmp_path / f"{quality}.vaec")
            facts = vaecodec.inspect(tmp_path / f"{quality}.vaec")
            assert (facts["width"], facts["height"], facts["quality"]) == (160, 120, quality)
            sizes[quality] = facts["bytes"]
        assert sizes[20] < sizes[90]
        assert "smaller than photo.jpg" in page.inner_text("#facts")
    original = np.asarray(Image.open(tmp_path / "photo.jpg")).astype(float)
    decoded = np.asarray(vaecodec.Codec().decode(tmp_path / "90.vaec")).astype(float)
    assert 10 * np.log10(255**2 / np.square(original - decoded).mean()) > 36
