"""`<img src="x.vaec">` with the script of the web package, in a real Chromium."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import chromium
from pictures import generated_picture
from web_pages import golden, pixels_here, served

import vaecodec

DIST = Path(__file__).parents[2] / "web/dist"

pytestmark = pytest.mark.skipif(
    not (DIST / "img.js").exists(), reason="the web package is not built: cd web && npm ci && npm run build"
)
PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<img id="plain" src="eye-cc455c78-q5.vaec" alt="stripes">
<img id="other" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
<img id="inline" src="data:application/octet-stream;base64,{inline}">
<img id="missing" src="nowhere.vaec"> <img id="damaged" src="damaged.vaec">
<div style="height:5000px"></div><img id="lazy" loading="lazy" src="eye-cc455c78-q50.vaec?late">
<script>
window.errors = [];
addEventListener("vaecodec-error", event => errors.push(event.target.id + ": " + event.detail.message));
</script>
<script type="module" src="package/img.js"></script>"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(DIST, folder / "package", ignore=shutil.ignore_patterns("types", "*.html"))
    for name in ("eye-cc455c78-q5", "eye-cc455c78-q50"):
        shutil.copy(golden(name), folder)
    (folder / "damaged.vaec").write_bytes(golden("eye-cc455c78-q5").read_bytes()[:-9] + bytes(9))
    (folder / "large.vaec").write_bytes(vaecodec.encode(generated_picture(900, 1300), 20))
    inline = base64.b64encode(golden("eye-cc455c78-q50").read_bytes()).decode()
    (folder / "page.html").write_text(PAGE.format(inline=inline))
    return folder


def shown(page: Any, selector: str) -> np.ndarray:
    """(H, W, 4): what an image shows, once it does."""
    page.wait_for_selector(f"{selector}[data-vaec]", state="attached", timeout=60_000)
    found = page.evaluate(
        """async selector => {
        const image = document.querySelector(selector);
        await image.decode();
        const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight), context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        return [canvas.width, canvas.height, [...context.getImageData(0, 0, canvas.width, canvas.height).data]]; }""",
        selector,
    )
    return np.array(found[2], np.uint8).reshape(found[1], found[0], 4)


def same(page: Any, selector: str, name: str) -> None:
    ours = pixels_here(golden(name).read_bytes())
    assert np.abs(shown(page, selector).astype(int) - ours.astype(int)).max() <= 1


def quiet(browser: Any, address: str) -> Any:
    """A page; what is missing on purpose is said on its console, and nothing else."""
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.goto(address)
    return page


def test_images_of_a_page(browser: Any, site: Path) -> None:
    with served(site) as address:
        page = quiet(browser, f"{address}/page.html")
        same(page, "#plain", "eye-cc455c78-q5")
        assert page.get_attribute("#plain", "alt") == "stripes"
        assert page.get_attribute("#plain", "data-vaec") == "eye-cc455c78-q5.vaec"
        same(page, "#inline", "eye-cc455c78-q50")
        assert page.get_attribute("#other", "src").startswith("data:image/gif")
        # Not before somebody is near.
        assert page.get_attribute("#lazy", "data-vaec") is None
        page.locator("#lazy").scroll_into_view_if_needed()
        same(page, "#lazy", "eye-cc455c78-q50")
        # Added and changed later.
        page.evaluate(
            "() => { const i = new Image(); i.id = 'late'; i.src = 'eye-cc455c78-q5.vaec'; document.body.append(i); }"
        )
        same(page, "#late", "eye-cc455c78-q5")
        page.evaluate("document.querySelector('#late').src = 'eye-cc455c78-q50.vaec'")
        page.wait_for_selector("#late[data-vaec='eye-cc455c78-q50.vaec']", state="attached", timeout=60_000)
        same(page, "#late", "eye-cc455c78-q50")
        page.wait_for_timeout(500)
        errors = dict(line.split(": ", 1) for line in page.evaluate("window.errors"))
        assert set(errors) == {"missing", "damaged"}
        assert errors["missing"] == "the image is not there (HTTP 404)"
        assert "checksum" in errors["damaged"]
        assert page.get_attribute("#damaged", "title") == errors["damaged"]
        page.close()


def test_a_preview_comes_first(browser: Any, site: Path) -> None:
    with served(site) as address:
        page = quiet(browser, f"{address}/page.html")
        sizes = page.evaluate(
            """async () => {
            const image = new Image(), sizes = [];
            image.addEventListener("load", () => sizes.push([image.naturalWidth, image.naturalHeight]));
            image.src = "large.vaec";
            document.body.append(image);
            for (let i = 0; i < 600 && sizes.length < 2; i++) await new Promise(done => setTimeout(done, 100));
            return sizes; }"""
        )
        assert sizes == [[1300, 900]] * 2
        page.close()


def test_weights_elsewhere(browser: Any, site: Path) -> None:
    (site / "models").mkdir()
    shutil.move(site / "package/cc455c78.bin", site / "models")
    try:
        text = (site / "page.html").read_text().replace("img.js", "img.js?weights=models/")
        (site / "elsewhere.html").write_text(text)
        with served(site) as address:
            page = quiet(browser, f"{address}/elsewhere.html")
            same(page, "#plain", "eye-cc455c78-q5")
            page.close()
    finally:
        shutil.move(site / "models/cc455c78.bin", site / "package")
