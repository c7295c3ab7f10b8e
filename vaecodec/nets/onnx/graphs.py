"""The nets of a model file as ONNX graphs; the twin of vaecodec.nets.torch, layer for layer."""

from __future__ import annotations

import numpy as np

from vaecodec.bitstream.spec import INDEX_LIMIT, LEAK, LEVEL, MEAN_LIMIT, PATCH, RESIDUAL, step_groups
from vaecodec.model.file import ModelFile
from vaecodec.model.rate import RatePosition
from vaecodec.nets.interface import Float
from vaecodec.nets.onnx.protobuf import UINT8, Graph


def branch_weights(model: ModelFile, net: str, rate: RatePosition) -> Float:
    """The weights (blocks, C) of the channels of a net's residual branches at a rate."""
    return np.float32(RESIDUAL) * np.exp2(model.float_row(f"{net}.blocks.rate", rate))


class FloatLayers:
    """Adds layers of one float net to a graph."""

    def __init__(self, graph: Graph, model: ModelFile, net: str) -> None:
        self.graph, self.model, self.net = graph, model, net
        self.activated: list[str] = []
        """Inputs of the activations, in order."""

    def conv(self, x: str, layer: str, scale_out: Float | None = None) -> str:
        """A layer, with factors on its output channels folded into its weights."""
        weight, bias = (self.model.float_tensor(f"{self.net}.{layer}.{part}") for part in ("weight", "bias"))
        if scale_out is not None:
            weight *= scale_out[:, None, None, None]
            bias *= scale_out
        return self.graph.conv(x, weight, bias, weight.shape[0] if weight.shape[-1] == 3 else 1)

    def act(self, x: str) -> str:
        self.activated.append(x)
        return self.graph.node("LeakyRelu", x, alpha=LEAK)

    def blocks(self, x: str, rate: RatePosition | None) -> str:
        """The residual blocks. At a rate its weights are folded into theirs: the graph then keeps onnxruntime's own
        layout from the first block to the last. Without one, the weights of the branches are inputs: rate_0, ..."""
        if rate is None:
            return self._blocks_at_any_rate(x)
        # A pool of one place changes nothing, but is a layer with that layout, which DepthToSpace is not.
        x = self.graph.node("MaxPool", x, kernel_shape=[1, 1])
        for i, branch in enumerate(branch_weights(self.model, self.net, rate)):
            x = self.graph.node("Add", self._mix(x, i, branch), x)
            x = self.graph.node("Add", self._feed(x, i, branch), x)
        return x

    def _blocks_at_any_rate(self, x: str) -> str:
        for i in range(self.model.tensors[f"{self.net}.blocks.rate"].shape[1]):
            rate = self.graph.input(f"rate_{i}", [1, self.model.config.channels, 1, 1])
            x = self.graph.node("Add", self.graph.node("Mul", self._mix(x, i), rate), x)
            x = self.graph.node("Add", self.graph.node("Mul", self._feed(x, i), rate), x)
        return x

    def _mix(self, x: str, i: int, scale_out: Float | None = None) -> str:
        block = f"blocks.layers.{i}"
        h = self.conv(self.act(self.conv(x, f"{block}.mix_in")), f"{block}.spatial")
        return self.conv(h, f"{block}.mix_out", scale_out)

    def _feed(self, x: str, i: int, scale_out: Float | None = None) -> str:
        block = f"blocks.layers.{i}"
        return self.conv(self.act(self.conv(x, f"{block}.expand")), f"{block}.contract", scale_out)

    def synthesis(self, v_hat: str, rate: RatePosition | None) -> str:
        """v_hat (n, M, h, w) -> RGB around [-0.5, 0.5] (n, 3, 16h, 16w)."""
        g, config = self.graph, self.model.config
        h = self.blocks(g.depth_to_space(self.conv(v_hat, "stem"), 2), rate)
        x = g.depth_to_space(self.conv(h, "head"), 8)
        if config.shortcut:
            x = g.node("Add", g.depth_to_space(self.conv(v_hat, "shortcut"), PATCH), x)
        return x

    def texture(self) -> str:
        """Of the hyper analysis what comes before it looks at more than one position: (n, H, h, w)."""
        g, config = self.graph, self.model.config
        v = g.input("v", ["n", config.latents, "h", "w"])
        rate = g.input("rate", [1, config.hyper_channels, 1, 1])
        h = g.node("Concat", v, g.node("Abs", v), axis=1)
        h = self.act(g.node("Add", self.conv(h, "stem"), rate))
        return self.act(self.conv(h, "mix"))


class _Exact:
    """Adds integer layers to a graph: convolution, rate bias, floor, clamp."""

    def __init__(self, graph: Graph, model: ModelFile, net: str) -> None:
        self.graph, self.model, self.net = graph, model, net

    def layer(self, x: str, name: str, low: int, add: str | None = None, rate: str | None = None) -> str:
        """clamp(floor(conv(x) + rate + 1/2) + add), to [low, LEVEL]."""
        weight, bias = self.model.exact_layer(f"{self.net}.{name}")
        y = self.graph.conv(x, weight, bias + 0.5, weight.shape[0] if weight.shape[-1] == 3 else 1)
        if rate is not None:
            y = self.graph.node("Add", y, rate)
        y = self.graph.node("Floor", y)
        if add is not None:
            y = self.graph.node("Add", y, add)
        return self.graph.clip(y, low, LEVEL)


def analysis(model: ModelFile, rate: RatePosition | None) -> bytes:
    """At a rate, or any (blocks): pixels (n, H, W, 3) uint8 -> y (n, M, H/16, W/16)."""
    config, g = model.config, Graph("analysis")
    net = FloatLayers(g, model, "analysis")
    pixels = g.input("pixels", ["n", "H", "W", 3], UINT8)
    x = g.node("Transpose", g.node("Cast", pixels, to=1), perm=[0, 3, 1, 2])
    x = g.node("Sub", g.node("Mul", x, g.constant(np.float32(1 / 255))), g.constant(np.float32(0.5)))
    h = net.blocks(net.conv(g.space_to_depth(x, 8), "stem"), rate)
    y = net.conv(g.space_to_depth(h, 2), "head")
    if config.shortcut:
        y = g.node("Add", net.conv(g.space_to_depth(x, PATCH), "shortcut"), y)
    g.output(y, "y", ["n", config.latents, "h", "w"])
    return g.serialize()


def synthesis(model: ModelFile, rate: RatePosition | None) -> bytes:
    """At a rate, or any (blocks): v_hat (n, M, h, w) -> pixels (n, 16h, 16w, 3) uint8."""
    g = Graph("synthesis")
    v_hat = g.input("v_hat", ["n", model.config.latents, "h", "w"])
    x = FloatLayers(g, model, "synthesis").synthesis(v_hat, rate)
    g.output(_pixels(g, x), "pixels", ["n", "H", "W", 3], UINT8)
    return g.serialize()


def preview(model: ModelFile) -> bytes:
    """v_hat (n, M, h, w) -> pixels (n, 2h, 2w, 3) uint8: means of the 8x8 blocks of the synthesis without its residual
    blocks."""
    config, g = model.config, Graph("preview")
    v_hat = g.input("v_hat", ["n", config.latents, "h", "w"])
    parts = ("weight", "bias")
    mean = [model.float_tensor(f"synthesis.head.{part}").reshape(64, 3, -1).mean(0) for part in parts]
    h = g.depth_to_space(FloatLayers(g, model, "synthesis").conv(v_hat, "stem"), 2)
    x = g.conv(h, mean[0][:, :, None, None], mean[1][:, 0])
    if config.shortcut:
        layer = [model.float_tensor(f"synthesis.shortcut.{part}") for part in parts]
        mean = [values.reshape(2, 8, 2, 8, 3, -1).mean((1, 3)).reshape(12, -1) for values in layer]
        x = g.node("Add", g.depth_to_space(g.conv(v_hat, mean[0][:, :, None, None], mean[1][:, 0]), 2), x)
    g.output(_pixels(g, x), "pixels", ["n", "H", "W", 3], UINT8)
    return g.serialize()


def _pixels(g: Graph, x: str) -> str:
    """RGB around [-0.5, 0.5] (n, 3, H, W) -> uint8 (n, H, W, 3)."""
    x = g.node("Add", g.node("Mul", x, g.constant(np.float32(255))), g.constant(np.float32(127.5)))
    return g.node("Transpose", g.node("Cast", g.node("Round", g.clip(x, 0, 255)), to=UINT8), perm=[0, 2, 3, 1])


def hyper_analysis(model: ModelFile) -> bytes:
    """v (n, M, h, w), rate (1, H, 1, 1) -> z (n, Z, h/4, w/4)."""
    config, g = model.config, Graph("hyper_analysis")
    net = FloatLayers(g, model, "hyper_analysis")
    h = net.texture()
    h = net.conv(net.act(net.conv(g.space_to_depth(h, 2), "down1")), "spatial1")
    h = net.conv(net.act(net.conv(g.space_to_depth(h, 2), "down2")), "spatial2")
    g.output(net.conv(h, "head"), "z", ["n", config.hyper_latents, "p", "q"])
    return g.serialize()


def texture(model: ModelFile) -> bytes:
    """v (n, M, h, w), rate (1, H, 1, 1) -> texture (n, H, h, w)."""
    g = Graph("texture")
    features = FloatLayers(g, model, "hyper_analysis").texture()
    g.output(features, "texture", ["n", model.config.hyper_channels, "h", "w"])
    return g.serialize()


def hyper_synthesis(model: ModelFile) -> bytes:
    """u (n, Z, p, q), bias (1, H, 1, 1), levels -> features (n, H, 4p, 4q), levels."""
    config, g = model.config, Graph("hyper_synthesis")
    net = _Exact(g, model, "prior.hyper_synthesis")
    u = g.input("u", ["n", config.hyper_latents, "p", "q"])
    bias = g.input("bias", [1, config.hyper_channels, 1, 1])
    h = net.layer(u, "stem", 0, rate=bias)
    h = g.depth_to_space(net.layer(net.layer(h, "spatial1", -LEVEL), "up1", 0), 2)
    h = g.depth_to_space(net.layer(net.layer(h, "spatial2", -LEVEL), "up2", 0), 2)
    h = net.layer(net.layer(h, "spatial3", -LEVEL), "head", 0, add=h)
    g.output(h, "features", ["n", config.hyper_channels, "h", "w"])
    return g.serialize()


def context_step(model: ModelFile, step: int) -> bytes:
    """features (n, H, h, w), bias (1, K, 1, 1), context (n, 2 * step * M, h/2, w/2) in the order quad position,
    value or magnitude, slot, channel (absent in step 0) -> mean, index (n, M, h/2, w/2)."""
    config, g = model.config, Graph(f"context_step_{step}")
    net = _Exact(g, model, f"prior.steps.{step}")
    m, width = config.latents, config.hyper_channels
    features = g.input("features", ["n", width, "h", "w"])
    bias = g.input("bias", [1, config.context_channels, 1, 1])
    weight, head_bias = model.exact_layer(f"{net.net}.head")
    h = g.node("Add", g.conv(features, weight[:, :width], head_bias + 0.5), bias)
    if step:
        context = g.input("context", ["n", 2 * step * m, "i", "j"])
        latent = weight[:, width:]
        at_position = [
            np.concatenate(
                [latent[:, part + step_groups(s)[p] : part + m : 4] for part in (0, m) for s in range(step)], 1
            )
            for p in range(4)
        ]
        h = g.node("Add", h, g.depth_to_space(g.conv(context, np.concatenate(at_position), groups=4), 2))
    h = g.clip(g.node("Floor", h), 0, LEVEL)
    for i in range(config.context_blocks):
        h = net.layer(net.layer(h, f"blocks.{i}.spatial", -LEVEL), f"blocks.{i}.mix", 0, add=h)
    quads = g.space_to_depth(h, 2)
    weight, out_bias = model.exact_layer(f"{net.net}.out")
    for rows, name, limit in ((slice(0, m), "mean", MEAN_LIMIT), (slice(m, 2 * m), "index", INDEX_LIMIT)):
        w = np.concatenate([weight[rows][group::4] for group in step_groups(step)])
        b = np.concatenate([out_bias[rows][group::4] for group in step_groups(step)])
        y = g.clip(g.node("Floor", g.conv(quads, w, b + 0.5, groups=4)), -limit, limit)
        g.output(y, name, ["n", m, "i", "j"])
    return g.serialize()
