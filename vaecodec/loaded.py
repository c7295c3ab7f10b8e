"""Models and nets of a codec: loaded when they are first needed, and kept."""

from __future__ import annotations

import functools
import threading
from pathlib import Path

from vaecodec.errors import ModelError
from vaecodec.refine import Refiner
from vaecodec.runtime import load_nets
from vaecodec.runtime.nets import Nets
from vaecodec.runtime.store import ModelFile, load_model, load_model_for


class Loaded:
    """`name`: of the model to encode with, and to decode with unless it is None: then files say what they need."""

    def __init__(self, name: str | Path | None, backend: str | None, device: str | None) -> None:
        self._name, self._backend = name, (backend, device)
        self._nets: dict[tuple[bytes, int | None], Nets] = {}
        self._models: dict[bytes, ModelFile] = {}
        self._refiner: Refiner | None = None
        self._lock = threading.Lock()

    @functools.cached_property
    def model(self) -> ModelFile:
        """The model to encode with."""
        return load_model(self._name)

    def model_for(self, identity: bytes) -> ModelFile:
        """The model that a file names; raises ModelError where it is not here or not the one that is wanted."""
        if identity in self._models:
            return self._models[identity]
        if self._name is not None:
            if self.model.identity == identity:
                return self.model
            raise ModelError(f"the file was written with model {identity.hex()}, not {self.model.identity.hex()}")
        return load_model_for(identity)

    def nets(self, model: ModelFile, threads: int | None) -> Nets:
        """The nets of a model, with so many threads each."""
        with self._lock:
            self._models[model.identity] = model
            if (model.identity, threads) not in self._nets:
                self._nets[model.identity, threads] = load_nets(model, *self._backend, threads)
            return self._nets[model.identity, threads]

    def refiner(self, threads: int | None) -> Refiner:
        """What refines the latents of the model to encode with."""
        with self._lock:
            if self._refiner is None:
                backend, device = self._backend
                if self.model.config.metric != "mse":
                    backend = "torch"  # only there others have gradients
                self._refiner = Refiner(self.model, load_nets(self.model, backend, device, threads))
            return self._refiner
