"""Near the top of the scale a quality is a promise: images that latents do badly take another form."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from commands import VAECODEC
from pictures import generated_picture
from PIL import Image

import vaecodec
from vaecodec.inspection import KEPT
from vaecodec.model.defaults import TUNES
from vaecodec.rate_control.metrics import psnr
from vaecodec.rate_control.promise import PROMISED, SHORT
from vaecodec.rate_control.scores import usual_curve


def blurred(array: np.ndarray, times: int) -> np.ndarray:
    for axis in (0, 1) * times:
        array = (np.roll(array, 1, axis) + 2 * array + np.roll(array, -1, axis)) / 4
    return array


def embossed(size: int) -> np.ndarray:
    """Coloured relief."""
    relief = blurred(np.random.default_rng(1).normal(size=(size, size, 3)), 2)
    slope = np.roll(relief, 1, 0) - np.roll(relief, -1, 0)
    return (128 + slope * 60 / slope.std()).clip(0, 255).astype(np.uint8)


def noisy(size: int) -> np.ndarray:
    noise = np.random.default_rng(2).normal(0, 25, (size, size, 3))
    return (generated_picture(size, size).astype(float) + noise).clip(0, 255).astype(np.uint8)


def saturated(size: int) -> np.ndarray:
    """Spots of full colours, their edges soft."""
    spots = blurred(np.random.default_rng(3).normal(size=(size, size, 3)), 8) > 0
    return blurred(spots * 255.0, 1).clip(0, 255).astype(np.uint8)


DIFFICULT = {"embossed": embossed(128), "noisy": noisy(200), "saturated": saturated(160), "thin": noisy(40)[:7]}


@pytest.fixture(scope="module")
def codec() -> vaecodec.Codec:
    return vaecodec.Codec(threads=1)


def promise(codec: vaecodec.Codec, quality: float) -> float:
    return usual_curve("psnr", codec.model.identity).at(quality * 100)


@pytest.mark.parametrize("name", DIFFICULT)
@pytest.mark.parametrize("quality", [PROMISED / 100, 92.5, 100])
def test_difficult_images_are_as_good_as_the_quality_says(codec, name, quality):
    image = DIFFICULT[name]
    data = codec.encode(image, quality)
    assert vaecodec.inspect(data)["kept"] in KEPT.values()
    assert psnr(image, codec.decode_array(data)) >= promise(codec, quality)
    lossless = vaecodec.Codec(threads=1).encode(image, target=vaecodec.Psnr(200))
    assert len(data) <= len(lossless)


@pytest.mark.parametrize("tune", TUNES)
def test_every_shipped_model_keeps_its_promise(tune):
    codec = vaecodec.Codec(tune=tune, threads=1)
    for image in DIFFICULT.values():
        data = codec.encode(image, 95)
        assert psnr(image, codec.decode_array(data)) >= promise(codec, 95) - SHORT


def test_below_nothing_is_looked_at_and_photographs_stay_in_latents(codec, photograph):
    assert vaecodec.inspect(codec.encode(DIFFICULT["noisy"], PROMISED / 100 - 0.01))["kept"] is None
    for quality in (85, 100):
        data = codec.encode(photograph, quality)
        assert vaecodec.inspect(data)["kept"] is None
        assert psnr(photograph, codec.decode_array(data)) >= promise(codec, quality) - SHORT


def test_whoever_wants_latents_gets_them():
    codec = vaecodec.Codec(threads=1, keep=False)
    assert vaecodec.inspect(codec.encode(DIFFICULT["noisy"], 100))["kept"] is None


def test_gray_alpha_tiles_and_batches_keep_it_too(codec):
    noise = noisy(200)
    gray = np.asarray(Image.fromarray(noise).convert("L"))
    data = codec.encode(gray, 95)
    assert psnr(gray[..., None], codec.decode_array(data)) >= promise(codec, 95) - SHORT
    alpha = np.dstack([noise, np.full((200, 200), 255, np.uint8)])
    alpha[:100, :, 3] = 0
    decoded = codec.decode_array(codec.encode(alpha, 95))
    assert psnr(noise[100:], decoded[100:, :, :3]) >= promise(codec, 95)
    tiled = vaecodec.Codec(threads=1, tile_log2=7)
    assert psnr(noise, tiled.decode_array(tiled.encode(noise, 95))) >= promise(codec, 95)
    smooth = generated_picture(200, 200)
    files = codec.encode_batch([noise, smooth, noise], 95)
    assert [vaecodec.inspect(data)["kept"] is None for data in files] == [False, True, False]
    assert files[0] == files[2] == codec.encode(noise, 95)


def test_the_command_says_how_an_image_is_kept(tmp_path):
    path = tmp_path / "noise.png"
    Image.fromarray(DIFFICULT["noisy"]).save(path)
    result = subprocess.run([*VAECODEC, "encode", path, "-q", "100"], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0
    assert "kept as a JPEG" in result.stdout + result.stderr
