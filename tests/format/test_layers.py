"""The one table of layers, held against the torch modules, the shipped files and the figures of the cards."""

from __future__ import annotations

import pytest

from vaecodec.bitstream.spec import PATCH, STEPS
from vaecodec.model.config import CONFIGS
from vaecodec.model.file import load_model
from vaecodec.model.layers import expected_tensors, kmac_per_pixel, layers
from vaecodec.model.rate import RatePosition
from vaecodec.model.shipped import EARLIER, shipped_models
from vaecodec.nets.onnx import graphs


@pytest.mark.parametrize("name", CONFIGS)
def test_the_table_names_what_torch_trains(name: str) -> None:
    pytest.importorskip("torch")
    from vaecodec.nets.torch.exact import ExactConv
    from vaecodec.nets.torch.vae import VAE

    vae = VAE(CONFIGS[name])
    table = layers(CONFIGS[name])
    weights = {name.removesuffix(".weight"): p for name, p in vae.named_parameters() if name.endswith(".weight")}
    assert weights.keys() == table.keys()
    for layer, weight in weights.items():
        entry = table[layer]
        assert tuple(weight.shape) == (entry.outputs, entry.inputs, entry.kernel, entry.kernel), layer
        assert isinstance(vae.get_submodule(layer), ExactConv) == entry.exact, layer


@pytest.mark.parametrize("name", [*shipped_models(), *EARLIER])
def test_the_table_names_what_files_hold(name: str) -> None:
    model = load_model(name)
    tables = {"tables.latent.counts", "tables.hyper.counts"}
    expected = expected_tensors(model.config, slim=model.slim)
    assert model.tensors.keys() - tables == expected.keys()
    assert all((t.dtype, t.shape) == expected[n] for n, t in model.tensors.items() if n not in tables)


def test_multiplications() -> None:
    """Those of two layers counted by hand, and the whole within a hundredth of what it was counted to be before the
    table (down2 was forgotten then)."""
    config = CONFIGS["fast"]
    table = layers(config)
    assert float(table["analysis.stem"].macs) == 192 * 192 / 64
    # Of the 2 * 336 channels of values and magnitudes, step 2 knows one half.
    assert float(table["prior.steps.2.head"].macs) == (128 * 128 + 128 * 336) / 256
    assert kmac_per_pixel(config) == pytest.approx({"encode": 11.85, "decode": 11.38}, abs=0.02)


def convolutions(graph: bytes) -> list[tuple[int, ...]]:
    """Shapes of the weights of an ONNX graph."""
    onnx = pytest.importorskip("onnx")
    found = onnx.load_model_from_string(graph).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in found.initializer}
    return [shapes[node.input[1]] for node in found.node if node.op_type == "Conv"]


@pytest.mark.parametrize("net", ["analysis", "hyper_analysis", "hyper_synthesis", "synthesis"])
def test_the_table_names_what_graphs_compute(net: str) -> None:
    model = load_model("fast")
    own = f"prior.{net}." if net == "hyper_synthesis" else f"{net}."
    expected = [
        (layer.outputs, layer.inputs, layer.kernel, layer.kernel)
        for name, layer in layers(model.config).items()
        if name.startswith(own)
    ]
    for at in ((RatePosition(2, 0),), (None,)) if net in ("analysis", "synthesis") else ((),):
        assert sorted(convolutions(getattr(graphs, net)(model, *at))) == sorted(expected)


@pytest.mark.parametrize("step", range(STEPS))
def test_steps_multiply_as_often_as_the_table_says(step: int) -> None:
    """Context and outputs run on quads: each of their four groups at a quarter of the latents' positions."""
    model = load_model("fast")
    made = 0
    for shape in convolutions(graphs.context_step(model, step)):
        count = shape[0] * shape[1] * shape[2] * shape[3]
        on_quads = shape[0] in (4 * model.config.context_channels, model.config.latents)
        made += count // 4 if on_quads else count
    own = [layer.macs for name, layer in layers(model.config).items() if name.startswith(f"prior.steps.{step}.")]
    assert made / PATCH**2 == sum(own)
