"""How a salvage fills lost pixels: gray, or smooth on request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from test_cli import fails, ok

from vaecodec.bitstream.container import read_container
from vaecodec.system.files import Source


def test_the_report_and_the_sound_pixels_are_those_of_gray(tmp_path: Path) -> None:
    y, x = np.mgrid[0:200, 0:300]
    noise = np.random.default_rng(0).normal(
        0, 3, (200, 300, 1)
    )  # without it the file would keep the pixels as they are
    clean = np.stack([20 + x // 2, 20 + y, 220 - x // 2], 2)
    Image.fromarray((clean + noise).astype(np.uint8)).save(tmp_path / "a.png")
    ok("encode", tmp_path / "a.png", "--tile", "128", "-q", "80")
    data = bytearray((tmp_path / "a.vaec").read_bytes())
    data[read_container(Source(bytes(data)), 1 << 20).groups[1].offset] ^= 1
    bad, gray, smooth = (tmp_path / name for name in ("bad.vaec", "gray.png", "smooth.png"))
    bad.write_bytes(data)
    said = fails("decode", bad, gray, "--salvage", code=3).splitlines()[-1]
    assert fails("decode", bad, smooth, "--salvage", "--fill", "smooth", code=3).splitlines()[-1] == said
    plain, filled = (np.asarray(Image.open(path)).astype(int) for path in (gray, smooth))
    lost = (plain == 128).all(2)
    assert 0.1 < lost.mean() < 0.6
    assert np.array_equal(plain[~lost], filled[~lost])
    assert np.abs(filled - clean)[lost].mean() < 8
    assert fails("decode", bad, gray, "-f", "--salvage", "--fill", "gray", code=3).splitlines()[-1] == said
    assert np.array_equal(plain, np.asarray(Image.open(gray)))
    assert "give both" in fails("decode", bad, gray, "-f", "--fill", "smooth", code=2)
