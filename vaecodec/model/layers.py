"""What a model is made of: the layers of its nets, and the tensors of its file."""

from __future__ import annotations

import numpy as np

from vaecodec.bitstream.spec import PATCH, SCALES, STEPS
from vaecodec.model.config import ModelConfig


def float_layers(config: ModelConfig) -> dict[str, tuple[int, int, int]]:
    """Layers of the float nets: name -> (outputs, inputs of a group, kernel)."""
    c, m, h = config.channels, config.latents, config.hyper_channels
    layers = {
        "analysis.stem": (c, 192, 1),
        "analysis.head": (m, 4 * c, 1),
        "synthesis.stem": (4 * c, m, 1),
        "synthesis.head": (192, c, 1),
        "hyper_analysis.stem": (h, 2 * m, 1),
        "hyper_analysis.mix": (h, h, 1),
        "hyper_analysis.down1": (h, 4 * h, 1),
        "hyper_analysis.spatial1": (h, 1, 3),
        "hyper_analysis.down2": (h, 4 * h, 1),
        "hyper_analysis.spatial2": (h, 1, 3),
        "hyper_analysis.head": (config.hyper_latents, h, 1),
    }
    if config.shortcut:
        layers |= {"analysis.shortcut": (m, 3 * PATCH**2, 1), "synthesis.shortcut": (3 * PATCH**2, m, 1)}
    for net, count in (("analysis", config.encoder_blocks), ("synthesis", config.decoder_blocks)):
        for i in range(count):
            block = f"{net}.blocks.layers.{i}"
            layers[f"{block}.mix_in"] = layers[f"{block}.mix_out"] = (c, c, 1)
            layers[f"{block}.spatial"] = (c, 1, 3)
            layers[f"{block}.expand"] = (config.expansion * c, c, 1)
            layers[f"{block}.contract"] = (c, config.expansion * c, 1)
    return layers


def exact_layers(config: ModelConfig) -> dict[str, tuple[int, int, int]]:
    """Layers of the integer nets: name -> (outputs, inputs of a group, kernel)."""
    h, k, m = config.hyper_channels, config.context_channels, config.latents
    net = "prior.hyper_synthesis"
    layers = {f"{net}.stem": (h, config.hyper_latents, 1), f"{net}.head": (h, h, 1)}
    layers |= {f"{net}.spatial{i}": (h, 1, 3) for i in (1, 2, 3)} | {f"{net}.up{i}": (4 * h, h, 1) for i in (1, 2)}
    for step in range(STEPS):
        net = f"prior.steps.{step}"
        layers |= {f"{net}.head": (k, h + (2 * m if step else 0), 1), f"{net}.out": (2 * m, k, 1)}
        for i in range(config.context_blocks):
            layers |= {f"{net}.blocks.{i}.spatial": (k, 1, 3), f"{net}.blocks.{i}.mix": (k, k, 1)}
    return layers


ENCODER = ("analysis.", "hyper_analysis.", "norm")
"""How the names of tensors begin that decoding does without."""


def expected_tensors(config: ModelConfig, slim: bool = False) -> dict[str, tuple[type, tuple[int, ...]]]:
    """dtype and shape of every tensor of a model file but the packed tables; of a slim one, which can only decode."""
    a, m, h = config.anchors, config.latents, config.hyper_channels
    expected: dict[str, tuple[type, tuple[int, ...]]] = {}
    for name, (outputs, inputs, kernel) in float_layers(config).items():
        expected[f"{name}.weight"] = (np.float16, (outputs, inputs, kernel, kernel))
        expected[f"{name}.bias"] = (np.float16, (outputs,))
    for net, count in (("analysis", config.encoder_blocks), ("synthesis", config.decoder_blocks)):
        expected[f"{net}.blocks.rate"] = (np.float16, (a, count, config.channels))
    expected["hyper_analysis.rate"] = (np.float16, (a, h))
    for name, (outputs, inputs, kernel) in exact_layers(config).items():
        expected[f"{name}.weight"] = (np.int8, (outputs, inputs, kernel, kernel))
        expected[f"{name}.shift"] = (np.uint8, (outputs,))
        expected[f"{name}.bias"] = (np.int16, (outputs,))
    expected["prior.hyper_rate"] = (np.int16, (a, h))
    expected["prior.step_rate"] = (np.int16, (STEPS, a, config.context_channels))
    expected["norm"] = (np.int16, (m,))
    expected["gain"] = (np.int16, (a, m))
    expected["hyper_gain"] = (np.int16, (a, config.hyper_latents))
    expected["tables.latent.radius"] = (np.uint16, (SCALES,))
    expected["tables.hyper.radius"] = (np.uint16, (a * config.hyper_latents,))
    return {name: kind for name, kind in expected.items() if not (slim and name.startswith(ENCODER))}
