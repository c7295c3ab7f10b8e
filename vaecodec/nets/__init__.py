"""The nets as the codec uses them, on onnxruntime or torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vaecodec.errors import BackendError

if TYPE_CHECKING:
    from vaecodec.model.file import ModelFile
    from vaecodec.nets.interface import Nets

BACKENDS = ("onnx", "torch")


def load_nets(model: ModelFile, backend: str | None, device: str | None, threads: int | None) -> Nets:
    """Nets of a model on a backend: "onnx" (default) or "torch"; raises BackendError if it is not usable."""
    if backend in (None, "onnx"):
        from vaecodec.nets.onnx.backend import OnnxNets

        return OnnxNets(model, device or "cpu", threads)
    if backend == "torch":
        try:
            from vaecodec.nets.torch.backend import TorchNets
        except ImportError as error:
            raise BackendError("the torch backend needs torch: pip install 'vaecodec[torch]'") from error
        return TorchNets(model, device or "cpu", threads)
    raise BackendError(f"unknown backend {backend!r}; there are {', '.join(BACKENDS)}")
