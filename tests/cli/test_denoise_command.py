"""`vaecodec denoise` and `vaecodec encode --denoise`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from pictures import generated_picture
from PIL import Image
from test_cli import fails, ok

import vaecodec


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    y, x = np.mgrid[0:120, 0:160]
    clean = np.stack([40 + x, 60 + y, 200 - x // 2], 2)
    noise = 12 * np.random.default_rng(0).standard_normal(clean.shape)
    path = tmp_path / "a.png"
    Image.fromarray(np.rint(clean + noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


def test_names_summary_and_what_is_kept(noisy: Path) -> None:
    said = ok("denoise", noisy).stderr.decode()
    found = re.match(rf"{noisy}: sigma ([\d.]+), estimated, 160x120, [\d.]+ kB, [\d.]+ s\n$", said)
    assert found
    assert abs(float(found[1]) - 12) < 2
    out = noisy.with_name("a.denoised.png")
    library = vaecodec.denoise(noisy)
    assert np.array_equal(np.asarray(Image.open(out)), np.asarray(library))
    assert "exists already" in fails("denoise", noisy)
    assert "same file" in fails("denoise", noisy, noisy, "-f")
    piped = ok("denoise", "-", "-", "--sigma", "12", "--shifts", "2", "-Q", stdin=noisy.read_bytes())
    assert not piped.stderr
    (noisy.parent / "piped.png").write_bytes(piped.stdout)
    assert np.array_equal(
        np.asarray(Image.open(noisy.parent / "piped.png")), np.asarray(vaecodec.denoise(noisy, 12, 2))
    )
    ok("denoise", noisy, noisy.with_name("b.jpg"), "-q", "80")
    assert Image.open(noisy.with_name("b.jpg")).format == "JPEG"


def test_nothing_to_take_away(noisy: Path) -> None:
    smooth = noisy.with_name("smooth.png")
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(smooth)
    assert "smooth.png: no noise found (sigma 0." in ok("denoise", smooth, smooth.with_name("s.png")).stderr.decode()
    assert (np.asarray(Image.open(smooth.with_name("s.png"))) == 90).all()
    assert b"no noise found" in ok("encode", smooth, "--denoise").stderr


def test_wrong_arguments(noisy: Path) -> None:
    folder = noisy.parent
    assert "is not in the range" in fails("denoise", noisy, "--sigma", "0", code=2)
    assert "sigma must be a number above 0" in fails("denoise", noisy, "--sigma", "nan")
    assert "is not in the range" in fails("denoise", noisy, "--shifts", "5", code=2)
    assert "do not go together" in fails("denoise", noisy, "--lossless", "-q", "9", code=2)
    assert "cannot be written with suffix" in fails("denoise", noisy, folder / "a.xyz")
    assert "is not in the range" in fails("encode", noisy, "--denoise", "-3", code=2)
    (folder / "no.png").write_bytes(b"no image")
    assert "no.png" in fails("denoise", folder / "no.png")
    ok("encode", noisy)
    assert "is a .vaec file already" in fails("denoise", folder / "a.vaec")
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "a.vaec", "no.png"]


def test_encode_without_the_noise(noisy: Path) -> None:
    """Gives the file of the denoised picture; the option takes no value, wherever it stands."""
    expected = vaecodec.encode(vaecodec.denoise(noisy))
    out = noisy.with_name("out.vaec")
    for words in ([noisy, out, "--denoise"], ["--denoise", noisy, out], [noisy, "--denoise", "auto", out]):
        said = ok("encode", *words).stderr.decode()
        assert re.search(r", denoised \(sigma 1[0-4]\.\d\), ", said)
        assert out.read_bytes() == expected
        out.unlink()
    ok("encode", noisy, out, "--denoise=5")
    assert out.read_bytes() == vaecodec.encode(vaecodec.denoise(noisy, 5))
    assert len(expected) < 0.7 * len(vaecodec.encode(noisy))


def test_folders_without_the_noise(noisy: Path) -> None:
    folder, out = noisy.parent, noisy.parent / "out"
    Image.fromarray(generated_picture(64, 64)).save(folder / "b.png")
    ok("encode", "--denoise", "8", folder, "-o", out, "-j", "2")
    entries = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert [entry["denoised"] for entry in entries] == [8, 8]
    assert [entry["settings"]["denoise"] for entry in entries] == [8, 8]
    assert (out / "a.png.vaec").read_bytes() == vaecodec.encode(vaecodec.denoise(noisy, 8))
    assert b"2 skipped" in ok("encode", "--denoise", "8", folder, "-o", out, "--resume").stderr
    assert b"done again" in ok("encode", "--denoise", folder, "-o", out, "--resume").stderr
    assert b"done again" in ok("encode", folder, "-o", out, "--resume").stderr
    assert (out / "a.png.vaec").read_bytes() == vaecodec.encode(noisy)
