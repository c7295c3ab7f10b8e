"""Models of other sizes: one starts from another, and both runtimes run them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pictures import generated_picture

torch = pytest.importorskip("torch")
pytest.importorskip("compressai")

from tiny import TINY, tiny_options  # noqa: E402

import vaecodec  # noqa: E402
from vaecodec.errors import ModelError  # noqa: E402
from vaecodec.model.config import CONFIGS  # noqa: E402
from vaecodec.model.file import read_model  # noqa: E402
from vaecodec.model.rate import RatePosition, quality_units  # noqa: E402
from vaecodec.nets.onnx.backend import OnnxNets  # noqa: E402
from vaecodec.nets.torch.backend import TorchNets, load_vae  # noqa: E402
from vaecodec.nets.torch.vae import VAE  # noqa: E402
from vaecodec.training.data.pictures import PictureStore  # noqa: E402
from vaecodec.training.entropy import EntropyModels  # noqa: E402
from vaecodec.training.export import export_model, warm_start  # noqa: E402
from vaecodec.training.loop import Trainer  # noqa: E402
from vaecodec.training.validate import to_batch, validate  # noqa: E402


def test_a_model_grows(store: PictureStore, tmp_path: Path) -> None:
    """With more latents and a shortcut it keeps what the smaller model did, and errs less."""
    small = Trainer(replace(TINY, latents=12, shortcut=False), tiny_options(), store, tmp_path / "small")
    small.start()
    export_model(small.vae, small.entropy, tmp_path / "small.safetensors")
    model = read_model(tmp_path / "small.safetensors")
    large = Trainer(TINY, tiny_options(), store, tmp_path / "large")
    large.start(partial(warm_start, model))
    vae = load_vae(model)
    x = to_batch(large.sampler.batch(4, 64), large.device)
    t = torch.full((4,), TINY.anchors - 1.0)
    with torch.no_grad():
        for index in range(3):  # the prior of the old latents does not change until the new ones are decoded
            old, new = vae.prior.steps[index].out.weight, large.vae.prior.steps[index].out.weight
            assert torch.equal(new.reshape(2, 16, -1)[:, :12], old.reshape(2, 12, -1))
        y, grown = vae.analysis(x, t), large.vae.analysis(x, t)
        assert torch.equal(grown[:, :12], y)
        assert grown[:, 12:].std() > 0
        misses = [
            (x - net.synthesis(net.analysis(x, t) * net.norm.exp2()[:, None, None], t)).square().mean()
            for net in (vae, large.vae)
        ]
    assert misses[1] < 0.9 * misses[0]
    with pytest.raises(ModelError, match="another configuration"):
        warm_start(model, VAE(replace(TINY, channels=20)), large.entropy)


def test_shortcuts_are_the_same_in_both_runtimes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae, entropy = VAE(TINY), EntropyModels(TINY)
    for layer in (vae.analysis.shortcut, vae.synthesis.shortcut):
        torch.nn.init.normal_(layer.weight, std=0.05)
        torch.nn.init.normal_(layer.bias, std=0.05)
    export_model(vae, entropy, tmp_path / "model.safetensors")
    model = read_model(tmp_path / "model.safetensors")
    onnx, in_torch = OnnxNets(model), TorchNets(model)
    rate = RatePosition.of_quality(quality_units(70), TINY.anchors)
    pictures = np.stack([generated_picture(64, 96, seed) for seed in range(2)])
    y = onnx.analysis(pictures, rate)
    assert np.allclose(y, in_torch.analysis(pictures, rate), atol=1e-4)
    assert np.allclose(y[1:], onnx.analysis(pictures[1:], rate), atol=1e-5)
    v = np.random.default_rng(0).normal(0, 0.3, y.shape).astype(np.float32)
    for ours, theirs in (
        (onnx.synthesis(v, rate), in_torch.synthesis(v, rate)), (onnx.preview(v), in_torch.preview(v)),
    ):  # fmt: skip
        assert ours.std() > 5
        assert np.abs(ours.astype(int) - theirs).max() <= 1
    with torch.no_grad():  # a preview is the mean of what the synthesis gives where the blocks are silent
        for block in vae.synthesis.blocks.layers:
            block.mix_out.bias.zero_()
        whole = vae.synthesis(torch.from_numpy(v[:1]), torch.zeros(1))
        preview = vae.synthesis.preview(torch.from_numpy(v[:1]))
    assert torch.allclose(torch.nn.functional.avg_pool2d(whole, 8), preview, atol=1e-5)


def test_blocks_get_narrower(store: PictureStore, tmp_path: Path) -> None:
    """Half of the hidden channels copy the others: one of each pair must stay, and is refitted."""
    wide = Trainer(replace(TINY, expansion=2), tiny_options(), store, tmp_path / "wide")
    wide.start()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for net in (wide.vae.analysis, wide.vae.synthesis):
            for block in net.blocks.layers:
                for part in (block.expand.weight, block.expand.bias):
                    part[24:] = part[:24].roll(1, 0)
                block.contract.weight.copy_(torch.randn(24, 48, 1, 1, generator=generator) / 7)
    export_model(wide.vae, wide.entropy, tmp_path / "wide.safetensors")
    model = read_model(tmp_path / "wide.safetensors")
    slim = Trainer(TINY, tiny_options(), store, tmp_path / "slim")
    slim.start(partial(warm_start, model))
    x, t = to_batch(slim.sampler.batch(4, 64), slim.device), torch.arange(4.0)
    with torch.no_grad():
        outputs = []
        for vae in (load_vae(model), slim.vae):
            y = vae.analysis(x, t)
            outputs.append((y, vae.synthesis(y * vae.norm.exp2()[:, None, None], t)))
    for wide_output, slim_output in zip(*outputs, strict=True):
        assert torch.allclose(wide_output, slim_output, atol=2e-3 * float(wide_output.std()))
    export_model(slim.vae, slim.entropy, tmp_path / "slim.safetensors")
    assert (tmp_path / "slim.safetensors").stat().st_size < (tmp_path / "wide.safetensors").stat().st_size
    with pytest.raises(ModelError, match="another configuration"):
        warm_start(read_model(tmp_path / "slim.safetensors"), VAE(replace(TINY, expansion=2)), slim.entropy)


def test_sizes_of_base_start_as_a_transform_codec(store: PictureStore, tmp_path: Path) -> None:
    """With more channels than a block has numbers, the model still starts as the block transform, and codes."""
    trainer = Trainer(CONFIGS["base"], tiny_options(), store, tmp_path)
    trainer.start()
    points = validate(trainer.vae, trainer.entropy, store, crops=1, size=128).points
    assert points[-1].psnr > 38
    export_model(trainer.vae, trainer.entropy, tmp_path / "base.safetensors")
    assert 20e6 < (tmp_path / "base.safetensors").stat().st_size < 35e6
    picture = generated_picture(64, 96)
    codec, other = (vaecodec.Codec(tmp_path / "base.safetensors", backend=backend) for backend in ("onnx", "torch"))
    data = codec.encode(picture, 90)
    assert np.array_equal(codec.decode_latents(data), other.decode_latents(data))
    error = np.asarray(codec.decode(data), float) - picture
    assert 10 * np.log10(255**2 / np.square(error).mean()) > 34
