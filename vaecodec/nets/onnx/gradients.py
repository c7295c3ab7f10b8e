"""The synthesis and its backward pass in one ONNX graph: the squared error of decoded pictures and its gradient."""

from __future__ import annotations

import numpy as np

from vaecodec.bitstream.spec import LEAK, PATCH
from vaecodec.model.file import ModelFile
from vaecodec.model.rate import RatePosition
from vaecodec.nets.interface import Float
from vaecodec.nets.onnx.graphs import FloatLayers, branch_weights
from vaecodec.nets.onnx.protobuf import INT64, Graph


class _Backwards:
    """Adds the backward pass of a net's layers to a graph: from the gradient of a layer's output to that of its
    input."""

    def __init__(self, net: FloatLayers) -> None:
        self.net, self.graph = net, net.graph

    def conv(self, gradient: str, layer: str, scale_out: Float | None = None) -> str:
        weight = self.net.model.float_tensor(f"{self.net.net}.{layer}.weight")
        if scale_out is not None:
            weight *= scale_out[:, None, None, None]
        if weight.shape[-1] == 3:
            return self.graph.conv(gradient, np.ascontiguousarray(weight[..., ::-1, ::-1]), groups=weight.shape[0])
        return self.graph.conv(gradient, weight.swapaxes(0, 1))

    def act(self, gradient: str) -> str:
        """The backward pass of the last activation that is still to be processed."""
        positive = self.graph.node("Greater", self.net.activated.pop(), self.graph.constant(np.float32(0)))
        slopes = (self.graph.constant(np.float32(slope)) for slope in (1, LEAK))
        return self.graph.node("Mul", gradient, self.graph.node("Where", positive, *slopes))

    def blocks(self, gradient: str, rate: RatePosition) -> str:
        for i, weights in reversed(list(enumerate(branch_weights(self.net.model, self.net.net, rate)))):
            block = f"blocks.layers.{i}"
            branch = self.conv(gradient, f"{block}.contract", weights)
            gradient = self.graph.node("Add", gradient, self.conv(self.act(branch), f"{block}.expand"))
            branch = self.conv(gradient, f"{block}.mix_out", weights)
            branch = self.act(self.conv(branch, f"{block}.spatial"))
            gradient = self.graph.node("Add", gradient, self.conv(branch, f"{block}.mix_in"))
        return gradient


def squared_error(model: ModelFile, rate: RatePosition) -> bytes:
    """At a rate: v_hat (n, M, h, w), x (n, 3, a, b) RGB in [-0.5, 0.5], its first and last corner in the decoded
    pictures (2,), margins (8,) around it as for Pad -> error (n,): sum of squares; gradient (n, M, h, w) of it."""
    config, g = model.config, Graph("squared_error")
    net = FloatLayers(g, model, "synthesis")
    back = _Backwards(net)
    v_hat = g.input("v_hat", ["n", config.latents, "h", "w"])
    x = g.input("x", ["n", 3, "a", "b"])
    first, last, margins = (g.input(name, [size], INT64) for name, size in (("first", 2), ("last", 2), ("margins", 8)))
    x_hat = g.node("Slice", net.synthesis(v_hat, rate), first, last, g.constant(np.array([2, 3], np.int64)))
    miss = g.node("Sub", g.clip(x_hat, -0.5, 0.5), x)
    error = g.node("ReduceSum", g.node("Mul", miss, miss), g.constant(np.array([1, 2, 3], np.int64)), keepdims=0)
    # Clipped pixels have no gradient.
    inside = g.node("Cast", g.node("Less", g.node("Abs", x_hat), g.constant(np.float32(0.5))), to=1)
    to_x = g.node("Mul", g.node("Mul", miss, inside), g.constant(np.float32(2)))
    to_x = g.node("Pad", to_x, margins)
    to_h = back.blocks(back.conv(g.space_to_depth(to_x, 8), "head"), rate)
    gradient = back.conv(g.space_to_depth(to_h, 2), "stem")
    if config.shortcut:
        gradient = g.node("Add", gradient, back.conv(g.space_to_depth(to_x, PATCH), "shortcut"))
    g.output(error, "error", ["n"])
    g.output(gradient, "gradient", ["n", config.latents, "h", "w"])
    return g.serialize()
