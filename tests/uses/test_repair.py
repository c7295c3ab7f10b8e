"""Repair by the prior: what it gains, what it leaves alone, what it takes for a mask."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vaecodec
from vaecodec.picture import to_picture
from vaecodec.picture.membrane import membrane
from vaecodec.uses import repair as module
from vaecodec.uses.repair import Repairer, read_mask


@pytest.fixture(scope="module")
def repairer() -> Repairer:
    return Repairer(threads=1)


@pytest.fixture(scope="module")
def clean(photograph: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(photograph[40:232, 120:312])


@pytest.fixture(scope="module")
def scratched(clean: np.ndarray) -> np.ndarray:
    """A mask of slanted scratches, 3 pixels wide."""
    y, x = np.mgrid[: clean.shape[0], : clean.shape[1]]
    return ((y + x // 3) % 48 < 3) & (x > 10)


def damaged(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    picture = picture.copy()
    picture[mask] = 255
    return picture


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


def smooth(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.rint(membrane(picture.astype(np.float32), ~mask)).astype(np.uint8)


def test_gains_over_a_membrane_and_leaves_the_rest(
    repairer: Repairer, clean: np.ndarray, scratched: np.ndarray
) -> None:
    broken = damaged(clean, scratched)
    result = repairer(to_picture(broken), scratched).rgb
    assert np.array_equal(result[~scratched], clean[~scratched])
    plain = smooth(broken, scratched)
    assert psnr(result[scratched], clean[scratched]) > psnr(plain[scratched], clean[scratched]) + 0.5


def test_gray_pictures_stay_gray(repairer: Repairer, clean: np.ndarray, scratched: np.ndarray) -> None:
    gray = clean[:, :, 1]
    result = vaecodec.repair(damaged(gray, scratched), scratched)
    assert result.mode == "L"
    plain = smooth(np.repeat(damaged(gray, scratched)[..., None], 3, 2), scratched)[..., 0]
    assert psnr(np.asarray(result)[scratched], gray[scratched]) > psnr(plain[scratched], gray[scratched]) + 0.5
    marked = np.repeat(gray[..., None], 3, 2)
    marked[scratched] = (255, 0, 0)  # colour in the damage alone
    result = repairer(to_picture(marked), scratched).rgb
    assert (result == result[..., :1]).all()


def test_what_the_damage_shows_does_not_matter(repairer: Repairer, clean: np.ndarray, scratched: np.ndarray) -> None:
    alpha = np.full(clean.shape[:2], 255, np.uint8)
    alpha[:, :60] = 0
    for extra in ([], [alpha]):
        results = []
        for colour in (0, 255):
            broken = clean.copy()
            broken[scratched] = colour
            results.append(repairer(to_picture(np.dstack([broken, *extra])), scratched).rgb)
        assert np.array_equal(*results)


def test_alpha_and_metadata_are_kept(clean: np.ndarray, scratched: np.ndarray) -> None:
    alpha = np.zeros(clean.shape[:2], np.uint8)
    alpha[20:] = 200
    image = Image.fromarray(np.dstack([damaged(clean, scratched), alpha]))
    exif = image.getexif()
    exif[0x010E] = "a photograph"
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    result = vaecodec.repair(file.getvalue(), scratched)
    assert (result.mode, result.size) == ("RGBA", image.size)
    assert result.getexif()[0x010E] == "a photograph"
    pixels = np.asarray(result)
    assert np.array_equal(pixels[..., 3], alpha)
    assert np.array_equal(pixels[~scratched], np.asarray(image)[~scratched])
    seen = scratched & (alpha > 0)
    assert psnr(pixels[seen, :3], clean[seen]) > psnr(np.asarray(image)[seen, :3], clean[seen]) + 8


def test_the_file_that_it_was_read_from_is_not_taken_for_it(repairer: Repairer, clean: np.ndarray) -> None:
    """An encoder that keeps JPEG as it is would keep the damage."""
    file = io.BytesIO()
    Image.fromarray(clean).save(file, "JPEG", quality=95)
    picture, mask = to_picture(file.getvalue()), np.zeros(clean.shape[:2], bool)
    assert repairer(picture, mask) is picture
    mask[5, 5] = True
    assert picture.origin is not None
    assert repairer(picture, mask).origin is None


@pytest.mark.parametrize("size", [(1, 2), (5, 300), (33, 17)])
def test_sizes(repairer: Repairer, size: tuple[int, int]) -> None:
    picture, mask = np.full((*size, 3), 100, np.uint8), np.ones(size, bool)
    mask[:, 0] = False
    result = repairer(to_picture(damaged(picture, mask)), mask).rgb
    assert np.abs(result.astype(int) - 100).mean() < 4


def test_large_holes_are_a_membrane_without_seams(repairer: Repairer) -> None:
    """Over several windows, from a ramp around them; in the middle of the largest ones nothing but damage is seen."""
    y, x = np.mgrid[:700, :640]
    ramp = np.stack([x // 3, y // 3, 230 - (x + y) // 6], 2).astype(np.uint8)
    mask = np.zeros(ramp.shape[:2], bool)
    mask[40:660, 50:600] = True
    shares: list[float] = []
    result = repairer(to_picture(damaged(ramp, mask)), mask, shares.append).rgb.astype(int)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) == len(list(module._windows(mask))) == 16
    assert np.abs(result - ramp).max() <= 8
    for axis in (0, 1):
        assert np.abs(np.diff(result, axis=axis)).max() <= 3


def test_work_is_around_the_damage_alone() -> None:
    mask = np.zeros((4000, 5000), bool)
    mask[1000, 1000] = mask[191:193, 2000] = mask[3999, 4995:] = True
    windows = list(module._windows(mask))
    assert windows == [
        (191, 2000, 192, 2001),
        (192, 2000, 193, 2001),
        (1000, 1000, 1001, 1001),
        (3999, 4995, 4000, 5000),
    ]


def test_results_do_not_depend_on_threads(clean: np.ndarray) -> None:
    """Windows are independent of each other."""
    wide = np.tile(clean, (1, 3, 1))
    mask = np.zeros(wide.shape[:2], bool)
    mask[30:33, 20:550] = mask[100:104, 300:] = True
    one, two = (Repairer(threads)(to_picture(wide), mask).rgb for threads in (1, 2))
    assert np.array_equal(one, two)


def test_masks(tmp_path: Path) -> None:
    marked = np.zeros((40, 60), bool)
    marked[10:20, 15:40] = True
    level = np.where(marked, 255, 0).astype(np.uint8)
    faint = np.where(marked, 1, 0).astype(np.uint8)
    black_on_clear = np.dstack([np.zeros_like(level)] * 3 + [level])
    white_on_black = np.dstack([level] * 3 + [np.full_like(level, 255)])
    for mask in (marked, level, faint, np.dstack([faint, 0 * faint, 0 * faint]), black_on_clear, white_on_black):
        assert np.array_equal(read_mask(mask), marked)
    for mode in ("1", "L", "P", "RGB"):
        Image.fromarray(level).convert(mode).save(tmp_path / "mask.png")
        assert np.array_equal(read_mask(tmp_path / "mask.png"), marked), mode
    Image.fromarray(level).save(tmp_path / "mask.jpg", quality=60)
    assert (np.asarray(Image.open(tmp_path / "mask.jpg")) > 0).sum() > marked.sum()
    assert np.array_equal(read_mask(tmp_path / "mask.jpg"), marked)
    assert not read_mask(np.zeros((4, 4), np.uint8)).any()


def test_other_masks_are_refused(clean: np.ndarray) -> None:
    with pytest.raises(vaecodec.ImageError, match=r"the mask is 192x191, the image 192x192: it must have the size"):
        vaecodec.repair(clean, np.zeros((191, 192), bool))
    with pytest.raises(vaecodec.ImageError, match="the mask marks every pixel"):
        vaecodec.repair(clean, np.ones((192, 192), bool))
    for mask in (b"GIF89a", "no such file", vaecodec.encode(np.zeros((9, 9), np.uint8))):
        with pytest.raises(vaecodec.ImageError):
            vaecodec.repair(clean, mask)
    unchanged = vaecodec.repair(clean, np.zeros((192, 192), bool))
    assert np.array_equal(np.asarray(unchanged), clean)


def test_coding_does_without_it_and_it_without_torch() -> None:
    script = """
import sys
import numpy as np
import vaecodec
vaecodec.decode(vaecodec.encode(np.zeros((64, 64, 3), np.uint8)))
assert not [name for name in sys.modules if name.startswith("vaecodec.uses")]
vaecodec.repair(np.random.default_rng(0).integers(90, 130, (64, 64, 3)).astype(np.uint8), np.eye(64, dtype=bool))
assert "vaecodec.uses.repair" in sys.modules
assert not {"torch", "compressai", "scipy", "skimage"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script], check=True)
