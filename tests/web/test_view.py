"""The command `vaecodec view`: pages with all that they need in them."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from commands import VAECODEC
from make_golden import FOLDER, TINY
from pictures import generated_picture
from PIL import Image

import vaecodec

PAGE = Path(vaecodec.__file__).parent / "web/page.html"


def view(*arguments: object, **options: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*VAECODEC, "view", *map(str, arguments)], **({"capture_output": True, "text": True, "timeout": 60} | options)
    )


def contents(page: str) -> list[tuple[str, str]]:
    """Kinds and names of what is in a page."""
    return re.findall(r'<script type="application/octet-stream" data-(\w+)="([^"]*)">[A-Za-z0-9+/=]+</script>', page)


def test_one_page_with_a_file_and_its_weights(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    result = view(FOLDER / "eye-cc455c78-q50.vaec", "--html", out)
    assert result.returncode == 0
    assert re.fullmatch(r".*page\.html: 3\.\d\d MB, for any browser\n", result.stderr)
    page = out.read_text()
    assert contents(page) == [("weights", "cc455c78"), ("file", "eye-cc455c78-q50.vaec")]
    assert "http" not in re.sub(r"http://www.w3.org/2000/svg|http-equiv", "", re.sub(r"<script.*?</script>", "", page))


def test_sizes(tmp_path: Path) -> None:
    """The page and both kernels, and the page with a model."""
    assert PAGE.stat().st_size < 100_000
    picture = tmp_path / "small.vaec"
    picture.write_bytes(vaecodec.encode(generated_picture(16, 16)))
    view(picture, "--html", tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 4_800_000


def test_models_of_all_files(tmp_path: Path) -> None:
    names = ["eye-cc455c78-q5", "fast-2341a3a8-q5", "fast-ms-ssim-9e966cdd-q5", "tiny-gray"]
    out = tmp_path / "page.html"
    result = view(*(FOLDER / f"{name}.vaec" for name in names), "--model", TINY, "--html", out)
    assert result.returncode == 0, result.stderr
    found = contents(out.read_text())
    assert [name for kind, name in found if kind == "weights"] == ["cc455c78", "2341a3a8", "9e966cdd", "b948fc7b"]


def test_images_and_no_files_make_a_page_that_encodes(tmp_path: Path) -> None:
    Image.fromarray(generated_picture(40, 50)).save(tmp_path / "a.tiff")
    Image.fromarray(generated_picture(40, 50)).save(tmp_path / "b.jpg")
    out = tmp_path / "page.html"
    assert view(tmp_path / "a.tiff", tmp_path / "b.jpg", "--html", out).returncode == 0
    page = out.read_text()
    assert contents(page) == [("weights", "cc455c78"), ("file", "a.tiff"), ("file", "b.jpg")]
    assert 'data-file="a.tiff">iVBORw0KGgo' in page  # a PNG
    assert out.stat().st_size > 6_000_000
    assert view("--html", "-").stdout.startswith("<!doctype html>")


def test_names_are_no_html(tmp_path: Path) -> None:
    picture = tmp_path / '"><img src=x>$script.vaec'
    picture.write_bytes(vaecodec.encode(generated_picture(16, 16)))
    assert view(picture, "--html", tmp_path / "page.html").returncode == 0
    page = (tmp_path / "page.html").read_text()
    assert contents(page)[1] == ("file", "&quot;&gt;&lt;img src=x&gt;$script.vaec")


def test_standard_input() -> None:
    data = (FOLDER / "eye-cc455c78-q5.vaec").read_bytes()
    result = view("-", "--html", "-", input=data, text=False)
    assert result.returncode == 0
    assert contents(result.stdout.decode())[1] == ("file", "standard input")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("foreign.vaec", b"no picture at all", "not an image"),
        ("empty.vaec", b"", "foreign"),
        ("future.vaec", b"VAEC\xff" + bytes(20), "version 255"),
        ("unknown.vaec", None, "--model"),
    ],
)
def test_bad_files(name: str, data: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data if data is not None else (FOLDER / "tiny-gray.vaec").read_bytes())
    result = view(path, "--html", tmp_path / "page.html")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert name in result.stderr
    assert message in result.stderr or name == "empty.vaec"
    assert not (tmp_path / "page.html").exists()


def test_a_bad_file_beside_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "bad.vaec").write_bytes(b"VAEC\xff")
    result = view(tmp_path / "bad.vaec", FOLDER / "eye-cc455c78-q5.vaec", "--html", tmp_path / "page.html")
    assert result.returncode == 1
    assert "bad.vaec" in result.stderr.splitlines()[-1]
    assert len(contents((tmp_path / "page.html").read_text())) == 2


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("b", "a"):
        (tmp_path / f"in/{name}.vaec").write_bytes((FOLDER / "eye-cc455c78-q5.vaec").read_bytes())
    (tmp_path / "in/notes.txt").write_text("no picture")
    assert view(tmp_path / "in", "--html", tmp_path / "page.html").returncode == 0
    assert [name for _, name in contents((tmp_path / "page.html").read_text())] == ["cc455c78", "a.vaec", "b.vaec"]
    (tmp_path / "empty").mkdir()
    result = view(tmp_path / "empty")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "no .vaec files in" in result.stderr


def test_every_bad_file_is_named(tmp_path: Path) -> None:
    for name in ("one.vaec", "two.vaec"):
        (tmp_path / name).write_bytes(b"VAEC\xff")
    result = view(tmp_path / "one.vaec", tmp_path / "two.vaec", "--html", tmp_path / "page.html")
    assert result.returncode == 1
    assert [name in line for name, line in zip(("one.vaec", "two.vaec"), result.stderr.splitlines(), strict=True)] == [
        True
    ] * 2
    assert not (tmp_path / "page.html").exists()


def test_damaged_files_are_shown(tmp_path: Path) -> None:
    data = bytearray((FOLDER / "eye-cc455c78-tiles.vaec").read_bytes())
    data[-9] ^= 4
    (tmp_path / "damaged.vaec").write_bytes(data)
    assert view(tmp_path / "damaged.vaec", "--html", tmp_path / "page.html").returncode == 0


def test_existing_pages_are_kept(tmp_path: Path) -> None:
    out, file = tmp_path / "page.html", FOLDER / "eye-cc455c78-q5.vaec"
    out.write_text("mine")
    result = view(file, "--html", out)
    assert (result.returncode, out.read_text()) == (1, "mine")
    assert "exists already" in result.stderr
    assert view(file, "--html", out, "-f").returncode == 0
    assert out.read_text() != "mine"
    copy = tmp_path / "copy.vaec"
    copy.write_bytes(file.read_bytes())
    assert view(copy, "--html", copy, "-f").returncode == 1
    assert copy.read_bytes() == file.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="a browser that is a shell script")
def test_a_browser_opens(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    environment = os.environ | {"BROWSER": str(browser), "TMPDIR": str(tmp_path)}
    result = view(FOLDER / "eye-cc455c78-q5.vaec", env=environment)
    assert result.returncode == 0, result.stderr
    path = Path(result.stdout.strip())
    assert (tmp_path / "opened").read_text().strip() == path.as_uri()
    assert path.read_text().startswith("<!doctype html>")


def test_no_browser(tmp_path: Path) -> None:
    environment = os.environ | {"BROWSER": "/nowhere/browser", "TMPDIR": str(tmp_path), "PATH": "/nowhere"}
    result = view(FOLDER / "eye-cc455c78-q5.vaec", env=environment)
    assert result.returncode == 1
    assert "--html" in result.stderr
