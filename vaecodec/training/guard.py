"""Early stopping: remembers all validations of a run, including those before a restart."""

from __future__ import annotations

import json
from pathlib import Path

MARGIN = 0.00144
"""log2(1.001): a change of the cost by a thousandth."""


class Guard:
    """Finds the best validation so far, and detects overfitting."""

    def __init__(self, run: Path, patience: int) -> None:
        log = run / "validation.jsonl"
        records = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        self.costs: list[float] = [record["cost"] for record in records]
        self.train_costs: list[float] = [record["train_cost"] for record in records]
        self.patience = patience

    def see(self, cost: float, train_cost: float) -> None:
        self.costs.append(cost)
        self.train_costs.append(train_cost)

    @property
    def _best(self) -> int:
        return min(range(len(self.costs)), key=self.costs.__getitem__)

    @property
    def last_is_best(self) -> bool:
        return bool(self.costs) and self._best == len(self.costs) - 1

    @property
    def stop(self) -> bool:
        """Whether the last `patience` validations were all worse than an earlier one while the cost on training
        pictures kept falling."""
        if len(self.costs) <= self.patience or self._best + self.patience >= len(self.costs):
            return False
        return self.train_costs[-1] < self.train_costs[self._best] - MARGIN
