"""Denoising by the prior: what it gains, what it leaves alone, what it refuses."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import vaecodec
from vaecodec.picture import to_picture
from vaecodec.uses import denoise as module
from vaecodec.uses.denoise import Denoiser


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return Denoiser(threads=1)


@pytest.fixture(scope="module")
def clean(photograph: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(photograph[40:232, 120:312])


def with_noise(picture: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    noise = sigma * np.random.default_rng(seed).standard_normal(picture.shape)
    return np.rint(picture + noise).clip(0, 255).astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


@pytest.mark.parametrize(("sigma", "gain"), [(2.5, 0.6), (5, 2.5), (10, 5.0), (20, 7.0)])
def test_gains_over_the_noisy_picture(denoiser: Denoiser, clean: np.ndarray, sigma: float, gain: float) -> None:
    noisy = with_noise(clean, sigma)
    result = denoiser(to_picture(noisy), sigma)
    assert result.changed
    assert result.sigma == sigma
    assert psnr(result.picture.rgb, clean) > psnr(noisy, clean) + gain


def test_better_than_rounded_latents_wherever_they_are_best(denoiser: Denoiser, clean: np.ndarray) -> None:
    """Coding alone denoises, too: this is the gain of not rounding."""
    noisy, codec = with_noise(clean, 10), vaecodec.Codec("fast", threads=1, keep=False)
    coded = max(psnr(codec.decode_array(codec.encode(noisy, quality)), clean) for quality in (40, 50, 60))
    assert psnr(denoiser(to_picture(noisy), 10).picture.rgb, clean) > coded + 1.5


def test_shifts_and_the_second_pass_gain(denoiser: Denoiser, clean: np.ndarray) -> None:
    noisy = with_noise(clean, 20)
    once, twice, shifted = (
        psnr(make(to_picture(noisy), 20, shifts).picture.rgb, clean)
        for make, shifts in ((Denoiser(1, twice_from=np.inf), 1), (denoiser, 1), (denoiser, 4))
    )
    assert once < twice < shifted - 0.2


@pytest.mark.parametrize("sigma", [4, 8, 16, 32])
def test_estimate_of_the_noise(denoiser: Denoiser, clean: np.ndarray, sigma: float) -> None:
    for picture in (clean, clean[:, :, 1]):
        found = denoiser(to_picture(with_noise(picture, sigma))).sigma
        assert 0.8 * sigma < found < 1.25 * sigma


def test_what_tells_no_noise_does_not_count(denoiser: Denoiser, clean: np.ndarray) -> None:
    """Frames and hidden pixels have no noise, and must not lower the estimate."""
    noisy = with_noise(clean, 10)
    framed = np.zeros((400, 300, 3), np.uint8)
    framed[100:292, 50:242] = noisy
    assert 8 < denoiser(to_picture(framed)).sigma < 12.5
    alpha = np.zeros(clean.shape[:2], np.uint8)
    alpha[:90, 70:] = 255
    assert 8 < denoiser(to_picture(np.dstack([noisy, alpha]))).sigma < 12.5
    assert denoiser(to_picture(np.full((64, 64, 3), 9, np.uint8))).sigma == 0


def test_a_picture_without_noise_stays_as_it_is(denoiser: Denoiser) -> None:
    y, x = np.mgrid[0:150, 0:200]
    ramp = np.stack([x, y, 255 - x], 2).astype(np.uint8)
    picture = to_picture(ramp)
    result = denoiser(picture)
    assert not result.changed
    assert result.taken is None
    assert result.picture is picture
    assert result.sigma < 1


def test_gray_alpha_and_metadata_are_kept(clean: np.ndarray) -> None:
    noisy = with_noise(clean, 10)
    alpha = np.zeros(clean.shape[:2], np.uint8)
    alpha[20:] = 255
    image = Image.fromarray(np.dstack([noisy, alpha]))
    exif = image.getexif()
    exif[0x010E] = "a photograph"
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    result = vaecodec.denoise(file.getvalue(), sigma=10)
    assert (result.mode, result.size) == ("RGBA", image.size)
    assert result.getexif()[0x010E] == "a photograph"
    assert np.array_equal(np.asarray(result)[..., 3], alpha)
    assert psnr(np.asarray(result)[20:, :, :3], clean[20:]) > psnr(noisy[20:], clean[20:]) + 4
    gray = clean[:, :, 1]
    result = vaecodec.denoise(with_noise(gray, 10), sigma=10)
    assert result.mode == "L"
    assert psnr(np.asarray(result), gray) > psnr(with_noise(gray, 10), gray) + 4
    equal = np.repeat(with_noise(gray, 10)[:, :, None], 3, 2)
    assert np.array_equal(np.asarray(vaecodec.denoise(equal, sigma=10)), np.repeat(np.asarray(result)[..., None], 3, 2))


def test_the_file_that_it_was_read_from_is_not_taken_for_it(denoiser: Denoiser, clean: np.ndarray) -> None:
    """An encoder that keeps a JPEG as it is would keep the noise."""
    file = io.BytesIO()
    Image.fromarray(with_noise(clean, 10)).save(file, "JPEG", quality=95)
    picture = to_picture(file.getvalue())
    assert picture.origin is not None
    assert denoiser(picture, 10).picture.origin is None


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (33, 17)])
def test_sizes(denoiser: Denoiser, size: tuple[int, int]) -> None:
    noisy = with_noise(np.full((*size, 3), 100, np.uint8), 10)
    for sigma in (None, 10):
        result = denoiser(to_picture(noisy), sigma, shifts=3).picture.rgb
        assert result.shape == noisy.shape
    assert np.abs(result.astype(float) - 100).mean() < np.abs(noisy.astype(float) - 100).mean()


def test_large_pictures_go_in_tiles_without_seams(denoiser: Denoiser, clean: np.ndarray) -> None:
    """The error at the borders of tiles is as small as elsewhere."""
    wide = np.tile(clean, (1, 7, 1))[:64]
    noisy = with_noise(wide, 10)
    shares: list[float] = []
    result = denoiser(to_picture(noisy), None, 2, shares.append)
    assert len(module._Canvas(noisy).grid) == 2
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert abs(result.sigma - 10) < 1.5
    one = denoiser(to_picture(noisy[:, 960:1100]), result.sigma, 2).picture.rgb[:, 32:96]
    seam = result.picture.rgb[:, 992:1056]
    assert psnr(seam, wide[:, 992:1056]) > psnr(one, wide[:, 992:1056]) - 0.5


@pytest.mark.parametrize("sigma", [0, -1, 101, float("nan"), float("inf"), True, "10"])
def test_other_sigmas_are_refused(sigma: object) -> None:
    with pytest.raises(vaecodec.VaecodecError, match=r"sigma must be a number above 0, at most 100"):
        vaecodec.denoise("no such file", sigma=sigma)


@pytest.mark.parametrize("shifts", [0, 5, 1.0, True, None])
def test_other_shifts_are_refused(shifts: object) -> None:
    with pytest.raises(vaecodec.VaecodecError, match="shifts must be a whole number from 1 to 4"):
        vaecodec.denoise("no such file", shifts=shifts)


def test_no_images_are_refused() -> None:
    for image in (b"GIF89a", vaecodec.encode(np.zeros((9, 9), np.uint8)), "no such file"):
        with pytest.raises(vaecodec.ImageError):
            vaecodec.denoise(image)


def test_coding_does_without_it_and_it_without_torch() -> None:
    script = """
import sys
import numpy as np
import vaecodec
vaecodec.decode(vaecodec.encode(np.zeros((64, 64, 3), np.uint8)))
assert not [name for name in sys.modules if name.startswith("vaecodec.uses")]
vaecodec.denoise(np.random.default_rng(0).integers(90, 130, (64, 64, 3)).astype(np.uint8))
assert "vaecodec.uses.denoise" in sys.modules
assert not {"torch", "compressai", "scipy", "skimage"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script], check=True)
