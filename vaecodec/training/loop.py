"""The training loop: one random rate per sample, schedule and stop by wall clock, resumable at any moment, in one
process or several."""

from __future__ import annotations

import csv
import functools
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vaecodec.bitstream.spec import PATCH
from vaecodec.model.config import ModelConfig
from vaecodec.nets.torch.vae import VAE
from vaecodec.training.checkpoint import load_state, save_state
from vaecodec.training.data.crops import CropSampler
from vaecodec.training.data.pictures import PictureStore
from vaecodec.training.distributed import World
from vaecodec.training.entropy import EntropyModels
from vaecodec.training.folder import CLOCK, GUARD, STEPS, forget_lost_steps, read_budget, stop_noted, write_budget
from vaecodec.training.gap import Costs
from vaecodec.training.guard import Guard
from vaecodec.training.hardness import split_hardness
from vaecodec.training.loss import Loss, rate_distortion
from vaecodec.training.options import TrainOptions
from vaecodec.training.plot import plot_run
from vaecodec.training.precision import bfloat16_pays
from vaecodec.training.schedule import averaging, schedule
from vaecodec.training.soap import Soap
from vaecodec.training.start.klt import block_features, block_transform
from vaecodec.training.validate import Validation, to_batch, validate
from vaecodec.training.work import Work, processor

LINEAR = tuple(f"vae.{net}.{layer}" for net in ("analysis", "synthesis") for layer in ("stem", "head", "shortcut"))
"""Layers of the linear transform."""


class Objective(nn.Module):
    """All trained modules; the forward pass is the loss."""

    def __init__(self, config: ModelConfig, metric: str = "mse") -> None:
        super().__init__()
        self.config, self.metric = config, metric
        self.loss: Callable[..., Loss] = rate_distortion
        """Replaced when only a part is trained."""
        self.vae = VAE(config)
        self.entropy = EntropyModels(config)

    def forward(self, x: Tensor, t: Tensor, autocast: bool, hyper_weight: float) -> Loss:
        prediction = self.vae(x, t, autocast)
        return self.loss(self.config, x, t, prediction, *self.entropy(prediction), hyper_weight, self.metric)


class Trainer:
    """A run in a folder: state.safetensors (to resume), train.csv, validation.jsonl, curve.png, minutes, stop.json."""

    def __init__(
        self,
        config: ModelConfig,
        options: TrainOptions,
        store: PictureStore,
        run: Path,
        world: World | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """clock: seconds, on which the budget counts."""
        self.config, self.options, self.store, self.run, self._clock = config, options, store, run, clock
        self.world = world or World()
        run.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        torch.set_flush_denormal(True)
        self.sampler = CropSampler(store, options.seed)
        self.modules = Objective(config, options.metric).to(self.device)
        self.modules.to(memory_format=torch.channels_last)
        self.objective: nn.Module = self.modules
        self.average = AveragedModel(self.modules, multi_avg_fn=averaging(options.average_steps))
        self.step, self.elapsed = 0, 0.0
        self.work = Work(processor())
        self.averaged = False
        self.stopped: str | None = None
        """Why the run stopped, see folder.py."""
        quicker = options.bf16 if options.bf16 is not None else bfloat16_pays(self.world.device)
        self.bf16 = bool(self.world.agree(quicker))
        self.optimizer = self._optimizer()

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

    def _optimizer(self) -> torch.optim.Optimizer:
        groups = self._parameter_groups()
        return Soap(groups) if self.options.optimizer == "soap" else torch.optim.Adam(groups, fused=True)

    def _parameter_groups(self) -> list[dict]:
        """The block transform starts near its optimum and moves slowly; the densities of z must adapt fast."""
        slow, fast, rest = list[nn.Parameter](), list[nn.Parameter](), list[nn.Parameter]()
        for name, parameter in self.modules.named_parameters():
            if not parameter.requires_grad:
                continue
            group = slow if name.startswith(LINEAR) else fast if name.startswith("entropy.") else rest
            group.append(parameter)
        return [{"params": slow, "scale": 0.1}, {"params": fast, "scale": 5.0}, {"params": rest, "scale": 1.0}]

    def start(self, warm: Callable[[VAE, EntropyModels, CropSampler], None] | None = None) -> None:
        """Resume from the run folder if it holds a state; else start warm (`warm` sets the weights) or from the KLT."""
        if self.state_path.exists():
            progress = load_state(self.state_path, self.modules, self.optimizer, self.average)
            self.step, self.elapsed = progress["step"], progress["elapsed"]
            self.work.done = progress.get("work", {})
            # A resumed run may have more or fewer processes than before; new ones start afresh.
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
        self.average.module.load_state_dict(self.modules.state_dict())
        # All processes have started alike; from here on each sees different crops and noise.
        self.sampler.state = [self.options.seed + 1000 * self.world.rank, self.sampler.taken]
        torch.manual_seed(self.options.seed + 1000 * self.world.rank)

    def save(self, path: Path | None = None) -> None:
        """Write the state (state.safetensors) from the main process; all processes must call it together."""
        processes = self.world.gather((self.sampler.state, torch.get_rng_state().tolist()))
        if self.world.main:
            progress = {
                "step": self.step,
                "elapsed": self.elapsed,
                "averaged": self.averaged,
                "work": self.work.done,
                "config": asdict(self.config),
                "processes": processes,
            }
            save_state(path or self.state_path, self.modules, self.optimizer, self.average, progress)

    def train(
        self,
        report: Callable[[float, str], None] = lambda share, text: None,
        validated: Callable[[Objective, Validation], None] = lambda modules, validation: None,
    ) -> Validation:
        """Train until `minutes` are over. `report` gets the fraction done and a line of figures every few steps.
        `validated` (in the main process) gets each validation and its better weights, the averaged or the last.

        Leaves the model with the weights of the best validation, nearly always the last, passes these to `validated`
        last, and returns that validation. A stop at any time loses at most `save_minutes`. The file `minutes` in the
        run folder holds the budget: a number written there during the run takes effect within some steps.
        """
        options = self.options
        if self.world.main:
            write_budget(self.run, options.minutes)
        budget = options.minutes * 60
        started = self._clock() - self.elapsed
        saved = looked = self.elapsed
        self.objective = self.world.parallel(self.modules)
        guard = Guard(self.run, options.patience)
        if self.world.main:
            forget_lost_steps(self.run, self.step)
        noted = stop_noted(self.run if self.world.main else None, lambda: (self.step, self.elapsed))
        with noted as note, open(self.run / "train.csv", "a", newline="") as file:
            log = csv.writer(file, lineterminator="\n")
            if file.tell() == 0 and self.world.main:
                log.writerow(["step", "seconds", "learning_rate", "loss", "z_bpp", "y_bpp", "distortion", "gradient"])
            while (share := self._share(budget)) < 1 and not guard.stop:
                loss, gradient = self._step(share)
                self.elapsed = self.world.agree(self._clock() - started)
                if self.step % 20 == 0:
                    budget = self.world.agree(read_budget(self.run, options.minutes))
                if (self.step % 20 == 0 or self.step == 1) and self.world.main:
                    row = self._figures(loss, gradient)
                    log.writerow(row)
                    file.flush()
                    report(
                        min(share, 1), f"step {row[0]}  loss {row[3]}  {row[4] + row[5]:.3f} bpp  distortion {row[6]}"
                    )
                validate = self.elapsed - looked > options.validate_minutes * 60
                if validate or self.elapsed - saved > options.save_minutes * 60:
                    saved = self.elapsed
                    self.save()
                if validate:
                    looked = self.elapsed
                    self._validate(guard, validated)
            self.stopped = GUARD if guard.stop else CLOCK if self.elapsed >= budget else STEPS
            note(self.stopped)
        self.objective = self.modules
        self.save()
        validation = self._validate(guard, validated)
        if not guard.last_is_best and self.best_path.exists():
            self.averaged = load_state(self.best_path, self.modules, average=self.average)["averaged"]
            validation = self._measure(self.better)
            if self.world.main:
                validated(self.better, validation)
        self.modules.load_state_dict(self.better.state_dict())
        self.best_path.unlink(missing_ok=True)
        return validation

    def _share(self, budget: float) -> float:
        """How much of the run is done, by its seconds or by its steps, whichever are used up first."""
        steps = self.options.steps
        return max(self.elapsed / budget, self.step / steps if steps else 0.0)

    def _step(self, share: float) -> tuple[Loss, Tensor]:
        """One step at the fraction `share` of the run."""
        options, anchors = self.options, self.config.anchors
        final = share >= 1 - options.final_share
        size = options.final_crop if final else options.crop
        count = max(anchors, options.batch * options.crop**2 // size**2 // anchors * anchors)
        rate = options.learning_rate * schedule(share, options.decay) + 1e-6
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"] * min(1.0, (self.step + 1) / options.warmup_steps)
        x = to_batch(self.sampler.batch(count, size), self.device)
        # Sample i has a rate near anchor i modulo A: every batch spans the whole range.
        bins = torch.arange(count) % anchors
        t = (bins + torch.rand(count) - 0.5).clamp(0, anchors - 1).to(self.device)
        hyper_weight = min(1.0, 0.02 + share / options.hyper_warmup) if options.hyper_warmup else 1.0
        loss = self.objective(x, t, self.bf16, hyper_weight)
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        gradient = nn.utils.clip_grad_norm_(self.modules.parameters(), options.clip_norm)
        if torch.isfinite(gradient):
            self.optimizer.step()
            self.average.update_parameters(self.modules)
        self.step += 1
        self.work.count(count * self.world.size)
        return loss, gradient

    def _figures(self, loss: Loss, gradient: Tensor) -> list[float]:
        error = loss.distortion.clamp(min=1e-3).log().mean().exp()
        tensors = (loss.cost, loss.z_bpp.mean(), loss.y_bpp.mean(), error, gradient)
        values = [round(float(value.detach()), 4) for value in tensors]
        return [self.step, round(self.elapsed, 1), round(self.optimizer.param_groups[2]["lr"], 7), *values]

    @property
    def better(self) -> Objective:
        """The better weights of the last validation."""
        return self._average if self.averaged else self.modules

    @property
    def _average(self) -> Objective:
        return cast(Objective, self.average.module)

    @functools.cached_property
    def _hardness(self) -> tuple[Costs, Costs] | None:
        """Of the pictures that validations look at."""
        options = self.options
        if options.reference is None:
            return None
        return split_hardness(options.reference, self.store, self.config.lambdas, options.metric, self.device)

    def _measure(self, modules: Objective) -> Validation:
        metric, hard = self.options.metric, self._hardness
        return validate(modules.vae, modules.entropy, self.store, autocast=self.bf16, metric=metric, hard=hard)

    def _validate(self, guard: Guard, validated: Callable[[Objective, Validation], None]) -> Validation:
        """Validate the last and the averaged weights, log the better, plot them, keep them if they are the best so far;
        all processes together."""
        last, averaged = self._measure(self.modules), self._measure(self._average)
        self.averaged = bool(self.world.agree(averaged.cost < last.cost))
        validation = averaged if self.averaged else last
        guard.see(self.world.agree(validation.cost), self.world.agree(validation.train_cost))
        if guard.last_is_best:
            self.save(self.best_path)
        if self.world.main:
            with open(self.run / "validation.jsonl", "a") as file:
                record = {"step": self.step, "seconds": round(self.elapsed, 1), "averaged": self.averaged}
                costs = {"last_cost": round(last.cost, 5), "averaged_cost": round(averaged.cost, 5)}
                file.write(json.dumps(record | costs | {"work": self.work.done} | validation.record()) + "\n")
            plot_run(self.run, validation.channel_bpp)
            validated(self.better, validation)
        return validation
