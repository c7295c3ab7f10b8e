"""Checkpoints: the complete state of a run in one safetensors file, to resume exactly (nothing is ever unpickled)."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from vaecodec.errors import ModelError


def save_state(
    path: Path, modules: nn.Module, optimizer: torch.optim.Optimizer, average: AveragedModel, progress: dict
) -> None:
    """Write parameters, their average, optimizer moments and `progress` (JSON-able) to `path`, whole or not at all."""
    tensors = {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    tensors |= {f"module.{name}": tensor for name, tensor in modules.state_dict().items()}
    for name, parameter in modules.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value)
    progress = progress | {"optimizer": type(optimizer).__name__}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, {"progress": json.dumps(progress)})
    partial.replace(path)


def load_state(
    path: Path,
    modules: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    average: AveragedModel | None = None,
) -> dict:
    """Restore what save_state wrote; returns `progress`. Moments of another kind of optimizer are skipped. Raises
    ModelError if the file does not fit."""
    try:
        with safe_open(path, "pt") as file:
            progress = json.loads(file.metadata()["progress"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        modules.load_state_dict(_named(tensors, "module."))
        if average is not None:
            average.load_state_dict(_named(tensors, "average."))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"cannot resume from {path}: {error}".splitlines()[0]) from error
    if optimizer is not None and progress.get("optimizer", "Adam") == type(optimizer).__name__:
        parameters = dict(modules.named_parameters())
        for key, value in _named(tensors, "optimizer.").items():
            kind, _, name = key.partition(".")
            device = parameters[name].device if kind != "step" else torch.device("cpu")
            optimizer.state[parameters[name]][kind] = value.to(device)
    return progress


def _named(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
