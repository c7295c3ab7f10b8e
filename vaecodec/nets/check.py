"""Known-answer check: refuses devices that do not compute the exact prior like the CPU, before anything is coded."""

from __future__ import annotations

import numpy as np

from vaecodec.bitstream.spec import BIAS_UNIT, LEVEL, STEPS
from vaecodec.errors import BackendError
from vaecodec.model.file import ModelFile
from vaecodec.nets.interface import Float, Nets

GRIDS = ((2, 4, 6), (1, 16, 16))
"""Hyper latents of two small images and of a full tile: libraries choose algorithms by size."""


def check_exact(nets: Nets, reference: Nets, model: ModelFile) -> None:
    """Run the integer nets of both on the same full-range input, with the rate biases of the lowest and the highest
    anchor; raises BackendError if they differ."""
    random = np.random.default_rng(0)
    if not all(
        _same(nets, reference, model, grid, anchor, random) for grid, anchor in zip(GRIDS, (0, -1), strict=True)
    ):
        raise BackendError("this device does not compute the exact prior exactly; use the CPU")


def _same(
    nets: Nets, reference: Nets, model: ModelFile, grid: tuple[int, int, int], anchor: int, random: np.random.Generator
) -> bool:
    def levels(channels: int, scale: int) -> Float:
        shape = grid[0], channels, *(scale * side for side in grid[1:])
        return random.integers(-LEVEL, LEVEL + 1, shape).astype(np.float32)

    hyper_bias, step_biases = (
        model.float_tensor(f"prior.{table}")[..., anchor, :] / BIAS_UNIT for table in ("hyper_rate", "step_rate")
    )
    u, slots = levels(model.config.hyper_latents, 1), list[Float]()
    features = reference.hyper_synthesis(u, hyper_bias)
    if not np.array_equal(nets.hyper_synthesis(u, hyper_bias), features):
        return False
    for step in range(STEPS):
        expected = reference.context_step(step, features, slots, step_biases[step])
        outputs = nets.context_step(step, features, slots, step_biases[step])
        if not all(np.array_equal(a, b) for a, b in zip(outputs, expected, strict=True)):
            return False
        slots.append(levels(model.config.latents, 2))
    return True
