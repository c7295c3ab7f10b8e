"""What the page says of files that it cannot show, and that it lives on."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import chromium
from make_golden import FOLDER
from pictures import generated_picture
from PIL import Image, ImageCms
from test_page import until_visible
from web_pages import golden, opened, page_of, pixels_here, served, settled

import vaecodec

ATTACKS = FOLDER.parent / "attacks"
EXPECTED: dict[str, str] = json.loads((ATTACKS / "attacks.json").read_text())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    with opened(browser, page_of([golden("eye-cc455c78-q5")], tmp_path / "page.html")) as page:
        settled(page)
        yield page


def problems(page: Any) -> list[str]:
    return page.locator("#problems span").all_inner_texts()


def given(page: Any, *files: tuple[str, bytes]) -> None:
    """Choose files, and wait until something is said or shown."""
    page.set_input_files("#files", [{"name": name, "mimeType": "", "buffer": data} for name, data in files])
    page.wait_for_timeout(300)
    page.wait_for_selector("#busy", state="hidden", timeout=60_000)


def test_one_line_for_each_and_the_page_lives(page: Any) -> None:
    whole = golden("eye-cc455c78-q50").read_bytes()
    cases = {
        "foreign.txt": (b"no picture", "neither a .vaec file nor an image that this browser reads"),
        "empty.vaec": (b"", "the file is empty"),
        "future.vaec": (b"VAEC\x09" + whole[5:], "format version 9 is not supported"),
        "cut.vaec": (whole[:9], "truncated within its header"),
        "huge.vaec": ((ATTACKS / "huge-dimensions.vaec").read_bytes(), "more than the limit of 134217728"),
        "unknown.vaec": (golden("tiny-gray").read_bytes(), "written with model b948fc7b"),
        "damaged.vaec": (whole[:-20] + bytes(20), "checksum of the image data does not match"),
        "broken.png": (b"\x89PNG\r\n\x1a\n" + bytes(30), "neither a .vaec file nor an image that this browser reads"),
    }
    for count, (name, (data, message)) in enumerate(cases.items(), 1):
        given(page, (name, data))
        assert len(problems(page)) == count
        assert problems(page)[-1].startswith(f"{name}: ")
        assert message in problems(page)[-1]
    page.locator("#problems button").first.click()
    assert len(problems(page)) == len(cases) - 1
    given(page, ("good.vaec", whole))
    page.select_option("#left", label="good.vaec")
    settled(page)
    until_visible(page, pixels_here(whole)[..., :3])


def test_attacks(browser: Any, tmp_path: Path) -> None:
    """All at once: what Python refuses when it opens a file gets its line, and the page goes on."""
    with opened(browser, page_of([golden("tiny-gray")], tmp_path / "page.html")) as page:
        settled(page)
        page.set_input_files("#files", [ATTACKS / f"{name}.vaec" for name in EXPECTED])
        page.wait_for_timeout(3000)
        page.wait_for_selector("#busy", state="hidden", timeout=60_000)
        said = {line.split(": ")[0]: line for line in problems(page)}
        for name, message in EXPECTED.items():
            if line := said.get(f"{name}.vaec"):
                assert message in line.replace("invalid", "damaged") or name in line
        assert len(said) > 25
        given(page, ("good.vaec", golden("tiny-gray").read_bytes()))
        page.select_option("#left", label="good.vaec")
        settled(page)


def test_a_damaged_group_is_gray_with_a_note(page: Any) -> None:
    data = bytearray(golden("eye-cc455c78-tiles").read_bytes())
    data[-9] ^= 4
    saved, damage = vaecodec.Codec().salvage(bytes(data))
    given(page, ("damaged.vaec", bytes(data)))
    page.select_option("#left", label="damaged.vaec")
    settled(page)
    assert problems(page) == []
    assert "This file is damaged. Lost: 1 of its parts (shown in gray)." in page.inner_text("#facts")
    assert damage
    page.click("#fit")
    with page.expect_download() as download:
        page.click("#png")
    theirs = np.asarray(Image.open(download.value.path()).convert("RGB")).astype(int)
    ours = np.asarray(saved.convert("RGB")).astype(int)
    assert np.abs(theirs - ours).max() <= 1
    assert (theirs == 128).all(2).mean() > 0.05


def test_sources_of_other_sites_are_refused(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    page_of([golden("eye-cc455c78-q5")], path)
    with served(tmp_path) as address, opened(browser, f"{address}/page.html?src=http://192.0.2.1/a.vaec") as page:
        page.wait_for_selector("#problems span")
        assert "another site" in problems(page)[0]
    with opened(browser, f"{path.as_uri()}?src=a.vaec") as page:
        page.wait_for_selector("#problems span")
        assert "drop the file here" in problems(page)[0]


def test_a_profile_is_named_and_kept(browser: Any, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = generated_picture(50, 60)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", icc_profile=profile)
    with opened(browser, page_of([], tmp_path / "empty.html")) as empty:
        given(empty, ("profile.png", buffer.getvalue()))
        empty.wait_for_selector("#vaec:not([disabled])", timeout=60_000)
        assert "sRGB" in empty.inner_text("#facts")
        with empty.expect_download() as download:
            empty.click("#vaec")
        assert vaecodec.inspect(download.value.path())["metadata"] == ["icc"]
