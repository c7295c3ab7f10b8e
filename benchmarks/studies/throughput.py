"""Share of the forward and backward pass in a training step: whole steps and bare passes in turn, medians.

    python benchmarks/studies/throughput.py PICTURES --run runs/train [--device cuda]

PICTURES are decoded into RUN/pictures once, as in a training run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from vaecodec.model.config import CONFIGS
from vaecodec.training.data.pictures import PictureStore
from vaecodec.training.distributed import World
from vaecodec.training.loop import Trainer
from vaecodec.training.options import TrainOptions
from vaecodec.training.validate import to_batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--run", type=Path, default=Path("runs/train"))
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    store = PictureStore.build(arguments.data, arguments.run / "pictures")
    options = TrainOptions(minutes=1)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(CONFIGS["fast"], options, store, Path(folder), World(device=arguments.device))
        trainer.start()
        x = to_batch(trainer.sampler.batch(options.batch, options.crop), trainer.device)
        t = torch.arange(options.batch, device=trainer.device) % trainer.config.anchors

        def passes() -> None:
            trainer.objective(x, t.float(), trainer.bf16, 1.0).total.backward()
            trainer.modules.zero_grad(set_to_none=True)

        def seconds(action) -> float:
            started = time.perf_counter()
            action()
            if trainer.device.type == "cuda":
                torch.cuda.synchronize()
            return time.perf_counter() - started

        for action in (passes, lambda: trainer._step(0.5)):
            action()
        times = [(seconds(passes), seconds(lambda: trainer._step(0.5))) for _ in range(arguments.steps)]
    bare, whole = (median(column) for column in zip(*times, strict=True))
    print(f"step {whole:.3f} s, forward and backward {bare:.3f} s: {bare / whole:.0%}")
    print(f"{options.batch / whole:.1f} crops of {options.crop}x{options.crop} a second")


if __name__ == "__main__":
    main()
