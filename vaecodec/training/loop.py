"""The training loop: one random rate a sample, schedule and stop by wall clock, resumable at any moment, in one process
or several."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from vaecodec.config import PATCH, ModelConfig
from vaecodec.model.vae import VAE
from vaecodec.output import write_whole
from vaecodec.training.data import CropSampler, PictureStore
from vaecodec.training.distributed import World
from vaecodec.training.entropy import EntropyModels
from vaecodec.training.guard import Guard
from vaecodec.training.linear import block_features, block_transform
from vaecodec.training.loss import Loss, rate_distortion
from vaecodec.training.plot import plot_run
from vaecodec.training.state import load_state, save_state
from vaecodec.training.validate import Validation, to_batch, validate

LINEAR = tuple(f"vae.{net}.{layer}" for net in ("analysis", "synthesis") for layer in ("stem", "head", "shortcut"))
"""Layers of the linear transform."""


@dataclass(frozen=True)
class TrainOptions:
    """How to train. `minutes` is wall-clock time of the whole run, resumed parts included."""

    minutes: float
    metric: str = "mse"
    """Distortion, one of config.METRICS."""
    learning_rate: float = 2.5e-3
    batch: int = 8
    """Crops of `crop` pixels a step and process, a multiple of the number of rate anchors; fewer of the larger final
    crops."""
    crop: int = 256
    """Smaller crops are quicker but mislead the prior: in 128 pixels, two hyper latents a side, every one lies at the
    border and sees padding, and on whole images the prior then costs a fifth to a quarter more (docs/training.md)."""
    final_crop: int = 384
    final_share: float = 0.15
    """Last share of the run that uses final_crop."""
    hyper_warmup: float = 0.25
    """First share of the run in which the price of the bits of z rises to its full height: were it full from the
    start, z would collapse to zero before the prior has learned to make use of it."""
    warmup_steps: int = 300
    clip_norm: float = 2.0
    save_minutes: float = 5.0
    validate_minutes: float = 15.0
    patience: int = 4
    """Overfitting guard: a run ends when so many validations in a row were worse than an earlier one although the
    training pictures still made progress."""
    seed: int = 1
    bf16: bool = True


def decay(share: float) -> float:
    """Learning rate at `share` of the run, in units of its peak: half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * share))


class Objective(nn.Module):
    """All that is trained, and the loss as its forward pass."""

    def __init__(self, config: ModelConfig, metric: str = "mse") -> None:
        super().__init__()
        self.config, self.metric = config, metric
        self.vae = VAE(config)
        self.entropy = EntropyModels(config)

    def forward(self, x: Tensor, t: Tensor, autocast: bool, hyper_weight: float) -> Loss:
        prediction = self.vae(x, t, autocast)
        return rate_distortion(self.config, x, t, prediction, *self.entropy(prediction), hyper_weight, self.metric)


class Trainer:
    """A run in a folder: state.safetensors (to resume), train.csv, validation.jsonl, curve.png."""

    def __init__(
        self, config: ModelConfig, options: TrainOptions, store: PictureStore, run: Path, world: World | None = None
    ) -> None:
        self.config, self.options, self.store, self.run = config, options, store, run
        self.world = world or World()
        run.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        torch.set_flush_denormal(True)
        self.sampler = CropSampler(store, options.seed)
        self.modules = Objective(config, options.metric).to(self.device)
        self.modules.to(memory_format=torch.channels_last)
        self.objective: nn.Module = self.modules
        self.step, self.elapsed = 0, 0.0
        self.optimizer = torch.optim.Adam(self._parameter_groups(), fused=True)

    @property
    def device(self) -> torch.device:
        return torch.device(self.world.device)

    @property
    def vae(self) -> VAE:
        return self.modules.vae

    @property
    def entropy(self) -> EntropyModels:
        return self.modules.entropy

    @property
    def state_path(self) -> Path:
        return self.run / "state.safetensors"

    @property
    def best_path(self) -> Path:
        return self.run / "best.safetensors"

    def _parameter_groups(self) -> list[dict]:
        """The block transform starts near its optimum and moves slowly; the densities of z must follow fast."""
        slow, fast, rest = [], [], []
        for name, parameter in self.modules.named_parameters():
            if not parameter.requires_grad:
                continue
            group = slow if name.startswith(LINEAR) else fast if name.startswith("entropy.") else rest
            group.append(parameter)
        return [{"params": slow, "scale": 0.1}, {"params": fast, "scale": 5.0}, {"params": rest, "scale": 1.0}]

    def start(self, warm: Callable[[VAE, EntropyModels, CropSampler], None] | None = None) -> None:
        """Resume from the run folder if it holds a state; else start warm (`warm` sets the weights) or from the KLT."""
        if self.state_path.exists():
            progress = load_state(self.state_path, self.modules, self.optimizer)
            self.step, self.elapsed = progress["step"], progress["elapsed"]
            # The processes of a resumed run may be more or fewer than before; those that are new start afresh.
            if self.world.rank < len(progress["processes"]):
                self.sampler.state, noise = progress["processes"][self.world.rank]
                torch.set_rng_state(torch.tensor(noise, dtype=torch.uint8))
            return
        if warm:
            warm(self.vae, self.entropy, self.sampler)
        else:
            basis, std = block_transform(self.sampler, PATCH, self.config.latents)
            features = block_features(self.sampler, self.config.channels)
            self.vae.initialise_linear(basis.to(self.device), std.to(self.device), features.to(self.device))
            self.vae.initialise_hyper(to_batch(self.sampler.batch(32, 128), self.device))
        # All processes have started alike; from here on each sees other crops and other noise.
        self.sampler.state = [self.options.seed + 1000 * self.world.rank, self.sampler.taken]
        torch.manual_seed(self.options.seed + 1000 * self.world.rank)

    def save(self, path: Path | None = None) -> None:
        """Write the state (state.safetensors) from the main process; all processes must call it together."""
        processes = self.world.gather((self.sampler.state, torch.get_rng_state().tolist()))
        if self.world.main:
            progress = {
                "step": self.step,
                "elapsed": self.elapsed,
                "config": asdict(self.config),
                "processes": processes,
            }
            save_state(path or self.state_path, self.modules, self.optimizer, progress)

    def train(self, report: Callable[[float, str], None] = lambda share, text: None) -> Validation:
        """Train until `minutes` are over; `report` gets the share done and a line of figures every few steps.

        Leaves the model in the best state that a validation has seen, nearly always the last, and returns what it
        showed. A stop at any time loses at most `save_minutes`.
        """
        options = self.options
        budget = options.minutes * 60
        started = time.monotonic() - self.elapsed
        saved = validated = self.elapsed
        self.objective = self.world.parallel(self.modules)
        guard = Guard(self.run, options.patience)
        if self.world.main:
            self._forget_lost_steps()
        with open(self.run / "train.csv", "a", newline="") as file:
            log = csv.writer(file, lineterminator="\n")
            if file.tell() == 0 and self.world.main:
                log.writerow(["step", "seconds", "learning_rate", "loss", "z_bpp", "y_bpp", "distortion", "gradient"])
            while self.elapsed < budget and not guard.stop:
                share = self.elapsed / budget
                loss, gradient = self._step(share)
                self.elapsed = self.world.agree(time.monotonic() - started)
                if (self.step % 20 == 0 or self.step == 1) and self.world.main:
                    row = self._figures(loss, gradient)
                    log.writerow(row)
                    file.flush()
                    report(
                        min(share, 1), f"step {row[0]}  loss {row[3]}  {row[4] + row[5]:.3f} bpp  distortion {row[6]}"
                    )
                validate = self.elapsed - validated > options.validate_minutes * 60
                if validate or self.elapsed - saved > options.save_minutes * 60:
                    saved = self.elapsed
                    self.save()
                if validate:
                    validated = self.elapsed
                    self._validate(guard)
        self.objective = self.modules
        self.save()
        validation = self._validate(guard)
        if not guard.last_is_best and self.best_path.exists():
            load_state(self.best_path, self.modules)
            validation = self._measure()
        self.best_path.unlink(missing_ok=True)
        return validation

    def _forget_lost_steps(self) -> None:
        """Drop from the log what a run that was killed did after its last state: these steps are taken again."""
        log = self.run / "train.csv"
        if log.exists():
            header, *lines = log.read_text().splitlines() or [""]
            whole = (line for line in lines if line.count(",") == header.count(","))
            kept = [header, *(line for line in whole if int(line.split(",")[0]) <= self.step)]
            write_whole(log, "".join(f"{line}\n" for line in kept if line).encode(), overwrite=True)

    def _step(self, share: float) -> tuple[Loss, Tensor]:
        """One step at `share` of the run."""
        options, anchors = self.options, self.config.anchors
        final = share >= 1 - options.final_share
        size = options.final_crop if final else options.crop
        count = max(anchors, options.batch * options.crop**2 // size**2 // anchors * anchors)
        rate = options.learning_rate * decay(share) + 1e-6
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"] * min(1.0, (self.step + 1) / options.warmup_steps)
        x = to_batch(self.sampler.batch(count, size), self.device)
        # Sample i has a rate near anchor i modulo A: every batch spans the whole range.
        bins = torch.arange(count) % anchors
        t = (bins + torch.rand(count) - 0.5).clamp(0, anchors - 1).to(self.device)
        hyper_weight = min(1.0, 0.02 + share / options.hyper_warmup) if options.hyper_warmup else 1.0
        loss = self.objective(x, t, options.bf16, hyper_weight)
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        gradient = nn.utils.clip_grad_norm_(self.modules.parameters(), options.clip_norm)
        if torch.isfinite(gradient):
            self.optimizer.step()
        self.step += 1
        return loss, gradient

    def _figures(self, loss: Loss, gradient: Tensor) -> list[float]:
        error = loss.distortion.clamp(min=1e-3).log().mean().exp()
        tensors = (loss.cost, loss.z_bpp.mean(), loss.y_bpp.mean(), error, gradient)
        values = [round(float(value.detach()), 4) for value in tensors]
        return [self.step, round(self.elapsed, 1), round(self.optimizer.param_groups[2]["lr"], 7), *values]

    def _measure(self) -> Validation:
        options = self.options
        return validate(self.vae, self.entropy, self.store, autocast=options.bf16, metric=options.metric)

    def _validate(self, guard: Guard) -> Validation:
        """Look at the model, log it, draw it, keep it if it is the best; all processes together."""
        validation = self._measure()
        guard.see(self.world.agree(validation.cost), self.world.agree(validation.train_cost))
        if guard.last_is_best:
            self.save(self.best_path)
        if self.world.main:
            with open(self.run / "validation.jsonl", "a") as file:
                record = {"step": self.step, "seconds": round(self.elapsed, 1)} | validation.record()
                file.write(json.dumps(record) + "\n")
            plot_run(self.run, validation.channel_bpp)
        return validation
