"""SSIMULACRA 2 as a differentiable distance, and the distortion `eye`, which uses it."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from make_golden import TINY
from pictures import generated_picture
from PIL import Image

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
pytest.importorskip("compressai")
reference = pytest.importorskip("ssimulacra2.ssimulacra2")

from vaecodec.model.file import read_model  # noqa: E402
from vaecodec.nets.torch.distortion import distortion  # noqa: E402
from vaecodec.nets.torch.ssimulacra2 import WEIGHTS, ssimulacra2_distance, ssimulacra2_score  # noqa: E402
from vaecodec.training.data.pictures import PictureStore  # noqa: E402
from vaecodec.training.export import warm_start  # noqa: E402
from vaecodec.training.loop import Trainer  # noqa: E402
from vaecodec.training.options import TrainOptions  # noqa: E402


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def compressed(pixels: np.ndarray, suffix: str, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, suffix, quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize("size", [(96, 130), (200, 151), (64, 20)])
def test_scores_are_those_of_the_package(size: tuple[int, int], tmp_path: Path) -> None:
    """Includes sides that are odd at some scale, and images with fewer than six scales."""
    theirs, ours = [], []
    for seed in (0, 1):
        pixels = generated_picture(*size, seed)
        Image.fromarray(pixels).save(tmp_path / "original.png")
        for suffix, quality in (("JPEG", 20), ("JPEG", 60), ("JPEG", 92), ("WEBP", 30), ("WEBP", 80)):
            changed = compressed(pixels, suffix, quality)
            Image.fromarray(changed).save(tmp_path / "changed.png")
            theirs.append(reference.compute_ssimulacra2(tmp_path / "original.png", tmp_path / "changed.png"))
            ours.append(float(ssimulacra2_score(ssimulacra2_distance(tensor(pixels), tensor(changed)))))
    assert max(theirs) - min(theirs) > 7
    np.testing.assert_allclose(ours, theirs, atol=0.2)
    assert len(WEIGHTS) == 108


def test_pairs_of_a_batch_are_measured_apart() -> None:
    pairs = [(generated_picture(64, 64, seed), generated_picture(64, 64, seed + 1)) for seed in range(3)]
    both = ssimulacra2_distance(*(torch.cat([tensor(pair[i]) for pair in pairs]) for i in (0, 1)))
    apart = torch.cat([ssimulacra2_distance(tensor(a), tensor(b)) for a, b in pairs])
    torch.testing.assert_close(both, apart)


@pytest.mark.parametrize("metric", ["mse", "ms-ssim", "eye"])
def test_gradients_are_finite_and_lead_downhill(metric: str) -> None:
    """For flat colour, black, white, exact copies and values out of range."""
    flat = [torch.full((1, 3, 192, 192), level) for level in (-0.5, 0.0, 0.5)]
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, 192, 192, generator=random)
    picture = tensor(generated_picture(192, 192)) - 0.5
    for x in (*flat, picture):
        for start in (x, x + 0.02 * noise, -x, x + 2):
            changed = start.clone().requires_grad_()
            distortion(metric, x, changed).sum().backward()
            assert torch.isfinite(changed.grad).all()
    changed = (picture + 0.05 * noise).requires_grad_()
    before = distortion(metric, picture, changed)
    before.sum().backward()
    with torch.no_grad():
        after = distortion(metric, picture, changed - 0.01 * changed.grad / changed.grad.abs().max())
    assert float(after) < float(before.detach())


def test_the_eye_minds_structure_more_than_brightness() -> None:
    """At the same squared error, a brighter picture is nearer than a noisy one."""
    x = tensor(generated_picture(256, 256)) - 0.5
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 1, x.shape)).float()
    brighter, noisy = x + 0.03, x + 0.03 * noise
    ratio = [float(distortion(metric, x, brighter) / distortion(metric, x, noisy)) for metric in ("mse", "eye")]
    assert 0.9 < ratio[0] < 1.1
    assert ratio[1] < 0.5


def test_fine_tuning_for_the_eye(store: PictureStore, tmp_path: Path) -> None:
    model = read_model(TINY)
    options = TrainOptions(
        minutes=0.15, metric="eye", crop=192, final_crop=192, hyper_warmup=0, warmup_steps=5, bf16=False
    )
    trainer = Trainer(model.config, options, store, tmp_path)
    trainer.start(partial(warm_start, model))
    before = trainer._measure(trainer.modules)
    assert trainer.train().cost < before.cost - 0.002
