"""Distributed training by several processes (torchrun): ranks, agreement and gradients."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True)
class World:
    """The processes of a run; a single one by default. `device` is this process's own."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @classmethod
    def join(cls, device: str = "cpu") -> World:
        """Joins the group that torchrun describes in the environment; waits for all processes. `cuda` becomes one GPU
        each."""
        size = int(os.environ.get("WORLD_SIZE", 1))
        if size == 1:
            return cls(device=device)
        rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", 0))
        device = f"cuda:{local}" if device == "cuda" else device
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        return cls(rank, size, device)

    @property
    def main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def agree(self, value: float) -> float:
        """The main process's value, in every process."""
        if self.size == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, 0)
        return tensor.item()

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes by rank, in every process."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def parallel(self, module: nn.Module) -> nn.Module:
        """`module` with gradients averaged over the processes."""
        if self.size == 1:
            return module
        gpus = [torch.device(self.device)] if self.device.startswith("cuda") else None
        return nn.parallel.DistributedDataParallel(module, device_ids=gpus)

    def leave(self) -> None:
        """Destroy the group and its threads: at exit of the process they might still need the interpreter and abort it.
        No module from `parallel` may be in use any more."""
        if self.size > 1:
            gc.collect()
            dist.destroy_process_group()
