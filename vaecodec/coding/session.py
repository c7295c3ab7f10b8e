"""A session: the models, nets, quantisers and refiner that everything in a codec shares."""

from __future__ import annotations

import functools
import importlib.util
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vaecodec.bitstream.container import DROPPED
from vaecodec.coding.clock import Clock, no_clock
from vaecodec.coding.effort import refinement_steps
from vaecodec.coding.quantise import STRENGTH, Quantiser
from vaecodec.coding.tile import TileCoder
from vaecodec.errors import BackendError, VaecodecError
from vaecodec.model.config import METRICS
from vaecodec.model.defaults import tuned_model
from vaecodec.model.file import ModelFile, check_model, load_model, load_model_for
from vaecodec.nets import BACKENDS, load_nets
from vaecodec.nets.interface import Nets
from vaecodec.system.limits import MAX_METADATA, MAX_PIXELS, TILE_LOG2
from vaecodec.system.parallel import Workers

if TYPE_CHECKING:
    from vaecodec.coding.refine import Refiner


@dataclass(frozen=True)
class Settings:
    """The arguments of Codec, documented there. Raises VaecodecError for invalid ones."""

    model: str | Path | None = None
    backend: str | None = None
    device: str | None = None
    threads: int | None = None
    max_pixels: int = MAX_PIXELS
    max_metadata: int = MAX_METADATA
    tile_log2: int = TILE_LOG2
    keep: bool = True
    effort: int = 1
    keep_hidden: bool = False
    tune: str | None = None
    metadata: str = "all"

    def __post_init__(self) -> None:
        model = tuned_model(self.model, self.tune)
        if self.metadata not in DROPPED:
            raise VaecodecError(f"metadata must be one of {', '.join(DROPPED)}, not {self.metadata!r}")
        if self.backend not in (None, *BACKENDS):
            raise BackendError(f"unknown backend {self.backend!r}; there are {', '.join(BACKENDS)}")
        if model is not None:
            check_model(model)
        refinement_steps(self.effort)
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "tune", None)

    @property
    def one_device(self) -> bool:
        """Whether the nets run on a device that is parallel in itself."""
        return self.backend == "torch" or self.device not in (None, "cpu")


class Session:
    """Loads everything on first use; threads may share it. clock: told about the stages of all coding; strength: that
    of the Quantiser."""

    def __init__(self, settings: Settings, clock: Clock = no_clock, strength: float = STRENGTH) -> None:
        self.settings, self.clock, self.strength = settings, clock, strength
        self.workers = Workers(settings.threads, parallel=not settings.one_device)
        """All cores, for a single image."""
        self.lane = Workers(1) if self.workers.count > 1 else self.workers
        """One core, for one of several images that are coded in parallel."""
        self._nets: dict[tuple[str | None, bytes, int | None], Nets] = {}
        self._models: dict[bytes, ModelFile] = {}
        self._quantisers: dict[bytes, Quantiser] = {}
        self._refiner: Refiner | None = None
        self._lock = threading.Lock()

    @functools.cached_property
    def model(self) -> ModelFile:
        """The model to encode with; it also decodes its own streams."""
        return load_model(self.settings.model)

    def model_for(self, identity: bytes) -> ModelFile:
        """The model that a file names; raises ModelError if it is neither shipped nor the one to encode with."""
        if identity in self._models:
            return self._models[identity]
        if self.settings.model is not None and self.model.identity == identity:
            return self.model
        return load_model_for(identity)

    def coder(self, model: ModelFile, units: int, tiles: int, workers: Workers) -> TileCoder:
        """The coder for a quality in stored units. Several tiles share the cores; the nets of a single tile use all of
        them."""
        with self._lock:
            self._models[model.identity] = model
            nets = self._nets_on(self.settings.backend, model, workers.threads_for(tiles))
        return TileCoder(model, nets, units, self._quantiser(model), self.clock)

    def refiner(self, effort: int | None = None) -> Refiner | None:
        """The refiner for the model to encode with; None if the effort (None: that of the settings) needs none. Raises
        BackendError if the runtime it needs is missing, VaecodecError for an invalid effort."""
        if not refinement_steps(self.settings.effort if effort is None else effort):
            return None
        from vaecodec.coding.refine import Refiner  # few refine

        with self._lock:
            if self._refiner is None:
                backend, model = self._refining_backend(), self.model
                nets = self._nets_on(backend, model, self.settings.threads)
                self._refiner = Refiner(model, nets, self._quantiser(model))
            return self._refiner

    def _refining_backend(self) -> str | None:
        metric = self.model.config.metric
        if metric not in METRICS:
            raise BackendError(f"refining for {metric} is unknown to this version of vaecodec")
        if metric == "mse":
            return self.settings.backend
        if not all(importlib.util.find_spec(package) for package in ("torch", "pytorch_msssim")):
            raise BackendError(
                f"refining with model {self.model.name} needs torch and pytorch-msssim: "
                "pip install 'vaecodec[torch]', or encode with model fast"
            )
        return "torch"  # other nets have gradients only in torch

    def _quantiser(self, model: ModelFile) -> Quantiser:
        if model.identity not in self._quantisers:
            self._quantisers[model.identity] = Quantiser(model.latent_tables.packed, self.strength)
        return self._quantisers[model.identity]

    def _nets_on(self, backend: str | None, model: ModelFile, threads: int | None) -> Nets:
        key = (backend, model.identity, threads)
        if key not in self._nets:
            self._nets[key] = load_nets(model, backend, self.settings.device, threads)
        return self._nets[key]
