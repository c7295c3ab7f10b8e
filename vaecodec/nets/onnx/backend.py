"""The nets on onnxruntime: the default."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from vaecodec.bitstream.grid import Rect
from vaecodec.bitstream.spec import PATCH
from vaecodec.errors import BackendError
from vaecodec.model.file import ModelFile
from vaecodec.model.rate import RatePosition
from vaecodec.nets.check import check_exact
from vaecodec.nets.interface import Float
from vaecodec.nets.onnx import graphs
from vaecodec.nets.onnx.gradients import squared_error

MOST_RATED = 4
"""Graphs of single rates that are kept: each holds the memory of its largest picture."""


def _providers(device: str) -> list[Any]:
    """onnxruntime's providers for a device; raises BackendError if this build has none."""
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return ["CPUExecutionProvider"]
    if kind != "cuda" or not (number or "0").isdigit():
        raise BackendError(f"the onnx backend knows the devices cpu and cuda, not {device!r}")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise BackendError("this onnxruntime has no CUDA: pip install onnxruntime-gpu, or use torch (backend)")
    return [("CUDAExecutionProvider", {"device_id": int(number or 0)}), "CPUExecutionProvider"]


class OnnxNets:
    """Implements Nets on onnxruntime: device "cpu" or "cuda" ("cuda:1", ...), the latter with onnxruntime-gpu.

    Each graph is built and loaded on first use.
    """

    def __init__(self, model: ModelFile, device: str = "cpu", threads: int | None = None) -> None:
        self._model = model
        self._providers = _providers(device)
        self._options = onnxruntime.SessionOptions()
        self._options.log_severity_level = 3
        # Threads of a session that spin between runs would take cores from the other sessions and the coder.
        self._options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            self._options.intra_op_num_threads = threads
        if device != "cpu":
            # onnxruntime logs pages if CUDA fails; _session reports it in one line.
            self._options.log_severity_level = 4
            onnxruntime.set_default_logger_severity(4)
        self._sessions: dict[tuple[str | int | RatePosition | None, ...], onnxruntime.InferenceSession] = {}
        self._lock = threading.Lock()
        if device != "cpu":
            check_exact(self, OnnxNets(model), model)

    def _session(self, graph: bytes) -> onnxruntime.InferenceSession:
        """Raises BackendError if the device is unavailable: onnxruntime would silently fall back to the CPU."""
        try:
            session = onnxruntime.InferenceSession(graph, self._options, self._providers, enable_fallback=0)
        except Exception as error:  # see _run
            raise BackendError(f"onnxruntime failed: {error}".splitlines()[0]) from error
        if len(self._providers) > 1 and "CUDAExecutionProvider" not in session.get_providers():
            raise BackendError("onnxruntime cannot use CUDA here: driver, CUDA or cuDNN are missing or do not fit it")
        return session

    def _run_at(self, name: str, rate: RatePosition, **inputs: NDArray[Any]) -> NDArray[Any]:
        """The output of a transform: a common rate has a graph of its own, which is faster and takes time to make."""
        if rate.common:
            return self._run(name, rate, **inputs)[0]
        weights = graphs.branch_weights(self._model, name, rate)[:, None, :, None, None]
        return self._run(name, None, **inputs, **{f"rate_{i}": weight for i, weight in enumerate(weights)})[0]

    def _run(self, name: str, *of: int | RatePosition | None, **inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs of a graph: of a step, or at a rate."""
        key = name, *of
        with self._lock:
            session = self._sessions.pop(key, None)
            if session is None:
                build: Callable[..., bytes] = squared_error if name == "squared_error" else getattr(graphs, name)
                session = self._session(build(self._model, *of))
            self._sessions[key] = session
            rated = [other for other in self._sessions if isinstance(other[-1], RatePosition)]
            for other in rated[:-MOST_RATED]:  # the longest unused
                del self._sessions[other]
        try:
            return session.run(None, inputs)
        except Exception as error:  # onnxruntime's own exceptions derive directly from Exception
            raise BackendError(f"onnxruntime failed: {error}".splitlines()[0]) from error

    def analysis(self, pixels: NDArray[np.uint8], rate: RatePosition) -> Float:
        return self._run_at("analysis", rate, pixels=pixels)

    def hyper_analysis(self, v: Float, rate: RatePosition) -> Float:
        bias = self._model.float_row("hyper_analysis.rate", rate)[None, :, None, None]
        return self._run("hyper_analysis", v=v, rate=bias)[0]

    def texture(self, v: Float, rate: RatePosition) -> Float:
        bias = self._model.float_row("hyper_analysis.rate", rate)[None, :, None, None]
        return self._run("texture", v=v, rate=bias)[0]

    def hyper_synthesis(self, u: Float, bias: Float) -> Float:
        return self._run("hyper_synthesis", u=u, bias=bias[None, :, None, None])[0]

    def context_step(self, step: int, features: Float, slots: list[Float], bias: Float) -> tuple[Float, Float]:
        inputs = {"features": features, "bias": bias[None, :, None, None]}
        if step:
            n, m, h, w = slots[0].shape
            # Quad position first, so that a grouped convolution can process each position separately.
            by_position = [slot.reshape(n, 4, m // 4, h, w) for slot in slots]
            inputs["context"] = np.concatenate(by_position + [np.abs(s) for s in by_position], 2).reshape(n, -1, h, w)
        mean, index = self._run("context_step", step, **inputs)
        return mean, index

    def synthesis(self, v_hat: Float, rate: RatePosition) -> NDArray[np.uint8]:
        return self._run_at("synthesis", rate, v_hat=v_hat)

    def distortion(self, v_hat: Float, x: Float, area: Rect, rate: RatePosition) -> tuple[Float, Float]:
        if self._model.config.metric != "mse":
            raise BackendError(f"gradients for {self._model.config.metric} need the torch backend")
        rows, columns = (PATCH * side for side in v_hat.shape[2:])
        margins = [0, 0, area.top, area.left, 0, 0, rows - area.bottom, columns - area.right]
        corners = {"first": area[:2], "last": area[2:], "margins": margins}
        inputs: dict[str, NDArray[Any]] = {name: np.array(values, np.int64) for name, values in corners.items()}
        error, gradient = self._run("squared_error", rate, v_hat=v_hat, x=x, **inputs)
        scale = np.float32(255**2 / x[0].size)
        return error * scale, gradient * scale

    def preview(self, v_hat: Float) -> NDArray[np.uint8]:
        return self._run("preview", v_hat=v_hat)[0]
