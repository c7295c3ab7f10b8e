"""The layers of a model in one table, which gives the tensors of its file and its cost."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.spec import (
    BIAS_UNIT,
    INDEX_PER_UNIT,
    INDEX_UNIT,
    LEVELS_PER_UNIT,
    MEAN_UNIT,
    OCTAVE,
    PATCH,
    SCALES,
    STEPS,
)
from vaecodec.model.config import ModelConfig

ENCODER = ("analysis.", "hyper_analysis.", "norm")
"""Prefixes of tensors that decoding does not need."""


@dataclass(frozen=True)
class Layer:
    """A convolution. inputs: input channels per group; kernel: side in pixels; places: positions per pixel of the
    picture; skipped: multiplications per position that the decoding order makes unnecessary; exact: whether it computes
    in integers."""

    outputs: int
    inputs: int
    kernel: int
    places: Fraction
    exact: bool = False
    skipped: int = 0

    @property
    def macs(self) -> Fraction:
        """Multiply-accumulates per pixel of the picture."""
        return (self.outputs * self.inputs * self.kernel**2 - self.skipped) * self.places


def layers(config: ModelConfig) -> dict[str, Layer]:
    """Every layer of a model by name, which is also the name of its tensors and of its torch module."""
    c, m, h = config.channels, config.latents, config.hyper_channels
    eighth, sixteenth, quads, hyper = (Fraction(1, side**2) for side in (8, PATCH, 2 * PATCH, 4 * PATCH))
    table = {
        "analysis.stem": Layer(c, 192, 1, eighth),
        "analysis.head": Layer(m, 4 * c, 1, sixteenth),
        "synthesis.stem": Layer(4 * c, m, 1, sixteenth),
        "synthesis.head": Layer(192, c, 1, eighth),
        "hyper_analysis.stem": Layer(h, 2 * m, 1, sixteenth),
        "hyper_analysis.mix": Layer(h, h, 1, sixteenth),
        "hyper_analysis.down1": Layer(h, 4 * h, 1, quads),
        "hyper_analysis.spatial1": Layer(h, 1, 3, quads),
        "hyper_analysis.down2": Layer(h, 4 * h, 1, hyper),
        "hyper_analysis.spatial2": Layer(h, 1, 3, hyper),
        "hyper_analysis.head": Layer(config.hyper_latents, h, 1, hyper),
    }
    if config.shortcut:
        table["analysis.shortcut"] = Layer(m, 3 * PATCH**2, 1, sixteenth)
        table["synthesis.shortcut"] = Layer(3 * PATCH**2, m, 1, sixteenth)
    for net, count in (("analysis", config.encoder_blocks), ("synthesis", config.decoder_blocks)):
        for i in range(count):
            block = f"{net}.blocks.layers.{i}"
            table[f"{block}.mix_in"] = table[f"{block}.mix_out"] = Layer(c, c, 1, eighth)
            table[f"{block}.spatial"] = Layer(c, 1, 3, eighth)
            table[f"{block}.expand"] = Layer(config.expansion * c, c, 1, eighth)
            table[f"{block}.contract"] = Layer(c, config.expansion * c, 1, eighth)
    return table | _exact_layers(config, sixteenth, quads, hyper)


def _exact_layers(config: ModelConfig, sixteenth: Fraction, quads: Fraction, hyper: Fraction) -> dict[str, Layer]:
    h, k, m = config.hyper_channels, config.context_channels, config.latents
    net = "prior.hyper_synthesis"
    table = {
        f"{net}.stem": Layer(h, config.hyper_latents, 1, hyper, exact=True),
        f"{net}.spatial1": Layer(h, 1, 3, hyper, exact=True),
        f"{net}.up1": Layer(4 * h, h, 1, hyper, exact=True),
        f"{net}.spatial2": Layer(h, 1, 3, quads, exact=True),
        f"{net}.up2": Layer(4 * h, h, 1, quads, exact=True),
        f"{net}.spatial3": Layer(h, 1, 3, sixteenth, exact=True),
        f"{net}.head": Layer(h, h, 1, sixteenth, exact=True),
    }
    for step in range(STEPS):
        net = f"prior.steps.{step}"
        # At a position of a quad one channel group is decoded, and those of earlier steps are known.
        known, context = 2 * m * step // STEPS, 2 * m if step else 0
        table[f"{net}.head"] = Layer(k, h + context, 1, sixteenth, exact=True, skipped=k * (context - known))
        for i in range(config.context_blocks):
            table[f"{net}.blocks.{i}.spatial"] = Layer(k, 1, 3, sixteenth, exact=True)
            table[f"{net}.blocks.{i}.mix"] = Layer(k, k, 1, sixteenth, exact=True)
        table[f"{net}.out"] = Layer(2 * m, k, 1, sixteenth, exact=True, skipped=2 * m * k * (STEPS - 1) // STEPS)
    return table


def exact_layers(config: ModelConfig) -> dict[str, Layer]:
    """The integer layers."""
    return {name: layer for name, layer in layers(config).items() if layer.exact}


def kmac_per_pixel(config: ModelConfig) -> dict[str, float]:
    """Thousands of multiply-accumulates per pixel of the nets that run in encoding and in decoding."""
    macs = {name: layer.macs for name, layer in layers(config).items()}
    decode = sum(count for name, count in macs.items() if not name.startswith(ENCODER))
    encode = sum(count for name, count in macs.items() if not name.startswith("synthesis."))
    return {"encode": round(float(encode) / 1000, 2), "decode": round(float(decode) / 1000, 2)}


PARAMETER_UNITS = {
    "prior.hyper_rate": BIAS_UNIT * LEVELS_PER_UNIT,
    "prior.step_rate": BIAS_UNIT * LEVELS_PER_UNIT,
    "norm": OCTAVE,
    "gain": OCTAVE,
    "hyper_gain": OCTAVE,
}
"""Parameters outside of layers that files hold as integers: integers per unit of the trained parameter."""
EXACT_BIAS_UNIT = BIAS_UNIT * LEVELS_PER_UNIT
"""The same for the biases of integer layers."""


def output_units(config: ModelConfig) -> NDArray[np.float32]:
    """Units of the outputs of the last layers of the context steps, means and then indices, in levels (2 * M,)."""
    units = (MEAN_UNIT / LEVELS_PER_UNIT, INDEX_PER_UNIT * INDEX_UNIT / LEVELS_PER_UNIT)
    return np.repeat(np.asarray(units, np.float32), config.latents)


def expected_tensors(config: ModelConfig, slim: bool = False) -> dict[str, tuple[type, tuple[int, ...]]]:
    """dtype and shape of every tensor of a model file except the packed tables; slim: of a file that can only
    decode."""
    a, m, h = config.anchors, config.latents, config.hyper_channels
    expected: dict[str, tuple[type, tuple[int, ...]]] = {}
    for name, layer in layers(config).items():
        shape = layer.outputs, layer.inputs, layer.kernel, layer.kernel
        expected[f"{name}.weight"] = (np.int8 if layer.exact else np.float16, shape)
        expected[f"{name}.bias"] = (np.int16 if layer.exact else np.float16, shape[:1])
        if layer.exact:
            expected[f"{name}.shift"] = (np.uint8, shape[:1])
    for net, count in (("analysis", config.encoder_blocks), ("synthesis", config.decoder_blocks)):
        expected[f"{net}.blocks.rate"] = (np.float16, (a, count, config.channels))
    expected["hyper_analysis.rate"] = (np.float16, (a, h))
    expected["prior.hyper_rate"] = (np.int16, (a, h))
    expected["prior.step_rate"] = (np.int16, (STEPS, a, config.context_channels))
    expected["norm"] = (np.int16, (m,))
    expected["gain"] = (np.int16, (a, m))
    expected["hyper_gain"] = (np.int16, (a, config.hyper_latents))
    expected["tables.latent.radius"] = (np.uint16, (SCALES,))
    expected["tables.hyper.radius"] = (np.uint16, (a * config.hyper_latents,))
    return {name: kind for name, kind in expected.items() if not (slim and name.startswith(ENCODER))}
