"""Known-answer check: a device that does not compute the exact prior like the CPU is refused before it codes."""

from __future__ import annotations

import numpy as np

from vaecodec.config import LEVEL, STEPS, ModelConfig
from vaecodec.errors import BackendError
from vaecodec.runtime.nets import Float, Nets


def _levels(random: np.random.Generator, *shape: int) -> Float:
    return random.integers(-LEVEL, LEVEL + 1, shape).astype(np.float32)


def check_exact(nets: Nets, reference: Nets, config: ModelConfig) -> None:
    """Run the integer nets of both on the same full-range input; raises BackendError where they differ."""
    random = np.random.default_rng(0)
    u, bias = _levels(random, config.hyper_latents, 4, 6), np.zeros(config.hyper_channels, np.float32)
    features = reference.hyper_synthesis(u, bias)
    same = np.array_equal(nets.hyper_synthesis(u, bias), features)
    bias = np.zeros(config.context_channels, np.float32)
    slots: list[Float] = []
    for step in range(STEPS):
        expected = reference.context_step(step, features, slots, bias)
        outputs = nets.context_step(step, features, slots, bias)
        same = same and all(np.array_equal(a, b) for a, b in zip(outputs, expected, strict=True))
        slots.append(_levels(random, config.latents, 8, 12))
    if not same:
        raise BackendError("this device does not compute the exact prior exactly; use the CPU")
