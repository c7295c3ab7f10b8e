"""Refinement of latents: fewer bits and less error for work of the encoder, nothing new for decoders."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from make_golden import TINY
from PIL import Image

import vaecodec
import vaecodec.pillow
from vaecodec.bitstream.grid import Rect
from vaecodec.bitstream.tables import TOTAL
from vaecodec.cli.main import group
from vaecodec.codec import shared_codec
from vaecodec.coding.effort import refinement_steps
from vaecodec.coding.quantise import Quantiser
from vaecodec.coding.refine import Refiner, soft_round
from vaecodec.coding.session import Session, Settings
from vaecodec.errors import BackendError, VaecodecError
from vaecodec.model.file import ModelFile, load_model
from vaecodec.model.rate import RatePosition, quality_units
from vaecodec.nets.onnx.backend import OnnxNets


def squared_error(data: bytes, pixels: np.ndarray) -> np.ndarray:
    """Of each pixel (H, W), mean over the colours."""
    decoded = vaecodec.Codec(threads=1).decode_array(data).astype(np.float32)
    return np.square(decoded - pixels).mean(-1)


def cost(data: bytes, pixels: np.ndarray, quality: float) -> float:
    """Bits a pixel and what the error is worth in them: what encoders minimise."""
    config = load_model("fast").config
    rate = RatePosition.of_quality(quality_units(quality), config.anchors)
    return 8 * len(data) / pixels[..., 0].size + config.lambda_at(rate.t) * float(squared_error(data, pixels).mean())


@pytest.mark.parametrize("quality", [20, 70])
def test_effort_lowers_the_cost(photograph: np.ndarray, quality: float) -> None:
    pixels = np.ascontiguousarray(photograph[60:252, 130:386])
    plain, refined = (vaecodec.Codec("fast", effort=effort, threads=1).encode(pixels, quality) for effort in (1, 2))
    assert cost(refined, pixels, quality) < 0.985 * cost(plain, pixels, quality)
    assert refined == vaecodec.Codec("fast", effort=2, threads=1).encode(pixels, quality)


@pytest.mark.parametrize("size", [(33, 70), (1, 1)])
def test_any_size_and_gray(photograph: np.ndarray, size: tuple[int, int]) -> None:
    gray = Image.fromarray(photograph).convert("L").crop((200, 100, 200 + size[1], 100 + size[0]))
    data = vaecodec.encode(gray, 50, effort=2)
    decoded = vaecodec.decode(data)
    assert (decoded.mode, decoded.size) == ("L", gray.size)
    plain = vaecodec.encode(gray, 50)
    assert len(data) <= 1.05 * len(plain) + 8
    assert np.abs(np.asarray(decoded, int) - np.asarray(gray, int)).mean() < 16


def test_tiles_are_refined_without_seams(photograph: np.ndarray) -> None:
    pixels = np.ascontiguousarray(photograph[100:356])
    plain, refined = (
        vaecodec.Codec("fast", effort=effort, tile_log2=8, threads=1).encode(pixels, 40) for effort in (1, 2)
    )
    assert cost(refined, pixels, 40) < 0.99 * cost(plain, pixels, 40)
    # On both sides of the line where the tiles meet nothing may change that a decoder sees.
    seam = np.s_[:, 256 - 32 : 256 + 32]
    before, after = squared_error(plain, pixels)[seam].mean(), squared_error(refined, pixels)[seam].mean()
    assert after < 1.05 * before


def test_a_batch_is_refined_like_its_images(photograph: np.ndarray) -> None:
    codec = vaecodec.Codec("fast", effort=2, threads=1)
    images = [np.ascontiguousarray(photograph[y : y + 64, 200:264]) for y in (0, 100)]
    for data, image in zip(codec.encode_batch(images, 50), images, strict=True):
        assert cost(data, image, 50) <= 1.0005 * cost(codec.encode(image, 50), image, 50)


def test_all_but_squared_error_need_torch(monkeypatch: pytest.MonkeyPatch, picture: np.ndarray) -> None:
    for module in ("torch", "vaecodec.nets.torch.backend"):
        monkeypatch.setitem(sys.modules, module, None)
    assert vaecodec.Codec(tune="psnr", effort=2).encode(picture[:64, :64])
    for tune in ("eye", "ms-ssim"):
        assert vaecodec.Codec(tune=tune).encode(picture)
        with pytest.raises(BackendError, match="pip install"):
            vaecodec.Codec(tune=tune, effort=2).encode(picture)
    model = load_model("fast-ms-ssim")
    zeros = np.zeros((1, model.config.latents, 2, 2), np.float32), np.zeros((1, 3, 32, 32), np.float32)
    rate = RatePosition.of_quality(quality_units(50), model.config.anchors)
    with pytest.raises(BackendError, match="torch backend"):
        OnnxNets(model).distortion(*zeros, Rect(0, 0, 32, 32), rate)


@pytest.mark.parametrize("effort", [0, 10, 2.5, True, "3"])
def test_other_efforts_are_refused(effort: object) -> None:
    with pytest.raises(VaecodecError, match="effort must be"):
        vaecodec.Codec(effort=effort)


def test_steps_double() -> None:
    assert [refinement_steps(effort) for effort in (1, 2, 3, 9)] == [0, 64, 128, 8192]


def test_command_and_pillow_take_it(tmp_path: Path, photograph: np.ndarray) -> None:
    image = Image.fromarray(photograph[100:196, 200:296])
    image.save(tmp_path / "a.png")
    paths = [str(tmp_path / name) for name in ("a.png", "a.vaec")]
    result = CliRunner().invoke(group, ["encode", *paths, "--effort", "2"])
    assert result.exit_code == 0, result.output
    buffer = io.BytesIO()
    image.save(buffer, "VAEC", effort=2)
    assert buffer.getvalue() == (tmp_path / "a.vaec").read_bytes() != vaecodec.encode(image)
    with pytest.raises(OSError, match="effort must be"):
        image.save(io.BytesIO(), "VAEC", effort=0)
    assert CliRunner().invoke(group, ["encode", *paths, "-f", "--effort", "0"]).exit_code == 2
    folder = ["encode", str(tmp_path), "-o", str(tmp_path / "out"), "--effort", "2", "--jobs", "1"]
    result = CliRunner().invoke(group, folder)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out/a.png.vaec").read_bytes() == buffer.getvalue()


def test_ms_ssim_models_are_refined_for_ms_ssim(photograph: np.ndarray) -> None:
    torch, ms_ssim = pytest.importorskip("torch"), pytest.importorskip("pytorch_msssim").ms_ssim
    pixels = np.ascontiguousarray(photograph[60:268, 130:354])
    sizes, scores = [], []
    for effort in (1, 2):
        codec = vaecodec.Codec("fast-ms-ssim", effort=effort, threads=1)
        data = codec.encode(pixels, 30)
        images = (torch.from_numpy(a.copy()).permute(2, 0, 1)[None].float() for a in (pixels, codec.decode_array(data)))
        sizes.append(len(data))
        scores.append(float(ms_ssim(*images)))
    assert sizes[1] < sizes[0]
    assert 1 - scores[1] < 1.02 * (1 - scores[0])


def test_soft_rounding_is_nearly_whole_when_cold_and_has_the_slope_it_says() -> None:
    random = np.random.default_rng(1)
    part, uniform = (random.uniform(0.02, 0.98, 1001) for _ in range(2))
    for temperature in (0.05, 0.4):
        weight, slope = soft_round(part, temperature, uniform)
        assert ((weight >= 0) & (weight <= 1)).all()
        ahead, behind = (soft_round(part + move, temperature, uniform)[0] for move in (1e-6, -1e-6))
        np.testing.assert_allclose(slope, (ahead - behind) / 2e-6, rtol=1e-4, atol=1e-5)
    clear = np.abs(part - 0.5) > 0.3
    assert np.abs(soft_round(part, 0.05, uniform)[0] - np.rint(part))[clear].mean() < 0.02


def test_bits_are_those_of_the_tables_and_of_escapes() -> None:
    model = load_model("fast")
    packed = model.latent_tables.packed
    refiner = Refiner(model, OnnxNets(model), Quantiser(packed))
    for index in (1, 20, 63):
        radius, counts = int(packed.radius[index]), packed.table(index)
        symbols = np.array([-radius - 1, -radius, 0, 2, radius, radius + 1, 30000], np.int32)
        places = (np.full(len(symbols), table[index], np.int32) for table in (refiner._radius, refiner._centre))
        bits = refiner._bits_of(symbols, *places)
        escape = -np.log2(counts[-1] / TOTAL) + 16
        expected = [escape, *(-np.log2(counts[radius + s] / TOTAL) for s in symbols[1:-2]), escape, escape]
        np.testing.assert_allclose(bits, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["fast", str(TINY)])
def test_backends_agree_on_the_distortion_and_its_gradient(photograph: np.ndarray, name: str) -> None:
    torch = pytest.importorskip("torch")
    from vaecodec.nets.torch.backend import TorchNets

    model = load_model(name)
    rate = RatePosition.of_quality(quality_units(50), model.config.anchors)
    pixels = np.stack([photograph[100:196, 200:328], 255 - photograph[140:236, 100:228]])
    pixels[1, :40, :40] = 255  # some of it is decoded beyond white, and clipped
    with torch.inference_mode():  # of the caller
        nets, others = OnnxNets(model), TorchNets(model)
        v = nets.analysis(pixels, rate) * np.exp2(model.float_tensor("norm") / 256)[:, None, None]
        area = Rect(3, 5, 90, 120)
        cut = pixels[:, 3:90, 5:120]
        x = np.ascontiguousarray(cut.transpose(0, 3, 1, 2), np.float32) / 255 - np.float32(0.5)
        (error, gradient), (other_error, other_gradient) = (n.distortion(v, x, area, rate) for n in (nets, others))
    np.testing.assert_allclose(error, other_error, rtol=1e-4)
    assert np.abs(gradient - other_gradient).mean() < 1e-3 * np.abs(gradient).mean()
    # The definition: mean squared error of what is decoded, and less of it a step down the gradient.
    decoded = nets.synthesis(v, rate)[:, 3:90, 5:120].astype(np.float32)
    np.testing.assert_allclose(error, np.square(decoded - cut).mean((1, 2, 3)), rtol=0.1)
    step = (1e-3 * error / np.square(gradient).sum((1, 2, 3)))[:, None, None, None]
    less = nets.distortion(v - step * gradient, x, area, rate)[0]
    np.testing.assert_allclose(error - less, 1e-3 * error, rtol=0.2)


def test_encoding_and_decoding_share_one_codec(photograph: np.ndarray) -> None:
    shared_codec.cache_clear()
    vaecodec.decode(vaecodec.encode(photograph[:64, :64]))
    assert shared_codec.cache_info().currsize == 1


def test_a_model_says_what_it_was_trained_for(picture: np.ndarray) -> None:
    """By a field of its configuration, or by its name where it has none."""
    assert load_model("fast").config.metric == "mse"
    assert load_model("fast-ms-ssim").config.metric == "ms-ssim"
    assert load_model("eye").config.metric == "eye"
    config = load_model("eye").config
    assert dataclasses.replace(config, name="my-ms-ssim", trained_for="mse").metric == "mse"
    later = ModelFile(**vars(load_model("eye")) | {"config": dataclasses.replace(config, trained_for="taste")})
    loaded = Session(Settings("eye", effort=2))
    loaded.__dict__["model"] = later
    with pytest.raises(BackendError, match="refining for taste is unknown"):
        loaded.refiner()


def test_the_eye_is_refined_by_its_own_loss(photograph: np.ndarray) -> None:
    """Distortion for the eye and bits fall together; squared error, which is not asked, need not."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("pytorch_msssim")
    from vaecodec.nets.torch.distortion import distortion

    pixels = np.ascontiguousarray(photograph[60:268, 130:354])
    config, costs = load_model("eye").config, []
    worth = config.lambda_at(RatePosition.of_quality(quality_units(40), config.anchors).t)
    for effort in (1, 2):
        codec = vaecodec.Codec("eye", effort=effort, threads=1)
        data = codec.encode(pixels, 40)
        x, seen = (
            torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255 - 0.5
            for image in (pixels, codec.decode_array(data))
        )
        costs.append(8 * len(data) / pixels[..., 0].size + worth * float(distortion("eye", x, seen)))
    assert costs[1] < 0.985 * costs[0]
