"""A training data loader: random crops of .vaec files, of which only the needed tiles are read and decoded.

python examples/train_loader.py FOLDER
"""

from __future__ import annotations

import sys

from torch.utils.data import DataLoader

from vaecodec.datasets import VaecDataset


def mean_brightness(folder: str, crop: int = 64, workers: int = 2) -> float:
    """Stands for a training loop: goes once through the data in batches of tensors (B, 3, crop, crop), uint8."""
    dataset = VaecDataset(folder, crop=crop)
    # Spawned workers: the runtime has threads, which do not survive a fork.
    loader = DataLoader(dataset, batch_size=8, shuffle=True, num_workers=workers, multiprocessing_context="spawn")
    means = [batch.float().mean(dim=(1, 2, 3)) for batch in loader]
    return float(sum(float(mean.sum()) for mean in means) / len(dataset))


if __name__ == "__main__":
    print(f"mean brightness {mean_brightness(sys.argv[1]):.1f}")
