"""The cost of the exact prior: bits, against the same prior without rounding; and time, against a plain hyperprior.

    python benchmarks/studies/prior.py PICTURES [--model PATH] [--cache FOLDER]

Bits: estimates on the validation split of PICTURES with the layers as they are, and with unrounded activations, means
and scales (the weights in a model file are integers). Time: decoding 768x512 pixels, and the part of it in the last
three of the four context steps, which a plain hyperprior lacks.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from unittest import mock

import numpy as np
import torch
from torch import Tensor

import vaecodec
from vaecodec.benchmarks.bd import bd_rate
from vaecodec.bitstream.spec import MEAN_UNIT
from vaecodec.model.defaults import DEFAULT_MODEL
from vaecodec.model.file import load_model
from vaecodec.nets.onnx.backend import OnnxNets
from vaecodec.nets.torch import exact, prior, vae
from vaecodec.nets.torch.backend import load_vae
from vaecodec.training.data.crops import centre_crops
from vaecodec.training.data.pictures import PictureStore
from vaecodec.training.entropy import EntropyModels
from vaecodec.training.export import warm_start
from vaecodec.training.validate import validate


def _clamp_alone(x: Tensor, low: float, high: float, residual: Tensor | None = None) -> Tensor:
    return exact.clamp_ste(x - 0.5 + (0 if residual is None else residual), low, high)


def cost_of_exactness(model: str, store: PictureStore) -> float:
    """BD-rate (%) of the unrounded prior against the exact one."""
    file = load_model(model)
    net, entropy = load_vae(file), EntropyModels(file.config)
    warm_start(file, net, entropy)

    def curve() -> list[tuple[float, float]]:
        return [(p.z_bpp + p.y_bpp, p.psnr) for p in validate(net, entropy, store, crops=24).points]

    anchor = curve()
    # Every floor in the prior rounds a sum that includes 1/2.
    for module in (exact, prior, vae):
        mock.patch.object(module, "floor_clamp", _clamp_alone).start()
    mock.patch.object(prior, "round_ste", lambda x: x).start()
    mock.patch.object(vae, "symbol_means", lambda mean, gain: mean * gain / MEAN_UNIT).start()
    unrounded = curve()
    mock.patch.stopall()
    return bd_rate(anchor, unrounded)


def time_of_context(model: str, pixels: np.ndarray, rounds: int) -> tuple[float, float]:
    """Seconds to decode, and the part in context steps 1 to 3; one thread."""
    codec = vaecodec.Codec(model, threads=1)
    data = codec.encode(pixels, 50)
    step, spent = OnnxNets.context_step, 0.0

    def timed(self, index: int, *arguments):
        nonlocal spent
        started = time.perf_counter()
        result = step(self, index, *arguments)
        spent += (time.perf_counter() - started) * (index > 0)
        return result

    rows = []
    with mock.patch.object(OnnxNets, "context_step", timed):
        for _ in range(rounds):
            spent, started = 0.0, time.perf_counter()
            codec.decode(data)
            rows.append((time.perf_counter() - started, spent))
    whole, context = (median(column) for column in zip(*rows, strict=True))
    return whole, context


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--cache", type=Path, default=Path("runs/train/pictures"))
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    store = PictureStore.build(arguments.pictures, arguments.cache)
    crops = centre_crops(store.validation, store, 6, 256)
    pixels = np.concatenate([np.hstack(crops[:3]), np.hstack(crops[3:])])
    whole, context = time_of_context(arguments.model, pixels, arguments.rounds)
    plain = whole - context
    print(f"decode {1000 * whole:.0f} ms, without the context {1000 * plain:.0f} ms: {whole / plain:.2f} times")
    print(f"unrounded prior: {cost_of_exactness(arguments.model, store):+.2f} %")


if __name__ == "__main__":
    main()
