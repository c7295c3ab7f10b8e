"""Training in several processes."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from make_golden import TINY as TINY_MODEL

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # as fast for nets this small, and steady on a busy machine
pytest.importorskip("compressai")


from vaecodec.model.file import read_model  # noqa: E402
from vaecodec.training.checkpoint import load_state  # noqa: E402
from vaecodec.training.data.pictures import PictureStore  # noqa: E402
from vaecodec.training.loop import Objective  # noqa: E402


def test_two_processes_train_one_model(training_pictures: Path, tmp_path: Path) -> None:
    """torchrun on the CPU: one state, one log, the gradients of both; one process can resume it."""
    run = tmp_path / "run"
    command = ["train", str(training_pictures), "--run", str(run), "--init", str(TINY_MODEL)]
    command += ["--crop", "64", "--final-crop", "64", "--threads", "1", "-o", str(tmp_path / "model.safetensors")]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launch += ["-m", "vaecodec", "--"]
    result = subprocess.run([*launch, *command, "--minutes", "0.1"], capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr
    assert read_model(tmp_path / "model.safetensors").config.latents > 0
    progress = load_state(run / "state.safetensors", Objective(read_model(TINY_MODEL).config))
    assert len(progress["processes"]) == 2
    (one, taken), (two, also) = (sampler for sampler, _ in progress["processes"])
    assert one != two
    assert taken == also
    steps = [int(row["step"]) for row in csv.DictReader((run / "train.csv").open())]
    assert steps == sorted(set(steps))
    alone = subprocess.run(
        [sys.executable, "-m", "vaecodec", *command, "--minutes", "0.15"], capture_output=True, text=True, timeout=240
    )
    assert alone.returncode == 0, alone.stderr


AGREEMENT = """
import sys
from pathlib import Path
import torch
from vaecodec.model.file import read_model
from vaecodec.training.data.pictures import PictureStore
from vaecodec.training.distributed import World
from vaecodec.training.loop import Trainer
from vaecodec.training.options import TrainOptions
torch.set_num_threads(1)
world = World.join()
options = TrainOptions(1, crop=64, final_crop=64)
model, pictures, run = map(Path, sys.argv[1:])
trainer = Trainer(read_model(model).config, options, PictureStore(pictures), run, world)
trainer.start()
trainer.objective = world.parallel(trainer.modules)
losses = world.gather([float(trainer._step(0.5)[0].cost) for _ in range(3)])
sums = world.gather([float(p.double().sum()) for p in trainer.modules.parameters()])
assert losses[0] != losses[1], "the same crops"
assert sums[0] == sums[1], "other weights"
trainer.objective = trainer.modules
world.leave()
# A thread of the group that outlives it can abort the process as it exits.
if sys.platform == "linux":
    left = [thread.read_text().strip() for thread in Path("/proc/self/task").glob("*/comm")]
    assert not [name for name in left if "gloo" in name], left
"""


def test_processes_see_other_crops_and_keep_the_same_weights(store: PictureStore, tmp_path: Path) -> None:
    script = tmp_path / "agreement.py"
    script.write_text(AGREEMENT)
    folder = Path(store.pixels.filename).parent
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(script), str(TINY_MODEL), str(folder), str(tmp_path / "run")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr
