"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, arXiv 2409.11321).

Its state consists of named tensors, so that a run can resume from a safetensors file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

SMALLEST = 32
"""Adam handles matrices with a shorter side, and everything that is not a matrix."""
RENEWED = 10
"""Steps between updates of the eigenbasis."""
WATCHED = 2
"""Steps between updates of the preconditioner: updating at every step would make it a tenth slower."""


class Soap(torch.optim.Optimizer):
    """For weights of shape (outputs, inputs[, 1, 1]); others follow Adam with its usual moments.

    params: tensors or groups, as for Adam. lr: learning rate, as for Adam. betas: decay of both moments, of matrices;
    that of the preconditioner is the second.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.95, 0.95),
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "plain_betas": (0.9, 0.999), "eps": 1e-8})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step; closures are for line searches, which this optimizer does not use."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    step = self._soap if _is_matrix(parameter) else self._adam
                    step(parameter, parameter.grad, group)

    def _adam(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self._state(parameter, gradient)
        parameter.sub_(_moments(state, gradient, group["plain_betas"], group["eps"]), alpha=group["lr"])

    def _soap(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        gradient = gradient.reshape(parameter.shape[0], -1)
        state = self._state(parameter, gradient)
        if "left" not in state:
            for side, product in (("left", gradient @ gradient.T), ("right", gradient.T @ gradient)):
                state[side] = product
                state[f"{side}_basis"] = torch.linalg.eigh(product)[1].flip(1).contiguous()
            return  # the basis of a single gradient is no guide
        left, right = state["left_basis"], state["right_basis"]
        update = _moments(state, left.T @ gradient @ right, group["betas"], group["eps"])
        parameter.sub_((left @ update @ right.T).reshape(parameter.shape), alpha=group["lr"])
        count = int(state["step"])
        if count % WATCHED == 0:
            weight = 1 - group["betas"][1] ** WATCHED
            state["left"].lerp_(gradient @ gradient.T, weight)
            state["right"].lerp_(gradient.T @ gradient, weight)
        if count % RENEWED == 0:
            _renew(state)

    def _state(self, parameter: Tensor, like: Tensor) -> dict[str, Any]:
        state = self.state[parameter]
        if "step" not in state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(like), torch.zeros_like(like)
        return state


def _is_matrix(parameter: Tensor) -> bool:
    rows = parameter.shape[0] if parameter.ndim else 1
    columns = parameter.numel() // max(rows, 1)
    return parameter.ndim in (2, 4) and parameter.shape[2:].numel() == 1 and min(rows, columns) >= SMALLEST


def _moments(state: dict[str, Any], gradient: Tensor, betas: tuple[float, float], eps: float) -> Tensor:
    """Adam's update; adds the gradient to both moments."""
    state["step"] += 1
    count = int(state["step"])
    state["exp_avg"].lerp_(gradient, 1 - betas[0])
    state["exp_avg_sq"].mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
    spread = (state["exp_avg_sq"] / (1 - betas[1] ** count)).sqrt()
    return state["exp_avg"] / (1 - betas[0] ** count) / (spread + eps)


def _renew(state: dict[str, Any]) -> None:
    """One power iteration of both bases, with both moments rotated into the new ones."""
    moment, square = state["exp_avg"], state["exp_avg_sq"]
    moment = state["left_basis"] @ moment @ state["right_basis"].T
    for axis, side in enumerate(("left", "right")):
        basis, product = state[f"{side}_basis"], state[side]
        image = product @ basis
        order = (basis * image).sum(0).argsort(descending=True)
        square = square.index_select(axis, order)
        state[f"{side}_basis"] = torch.linalg.qr(image.index_select(1, order))[0].contiguous()
    state["exp_avg_sq"] = square
    state["exp_avg"] = state["left_basis"].T @ moment @ state["right_basis"]
