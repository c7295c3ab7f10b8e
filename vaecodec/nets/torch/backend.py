"""The nets on torch, for CUDA and research. Only this part of the runtime imports torch and vaecodec.nets.torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaecodec.bitstream.grid import Rect
from vaecodec.errors import BackendError
from vaecodec.model.file import ModelFile
from vaecodec.model.layers import EXACT_BIAS_UNIT, PARAMETER_UNITS
from vaecodec.model.rate import RatePosition
from vaecodec.nets.check import check_exact
from vaecodec.nets.interface import Float
from vaecodec.nets.torch.distortion import distortion
from vaecodec.nets.torch.exact import ExactConv
from vaecodec.nets.torch.vae import VAE


@torch.no_grad()
def load_vae(model: ModelFile) -> VAE:
    """The torch model that a model file was exported from (float weights rounded to float16)."""
    vae = VAE(model.config)
    for name, module in vae.named_modules():
        if isinstance(module, ExactConv) and f"{name}.weight" in model.tensors:
            weight, shift = model.tensors[f"{name}.weight"], model.tensors[f"{name}.shift"].astype(np.int32)
            module.weight.copy_(torch.from_numpy(np.ldexp(weight.astype(np.float32), -shift[:, None, None, None])))
            bias = model.float_tensor(f"{name}.bias") / EXACT_BIAS_UNIT
            module.bias.copy_(torch.from_numpy(bias))
    exact = {f"{n}." for n, m in vae.named_modules() if isinstance(m, ExactConv)}
    for name, parameter in vae.named_parameters():
        # A slim model has no encoder tensors.
        if name.rpartition(".")[0] + "." not in exact and name in model.tensors:
            parameter.copy_(torch.from_numpy(model.float_tensor(name) / PARAMETER_UNITS.get(name, 1)))
    return vae.eval().to(memory_format=torch.channels_last)


@torch.inference_mode(False)  # of the caller: tensors created in it could never have gradients
def load_vae_on(model: ModelFile, device: str, threads: int | None) -> VAE:
    """The model on a device, with a number of torch threads; raises BackendError if torch cannot use the device."""
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        return load_vae(model).to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise BackendError(f"torch cannot use device {device!r}: {error}".splitlines()[0]) from error


class TorchNets:
    """Implements Nets on a torch device."""

    def __init__(self, model: ModelFile, device: str = "cpu", threads: int | None = None) -> None:
        self._vae = load_vae_on(model, device, threads).requires_grad_(False)
        self._device, self._metric = self._vae.norm.device, model.config.metric
        if self._device.type != "cpu":
            check_exact(self, TorchNets(model), model)

    def _in(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def _t(self, rate: RatePosition, count: int) -> Tensor:
        return torch.full((count,), rate.t, dtype=torch.float32, device=self._device)

    @staticmethod
    def _out(tensor: Tensor) -> np.ndarray:
        return tensor.contiguous().cpu().numpy()

    @torch.inference_mode()
    def analysis(self, pixels: NDArray[np.uint8], rate: RatePosition) -> Float:
        x = self._in(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5
        return self._out(self._vae.analysis(x, self._t(rate, len(x))))

    @torch.inference_mode()
    def hyper_analysis(self, v: Float, rate: RatePosition) -> Float:
        return self._out(self._vae.hyper_analysis(self._in(v), self._t(rate, len(v))))

    @torch.inference_mode()
    def texture(self, v: Float, rate: RatePosition) -> Float:
        return self._out(self._vae.hyper_analysis.texture(self._in(v), self._t(rate, len(v))))

    @torch.inference_mode()
    def hyper_synthesis(self, u: Float, bias: Float) -> Float:
        return self._out(self._vae.prior.hyper_synthesis(self._in(u), self._in(bias)[None, :, None, None]))

    @torch.inference_mode()
    def context_step(self, step: int, features: Float, slots: list[Float], bias: Float) -> tuple[Float, Float]:
        context = [self._in(slot).unflatten(1, (4, -1)) for slot in slots]
        outputs = self._vae.prior.steps[step](self._in(features), context, self._in(bias)[None, :, None, None])
        mean, index = (self._out(slot.flatten(1, 2)) for slot in outputs)
        return mean, index

    @torch.inference_mode()
    def synthesis(self, v_hat: Float, rate: RatePosition) -> NDArray[np.uint8]:
        return self._pixels(self._vae.synthesis(self._in(v_hat), self._t(rate, len(v_hat))))

    @torch.inference_mode(False)
    @torch.enable_grad()
    def distortion(self, v_hat: Float, x: Float, area: Rect, rate: RatePosition) -> tuple[Float, Float]:
        v = self._in(v_hat).requires_grad_()
        x_hat = self._vae.synthesis(v, self._t(rate, len(v)))[area.planes]
        errors = distortion(self._metric, self._in(x), x_hat.clamp(-0.5, 0.5))
        (gradient,) = torch.autograd.grad(errors.sum(), v)
        return self._out(errors.detach()), self._out(gradient)

    @torch.inference_mode()
    def preview(self, v_hat: Float) -> NDArray[np.uint8]:
        return self._pixels(self._vae.synthesis.preview(self._in(v_hat)))

    def _pixels(self, x: Tensor) -> NDArray[np.uint8]:
        """RGB around [-0.5, 0.5] (N, 3, H, W) -> (N, H, W, 3)."""
        return self._out((x * 255 + 127.5).clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1))
