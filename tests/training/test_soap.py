"""SOAP: Adam in a rotated basis."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch.optim.swa_utils import AveragedModel  # noqa: E402

from vaecodec.training.checkpoint import load_state, save_state  # noqa: E402
from vaecodec.training.soap import Soap  # noqa: E402

torch.set_num_threads(1)


def least_squares(optimizer: str, steps: int = 300) -> float:
    """The remaining loss of a badly conditioned problem whose axes are not those of the weights."""
    torch.manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(40, 40))[0]
    scale = rotation @ torch.diag(torch.logspace(0, -2, 40)) @ rotation.T
    wanted = torch.randn(48, 40)
    weight = torch.nn.Parameter(torch.zeros(48, 40))
    chosen = Soap([weight], lr=0.05) if optimizer == "soap" else torch.optim.Adam([weight], lr=0.05)
    for _ in range(steps):
        loss = ((weight - wanted) @ scale).square().sum()
        chosen.zero_grad()
        loss.backward()
        chosen.step()
    return float(loss.detach())


def test_it_is_far_ahead_where_the_axes_are_not_those_of_the_weights() -> None:
    assert least_squares("soap") < 0.2 * least_squares("adam")


def test_small_and_odd_parameters_follow_adam() -> None:
    for shape in ((7,), (), (40, 8), (64, 1, 3, 3), (4, 40, 40)):
        torch.manual_seed(1)
        start, gradient = torch.randn(shape), torch.randn(shape)
        ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
        soap, adam = Soap([ours], lr=0.01), torch.optim.Adam([theirs], lr=0.01)
        for _ in range(3):
            ours.grad, theirs.grad = gradient.clone(), gradient.clone()
            soap.step()
            adam.step()
        torch.testing.assert_close(ours, theirs)


def test_pointwise_convolutions_are_matrices_and_resume(tmp_path: Path) -> None:
    torch.manual_seed(2)
    net, x = torch.nn.Conv2d(40, 48, 1), torch.randn(2, 40, 5, 5)
    optimizer, average = Soap(net.parameters(), lr=0.01), AveragedModel(net)

    def step(net: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()

    for _ in range(12):  # past a new basis
        step(net, optimizer)
    save_state(tmp_path / "state.safetensors", net, optimizer, average, {"step": 12})
    other = torch.nn.Conv2d(40, 48, 1)
    resumed = Soap(other.parameters(), lr=0.01)
    load_state(tmp_path / "state.safetensors", other, resumed)
    assert resumed.state[other.weight]["left_basis"].shape == (48, 48)
    for _ in range(9):
        step(net, optimizer)
        step(other, resumed)
    torch.testing.assert_close(net.weight, other.weight)
    # Moments in one basis say nothing to an optimizer in another.
    adam = torch.optim.Adam(other.parameters())
    load_state(tmp_path / "state.safetensors", other, adam)
    assert not adam.state
