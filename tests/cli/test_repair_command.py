"""The command that repairs what a mask marks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from pictures import generated_picture
from PIL import Image
from test_cli import fails, ok

import vaecodec

MARKED = slice(50, 53), slice(10, 150)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """a.png with a white scratch, and mask.png."""
    picture, mask = generated_picture(120, 160), np.zeros((120, 160), np.uint8)
    picture[MARKED], mask[MARKED] = 255, 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path


def test_names_summary_and_what_is_kept(folder: Path) -> None:
    image, mask, out = (folder / name for name in ("a.png", "mask.png", "a.repaired.png"))
    said = ok("repair", image, "--mask", mask).stderr.decode()
    assert re.match(rf"{image}: 420 pixels repaired \(2.2 %\), 160x120, [\d.]+ kB, [\d.]+ s\n$", said)
    before, after = np.asarray(Image.open(image)), np.asarray(Image.open(out))
    assert np.array_equal(after, np.asarray(vaecodec.repair(image, mask)))
    changed = (before != after).any(2)
    assert changed[MARKED].mean() > 0.9
    changed[MARKED] = False
    assert not changed.any()
    assert "exists already" in fails("repair", image, "--mask", mask)
    ok("repair", image, folder / "b.jpg", "--mask", mask, "-q", "80", "-Q")
    assert Image.open(folder / "b.jpg").format == "JPEG"


def test_pipes(folder: Path) -> None:
    image, mask = folder / "a.png", folder / "mask.png"
    expected = np.asarray(vaecodec.repair(image, mask))
    for words, piped in (((image, "-", "--mask", "-"), mask), (("-", "-", "--mask", mask), image)):
        done = ok("repair", *words, "-Q", stdin=piped.read_bytes())
        assert not done.stderr
        (folder / "piped.png").write_bytes(done.stdout)
        assert np.array_equal(np.asarray(Image.open(folder / "piped.png")), expected)
    assert "cannot both come from standard input" in fails("repair", "-", "-", "--mask", "-", code=2)


def test_nothing_marked(folder: Path) -> None:
    Image.new("1", (160, 120)).save(folder / "empty.png")
    said = ok("repair", folder / "a.png", "--mask", folder / "empty.png").stderr.decode()
    assert f"nothing is marked in {folder / 'empty.png'}: unchanged" in said
    images = [np.asarray(Image.open(folder / name)) for name in ("a.png", "a.repaired.png")]
    assert np.array_equal(*images)


def test_wrong_arguments(folder: Path) -> None:
    image, mask = folder / "a.png", folder / "mask.png"
    assert "Missing option '--mask'" in fails("repair", image, code=2)
    Image.new("L", (160, 121), 255).save(folder / "larger.png")
    Image.new("L", (160, 120), 255).save(folder / "all.png")
    (folder / "no.png").write_bytes(b"no image")
    before = sorted(folder.iterdir())
    said = fails("repair", image, "--mask", folder / "larger.png")
    assert "larger.png: the mask is 160x121, the image 160x120: it must have the size of the image" in said
    assert "all.png: the mask marks every pixel" in fails("repair", image, "--mask", folder / "all.png")
    assert "no.png" in fails("repair", image, "--mask", folder / "no.png")
    assert "no.png" in fails("repair", folder / "no.png", "--mask", mask)
    assert "gone.png" in fails("repair", image, "--mask", folder / "gone.png")
    for same in (image, mask):
        assert "same file" in fails("repair", image, same, "--mask", mask, "-f")
    assert "cannot be written with suffix" in fails("repair", image, folder / "a.xyz", "--mask", mask)
    assert "more than the limit of 100" in fails("repair", image, "--mask", mask, "--max-pixels", "100")
    assert "do not go together" in fails("repair", image, "--mask", mask, "--lossless", "-q", "9", code=2)
    assert sorted(folder.iterdir()) == before
    ok("encode", image)
    assert "is a .vaec file already" in fails("repair", folder / "a.vaec", "--mask", mask)
    assert "is a .vaec file already" in fails("repair", image, "--mask", folder / "a.vaec")
