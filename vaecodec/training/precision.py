"""Whether a device is faster in bfloat16 than in float32. A trial decides, since it depends on the processor's units,
on the libraries and on limits set in the environment."""

from __future__ import annotations

import time

import torch

CHANNELS, PIXELS, ROUNDS = 192, 1 << 14, 5
"""Size of the trial, about one layer of a step, and its number of runs (the fastest counts)."""


def bfloat16_pays(device: str) -> bool:
    """Whether a pointwise layer and its gradients are faster in bfloat16 than in float32 on `device`.

    A CPU without bfloat16 units (AVX512-BF16, AMX, Arm's BF16) takes ten times as long in it.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported()
    return _seconds(torch.bfloat16) < _seconds(torch.float32)


def _seconds(dtype: torch.dtype) -> float:
    x = torch.ones(1, CHANNELS, 128, PIXELS // 128).contiguous(memory_format=torch.channels_last)
    weight = torch.ones(CHANNELS, CHANNELS, 1, 1, requires_grad=True)
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            torch.nn.functional.conv2d(x, weight).sum().backward()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
