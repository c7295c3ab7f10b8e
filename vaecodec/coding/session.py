"""Models and nets of a codec: loaded when they are first needed, and kept."""

from __future__ import annotations

import functools
import importlib.util
import threading
from pathlib import Path

from vaecodec.coding.refine import Refiner
from vaecodec.errors import BackendError
from vaecodec.model.config import METRICS
from vaecodec.model.file import ModelFile, load_model, load_model_for
from vaecodec.nets import load_nets
from vaecodec.nets.interface import Nets


class Loaded:
    """`name`: of the model to encode with (None: the default), which also decodes what it wrote."""

    def __init__(self, name: str | Path | None, backend: str | None, device: str | None) -> None:
        self._name, self._backend = name, (backend, device)
        self._nets: dict[tuple[str | None, bytes, int | None], Nets] = {}
        self._models: dict[bytes, ModelFile] = {}
        self._refiner: Refiner | None = None
        self._lock = threading.Lock()

    @functools.cached_property
    def model(self) -> ModelFile:
        """The model to encode with."""
        return load_model(self._name)

    def model_for(self, identity: bytes) -> ModelFile:
        """The model that a file names; raises ModelError where it is neither here nor the one to encode with."""
        if identity in self._models:
            return self._models[identity]
        if self._name is not None and self.model.identity == identity:
            return self.model
        return load_model_for(identity)

    def nets(self, model: ModelFile, threads: int | None) -> Nets:
        """The nets of a model, with so many threads each."""
        with self._lock:
            self._models[model.identity] = model
            return self._nets_on(self._backend[0], model, threads)

    def refiner(self, threads: int | None) -> Refiner:
        """What refines the latents of the model to encode with; raises BackendError where it needs what is not here."""
        with self._lock:
            if self._refiner is None:
                backend, metric = self._backend[0], self.model.config.metric
                if metric not in METRICS:
                    raise BackendError(f"refining for {metric} is unknown to this version of vaecodec")
                if metric != "mse":
                    backend = "torch"  # only there others have gradients
                    if not all(importlib.util.find_spec(package) for package in ("torch", "pytorch_msssim")):
                        raise BackendError(
                            f"refining with model {self.model.name} needs torch and pytorch-msssim: "
                            "pip install 'vaecodec[torch]', or encode with model fast"
                        )
                self._refiner = Refiner(self.model, self._nets_on(backend, self.model, threads))
            return self._refiner

    def _nets_on(self, backend: str | None, model: ModelFile, threads: int | None) -> Nets:
        key = (backend, model.identity, threads)
        if key not in self._nets:
            self._nets[key] = load_nets(model, backend, self._backend[1], threads)
        return self._nets[key]
