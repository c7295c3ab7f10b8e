"""Refinement of latents: fewer bits and less error for work of the encoder, nothing new for decoders."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # steady on a busy machine

import vaecodec  # noqa: E402
import vaecodec.pillow  # noqa: E402
from vaecodec.cli.main import group  # noqa: E402
from vaecodec.effort import refinement_steps  # noqa: E402
from vaecodec.errors import BackendError, VaecodecError  # noqa: E402
from vaecodec.model.distortion import lambda_at  # noqa: E402
from vaecodec.rate import RatePosition, quality_units  # noqa: E402
from vaecodec.runtime.refine import _SoftRound, gaussian_bits, soft_round  # noqa: E402
from vaecodec.runtime.store import load_model  # noqa: E402


def squared_error(data: bytes, pixels: np.ndarray) -> np.ndarray:
    """Of each pixel (H, W), mean over the colours."""
    decoded = vaecodec.Codec(threads=1).decode_array(data).astype(np.float32)
    return np.square(decoded - pixels).mean(-1)


def cost(data: bytes, pixels: np.ndarray, quality: float) -> float:
    """Bits a pixel and what the error is worth in them: what encoders minimise."""
    config = load_model().config
    rate = RatePosition.of_quality(quality_units(quality), config.anchors)
    weight = float(lambda_at(config, torch.tensor([rate.t])))
    return 8 * len(data) / pixels[..., 0].size + weight * float(squared_error(data, pixels).mean())


@pytest.mark.parametrize("quality", [20, 70])
def test_effort_lowers_the_cost(photograph: np.ndarray, quality: float) -> None:
    pixels = np.ascontiguousarray(photograph[60:252, 130:386])
    plain, refined = (vaecodec.Codec(effort=effort, threads=1).encode(pixels, quality) for effort in (1, 2))
    assert cost(refined, pixels, quality) < 0.985 * cost(plain, pixels, quality)
    assert refined == vaecodec.Codec(effort=2, threads=1).encode(pixels, quality)


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
    plain, refined = (vaecodec.Codec(effort=effort, tile_log2=8, threads=1).encode(pixels, 40) for effort in (1, 2))
    assert cost(refined, pixels, 40) < 0.99 * cost(plain, pixels, 40)
    # On both sides of the line where the tiles meet nothing may change that a decoder sees.
    seam = np.s_[:, 256 - 32 : 256 + 32]
    before, after = squared_error(plain, pixels)[seam].mean(), squared_error(refined, pixels)[seam].mean()
    assert after < 1.05 * before


def test_a_batch_is_refined_like_its_images(photograph: np.ndarray) -> None:
    codec = vaecodec.Codec(effort=2, threads=1)
    images = [np.ascontiguousarray(photograph[y : y + 64, 200:264]) for y in (0, 100)]
    for data, image in zip(codec.encode_batch(images, 50), images, strict=True):
        assert cost(data, image, 50) <= 1.002 * cost(codec.encode(image, 50), image, 50)


def test_where_torch_is_missing_effort_is_refused(monkeypatch: pytest.MonkeyPatch, picture: np.ndarray) -> None:
    monkeypatch.setitem(sys.modules, "vaecodec.runtime.refine", None)
    assert vaecodec.Codec().encode(picture)
    with pytest.raises(BackendError, match="pip install"):
        vaecodec.Codec(effort=2).encode(picture)


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
    assert CliRunner().invoke(group, folder).exit_code == 0
    assert (tmp_path / "out/a.vaec").read_bytes() == buffer.getvalue()


def test_ms_ssim_models_are_refined_for_ms_ssim(photograph: np.ndarray) -> None:
    ms_ssim = pytest.importorskip("pytorch_msssim").ms_ssim
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


def test_bits_of_whole_residuals_are_those_of_the_tables() -> None:
    from vaecodec.bitstream.tables import TOTAL, latent_tables
    from vaecodec.config import SCALE_MIN, SCALES, SCALES_PER_OCTAVE

    tables = latent_tables(np.eye(SCALES))
    for index in (6, 20, 35):
        symbols = torch.arange(-2, 3).float()
        bits = gaussian_bits(symbols, torch.tensor(SCALE_MIN * 2 ** (index / SCALES_PER_OCTAVE))).numpy()
        counts = tables.table(index)[int(tables.radius[index]) - 2 :][:5].astype(float)
        likely = counts / TOTAL > 1e-5
        np.testing.assert_allclose(bits[likely], -np.log2(counts / TOTAL)[likely], rtol=1e-2)


def test_soft_rounding_is_nearly_whole_when_cold_and_stays_between_its_neighbours() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.linspace(-2.95, 2.95, 1001, requires_grad=True)
    cold, hot = (soft_round(x, temperature, generator) for temperature in (0.05, 0.5))
    for soft in (cold, hot):
        assert ((soft >= x.floor()) & (soft <= x.floor() + 1)).all()
    near = (x - x.round()).abs() < 0.2
    assert (cold - x.round()).abs()[near].mean() < 0.02


def test_gradients_are_those_of_the_functions() -> None:
    generator = torch.Generator().manual_seed(2)
    residual = (4 * torch.rand(50, generator=generator, dtype=torch.float64) - 2).requires_grad_()
    scale = 0.3 + torch.rand(50, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(gaussian_bits, (residual, scale))

    def rounded(x: torch.Tensor) -> torch.Tensor:
        return _SoftRound.apply(x, 0.4, torch.linspace(0.1, 0.9, 50, dtype=torch.float64))

    inside = (residual.detach().floor() + 0.1 + 0.8 * torch.rand(50, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(rounded, (inside,))


def test_encoding_and_decoding_share_one_codec(photograph: np.ndarray) -> None:
    vaecodec._codec.cache_clear()
    vaecodec.decode(vaecodec.encode(photograph[:64, :64]))
    assert vaecodec._codec.cache_info().currsize == 1


def test_the_name_of_a_model_says_what_it_was_trained_for() -> None:
    assert load_model("fast").config.metric == "mse"
    assert load_model("fast-ms-ssim").config.metric == "ms-ssim"
